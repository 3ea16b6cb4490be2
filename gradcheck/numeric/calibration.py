"""Functions whose derivatives are known, easy and nasty, and how often a scheme's error covers the truth on them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric.complex_step import NotAnalyticError
from gradcheck.numeric.estimate import Scheme
from gradcheck.numeric.fields import derivative

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """f and its derivative (given longdouble, closed form), and the range its points are drawn from."""

    f: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    low: float
    high: float
    spread: str = "even"  # or "log": points evenly spread in their logarithm
    dtype: str = "float64"
    smooth: bool = False  # smooth, of order one, in float64: where an estimate must be sharp, too

    def points(self, count: int, seed: int) -> Array:
        """Random points, the same for the same seed; shape (count,)."""
        rng = np.random.default_rng(seed)
        if self.spread == "log":
            drawn = np.exp(rng.uniform(np.log(self.low), np.log(self.high), count))
        else:
            drawn = rng.uniform(self.low, self.high, count)
        return np.asarray(drawn, dtype=self.dtype)


@dataclass(frozen=True)
class Calibration:
    """How one scheme did on one case.

    ``coverage`` the share of points whose true error is within the estimated one; ``relative`` the median estimated
    error over the true derivative; ``slack`` the median estimated error over the true error, infinite where the value
    is mostly exact; ``evaluations`` the mean calls of f. A scheme that refuses every point (``NotAnalyticError``) has
    ``answered`` 0 and NaN for the rest.
    """

    answered: int
    coverage: float
    relative: float
    slack: float
    evaluations: float


def measure(scheme: Scheme, case: Case, points: int, seed: int = 0) -> Calibration:
    """Differentiate at random points of the case and compare with the closed form.

    >>> from gradcheck.numeric import Central
    >>> measure(Central(), CASES["exp"], points=20).coverage
    1.0
    """
    covered, relative, slack, calls = [], [], [], 0
    for x in case.points(points, seed):
        with np.errstate(all="ignore"):
            truth = np.longdouble(case.slope(np.longdouble(x)))
        try:
            estimate = derivative(case.f, x, scheme=scheme)
        except NotAnalyticError:
            continue
        miss = abs(np.longdouble(estimate.value) - truth)
        covered.append(bool(estimate.covers(truth)))
        with np.errstate(all="ignore"):
            relative.append(float(estimate.error / abs(truth)))
            slack.append(float(estimate.error / miss))
        calls += estimate.evaluations
    if not covered:
        return Calibration(0, np.nan, np.nan, np.nan, np.nan)
    return Calibration(
        answered=len(covered),
        coverage=sum(covered) / len(covered),
        relative=_median(relative),
        slack=_median(slack),
        evaluations=calls / len(covered),
    )


def _median(ratios: list[float]) -> float:
    return float(np.median(np.nan_to_num(ratios, nan=0.0, posinf=np.inf)))  # 0/0: exact, and said to be


_f32 = np.float32
_SMALL_WEIGHTS = np.arange(1, 30, dtype=_f32) / _f32(30)


def _float32_sum(x: Any) -> Any:
    return np.float64(np.sum(np.sin(_SMALL_WEIGHTS * _f32(x)), dtype=_f32))


def _float32_sum_slope(x: Any) -> Any:
    weights = _SMALL_WEIGHTS.astype(np.longdouble)
    return np.sum(weights * np.cos(weights * x))


CASES: dict[str, Case] = {
    # ---- smooth, of order one ----
    "exp": Case(np.exp, np.exp, -5, 5, smooth=True),
    "sin": Case(np.sin, np.cos, -10, 10, smooth=True),
    "tanh": Case(np.tanh, lambda x: 1 / np.cosh(x) ** 2, -3, 3, smooth=True),
    "polynomial": Case(lambda x: x**5 - 2 * x**3 + x, lambda x: 5 * x**4 - 6 * x**2 + 1, -3, 3, smooth=True),
    "runge": Case(lambda x: 1 / (1 + 25 * x * x), lambda x: -50 * x / (1 + 25 * x * x) ** 2, -1, 1, smooth=True),
    "logsumexp": Case(
        lambda x: np.log(1 + np.exp(x) + np.exp(2 * x)),
        lambda x: (np.exp(x) + 2 * np.exp(2 * x)) / (1 + np.exp(x) + np.exp(2 * x)),
        *(-5, 5),
        smooth=True,
    ),
    "identity": Case(lambda x: x, lambda x: x / x, -5, 5, smooth=True),
    "constant": Case(lambda x: 0.3 + 0 * x, lambda x: 0 * x, -5, 5),
    # ---- near a singularity ----
    "1/x": Case(lambda x: 1 / x, lambda x: -1 / x**2, 1e-3, 10, "log", smooth=True),
    "log": Case(np.log, lambda x: 1 / x, 1e-8, 10, "log", smooth=True),
    "log(x-1) near 1": Case(lambda x: np.log(x - 1), lambda x: 1 / (x - 1), 1.0001, 1.1),
    "sqrt": Case(np.sqrt, lambda x: 1 / (2 * np.sqrt(x)), 1e-8, 10, "log", smooth=True),
    "sin(1/x)": Case(lambda x: np.sin(1 / x), lambda x: -np.cos(1 / x) / x**2, 1e-3, 1, "log"),
    # ---- steep, oscillating, saturated ----
    "atan(1e4 x)": Case(lambda x: np.arctan(1e4 * x), lambda x: 1e4 / (1 + (1e4 * x) ** 2), -1, 1),
    "sigmoid(50 x)": Case(
        lambda x: 1 / (1 + np.exp(-50 * x)), lambda x: 50 / (np.exp(25 * x) + np.exp(-25 * x)) ** 2, -1, 1
    ),
    "narrow bell": Case(
        lambda x: np.exp(-((100 * x) ** 2)), lambda x: -20000 * x * np.exp(-((100 * x) ** 2)), -0.05, 0.05
    ),
    "sin(1000 x)": Case(lambda x: np.sin(1000 * x), lambda x: 1000 * np.cos(1000 * x), -3, 3),
    "sin(1e5 x)": Case(lambda x: np.sin(1e5 * x), lambda x: 1e5 * np.cos(1e5 * x), -3, 3),
    "ripple": Case(lambda x: x + 1e-6 * np.sin(1e5 * x), lambda x: 1 + 0.1 * np.cos(1e5 * x), -3, 3),
    "tanh, saturated": Case(np.tanh, lambda x: 1 / np.cosh(x) ** 2, 10, 30),
    # ---- coarser arithmetic inside ----
    "float32 inside": Case(lambda x: np.float64(np.sin(_f32(x))), np.cos, 0.1, 3),
    "float32 cast": Case(lambda x: np.sin(np.float64(_f32(x))) ** 2, lambda x: 2 * np.sin(x) * np.cos(x), 0.1, 3),
    "float32 sum": Case(_float32_sum, _float32_sum_slope, 0.1, 3),
    "float32 + float64": Case(lambda x: x * x + np.float64(np.sin(_f32(x))), lambda x: 2 * x + np.cos(x), 0.1, 3),
    "exp, float32": Case(np.exp, np.exp, -3, 3, dtype="float32"),
    "log, float32": Case(np.log, lambda x: 1 / x, 1e-4, 10, "log", dtype="float32"),
    "exp, longdouble": Case(np.exp, np.exp, -3, 3, dtype="longdouble"),
    # ---- offsets, cancellation, scales ----
    "1e8 + sin x": Case(lambda x: 1e8 + np.sin(x), np.cos, -3, 3),
    "(1e8 + sin x) - 1e8": Case(lambda x: (1e8 + np.sin(x)) - 1e8, np.cos, -3, 3),
    "the same, x near 0": Case(lambda x: (1e8 + np.sin(x)) - 1e8, np.cos, 1e-10, 1e-8, "log"),
    "sin(x - 1e8)": Case(lambda x: np.sin(x - 1e8), lambda x: np.cos(x - 1e8), 1e8 - 5, 1e8 + 5),
    "(1 - cos x)/x²": Case(
        lambda x: (1 - np.cos(x)) / x**2, lambda x: (x * np.sin(x) - 2 * (1 - np.cos(x))) / x**3, 0.01, 1, "log"
    ),
    "exp(1e8 x)": Case(lambda x: np.exp(1e8 * x), lambda x: 1e8 * np.exp(1e8 * x), -2e-8, 2e-8),
    "sin(1e-8 x)": Case(lambda x: np.sin(1e-8 * x), lambda x: 1e-8 * np.cos(1e-8 * x), -3e8, 3e8),
    "1e-8 cos x": Case(lambda x: 1e-8 * np.cos(x), lambda x: -1e-8 * np.sin(x), -3, 3),
    # ---- a kink nearby, not at the point ----
    "relu": Case(lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0, 1.0, 0.0), -1, 1),
    "relu + 0.7315": Case(lambda x: np.maximum(x, 0.0) + 0.7315, lambda x: np.where(x > 0, 1.0, 0.0), -1, 1),
    "leaky relu": Case(
        lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1.0, np.longdouble(0.01)), -1, 1
    ),
    "|x|³": Case(lambda x: abs(x) ** 3, lambda x: 3 * x * abs(x), -1, 1),
}
