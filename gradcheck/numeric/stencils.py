"""Finite-difference stencils: Fornberg's weights for any points and order, and the fixed-step schemes made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric import validate
from gradcheck.numeric.estimate import Estimate
from gradcheck.numeric.line import Line

Array = NDArray[Any]


def stencil_weights(offsets: Sequence[float], order: int, *, at: float = 0.0) -> NDArray[np.float64]:
    """Weights w with f⁽ⁿ⁾(at) ≈ Σ w[i] f(offsets[i]), exact for polynomials of degree < len(offsets); shape (points,).

    Computed in rational arithmetic and rounded once (B. Fornberg, Math. Comp. 51 (1988) 699). ``order`` 0 interpolates.
    Divide by h^order where the offsets are multiples of a step h. ValueError for repeated, non-finite or too few
    offsets.

    >>> stencil_weights((-1, 0, 1), 2)
    array([ 1., -2.,  1.])
    >>> stencil_weights((-2, -1, 0, 1, 2), 1) * 12
    array([ 1., -8.,  0.,  8., -1.])
    """
    offsets = tuple(offsets)
    if order:
        order = validate.derivative_order(order)
    validate.stencil(offsets, order)
    return np.array(_rational(tuple(Fraction(float(o)) for o in offsets), order, Fraction(float(at))), dtype=np.float64)


@lru_cache(maxsize=1024)
def _rational(nodes: tuple[Fraction, ...], order: int, at: Fraction) -> tuple[float, ...]:
    return tuple(float(w) for w in _fornberg(nodes, order, at))


def _fornberg(nodes: Sequence[Any], order: int, at: Any) -> list[Any]:
    """Fornberg's recursion over the nodes, in whatever arithmetic they bring: Fraction, float or longdouble."""
    table = [[at * 0] * (order + 1) for _ in nodes]
    table[0][0] = at * 0 + 1
    product = at * 0 + 1
    for n in range(1, len(nodes)):
        previous, gaps = product, [nodes[n] - nodes[i] for i in range(n)]
        last = list(table[n - 1])
        product = product * 0 + 1
        for gap in gaps:
            product = product * gap
        for m in range(min(n, order), -1, -1):
            lower = last[m - 1] * m if m else at * 0
            table[n][m] = previous / product * (lower - (nodes[n - 1] - at) * last[m])
        for i, gap in enumerate(gaps):
            for m in range(min(n, order), -1, -1):
                lower = table[i][m - 1] * m if m else at * 0
                table[i][m] = ((nodes[n] - at) * table[i][m] - lower) / gap
    return [row[order] for row in table]


@dataclass(frozen=True)
class Stencil:
    """Finite differences at ``offsets`` times one step, at two step sizes: cheap, and trusting.

    The error is what doubling the step changes, plus the rounding of f's values. It assumes that f is computed in the
    precision of x, without cancellation inside, and changes on the scale of x: for anything else (float32 inside
    float64, steep, periodic) take ``Richardson``, which finds out. ``step`` in units of x; None balances rounding and
    truncation.

    >>> from gradcheck.numeric import derivative
    >>> e = derivative(np.exp, 0.0, scheme=Stencil((0, 1, 2, 3)))
    >>> bool(e.covers(1.0)), e.evaluations
    (True, 6)
    """

    offsets: tuple[float, ...]
    step: float | None = None

    def __post_init__(self) -> None:
        """Refuse repeated or non-finite offsets, and a step that is not positive."""
        validate.stencil(self.offsets, 0)
        validate.positive(self.step, "step", "let the scheme choose it")

    def along(self, line: Line, order: int) -> Estimate:
        """The derivative of that order at the line's origin, for each output."""
        return _differentiate(line, order, self.offsets, self.step)


@dataclass(frozen=True)
class _OneStep:
    accuracy: int = 2
    step: float | None = None

    def __post_init__(self) -> None:
        if self.accuracy < 1:
            raise ValueError(f"accuracy is {self.accuracy}: the error falls like step^accuracy; pass 1, 2, ...")
        validate.positive(self.step, "step", "let the scheme choose it")

    def offsets(self, order: int) -> tuple[int, ...]:
        raise NotImplementedError

    def along(self, line: Line, order: int) -> Estimate:
        """The derivative of that order at the line's origin, for each output."""
        return _differentiate(line, order, self.offsets(order), self.step)


@dataclass(frozen=True)
class Forward(_OneStep):
    """Points at and above x only, for an x at the lower edge of f's domain. Assumes what ``Stencil`` assumes.

    >>> Forward(accuracy=1).offsets(order=1)
    (0, 1)
    """

    def offsets(self, order: int) -> tuple[int, ...]:
        """The stencil for that order of derivative."""
        return tuple(range(order + self.accuracy))


@dataclass(frozen=True)
class Backward(_OneStep):
    """Points at and below x only. Assumes what ``Stencil`` assumes.

    >>> Backward(accuracy=1).offsets(order=2)
    (-2, -1, 0)
    """

    def offsets(self, order: int) -> tuple[int, ...]:
        """The stencil for that order of derivative."""
        return tuple(range(1 - order - self.accuracy, 1))


@dataclass(frozen=True)
class Central(_OneStep):
    """Points on both sides of x; an odd ``accuracy`` is as good as the next even one. Assumes what ``Stencil`` assumes.

    >>> Central(accuracy=4).offsets(order=1)
    (-2, -1, 0, 1, 2)
    """

    def offsets(self, order: int) -> tuple[int, ...]:
        """The stencil for that order of derivative."""
        reach = (order + 1) // 2 - 1 + (self.accuracy + 1) // 2
        return tuple(range(-reach, reach + 1))


def _differentiate(line: Line, order: int, offsets: tuple[float, ...], step: float | None) -> Estimate:
    validate.stencil(offsets, order)
    # Rounding eps/h^n meets truncation h^p at h = eps^(1/(n+p)); n + p points give a truncation of order p.
    h = step if step is not None else line.scale * line.eps ** (1 / len(offsets))
    small, bar = _apply(line, order, offsets, line.step(h))
    large, _ = _apply(line, order, offsets, 2 * line.step(h))
    with np.errstate(all="ignore"):
        error = bar + np.abs(large - small)
    known = np.isfinite(small) & np.isfinite(error)
    return Estimate(np.where(known, small, np.nan), np.where(known, error, np.inf), line.evaluations)


def _apply(line: Line, order: int, offsets: tuple[float, ...], h: float) -> tuple[Array, Array]:
    """The stencil at step h, on the offsets that rounding realised, and its noise bar."""
    points = [line.at(offset * h) for offset in offsets]
    scale = line.work.type(h)
    weights = np.array(_fornberg([t / scale for t, _ in points], order, line.work.type(0)), line.work) / scale**order
    values = np.stack([y for _, y in points])
    with np.errstate(all="ignore"):
        used = weights != 0
        value = weights[used] @ (values[used] - line.origin)
        slope = np.max(np.abs(values - line.origin), axis=0) / (abs(h) * max(abs(o) for o in offsets))
        bar = np.sum(np.abs(weights)) * (line.eps * np.max(np.abs(values), axis=0) + line.blur * slope)
    return value, bar
