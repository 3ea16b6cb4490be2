"""Conditions: what sets the wrong entries apart: a zero claim, the sign of the input, a repeated index, a batch."""

from collections.abc import Iterator

import numpy as np

from gradcheck.judge.bench import Bench
from gradcheck.judge.factors import ratio
from gradcheck.judge.reals import as_real
from gradcheck.judge.survey import Guess, Survey
from gradcheck.report import Kind


def missing(s: Survey) -> Iterator[Guess]:
    """Nothing arrives where something should."""
    missing = s.wrong.any() and not s.claimed[s.wrong].any()
    if missing and (s.wrong.all() or s.wrong.sum() == np.count_nonzero(np.abs(s.numeric) > s.bound)):
        yield Guess(Kind.ZERO, f"{s.count()} are zero where the finite difference is not")


def partly_missing(s: Survey) -> Iterator[Guess]:
    """Some entries are missing, and nothing says why those."""
    if s.wrong.any() and not s.claimed[s.wrong].any():
        yield Guess(Kind.ZERO, f"{s.count()} are zero where the finite difference is not")


def branch(s: Survey) -> Iterator[Guess]:
    """The wrong entries are just those on one side of a condition on the input itself."""
    x = as_real(s.primal).astype(float)[s.entries]
    wrong = s.wrong
    if wrong.all() or not wrong.any():
        return
    sizes = np.maximum(np.abs(s.numeric), np.abs(s.claimed))
    share = float(np.median(np.abs(s.claimed - s.numeric)[wrong] / sizes[wrong]))
    relevant = wrong | (share * sizes > 3 * s.bound)  # a right entry counts where the same mistake would have shown
    counts = dict(zip(*np.unique(as_real(s.primal), return_counts=True), strict=True))
    tied = np.array([counts.get(value, 1) > 1 for value in x])
    conditions = {
        "negative": x < 0,
        "positive": x > 0,
        "exactly zero": x == 0,
        "tied with another": tied,
    }
    for words, side in conditions.items():
        side = side & relevant
        if np.array_equal(wrong, side) and (~side & relevant).any():
            yield Guess(Kind.BRANCH, f"the wrong entries ({s.share()}) are just those that are {words}")
            return
    right = ~wrong & relevant
    errors = np.abs(s.claimed - s.numeric)[wrong] / sizes[wrong]
    if errors.min() < 0.05 * np.median(errors):
        return  # a branch jumps; this error grows from nothing
    if right.any():
        for words, values in (
            ("above", x),
            ("below", -x),
            ("in absolute value above", np.abs(x)),
            ("in absolute value below", -np.abs(x)),
        ):
            if (
                right.any()
                and values[wrong].min() > values[right].max()
                and wrong.sum() + right.sum() >= 5
                and wrong.sum() > 1
            ):
                edge = abs(float(values[wrong].min()))
                yield Guess(Kind.BRANCH, f"the wrong entries ({s.share()}) are just those {words} {edge:.3g}")
                return


def repeated(s: Survey) -> Iterator[Guess]:
    """The wrong rows are those that an integer input names more than once."""
    if not s.primal.ndim or (s.wrong.all() and s.primal.shape[0] > 1 and s.wrong.size == 1):
        return
    width = s.primal.size // max(s.primal.shape[0], 1) * (2 if s.primal.dtype.kind == "c" else 1)
    rows = set((s.entries[s.wrong] // max(width, 1)).tolist())
    for other in s.hearing.bench.primals:
        if other.dtype.kind not in "iu" or not other.size:
            continue
        values, counts = np.unique(other % max(s.primal.shape[0], 1), return_counts=True)
        repeats = {int(v) for v in values[counts > 1]}
        right = s.entries[~s.wrong & (np.abs(s.numeric) > s.bound)] // max(width, 1)
        compared = not set(right.tolist()) <= repeats  # something named once, and right
        if rows and rows <= repeats and (compared or ratio(s) is None):
            named = sorted(rows)[:6]
            yield Guess(Kind.REPEATED_INDEX, f"the wrong rows {named} are all named more than once by an index")
            return


def batch(s: Survey) -> Iterator[Guess]:
    """The same backward is right for one example alone: the one that is most wrong, where it is an example's."""
    bench = s.hearing.bench
    if len(bench.models) != 1 or not bench.models[0].ndim or bench.models[0].shape[0] < 2:
        return
    n = bench.models[0].shape[0]
    if not any(p.ndim and p.shape[0] == n for p in bench.primals):
        return
    worst = int(s.entries[int(np.argmax(np.abs(s.claimed - s.numeric)))]) // (2 if s.primal.dtype.kind == "c" else 1)
    row = worst * n // s.primal.size if s.primal.ndim and s.primal.shape[0] == n else 0
    single = [p[row : row + 1] if p.ndim and p.shape[0] == n else p for p in bench.primals]
    spare = 60 if bench.budget is None else min(60, bench.budget - bench.evaluations)
    if spare < 1:
        return
    alone = Bench(bench.target, single, budget=spare)
    right = s.hearing.right_at(alone)
    bench.evaluations += alone.evaluations
    bench.pullbacks += alone.pullbacks
    if right:
        yield Guess(Kind.BATCH, f"with one of the {n} examples alone the gradient is right")
