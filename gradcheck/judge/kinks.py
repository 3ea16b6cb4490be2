"""Kinks: where f has no derivative, a claim is right if it is a subgradient.

Every output is looked at by itself, since a projection ⟨v, ·⟩ of several kinks accuses a right ReLU. A claim has to
lie between the one-sided slopes; what moves ties together or leaves zeros alone is smooth again and is compared
strictly, which is how a backward that serves every tied maximum in full is seen.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradcheck.judge.hearing import Hearing, ask_output
from gradcheck.judge.limits import Limits
from gradcheck.judge.moves import Blocks, each
from gradcheck.judge.probe import Prober
from gradcheck.judge.reals import Array, as_real
from gradcheck.judge.sweep import Sweep
from gradcheck.report import Finding, Kind, place

_OUTPUTS = 12
"""Kinked outputs looked at one by one (a pullback call each); further ones are left to other points."""
_TOLD = 64
"""Outputs whose claims are asked for one by one before a disagreement at a tie is blamed."""


class Kinks:
    """Judges blocks along whose directions some output has a kink at the point itself."""

    def __init__(self, prober: Prober, hearing: Hearing, rng: "np.random.Generator") -> None:
        self.prober = prober
        self.hearing = hearing
        self.rng = rng
        self.found: list[str | int] = []
        self.start: float | None = None  # where noise hides a kink at the usual steps, the step that shows it
        self._names: list[str] = []
        self._rows: dict[int, list[Array]] = {}

    def names(self) -> list[str]:
        """Where kinks were met: the input moved and the output that answers."""
        return self._names

    def note(self, b: int, sweep: Sweep) -> None:
        """Remember the kinks of a sweep by name."""
        label = self.hearing.name(b)
        if label not in self.found:
            self.found.append(label)
            outputs = np.flatnonzero(np.asarray(sweep.kinked)) if sweep.has_kinks else np.zeros(1, int)
            more = f" and {outputs.size - 1} more" if outputs.size > 1 else ""
            self._names.append(f"{place(label)} (output {int(outputs[0])}{more})")

    def row(self, output: int, b: int) -> Array:
        """The claimed gradient of one output with respect to block b. Raises BackwardError."""
        if output not in self._rows:
            self._rows[output] = ask_output(self.hearing, output)
        return self._rows[output][b]

    def special_directions(self, b: int) -> list[tuple[str, Array]]:
        """Directions that keep the structure a kink is made of: ties move together and zeros stay; zeros move
        together.
        """
        position = self.hearing.bench.blocks[b]
        x = as_real(self.hearing.bench.primals[position])
        unit = self.prober.unit(position)
        values, group, counts = np.unique(x, return_inverse=True, return_counts=True)
        group = group.reshape(-1)
        weights = self.rng.choice([-1.0, 1.0], values.size) * self.rng.integers(32, 97, values.size) / 64
        directions = []
        if np.any(x == 0) or np.any(counts > 1):
            together = np.where(x == 0, 0.0, weights[group] * _mean_by_group(unit, group, counts))
            if together.any():
                directions.append(("ties moved together", together))
        if np.any(x == 0):
            directions.append(("zeros moved together", np.where(x == 0, unit, 0.0)))
        return directions

    def together(self, blocks: Sequence[int]) -> list[Array]:
        """Directions that move these blocks at once and keep equal entries equal, across blocks too: max(x, y) at a
        tie.
        """
        bench = self.hearing.bench
        x = np.concatenate([as_real(bench.primals[bench.blocks[b]]).astype(float) for b in blocks])
        values, group = np.unique(x, return_inverse=True)
        weights = self.rng.choice([-1.0, 1.0], values.size) * self.rng.integers(32, 97, values.size) / 64
        size = float(np.median(np.abs(x[x != 0]))) if x.any() else 1.0
        return [weights[group.reshape(-1)] * size, np.full(x.size, size)]

    def blame_ties(self, b: int, finding: Finding, words: str) -> Finding:
        """A claim that fails only when what is tied moves together is wrong at the tie, whatever else it looks like
        there.
        """
        primal = self.hearing.bench.primals[self.hearing.bench.blocks[b]]
        if finding.index is None or finding.kind is Kind.SIGN:
            return finding
        value = primal[finding.index] if primal.shape else primal
        if value != 0 and np.count_nonzero(primal == value) < 2:
            return finding
        where = "tied with others" if np.count_nonzero(primal == value) > 1 else "exactly zero"
        return replace(
            finding,
            kind=Kind.BRANCH,
            message=f"backward of {place(finding.input)} is wrong where entries are {where}",
            kinds=(Kind.BRANCH, *(k for k in finding.kinds if k is not Kind.BRANCH)),
            evidence=(f"BRANCH: f is smooth with {words}, and backward is off there", *finding.evidence),
        )

    def violates(self, b: int, sweep: Sweep) -> int | None:
        """A kinked output whose claim lies outside its one-sided slopes, or None."""
        assert sweep.kinked is not None
        if sweep.sided is None or sweep.jumping is None:
            return None
        right, left, bound = sweep.sided
        outputs = np.flatnonzero(sweep.kinked & ~sweep.jumping)
        if outputs.size > _OUTPUTS:
            outputs = self.rng.choice(outputs, _OUTPUTS, replace=False)
        for i in outputs:
            claim = float(self.row(int(i), b) @ sweep.direction)
            low, high = min(right[i], left[i]), max(right[i], left[i])
            allowed = bound[i] + 1e-3 * max(
                abs(low), abs(high), float(np.abs(self.row(int(i), b)) @ np.abs(sweep.direction))
            )
            if not low - allowed <= claim <= high + allowed:
                return int(i)
        return None

    def probe(self, b: int | tuple[int, ...], direction: Array, cotangents: Array, claims: list[Array]) -> Sweep:
        """A sweep of block b, or of several at once, its kinks found afresh: which outputs are kinked depends on the
        direction.
        """
        position = self._position(b)
        self.prober.forget(position)
        return self.prober.sweep(position, direction, cotangents, claims, None, rungs=8, start=self.start, full=True)

    def narrow(self, b: int, direction: Array, output: int) -> tuple[Array, Sweep] | None:
        """Halve the support of a violating direction until one entry violates by itself.

        None where the violation falls apart: several kinks at once, whose joint one-sided slopes do not bound a right
        claim.
        """
        one_hot = np.zeros(len(self.prober.origin))
        one_hot[output] = 1.0
        claims = [self.row(output, b)]
        support = np.flatnonzero(direction)
        while True:
            if support.size == 1:
                part = _restricted(direction, support)
                sweep = self.probe(b, part, one_hot[None, :], claims)
                guilty = self._outside(b, sweep, output) and not self.are_limits(b, part, one_hot[None, :])
                return (support, sweep) if guilty else None
            half = support.size // 2
            for side in (support[:half], support[half:]):
                sweep = self.probe(b, _restricted(direction, side), one_hot[None, :], claims)
                if sweep.steps and self._outside(b, sweep, output):
                    support = side
                    break
            else:
                return None

    def are_limits(self, b: int | tuple[int, ...], direction: Array, cotangents: Array, told: float = 0.0) -> bool:
        """Whether all that disagrees along a direction claims a limit of the slopes nearby; see `limits`."""
        outputs = np.flatnonzero(cotangents.any(axis=0))
        if outputs.size > _TOLD:
            return False
        rows = [np.concatenate([self.row(int(i), one) for one in each(b)]) for i in outputs]
        return Limits(self.prober, self.rng, self._position(b), direction, outputs, np.array(rows), told).hold()

    def _position(self, b: int | tuple[int, ...]) -> Blocks:
        """The place of a block, or of several, among the inputs."""
        blocks = self.hearing.bench.blocks
        return blocks[b] if isinstance(b, int) else tuple(blocks[one] for one in b)

    def _outside(self, b: int, sweep: Sweep, output: int) -> bool:
        """Whether the claim of one output is outside its slopes along a sweep, kinked there or not."""
        if sweep.kinked is not None and sweep.kinked[output]:
            return self.violates(b, sweep) is not None
        return any(reading.persists for reading in sweep.readings())


def bad_subgradient(kinks: Kinks, b: int, sweep: Sweep, support: Array, output: int) -> Finding:
    """The finding for one entry whose claim is no subgradient."""
    hearing = kinks.hearing
    position = hearing.bench.blocks[b]
    primal = hearing.bench.primals[position]
    entry = int(support[0]) // (2 if primal.dtype.kind == "c" else 1)
    index = tuple(int(i) for i in np.unravel_index(entry, primal.shape)) if primal.shape else ()
    size = float(sweep.direction[support[0]])
    claim = float(kinks.row(output, b)[support[0]])
    label = hearing.name(b)
    if sweep.sided is not None and sweep.kinked is not None and sweep.kinked[output]:
        right, left, bound = (float(a[output]) / size for a in sweep.sided)
    else:
        reading = sweep.reading(0)
        right = left = claim + reading.value / size
        bound = reading.error / abs(size)
    nearest = right if abs(claim - right) < abs(claim - left) else left
    where = place(label, index)
    return Finding(
        Kind.BRANCH,
        f"backward of {where} is {claim:.4g}, outside the one-sided slopes {left:.4g} and {right:.4g}",
        label,
        index,
        output=(output,),
        claimed=claim,
        numeric=nearest,
        bound=abs(bound),
        kinds=(Kind.BRANCH,),
        evidence=(f"f has a kink at this point: slope {left:.6g} to the left, {right:.6g} to the right",),
    )


def _restricted(direction: Array, support: Array) -> Array:
    part = np.zeros_like(direction)
    part[support] = direction[support]
    return part


def _mean_by_group(values: Array, group: Array, counts: Array) -> Array:
    """One value a group (equal entries must move by equal amounts to stay equal)."""
    return np.asarray((np.bincount(group, values) / counts)[group])
