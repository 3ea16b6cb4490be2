"""Moves: the points of a line through the inputs, how long a step is there, and what f says at its end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.judge.bench import Bench, ForwardError
from gradcheck.judge.reals import Array, as_real, like

Blocks = int | tuple[int, ...]
"""The position of the input that moves, or of several that move together."""

SAMPLE = 1 << 16
"""Outputs looked at one by one for noise and kinks; of more, an even sample, until there is a disagreement to
explain.
"""


@dataclass(frozen=True)
class Line:
    """A direction through the point, the cotangents that f's change is read with, and what they claim of it.

    position: the block that moves; direction: flat, in its units; cotangents: (K, M), one a row; claims: K flat
    gradients of the block.
    """

    position: Blocks
    direction: Array
    cotangents: Array
    claims: Sequence[Array]

    def claimed(self, displacement: Array) -> Array:
        """⟨c, Δ⟩ for each cotangent."""
        return np.array([float(c @ displacement) for c in self.claims])


@dataclass(frozen=True)
class Glimpse:
    """f at one point of a line: residual ⟨v, f(x + Δ) − f(x)⟩ − ⟨c, Δ⟩ and size of v∘change, a cotangent each.

    outputs: all of them, or an even sample of very many.
    """

    residual: Array
    change: Array
    moved: bool
    outputs: Array


class Moves:
    """One bench, moved along lines. `origin` is its value at the point."""

    def __init__(self, bench: Bench, origin: Array) -> None:
        self.bench = bench
        self.origin = origin
        self._finite = np.isfinite(origin)
        self._whole = bool(self._finite.all())

    def unit(self, position: Blocks) -> Array:
        """The natural length of a move of each entry: its own size, the block's where it is far smaller, 1 where all
        are 0.

        A block with a large common offset (batch norm at mean 1e6) lives on the scale of its spread, not of its mean.
        """
        if isinstance(position, tuple):
            return np.concatenate([self.unit(p) for p in position])
        values = as_real(self.bench.primals[position])
        sample = values[:: max(1, values.size // SAMPLE)].astype(np.float64)
        sample = sample[np.isfinite(sample)]
        nonzero = np.abs(sample[sample != 0])
        if not nonzero.size:
            return np.ones(values.size)
        middle = nonzero.size // 2
        typical = float(np.partition(nonzero, middle)[middle])  # np.median would import numpy.ma, for 10 ms
        size = np.abs(values).astype(np.float64)
        np.maximum(size, 1e-2 * typical, out=size, where=values != 0)
        size[(values == 0) | ~np.isfinite(values)] = typical
        spread = float(np.std(sample))
        if spread > 1e-9 * typical:
            np.minimum(size, max(10 * spread, 1e-9 * typical), out=size)
        return size

    def lengths(self, position: int, rng: "np.random.Generator") -> Array:
        """A length for every entry, ½ to 1½ of its unit: bounded away from zero, so that no entry goes unseen."""
        unit = self.unit(position)
        return np.asarray(unit * rng.integers(32, 97, unit.size) / 64)

    def ulp(self, line: Line) -> float:
        """The largest ulp of an entry that moves, as a step along the line."""
        x = np.concatenate([as_real(self.bench.primals[p]) for p in each(line.position)])
        ratio = np.divide(
            np.spacing(np.abs(x)), np.abs(line.direction), out=np.zeros(x.size), where=line.direction != 0
        )
        return float(np.max(ratio, initial=0.0, where=np.isfinite(ratio)))

    def at(self, position: Blocks, direction: Array, t: float) -> tuple[Array, Array] | None:
        """(realised displacement, outputs) at x + t u, or None where f raises there or is not finite where it was."""
        moved, displacements, start = {}, [], 0
        for p in each(position):
            primal = self.bench.primals[p]
            flat = as_real(primal)
            wide = np.longdouble if flat.dtype == np.longdouble else np.float64
            model = primal.astype(wide) if self.bench.twin else primal
            there = wide(t) * direction[start : start + flat.size]
            there += flat
            part = there.astype(as_real(model).dtype, copy=False)
            moved[p] = like(part, model)
            displacements.append(part.astype(wide) - flat)
            start += flat.size
        displacement = displacements[0] if len(displacements) == 1 else np.concatenate(displacements)
        if not np.all(np.isfinite(displacement)):
            return None
        try:
            outputs = self.bench.value(moved)
        except ForwardError:
            return None
        if outputs.shape != self.origin.shape or not np.all(np.isfinite(outputs) | ~self._finite):
            return None
        return displacement, outputs

    def glimpse(self, line: Line, t: float, *, full: bool = True) -> Glimpse | None:
        """f at x + t u as the line reads it; None where it is not defined there."""
        there = self.at(line.position, line.direction, t)
        if there is None:
            return None
        displacement, outputs = there
        claimed = line.claimed(displacement)
        del there, displacement
        stride = self.stride(full)
        sample = outputs[::stride].copy() if stride > 1 else outputs
        change = np.subtract(outputs, self.origin, out=outputs if stride > 1 else None)
        if not self._whole:
            change[~self._finite] = 0
        residual = np.asarray(line.cotangents @ change - claimed, dtype=float)
        return Glimpse(residual, project(line.cotangents, change[::stride]), bool(change.any()), sample)

    def stride(self, full: bool) -> int:
        """Every how many outputs one is looked at: all of them if `full`, else an even sample of very many."""
        return 1 if full else max(1, self.origin.size // SAMPLE)


def project(cotangents: Array, spread: Array) -> Array:
    """The size of ⟨v, noise⟩ for each row v: entries are independent, and random signs keep equal ones from adding up.

    A spread that samples every s-th output stands for s of them.
    """
    stride = -(-cotangents.shape[1] // spread.size) if spread.size else 1
    rows = cotangents[:, ::stride] * spread
    return np.asarray(np.sqrt(stride * np.einsum("km,km->k", rows, rows)), dtype=float)


def each(position: Blocks) -> tuple[int, ...]:
    """The positions that move."""
    return position if isinstance(position, tuple) else (position,)
