"""The paper's split in training: two processes with a column each are one network, in its log, files and resumption."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_cases import losses, start, train, words

from alexnet_lib.__main__ import main
from alexnet_lib.training.run_folder import read_log

pytestmark = pytest.mark.usefixtures("one_thread")
KEYS = ("loss", "error", "train_loss", "train_error", "val_top1", "val_top5", "val_ten_top1", "rate")
# Two columns of 5 kernels: windows of LRN, dropout's masks and the exchange before conv3, fc6 to fc8 all take part.
OF_RUN = ("--passes", "3", "--set", "schedule=by hand", "--set", "drops=1,2", "--set", "groups=code2012")


@pytest.fixture(scope="module")
def alone(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run in one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    assert main(words(prepared, out, *OF_RUN, "--keep-every", "1")) == 0
    return out


def same_run(one: Path, other: Path) -> None:
    """The logs and the weights, as closely as sums in another order allow."""
    a, b = read_log(one), read_log(other)
    assert len(losses(a)) == 12
    for x, y in zip(a, b, strict=True):
        for key in KEYS:
            assert (key in x) == (key in y)
            assert x.get(key, 0) == pytest.approx(y.get(key, 0), rel=1e-5), (key, x, y)
    for name in ("best", "pass-003"):
        x, y = (load_file(folder / f"{name}.safetensors") for folder in (one, other))
        assert x.keys() == y.keys()
        assert all(torch.allclose(x[key], y[key], rtol=1e-4, atol=1e-6) for key in x)


def test_two_columns_train_as_one_network(prepared: Path, alone: Path, tmp_path: Path) -> None:
    said = train(2, words(prepared, tmp_path / "run", *OF_RUN, "--keep-every", "1", "--columns-apart"))
    assert "one column in each of 2 processes" in said
    same_run(alone, tmp_path / "run")


@pytest.mark.parametrize("first", ["columns", "one"])
def test_either_goes_on_with_what_the_other_began(prepared: Path, alone: Path, tmp_path: Path, first: str) -> None:
    """Momentum, lowered rates and the sums of the log pass from two processes to one, and back."""
    out = tmp_path / "run"
    command = words(prepared, out, *OF_RUN, "--keep-every", "1", "--save-every", "3")

    def one() -> str:
        assert main(command) == 0
        return ""

    def columns() -> str:
        return train(2, [*command, "--columns-apart"])

    begins, goes_on = (columns, one) if first == "columns" else (one, columns)
    begins()
    saved = sorted((out / "checkpoints").glob("step-*.pt"))
    assert [path.name for path in saved] == ["step-000000009.pt", "step-000000012.pt"]
    saved[-1].unlink()  # as if killed in the third pass
    (out / "pass-003.safetensors").unlink()
    said = goes_on()
    assert first == "columns" or "going on from step 9" in said
    same_run(alone, out)


def test_a_loss_that_is_not_a_number_ends_both(prepared: Path, tmp_path: Path) -> None:
    running = start(2, words(prepared, tmp_path / "run", "--columns-apart", "--rate", "1e9", "--timeout", "60"))
    said, _ = running.communicate(timeout=120)
    assert running.returncode and "the loss is not a finite number" in said and "stopped answering" not in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "start torchrun --nproc-per-node 2"),
        (("--set", "net.columns=1"), "columns=1; two devices need"),
        (("--compile",), "--compile does not reach across"),
        (("--recipe", "caffe", "--passes", "90"), "normalises across both"),
    ],
)
def test_columns_that_cannot_be(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: tuple[str, ...], said: str
) -> None:
    assert main(words(prepared, tmp_path / "run", "--columns-apart", *more)) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_three_processes_are_not_two_columns(prepared: Path, tmp_path: Path) -> None:
    running = start(3, words(prepared, tmp_path / "run", "--columns-apart"))
    said, _ = running.communicate(timeout=120)
    assert running.returncode and "start torchrun --nproc-per-node 2" in said
