"""The default scheme: central differences on a ladder of steps, extrapolated to step zero, with an honest error."""

from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric.ecnoise import FIRST, MANTISSA, line_noise
from gradcheck.numeric.estimate import Estimate
from gradcheck.numeric.lepski import Climb
from gradcheck.numeric.line import Line
from gradcheck.numeric.stencils import stencil_weights

Array = NDArray[Any]

RATIO = 4.0  # of one step to the next: 2 doubles the price for no gain seen in benchmarks/test_numeric_calibration.py
ASYMPTOTIC = 2.0  # what the last two quotients differ by, times this, bounds a truncation that grows like h²


@dataclass(frozen=True)
class Richardson:
    """Adaptive central differences with extrapolation, the default: assumes only that f is smooth near the point.

    Steps climb from where noise rules to where truncation does. At each rung f(x+h) and f(x-h) give the odd or the even
    part of f, a polynomial in h², which is extrapolated to h = 0 over the last rungs (up to ``depth`` of them;
    Richardson 1911). The error of a candidate is its noise bar plus what the last extrapolation changed (Ridders, Adv.
    Eng. Software 4 (1982) 75), and larger steps are believed only while they agree with all smaller ones
    (``lepski.Climb``). About 50 calls of f in float64, 30 in float32. ``depth`` 2 compares two rungs, the least.

    Where it errs: at a kink exactly, it gives the mean of the two slopes (``Forward`` and ``Backward`` tell); noise
    of a tenth of |f| and more is taken for a function too fast for the step; and half precision inside a float64 f is
    noticed only where f's outputs show it.

    >>> from gradcheck.numeric import derivative
    >>> e = derivative(np.exp, 1.0, scheme=Richardson())
    >>> bool(e.covers(np.exp(1.0))), bool(e.error < 1e-10)
    (True, True)
    >>> bool(abs(derivative(lambda x: np.sin(1000 * x), 1.0).value - 1000 * np.cos(1000.0)) < 1e-6)
    True
    """

    depth: int = 5

    def __post_init__(self) -> None:
        """Refuse a depth below 2."""
        if self.depth < 2:
            raise ValueError(f"depth is {self.depth}: an error takes two rungs to compare; pass 2 or more")

    def along(self, line: Line, order: int) -> Estimate:
        """The derivative of that order at the line's origin, for each output."""
        bar = line_noise(line)
        step = _bottom(line, order, bar)
        climb = Climb(line.origin.size, line.work)
        ladder = _Ladder(self.depth, order)
        climbing = True
        while climbing and step <= line.reach:
            step = line.step(step)
            climbing = climb.offer(*ladder.read(*_quotient(line, step, order, bar), step))
            step *= RATIO
        return Estimate(climb.value, climb.error, line.evaluations)


class _Ladder:
    """The last rungs, and the best extrapolation over them."""

    def __init__(self, depth: int, order: int) -> None:
        self.power = (order - 1) // 2  # the derivative sought is this coefficient of the odd or even part, in h²
        self.depth = depth + self.power
        self.quotients: list[Array] = []
        self.bars: list[Array] = []

    def read(self, quotient: Array, bar: Array, step: float) -> tuple[Array, Array]:
        """Value and error after one more rung; NaN and infinite until there are two to compare."""
        self.quotients = [*self.quotients, quotient][-self.depth :]
        self.bars = [*self.bars, bar][-self.depth :]
        nodes, least = len(self.quotients), self.power + 1
        value, error = np.full_like(quotient, np.nan), np.full_like(quotient, np.inf)
        if nodes <= least:
            return value, error
        weights = _extrapolation(nodes, self.power) / step ** (2 * self.power)
        with np.errstate(all="ignore"):  # infinite and NaN rungs lose by their error
            values = weights @ np.stack(self.quotients)
            bars = np.abs(weights) @ np.stack(self.bars)
            rung_before = weights[:1, -least:] * RATIO ** (2 * self.power)
            before = rung_before @ np.stack(self.quotients[-least - 1 : -1])
            # Truncation is itself read through noise, that of the rung before where nothing is extrapolated: a quarter
            # of a bar, which is one and a half deviations, must be beaten by more than luck.
            through = bars.copy()
            through[0] = np.abs(rung_before[0]) @ np.stack(self.bars[-least - 1 : -1]) / 4
            truncation = np.abs(np.diff(values, axis=0, prepend=before))
            truncation[0] *= ASYMPTOTIC
            errors = np.where(np.isfinite(values), bars + through + truncation, np.inf)
        best = np.argmin(errors, axis=0)[None]
        return np.take_along_axis(values, best, 0)[0], np.take_along_axis(errors, best, 0)[0]


@lru_cache(maxsize=256)
def _extrapolation(nodes: int, power: int) -> Array:
    """Row j: weights over the last rungs, smallest first, of the coefficient of (h²)^power through power+1+j of them.

    For a largest step of 1. The steps realised differ from exact ratios by rounding; that moves the extrapolation by an
    ulp of x times truncation over step, always below the noise bar.
    """
    rows = np.zeros((nodes - power, nodes))
    for j in range(nodes - power):
        used = power + 1 + j
        squares = [RATIO ** (-2 * i) for i in reversed(range(used))]
        rows[j, nodes - used :] = stencil_weights(squares, power, at=0.0) / factorial(power)
    return rows


def _quotient(line: Line, step: float, order: int, bar: Array) -> tuple[Array, Array]:
    """n!·odd part / h or n!·even part / h², and its noise bar, each of shape (outputs,)."""
    above, right = line.at(step)
    below, left = line.at(-step)
    width = above - below
    with np.errstate(all="ignore"):
        size = np.maximum(np.maximum(np.abs(right), np.abs(left)), np.abs(line.origin))
        odd = (right - left) / width
        trembling = np.maximum(bar, line.eps * size + line.blur * np.abs(odd))
        if order % 2:
            return odd * factorial(order), 2 * trembling / width * factorial(order)
        half = width / 2  # the even part, cleared of the slope where rounding made the two steps unequal
        even = (right + left - 2 * line.origin - (above + below) * odd) / 2
        return even / half**2 * factorial(order), 2 * trembling / half**2 * factorial(order)


def _bottom(line: Line, order: int, bar: Array) -> float:
    """The first step: where noise still rules, whatever f's length scale."""
    # h = eps^(2/(n+2)) leaves half of the digits of h^n f to noise; if two steps disagree by more than that, or leave
    # f's domain, f lives on a smaller scale (a kink or a pole nearby, 1e-3 next to 1e8) and the ladder starts below.
    noisy = 2 / (order + 2) - FIRST
    rungs = round(np.log(line.eps**noisy) / np.log(RATIO))  # whole rungs from the noise table, to share its points
    step = float(line.scale * MANTISSA * line.eps**FIRST * RATIO**rungs)
    least = max(4 * line.blur, line.scale * line.eps**2)
    while step / RATIO**3 > least:
        small, small_bar = _quotient(line, line.step(step), order, bar)
        large, large_bar = _quotient(line, line.step(RATIO * step), order, bar)
        if (np.abs(small - large) <= small_bar + large_bar).all():
            break
        step /= RATIO**3
    return step
