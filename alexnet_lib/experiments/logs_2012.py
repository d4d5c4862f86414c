"""The paper's results, and what the author's own logs say of the networks behind them.

The logs are comments at the end of the files layers/layer-params-NET.cfg of the source that was released later. Errors
are shares, top-1 and top-5; by ten views where nothing else is said. Used by "Results and ablations" (section 6).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SettingError

TEST_2010, VALIDATION_2012 = "ILSVRC-2010 test", "ILSVRC-2012 validation"


@dataclass(frozen=True)
class Logged:
    """One network of the logs: its name there, what it is, the set its errors are of, and the errors."""

    net: str
    what: str
    images: str
    top1: float
    top5: float
    views: str = "ten views"


LOGS = (
    Logged("145-2010", "the paper's network", TEST_2010, 0.374727, 0.169987),
    Logged("145-2010, centre", "the paper's network", TEST_2010, 0.390247, 0.182953, "centre view"),
    Logged("145-half", "one column, conv5 as wide as two", TEST_2010, 0.391680, 0.182287),
    Logged("145", "the paper's network", VALIDATION_2012, 0.406640, 0.182100),
    Logged("145, longer", "the rate raised again, to pass 135", VALIDATION_2012, 0.402500, 0.179940),
    Logged("147", "pooling without overlap", VALIDATION_2012, 0.410580, 0.185100),
    Logged("148", "no normalisation layers", VALIDATION_2012, 0.420340, 0.193620),
    Logged("150", "columns that never communicate", VALIDATION_2012, 0.418280, 0.193300),
    Logged("167", "no normalisation over conv2", VALIDATION_2012, 0.404880, 0.181180),
    Logged("169", "a rate that falls evenly, to 0.00002", VALIDATION_2012, 0.405960, 0.181120),
    Logged("170", "the same, to 0.00004", VALIDATION_2012, 0.405280, 0.180480),
    Logged("170-quant", "as 170, half precision between GPUs", VALIDATION_2012, 0.405240, 0.184160),
    Logged("146-2012-2011", "a sixth convolution, trained on Fall 2011 first", VALIDATION_2012, 0.389900, 0.166220),
)
BY_NET = {one.net: one for one in LOGS}
# Alike in all that the paper describes but the last steps of the rate: how far chance alone moves them.
ALIKE = ("145", "169", "170", "170-quant")


@dataclass(frozen=True)
class Printed:
    """A row of the paper's Table 1 or 2, in per cent as printed, and the network of the logs it is, "" if none."""

    table: int
    what: str
    errors: str
    net: str = ""
    claim: str = ""


PRINTED = (
    Printed(1, "sparse coding", "47.1 / 28.2"),
    Printed(1, "SIFT with Fisher vectors", "45.7 / 25.7"),
    Printed(1, "one CNN", "37.5 / 17.0", "145-2010", "C22"),
    Printed(2, "SIFT with Fisher vectors", "- / - (test: 26.2)"),
    Printed(2, "one CNN", "40.7 / 18.2", "145", "C23"),
    Printed(2, "five CNNs", "38.1 / 16.4 (test: 16.4)", "", "C23"),
    Printed(2, "one CNN, sixth convolution", "39.0 / 16.6", "146-2012-2011", "C24"),
    Printed(2, "seven CNNs, two of them such", "36.7 / 15.4 (test: 15.3)", "", "C24"),
)


def change(net: str, base: str) -> float:
    """How much higher the top-1 error of a network of the logs is than that of another on the same set."""
    if BY_NET[net].images != BY_NET[base].images:
        raise SettingError(f"{net} and {base} were measured on different images")
    return BY_NET[net].top1 - BY_NET[base].top1


# What the logs give for questions of the study `evidence`: how much lower the top-1 error is with what is asked about.
LOGGED_EFFECTS = {
    "halves": change("145-half", "145-2010"),
    "lrn": change("148", "145"),
    "pooling": change("147", "145"),
    "meet": change("150", "145"),
    "views": change("145-2010, centre", "145-2010"),
}
