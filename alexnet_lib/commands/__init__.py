"""What `python -m alexnet_lib` can be asked to do: a module a command, which checks what was asked and does it."""
