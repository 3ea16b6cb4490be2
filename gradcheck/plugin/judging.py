"""Judge what a test asks about: at its arrays, over drawn ones, or at a recorded case."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import currently_in_test_context, settings
from hypothesis import strategies as st

from gradcheck.adapters import as_target
from gradcheck.judge import check
from gradcheck.judge.case import Case
from gradcheck.judge.case import seed_of as seed_of_case
from gradcheck.judge.search import maker, search
from gradcheck.plugin.settings import CHECK, SETTINGS
from gradcheck.report import GradientMismatch, InconclusiveError, Report, Verdict
from gradcheck.suite.targets import Subject
from gradcheck.target import Target

if TYPE_CHECKING:
    from gradcheck.plugin.session import Session


def judge(
    session: "Session",
    target: Any,
    *inputs: Any,
    frozen: Sequence[int | str] = (),
    seed: int | None = None,
    **given: Any,
) -> Report:
    """What the fixture `gradcheck` does: judge at these inputs, or over drawn ones; raise GradientMismatch for a FAIL.

    Raises TypeError where there is nothing to judge at, or an argument is neither a setting nor a shape.
    """
    __tracebackhide__ = True
    shapes = {name: given.pop(name) for name, value in list(given.items()) if _is_shape(name, value)}
    layer = target
    if isinstance(target, Subject):
        layer, shapes = target.layer, {**target.shapes, **shapes}
    chosen = session.settings(given, layer)
    options = {name: chosen[name] for name in CHECK}
    strategy = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], st.SearchStrategy) else None
    if strategy is None and bool(inputs) == bool(shapes):
        raise TypeError(
            f"gradcheck got {'both arrays and' if inputs else 'neither arrays nor'} shapes: give arrays to judge at, "
            f'or shapes by letter such as x=("n", "k"), or a strategy for the tuple of inputs'
        )
    at_arrays = bool(inputs) and strategy is None
    if (again := _recorded(session, layer, frozen)) is not None:
        built, case = again
        report = check(built, *case.inputs, seed=(seed or 0) if at_arrays else seed_of_case(case), **options)
    elif at_arrays:
        report = check(as_target(layer, frozen=frozen), *inputs, seed=seed or 0, **options)
    else:
        report = search(
            layer,
            strategy,
            max_examples=chosen["max_examples"] or settings().max_examples,
            dtypes=chosen["dtypes"],
            frozen=frozen,
            seed=seed_of(session.config) if seed is None else seed,
            options=options,
            **shapes,
        )
    session.hear(report, chosen, layer, () if strategy is not None else inputs, frozen)
    if report.verdict is Verdict.FAIL:
        raise GradientMismatch(report)
    # Under @given one example of many may tell nothing; the session asks about all of them when the test ends.
    if chosen["strict"] and report.verdict is Verdict.INCONCLUSIVE and not currently_in_test_context():
        raise InconclusiveError(report)
    return report


def _recorded(session: "Session", layer: Any, frozen: Sequence[int | str]) -> tuple[Target, Case] | None:
    """The target and the recorded case at which it is to be judged again, if it is the one."""
    if session.recorded is None:
        return None
    name, case = session.recorded
    built = maker(layer, list(case.sizes), frozen)(layer, case)
    return (built, case) if built.name == name else None


@functools.cache
def warm_up() -> None:
    """Judge once outside of any test. What is imported then, for a second on a busy machine, would otherwise count as
    the first example's time, for which Hypothesis has a deadline of 200 ms.
    """
    check((np.negative, lambda inputs, dy: (-dy,)), 1.0)


def _is_shape(name: str, value: object) -> bool:
    axes = isinstance(value, list | tuple) and all(isinstance(axis, str | int) for axis in value)
    return axes and name not in SETTINGS


def seed_of(config: pytest.Config) -> int | None:
    """The seed that Hypothesis was given for this run, None for a fresh one; a frozen one where its profile is."""
    given = config.getoption("--hypothesis-seed", None)
    if given is not None and str(given).isdigit():
        return int(given)
    return 0 if settings().derandomize else None
