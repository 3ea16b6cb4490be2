"""Judge: one layer in many settings, told setting by setting; what runs in the process that a layer has to itself."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from gradcheck.census.discover import Candidate
from gradcheck.census.guesses import Input
from gradcheck.census.settings import Setting, UnsettledError, others, target_of, tried, working
from gradcheck.judge.search import search
from gradcheck.judge.verdict import check
from gradcheck.report import Kind, Report, Verdict, place
from gradcheck.strategies import palette
from gradcheck.strategies.palette import MODES
from gradcheck.target import Target, from_pullback

SMALL = 1 / 1024
"""The scale at which a variance is below most epsilons."""

EPSILON = 1e-3
"""What an epsilon in a log may come to, relative to the gradient: 1e-5 added to probabilities of a hundredth."""

ROUNDED = 1e-5
"""A relative error below this is what float32 inside, 1e-7 beside a probability, or six digits of a constant make."""

HABITS = {Kind.STALE, Kind.ACCUMULATES, Kind.MUTATES, Kind.ALIASES, Kind.NONDETERMINISTIC}
"""Surprises to a caller, but no wrong derivative: what a network that calls every layer once, in order, never sees."""


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


def judged(candidate: Candidate, seconds: float) -> Iterator[Seen]:
    """Judge a layer in the setting that works and in those near it, until one is wrong or the time is up."""
    start = time.monotonic()
    try:
        (base,) = working(candidate, start + 0.6 * seconds)
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


def _in(candidate: Candidate, setting: Setting, draws: int) -> Seen:
    last: Report | None = None
    right = False
    for number in range(draws):
        inputs = setting.drawn(number, SMALL if number == 1 else 1.0)
        report = _check(target_of(candidate, setting), inputs)
        if report.verdict is Verdict.FAIL:
            return _excused(candidate, setting, inputs, report) or _told("wrong", setting, report)
        right = right or report.verdict is Verdict.PASS
        last = report
    assert last is not None
    return _told("right" if right else "inconclusive", setting, last)


def _check(target: Target, inputs: tuple[Any, ...]) -> Report:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return check(target, *inputs, seed=0)


def _excused(candidate: Candidate, setting: Setting, inputs: tuple[Any, ...], report: Report) -> Seen | None:
    """What a disagreement is instead of a mistake: an epsilon in the loss only, a derivative in terms of the value, or
    a name that says that backward is no derivative of forward. None where it is nothing of the kind.
    """
    numbers = [(f.claimed, f.numeric) for f in report.findings if f.claimed is not None and f.numeric is not None]
    whole = len(numbers) == len(report.findings)
    error = max((abs(claimed - numeric) / (abs(numeric) or 1) for claimed, numeric in numbers), default=1.0)
    for note in report.notes:
        if (whole and error < EPSILON and note.startswith("the loss takes log(")) or note.startswith("by design?"):
            return replace(_told("odd", setting, report), message=note)
    if {finding.kind for finding in report.findings} <= HABITS:
        return replace(_told("odd", setting, report), message=report.findings[0].message)
    if candidate.joined:
        words = "backward takes labels, and no cotangent: it may be the gradient of a loss that is not in forward"
        return replace(_told("odd", setting, report), message=words)
    if whole and error < ROUNDED:
        words = f"agrees to {error:.0e}: an epsilon, a constant of few digits or a lower precision inside"
        return replace(_told("odd", setting, report), message=words)
    if setting.labels is not None and (size := _constant(numbers, whole, inputs)):
        return replace(
            _told("odd", setting, report), message=f"the loss and its gradient differ by the constant {size}"
        )
    if candidate.at_point and len(inputs) == 1:
        bound, flat = target_of(candidate, setting).bound(inputs)
        value = bound.value(*flat, *bound.parameters.values())
        if np.shape(value) == np.shape(flat[0]):
            at_value = from_pullback(lambda x: (bound.value(x), bound.linearize(np.asarray(bound.value(x)))))
            if _check(at_value, flat).verdict is Verdict.PASS:
                return Seen("odd", str(setting), message="its derivative is written in terms of the value, f(x)")
    if Kind.IGNORES_COTANGENT in {finding.kind for finding in report.findings}:
        bound, flat = target_of(candidate, setting).bound(inputs)

        def times(*arrays: Any) -> tuple[Any, Any]:
            value, pullback = bound.value(*arrays), bound.linearize(*arrays)
            return value, lambda g: tuple(None if d is None else _rows(g, d) * d for d in pullback(np.ones_like(value)))

        target = from_pullback(times, frozen=bound.frozen)
        if not bound.parameters and _check(target, flat).verdict is Verdict.PASS:
            return Seen("odd", str(setting), message="backward returns f'(x): its caller is to multiply")
    return None


def _rows(g: Any, d: Any) -> Any:
    """A cotangent of examples, or of all at once, in as many axes as the derivative has."""
    return np.reshape(g, np.shape(g) + (1,) * max(np.ndim(d) - np.ndim(g), 0))


def _constant(numbers: list[tuple[Any, Any]], whole: bool, inputs: tuple[Any, ...]) -> str:
    """The number of examples or classes, if that is what all numbers differ by: a mean whose gradient is the sum's."""
    sizes = {"of the examples": len(inputs[0]), "of the classes": inputs[0].shape[-1], "of the entries": inputs[0].size}
    for name, size in sizes.items() if whole and numbers else ():
        if size > 1 and any(all(abs(c / n - r) < ROUNDED * r for c, n in numbers if n) for r in (size, 1 / size)):
            return f"{size}, the number {name}"
    return ""


def _told(word: str, setting: Setting, report: Report, case: str = "") -> Seen:
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
        return Seen(word, str(setting), finding.kind.value, worst, finding.message, case, report.notes)
    why = report.reasons[0] if report.reasons else ""
    return Seen(word, str(setting), message=why if word != "right" else "", notes=report.notes)


def _smallest(candidate: Candidate, setting: Setting, seen: Seen, seconds: float) -> Seen:
    """The same mistake at values as simple as Hypothesis finds in the time that is left."""
    drawn = [_values(x) if isinstance(x, Input) else st.just(x) for x in setting.inputs]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        # 10 examples, since all of them are near the one that failed; shrinking asks some hundred times more
        report = search(lambda: target_of(candidate, setting), st.tuples(*drawn), max_examples=10, seed=0)
    return _told(seen.word, setting, report, repr(report.case)) if report.verdict is Verdict.FAIL else seen


def _values(x: Input) -> st.SearchStrategy[Any]:
    filling = st.tuples(st.binary(max_size=16), st.sampled_from(MODES), st.integers(0, 99))
    return filling.map(lambda f: x.of(palette(f[0], x.shape, mode=f[1], seed=f[2])))
