"""What has to fit into a GPU to train a network: counted from its table of layers, and measured (section 3.2).

Taught in "Two GPUs". Counted are weights, their gradients, their velocity, and what the forward pass keeps for the
backward pass; not what lives for a moment only: gradients of activations on their way back, and the workspace that a
convolution's algorithm asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ..errors import SettingError
from ..network.description import BYTES, Description

PLACE = 8  # bytes of one entry of the list of maxima's places that a max pooling keeps
FROM_OUTPUT = ("relu", "tanh", "sigmoid")  # whose slope follows from their output: that is what they keep
SPATIAL_NORM_KEEPS = 4  # its squares, two roots and the power, each as large as its input, which it keeps too
# Of layers-145.cfg: over how many places of an image the 2012 code adds up a kernel's gradient before it is stored.
PARTIAL_SUMS = {"conv1": 5, "conv2": 3, "conv3": 13, "conv4": 13, "conv5": 13}


@dataclass(frozen=True)
class Kept:
    """A tensor that a step of the network keeps for the backward pass: so many bytes for each image.

    step is named as the network's module: conv1, act1, pool1 … fc8. what says which of its tensors it is.
    """

    step: str
    what: str
    bytes: int

    @property
    def layer(self) -> str:
        """The convolution or fully connected layer it belongs to: conv1 for act1, norm1 and pool1, conv6 for act5b."""
        if self.step.endswith("5b"):
            return "conv6"
        digit = self.step[-1]
        return self.step if self.step.startswith(("conv", "fc")) else f"{'conv' if digit < '6' else 'fc'}{digit}"


@dataclass(frozen=True)
class Need:
    """Bytes that one device holds while training on a batch: `other` is what only the 2012 code keeps."""

    weights: int
    gradients: int
    velocity: int
    kept: int
    other: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.velocity + self.kept + self.other

    def parts(self) -> dict[str, int]:
        """The parts by name."""
        names = ("weights", "gradients", "velocity", "kept", "other")
        return {name: getattr(self, name) for name in names}


def learned(described: Description, gpu: int | None = None) -> dict[str, int]:
    """Weights and biases by layer: of the whole network, or of what GPU 0 or 1 holds of it (fc8 is all on GPU 0)."""
    _check_gpu(described, gpu)
    rows = described.layers
    if gpu is None:
        return {row.name: row.learned for row in rows}
    return {row.name: (row.learned * (gpu == 0) if row.name == "fc8" else row.learned // 2) for row in rows}


def kept_for_backward(described: Description, gpu: int | None = None) -> list[Kept]:
    """What the forward pass keeps for one image, every tensor once, by the step that first needs it.

    A convolution or fully connected layer keeps its input, a ReLU its output (the next layer's input, so it is there
    once), a response norm and a max pooling their input, the pooling also where each maximum was, dropout its mask.
    The loss, which keeps the logits' softmax, is not part of it. gpu: only what GPU 0 or 1 of two holds.
    SettingError: a nonlinearity or norm whose kept tensors are not known here, a gpu of a network without two columns.
    """
    _check_gpu(described, gpu)
    return list(_Walk(described, gpu).steps())


def need(described: Description, batch: int, gpu: int | None = None) -> Need:
    """What training on `batch` images needs in float32 with today's bookkeeping, on one device or on GPU 0 or 1."""
    weights = BYTES * sum(learned(described, gpu).values())
    kept = batch * sum(tensor.bytes for tensor in kept_for_backward(described, gpu))
    return Need(weights, weights, weights, kept)


def need_2012(described: Description, batch: int, gpu: int | None = None) -> Need:
    """What the 2012 code needs at least, by our reading of its layer.cu and layers-145.cfg, in float32.

    Each layer holds its outputs and their gradient on each GPU that works with them; a response norm its denominators
    too; a convolution its weights' gradient and sums of parts of it (`other`), while a fully connected layer adds its
    gradient straight into the velocity. ReLU and dropout are not counted: they may share their layer's memory.
    """
    counts, share = learned(described, gpu), 1 if gpu is None else 2
    weights, gradients, sums = sum(counts.values()), 0, 0
    held, before = 3 * described.config.input_size**2, 0  # the images have no gradient
    for row in described.rows:
        whole = row.name == "fc8"  # all of it on GPU 0
        if gpu is not None and row.exchanges and not (whole and gpu == 1):
            held += 2 * before // share  # the other GPU's maps or units, copied to this one
        outputs = row.outputs * (gpu != 1) if whole else row.outputs // share
        held += (3 if "norm" in row.kind else 2) * outputs
        if row.kind == "convolution":
            gradients += counts[row.name]
            inputs = 2 if row.exchanges else 1  # it takes the two columns' maps one after the other
            places = row.shape[1] ** 2 // PARTIAL_SUMS.get(row.name, 13)
            sums += places * row.weights // (share * inputs)
        before = row.outputs
    return Need(*(BYTES * n for n in (weights, gradients, weights, batch * held, sums)))


