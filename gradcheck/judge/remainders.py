"""Remainders: what the difference itself looks like: a term left over, a rounding, another formula."""

from collections.abc import Iterator

import numpy as np

from gradcheck.floats import eps_of
from gradcheck.judge.survey import Guess, Survey
from gradcheck.report import Kind, place


def term(s: Survey) -> Iterator[Guess]:
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
            yield Guess(Kind.MISSING_TERM, f"backward − finite difference is {ratio:.4g} times {name} ({s.share()})")
            return
    if s.whole and s.primal.ndim and s.wrong.size > 2:
        grid = difference.reshape(s.primal.shape) if s.primal.dtype.kind != "c" else difference
        for axis in range(grid.ndim):
            if grid.shape[axis] > 1 and np.all(np.ptp(grid, axis=axis) <= loose):
                words = f"backward − finite difference is the same all along axis {axis}: a mean left out?"
                yield Guess(Kind.MISSING_TERM, words)
                return


def representable(s: Survey) -> Iterator[Guess]:
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


def rounded(s: Survey) -> Iterator[Guess]:
    """Errors of the size that float32 leaves behind."""
    size, error, eps = _extent(s)
    if eps < 1e-10 and s.wrong.sum() > 1 and error <= 2e-6 * size:
        yield Guess(
            Kind.LOW_PRECISION,
            f"errors of {error / size:.0e} of the largest entry, of either sign: the size of float32 rounding",
        )


def close(s: Survey) -> Iterator[Guess]:
    """A little off everywhere."""
    size, error, _ = _extent(s)
    if size and error <= 0.25 * size and s.wrong.mean() > 0.5:
        yield Guess(
            Kind.APPROXIMATION, f"{s.count()} are off by up to {error / size:.1e} of the largest: another formula?"
        )
