"""Read a derivative off a ladder of steps, from noise to truncation, with a bound that it knows itself.

A rung is a central (or one-sided) difference quotient with its noise bar. At the smallest step the bar is wide but
honest; larger steps are believed only while they agree with every smaller one (Lepski, Theory Probab. Appl. 35,
1991), and the truncation of a rung is inferred from the next larger one (Richardson). Nothing here calls a function:
rungs in, a reading out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

_FLAT = 0.3
"""How much a slope may drift over its rungs and still be called flat. Truncation drifts by the square of the step
ratio and noise by its inverse, both by factors of 4 and more between the rungs used; a wrong gradient does not drift
at all."""

_SPAN = 8.0
"""Over how wide a range of steps a slope has to stay flat to be called a fact: noise of one size would fall 8-fold
over it, truncation rise 64-fold."""

NEAR = 0.1
"""Steps are in units of the inputs' own size: what shows only beyond a tenth of it belongs to another point."""


@dataclass(frozen=True)
class Rung:
    """One difference quotient: `slope` at `step`, believed to `noise` (already widened by its safety factor).

    >>> Rung(step=1e-3, slope=2.0, noise=1e-12)
    Rung(step=0.001, slope=2.0, noise=1e-12)
    """

    step: float
    slope: float
    noise: float


@dataclass(frozen=True)
class Reading:
    """A slope with its bound. `persists`: the slope is not zero, at every step small enough that noise can resolve it.

    `limit` says what made the bound as wide as it is: "noise" asks for larger steps, "truncation" for smaller ones.
    """

    value: float
    error: float
    step: float
    persists: bool
    limit: str

    @property
    def is_zero(self) -> bool:
        """Whether zero lies within the bound."""
        return abs(self.value) <= self.error


def read(rungs: Sequence[Rung]) -> Reading:
    """The best bound that the rungs support.

    rungs: at least one, in any order. Raises ValueError if there is none.

    The slope of x³ at 1 by central differences is 3 + h²: the small steps know that the large one is off.

    >>> reading = read([Rung(h, 3 + h * h, 1e-15 / h) for h in (1e-6, 1e-5, 1e-3, 1e-1)])
    >>> abs(reading.value - 3) <= reading.error < 1e-8
    True
    """
    if not rungs:
        raise ValueError("a reading needs at least one rung, got none; widen the ladder")
    ladder = sorted(rungs, key=lambda rung: rung.step)
    bounds = [_truncation(ladder, j) + rung.noise for j, rung in enumerate(ladder)]
    best = 0
    for j in range(1, len(ladder)):
        agrees = all(abs(ladder[j].slope - ladder[i].slope) <= bounds[i] + bounds[j] for i in range(j))
        if agrees and bounds[j] < bounds[best]:
            best = j
    value, error = ladder[best].slope, bounds[best]
    limit = "noise" if ladder[best].noise >= 0.5 * error else "truncation"
    persists = abs(value) > error and _persists(ladder, value)
    return Reading(value, error, ladder[best].step, persists, limit)


def _truncation(ladder: Sequence[Rung], j: int) -> float:
    """What rung j may owe to its step: the change to the next larger rung, scaled down; at the top, the change
    itself.
    """
    here = ladder[j]
    if j + 1 < len(ladder):
        above = ladder[j + 1]
        shrink = min(
            1.0, 1 / (above.step / here.step - 1)
        )  # as if ∝ step: a jump in the second derivative is enough for that
        estimate = shrink * max(0.0, abs(above.slope - here.slope) - above.noise - here.noise)
    else:
        estimate = abs(here.slope - ladder[j - 1].slope) if j else math.inf
    if j:
        below = ladder[j - 1]
        seen = abs(here.slope - below.slope) - here.noise - below.noise
        estimate = max(estimate, seen)
    return estimate


def _persists(ladder: Sequence[Rung], value: float) -> bool:
    """Whether the slope is there at every step at which the noise could show that it is not."""
    flat: list[Rung] = []
    for rung, above in zip_longest(ladder, ladder[1:]):  # from the smallest step up, until truncation sets in
        readings = [rung, *_extrapolated(rung, above)] if above else [rung]
        telling = [reading for reading in readings if reading.noise < 0.25 * abs(value)]
        if telling and all(abs(reading.slope - value) > _FLAT * abs(value) for reading in telling):
            break
        flat += [rung] if telling else []
    return len(flat) >= 3 and flat[0].step <= NEAR and flat[-1].step >= _SPAN * flat[0].step


def _extrapolated(here: Rung, above: Rung) -> list[Rung]:
    """The rung without its truncation ∝ step² (Richardson), which stays flat up to steps several times as long.

    Of near neighbours only: over a ratio above 4 the next term, ∝ step⁴, would be multiplied by more than that squared.
    """
    square = (above.step / here.step) ** 2
    if not 2 <= square <= 16:
        return []
    slope, noise = (square * here.slope - above.slope), (square * here.noise + above.noise)
    return [Rung(here.step, slope / (square - 1), noise / (square - 1))]