def measured_kept(net: nn.Module, images: torch.Tensor, gpu: int | None = None) -> dict[str, int]:
    """Bytes that autograd keeps for all the images after the forward pass, by step; each piece of memory once.

    net: an AlexNet, or a TwoGPUAlexNet, of which gpu 0 or 1 picks one column. Weights are not counted.
    """
    columns = list(getattr(net, "columns", [net]))
    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    now: tuple[int, str] = (0, "")
    alive: dict[int, torch.Tensor] = {}  # so that no address is used twice
    found: dict[str, int] = {}

    def enter(place: tuple[int, str]) -> None:
        nonlocal now
        now = place

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and storage.data_ptr() not in alive:
            alive[storage.data_ptr()] = tensor
            if gpu is None or now[0] == gpu:
                found[now[1]] = found.get(now[1], 0) + storage.nbytes()
        return tensor

    hooks = [
        step.register_forward_pre_hook(lambda *_, place=(index, name): enter(place))
        for index, column in enumerate(columns)
        for name, step in column.named_children()
    ]
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            net(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _check_gpu(described: Description, gpu: int | None) -> None:
    if gpu is not None and (gpu not in (0, 1) or described.config.columns != 2):
        raise SettingError(
            f"gpu={gpu} of a network of {described.config.columns} column(s): give 0 or 1 of a network of two columns, "
            "or None for all of it on one device"
        )


class _Walk:
    """Goes through the steps of a network, and remembers which tensor is between them and whether it is kept."""

    def __init__(self, described: Description, gpu: int | None):
        self.described, self.config, self.gpu = described, described.config, gpu
        self.numbers = self.config.input_size**2 * 3  # of the tensor between two steps, on this GPU
        self.there = False

    def steps(self) -> Iterator[Kept]:
        before, after = self.config.first_padding
        if before != after:  # the padded copy is what conv1 keeps
            self.numbers = 3 * (self.config.input_size + before + after) ** 2
        names = {row.name for row in self.described.rows}
        for name in (*self._convolutions(), "fc6", "fc7", "fc8"):
            if name in names:
                yield from self._weighted(name)
            if name.startswith("conv"):
                yield from self._block(name, name in names)

    def _convolutions(self) -> tuple[str, ...]:
        return ("conv1", "conv2", "conv3", "conv4", "conv5", *(("conv6",) if self.config.sixth else ()))

    def _share(self, numbers: int) -> int:
        return numbers if self.gpu is None else numbers // 2

    def _weighted(self, name: str) -> Iterator[Kept]:
        row, last = self.described[name], name == "fc8"
        if name.startswith("fc") and not last and self.config.dropout_first:
            yield from self._dropout(name[-1])
        if self.gpu is not None and row.exchanges:  # both columns' units in a new tensor
            self.numbers, self.there = 2 * self.numbers, False
        if not (last and self.gpu == 1):
            yield from self._keep(name, "input")
        self._pass(row.outputs)
        if name.startswith("fc") and not last:
            yield from self._activation(name[-1])
            if not self.config.dropout_first:
                yield from self._dropout(name[-1])

    def _block(self, name: str, there: bool) -> Iterator[Kept]:
        digit = "5b" if name == "conv6" else name[-1]  # act6 is fc6's
        steps = ("activation",) if name == "conv6" else self.config.blocks[int(digit) - 1]
        for step in steps:
            if step == "pool":
                yield from self._pooling(digit)
            elif there and step == "activation":
                yield from self._activation(digit)
            elif there and self.config.norm == "lrn":
                yield from self._norm(digit, spatial=step == "spatial norm")
            elif there and self.config.norm == "batch":
                raise SettingError("what batch normalisation keeps is not counted here; use norm='lrn' or 'none'")

    def _keep(self, step: str, what: str) -> Iterator[Kept]:
        if not self.there:
            self.there = True
            yield Kept(step, what, BYTES * self.numbers)

    def _pass(self, outputs: int) -> None:
        self.numbers, self.there = self._share(outputs), False

    def _activation(self, digit: str) -> Iterator[Kept]:
        if self.config.activation not in FROM_OUTPUT:
            raise SettingError(
                f"what {self.config.activation!r} keeps is not counted here; use {', '.join(FROM_OUTPUT)}"
            )
        self.there = False
        yield from self._keep(f"act{digit}", "output")

    def _norm(self, digit: str, spatial: bool) -> Iterator[Kept]:
        step = f"spatial_norm{digit}" if spatial else f"norm{digit}"
        yield from self._keep(step, "input")
        if spatial:
            yield Kept(step, "squares, roots, power", SPATIAL_NORM_KEEPS * BYTES * self.numbers)
        self.there = False

    def _pooling(self, digit: str) -> Iterator[Kept]:
        step = f"pool{digit}"
        yield from self._keep(step, "input")
        self._pass(self.described[step].outputs)
        if self.config.pooling_kind == "max":
            yield Kept(step, "places of the maxima", PLACE * self.numbers)

    def _dropout(self, digit: str) -> Iterator[Kept]:
        yield Kept(f"drop{digit}", "mask", BYTES * self.numbers)
        self.there = False
