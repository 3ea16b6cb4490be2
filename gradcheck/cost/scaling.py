"""The statistic: what share of a cost grows faster than it should, with its confidence interval.

One statistic judges exact counts, instruction counts and wall clock alike. Only the gate differs: a count has no noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A two-point ratio misfires on linear code in 11–19% of trials. The lower bound of the share was at most 0.06 on linear
# code, idle and loaded, and at least 0.147 on n·log n: 0.10 lies between (measured; docs/cost.md).
CLOCK_GATE = 0.10
# Counts repeat to the last instruction. What remains is the growth of lists and dictionaries by doubling: under 1%.
COUNT_GATE = 0.03
# No polynomial of this degree follows an exponential: the share of its fit says nothing then, the slope says it all.
STEEP = 1.5
LEAST_SIZES = 5  # three coefficients, and two degrees of freedom to see how well they fit


@dataclass(frozen=True)
class Interval:
    """An estimate with its two-sided 90% confidence interval, so that each end is a one-sided 95% bound."""

    low: float
    value: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} ({self.low:{spec}} … {self.high:{spec}})"


@dataclass(frozen=True)
class Fit:
    """The cost as a + b·Eᵖ + c·E²ᵖ, p being the order that is claimed.

    `share` is c·E²ᵖ/(b·Eᵖ + c·E²ᵖ) at the largest size: the part of the growing cost that is super-linear. `slope` is
    that of log cost over log E. `coefficients` are a, b·Eᵖ and c·E²ᵖ at the largest size, `covariance` is theirs,
    `quantile` Student's for their degrees of freedom.
    """

    largest: float
    order: int
    coefficients: tuple[float, float, float]
    covariance: NDArray[np.float64]
    quantile: float
    share: Interval
    slope: Interval

    def beyond(self, gate: float) -> bool:
        """Whether the cost surely grows faster than was claimed: by its share, or by a slope of half as much again."""
        return self.share.low > gate or self.slope.low > STEEP * self.order

    def at(self, sizes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The fitted cost at these sizes, and half the width of its 95% confidence band."""
        x = _powers(np.asarray(sizes, float) / self.largest, self.order)
        return x @ np.asarray(self.coefficients), self.quantile * np.sqrt(((x @ self.covariance) * x).sum(axis=1))


def fit(sizes: Sequence[float], costs: Sequence[float], order: int = 1) -> Fit:
    """Fit the costs of growing sizes, weighted by 1/cost²: the noise of a timing is a share of it.

    The interval of the share is Fieller's, exact for a ratio of two coefficients (Fieller 1954, "Some problems in
    interval estimation"); it is unbounded where the cost does not grow by more than its noise.
    Raises ValueError for fewer than five different sizes, a cost that is not positive, or an order below 1.

    >>> sizes = [100, 200, 400, 800, 1600, 3200]
    >>> print(f"{abs(fit(sizes, [5 + 2 * n for n in sizes]).share.value):.3f}")
    0.000
    >>> quadratic = fit(sizes, [5 + 2 * n + n * n / 1000 for n in sizes])  # 3.2 of 5.2 at the largest
    >>> print(f"{quadratic.share.value:.3f}")
    0.615
    """
    from scipy.special import stdtrit  # 40 ms to import, and a curve needs it only when all is measured

    n, t = np.asarray(sizes, float), np.asarray(costs, float)
    if len(np.unique(n)) < LEAST_SIZES or n.shape != t.shape:
        given = f"{len(np.unique(n))} sizes with {t.size} costs"
        raise ValueError(f"{given}: a fit needs {LEAST_SIZES} different sizes or more")
    if order < 1 or not np.all(np.isfinite(t) & (t > 0)):
        given = f"order={order}, costs {t.min():.3g} … {t.max():.3g}"
        raise ValueError(f"{given}: the order is 1, 2, …, a cost is positive")
    largest = float(n.max())
    x = _powers(n / largest, order) / t[:, None]
    coefficients, covariance = _least_squares(x, np.ones_like(t))
    line = np.stack([np.ones_like(n), np.log(n)], axis=1)
    slope, spread = _least_squares(line, np.log(t))
    q, line_q = (float(stdtrit(len(n) - k, 0.95)) for k in (3, 2))
    error = line_q * float(np.sqrt(spread[1, 1]))
    a, u, v = map(float, coefficients)
    return Fit(
        largest,
        order,
        (a, u, v),
        covariance,
        float(stdtrit(len(n) - 3, 0.975)),
        _ratio(v, u + v, covariance, q),
        Interval(float(slope[1]) - error, float(slope[1]), float(slope[1]) + error),
    )


def _powers(x: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    return np.stack([np.ones_like(x), x**order, x ** (2 * order)], axis=1)


def _least_squares(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients and their covariance, from the residuals; exact data have those of a few roundings, 8ε."""
    q, r = np.linalg.qr(x)
    coefficients = np.linalg.solve(r, q.T @ y)
    residual = y - x @ coefficients
    variance = float(residual @ residual) / (len(y) - x.shape[1]) + (8 * np.finfo(float).eps) ** 2
    inverse = np.linalg.inv(r)
    return coefficients, variance * (inverse @ inverse.T)


def _ratio(v: float, w: float, covariance: NDArray[np.float64], q: float) -> Interval:
    """Fieller's interval of v/w, v being the last coefficient and w the sum of the last two."""
    vv = float(covariance[2, 2])
    vw = vv + float(covariance[1, 2])
    ww = vv + float(covariance[1, 1]) + 2 * float(covariance[1, 2])
    lead = w * w - q * q * ww
    if w <= 0 or lead <= 0:
        return Interval(-np.inf, v / w if w > 0 else np.nan, np.inf)
    half = v * w - q * q * vw
    root = float(np.sqrt(max(half * half - lead * (v * v - q * q * vv), 0.0)))
    low, high = (half - root) / lead, (half + root) / lead
    return Interval(min(low, v / w), v / w, max(high, v / w))  # for exact data the three differ by rounding
