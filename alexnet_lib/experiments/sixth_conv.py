"""The network with a sixth convolutional layer over the last pooling layer, beside the paper's (part of claim C24).

The paper trained its seven-layer networks' successors on 15 million photographs first; that part is not repeated here:
what can be seen is only what the layer itself does. Its kernels are not described; 256 of 3 x 3 are our reading.
Full: `python -m alexnet_lib experiment sixth-conv --full`. Taught in the chapter "Results and ablations".
"""

from __future__ import annotations

from .ablations import EXPERIMENT as ABLATIONS
from .running.study import Study, small

NAME = "sixth-conv"
SUMMARY = "Tiny ImageNet with a sixth convolutional layer over the last pooling layer (part of C24)"
LABELS = {"paper": "five convolutional layers", "sixth-conv": "six convolutional layers"}
EXPERIMENT = Study(
    NAME, ("C24",), {"paper": (), "sixth-conv": ("net.sixth=256",)}, small(), ABLATIONS.on_cpu, ABLATIONS.on_gpu
)
run_from = EXPERIMENT.run_from
