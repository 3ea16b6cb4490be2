"""Sweep: what moving along one direction has shown, rung by rung, and how it is read."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from gradcheck.judge.moves import Blocks, Glimpse, Line
from gradcheck.judge.reals import Array
from gradcheck.numeric.ladder import NEAR, Reading, Rung, read

SAFETY = 8.0
"""How many estimated standard deviations of noise a bar is wide. An estimate from two samples is below 1/5 of the truth
once in 25 (χ² with 2 degrees of freedom), below 1/8 once in 60; persistence over several rungs covers the rest."""


@dataclass
class Sweep:
    """The rungs of one line. Arrays of slopes have one entry a cotangent, arrays of outputs one an output (or a
    sample).
    """

    line: Line
    claimed: Array  # ⟨c, u⟩
    weight: Array  # Σ|c||u|: the scale that a resolution is relative to
    claim_noise: Array  # what ⟨c, u⟩ may owe to rounding inside backward
    grain: Array  # how large a change of φ could have been swallowed where nothing moves at all
    size: Array  # ‖v∘y‖: what noise of φ is relative to
    eps: float
    ulp: float  # the largest ulp of an entry that moves, as a step
    slack: float = 1.0
    steps: list[float] = field(default_factory=list)
    slopes: list[Array] = field(default_factory=list)  # residual slopes
    sides: list[tuple[Array, Array]] = field(default_factory=list)  # residual slopes to the right and to the left
    evens: list[Array] = field(default_factory=list)  # the even part of φ's residual: what curves
    changes: list[Array] = field(default_factory=list)  # how much φ changed at all
    dead: list[bool] = field(default_factory=list)  # no output changed at all
    sigma: Array = field(default_factory=lambda: np.zeros(0))  # noise of φ
    spread: Array | None = None  # noise of each output
    response: Array | None = None  # |change| of each output per unit step
    kinked: Array | None = None  # outputs with a kink or a jump at the point itself, along this line
    jumping: Array | None = None
    sided: tuple[Array, Array, Array] | None = None  # slopes of each output to the right and to the left, their bound
    edge: int = 0  # f is defined on one side only: 1 right, −1 left
    lean: bool = False  # arrays of outputs hold a sample

    @property
    def position(self) -> Blocks:
        """The block that moves."""
        return self.line.position

    @property
    def direction(self) -> Array:
        """The direction it moves in."""
        return self.line.direction

    @property
    def has_kinks(self) -> bool:
        """Whether some output was found to have a kink at the point."""
        return self.kinked is not None and bool(self.kinked.any())

    @property
    def still(self) -> bool:
        """Whether no output changed at any step that is still near."""
        return all(dead for t, dead in zip(self.steps, self.dead, strict=True) if t <= NEAR)

    def record(self, t: float, first: Glimpse, second: Glimpse) -> None:
        """Add the rung of step t: from both sides or, at an edge, from t and 2t of the one side there is."""
        if self.edge:  # Richardson: 2 R(t)/t − R(2t)/2t
            slope = self.edge * (4 * first.residual - second.residual) / (2 * t)
        else:
            slope = (first.residual - second.residual) / (2 * t)
        right = first.residual / t
        self.steps.append(t)
        self.slopes.append(slope)
        self.sides.append((right, 2 * slope - right))
        self.evens.append(np.zeros_like(slope) if self.edge else np.abs(first.residual + second.residual))
        self.changes.append(first.change + second.change)
        self.dead.append(not (first.moved or second.moved))

    def find_kinks(self, near: Array, far: Array, noise: Array) -> None:
        """Outputs whose even part, at t and at 2t, does not shrink like t²: like t at a kink, not at all at a jump."""
        quiet = np.maximum(noise, float(np.sqrt(np.mean(noise**2))) if noise.size else 0.0)
        a, b = np.abs(near), np.abs(far)
        seen = (a > 30 * quiet) & np.isfinite(a) & np.isfinite(b)
        self.kinked = seen & (b < 2.9 * a)  # smooth: ×4; kink: ×2; jump: ×1
        self.jumping = self.kinked & (b < 1.4 * a)

    def readings(self) -> list[Reading]:
        """One reading a cotangent; none where no rung could be had."""
        return [self.reading(k) for k in range(len(self.claimed))] if self.steps else []

    def reading(self, k: int) -> Reading:
        """What the rungs say of cotangent k, the bound widened by the caller's slack."""
        reading = read(self.rungs(k))
        if reading.persists and (saw := self._sawtooth(k, reading)) is not None:
            reading = saw
        if self.slack == 1.0:
            return reading
        error = self.slack * reading.error
        return replace(reading, error=error, persists=reading.persists and abs(reading.value) > error)

    def _sawtooth(self, k: int, reading: Reading) -> Reading | None:
        """The reading far out, if what persists at small steps is the slope between two jumps of a noisy f.

        An iterative solver's answer has slopes of its own below its tolerance. They are told from a wrong gradient by
        what they amount to: not above 1e-6 of the values however large the step, so that a hundred times further out
        the disagreement is gone. Truncation cannot do that: it leaves a flat slope within twice the step and grows.
        """
        rungs = sorted(self.rungs(k), key=lambda rung: rung.step)
        end = max(r.step for r in rungs if abs(r.slope - reading.value) <= 0.3 * abs(reading.value))
        far = [rung for rung in rungs if rung.step >= 100 * end]
        if not far:
            return None
        top = min(far, key=lambda rung: abs(rung.slope))
        jump = max(abs(r.slope) * r.step for r in rungs if r.step <= top.step)
        if jump > 1e-6 * float(self.size[k]) or abs(top.slope) > abs(reading.value) / 30:
            return None
        return replace(
            reading, value=top.slope, error=2 * jump / top.step, step=top.step, persists=False, limit="noise"
        )

    def rungs(self, k: int) -> list[Rung]:
        """The rungs of cotangent k, each with its noise bar.

        Where nothing changes at some steps f may be quantised, and the smallest change seen is a quantum. After a
        long step y itself is larger, and so is its rounding. Steps to the right and to the left differ by an ulp of x,
        and by that much of the even part: at the optimum of a square this is all there is.
        """
        base, floor = SAFETY * float(self.sigma[k]), float(self.claim_noise[k])
        if self.still:
            base = max(base, SAFETY * float(self.grain[k]))
        elif any(self.dead):
            base = max(base, min(float(c[k]) for c, dead in zip(self.changes, self.dead, strict=True) if not dead))
        return [
            Rung(
                t,
                float(slope[k]),
                max(base, 0.25 * SAFETY * self.eps * float(change[k])) / t + floor + float(even[k]) * self.ulp / t**2,
            )
            for t, slope, change, even in zip(self.steps, self.slopes, self.changes, self.evens, strict=True)
        ]

    def told_from(self, k: int, value: float) -> float:
        """The smallest step at which noise leaves a slope of this size to be seen; 0 where none does."""
        return min((rung.step for rung in self.rungs(k) if rung.noise < 0.25 * abs(value)), default=0.0)

    def bend(self, k: int) -> float | None:
        """The step from which on the slopes right and left differ by one amount: a kink that noise hides further down.

        Smooth functions close that gap in proportion to the step. None where there is no gap beyond the noise.
        """
        gaps = sorted(
            (t, abs(float(right[k] - left[k])), 2 * rung.noise)
            for t, (right, left), rung in zip(self.steps, self.sides, self.rungs(k), strict=True)
        )
        seen = [(t, gap) for t, gap, noise in gaps if gap > 4 * noise]
        for (t, gap), (above, wider) in pairwise(seen):
            if gap > 4 * wider * t / above:
                return t
        return None
