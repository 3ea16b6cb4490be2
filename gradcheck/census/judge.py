"""Judge: one layer in many settings, told setting by setting; what runs in the process that a layer has to itself."""

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from gradcheck.census.discover import Candidate
from gradcheck.census.dispute import Dispute, asked
from gradcheck.census.excuses import excused
from gradcheck.census.inputs import Input
from gradcheck.census.settings import Setting, UnsettledError, others, target_of, tried, working
from gradcheck.judge.search import search
from gradcheck.report import Kind, Report, Verdict, place
from gradcheck.strategies import palette
from gradcheck.strategies.palette import MODES

SMALL = 1 / 1024
"""The scale at which a variance is below most epsilons."""


@dataclass(frozen=True)
class Seen:
    """What came of one setting: right, wrong, odd, raises, inconclusive or unknown; in which setting, and why."""

    word: str
    setting: str = ""
    kind: str = ""
    worst: str = ""
    message: str = ""
    case: str = ""
    notes: tuple[str, ...] = ()
    margin: float = 0.0  # error/bound


def judged(candidate: Candidate, seconds: float) -> Iterator[Seen]:
    """Judge a layer in the setting that works and in those near it, until one is wrong or the time is up."""
    start = time.monotonic()
    try:
        candidate, base = _settled(candidate, start + 0.6 * seconds)
    except UnsettledError as error:
        yield Seen("unknown", message=str(error))
        return
    settings = [base]
    for setting in (*settings, *others(candidate, base)):
        if time.monotonic() - start > 0.8 * seconds:
            return
        if setting is not base:
            raised, where = tried(candidate, setting)
            if where == "backward":
                words = f"{type(raised).__name__}: {raised}"
                yield Seen("raises", str(setting), Kind.RAISES.value, message=words[:200])
            if raised is not None:
                continue
        seen = _in(candidate, setting, draws=4 if setting is base else 2)
        yield seen
        if seen.word == "wrong":
            yield _smallest(candidate, setting, seen, start + seconds - time.monotonic())
            return


def _settled(candidate: Candidate, until: float) -> tuple[Candidate, Setting]:
    """A candidate in the setting that works: of arrays, or of tensors where those raise and its module has torch."""
    try:
        return candidate, next(working(candidate, until))
    except UnsettledError:
        module, torch = vars(sys.modules.get(candidate.layer.__module__, object)), sys.modules.get("torch")
        taken = (one is torch or (callable(one) and getattr(torch, name, 0) is one) for name, one in module.items())
        if candidate.framework or torch is None or not any(taken):
            raise
        with suppress(UnsettledError):
            over_tensors = replace(candidate, framework="torch")
            return over_tensors, next(working(over_tensors, until))
        raise


def _in(candidate: Candidate, setting: Setting, draws: int) -> Seen:
    last: Report | None = None
    right = False
    for number in range(draws):
        inputs = setting.drawn(number, SMALL if number == 1 else 1.0)
        report = asked(target_of(candidate, setting), inputs)
        if report.verdict is Verdict.FAIL:
            told, words = _told("wrong", setting, report), excused(Dispute(candidate, setting, inputs, report))
            return replace(told, word="odd", message=words) if words else told
        right = right or report.verdict is Verdict.PASS
        last = report
    assert last is not None
    return _told("right" if right else "inconclusive", setting, last)


def _told(word: str, setting: Setting, report: Report) -> Seen:
    if report.findings:
        finding = report.findings[0]
        if all(f.kind is Kind.RAISES for f in report.findings):
            word = "raises"
        numbers = (
            ""
            if finding.claimed is None
            else f"backward {finding.claimed:.4g}, finite difference {finding.numeric:.4g}"
        )
        worst = f"{place(finding.input, finding.index)}: {numbers}" if numbers else place(finding.input, finding.index)
        told = word, str(setting), finding.kind.value, worst, finding.message
        return Seen(*told, notes=report.notes, margin=report.margin)
    why = report.reasons[0] if report.reasons else ""
    return Seen(word, str(setting), message=why if word != "right" else "", notes=report.notes, margin=report.margin)


def _smallest(candidate: Candidate, setting: Setting, seen: Seen, seconds: float) -> Seen:
    """The same mistake at values as simple as Hypothesis finds in the time that is left."""
    drawn = [_values(x) if isinstance(x, Input) else st.just(x) for x in setting.inputs]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        # 10 examples, since all of them are near the one that failed; shrinking asks some hundred times more
        report = search(lambda: target_of(candidate, setting), st.tuples(*drawn), max_examples=10, seed=0)
    # the diagnosis stays that of the generic point: at zeros and ties one kind looks like another
    return replace(seen, case=repr(report.case)) if report.verdict is Verdict.FAIL else seen


def _values(x: Input) -> st.SearchStrategy[Any]:
    filling = st.tuples(st.binary(max_size=16), st.sampled_from(MODES), st.integers(0, 99))
    return filling.map(lambda f: x.of(palette(f[0], x.shape, mode=f[1], seed=f[2])))
