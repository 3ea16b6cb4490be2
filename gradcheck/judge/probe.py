"""Probe: move one block along one direction and read, for several cotangents at once, how far the claim is from the
change seen.

With φ(t) = ⟨v, f(x + t u)⟩ the *residual* slope is φ'(0) − ⟨Jᵀv, u⟩, which is zero for a right gradient. One sweep of
forward calls yields f's whole change, so every cotangent shares it. Steps are the realised ones: x⁺ − x⁻ as rounded,
never 2t.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from gradcheck.judge.bench import Array, Bench, ForwardError, as_real, like
from gradcheck.numeric.ladder import NEAR, Reading, Rung, read

Blocks = int | tuple[int, ...]
"""The position of the input that moves, or of several that move together."""

SAFETY = 8.0
"""How many estimated standard deviations of noise a bar is wide. An estimate from two samples is below 1/5 of the
truth once in 25 (χ² with 2 degrees of freedom), below 1/8 once in 60; persistence over several rungs covers the
rest."""

GOAL = 3e-9
"""The resolution that ends a clean float64 sweep early: a block off by one part in 10⁸ must be seen (three bounds
away).
"""

MAX_RUNGS = 11
"""Pairs of forward calls a direction may cost: three make the first reading, the others are asked for by
disagreement.
"""


@dataclass(frozen=True)
class Scale:
    """The steps that suit a precision: noise ~ eps/t and truncation ~ t² cross near eps^⅓."""

    eps: float

    @property
    def small(self) -> float:
        """Half of eps^0.345: 2e-6 in float64, 2e-3 in float32; third differences there are below rounding."""
        return float(0.5 * self.eps**0.345)

    @property
    def large(self) -> float:
        """eps^0.2: 7e-4 in float64, 4e-2 in float32: tells truncation from noise at the small steps."""
        return float(self.eps**0.2)

    @property
    def goal(self) -> float:
        """GOAL in float64, its like (eps^⅔ up to a constant) elsewhere: 2e-3 in float32."""
        return float(max(GOAL, 0.02 * self.small))


@dataclass
class Sweep:
    """What one direction has shown. Arrays of slopes and scales have one entry a cotangent; those of outputs one an
    output.
    """

    position: Blocks
    direction: Array
    claimed: Array  # ⟨c, u⟩
    weight: Array  # Σ|c||u|: the scale that a resolution is relative to
    claim_noise: Array  # what ⟨c, u⟩ may owe to rounding inside backward
    eps: float
    slack: float = 1.0
    steps: list[float] = field(default_factory=list)
    slopes: list[Array] = field(default_factory=list)  # residual slopes
    sides: list[tuple[Array, Array]] = field(default_factory=list)  # residual slopes to the right and to the left
    changes: list[Array] = field(default_factory=list)  # how much φ changed at all
    dead: list[bool] = field(default_factory=list)  # no output changed at all
    grain: Array = field(
        default_factory=lambda: np.zeros(0)
    )  # how large a change of φ a coarser float could have swallowed
    sigma: Array = field(default_factory=lambda: np.zeros(0))  # noise of φ
    spread: Array | None = None  # noise of each output
    response: Array | None = None  # |change| of each output per unit step
    kinked: Array | None = None  # outputs with a kink or a jump at the point itself, along this direction
    jumping: Array | None = None
    sided: tuple[Array, Array, Array] | None = None  # slopes of each output to the right, to the left, and their bound
    edge: int = 0  # f is defined on one side only: 1 right, −1 left

    def readings(self) -> list[Reading]:
        """One reading a cotangent. An edge of the domain leaves one-sided quotients, whose truncation is of lower
        order.
        """
        return [self.reading(k) for k in range(len(self.claimed))] if self.steps else []

    def reading(self, k: int) -> Reading:
        """What the rungs say of cotangent k, the bound widened by the caller's slack."""
        reading = read(self.rungs(k))
        if self.slack == 1.0:
            return reading
        error = self.slack * reading.error
        return replace(reading, error=error, persists=reading.persists and abs(reading.value) > error)

    @property
    def still(self) -> bool:
        """Whether no output changed at any step that is still near."""
        return all(dead for t, dead in zip(self.steps, self.dead, strict=True) if t <= NEAR)

    def bend(self, k: int) -> float | None:
        """The step from which on the slopes right and left differ by the same amount: a kink that noise hides further
        down.

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

    def rungs(self, k: int) -> list[Rung]:
        """The rungs of cotangent k. Where nothing changes at some steps f may be quantised: the smallest change seen
        is a quantum.
        """
        base, floor = SAFETY * float(self.sigma[k]), float(self.claim_noise[k])
        if any(self.dead):
            quanta = [float(c[k]) for c, dead in zip(self.changes, self.dead, strict=True) if not dead]
            if self.still or self.grain[k]:
                quanta.append(SAFETY * float(self.grain[k]))
            base = max(base, min(quanta))
        rows = zip(
            self.steps, self.slopes, self.changes, strict=True
        )  # after a long step y itself is larger, and so its rounding
        return [
            Rung(t, float(slope[k]), max(base, 0.25 * SAFETY * self.eps * float(change[k])) / t + floor)
            for t, slope, change in rows
        ]


class Prober:
    """Sweeps of one bench; remembers the noise of each output and the precision that f really has."""

    def __init__(self, bench: Bench, origin: Array, slack: float = 1.0) -> None:
        self.bench = bench
        self.origin = origin
        self.slack = slack
        self._sizes = _sizes(bench, origin)
        self._grain = _grain(origin)
        self.face = 0.0  # eps of a lower precision found behind a higher one
        self._spreads: dict[Blocks, Array] = {}

    def forget(self, position: Blocks) -> None:
        """Measure noise and look for kinks anew at the next sweep of this block: along another kind of direction."""
        self._spreads.pop(position, None)

    def scale(self, position: Blocks) -> Scale:
        """The precision at which a block is judged: the coarsest of its own, the outputs' and what is found behind
        them.
        """
        if self.bench.twin:
            return Scale(max(float(np.finfo(np.float64).eps), self.face))
        own = [np.finfo(self.bench.primals[p].dtype).eps for p in _each(position)]
        outs = [np.finfo(m.dtype).eps for m in self.bench.models if m.dtype.kind in "fc"]
        return Scale(float(max([*own, *outs, self.face])))

    def unit(self, position: Blocks) -> Array:
        """The natural length of a move of each entry: its own size, the block's where it is far smaller, 1 where all
        are zero.

        A block with a large common offset (batch norm at mean 1e6) lives on the scale of its spread, not of its mean.
        """
        if isinstance(position, tuple):
            return np.concatenate([self.unit(p) for p in position])
        x = np.abs(as_real(self.bench.primals[position]).astype(np.float64))
        x = np.where(np.isfinite(x), x, 0.0)
        nonzero = x[x > 0]
        if not nonzero.size:
            return np.ones_like(x)
        typical = float(np.median(nonzero))
        size = np.where(x == 0, typical, np.maximum(x, 1e-2 * typical))
        if x.size > 1:
            values = as_real(self.bench.primals[position]).astype(np.float64)
            spread = float(np.std(values[np.isfinite(values)]))
            if spread > 1e-9 * typical:
                size = np.minimum(size, max(10 * spread, 1e-9 * typical))
        return size

    def move(self, position: Blocks, direction: Array, t: float) -> tuple[dict[int, Array], Array]:
        """The moved inputs by position and the realised displacement, flat, in float64 or longdouble."""
        moved, displacements, start = {}, [], 0
        for p in _each(position):
            primal = self.bench.primals[p]
            flat = as_real(primal)
            wide = np.longdouble if flat.dtype == np.longdouble else np.float64
            model = primal.astype(wide) if self.bench.twin else primal
            part = (flat + wide(t) * direction[start : start + flat.size]).astype(as_real(model).dtype)
            moved[p] = like(part, model)
            displacements.append(part.astype(wide) - flat.astype(wide))
            start += flat.size
        return moved, displacements[0] if len(displacements) == 1 else np.concatenate(displacements)

    def at(self, position: Blocks, direction: Array, t: float) -> tuple[Array, Array] | None:
        """(realised displacement, outputs) at x + t u, or None where f raises there or is not finite where it was."""
        moved, displacement = self.move(position, direction, t)
        if not np.all(np.isfinite(displacement)):
            return None
        try:
            outputs = self.bench.value(moved)
        except ForwardError:
            return None
        if outputs.shape != self.origin.shape or not np.all(np.isfinite(outputs) | ~np.isfinite(self.origin)):
            return None
        return displacement, outputs

    def sweep(
        self,
        position: Blocks,
        direction: Array,
        cotangents: Array,
        claims: Sequence[Array],
        claim_noise: Array | None = None,
        *,
        rungs: int = MAX_RUNGS,
        start: float | None = None,
    ) -> Sweep:
        """Climb the ladder until every cotangent is settled: agreeing to the goal, or persistently wrong, or out of
        rungs.

        start: the first step, where noise hides what the usual ones would show.
        direction: flat, in the units of the block; cotangents (K, M); claims: K flat gradients of this block.
        Raises BudgetError. The sweep has no steps if f is defined on neither side of the point.
        """
        scale = self.scale(position)
        sweep = Sweep(
            position,
            direction,
            claimed=np.array([float(c @ direction) for c in claims]),
            weight=np.array([float(np.abs(c) @ np.abs(direction)) for c in claims]),
            claim_noise=self._claim_noise(direction, cotangents, claims, claim_noise, scale.eps),
            eps=scale.eps,
            slack=self.slack,
            grain=self._grain * _project(cotangents, self._sizes),
        )
        first = start or scale.small
        for _ in range(8):  # near the edge of a domain the first steps may leave it
            if self._start(sweep, first, cotangents, claims):
                break
            first /= 30
        else:
            return sweep
        self._add(sweep, max(scale.large, 30 * first) if first >= scale.small else 15 * first, cotangents, claims)
        while self.face <= scale.eps and len(sweep.steps) < rungs and (step := self._wanted(sweep, scale)):
            if not self._add(sweep, step, cotangents, claims):
                break
        if self.face > scale.eps:  # the steps were those of a finer precision than f really has
            self.forget(position)
            return self.sweep(position, direction, cotangents, claims, claim_noise, rungs=rungs, start=start)
        return sweep

    # -- rungs --------------------------------------------------------------------------------------------------

    def _start(self, sweep: Sweep, t: float, cotangents: Array, claims: Sequence[Array]) -> bool:
        """The first rungs, and with them the noise of each output; False where f is not defined that near."""
        known = self._spreads.get(sweep.position)
        if known is not None:
            sweep.spread = known
        else:
            spread = self._cluster(sweep, t, cotangents, claims)
            if spread is None:
                return bool(sweep.edge)
            rounding = sweep.eps * float(np.max(np.abs(self.origin), initial=0.0))
            if float(np.max(spread, initial=0.0)) > 50 * rounding and t > 1e-12:
                # noise does not shrink with the step; what a steep function does in four steps does
                again = self._cluster(sweep, t / 30, cotangents, claims)
                spread = spread if again is None else np.minimum(spread, again)
            sweep.spread = self._spreads[sweep.position] = spread
        sweep.sigma = _project(cotangents, sweep.spread)
        return known is None or self._add(sweep, 2 * t, cotangents, claims)

    def _cluster(self, sweep: Sweep, t: float, cotangents: Array, claims: Sequence[Array]) -> Array | None:
        """Two rungs, at t and 2t; their third and fourth differences are noise (Moré & Wild, SISC 33, 2011)."""
        at = {side: self.at(sweep.position, sweep.direction, side * t) for side in (1, -1, 2, -2)}
        if at[1] is None or at[-1] is None or at[2] is None or at[-2] is None:
            side = 1 if at[1] is not None and at[2] is not None else -1
            if at[-side] is None and at[side] is not None and at[2 * side] is not None and t < 1e-9:
                self._settle_edge(sweep, side, t, cotangents, claims)
            return None
        (_, yp), (_, ym), (_, zp), (_, zm) = at[1], at[-1], at[2], at[-2]
        self._find_face(yp, sweep)
        third = np.abs((zp - zm) - 2 * (yp - ym)) / np.sqrt(10)
        near, far = yp + ym - 2 * self.origin, zp + zm - 2 * self.origin
        floor = sweep.eps * self._sizes
        if sweep.kinked is None:
            self._find_kinks(sweep, near, far, np.maximum(third, floor))
            right = (4 * (yp - self.origin) - (zp - self.origin)) / (2 * t)
            left = (4 * (self.origin - ym) - (self.origin - zm)) / (2 * t)
            curve = np.abs((zp - zm) - 2 * (yp - ym)) / t + np.abs(far - 2 * near) / t
            sweep.sided = (right, left, SAFETY * np.maximum(third, floor) / t + curve) if np.any(sweep.kinked) else None
        fourth = np.where(np.asarray(sweep.kinked), 0.0, np.abs(far - 4 * near) / np.sqrt(70))
        spread = np.sqrt(0.5 * (third**2 + fourth**2) + floor**2)
        spread[~np.isfinite(spread)] = 0.0
        self._record(sweep, t, at[1], at[-1], cotangents, claims)
        self._record(sweep, 2 * t, at[2], at[-2], cotangents, claims)
        if sweep.response is None:
            sweep.response = np.abs(zp - zm) / (4 * t)
        return np.asarray(spread)

    def _settle_edge(self, sweep: Sweep, side: int, t: float, cotangents: Array, claims: Sequence[Array]) -> None:
        """However small the step, f is defined on one side only: one-sided rungs from here on."""
        sweep.edge = side
        sweep.spread = sweep.eps * self._sizes
        sweep.sigma = 4 * _project(cotangents, sweep.spread)
        for step in (t, 30 * t, 900 * t, 27000 * t):
            self._add(sweep, step, cotangents, claims)

    def _add(self, sweep: Sweep, t: float, cotangents: Array, claims: Sequence[Array]) -> bool:
        """One more rung at t, central or, at an edge, one-sided with its doubled step; False where f is not defined
        there.
        """
        side = sweep.edge or 1
        first = self.at(sweep.position, sweep.direction, side * t)
        second = self.at(sweep.position, sweep.direction, side * 2 * t if sweep.edge else -t)
        if first is None or second is None:
            return False
        if t <= NEAR:
            self._find_face(first[1], sweep)
        self._record(sweep, t, first, second, cotangents, claims)
        return True

    def _record(
        self,
        sweep: Sweep,
        t: float,
        first: tuple[Array, Array],
        second: tuple[Array, Array],
        cotangents: Array,
        claims: Sequence[Array],
    ) -> None:
        here = self._residual(first, cotangents, claims)
        if sweep.edge:  # Richardson: 2 R(t)/t − R(2t)/2t
            slope = sweep.edge * (4 * here - self._residual(second, cotangents, claims)) / (2 * t)
            difference = first[1] - self.origin
        else:
            difference = first[1] - second[1]
            difference[~np.isfinite(self.origin)] = 0
            step = first[0] - second[0]
            slope = (cotangents @ difference - np.array([float(c @ step) for c in claims])) / (2 * t)
        slope = np.asarray(slope, dtype=float)
        sweep.steps.append(t)
        sweep.slopes.append(slope)
        sweep.sides.append((here / t, 2 * slope - here / t))
        sweep.changes.append(_project(cotangents, difference))
        sweep.dead.append(not difference.any())

    def _residual(self, there: tuple[Array, Array], cotangents: Array, claims: Sequence[Array]) -> Array:
        displacement, outputs = there
        change = outputs - self.origin
        change[~np.isfinite(self.origin)] = 0
        return np.asarray(cotangents @ change - np.array([float(c @ displacement) for c in claims]), dtype=float)

    def _wanted(self, sweep: Sweep, scale: Scale) -> float | None:
        """The next step to try, None when every cotangent is settled."""
        low, high = min(sweep.steps), max(sweep.steps)
        if (
            sweep.still and not sweep.weight.any()
        ):  # nothing claimed, nothing seen: one long step, past any quantum, settles it
            return 0.3 if high < 0.3 else None
        down = []
        wishes = set()
        for k, reading in enumerate(sweep.readings()):
            size = max(float(sweep.weight[k]), abs(reading.value))
            if reading.persists and low < 0.1 * scale.small:
                continue
            if reading.is_zero and reading.error <= scale.goal * size:
                continue
            if not reading.is_zero:  # is it there at smaller steps too, as far down as noise lets one see?
                room = 0.25 * abs(reading.value) / max(SAFETY * float(sweep.sigma[k]) / low, 1e-300)
                if room > 2 and low > 1e-13:
                    down.append(min(30.0, room))
                elif not reading.persists:
                    wishes.add("between" if reading.step < high else "larger")
            elif reading.limit == "truncation" and reading.step == low and low > 1e-13:
                down.append(30.0)
            else:
                wishes.add("larger" if reading.step == high else "between")
        if down:
            return low / max(down)
        if "larger" in wishes and high < 1e4:
            return 8 * high if high >= scale.large else 15 * high
        if "between" in wishes:
            ladder = sorted(sweep.steps)
            ratio, j = max((b / a, j) for j, (a, b) in enumerate(pairwise(ladder)))
            return float(np.sqrt(ladder[j] * ladder[j + 1])) if ratio > 6 else None
        return None

    # -- what the first rungs show ------------------------------------------------------------------------------

    def _find_kinks(self, sweep: Sweep, near: Array, far: Array, noise: Array) -> None:
        """Outputs whose even part does not shrink like t²: like t at a kink, not at all at a jump."""
        quiet = np.maximum(noise, float(np.sqrt(np.mean(noise**2))) if noise.size else 0.0)
        a, b = np.abs(near), np.abs(far)
        seen = (a > 30 * quiet) & np.isfinite(a) & np.isfinite(b)
        sweep.kinked = seen & (b < 2.9 * a)  # smooth: ×4; kink: ×2; jump: ×1
        sweep.jumping = sweep.kinked & (b < 1.4 * a)

    def _find_face(self, outputs: Array, sweep: Sweep) -> None:
        """Outputs that moved and are all float32 (float16) numbers were computed so, whatever their dtype says."""
        moved = outputs != self.origin
        if self.face or not moved.any():
            return
        values = outputs[moved]
        if _is_simple(values):
            return
        for lower in (np.float16, np.float32):
            eps = float(np.finfo(lower).eps)
            if eps > sweep.eps and np.array_equal(values, values.astype(lower)):
                self.face = eps
                return

    def _claim_noise(
        self, direction: Array, cotangents: Array, claims: Sequence[Array], moved: Array | None, eps: float
    ) -> Array:
        """How much ⟨c, u⟩ may owe to the rounding inside backward.

        A few ulps of each entry, a few of ⟨v, y⟩ (a gradient that is really zero is the rounding of terms of that
        size), and what moving the inputs by an ulp has shown.
        """
        if self.bench.twin:
            eps = float(np.finfo(np.float16).eps)
        weights = np.array([np.linalg.norm(c * direction) for c in claims])
        floor = 4 * eps * np.array([float(np.abs(c) @ np.abs(direction)) for c in claims])
        floor += 4 * eps * _project(cotangents, self._sizes)
        if moved is None or not weights[0]:
            return floor
        wobble = moved * direction
        size = max(abs(float(wobble.sum())), float(np.linalg.norm(wobble)))
        return np.asarray(floor + 3 * size * weights / weights[0])


def _is_simple(values: Array) -> bool:
    """Numbers of six bits: the steps of a step function, or the inputs' own simple values; they say nothing of a
    precision.
    """
    mantissas = np.frexp(values)[0] * 64
    return np.array_equal(mantissas, np.round(mantissas))


def _grain(origin: Array) -> float:
    """Eps of the coarsest float that a value could have been computed in: what it cannot hold is not seen to change."""
    for lower in (np.float16, np.float32):
        if np.array_equal(origin, origin.astype(lower), equal_nan=True) and not (
            lower is np.float16 and _is_simple(origin)
        ):
            return float(np.finfo(lower).eps)
    return 0.0


def _each(position: Blocks) -> tuple[int, ...]:
    return position if isinstance(position, tuple) else (position,)


def _project(cotangents: Array, spread: Array) -> Array:
    """The noise of ⟨v, y⟩: outputs round independently, and random signs keep equal roundings from adding up."""
    return np.asarray(np.sqrt((cotangents**2) @ (spread**2)), dtype=float)


def _sizes(bench: Bench, origin: Array) -> Array:
    """What an output's rounding is relative to: half the largest entry of its array, since small entries come of
    cancellation.
    """
    sizes = np.zeros(origin.shape)
    start = 0
    for model in bench.models:
        if model.dtype.kind in "fc" and model.size:
            stop = start + model.size * (2 if model.dtype.kind == "c" else 1)
            part = np.abs(origin[start:stop])
            sizes[start:stop] = 0.5 * float(np.max(part[np.isfinite(part)], initial=0.0))
            start = stop
    return sizes
