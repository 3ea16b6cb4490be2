"""Hypotheses: what a wrong gradient may look like, each tried on a survey by itself.

A hypothesis yields a Guess, with its evidence in words, where claim and finite difference fit it; `guesses` tries them
in the order in which they are believed.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import permutations
from typing import NamedTuple

import numpy as np

from gradcheck.floats import differentiable, eps_of
from gradcheck.judge.bench import BackwardError, Bench, as_real
from gradcheck.judge.hearing import ask_output
from gradcheck.judge.survey import Survey
from gradcheck.report import Kind, place


class Guess(NamedTuple):
    """One diagnosis that fits, with its evidence in words."""

    kind: Kind
    evidence: str
    factor: float | None = None


def guesses(s: Survey) -> Iterator[Guess]:
    """Every diagnosis that fits, best first; OTHER at the end, so that there is always one."""
    hypotheses: list[Callable[[Survey], Iterator[Guess]]] = [
        _representable,
        _missing,
        _repeated,
        _moved,
        _term,
        _branch,
        _diagonal,
        _axes,
        _partly_missing,
        _scaled,
        _rounded,
        _batch,
        _close,
    ]
    ratio = _ratio(s)
    everywhere = s.wrong.all() and s.wrong.size > 1
    if ratio is not None and (everywhere or (s.wrong.size < 4 and _is_plain(s, ratio))):
        hypotheses.remove(_scaled)  # one factor explains everything, or there is too little to see more in
        hypotheses.insert(1, _scaled)
    seen: set[Kind] = set()
    for hypothesis in hypotheses:
        if hypothesis is _batch and seen:
            continue  # a check of its own, and dear: only where nothing simpler fits
        with suppress(BackwardError):
            for guess in hypothesis(s):
                if guess.kind not in seen:  # the second time it is the same mistake in other words
                    seen.add(guess.kind)
                    yield guess
    if not seen:
        wrong = int(s.wrong.sum())
        yield Guess(Kind.OTHER, f"{wrong} of {s.wrong.size} entries looked at are wrong, in no pattern known here")


def _missing(s: Survey) -> Iterator[Guess]:
    """Nothing arrives where something should."""
    missing = s.wrong.any() and not s.claimed[s.wrong].any()
    if missing and (s.wrong.all() or s.wrong.sum() == np.count_nonzero(np.abs(s.numeric) > s.bound)):
        yield Guess(Kind.ZERO, f"{_count(s)} are zero where the finite difference is not")


def _partly_missing(s: Survey) -> Iterator[Guess]:
    """Some entries are missing, and nothing says why those."""
    if s.wrong.any() and not s.claimed[s.wrong].any():
        yield Guess(Kind.ZERO, f"{_count(s)} are zero where the finite difference is not")


def _branch(s: Survey) -> Iterator[Guess]:
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
            yield Guess(Kind.BRANCH, f"the wrong entries ({_share(s)}) are just those that are {words}")
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
                yield Guess(Kind.BRANCH, f"the wrong entries ({_share(s)}) are just those {words} {edge:.3g}")
                return


def _repeated(s: Survey) -> Iterator[Guess]:
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
        if rows and rows <= repeats and (compared or _ratio(s) is None):
            named = sorted(rows)[:6]
            yield Guess(Kind.REPEATED_INDEX, f"the wrong rows {named} are all named more than once by an index")
            return


def _ratio(s: Survey) -> float | None:
    """The one factor by which every wrong entry is off, if there is one."""
    wrong = s.wrong & (np.abs(s.numeric) > 4 * s.bound)
    if wrong.sum() < min(2, s.wrong.sum()) or not wrong.any():  # of several entries one alone shows no common factor
        return None
    factor = float(s.claimed[wrong] @ s.numeric[wrong] / (s.numeric[wrong] @ s.numeric[wrong]))
    spread = float(np.max(np.abs(s.claimed[wrong] - factor * s.numeric[wrong]) - 2 * s.bound[wrong]))
    size = float(np.max(np.abs(s.numeric[wrong])))
    return factor if factor and spread <= 0.02 * abs(factor - 1) * size else None


def _is_plain(s: Survey, factor: float) -> bool:
    """−1, 2, ½ or a size of the arrays: factors that people make mistakes by."""
    sizes = {float(n) for p in (*s.hearing.bench.primals, *s.hearing.bench.models) for n in p.shape if n > 1}
    plain = {-1.0, 2.0, 0.5, 4.0, 0.25, 3.0, *sizes, *(1 / n for n in sizes)}
    return any(abs(factor / value - 1) < 1e-3 for value in plain)


def _scaled(s: Survey) -> Iterator[Guess]:
    """The claim is a multiple of the right gradient."""
    factor = _ratio(s)
    if factor is None:
        return
    if abs(factor + 1) < 0.02:
        yield Guess(Kind.SIGN, f"{_count(s)} have the opposite sign", -1.0)
        return
    yield Guess(Kind.FACTOR, f"{_count(s)} off by the factor {spelled(factor)}{_named_factor(s, factor)}", factor)


def _named_factor(s: Survey, factor: float) -> str:
    sizes = {n for p in (*s.hearing.bench.primals, *s.hearing.bench.models) for n in p.shape if n > 1}
    for n in sorted(sizes):
        for value, name in ((n, f"{n}"), (1 / n, f"1/{n}")):
            if n > 2 and abs(factor / value - 1) < 1e-3:
                return f" = {name}, a size of the arrays (a mean taken twice, or never?)"
    if abs(factor - 2) < 1e-3:
        return " (accumulated twice?)"
    return ""


def _moved(s: Survey) -> Iterator[Guess]:
    """The right values stand in the wrong places."""
    if not s.whole or s.wrong.size < 2:
        return
    shape, numeric = s.primal.shape, s.numeric
    if s.primal.dtype.kind != "c" and len(shape) > 1:
        grid = numeric.reshape(shape)
        for axes in permutations(range(len(shape))):
            turned = grid.transpose(axes)
            if axes != tuple(range(len(shape))) and turned.shape == shape and s.matches(turned.reshape(-1)):
                yield Guess(Kind.TRANSPOSED, f"backward is the right gradient with its axes in the order {axes}")
                break
            if axes != tuple(range(len(shape))) and s.matches(turned.reshape(-1)):
                yield Guess(Kind.TRANSPOSED, "backward is the right gradient transposed and reshaped")
                break
    if _ratio(s) is not None:
        return  # −1 turns a symmetric set of values into itself, and is the simpler reason
    order = np.argsort(numeric)
    expected = np.empty_like(numeric)
    expected[np.argsort(s.claimed)] = numeric[order]
    if s.matches(expected):
        yield Guess(Kind.PERMUTED, f"backward has the right values in another order ({_share(s)} misplaced)")


def _diagonal(s: Survey) -> Iterator[Guess]:
    """Each output is connected to its own input only, where the numeric Jacobian couples them."""
    if not s.whole or s.jacobian.shape[0] != s.jacobian.shape[1] or s.jacobian.shape[0] < 2:
        return
    diagonal = np.diag(s.jacobian)
    if s.matches(s.cotangent * diagonal):
        yield Guess(
            Kind.DIAGONAL_ONLY,
            "backward is the cotangent times the diagonal of the Jacobian, whose other entries are not zero",
        )
        return
    off = s.jacobian - np.diag(diagonal)
    if not off.any():
        return
    row = ask_output(s.hearing, 0)[s.b]
    if row[0] and not row[1:].any() and off[0].any():
        yield Guess(
            Kind.DIAGONAL_ONLY,
            "backward has output 0 depend on entry 0 only, the finite difference sees the others too",
        )


def _axes(s: Survey) -> Iterator[Guess]:
    """A sum over a broadcast axis was left out, or taken along another axis."""
    models = [m for m in s.hearing.bench.models if differentiable(m)]
    if len(models) != 1 or not s.whole or models[0].dtype.kind == "c":
        return
    shape = models[0].shape
    v = s.cotangent.reshape(shape)
    for axis, n in enumerate(shape):
        if n < 2 or not np.any(np.count_nonzero(s.jacobian.reshape(*shape, -1), axis=axis) > 1):
            continue  # no entry has more than one output along this axis: there is nothing to sum
        for row in (0, n - 1):
            masked = np.zeros_like(v)
            where = (slice(None),) * axis + (row,)
            masked[where] = v[where]
            if s.matches(masked.reshape(-1) @ s.jacobian):
                yield Guess(
                    Kind.NOT_SUMMED,
                    f"backward is what entry {row} of output axis {axis} contributes; the rest is not summed",
                )
                return
        mean = s.numeric / n
        if s.matches(mean):
            yield Guess(Kind.NOT_SUMMED, f"backward is the mean, not the sum, over output axis {axis}")
            return
    if v.ndim > 1 and s.matches(v.reshape(-1)[::-1] @ s.jacobian):
        yield Guess(Kind.PERMUTED, "backward is right for a cotangent in reversed order")
        return
    for axis, n in enumerate(shape):
        for words, turned in (
            ("reversed", np.flip(v, axis)),
            ("shifted", np.roll(v, 1, axis)),
            ("shifted", np.roll(v, -1, axis)),
        ):
            if n > 1 and s.matches(turned.reshape(-1) @ s.jacobian):
                yield Guess(Kind.PERMUTED, f"backward is right for a cotangent {words} along axis {axis}")
                return
    for axes in permutations(range(len(shape))):
        fits = axes != tuple(range(len(shape))) and v.transpose(axes).shape == shape
        if fits and s.matches(v.transpose(axes).reshape(-1) @ s.jacobian):
            yield Guess(Kind.WRONG_AXIS, f"backward is right for a cotangent with its axes in the order {axes}")
            return


def _term(s: Survey) -> Iterator[Guess]:
    """The difference is a multiple of an input, or the same everywhere: a penalty, a mean that was not taken off."""
    difference = s.claimed - s.numeric
    if difference.size < 2:
        return
    loose = 0.02 * float(np.max(np.abs(difference)))
    if loose < 0.1 * float(np.max(s.bound)):
        return
    candidates = [
        (place(s.hearing.bench.target.label(i)), p)
        for i, p in enumerate(s.hearing.bench.primals)
        if p.shape == s.primal.shape
    ]
    for name, primal in candidates:
        if primal.dtype.kind not in "f" or s.primal.dtype.kind != "f":
            continue
        x = primal.reshape(-1).astype(float)[s.entries]
        if not x.any() or np.ptp(x) == 0:
            continue
        ratio = float(difference @ x / (x @ x))
        if np.all(np.abs(difference - ratio * x) <= loose):
            yield Guess(Kind.MISSING_TERM, f"backward − finite difference is {ratio:.4g} times {name} ({_share(s)})")
            return
    if s.whole and s.primal.ndim and s.wrong.size > 2:
        grid = difference.reshape(s.primal.shape) if s.primal.dtype.kind != "c" else difference
        for axis in range(grid.ndim):
            if grid.shape[axis] > 1 and np.all(np.ptp(grid, axis=axis) <= loose):
                words = f"backward − finite difference is the same all along axis {axis}: a mean left out?"
                yield Guess(Kind.MISSING_TERM, words)
                return


def _representable(s: Survey) -> Iterator[Guess]:
    """Every claimed entry is a number of fewer bits, where the right ones are not."""
    size, error, eps = _extent(s)
    for lower in (np.float16, np.float32):
        coarse = float(np.finfo(lower).eps)
        with np.errstate(over="ignore"):
            claimed, numeric = (np.array_equal(a.astype(lower).astype(a.dtype), a) for a in (s.claimed, s.numeric))
        if coarse > 100 * eps and claimed and not numeric and s.claimed.any() and error <= 64 * coarse * size:
            name = np.dtype(lower).name
            yield Guess(Kind.LOW_PRECISION, f"every entry of backward is a {name} number, and the error of that size")
            return


def _extent(s: Survey) -> tuple[float, float, float]:
    """The largest numeric entry, the largest error, and the block's eps."""
    error = float(np.max(np.abs(s.claimed - s.numeric), initial=0.0))
    return float(np.max(np.abs(s.numeric), initial=0.0)), error, eps_of(s.primal)


