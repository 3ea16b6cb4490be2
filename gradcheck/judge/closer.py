"""Closer: look at a judged point again, entry by entry and step by step, for the plots of a report.

A verdict needs a few dozen forward calls; a picture of where and how it was reached needs some for every entry, and so
is taken of failures only. Nothing here changes a verdict.
"""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.adapters import as_target
from gradcheck.judge.bench import BackwardError, Bench, BudgetError, ForwardError
from gradcheck.judge.clock import TimeLimitError
from gradcheck.judge.hearing import Hearing, hear
from gradcheck.judge.moves import Line
from gradcheck.judge.point import quiet
from gradcheck.judge.probe import Prober
from gradcheck.judge.reals import Array
from gradcheck.judge.sweep import SAFETY, Sweep
from gradcheck.judge.twin import find_twin
from gradcheck.report import Report

ENTRIES = 500
"""Entries looked at in all blocks together, some eight forward calls each."""
_RUNGS = 4
"""Pairs of forward calls an entry: two show a slope and its bound, two more settle most doubts."""
_STEPS = tuple(10.0 ** (k / 2) for k in range(-26, 1))
"""Two a decade from 1e-13, where every difference is rounding, to the size of the entry itself."""


@dataclass(frozen=True)
class Curve:
    """The V-curve of one entry: how far central differences are off, step by step, in units of the slope.

    step: in units of x. distance: |finite difference − backward|; error: |finite difference − the best of them|. noise
    and truncation: the lines that the error is expected to follow, ∝ 1/step and ∝ step². chosen: the step of the best
    one, and bound what it is believed to.
    """

    input: str | int
    index: tuple[int, ...]
    step: tuple[float, ...]
    distance: tuple[float, ...]
    error: tuple[float, ...]
    noise: tuple[float, ...]
    truncation: tuple[float, ...]
    chosen: float
    bound: float


@dataclass(frozen=True)
class Entries:
    """Claim, error (backward − finite difference) and bound of some entries of a block, by their flat positions.

    A complex block counts its real and imaginary parts as a last axis of 2.
    """

    input: str | int
    shape: tuple[int, ...]
    position: tuple[int, ...]
    claimed: tuple[float, ...]
    error: tuple[float, ...]
    bound: tuple[float, ...]


@dataclass(frozen=True)
class Look:
    """What a closer look has seen; `evaluations` are the forward calls that it took."""

    curve: Curve | None
    entries: tuple[Entries, ...]
    evaluations: int


def look(
    target: Any, *inputs: Any, report: Report, entries: int = ENTRIES, seconds: float = 10.0, **adapting: Any
) -> Look | None:
    """A closer look at the point that `report` judged; None where backward does not answer at all.

    Blocks in the order of the report's findings, then the others; of a block that is larger than what is left of
    `entries`, an even sample and the worst. Stops after `seconds`, with what there is. `adapting`: see `as_target`.

    >>> import gradcheck
    >>> double = (np.sin, lambda inputs, g: (2 * g * np.cos(inputs[0]),))
    >>> x = np.array([0.5, 2.0])
    >>> seen = look(double, x, report=gradcheck.check(double, x))
    >>> seen.entries[0].position, all(abs(e) > 1e6 * b for e, b in zip(seen.entries[0].error, seen.entries[0].bound))
    ((0, 1), True)
    """
    judged, arrays = as_target(target, **adapting).bound(inputs)
    bench = Bench(judged, arrays)
    bench.reseeds = True  # a layer that draws random numbers is asked the same question every time
    with quiet():
        try:
            origin = bench.value()
            cotangent = _cotangent(origin, report.seed or 0)
            if find_twin(bench, origin):
                origin = bench.value()
            hearing = hear(bench, cotangent, cotangent)
        except (ForwardError, BackwardError):
            return None
        bench.deadline = time.monotonic() + seconds
        return _Survey(bench, hearing, Prober(bench, origin), cotangent, report).look(entries)


def look_again(layer: Any, report: Report, frozen: Sequence[int | str] = ()) -> Look | None:
    """A closer look at the case that a report holds, of the layer (or factory of layers) that `search` was given.

    None where there is no case, or nothing to see.
    """
    from gradcheck.judge.case import Case
    from gradcheck.judge.search import maker  # brings Hypothesis, which a look at given inputs does not need

    case = report.case
    if not isinstance(case, Case):
        return None
    return look(maker(layer, list(case.sizes), frozen)(layer, case), *case.inputs, report=report)


def _cotangent(origin: Array, seed: int) -> Array:
    """Random signs and sizes away from zero, as the judge's own."""
    rng = np.random.default_rng(seed)
    sizes = np.where(np.isfinite(origin), rng.uniform(0.5, 1.5, origin.size), 0.0)
    return np.asarray(rng.choice([-1.0, 1.0], origin.size) * sizes, dtype=np.float16).astype(float)


