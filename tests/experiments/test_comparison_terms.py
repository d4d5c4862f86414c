"""What the terms of a comparison do to the images: crops, reflections, scales, noise; and records made before them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
import torch
from small_sets import separable
from torch import nn

from alexnet_lib import ROOT, records
from alexnet_lib.augment import PixelScale, centre
from alexnet_lib.data.image_set import ImageSet
from alexnet_lib.errors import SettingError
from alexnet_lib.experiments import live, lrn_cifar10, pooling_cifar10
from alexnet_lib.experiments.running import pixels
from alexnet_lib.experiments.running.comparison import Terms, Variant, settings_of, trained, training_images
from alexnet_lib.experiments.running.comparison_runs import Change, Part
from alexnet_lib.training.fit import make_batches

pytestmark = pytest.mark.usefixtures("one_thread")
RECORDED = ROOT / "data" / "recorded"
SIDE = 24


class Recorder(nn.Module):
    """A linear net that keeps what it was trained on."""

    def __init__(self, config: Plain):
        super().__init__()
        self.config, self.seen = config, []
        self.linear = nn.Linear(3 * config.image_size**2, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen.append(images.detach().clone())
        return self.linear(images.flatten(1))


@dataclass(frozen=True)
class Plain:
    image_size: int = SIDE

    def build(self, seed: int | None = None) -> Recorder:
        torch.manual_seed(seed)
        return Recorder(self)


@pytest.fixture
def images() -> ImageSet:
    pixels, labels = separable(256, classes=10, size=32)
    return ImageSet(pixels, labels, tuple("abcdefghij"), "made", "train", "made", "sha256:0")


def batches(images: ImageSet, terms: Terms) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One pass's batches, and for each image the centre of the whole one that it was made of, found by its label."""
    cut = training_images(images, terms, SIDE)
    settings = settings_of(terms, Plain(), rate=0.01, passes=1)
    return [batch for batch, _ in make_batches(cut.images, cut.labels, settings, 0, 0)]


