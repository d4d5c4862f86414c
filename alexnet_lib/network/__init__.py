"""The paper's network: `from alexnet_lib.network import AlexNet, AlexNetConfig`.

In one process (`alexnet`), on two GPUs (`two_gpu`), layer by layer (`lrn`, `pooling`, `dropout`, `nonlinearities`), and
what it holds and moves (`geometry`, `description`, `memory`, `traffic`). Paper section 3.
"""

from .alexnet import AlexNet
from .config import AlexNetConfig
from .lrn import LocalResponseNorm, local_response_norm
from .two_gpu import TwoGPUAlexNet

__all__ = ["AlexNet", "AlexNetConfig", "LocalResponseNorm", "TwoGPUAlexNet", "local_response_norm"]
