"""The checker of the exercises: runs a reader's function beside the reference and says what is wrong, in words."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch


class when:  # noqa: N801 - reads as a word at the call
    """A hint's condition on one answer: `when(lambda got, wanted: got == -wanted)`."""

    def __init__(self, condition: Callable[[Any, Any], bool]):
        self.condition = condition


class Verdict(int):
    """True or False as a number that a notebook does not show, for `check` has already said it in words."""

    def _ipython_display_(self) -> None:
        """Nothing to show."""


def check(
    candidate: Callable,
    reference: Callable,
    cases: Iterable[Any],
    hints: Sequence[tuple[Callable | when, str]] = (),
    tol: float = 1e-6,
) -> Verdict:
    """Compare a reader's function with the reference on every case; print what is wrong with the first that differs.

    cases: a tuple is the arguments of one call, anything else the only argument. Answers may be numbers, numpy
    arrays, tensors, texts, or tuples of them; numbers agree within tol * max(1, |wanted|).
    hints: (wrong_function, text): printed if the reader's answers are those of this known mistake; or
    (when(condition), text): printed if condition(got, wanted) holds for the answer that differs.
    Returns a Verdict, true if all cases agree.

    >>> nb.check(my_relu, torch.relu, [torch.tensor([-1.0, 2.0])], hints=[(torch.abs, "that is |x|")])
    """
    calls = [case if isinstance(case, tuple) else (case,) for case in cases]
    name = getattr(candidate, "__name__", "your function")
    answers = []
    for args in calls:
        wanted = reference(*copy.deepcopy(args))
        given = copy.deepcopy(args)
        try:
            got = candidate(*given)
        except Exception as error:  # whatever the reader's code raises is the answer
            return _say(f"{_call(name, args)} raised {type(error).__name__}: {error}", f"wanted {_show(wanted)}")
        problem = _difference(got, wanted, tol) or _changed(given, args)
        if problem:
            return _say(f"{_call(name, args)} {problem}", _hint(hints, calls, candidate, got, wanted, tol))
        answers.append(got)
    print(f"Right: {len(calls)} of {len(calls)} cases agree.")
    return Verdict(True)


def _difference(got: Any, wanted: Any, tol: float) -> str:
    """What is wrong with `got`, as the end of the sentence "f(x) …"; empty where nothing is."""
    if got is None and wanted is not None:
        return f"gave None; wanted {_show(wanted)}. Did you forget `return`?"
    if isinstance(wanted, (tuple, list)):
        if not isinstance(got, (tuple, list)) or len(got) != len(wanted):
            return f"gave {_show(got)}; wanted {len(wanted)} values: {_show(wanted)}."
        parts = (_difference(g, w, tol) for g, w in zip(got, wanted, strict=True))
        return next((f"{part} (value {i + 1} of {len(wanted)})" for i, part in enumerate(parts) if part), "")
    if not _is_number(wanted):
        return "" if type(got) is type(wanted) and got == wanted else f"gave {_show(got)}; wanted {_show(wanted)}."
    if not _is_number(got):
        return f"gave {_show(got)}, a {type(got).__name__}; wanted {_kind(wanted)}: {_show(wanted)}."
    if isinstance(wanted, torch.Tensor) and not isinstance(got, torch.Tensor):
        return f"gave {_kind(got)}; wanted a tensor."
    g, w = _array(got), _array(wanted)
    if g.shape != w.shape:
        return f"gave shape {g.shape}; wanted shape {w.shape}."
    return _unequal(g, w, tol)


def _unequal(g: np.ndarray, w: np.ndarray, tol: float) -> str:
    with np.errstate(invalid="ignore"):
        same = (np.abs(g - w) <= tol * np.maximum(1, np.abs(w))) | (g == w) | (np.isnan(g) & np.isnan(w))
    if same.all():
        return ""
    if g.ndim == 0:
        return f"gave {_show(g[()])}; wanted {_show(w[()])}."
    where = tuple(int(i) for i in np.argwhere(~same)[0])
    place = where[0] if len(where) == 1 else where
    count = f"{int((~same).sum())} of {same.size} values differ"
    return f"gave {_show(g[where])} at index {place}; wanted {_show(w[where])} ({count})."


def _hint(hints, calls, candidate, got, wanted, tol) -> str:
    for mistake, text in hints:
        if isinstance(mistake, when):
            fits = _holds(mistake.condition, got, wanted)
        else:
            fits = _same_answers(candidate, mistake, calls, tol)
        if fits:
            return f"Hint: {text}"
    return ""


def _holds(condition: Callable[[Any, Any], bool], got: Any, wanted: Any) -> bool:
    try:
        return bool(condition(got, wanted))
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError):
        return False  # the condition was not made for an answer of this kind


def _same_answers(candidate: Callable, mistake: Callable, calls: list[tuple], tol: float) -> bool:
    try:
        return all(
            not _difference(candidate(*copy.deepcopy(args)), mistake(*copy.deepcopy(args)), tol) for args in calls
        )
    except Exception:  # the reader's function fails on a later case: then it is another mistake
        return False


def _changed(given: tuple, args: tuple) -> str:
    for i, (now, before) in enumerate(zip(given, args, strict=True)):
        if _is_number(before) and _difference(now, before, 0.0):
            return f"changed its own input (argument {i + 1}); make a new value instead."
    return ""


def _say(*lines: str) -> Verdict:
    print("\n".join(["Not yet: " + lines[0], *(line for line in lines[1:] if line)]))
    return Verdict(False)


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, np.ndarray, np.number, np.bool_, torch.Tensor))


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return np.asarray(value, dtype=np.float64)


def _kind(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else "a number"


def _show(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(_show(v) for v in value) + ")"
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, (torch.Tensor, np.ndarray)):
        if value.ndim == 0:
            return f"{value.item():.6g}"
        flat = [_show(v) for v in _array(value).ravel()[:6]]
        return "[" + ", ".join(flat) + (", …" if _array(value).size > 6 else "") + "]"
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else text[:57] + "…"


def _call(name: str, args: tuple) -> str:
    return f"{name}({', '.join(_show(arg) for arg in args)})"
