"""The whole network on Tiny ImageNet with one thing changed at a time (claims C03, C05, C07, C08, C10, C12, C14, C16,
C17, C19, C20; questions Q40, Q47).

Every variant has the same passes and the same drops of the rate: a schedule that watched each one's own validation
error would change two things at once. Small: three classes, two passes. Full: `python -m alexnet_lib experiment
ablations --full`. Taught in the chapter "Results and ablations".
"""

from __future__ import annotations

from .running.study import Study, on_cpu, on_gpu, small

NAME = "ablations"
SUMMARY = "the whole network on Tiny ImageNet with one thing changed at a time (C03, C05, C07, C10, C12, C14, C16 ...)"
VARIANTS = {
    "paper": (),
    "one-gpu-half": ("net.widths=48,128,192,192,256", "net.columns=1"),
    "no-lrn": ("net.norm=none",),
    "pool-2-2": ("net.pooling=2,2",),
    "no-conv3": ("net.left_out=conv3",),
    "no-conv4": ("net.left_out=conv4",),
    "no-conv5": ("net.left_out=conv5",),
    "no-crops": ("crops=false", "reflect=false"),
    "no-lighting": ("lighting=none",),
    "no-dropout": ("net.dropout=0",),
    "no-decay": ("weight_decay=0",),
    "biases-0": ("net.biases=0,0,0,0,0,0,0,0",),
    "start-text": ("net.deviations=0.01,0.01,0.01,0.01,0.01,0.01,0.01,0.01",),
}
LABELS = {
    "paper": "the paper's network and recipe",
    "one-gpu-half": "one column, half the kernels (3.2)",
    "no-lrn": "no response normalisation (3.3)",
    "pool-2-2": "pooling of 2 moved by 2 (3.4)",
    "no-conv3": "without conv3",
    "no-conv4": "without conv4",
    "no-conv5": "without conv5",
    "no-crops": "no crops, no reflections (4.1)",
    "no-lighting": "no PCA lighting (4.1)",
    "no-dropout": "no dropout (4.2)",
    "no-decay": "no weight decay (5)",
    "biases-0": "all biases 0 at the start (5)",
    "start-text": "all weights N(0, 0.01) at the start (5)",
}
CLAIMS = ("C03", "C05", "C07", "C08", "C10", "C12", "C14", "C16", "C17", "C19", "C20")
EXPERIMENT = Study(
    NAME,
    CLAIMS,
    VARIANTS,
    small(),
    on_cpu=on_cpu("20-passes", "passes=20", "schedule=by hand", "drops=14,18", seeds=3),
    on_gpu=on_gpu("60-passes", "passes=60", "schedule=by hand", "drops=40,52", seeds=3),
)
run_from = EXPERIMENT.run_from
