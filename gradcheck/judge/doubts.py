"""Doubts: what else than a mistake explains a disagreement; asked before anything is blamed."""

import numpy as np

from gradcheck.judge.bench import BackwardError
from gradcheck.judge.hearing import Hearing, ask
from gradcheck.judge.kinks import Kinks
from gradcheck.judge.limits import CLOSE
from gradcheck.judge.moves import Blocks, Line, each
from gradcheck.judge.outcome import Outcome
from gradcheck.judge.probe import Prober
from gradcheck.judge.reals import Array, as_real, like
from gradcheck.judge.sweep import Sweep
from gradcheck.judge.wobble import wobble_of
from gradcheck.numeric.ladder import NEAR
from gradcheck.report import place

_HALVINGS = 8
"""Of the way from where f does nothing to where it moves: a hundredth of it is left, and of what it moves by."""


class Doubts:
    """Other explanations, the cheap ones first. `notes`: those that a reader has to know of."""

    def __init__(self, prober: Prober, hearing: Hearing, kinks: Kinks, rng: "np.random.Generator") -> None:
        self.prober = prober
        self.hearing = hearing
        self.kinks = kinks
        self.rng = rng
        self.notes: list[str] = []

    def settle(self, b: int, sweep: Sweep, k: int, cotangents: Array, claims: list[Array], outcome: Outcome) -> bool:
        """Whether the disagreement of cotangent k has another explanation; the outcome is told of it."""
        return (
            self._is_jagged(sweep, k)
            or self._is_flat(sweep, k)
            or self._rounds(b, sweep, k, cotangents, claims, outcome)
            or self._drowns(b, sweep, k, cotangents, outcome)
            or self._is_symmetric(b, cotangents, claims, outcome)
            or self._is_tied(b, sweep, k, cotangents, outcome)
            or self._agrees_at_own_scale(b, sweep, cotangents[k], claims[k], outcome)
        )

    def _is_jagged(self, sweep: Sweep, k: int) -> bool:
        """Whether a tiny disagreement is gone further out: 1 − x² just below 1 is a staircase."""
        reading = sweep.reading(k)
        if abs(reading.value) > 1e-5 * float(sweep.weight[k]):
            return False
        step = 10 * max(sweep.steps)
        while step < NEAR and self.prober.add(sweep, step):
            step *= 10
        return not sweep.reading(k).persists

    def _is_flat(self, sweep: Sweep, k: int) -> bool:
        """Whether f does nothing up to a kink, where a quantised f would jump: clip(x, −1, 1) at 1.0015 in float32.

        Half way between the last step that changes nothing and the first that does, again and again: a quantum stays as
        large as it is, and what begins at a kink shrinks with the way to it.
        """
        for _ in range(_HALVINGS):
            still = max((t for t, dead in zip(sweep.steps, sweep.dead, strict=True) if dead), default=0.0)
            moving = [(t, float(c[k])) for t, c in zip(sweep.steps, sweep.changes, strict=True) if t > still]
            if not still or not moving:
                return False
            first, change = min(moving)
            if not self.prober.add(sweep, (still + first) / 2):
                return False
            if not sweep.dead[-1] and float(sweep.changes[-1][k]) > 0.75 * change:
                return False
        return not sweep.reading(k).persists

    def _rounds(self, b: int, sweep: Sweep, k: int, cotangents: Array, claims: list[Array], outcome: Outcome) -> bool:
        """Eight looks at how this very claim rounds, not two: a mean of 1e6 rounds one way or another by parity."""
        gradients = ask(self.hearing, cotangents[k])
        unit = float(np.median(self.prober.unit(self.hearing.bench.blocks[b])))
        share = max(1e-6, 4 * self.hearing.bench.twin)  # a millionth of ⟨v, y⟩ over x, or four ulps of half precision
        most = share * float(np.max(np.abs(cotangents[k]))) * self.hearing.largest / unit
        wobbles = wobble_of(self.hearing, cotangents[k], gradients, self.prober.face, most)
        if not wobbles:
            return False
        line = Line(sweep.position, sweep.direction, cotangents[k : k + 1], [claims[k]])
        sweep.claim_noise[k] = max(
            float(sweep.claim_noise[k]), float(self.prober.claim_noise(line, wobbles[b], sweep.eps)[0])
        )
        outcome.settle()
        outcome.take(sweep)
        return not sweep.reading(k).persists

    def _drowns(self, b: int, sweep: Sweep, k: int, cotangents: Array, outcome: Outcome) -> bool:
        """σ(z) − 1 at z = 30 is 1e-13, made of terms that are 1 and round to 1e-16: as large as it is elsewhere.

        Half way to zero and at zero the claim shows how large its terms are; what is off by no more than those round
        to is not told from a mistake. Zero says nothing where the claim runs away on the last thousandth of the way
        there: t / (p + 1e-15) is 1e15 at 0, and would excuse everything.
        """
        position = self.hearing.bench.blocks[b]
        primal = self.hearing.bench.primals[position]
        sizes = []
        for share in (0.5, 2**-10, 0.0):
            moved = like(as_real(primal) * as_real(primal).dtype.type(share), primal)
            try:
                gradient = ask(self.hearing, cotangents[k], {position: moved})[b]
            except BackwardError:
                gradient = np.zeros(1)
            sizes.append(float(np.max(np.abs(gradient), initial=0.0, where=np.isfinite(gradient))))
        half_way, near, zero = sizes
        largest = max(half_way, zero if zero <= 4 * near else 0.0)
        # four ulps of a half, whose ulps are what limits a verdict; the sweep is its twin's, in float64
        ulps = max(16 * sweep.eps, 4 * self.hearing.bench.twin)
        rounding = ulps * largest * float(np.abs(sweep.direction).sum())
        if abs(sweep.reading(k).value) > rounding:
            return False
        outcome.reason = (
            f"{place(outcome.label)}: the disagreement {abs(sweep.reading(k).value):.1e} is what backward rounds to "
            f"where it does not cancel; a wider dtype or other inputs would tell"
        )
        return True

    def _is_symmetric(self, b: int, cotangents: Array, claims: list[Array], outcome: Outcome) -> bool:
        """Whether input and claim are symmetric matrices and the claim is right for moves that keep the input so.

        What is symmetric and stays so (a Cholesky factorisation reads one triangle) has no other derivative to speak
        of.
        """
        position = self.hearing.bench.blocks[b]
        x = self.hearing.bench.primals[position]
        if x.dtype.kind != "f" or x.ndim < 2 or x.shape[-1] != x.shape[-2] or x.shape[-1] < 2:
            return False
        square = [x, *(claim.reshape(x.shape) for claim in claims)]
        if not all(np.allclose(a, _transposed(a), rtol=1e-6, atol=1e-9 * np.max(np.abs(a))) for a in square):
            return False
        wobble = self.hearing.wobble[b] if self.hearing.wobble else None
        for _ in range(2):
            signs = self.rng.choice([-1.0, 1.0], x.size)
            move = (signs * self.prober.lengths(position, self.rng)).reshape(x.shape)
            self.prober.forget(position)
            sweep = self.prober.sweep(position, (move + _transposed(move)).reshape(-1) / 2, cotangents, claims, wobble)
            if not sweep.steps or any(not reading.is_zero for reading in sweep.readings()):
                return False
        note = f"{place(self.hearing.name(b))} is symmetric and its gradient symmetrised: right for symmetric moves"
        if note not in self.notes:
            self.notes.append(note)
        outcome.replace(sweep)
        return True

    def _is_tied(self, b: int, sweep: Sweep, k: int, cotangents: Array, outcome: Outcome) -> bool:
        """Whether a disagreement is that of a tie alone; what keeps ties is still to be told."""
        if not self.claims_a_limit(b, sweep, k, cotangents):
            return False
        self.kinks.note(b, sweep)
        outcome.forgive()
        return True

    def claims_a_limit(self, b: int | tuple[int, ...], sweep: Sweep, k: int, cotangents: Array) -> bool:
        """Whether every step crosses a tie, or a zero, about which the claim is a limit of the slopes nearby."""
        value = sweep.reading(k).value
        told = max(self.prober.scale(sweep.position).small, sweep.told_from(k, value))
        tied = self._tied(sweep.position, told)
        # a penalty of all weights is loud beside the kinks of a small layer, and none of theirs
        drowned = abs(value) < CLOSE * float(sweep.weight[k])
        direction = np.where(tied, sweep.direction, 0.0) if drowned else sweep.direction
        return bool(tied.any()) and self.kinks.are_limits(b, direction, cotangents, told)

    def _agrees_at_own_scale(self, b: int, sweep: Sweep, cotangent: Array, claim: Array, outcome: Outcome) -> bool:
        """Whether entries far smaller than their steps are right along steps of their own size, and the others too.

        log is steep at 1e-30, and smooth over 1e-36; beside an entry of size 1 its steps are longer than that.
        """
        x = np.abs(as_real(self.hearing.bench.primals[self.hearing.bench.blocks[b]])).astype(float)
        small = (x > 0) & (sweep.direction != 0) & (1.5 * x < self.prober.unit(self.hearing.bench.blocks[b]))
        if not small.any():
            return False
        for direction in (np.where(small, x, 0.0), np.where(small, 0.0, sweep.direction)):
            if not direction.any():
                continue
            self.prober.forget(sweep.position)
            alone = self.prober.sweep(sweep.position, direction, cotangent[None, :], [claim])
            self.prober.forget(sweep.position)
            if not alone.steps or not alone.reading(0).is_zero:
                return False
            if alone.reading(0).error > 0.1 * float(np.abs(claim * direction).sum()):
                return False
        outcome.settle()
        return True

    def _tied(self, position: Blocks, step: float) -> Array:
        """Which entries are equal, or zero, or so nearly that a step is longer than what is between them."""
        x = np.concatenate([as_real(self.hearing.bench.primals[p]).astype(float) for p in each(position)])
        if x.size > 4096:
            return np.zeros(x.size, bool)
        reach = step * self.prober.unit(position)
        tied = np.asarray(np.abs(x) <= 2 * reach)
        order = np.argsort(x)
        gaps = np.diff(x[order]) <= reach[order][1:] + reach[order][:-1]
        tied[order[1:]] |= gaps
        tied[order[:-1]] |= gaps
        return tied


def _transposed(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)
