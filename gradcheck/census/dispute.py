"""Dispute: a layer where backward and the finite differences disagree, with what an excuse is tried by."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.census.discover import Candidate
from gradcheck.census.settings import Setting, target_of
from gradcheck.judge.verdict import check
from gradcheck.report import Kind, Report
from gradcheck.target import Target

ROUNDED = 1e-5
"""A relative error below this is what float32 inside, 1e-7 beside a probability, or six digits of a constant make."""


@dataclass(frozen=True)
class Dispute:
    """A layer in a setting, the inputs at which backward and finite differences disagree, and the report of that."""

    candidate: Candidate
    setting: Setting
    inputs: tuple[Any, ...]
    report: Report

    @property
    def bound(self) -> tuple[Target, tuple[Any, ...]]:
        """The target, made anew, and its flat arrays."""
        return target_of(self.candidate, self.setting).bound(self.inputs)

    @property
    def numbers(self) -> list[tuple[Any, Any]]:
        """What backward and the finite difference say at the worst entry of each finding; [] if one has no numbers."""
        found = [(f.claimed, f.numeric) for f in self.report.findings]
        return [] if any(c is None or n is None for c, n in found) else found

    @property
    def error(self) -> float:
        """The largest relative error; infinite where there are no numbers."""
        return max((abs(c - n) / (abs(n) or 1) for c, n in self.numbers), default=np.inf)

    @property
    def kinds(self) -> set[Kind]:
        """The kinds of what was found."""
        return {finding.kind for finding in self.report.findings}


def asked(target: Target, inputs: tuple[Any, ...]) -> Report:
    """What `check` says, whatever the layer warns of."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return check(target, *inputs, seed=0)
