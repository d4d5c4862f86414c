"""The experiments behind the book's claims: each runs small in a chapter, and at full size from the command line."""

from __future__ import annotations

import difflib
from types import ModuleType

from ..errors import SettingError


def _registry() -> dict[str, ModuleType]:
    # Imported on asking, so that `import alexnet_lib.experiments` stays quick.
    from . import (
        ablations,
        augmentation_cifar10,
        binary_codes,
        dropout_cifar10,
        ensemble,
        evidence,
        flagship,
        kernel_fits,
        kernels,
        learning_cifar10,
        lighting_cifar10,
        lrn_cifar10,
        mean_cifar10,
        pooling_cifar10,
        predictions,
        pretraining,
        relu_vs_tanh,
        sixth_conv,
        tiny_imagenet,
    )

    modules = (
        relu_vs_tanh,
        lrn_cifar10,
        pooling_cifar10,
        augmentation_cifar10,
        dropout_cifar10,
        mean_cifar10,
        lighting_cifar10,
        learning_cifar10,
        tiny_imagenet,
        evidence,
        flagship,
        pretraining,
        kernel_fits,
        ablations,
        ensemble,
        sixth_conv,
        kernels,
        binary_codes,
        predictions,
    )
    return {module.NAME: module for module in modules}


def names() -> list[str]:
    """The experiments that exist, by the name the command line takes."""
    return sorted(_registry())


def get(name: str) -> ModuleType:
    """The module of an experiment. Raises SettingError, with the nearest name, for one that does not exist."""
    registry = _registry()
    if name in registry:
        return registry[name]
    near = difflib.get_close_matches(name, registry, n=1)
    hint = f"did you mean {near[0]}?" if near else "`python -m alexnet_lib experiment list` names them"
    raise SettingError(f"there is no experiment called {name!r}; {hint}")
