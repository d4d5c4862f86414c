"""Images, from a reader's files to tensors: CIFAR-10, photographs, Tiny ImageNet, ImageNet, drawn ones."""
