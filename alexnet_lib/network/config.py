"""What an AlexNet is: every choice the paper, the 2012 code and today's frameworks make differently is one field.

Taught in "The whole architecture" (sections 3.1 to 3.5, 4.2, 5).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import SettingError
from .dropout import KINDS as DROPOUT_KINDS
from .nonlinearities import NONLINEARITIES

CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")
LAYERS = (*CONVOLUTIONS, "fc6", "fc7", "fc8")
NORMS = ("lrn", "batch", "none")
POOLINGS = ("max", "average")
STEPS = ("activation", "norm", "spatial norm", "pool")

TEXT_BLOCKS = (
    ("activation", "norm", "pool"),
    ("activation", "norm", "pool"),
    ("activation",),
    ("activation",),
    ("activation", "pool"),
)
CODE2012_BLOCKS = (
    ("norm", "pool", "activation"),
    ("activation", "norm", "spatial norm", "pool"),
    ("activation",),
    ("activation",),
    ("pool", "activation"),
)
BATCH_NORM_BLOCKS = (("norm", "activation", "pool"), ("norm", "activation", "pool"), *TEXT_BLOCKS[2:])


OPEN = "-"  # a section of the paper that is none: it does not speak of it


def setting(default: Any, section: str, why: str) -> Any:
    """A field with its row of the page of settings in "Full training": the paper's section, and why it is there."""
    return field(default=default, metadata={"section": section, "why": why})


@dataclass(frozen=True)
class ResponseNorm:
    """The constants of local response normalisation (section 3.3); `average` divides alpha by n, as the code did.

    within_columns: a window never reaches into the other GPU's kernels.
    """

    n: int = 5
    k: float = 2.0
    alpha: float = 1e-4
    beta: float = 0.75
    average: bool = False
    within_columns: bool = True


