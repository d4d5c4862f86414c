"""Training on a whole prepared ImageNet: recipes, feeding, the loop, its checkpoints, one process or several.

    python -m alexnet_lib train --data PREPARED --recipe paper --out RUN

The small networks of the early chapters are trained by alexnet_lib.train, whose images all fit into memory.
"""
