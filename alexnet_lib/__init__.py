"""alexnet_lib: the library beside the runnable edition of the AlexNet paper (Krizhevsky, Sutskever, Hinton, 2012)."""

from pathlib import Path

__version__ = "0.1.0"
ROOT = Path(__file__).resolve().parent.parent  # of a clone; of an installation: the folder of packages
