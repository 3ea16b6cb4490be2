"""Diagnose: put what was located and surveyed into a finding, every fitting diagnosis ranked, best first.

A diagnosis is evidence and is worded as such.
"""

import numpy as np

from gradcheck.floats import differentiable
from gradcheck.judge.bench import Bench
from gradcheck.judge.factors import spelled
from gradcheck.judge.hearing import Hearing
from gradcheck.judge.hypotheses import guesses
from gradcheck.judge.locate import Place
from gradcheck.judge.probe import Prober
from gradcheck.judge.reals import Array
from gradcheck.judge.survey import Guess, Survey, take_survey
from gradcheck.judge.sweep import Sweep
from gradcheck.report import Finding, Kind, place


def diagnose(
    prober: Prober, hearing: Hearing, b: int, sweep: Sweep, k: int, cotangent: Array, claim: Array, at: Place
) -> Finding:
    """The finding for a located error, every fitting diagnosis ranked. Raises BudgetError."""
    survey = take_survey(prober, hearing, b, sweep, sweep.reading(k).step, cotangent, claim, at)
    ranked = list(guesses(survey))
    best = ranked[0]
    label = hearing.name(b)
    shape = survey.primal.shape
    entry = at.entry
    claimed, numeric, bound, output = at.claimed, at.numeric, at.bound, at.output
    if entry is None and survey.wrong.any():
        worst = int(np.argmax(np.abs(survey.claimed - survey.numeric)))
        entry = int(survey.entries[worst])
        claimed, numeric, bound = float(survey.claimed[worst]), float(survey.numeric[worst]), float(survey.bound[worst])
        output = None
    index = None
    if entry is not None:
        flat = entry // (2 if survey.primal.dtype.kind == "c" else 1)
        index = tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()
    if best.kind is Kind.OTHER:
        message = f"backward of {place(label, index)} is {claimed:.4g}, the finite difference {numeric:.4g}"
    else:
        message = f"backward of {place(label, index if at.alone else None)} is {_phrase(best, survey)}"
    return Finding(
        best.kind,
        message,
        label,
        index,
        output=None if output is None else _output_index(hearing.bench, output),
        claimed=claimed,
        numeric=numeric,
        bound=bound,
        kinds=tuple(dict.fromkeys(g.kind for g in ranked)),
        evidence=tuple(f"{g.kind.name}: {g.evidence}" for g in ranked[:3]),
        sweep=tuple((r.step, r.slope, r.noise) for r in sorted(sweep.rungs(k), key=lambda r: r.step)),
    )


def _phrase(best: Guess, survey: Survey) -> str:
    if best.factor is None:
        return best.kind.wrong
    everywhere = survey.whole and survey.wrong.all() and survey.wrong.size > 1
    return f"{spelled(best.factor)}× the finite difference{', everywhere' if everywhere else ''}"


def _output_index(bench: Bench, flat: int) -> tuple[int, ...]:
    """The place of a flat output: its index, led by its position where the value is a tuple."""
    start = 0
    for n, model in enumerate(bench.models):
        if not differentiable(model):
            continue
        width = 2 if model.dtype.kind == "c" else 1
        if flat < start + model.size * width:
            index = tuple(int(i) for i in np.unravel_index((flat - start) // width, model.shape)) if model.shape else ()
            return index if bench.single else (n, *index)
        start += model.size * width
    return (flat,)
