"""Hold a system's hand-derived formulas to the graph engine and to finite differences, each pair to its own bound."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.dense import Arrays
from gradcheck.backprop.descent import Slope
from gradcheck.numeric import Estimate, gradient

Cost = Callable[[Arrays, Arrays], float]  # of the point, by name, and the data
EPS = float(np.finfo(float).eps)

HAND_ENGINE, HAND_NUMERIC, ENGINE_NUMERIC = "hand = engine", "hand = finite difference", "engine = finite difference"

# An error estimate claims to hold at 99 points of 100; a claim here must hold at all of some 500 entries. Of 11,328
# entries of S1 … S5, over 12 seeds and all activations, 5 were beyond their estimate, the worst by 2.6. Ten times the
# estimate is still about 1e-12 for smooth activations, where a wrong formula is off by more than 1e-4.
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


@np.errstate(over="ignore")  # of a sigmoid far out: 1/(1 + inf) is 0, as it should be
def three_ways(
    point: Arrays, data: Arrays, cost: Cost, hand: Slope, engine: Slope, roundings: int, of: str = ""
) -> tuple[Check, ...]:
    """Compare the hand formula, the engine and finite differences of ``cost``: the cost and each array of ``point``.

    ``hand`` and ``engine`` give the cost and its gradient; ``of`` is added to the names of the arrays in the claims.
    ``roundings`` bounds how many floating-point operations lie between an input and an entry of the gradient; see
    `rounding_of` for the bound made of it. A finite difference is allowed `BEYOND` times its error estimate on top.
    """
    (hand_cost, hand_gradient), (engine_cost, engine_gradient) = hand(point, data), engine(point, data)
    by_rounding = rounding_of(hand, point, data, roundings)
    checks = [compare("cost" + of, HAND_ENGINE, np.array(hand_cost), np.array(engine_cost), by_rounding["cost"])]
    for name, w in point.items():

        def along(moved: NDArray[Any], name: str = name) -> float:
            return cost({**point, name: moved}, data)

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


def rounding_of(slope: Slope, point: Arrays, data: Arrays, roundings: int) -> dict[str, float]:
    """Bound, per array and for the "cost", the difference that rounding alone can make between two correct formulas.

    A formula that is backward stable returns the exact answer for inputs moved by at most ``roundings`` units in the
    last place (Higham 2002, Accuracy and Stability, §1.5). So the gradient is evaluated at points and data moved by
    one unit, the largest change in each array is taken over four random moves, and scaled by ``roundings``; one unit
    of the largest entry is added for the rounding of the result, and all is doubled because both formulas err.
    """
    rng = np.random.default_rng(0)

    def moved(arrays: Arrays) -> Arrays:
        return {name: w * (1 + EPS * rng.choice((-1, 1), w.shape)) for name, w in arrays.items()}

    def evaluate(point: Arrays, data: Arrays) -> Arrays:
        cost, gradient = slope(point, data)
        return {"cost": np.array(cost), **gradient}

    here = evaluate(point, data)
    nearby = [evaluate(moved(point), moved(data)) for _ in range(4)]
    return {
        name: 2 * roundings * float(max(np.max(np.abs(near[name] - w)) for near in nearby) + EPS * np.max(np.abs(w)))
        for name, w in here.items()
    }


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
