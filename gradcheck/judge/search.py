"""Search: let Hypothesis hunt for the smallest case whose gradient is wrong.

Every example is a whole `check`. A failing one is shrunk, layer and batch together, and comes back as `report.case`,
whose repr is runnable Python. An INCONCLUSIVE example is counted and stops nothing.
"""

import inspect
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase
from hypothesis.errors import Flaky, FlakyFailure, Unsatisfiable

from gradcheck import floats
from gradcheck.adapters import as_target
from gradcheck.judge.case import Case, telling_case
from gradcheck.judge.tally import Tally
from gradcheck.progress import watching
from gradcheck.report import Report, Verdict
from gradcheck.strategies import palette, shapes_by_letter
from gradcheck.strategies.palette import MODES
from gradcheck.target import Target

Shapes = Mapping[str, Sequence[str | int]]

_SCALES = (1.0, 1.0, 1.0, 1.0, 128.0, 1 / 1024)
"""Powers of two, so that the palette stays exact: 8 · 128 saturates a sigmoid, 2⁻¹⁰ · ⅛ is a small variance."""


_EVEN, _EVEN_BY_LETTER = 0.7, 0.3
"""The share of examples that are drawn from random bytes, of a caller's strategy and of shapes by letter. The rest is
Hypothesis' own, whose liking for simple and repeated values finds what no even draw would."""

PATIENCE = 1.0
"""Seconds after which a search in a terminal says how far it is: most end before that, and a bar would only flicker."""

_BYTES = 8192
"""Enough for a strategy that draws some thousand numbers; one that wants more is left to Hypothesis."""


def search(
    target: Any,
    inputs: st.SearchStrategy[Any] | Shapes | None = None,
    *,
    max_examples: int = 200,
    seed: int | None = None,
    dtypes: str | Sequence[str] = "float64",
    frozen: Sequence[int | str] = (),
    options: Mapping[str, Any] | None = None,
    **shapes: Sequence[str | int],
) -> Report:
    """Judge many drawn cases and shrink the first failure to the smallest.

    target: a target or what `as_target` understands; a function of no arguments that makes one, anew for each
    example; a function
        of letters (`lambda k, m: …`) that makes one for the sizes drawn; or a strategy of targets.
    inputs: a strategy for the tuple of inputs: it states the domain, and nothing outside it is judged. Or shapes by
    letter, as
        a mapping or as keywords: x=("n", "k"), w=("k", "m"); arrays are then drawn from the palette.
    dtypes: for shapes by letter, one or several of "float64 float32 float16 bfloat16 longdouble". seed: of the draws;
    None takes a fresh one, which the report names. options: passed on to `check` (kinks, slack, budget, timeout).

    Returns a Report with `case` (on a FAIL), `examples` and `inconclusive`. It passes if something could be judged
    and nothing failed; its blocks are then those that came nearest to their bounds. In a terminal a bar shows on stderr
    while it takes longer than a second. Raises TypeError or ValueError where target or inputs cannot be used.

    >>> square = (lambda x: x * x, lambda inputs, g: (2 * abs(inputs[0]) * g,))
    >>> report = search(square, x=("n",), seed=1)
    >>> report.verdict, report.case
    (<Verdict.FAIL: 'fail'>, Case((np.array([-1.0]),), {'n': 1}))
    """
    if max_examples < 1:
        raise ValueError(f"max_examples must be at least 1, got {max_examples!r}")
    if isinstance(inputs, Mapping):
        shapes, inputs = {**inputs, **shapes}, None
    make, cases = _plan(target, inputs, shapes, dtypes, frozen)
    start = secrets.randbits(32) if seed is None else seed
    tally = Tally(make, dict(options or {}))

    even = int((_EVEN_BY_LETTER if inputs is None else _EVEN) * max_examples)

    @seeded(start)
    @settings(
        max_examples=max_examples - even,
        deadline=None,
        database=InMemoryExampleDatabase(),
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.reuse, Phase.generate, Phase.shrink),
    )
    @given(cases)
    def judge(drawn: tuple[Any, Case]) -> None:
        shrinks = tally.smallest is not None
        report = tally.judge(*drawn)
        if not shrinks:
            watcher.saw(report)
        if report.verdict is Verdict.FAIL:
            raise _FailureFound

    try:
        with watching("examples", max_examples, patience=PATIENCE) as watcher:
            _draw_evenly(judge, tally, even, random.Random(start))
            judge()  # takes up what the even draws found, through the database, and shrinks it
    except (_FailureFound, Flaky, FlakyFailure, BaseExceptionGroup):
        pass  # the tally holds the smallest; a target that keeps state fails differently when asked again
    except Unsatisfiable as error:
        raise ValueError(f"the strategy for the inputs drew nothing to judge: {error}; loosen its filters") from error
    return tally.report(start, telling_case(shapes) if shapes else None)


