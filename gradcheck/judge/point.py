"""Point: judge a target at one point, with the budget, the clock and the quiet that it is judged under."""

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.judge import streams
from gradcheck.judge.bench import Bench, BudgetError
from gradcheck.judge.clock import TimeLimitError, time_limit
from gradcheck.judge.laws import LAWS
from gradcheck.judge.trial import Trial
from gradcheck.report import Report, Verdict
from gradcheck.target import Target


def judged(
    target: Target,
    inputs: tuple[Any, ...],
    seed: int,
    forbid_kinks: bool,
    slack: float,
    budget: int | None,
    timeout: float | None,
    *,
    conjugate: bool = False,
) -> Report:
    """A whole trial, and where complex numbers come in a second one by the other convention, if the first fails.

    Raises ValueError for inputs that cannot be judged; what the target does wrong is a verdict.
    """
    bench = _bench(target, inputs, budget)
    bench.conjugate = conjugate
    trial = Trial(bench, seed, forbid_kinks=forbid_kinks, slack=slack)
    with quiet():
        try:
            bench.deadline = math.inf if timeout is None else time.monotonic() + timeout
            with time_limit(timeout):
                trial.judge()
        except (BudgetError, TimeLimitError) as spent:
            trial.reasons.append(str(spent))
    report = trial.report()
    complex_anywhere = any(array.dtype.kind == "c" for array in (*bench.primals, *bench.models))
    if conjugate or not complex_anywhere or all(finding.claimed is None for finding in report.findings):
        return report
    other = judged(target, inputs, seed, forbid_kinks, slack, budget, timeout, conjugate=True)
    if other.verdict is not Verdict.PASS:
        return report
    return replace(other, notes=(*other.notes, "complex gradients are Jᵀv, without conjugation, as JAX has them"))


def lawful(target: Target, inputs: tuple[Any, ...], laws: tuple[str, ...] | None, seed: int) -> Report:
    """The laws alone, all of them for None. Raises ValueError for one that does not exist."""
    for name in laws or ():
        if name not in LAWS:
            raise ValueError(f"laws names {name!r}; the laws are {', '.join(LAWS)}")
    trial = Trial(_bench(target, inputs, None), seed)
    with quiet():
        trial.judge(tuple(LAWS) if laws is None else laws, probes=False)
    return trial.report()


def _bench(target: Target, inputs: tuple[Any, ...], budget: int | None) -> Bench:
    if budget is not None and budget < 1:
        raise ValueError(f"budget must be at least 1 forward call, got {budget!r}; leave it out for no limit")
    bench = Bench(target, inputs, budget=budget)
    if not bench.blocks:
        dtypes = ", ".join(dict.fromkeys(str(primal.dtype) for primal in bench.primals))
        raise ValueError(
            f"{target.name} has no input to differentiate: {len(bench.primals)} inputs, all of them frozen or no "
            f"floats ({dtypes or 'none at all'}); give at least one array of floats, bfloat16 to longdouble"
        )
    return bench


@contextmanager
def quiet() -> Iterator[None]:
    """A target's warnings are not the caller's, and its random numbers are not taken from the caller's streams."""
    with streams.preserved(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
