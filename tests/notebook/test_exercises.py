"""The exercise checker says what is wrong: the call, what came out, what was wanted, and the fitting hint."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alexnet_lib import notebook as nb


def relu(x):
    return max(0.0, x)


def said(capsys: pytest.CaptureFixture) -> str:
    return capsys.readouterr().out


def test_right_answers_are_right(capsys):
    assert nb.check(lambda x: x if x > 0 else 0.0, relu, [-1.0, 0.0, 2.5])
    assert said(capsys) == "Right: 3 of 3 cases agree.\n"


def test_first_mismatch_is_named_with_call_answer_and_wish(capsys):
    def leaky(x):
        return x

    assert not nb.check(leaky, relu, [3.0, -2.0, -5.0])
    assert said(capsys) == "Not yet: leaky(-2) gave -2; wanted 0.\n"


def test_hint_of_the_known_mistake_and_of_no_other(capsys):
    hints = [(abs, "that is |x|"), (lambda x: x, "you did nothing to negative inputs")]
    assert not nb.check(lambda x: x, relu, [1.0, -1.0], hints)
    assert said(capsys).endswith("Hint: you did nothing to negative inputs\n")
    assert not nb.check(lambda x: -7.0, relu, [1.0, -1.0], hints)
    assert "Hint" not in said(capsys)


def test_hint_on_a_condition(capsys):
    hints = [(nb.when(lambda got, wanted: got == -wanted), "the sign is the wrong way round")]
    assert not nb.check(lambda x: -relu(x), relu, [2.0], hints)
    assert "Hint: the sign is the wrong way round" in said(capsys)


def test_a_condition_that_does_not_fit_the_answer_gives_no_hint(capsys):
    hints = [(nb.when(lambda got, wanted: got.shape == (3,)), "a shape")]
    assert not nb.check(lambda x: 7.0, relu, [2.0], hints)
    assert said(capsys) == "Not yet: <lambda>(2) gave 7; wanted 2.\n"


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (lambda x: None, "gave None; wanted [0, 2]. Did you forget `return`?"),
        (lambda x: x.undefined, "raised AttributeError"),
        (lambda x: "two", "a str; wanted a tensor of shape (2,)"),
        (lambda x: x.relu()[:1], "gave shape (1,); wanted shape (2,)."),
        (lambda x: x.relu().numpy(), "gave an array of shape (2,); wanted a tensor."),
        (lambda x: x.abs(), "gave 1 at index 0; wanted 0 (1 of 2 values differ)."),
        (lambda x: x.relu() * float("nan"), "gave nan at index 0; wanted 0 (2 of 2 values differ)."),
        (lambda x: x.relu_(), "changed its own input (argument 1)"),
    ],
    ids=["none", "exception", "type", "shape", "numpy", "value", "nan", "in place"],
)
def test_wrong_kinds_of_answers(candidate, words, capsys):
    assert not nb.check(candidate, torch.relu, [torch.tensor([-1.0, 2.0])])
    assert words in said(capsys)


def test_numpy_tuples_and_several_arguments(capsys):
    def reference(a, b):
        return a + b, np.array([a, b])

    assert nb.check(lambda a, b: (b + a, np.array([a, b])), reference, [(1, 2), (0.5, -1.0)])
    assert not nb.check(lambda a, b: (a + b, np.array([b, a])), reference, [(1, 2)])
    assert "gave 2 at index 0; wanted 1 (2 of 2 values differ). (value 2 of 2)" in said(capsys)
    assert not nb.check(lambda a, b: a + b, reference, [(1, 2)])
    assert "wanted 2 values" in said(capsys)


def test_tolerance_is_relative_above_one_and_absolute_below(capsys):
    assert nb.check(lambda x: x + 5e-7, lambda x: x, [0.1])
    assert nb.check(lambda x: x + 0.5, lambda x: x, [1e6])
    assert not nb.check(lambda x: x + 2e-6, lambda x: x, [0.1])
    assert nb.check(lambda x: x + 2e-6, lambda x: x, [0.1], tol=1e-4)


def test_infinities_and_nan_equal_themselves(capsys):
    assert nb.check(lambda x: x, lambda x: x, [float("inf"), float("nan"), np.array([np.nan, -np.inf])])


def test_answers_that_are_texts(capsys):
    assert nb.check(str.upper, lambda t: t.upper(), ["relu"])
    assert not nb.check(str.lower, lambda t: t.upper(), ["relu"])
    assert "gave 'relu'; wanted 'RELU'." in said(capsys)


def test_verdict_counts_as_true_or_false_and_shows_nothing_of_its_own(capsys):
    verdict = nb.check(relu, relu, [1.0])
    assert verdict == True and verdict._ipython_display_() is None  # noqa: E712 - it is a number, not the constant
    assert said(capsys).count("\n") == 1