class _Survey:
    """Sweeps of single entries at one point."""

    def __init__(self, bench: Bench, hearing: Hearing, prober: Prober, cotangent: Array, report: Report) -> None:
        self.bench, self.hearing, self.prober, self.cotangent, self.report = bench, hearing, prober, cotangent, report

    def look(self, left: int) -> Look:
        """Blocks one after the other until time or entries run out, then the curve of the worst entry."""
        seen: list[Entries] = []
        worst: tuple[int, int] | None = None
        with suppress(TimeLimitError, BudgetError):
            for b in self._order():
                size = self.hearing.gradients[b].size
                if left < 1 or not size:
                    continue
                chosen = self._chosen(b, min(size, left))
                left -= len(chosen)
                entries = self._entries(b, chosen)
                seen += [entries] if entries.position else []
                if worst is None and entries.position:
                    named = self._named(b)
                    worst = b, _worst(entries) if named is None else named
        curve = None
        self.bench.deadline = math.inf  # some fifty calls more
        if worst is not None:
            with suppress(BackwardError, ForwardError):
                curve = self._curve(*worst)
        return Look(curve, tuple(seen), self.bench.evaluations)

    def _order(self) -> list[int]:
        labels = [self.hearing.name(b) for b in range(len(self.bench.blocks))]
        accused = [finding.input for finding in self.report.findings]
        return sorted(
            range(len(labels)), key=lambda b: accused.index(labels[b]) if labels[b] in accused else len(accused)
        )

    def _named(self, b: int) -> int | None:
        """The flat position of the entry that the report's finding names in this block."""
        index = next((f.index for f in self.report.findings if f.input == self.hearing.name(b) and f.index), None)
        primal = self.bench.primals[self.bench.blocks[b]]
        if index is None or len(index) != primal.ndim:
            return None
        return int(np.ravel_multi_index(index, primal.shape)) * (2 if primal.dtype.kind == "c" else 1)

    def _chosen(self, b: int, count: int) -> list[int]:
        size, named = self.hearing.gradients[b].size, self._named(b)
        even = np.unique(np.linspace(0, size - 1, count).round().astype(int))
        return sorted({*even.tolist(), *([] if named is None else [named])})

    def _entries(self, b: int, chosen: list[int]) -> Entries:
        primal = self.bench.primals[self.bench.blocks[b]]
        rows = []
        try:
            for entry in chosen:
                sweep = self._sweep(b, entry)
                if sweep is None:
                    continue
                reading, size = sweep.reading(0), abs(float(sweep.direction[entry]))
                claimed = float(self.hearing.gradients[b][entry])
                error = -reading.value / size if math.isfinite(claimed) else math.nan
                rows.append((entry, *map(_rounded, (claimed, error, reading.error / size))))
        except TimeLimitError:
            pass  # what was seen of the block is kept, and the next block will stop at once
        shape = (*primal.shape, *([2] if primal.dtype.kind == "c" else []))
        columns = tuple(zip(*rows, strict=True)) or ((), (), (), ())
        return Entries(self.hearing.name(b), shape, *columns)

    def _line(self, b: int, entry: int) -> Line:
        """The line along one entry, in units of its own size. The claims of the others play no part, nor does their
        being infinite.
        """
        position = self.bench.blocks[b]
        direction, claim = np.zeros((2, self.hearing.gradients[b].size))
        direction[entry] = self.prober.unit(position)[entry]
        claimed = self.hearing.gradients[b][entry]
        claim[entry] = claimed if np.isfinite(claimed) else 0.0
        return Line(position, direction, self.cotangent[None, :], [claim])

    def _sweep(self, b: int, entry: int) -> Sweep | None:
        line = self._line(b, entry)
        sweep = self.prober.sweep(line.position, line.direction, line.cotangents, line.claims, rungs=_RUNGS)
        return sweep if sweep.steps else None

    def _curve(self, b: int, entry: int) -> Curve | None:
        """Central differences of one entry over all steps, with the judge's own reading of its own steps."""
        line, sweep = self._line(b, entry), self._sweep(b, entry)
        if sweep is None:
            return None
        reading, unit = sweep.reading(0), float(line.direction[entry])
        slopes: list[tuple[float, float]] = []
        for step in _STEPS:
            right, left = self.prober.glimpse(line, step), self.prober.glimpse(line, -step)
            if right is not None and left is not None:
                slopes.append((step, float(right.residual[0] - left.residual[0]) / (2 * step)))
        noise = [SAFETY * float(sweep.sigma[0]) / step for step, _ in slopes]
        off = [abs(slope - reading.value) for _, slope in slopes]
        # truncation ∝ step²: from the smallest step at which it stands out of the noise, and out of what is believed
        clear = [e / s**2 for (s, _), e, n in zip(slopes, off, noise, strict=True) if s > reading.step and e > 10 * n]
        share = clear[0] if clear else 0.0
        primal = self.bench.primals[self.bench.blocks[b]]
        flat = entry // (2 if primal.dtype.kind == "c" else 1)
        index = tuple(int(i) for i in np.unravel_index(flat, primal.shape)) if primal.shape else ()
        return Curve(
            self.hearing.name(b),
            index,
            tuple(_rounded(step * unit) for step, _ in slopes),
            tuple(_rounded(abs(slope) / unit) for _, slope in slopes),
            tuple(_rounded(e / unit) for e in off),
            tuple(_rounded(n / unit) for n in noise),
            tuple(_rounded(share * step**2 / unit) for step, _ in slopes),
            _rounded(reading.step * unit),
            _rounded(reading.error / unit),
        )


def _worst(entries: Entries) -> int:
    """The flat position whose error is the most bounds; an error that is no number before all."""
    ratios = [
        math.inf if math.isnan(e) else abs(e) / b if b else abs(e)
        for e, b in zip(entries.error, entries.bound, strict=True)
    ]
    return entries.position[int(np.argmax(ratios))]


def _rounded(value: float) -> float:
    """Six digits: what a plot can show, at a third of the length in a record."""
    return float(f"{value:.6g}")
