"""Probe: move one block along one line and read, for several cotangents at once, how far the claim is from the change
seen.

With φ(t) = ⟨v, f(x + t u)⟩ the *residual* slope is φ'(0) − ⟨Jᵀv, u⟩, which is zero for a right gradient. One sweep of
forward calls yields f's whole change, so every cotangent shares it. Steps are the realised ones: x⁺ − x⁻ as rounded,
never 2t.
"""

from collections.abc import Sequence

import numpy as np

from gradcheck.floats import differentiable, eps_of, limits
from gradcheck.judge.bench import Bench
from gradcheck.judge.moves import Blocks, Line, Moves, each, project
from gradcheck.judge.precision import Scale, face_of, grain_of, sizes_of, underflow_of
from gradcheck.judge.reals import Array
from gradcheck.judge.rungs import wanted
from gradcheck.judge.sweep import SAFETY, Sweep
from gradcheck.judge.wobble import shaken
from gradcheck.numeric.ladder import NEAR

MAX_RUNGS = 11
"""Pairs of forward calls a line may cost: three make the first reading, the others are asked for by disagreement."""


_FEW, _FEW_HALVES = 4.0, 2.0
"""How many ulps are a few. Of half precisions, whose ulps are what limits a verdict, fewer: of 894 right claims of
torch.nn in bfloat16 one in a hundred is off by more than a third of what that makes."""

NOT_WRONG = 1e-11
"""No mistake is as small as this: what is off by a thousandth of the least error that has to be seen rounds, as in an
ill-conditioned solve, whose condition no move of its inputs shows."""