def _rounded(s: Survey) -> Iterator[Guess]:
    """Errors of the size that float32 leaves behind."""
    size, error, eps = _extent(s)
    if eps < 1e-10 and s.wrong.sum() > 1 and error <= 2e-6 * size:
        yield Guess(
            Kind.LOW_PRECISION,
            f"errors of {error / size:.0e} of the largest entry, of either sign: the size of float32 rounding",
        )


def _batch(s: Survey) -> Iterator[Guess]:
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


def _close(s: Survey) -> Iterator[Guess]:
    """A little off everywhere."""
    size, error, _ = _extent(s)
    if size and error <= 0.25 * size and s.wrong.mean() > 0.5:
        yield Guess(
            Kind.APPROXIMATION, f"{_count(s)} are off by up to {error / size:.1e} of the largest: another formula?"
        )


def _count(s: Survey) -> str:
    return _share(s, " entries")


def _share(s: Survey, of: str = "") -> str:
    """How many of those looked at are wrong: "3 of 6", where entries are named already."""
    total = s.primal.size * (2 if s.primal.dtype.kind == "c" else 1)
    looked_at = "" if s.wrong.size == total else f" looked at (of {total})"
    return f"{int(s.wrong.sum())} of {s.wrong.size}{of}{looked_at}"


def spelled(factor: float) -> str:
    """A factor in four digits, or by its distance from 1 where those would hide it."""
    return f"{factor:.4g}" if abs(factor - 1) > 1e-3 else f"(1 {factor - 1:+.1e})"
