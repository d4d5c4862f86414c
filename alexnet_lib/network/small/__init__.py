"""The small networks of the CIFAR-10 experiments, from the paper (section 3.1) and the 2012 code."""