def windows(images: ImageSet, padding: int = 0) -> set[bytes]:
    padded = nn.functional.pad(images.images, (padding,) * 4)
    cut = padded.unfold(2, SIDE, 1).unfold(3, SIDE, 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    return {bytes(window.numpy().tobytes()) for window in cut}


def as_bytes(batch: torch.Tensor) -> list[bytes]:
    return [image.contiguous().numpy().tobytes() for image in batch]


def test_crops_without_reflections_are_windows_of_the_images(images: ImageSet) -> None:
    few = replace(images, images=images.images[:128], labels=images.labels[:128])
    there, centres = windows(few), set(as_bytes(centre(few.images, SIDE, SIDE)))
    (batch,) = batches(few, Terms(augmented="crops"))
    cut = as_bytes(batch)
    assert all(image in there for image in cut) and sum(image in centres for image in cut) < 20


def test_reflections_without_crops_are_centres_or_their_mirror_images(images: ImageSet) -> None:
    centres = centre(images.images, SIDE, SIDE)
    plain, mirrored = set(as_bytes(centres)), set(as_bytes(centres.flip(3)))
    cut = [image for batch in batches(images, Terms(augmented="reflections", padding=4)) for image in as_bytes(batch)]
    assert all(image in plain or image in mirrored for image in cut)
    assert 80 < sum(image in plain for image in cut) < 176  # of 256, half but for chance


def test_without_either_images_are_their_centres(images: ImageSet) -> None:
    centres = set(as_bytes(centre(images.images, SIDE, SIDE)))
    assert all(image in centres for batch in batches(images, Terms(augmented=False)) for image in as_bytes(batch))


def test_padding_makes_windows_that_hang_over(images: ImageSet) -> None:
    few = replace(images, images=images.images[:128], labels=images.labels[:128])
    (batch,) = batches(few, Terms(augmented="crops", padding=4))
    inside, hanging = windows(few), windows(few, padding=4)
    cut = as_bytes(batch)
    assert all(image in hanging for image in cut) and sum(image in inside for image in cut) < 100


def test_scales_and_noises_are_known_by_name_and_noise_is_for_training_only(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Louder:
        scale: PixelScale
        seed: int

        def to(self, device: torch.device) -> Louder:
            return self

        def __call__(self, batch: torch.Tensor) -> torch.Tensor:
            return self.scale(batch) + 1000 * (1 + self.seed)

    monkeypatch.setitem(pixels.SCALES, "no mean", lambda images: PixelScale(torch.zeros(3, 32, 32)))
    monkeypatch.setitem(pixels.NOISES, "louder", lambda scale, images, seed: Louder(scale, seed))
    nets = []
    monkeypatch.setattr(Plain, "build", lambda self, seed: nets.append(Recorder(self)) or nets[-1])
    judged = []
    monkeypatch.setattr(
        "alexnet_lib.experiments.running.comparison.error_rate",
        lambda net, some, labels, scale, device: judged.append(scale(some)) or 0.5,
    )
    terms = Terms(stages=(1,), rates=(1e-9,), augmented=False, pixels="no mean", noise="louder")
    (trial,) = Variant("a", 1, "a", Plain(), terms).due()
    trained(trial, images, images, "test_error", "cpu", [None])
    centres = {image.sum().item() for image in centre(images.images, SIDE, SIDE).float()}
    seen = torch.cat(nets[0].seen) - 1000
    assert {image.sum().item() for image in seen} <= centres
    assert {image.sum().item() for image in judged[0]} == centres

    with pytest.raises(SettingError, match="pixels 'grey' is not known; use one of mean image"):
        pixels.fitted_scale("grey", images.images)
    with pytest.raises(SettingError, match="noise 'loud' is not known; use one of none"):
        pixels.with_noise("loud", PixelScale(torch.zeros(3, 32, 32)), images.images, 0)
    with pytest.raises(SettingError, match="augmented 'both'"):
        Terms(augmented="both")


def test_a_variant_may_change_terms_of_its_part() -> None:
    part = Part("p", Terms(), {"a": Plain(), "b": Change(Plain(), {"decay": 0.0, "noise": "none"})}, seeds=1)
    a, b = part.entries()
    assert (a.terms, b.terms, b.net) == (Terms(), replace(Terms(), decay=0.0), Plain())
    assert [entry.run for entry in (a, b)] == ["p_a", "p_b"]


def test_later_terms_are_in_a_configuration_only_where_they_are_not_as_ever() -> None:
    as_ever, other = (Variant("a", 1, "a", Plain(), Terms(pixels=name)) for name in ("mean image", "grey"))
    assert set(as_ever.configuration()["terms"]) == {"images", "augmented", "stages", "rates", "pilot", "decay"}
    assert other.configuration()["terms"]["pixels"] == "grey"


@pytest.mark.parametrize("module", [lrn_cifar10, pooling_cifar10])
def test_records_are_those_of_todays_plan(module) -> None:  # noqa: ANN001
    """What is recorded can be gone on with: its configuration is what the plan, or an earlier one, has for it."""
    plan = module.EXPERIMENT
    entries = {entry.run: entry for part in (*plan.on_cpu, *plan.on_gpu, module.SHORT) for entry in part.entries()}
    for path in sorted((RECORDED / module.NAME).glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        wanted = records.rounded(entries[record["run"]].configuration())
        assert {key: record["configuration"][key] for key in wanted} == wanted, path.name


def test_a_live_comparison_takes_terms_of_its_own(images: ImageSet) -> None:
    nets = {"a": Plain(), "b": Plain()}
    runs = live.live_comparison(
        images, images, nets, rates=1e-9, passes=1, terms={"b": Terms(augmented=False)}
    )
    centres = centre(images.images, SIDE, SIDE).float() - centre(PixelScale.fit(images.images).mean, SIDE, SIDE)
    sums = sorted(centres.flatten(1).sum(1).tolist())
    seen = {name: sorted(torch.cat(run.net.seen).flatten(1).sum(1).tolist()) for name, (run,) in runs.items()}
    assert seen["b"] == pytest.approx(sums, abs=0.5) and seen["a"] != pytest.approx(sums, abs=0.5)
