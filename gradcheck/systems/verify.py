"""Hold a system's hand-derived formulas to the graph engine and to finite differences, each pair to its own bound."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric import Estimate, gradient

Arrays = dict[str, NDArray[Any]]
SlopeAt = Callable[[Arrays], tuple[float, Arrays]]

HAND_ENGINE, HAND_NUMERIC, ENGINE_NUMERIC = "hand = engine", "hand = finite difference", "engine = finite difference"

# An error estimate claims to hold at 99 points of 100; a claim here must hold at all of some 500 entries. Of 4,788
# entries of S1, S2, S3 and S5 over 12 seeds 0.7% were beyond their estimate, the worst by 2.5. Ten times the estimate
# is still about 1e-12, where a wrong formula is off by more than 1e-4.
BEYOND = 10


@dataclass(frozen=True)
class Check:
    """One claim: two ways to a quantity differ by ``difference``, and may by ``bound``."""

    quantity: str
    pair: str
    difference: float
    bound: float

    @property
    def ok(self) -> bool:
        """Whether the claim holds; a NaN never does."""
        return self.difference <= self.bound


@dataclass(frozen=True)
class Outcome:
    """What running a system gave: the costs met while it trained, by what was trained, and the claims checked."""

    title: str
    curves: Mapping[str, NDArray[np.float64]]
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every claim holds."""
        return all(check.ok for check in self.checks)


def three_ways(
    point: Arrays, cost: Callable[[Arrays], float], hand: SlopeAt, engine: SlopeAt, roundings: int, of: str = ""
) -> tuple[Check, ...]:
    """Compare the hand formula, the engine and finite differences of ``cost``: the cost and each array of ``point``.

    ``hand`` and ``engine`` give the cost and its gradient; ``of`` is added to the names of the arrays in the claims.

    ``roundings`` bounds how many floating-point operations lie between an input and an entry of the gradient; see
    `rounding_of` for the bound made of it. A finite difference is allowed `BEYOND` times its error estimate on top.
    """
    (hand_cost, hand_gradient), (engine_cost, engine_gradient) = hand(point), engine(point)
    by_rounding = rounding_of(hand, point, roundings)
    checks = [compare("cost" + of, HAND_ENGINE, np.array(hand_cost), np.array(engine_cost), by_rounding["cost"])]
    for name, w in point.items():

        def along(moved: NDArray[Any], name: str = name) -> float:
            return cost({**point, name: moved})

        numeric = gradient(along, w)
        checks += each_pair(name + of, hand_gradient[name], engine_gradient[name], numeric, by_rounding[name])
    return tuple(checks)


def each_pair(
    quantity: str, hand: NDArray[Any], engine: NDArray[Any], numeric: Estimate, rounding: float
) -> tuple[Check, Check, Check]:
    """Compare three ways to one array: all may be off by rounding, a finite difference by its error estimate too."""
    return (
        compare(quantity, HAND_ENGINE, hand, engine, rounding),
        compare(quantity, HAND_NUMERIC, hand, numeric.value, BEYOND * numeric.error + rounding),
        compare(quantity, ENGINE_NUMERIC, engine, numeric.value, BEYOND * numeric.error + rounding),
    )


def fallen(quantity: str, before: float, after: float) -> Check:
    """Check that a descent has not raised the cost."""
    return Check(quantity, "after descent ≤ before", after - before, 0.0)


def compare(quantity: str, pair: str, one: NDArray[Any], other: NDArray[Any], bound: NDArray[Any] | float) -> Check:
    """Check that two arrays agree entry by entry, each within its bound.

    The entry reported is that of the largest difference, or, when some entry breaks its bound, the worst of those.
    Arrays of different shapes never agree.
    """
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return Check(quantity, f"{pair}, shapes {one.shape} and {other.shape}", np.inf, 0.0)
    difference = np.abs(one - other).ravel()
    bounds = np.broadcast_to(np.asarray(bound, dtype=float), one.shape).ravel()
    broken = ~(difference <= bounds)
    with np.errstate(divide="ignore", invalid="ignore"):
        badness = np.where(broken, np.nan_to_num(difference / bounds, nan=np.inf), 0.0) if broken.any() else difference
    worst = int(np.argmax(badness))
    return Check(quantity, pair, float(difference[worst]), float(bounds[worst]))


def counted(quantity: str, count: float, rule: str, expected: float) -> Check:
    """Check that a count is what a rule says, exactly."""
    return Check(quantity, f"{count:g} = {rule}", float(abs(count - expected)), 0.0)


def rounding_of(slope: SlopeAt, point: Arrays, roundings: int) -> dict[str, float]:
    """Bound, per array and for the "cost", the difference that rounding alone can make between two correct formulas.

    A formula that is backward stable returns the exact answer for inputs moved by at most ``roundings`` units in the
    last place (Higham 2002, Accuracy and Stability, §1.5). So the gradient is evaluated at inputs moved by one unit,
    the largest change in each array is taken over four random moves, and scaled by ``roundings``; one unit of the
    largest entry is added for the rounding of the result, and all is doubled because both formulas err.
    """
    eps, rng = np.finfo(float).eps, np.random.default_rng(0)
    cost, gradient_here = slope(point)
    here = {"cost": np.array(cost), **gradient_here}
    change = dict.fromkeys(here, 0.0)
    for _ in range(4):
        moved_cost, moved = slope({k: w * (1 + eps * rng.choice((-1, 1), w.shape)) for k, w in point.items()})
        for name, array in {"cost": np.array(moved_cost), **moved}.items():
            change[name] = max(change[name], float(np.max(np.abs(array - here[name]))))
    return {name: 2 * roundings * (change[name] + eps * float(np.max(np.abs(here[name])))) for name in here}


def worst(*runs: tuple[Check, ...]) -> tuple[Check, ...]:
    """Merge the same claims checked at several points: of each, the one nearest to or furthest past its bound."""
    kept: dict[tuple[str, str], Check] = {}
    for check in (check for run in runs for check in run):
        before = kept.get((check.quantity, check.pair))
        if before is None or (before.ok and (not check.ok or _share(check) > _share(before))):
            kept[check.quantity, check.pair] = check
    return tuple(kept.values())


def _share(check: Check) -> float:
    return check.difference / check.bound if check.bound else 0.0
