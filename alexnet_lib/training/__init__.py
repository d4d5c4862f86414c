"""Training: a whole run from a prepared ImageNet (`loop`), and small networks on sets that memory holds (`fit`).

    python -m alexnet_lib train --data PREPARED --recipe paper --out RUN

Paper section 5. Taught in "Full training" and, for small networks, "ReLU against tanh".
"""

from .recipes import Recipe
from .topk import topk_errors

__all__ = ["Recipe", "topk_errors"]
