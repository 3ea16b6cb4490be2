"""Tally: what several verdicts on one target add up to, as one report."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from gradcheck.judge.case import Case, seed_of, size_of
from gradcheck.judge.contrast import contrasted
from gradcheck.judge.verdict import check
from gradcheck.report import Report, Verdict, nearest
from gradcheck.target import Target

_RANK = {Verdict.FAIL: 0, Verdict.PASS: 1, Verdict.INCONCLUSIVE: 2}


def merged(earlier: Report, later: Report) -> Report:
    """Two reports on one target as one: the later FAIL, which is the smallest while Hypothesis shrinks; else a PASS if
    there is one, with the coarsest resolutions, the blocks nearest to their bounds, and why the rest told nothing.

    Once there is a FAIL nothing counts as a further example: what follows makes it smaller.

    >>> known = merged(Report(Verdict.PASS, "f", resolution=1e-9), Report(Verdict.INCONCLUSIVE, "f", reasons=("far",)))
    >>> known.verdict, known.examples, known.inconclusive, known.resolution, known.reasons
    (<Verdict.PASS: 'pass'>, 2, 1, 1e-09, ('far',))
    """
    kept = earlier if _RANK[earlier.verdict] < _RANK[later.verdict] else later
    examples, inconclusive = later.examples, _inconclusive(later)
    if earlier.verdict is Verdict.FAIL:
        examples, inconclusive = 0, 0
    told: dict[str, Any] = {}
    if kept.verdict is not Verdict.FAIL:
        told["reasons"] = tuple(dict.fromkeys(earlier.reasons + later.reasons))
    if kept.verdict is Verdict.PASS:
        passed = [report for report in (earlier, later) if report.verdict is Verdict.PASS]
        told["resolution"] = max(report.resolution for report in passed)
        told["resolutions"] = {
            name: max(report.resolutions.get(name, 0.0) for report in passed)
            for name in dict.fromkeys(name for report in passed for name in report.resolutions)
        }
        told["dtype"] = ", ".join(sorted({dtype for report in passed for dtype in report.dtypes}))
        told["blocks"] = nearest(row for report in passed for row in report.blocks)
        told["kinks"] = tuple(dict.fromkeys(kink for report in passed for kink in report.kinks))
    return replace(
        kept,
        **told,
        examples=earlier.examples + examples,
        inconclusive=_inconclusive(earlier) + inconclusive,
        evaluations=earlier.evaluations + later.evaluations,
        pullbacks=earlier.pullbacks + later.pullbacks,
    )


def _inconclusive(report: Report) -> int:
    return report.inconclusive or int(report.verdict is Verdict.INCONCLUSIVE)


class Tally:
    """The examples of a search: all that they add up to, and the smallest that fails."""

    def __init__(self, make: Callable[[Any, Case], Target], options: dict[str, Any]) -> None:
        self.make = make
        self.options = options
        self.all: Report | None = None
        self.first: Report | None = None  # the first failure, before it shrank
        self.smallest: Report | None = None
        self.size = (0, 0)
        self.remake: Callable[[Case], Target] | None = None  # the target of the smallest, for another case

    @property
    def examples(self) -> int:
        """How many were judged, those left out that made a failure smaller."""
        return 0 if self.all is None else self.all.examples

    def judge(self, drawn: Any, case: Case) -> Report:
        """Check one case, and take it in."""
        report = check(self.make(drawn, case), *case.inputs, seed=seed_of(case), **self.options)
        report = report if report else replace(report, case=case)  # with the sizes that its layer was made for
        one = replace(report, reasons=report.reasons[:1], inconclusive=_inconclusive(report))  # a reason an example
        self.all = one if self.all is None else merged(self.all, one)
        if report.verdict is Verdict.FAIL:
            self.first = self.first or report
            if self.smallest is None or size_of(case) <= self.size:
                self.smallest, self.size = report, size_of(case)
                self.remake = functools.partial(self.make, drawn)
        return report

    def larger(self, case: Case | None) -> Iterator[Report]:
        """Failures with more entries than the smallest: the first there was, and the same target at `case`."""
        if self.first is not None:
            yield self.first
        if case is not None and self.remake is not None:
            yield check(self.remake(case), *case.inputs, **self.options)

    def report(self, seed: int, telling: Case | None) -> Report:
        """One Report for all of them; `telling`: a case to name the mistake by, if shapes are free."""
        assert self.all is not None
        if self.smallest is None:
            return replace(self.all, seed=seed)
        known = self.all
        return replace(
            contrasted(self.smallest, self.larger(telling)),
            examples=known.examples,
            inconclusive=known.inconclusive,
            evaluations=known.evaluations,
            pullbacks=known.pullbacks,
            seed=seed,
        )