@dataclass(frozen=True)
class AlexNetConfig:
    """One AlexNet. The defaults are the paper's text; `paper()`, `code2012()`, … name the known variants.

    widths: kernels of conv1 to conv5. hidden: units of fc6, fc7. columns: 2 for the paper's two GPUs, 1 for one.
    exchange: the layers that see both columns; every other layer after conv1 sees its own. input_size: side of the
    images. first_padding: zeros before and after them. activation: a name of NONLINEARITIES. norm: "lrn",
    "batch" or "none". pooling: window and stride, of pooling_kind "max" or "average". blocks: what follows each
    convolution, in order. left_out: convolutions that are not there (their pooling stays). sixth: kernels of a sixth
    convolution, over the last pooling layer (None: there is none). dropout: the rate in the first two fully connected
    layers; dropout_kind as in dropout.Dropout; dropout_first: before fc6 and fc7 instead of after. deviations: of the
    starting weights of conv1 … fc8, None for PyTorch's own start; biases: their starting biases.
    SettingError names a field that does not fit.
    """

    name: str = "paper"
    widths: tuple[int, ...] = (96, 256, 384, 384, 256)
    hidden: tuple[int, int] = (4096, 4096)
    columns: int = setting(2, "3.2", "two GPUs of 3 GB held what one could not")
    exchange: tuple[str, ...] = setting(
        ("conv3", "fc6", "fc7", "fc8"), "3.2", "layers that see both columns; at the others nothing crosses"
    )
    input_size: int = setting(224, "3.5", "the side of the crops that the network sees")
    first_padding: tuple[int, int] = setting((0, 3), OPEN, "zeros that bring 224 pixels to 55 outputs")
    activation: str = setting("relu", "3.1", "does not saturate, so it learns sooner")
    norm: str = "lrn"
    lrn: ResponseNorm = setting(ResponseNorm(), "3.3", "neighbouring kernels damp each other")
    pooling: tuple[int, int] = (3, 2)
    pooling_kind: str = "max"
    blocks: tuple[tuple[str, ...], ...] = setting(TEXT_BLOCKS, "3.5", "what follows each convolution, in order")
    left_out: tuple[str, ...] = ()
    sixth: int | None = None
    dropout: float = setting(0.5, "4.2", "without it the network learns its images by heart")
    dropout_kind: str = setting("2012", "4.2", "2012: outputs are halved at test time; inverted: doubled in training")
    dropout_first: bool = False
    deviations: tuple[float, ...] | None = setting(
        (0.01,) * 8, "5", "of the starting weights, conv1 to fc8; too small, and the images are not heard"
    )
    biases: tuple[float, ...] = setting(
        (0, 1, 0, 1, 1, 1, 1, 0), "5", "at the start, conv1 to fc8; 1 keeps ReLUs open early on"
    )

    def __post_init__(self) -> None:
        for name, allowed in (
            ("activation", NONLINEARITIES),
            ("norm", NORMS),
            ("pooling_kind", POOLINGS),
            ("dropout_kind", DROPOUT_KINDS),
        ):
            if getattr(self, name) not in allowed:
                raise SettingError(f"{name} {getattr(self, name)!r} is not known; use one of {', '.join(allowed)}")
        lengths = {
            "widths": 5,
            "hidden": 2,
            "first_padding": 2,
            "pooling": 2,
            "blocks": 5,
            "deviations": 8,
            "biases": 8,
        }
        for name, wanted in lengths.items():
            value = getattr(self, name)
            if value is not None and len(value) != wanted:
                raise SettingError(f"{name} {value!r}: {wanted} entries are needed")
        self._check_names()
        for width in (*self.widths, *self.hidden, self.sixth or self.columns):
            if width < 1 or self.columns < 1 or width % self.columns:
                raise SettingError(f"columns={self.columns} does not divide the {width} kernels or units of a layer")

    def _check_names(self) -> None:
        if wrong := [name for name in self.left_out if name not in CONVOLUTIONS[1:]]:
            raise SettingError(f"left_out {wrong[0]!r}: only {', '.join(CONVOLUTIONS[1:])} can be left out")
        if wrong := [name for name in self.exchange if name not in (*LAYERS[1:], "conv6")]:
            raise SettingError(f"exchange {wrong[0]!r}: use names out of {', '.join(LAYERS[1:])}, conv6")
        if "fc8" not in self.exchange:
            raise SettingError("exchange must have 'fc8': the 1000 classes have to see both columns")
        if wrong := [step for block in self.blocks for step in block if step not in STEPS]:
            raise SettingError(f"blocks: {wrong[0]!r} is not known; use {', '.join(STEPS)}")

    @property
    def convolutions(self) -> tuple[str, ...]:
        """The convolutional layers that are there, in order."""
        kept = tuple(name for name in CONVOLUTIONS if name not in self.left_out)
        return (*kept, "conv6") if self.sixth else kept

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers with weights, in order."""
        return (*self.convolutions, "fc6", "fc7", "fc8")

    def groups(self, layer: str) -> int:
        """Into how many groups a layer's inputs fall: 1 where it sees everything, else one for each column.

        Where a layer that exchanges is left out, the next one that is there exchanges in its place.
        """
        exchanging, due = {"conv1"}, False
        for name in (*CONVOLUTIONS[1:], "conv6", "fc6", "fc7", "fc8"):
            due = due or name in self.exchange
            if due and name in self.layers:
                exchanging.add(name)
                due = False
        return 1 if layer in exchanging else self.columns

    @classmethod
    def paper(cls) -> AlexNetConfig:
        """What the text says. Windows of LRN stay within a column: else the GPUs would have to talk at layers 1, 2."""
        return cls()

    @classmethod
    def code2012(cls) -> AlexNetConfig:
        """The code that won in 2012, where it differs: LRN's scale and place, a spatial norm, 0.03 in conv3 to 5."""
        deviations = (0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01)
        return cls("code2012", lrn=ResponseNorm(average=True), blocks=CODE2012_BLOCKS, deviations=deviations)

    @classmethod
    def caffe(cls) -> AlexNetConfig:
        """Caffe's bvlc_alexnet: 227 pixels, LRN with k = 1 across all kernels, biases of 0.1, inverted dropout."""
        return cls(
            "caffe",
            input_size=227,
            first_padding=(0, 0),
            lrn=ResponseNorm(k=1.0, average=True, within_columns=False),
            dropout_kind="inverted",
            deviations=(0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.01),
            biases=(0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0),
        )

    @classmethod
    def torchvision(cls) -> AlexNetConfig:
        """torchvision.models.alexnet: one column of 2014's widths, no LRN, dropout before fc6 and fc7."""
        return cls(
            "torchvision",
            widths=(64, 192, 384, 256, 256),
            columns=1,
            first_padding=(2, 2),
            norm="none",
            dropout_kind="inverted",
            dropout_first=True,
            deviations=None,
        )

    @classmethod
    def one_gpu_half(cls) -> AlexNetConfig:
        """Section 3.2's net on one GPU: half the kernels, but for conv5, so that the weights stay about as many."""
        return cls("one_gpu_half", widths=(48, 128, 192, 192, 256), columns=1)

    @classmethod
    def sixth_conv(cls) -> AlexNetConfig:
        """Section 6's net with a sixth convolution over the last pooling; its 256 3 x 3 kernels are our reading."""
        return cls("sixth_conv", sixth=256)


VARIANTS = {
    name: getattr(AlexNetConfig, name)
    for name in ("paper", "code2012", "caffe", "torchvision", "one_gpu_half", "sixth_conv")
}


def ablations(base: AlexNetConfig | None = None) -> dict[str, AlexNetConfig]:
    """The networks that differ from `base` (default: the paper's) in the one thing a claim is about, by name."""
    base = base or AlexNetConfig.paper()
    half = AlexNetConfig.one_gpu_half()
    changes = {
        "tanh": {"activation": "tanh"},
        "one_gpu_half": {"widths": half.widths, "columns": 1},
        "one_column": {"columns": 1},
        "never_exchange": {"exchange": ("fc8",)},
        "always_exchange": {"exchange": (*LAYERS[1:], *(("conv6",) if base.sixth else ()))},
        "exchange_at_conv2": {"exchange": ("conv2", *base.exchange)},
        "no_norm": {"norm": "none"},
        "batch_norm": {"norm": "batch", "blocks": BATCH_NORM_BLOCKS},
        "lrn_average": {"lrn": replace(base.lrn, average=True)},
        "lrn_across": {"lrn": replace(base.lrn, within_columns=False)},
        "pool_2_2": {"pooling": (2, 2)},
        "average_pool": {"pooling_kind": "average"},
        **{f"no_{name}": {"left_out": (name,)} for name in CONVOLUTIONS[1:]},
        "no_dropout": {"dropout": 0.0},
        "biases_0": {"biases": (0,) * 8},
        "start_2012": {"deviations": AlexNetConfig.code2012().deviations},
    }
    return {name: replace(base, name=name, **change) for name, change in changes.items()}
