"""Outcome: what the sweeps of one block add up to, and how small an error they could have seen."""

import math
from typing import NamedTuple

from gradcheck.judge.reals import Array
from gradcheck.judge.sweep import Sweep

USABLE = 1e-3
"""The coarsest resolution that is still called a PASS: an error of half a percent has to be seen even in float32."""


def usable(eps: float) -> float:
    """The coarsest resolution that is a PASS in a precision: USABLE, or 64 ulps where dtypes are coarser than that.

    Not above a quarter, in bfloat16: a factor of 1.5 is off by a third of what is claimed.
    """
    return max(USABLE, min(64 * eps, 0.25))


class Seen(NamedTuple):
    """What one cotangent showed along one direction; the smaller, the clearer."""

    relative: float  # bound over scale
    bound: float  # the slope that could have gone unseen
    scale: float  # the size of slope that was seen
    claimed: float = math.nan
    numeric: float = math.nan
    error: float = math.inf  # of the numeric slope


UNSEEN = Seen(math.inf, math.inf, 0.0)


class Outcome:
    """What the sweeps of one block add up to."""

    def __init__(self, label: str | int, eps: float) -> None:
        self.label = label
        self.failed = False
        self.forgiven = False
        self.reason = ""
        self.best: Seen | None = None
        self.doubtful: Seen | None = None
        self.rounding = 0.0
        self.secant = 0.0  # the largest change of φ per unit step: what a slope of zero is relative to
        self.eps = eps
        self.moved = False
        self.response: Array | None = None

    def take(self, sweep: Sweep) -> None:
        """Add a sweep. The clearest of its cotangents speaks for it, unless one disagrees without being able to
        persist.
        """
        clean: list[Seen] = []
        doubtful: list[Seen] = []
        for k, reading in enumerate(sweep.readings()):
            seen = float(sweep.weight[k])
            if not sweep.still:
                seen = max(seen, abs(float(sweep.claimed[k]) + reading.value))
            bound = reading.error if reading.is_zero else abs(reading.value) + reading.error
            claimed = float(sweep.claimed[k])
            row = Seen(bound / seen if seen else math.inf, bound, seen, claimed, claimed + reading.value, reading.error)
            (clean if reading.is_zero else doubtful).append(row)
            self.rounding = max(self.rounding, float(sweep.claim_noise[k]))
        self.moved |= not sweep.still
        self.secant = max([self.secant, *(float(c.max()) / t for t, c in zip(sweep.steps, sweep.changes, strict=True))])
        self.eps = max(self.eps, sweep.eps)
        if sweep.response is not None and self.response is None:
            self.response = sweep.response
        if doubtful:
            self.doubtful = max([*doubtful, *([self.doubtful] if self.doubtful else [])])
        elif self.best is None or min(clean) < self.best:
            self.best = min(clean)

    def replace(self, sweep: Sweep) -> None:
        """Let another sweep speak for the block: what the last one disagreed about has an explanation."""
        self.best = self.doubtful = None
        self.take(sweep)

    def settle(self) -> None:
        """Leave out the last disagreement, which has an explanation."""
        self.doubtful = None

    def forgive(self) -> None:
        """Leave out the last disagreement, which is that of a kink nearby: what keeps off it is still to be told."""
        self.settle()
        self.forgiven = True

    @property
    def judged(self) -> Seen:
        """What counts."""
        return self.doubtful or self.best or UNSEEN

    @property
    def scale(self) -> float:
        """The size of slope that was seen."""
        return self.judged.scale

    @property
    def bound(self) -> float:
        """The slope that could have gone unseen."""
        return self.judged.bound

    def resolution(self, loudest: float) -> float:
        """The smallest relative error that would have been seen.

        A gradient that is zero as far as can be seen (a bias before batch norm, a dead unit) is measured against the
        block that answers most: its own scale is rounding.
        """
        relative, bound, scale, *_ = self.judged
        if relative <= usable(self.eps):
            return relative
        if not self.moved and scale <= 20 * self.rounding:
            return 0.0  # f does not change at all, and the claim is zero but for rounding
        if bound <= 1e-6 * self.secant:
            return bound / self.secant  # an optimum: the slope is zero where f curves
        if scale <= max(20 * self.rounding, 2 * bound) and loudest > 0 and bound <= 1e-6 * loudest:
            return bound / loudest
        return relative
