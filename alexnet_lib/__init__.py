"""alexnet_lib: the library beside the runnable edition of the AlexNet paper (Krizhevsky, Sutskever, Hinton, 2012)."""

__version__ = "0.1.0"
