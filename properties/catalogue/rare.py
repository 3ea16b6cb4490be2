"""Bugs that show only in some shapes or at some values: a condition on the inputs, and a mistake that waits for it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .case import Array, Case, Inputs
from .faults import at, last, wrong
from .right import functions

Condition = Callable[[Inputs], bool]
Change = Callable[[Array], Array]


def doubled(d: Array) -> Array:
    return 2 * d


def negated(d: Array) -> Array:
    return -d


def zeroed(d: Array) -> Array:
    return 0 * d


def transposed(d: Array) -> Array:
    return d.swapaxes(-1, -2).copy()


def off_by_1_percent(d: Array) -> Array:
    return 1.01 * d


def tail_zeroed(d: Array) -> Array:
    """The entries after the last whole group of eight are never written."""
    return (d.ravel() * (np.arange(d.size) < d.size // 8 * 8)).reshape(d.shape)


def last_doubled(d: Array) -> Array:
    return at(d, last(d), lambda e: 2 * e) if d.size else d


def tied(x: Array) -> bool:
    """Two equal entries in a row."""
    s = np.sort(x, -1)
    return bool(x.ndim and x.shape[-1] > 1 and (s[..., 1:] == s[..., :-1]).any())


def square(x: Array) -> bool:
    return x.ndim >= 2 and x.shape[-1] == x.shape[-2] > 1


def repeated(ids: Array) -> bool:
    return len(np.unique(ids)) < ids.size


CONDITIONS: dict[str, Condition] = {
    "batch_1": lambda a: len(a[0]) == 1,
    "batch_2_up": lambda a: len(a[0]) > 1,
    "batch_4": lambda a: len(a[0]) == 4,
    "square_x": lambda a: square(a[0]),
    "square_w": lambda a: square(a[1]),
    "tie": lambda a: tied(a[0]),
    "repeated": lambda a: repeated(a[1]),
    "index_0_twice": lambda a: int((a[1] == 0).sum()) > 1,
    "exact_zero": lambda a: bool((a[0] == 0).any()),
    "all_negative": lambda a: bool((a[0] < 0).all()),
    "all_positive": lambda a: bool((a[0] > 0).all()),
    "below_minus_2": lambda a: bool((a[0] < -2).any()),
    "saturated": lambda a: bool((np.abs(a[0]) > 5).any()),
    "sum_above_5": lambda a: float(a[0].sum()) > 5,
    "small": lambda a: float(np.abs(a[0]).max(initial=0)) < 0.2,
    "entries_17_up": lambda a: a[0].size > 16,
    "entries_33_up": lambda a: a[0].size > 32,
    "odd_features": lambda a: a[0].shape[-1] % 2 == 1 and a[0].shape[-1] > 2,
    "one_feature": lambda a: a[0].shape[-1] == 1,
    "branch_7_of_40": lambda a: bool(a[1][0] == 7),
    "branch_33_of_40": lambda a: bool(a[1][0] == 33),
    "constant_row": lambda a: bool((np.ptp(a[0], -1) == 0).any()) and a[0].shape[-1] > 1,
    "label_0_only": lambda a: bool((a[1] == 0).all()),
}

VAGUE = ("BRANCH", "BATCH", "OTHER")
WIDE: dict[str, tuple[int, int]] = {"n": (1, 4), "k": (1, 14)}  # up to 56 entries: past the tail of any vector unit

# host, condition, mistake, input, kind, and the sizes where the host's own do not meet the condition
TABLE: tuple[tuple[str, str, Change, int, str, dict[str, tuple[int, int]]], ...] = (
    ("dense", "batch_1", negated, 1, "BATCH", {}),
    ("dense", "batch_2_up", doubled, 2, "BATCH", {}),
    ("dense_tanh", "batch_4", zeroed, 0, "BATCH", {}),
    ("batch_norm", "batch_4", off_by_1_percent, 0, "BATCH", {}),
    ("attention", "batch_1", doubled, 2, "BATCH", {}),
    ("cross_entropy", "batch_1", doubled, 0, "BATCH", {}),
    ("layer_norm", "batch_1", zeroed, 1, "BATCH", {}),
    ("two_layers", "batch_2_up", off_by_1_percent, 1, "BATCH", {}),
    ("matmul", "square_w", transposed, 1, "TRANSPOSED", {}),
    ("matmul", "square_x", transposed, 0, "TRANSPOSED", {}),
    ("sum_of_squares", "square_x", transposed, 0, "TRANSPOSED", {}),
    ("outer_product", "exact_zero", doubled, 1, "BRANCH", {}),
    ("max_first", "tie", doubled, 0, "BRANCH", {}),
    ("sort", "tie", negated, 0, "BRANCH", {}),
    ("softmax", "tie", zeroed, 0, "BRANCH", {}),
    ("max_pool", "tie", doubled, 0, "BRANCH", {}),
    ("median", "tie", doubled, 0, "BRANCH", {}),
    ("logsumexp", "tie", off_by_1_percent, 0, "BRANCH", {}),
    ("variance", "constant_row", negated, 0, "BRANCH", {"n": (2, 4), "k": (2, 2)}),
    ("layer_norm", "constant_row", doubled, 2, "BRANCH", {"n": (2, 4), "k": (2, 2)}),
    ("embedding", "repeated", zeroed, 0, "REPEATED_INDEX", {"v": (4, 9), "n": (1, 3)}),
    ("embedding", "index_0_twice", doubled, 0, "REPEATED_INDEX", {}),
    ("scatter_add", "repeated", doubled, 1, "REPEATED_INDEX", {"v": (3, 8)}),
    ("gather_columns", "label_0_only", negated, 0, "BRANCH", {}),
    ("cross_entropy", "label_0_only", doubled, 0, "BRANCH", {}),
    ("product", "exact_zero", zeroed, 0, "BRANCH", {}),
    ("cumprod", "exact_zero", negated, 0, "BRANCH", {}),
    ("square_map", "exact_zero", doubled, 1, "BRANCH", {}),
    ("silu", "all_negative", negated, 0, "BRANCH", {"n": (1, 2), "k": (1, 3)}),
    ("sin", "all_positive", doubled, 0, "BRANCH", {"n": (1, 2), "k": (1, 2)}),
    ("softplus", "below_minus_2", doubled, 0, "BRANCH", {"n": (1, 2), "k": (1, 2)}),
    ("arctan", "saturated", doubled, 0, "BRANCH", {}),
    ("softsign", "saturated", negated, 0, "BRANCH", {}),
    ("logsumexp", "saturated", doubled, 0, "BRANCH", {}),
    ("norm_2", "sum_above_5", off_by_1_percent, 0, "BRANCH", {}),
    ("sigmoid", "small", doubled, 0, "BRANCH", {}),
    ("square", "entries_17_up", tail_zeroed, 0, "ZERO", WIDE),
    ("exp", "entries_33_up", tail_zeroed, 0, "ZERO", WIDE),
    ("softmax", "entries_17_up", last_doubled, 0, "BRANCH", WIDE),
    ("dense", "entries_33_up", negated, 1, "BRANCH", WIDE),
    ("layer_norm", "odd_features", off_by_1_percent, 0, "BRANCH", {"k": (2, 9)}),
    ("rms_norm", "odd_features", zeroed, 1, "BRANCH", {}),
    ("log_softmax", "one_feature", lambda d: d + 1.0, 0, "BRANCH", {}),
    ("dense_relu", "one_feature", doubled, 1, "BRANCH", {}),
    ("one_of_forty", "branch_7_of_40", negated, 0, "BRANCH", {}),
    ("one_of_forty", "branch_33_of_40", off_by_1_percent, 0, "BRANCH", {}),
)


def rare_cases() -> list[Case]:
    """One case a row of the table."""
    return [waiting(*row) for row in TABLE]


def waiting(host: str, condition: str, change: Change, i: int, kind: str, sizes: dict[str, tuple[int, int]]) -> Case:
    """The host, with a mistake in input i's gradient where the condition holds."""
    case = functions()[host]
    case = case.renamed(host, domain=replace(case.domain, sizes={**case.domain.sizes, **sizes}))
    name = change.__name__.replace("<lambda>", "plus_1") + f"_at_{condition}"
    holds = CONDITIONS[condition]

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = list(case.vjp(inputs, g))
        if holds(inputs):
            gradients[i] = change(gradients[i])
        return tuple(gradients)

    effect = {
        "doubled": "FACTOR",
        "negated": "SIGN",
        "zeroed": "ZERO",
        "transposed": "PERMUTED",
        "off_by_1_percent": "FACTOR",
    }
    also = (*VAGUE, effect.get(change.__name__, "ZERO"), "FACTOR", "APPROXIMATION", "NONLINEAR")
    index = (-1,) * functions()[host].domain.sample(0, {n: 2 for n in case.domain.letters()}, "generic")[i].ndim
    return wrong(case, name, kind, vjp, also=also, input=i, index=index if change is last_doubled else None)