class Prober(Moves):
    """Sweeps of one bench; remembers the noise of each output and the precision that f really has."""

    def __init__(self, bench: Bench, origin: Array, slack: float = 1.0) -> None:
        super().__init__(bench, origin)
        self.slack = slack
        self.slow = 1.0  # the longest step over which f is slow
        self.face = 0.0  # eps of a lower precision found behind a higher one
        self._sizes = sizes_of(bench, origin)
        self._grain = grain_of(origin[:: self.stride(full=False)])
        lowest = [limits(np.dtype(float) if bench.twin else m.dtype).tiny for m in bench.models if differentiable(m)]
        self._tiny = float(
            max([*lowest, np.finfo(np.float32).tiny if self._grain else 0.0])
        )  # subnormals round coarsely
        self.underflow = underflow_of(bench, origin)
        self._spreads: dict[Blocks, Array] = {}
        self._shaken: Array | None = None  # how far an ulp's move of the inputs takes each output

    def scale(self, position: Blocks) -> Scale:
        """The precision at which a block is judged: the coarsest of its own, the outputs' and what is found behind
        them.
        """
        if self.bench.twin:
            return Scale(max(float(np.finfo(np.float64).eps), self.face))
        own = [eps_of(self.bench.primals[p]) for p in each(position)]
        outs = [eps_of(m) for m in self.bench.models if differentiable(m)]
        return Scale(float(max([*own, *outs, self.face])))

    def sweep(
        self,
        position: Blocks,
        direction: Array,
        cotangents: Array,
        claims: Sequence[Array],
        wobble: Array | None = None,
        *,
        rungs: int = MAX_RUNGS,
        start: float | None = None,
        full: bool = False,
    ) -> Sweep:
        """Climb the ladder until every cotangent is settled: agreeing to the goal, persistently wrong, or out of rungs.

        wobble: what rounding inside backward was seen to be, entry by entry. start: the first step, where noise hides
        what the usual ones would show. full: look at every output, however many there are. Raises BudgetError. The
        sweep has no steps if f is defined on neither side of the point.
        """
        scale = self.scale(position)
        line = Line(position, direction, cotangents, claims)
        sweep = Sweep(
            line,
            claimed=line.claimed(direction),
            weight=np.array([float(np.abs(c * direction).sum()) for c in claims]),
            claim_noise=self.claim_noise(line, wobble, scale.eps),
            grain=self._swallowed(cotangents, scale.eps),
            size=2 * project(cotangents, self._sizes),
            eps=scale.eps,
            ulp=0.0 if self.bench.twin else self.ulp(line),
            slack=self.slack,
            lean=self.stride(full) > 1,
        )
        first = start or min(scale.small, self.slow)
        if first < 8 * scale.eps:
            return sweep  # an ulp is too long a step
        for _ in range(8):  # near the edge of a domain the first steps may leave it
            if self._start(sweep, first):
                break
            first /= 30
        else:
            return sweep
        self.add(sweep, max(scale.large, 30 * first) if first >= scale.small else 15 * first)
        while self.face <= scale.eps and len(sweep.steps) < rungs and (step := wanted(sweep, scale)):
            if not self.add(sweep, step):
                break
        if self.face > scale.eps:  # the steps were those of a finer precision than f really has
            self.forget(position)
            return self.sweep(position, direction, cotangents, claims, wobble, rungs=rungs, start=start, full=full)
        return sweep

    def forget(self, position: Blocks) -> None:
        """Measure noise and look for kinks anew at the next sweep of this block: along another kind of direction."""
        self._spreads.pop(position, None)

    def _start(self, sweep: Sweep, t: float) -> bool:
        """The first rungs, and with them the noise of each output; False where f is not defined that near."""
        known = self._spreads.get(sweep.position)
        if known is not None:
            sweep.spread = known
        else:
            spread = self._cluster(sweep, t)
            if spread is None:
                return bool(sweep.edge)
            spread = self._settled_noise(sweep, t, spread)
            sweep.spread = self._spreads[sweep.position] = spread
        sweep.sigma = project(sweep.line.cotangents, sweep.spread) + self._tiny * np.linalg.norm(
            sweep.line.cotangents, axis=1
        )
        return known is None or self.add(sweep, 2 * t)

    def _settled_noise(self, sweep: Sweep, t: float, spread: Array) -> Array:
        """Noise does not shrink with the step; what a steep or fast function does in four steps does.

        Looked at again at smaller steps while it shrinks, or while it is too large to be rounding at all (above 1e-3 of
        the values: an oscillation that the steps alias).
        """
        rounding = 2 * sweep.eps * float(np.max(self._sizes, initial=0.0))
        largest = float(np.max(spread, initial=0.0))
        usual = (
            8 if sweep.eps < 1e-10 else 3
        )  # the first steps of coarse precisions are long enough for truncation to show
        while largest > usual * rounding and t > 1e-11:
            t /= 30
            again = self._cluster(sweep, t)
            if again is None:
                break
            spread = np.minimum(spread, again)
            before, largest = largest, float(np.max(spread, initial=0.0))
            if largest > 0.5 * before and largest * sweep.eps < 1e-3 * rounding:
                break
        return spread

    def _cluster(self, sweep: Sweep, t: float) -> Array | None:
        """Two rungs, at t and 2t; their third and fourth differences are noise (Moré & Wild, SISC 33, 2011)."""
        at = {side: self.glimpse(sweep.line, side * t, full=not sweep.lean) for side in (1, -1, 2, -2)}
        if at[1] is None or at[-1] is None or at[2] is None or at[-2] is None:
            side = 1 if at[1] is not None and at[2] is not None else -1
            if at[-side] is None and at[side] is not None and at[2 * side] is not None and t < 1e-9:
                self._settle_edge(sweep, side, t)
            return None
        yp, ym, zp, zm = (at[side].outputs for side in (1, -1, 2, -2))  # type: ignore[union-attr]
        stride = self.stride(not sweep.lean)
        origin, floor = self.origin[::stride], sweep.eps * self._sizes[::stride]
        for outputs in (yp, ym):
            self._find_face(outputs, sweep)
        third = np.abs((zp - zm) - 2 * (yp - ym)) / np.sqrt(10)
        near, far = yp + ym - 2 * origin, zp + zm - 2 * origin
        if sweep.kinked is None:
            sweep.find_kinks(near, far, np.maximum(third, floor))
            if sweep.has_kinks:  # a mean of 1e6 is rounded to its ulp, whatever the spread is that the steps suit
                if self._shaken is None:
                    self._shaken = shaken(self.bench, self.origin)
                sweep.find_kinks(near, far, np.maximum(third, floor + self._shaken[::stride]))
            if sweep.has_kinks:
                right = (4 * (yp - origin) - (zp - origin)) / (2 * t)
                left = (4 * (origin - ym) - (origin - zm)) / (2 * t)
                curve = np.abs((zp - zm) - 2 * (yp - ym)) / t + np.abs(far - 2 * near) / t
                sweep.sided = (right, left, SAFETY * np.maximum(third, floor) / t + curve)
        fourth = np.where(np.asarray(sweep.kinked), 0.0, np.abs(far - 4 * near) / np.sqrt(70))
        spread = np.sqrt(0.5 * (third**2 + fourth**2) + floor**2)
        spread[~np.isfinite(spread)] = 0.0
        sweep.record(t, at[1], at[-1])
        sweep.record(2 * t, at[2], at[-2])
        if sweep.response is None:
            sweep.response = np.abs(zp - zm) / (4 * t)
        return np.asarray(spread)

    def _settle_edge(self, sweep: Sweep, side: int, t: float) -> None:
        """However small the step, f is defined on one side only: one-sided rungs from here on."""
        sweep.edge = side
        sweep.spread = sweep.eps * self._sizes[:: self.stride(not sweep.lean)]
        sweep.sigma = 4 * project(sweep.line.cotangents, sweep.spread)
        for step in (t, 30 * t, 900 * t, 27000 * t):
            self.add(sweep, step)

    def add(self, sweep: Sweep, t: float) -> bool:
        """One more rung at t, central or, at an edge, one-sided with its doubled step; False where f is not defined
        there.
        """
        side = sweep.edge or 1
        first = self.glimpse(sweep.line, side * t, full=not sweep.lean)
        second = self.glimpse(sweep.line, side * 2 * t if sweep.edge else -t, full=not sweep.lean)
        if first is None or second is None:
            return False
        for glimpse in (first, second) if t <= NEAR else ():
            self._find_face(glimpse.outputs, sweep)
        sweep.record(t, first, second)
        return True

    # -- what the values show -----------------------------------------------------------------------------------

    def _find_face(self, outputs: Array, sweep: Sweep) -> None:
        """Outputs that moved and are all float32 (float16) numbers were computed so, whatever their dtype says."""
        moved = outputs != self.origin[:: self.stride(not sweep.lean)]
        if self.face or not moved.any():
            return
        self.face = face_of(outputs[moved], sweep.eps)

    def claim_noise(self, line: Line, wobble: Array | None, eps: float) -> Array:
        """How much ⟨c, u⟩ may owe to the rounding inside backward.

        A few ulps of each entry, a few of ⟨v, y⟩ (a gradient that is really zero is the rounding of terms of that
        size), and what moving the inputs by an ulp has shown.
        """
        # the judge's own sums are of float64, even for longdouble
        eps = max(eps, self.bench.twin, float(np.finfo(np.float64).eps))
        parts = [c * line.direction for c in line.claims]
        weights = np.array([float(np.linalg.norm(part)) for part in parts])
        few = _FEW_HALVES if self.bench.twin else _FEW
        floor = few * max(eps, self.underflow) * np.array([float(np.abs(part).sum()) for part in parts])
        floor += few * eps * project(line.cotangents, self._sizes) + NOT_WRONG * weights
        if wobble is None or not weights[0]:
            return floor
        shaken = wobble * line.direction
        size = max(abs(float(shaken.sum())), float(np.linalg.norm(shaken)))
        return np.asarray(floor + 0.75 * few * size * weights / weights[0])

    def _swallowed(self, cotangents: Array, eps: float) -> Array:
        """How large a change of ⟨v, y⟩ may go unseen where no output moves at all.

        The ulps of the coarsest float that could hold the values; and those of the inputs, which stand in for terms
        that cancelled: a cross-entropy of 1e-11 is 0 where the softmax is float32's.
        """
        largest = max(float(np.max(np.abs(p), initial=0.0)) for p in self.bench.primals if differentiable(p))
        sizes = np.linalg.norm(cotangents, axis=1) * max(eps, self._grain) * largest
        return np.asarray(self._grain * project(cotangents, self._sizes) + sizes)
