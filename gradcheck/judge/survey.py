"""Survey: claimed and numeric entries of a failing block, side by side, for the diagnosis to compare."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gradcheck.judge.hearing import Hearing
from gradcheck.judge.locate import Place, numeric_column
from gradcheck.judge.probe import Prober
from gradcheck.judge.reals import Array
from gradcheck.judge.sweep import Sweep
from gradcheck.report import Kind

_SURVEY = 64
"""Entries surveyed one by one (two forward calls each) when the error is not in one entry alone."""


@dataclass
class Survey:
    """Claimed and numeric gradient of some entries of one block for one cotangent.

    entries: flat positions; jacobian: numeric derivative of every output by each of them, (M, entries); bound: what
    an entry's difference may owe to rounding. whole: every entry of the block is there.
    """

    hearing: Hearing
    b: int
    cotangent: Array
    entries: Array
    claimed: Array
    numeric: Array
    jacobian: Array
    bound: Array
    whole: bool

    @property
    def primal(self) -> Array:
        """The block itself."""
        return self.hearing.bench.primals[self.hearing.bench.blocks[self.b]]

    @property
    def wrong(self) -> Array:
        """Which surveyed entries disagree."""
        return np.asarray(np.abs(self.claimed - self.numeric) > self.bound)

    def matches(self, expected: Array) -> bool:
        """Whether the claim is what a hypothesis says: ten times closer to it than to the right gradient."""
        error = float(np.max(np.abs(self.claimed - self.numeric), initial=0.0))
        return bool(
            np.all(np.abs(self.claimed - expected) <= 0.1 * error + self.bound) and error > float(np.max(self.bound))
        )

    def count(self) -> str:
        """How many of those looked at are wrong: "3 of 6 entries"."""
        return self.share(" entries")

    def share(self, of: str = "") -> str:
        """The same where entries are named already: "3 of 6"."""
        total = self.primal.size * (2 if self.primal.dtype.kind == "c" else 1)
        looked_at = "" if self.wrong.size == total else f" looked at (of {total})"
        return f"{int(self.wrong.sum())} of {self.wrong.size}{of}{looked_at}"


class Guess(NamedTuple):
    """One diagnosis that fits a survey, with its evidence in words."""

    kind: Kind
    evidence: str
    factor: float | None = None


def take_survey(
    prober: Prober, hearing: Hearing, b: int, sweep: Sweep, step: float, cotangent: Array, claim: Array, at: Place
) -> Survey:
    """Entry by entry: all of a small block, a sample of a large one, only the guilty entry where it is alone."""
    size = claim.size
    if at.alone and at.entry is not None and size > 1:
        entries = np.array([at.entry])
    elif size <= _SURVEY:
        entries = np.arange(size)
    else:
        sample = np.random.default_rng(0).choice(size, _SURVEY // 4, replace=False)
        entries = np.unique(sample if at.entry is None else np.append(sample, at.entry))
    columns, kept = [], []
    for entry in entries:
        column = numeric_column(prober, sweep, step, int(entry))
        if column is not None:
            columns.append(column)
            kept.append(int(entry))
    if not kept:
        kept, columns = [at.entry or 0], [np.zeros_like(prober.origin)]
    jacobian = np.stack(columns, axis=1)
    numeric = cotangent @ jacobian
    claimed = claim[kept]
    readings = sweep.readings()
    clearest = min(range(len(readings)), key=lambda k: readings[k].error)
    error = readings[clearest].error
    if hearing.bench.twin:  # what a half rounds to is added up along the line, and no entry's alone
        error = max(0.0, error - float(sweep.claim_noise[clearest]))
    noise = 8 * float(
        np.sqrt((cotangent**2) @ (sweep.spread if sweep.spread is not None else np.zeros_like(cotangent)) ** 2)
    )
    units = np.abs(sweep.direction[kept])
    units = np.where(units > 0, units, prober.unit(sweep.position)[kept])
    bound = 2 * noise / (step * units) + error / max(float(np.max(np.abs(sweep.direction))), 1e-300)
    bound += 8 * sweep.eps * np.abs(numeric) + 2 * hearing.bench.twin * float(np.max(np.abs(numeric), initial=0.0))
    if at.alone and size > 1:  # the other entries are right: their sum said so
        everything = np.zeros(size), claim.copy()
        for array, value in zip(everything, (bound, numeric), strict=True):
            array[kept] = value
        return Survey(hearing, b, cotangent, np.arange(size), claim, everything[1], jacobian, everything[0], False)
    return Survey(hearing, b, cotangent, np.array(kept), claimed, numeric, jacobian, bound, len(kept) == size)