def _draw_evenly(judge: Any, tally: Tally, count: int, bits: random.Random) -> None:
    """Judge `count` examples drawn from random bytes, without Hypothesis' liking for what is simple or was before.

    Of 200 examples of its own about 60 repeat the simplest choice, and a draw that is one in forty is missed by every
    fifth search. Bytes that a strategy rejects are not counted, but not tried without end either.
    """
    for _ in range(4 * count):
        if tally.examples >= count or tally.smallest is not None:
            return
        with suppress(_FailureFound):  # saved by Hypothesis, to be shrunk
            judge.hypothesis.fuzz_one_input(bits.randbytes(_BYTES))


class _FailureFound(Exception):  # noqa: N818 - a signal to Hypothesis, never seen by a caller
    """This example fails; shrink it."""


def _plan(
    target: Any,
    inputs: st.SearchStrategy[Any] | None,
    shapes: Shapes,
    dtypes: str | Sequence[str],
    frozen: Sequence[int | str],
) -> tuple[Callable[[Any, Case], Target], st.SearchStrategy[tuple[Any, Case]]]:
    """How to make the target of an example, and how to draw its (target, case)."""
    if (inputs is None) == (not shapes):
        raise TypeError(
            'search needs either a strategy for the tuple of inputs or shapes by letter such as x=("n", "k"); '
            f"got {'both' if shapes else 'neither'}"
        )
    if inputs is not None:
        if not isinstance(inputs, st.SearchStrategy):
            raise TypeError(
                f"inputs must be a Hypothesis strategy or shapes by letter, got {type(inputs).__name__} {inputs!r:.60}"
            )
        cases = inputs.map(lambda drawn: Case(tuple(drawn) if isinstance(drawn, tuple | list) else (drawn,)))
    else:
        cases = cases_by_letter(shapes, dtypes)
    letters = list(dict.fromkeys(axis for axes in shapes.values() for axis in axes if isinstance(axis, str)))
    make = maker(target, letters, frozen)
    targets = target if isinstance(target, st.SearchStrategy) else st.just(target)
    return make, st.tuples(targets, cases)


def maker(target: Any, letters: Sequence[str], frozen: Sequence[int | str] = ()) -> Callable[[Any, Case], Target]:
    """How the target of an example is made, from what the strategy of targets drew, if it is one, and the case."""
    if isinstance(target, st.SearchStrategy):
        return lambda drawn, case: as_target(drawn, frozen=frozen)
    if not isinstance(target, Target) and callable(target):
        try:
            wanted = [p.name for p in inspect.signature(target).parameters.values() if p.default is p.empty]
        except (TypeError, ValueError):
            wanted = ["?"]
        if not wanted:
            return lambda drawn, case: as_target(drawn(), frozen=frozen)
        if letters and set(wanted) <= set(letters):
            return lambda drawn, case: as_target(drawn(**{n: case.sizes[n] for n in wanted}), frozen=frozen)
    fixed = as_target(target, frozen=frozen)
    return lambda drawn, case: fixed


def cases_by_letter(shapes: Shapes, dtypes: str | Sequence[str]) -> st.SearchStrategy[Case]:
    """Cases whose arrays the library draws itself: sizes by letter, values from the palette, one dtype for all of
    them.
    """
    names = dtypes.split() if isinstance(dtypes, str) else list(dtypes)
    for name in names:
        floats.named(name)

    # every strategy is made once: one made inside a draw costs more than the check that it feeds
    sizes, dtype, scale = shapes_by_letter(**shapes), st.sampled_from(names), st.sampled_from(_SCALES)
    filling = st.tuples(st.binary(max_size=32), st.sampled_from(MODES), st.integers(0, 2**16 - 1), scale)

    @st.composite
    def draw_case(draw: st.DrawFn) -> Case:
        drawn, name = draw(sizes), draw(dtype)
        arrays = []
        for shape in drawn.values():
            data, mode, noise, factor = draw(filling)
            array = palette(data, shape, mode=mode, seed=noise, dtype=name)
            arrays.append(array if factor == 1 else (array * array.dtype.type(factor)).astype(array.dtype))
        axes = [
            pair
            for letters, shape in zip(shapes.values(), drawn.values(), strict=True)
            for pair in zip(letters, shape, strict=True)
        ]
        return Case(tuple(arrays), {letter: size for letter, size in axes if isinstance(letter, str)})

    return draw_case()
