"""Search: let Hypothesis hunt for the smallest case whose gradient is wrong.

Every example is a whole `check`. A failing one is shrunk, layer and batch together, and comes back as `report.case`,
whose repr is runnable Python. An INCONCLUSIVE example is counted and stops nothing.
"""

import inspect
import random
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase
from hypothesis.errors import Flaky, FlakyFailure, Unsatisfiable

from gradcheck.adapters import as_target
from gradcheck.judge.bench import Array
from gradcheck.judge.verdict import check
from gradcheck.report import Finding, Kind, Report, Verdict
from gradcheck.strategies import palette, shapes_by_letter
from gradcheck.strategies.palette import MODES
from gradcheck.target import Target

Shapes = Mapping[str, Sequence[str | int]]

_SCALES = (1.0, 1.0, 1.0, 1.0, 128.0, 1 / 1024)
"""Powers of two, so that the palette stays exact: 8 · 128 saturates a sigmoid, 2⁻¹⁰ · ⅛ is a small variance."""


_EVEN = 0.7
"""The share of examples of a caller's strategy that are drawn from random bytes. The rest is Hypothesis' own, whose
liking for simple and repeated values finds what no even draw would."""

_BYTES = 8192
"""Enough for a strategy that draws some thousand numbers; one that wants more is left to Hypothesis."""


@dataclass(frozen=True)
class Case:
    """The inputs behind a verdict, and the sizes that its layer was built with, if it was built for them.

    >>> import numpy as np
    >>> Case((np.array([0.5, 2.0]), np.array([1], dtype=np.int64)), {"n": 2})
    Case((np.array([0.5, 2.0]), np.array([1], dtype='int64')), {'n': 2})
    """

    inputs: tuple[Any, ...]
    sizes: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        inputs = ", ".join(_spelled(value) for value in self.inputs) + ("," if len(self.inputs) == 1 else "")
        return f"Case(({inputs}), {dict(self.sizes)!r})" if self.sizes else f"Case(({inputs}))"


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
    dtypes: for shapes by letter, one or several of "float64 float32 float16 longdouble". seed: of the draws; None
    takes a fresh one, which the report names. options: passed on to `check` (kinks, slack, budget, timeout).

    Returns a Report with `case` (on a FAIL), `examples` and `inconclusive`. It passes if something could be judged
    and nothing failed. Raises TypeError or ValueError where target or inputs cannot be used.

    >>> square = (lambda x: x * x, lambda inputs, g: (2 * np.abs(inputs[0]) * g,))
    >>> report = search(square, x=("n",), seed=1)
    >>> report.verdict, report.case
    (<Verdict.FAIL: 'fail'>, Case((np.array([-1.0]),), {'n': 1}))
    """
    if max_examples < 1:
        raise ValueError(f"max_examples must be at least 1, got {max_examples!r}")
    make, cases = _plan(target, inputs, shapes, dtypes, frozen)
    start = secrets.randbits(32) if seed is None else seed
    tally = _Tally(make, dict(options or {}))

    even = int(_EVEN * max_examples) if inputs is not None and not isinstance(inputs, Mapping) else 0

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
        if tally.judge(*drawn).verdict is Verdict.FAIL:
            raise _FailureFound

    try:
        _draw_evenly(judge, tally, even, random.Random(start))
        judge()  # takes up what the even draws found, through the database, and shrinks it
    except (_FailureFound, Flaky, FlakyFailure, BaseExceptionGroup):
        pass  # the tally holds the smallest; a target that keeps state fails differently when asked again
    except Unsatisfiable as error:
        raise ValueError(f"the strategy for the inputs drew nothing to judge: {error}; loosen its filters") from error
    return tally.report(start)


def _draw_evenly(judge: Any, tally: "_Tally", count: int, bits: random.Random) -> None:
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


class _Tally:
    """What the examples add up to."""

    def __init__(self, make: Callable[[Any, Case], Target], options: dict[str, Any]) -> None:
        self.make = make
        self.options = options
        self.examples = self.passed = self.inconclusive = 0
        self.evaluations = self.pullbacks = 0
        self.first: Report | None = None  # the first failure, before it shrank
        self.smallest: Report | None = None
        self.last: Report | None = None
        self.resolution = 0.0
        self.kinks: dict[str, None] = {}
        self.reasons: dict[str, None] = {}

    def judge(self, drawn: Any, case: Case) -> Report:
        """Check one case, and take it in."""
        report = check(self.make(drawn, case), *case.inputs, seed=seed_of(case), **self.options)
        self.evaluations += report.evaluations
        self.pullbacks += report.pullbacks
        self.last = report
        if self.smallest is None:
            self.examples += 1
        if report.verdict is Verdict.FAIL:
            self.first = self.first or report
            if self.smallest is None or _size(case) <= _size(self.smallest.case):
                self.smallest = replace(report, case=case)
        elif self.smallest is None:
            if report.verdict is Verdict.PASS:
                self.passed += 1
                self.resolution = max(self.resolution, report.resolution)
                self.kinks.update(dict.fromkeys(report.kinks))
            else:
                self.inconclusive += 1
                self.reasons.update(dict.fromkeys(report.reasons[:1]))
        return report

    def report(self, seed: int) -> Report:
        """One Report for all of them."""
        counts: dict[str, Any] = {
            "examples": self.examples,
            "inconclusive": self.inconclusive,
            "evaluations": self.evaluations,
            "pullbacks": self.pullbacks,
            "seed": seed,
        }
        if self.smallest is not None and self.first is not None:
            findings = (contrasted(self.smallest.findings[0], self.first), *self.smallest.findings[1:])
            return replace(self.smallest, findings=findings, **counts)
        assert self.last is not None
        reasons = tuple(self.reasons)
        if not self.passed:
            return replace(self.last, reasons=reasons or self.last.reasons, **counts)
        return Report(
            Verdict.PASS, self.last.target, resolution=self.resolution, kinks=tuple(self.kinks), reasons=reasons,
            dtype=self.last.dtype, **counts,
        )  # fmt: skip


_TELLING = (Kind.BRANCH, Kind.REPEATED_INDEX, Kind.TRANSPOSED, Kind.PERMUTED, Kind.DIAGONAL_ONLY, Kind.NOT_SUMMED)
"""Kinds that are told by contrast between entries, of which the smallest case may have too few."""


def contrasted(smallest: Finding, first: Report) -> Finding:
    """The finding of the smallest case, by the name that the first failure gave it where it had more to compare."""
    larger = next((f for f in first.findings if f.input == smallest.input), first.findings[0])
    if larger.kind not in _TELLING or smallest.kind in _TELLING or smallest.claimed is None:
        return smallest
    return replace(
        smallest,
        kind=larger.kind,
        kinds=(larger.kind, *(k for k in smallest.kinds if k is not larger.kind)),
        evidence=(f"before it shrank: {larger.evidence[0]}", *smallest.evidence),
    )


def _plan(
    target: Any,
    inputs: st.SearchStrategy[Any] | Shapes | None,
    shapes: Shapes,
    dtypes: str | Sequence[str],
    frozen: Sequence[int | str],
) -> tuple[Callable[[Any, Case], Target], st.SearchStrategy[tuple[Any, Case]]]:
    """How to make the target of an example, and how to draw its (target, case)."""
    if isinstance(inputs, Mapping):
        shapes = {**inputs, **shapes}
        inputs = None
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
        if np.dtype(name).kind != "f":
            raise ValueError(
                f"dtypes names {name!r}, which is no floating-point dtype; use float64, float32, float16 or longdouble"
            )

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


def seed_of(case: Case) -> int:
    """A seed from the inputs themselves, so that a case gets the same verdict wherever it is judged again."""
    parts = [np.ascontiguousarray(np.asarray(value)) for value in case.inputs]
    return zlib.crc32(b"".join(part.tobytes() + str(part.shape).encode() for part in parts if part.dtype != object))


def _size(case: object) -> tuple[int, int]:
    assert isinstance(case, Case)
    arrays = [np.asarray(value) for value in case.inputs]
    return sum(a.size for a in arrays), sum(int(np.count_nonzero(a)) for a in arrays)


def _spelled(value: Any) -> str:
    """An input as a Python expression that evaluates to it, np being numpy."""
    if not isinstance(value, np.ndarray | np.generic):
        return repr(value)
    array = np.asarray(value)
    dtype = "" if array.dtype == np.float64 else f", dtype={array.dtype.name!r}"
    if array.dtype == bool:
        dtype = ""
    if not array.size:
        return f"np.zeros({array.shape}{dtype})"
    return f"np.array({_listed(array)}{dtype})"


def _listed(array: Array) -> str:
    if array.ndim:
        return f"[{', '.join(_listed(part) for part in array)}]"
    value = array.item()
    if array.dtype in (np.longdouble, np.clongdouble):
        return repr(str(value))
    text = repr(value)
    return (
        text
        if array.dtype.kind in "iub" or np.isfinite(array)
        else text.replace("nan", "np.nan").replace("inf", "np.inf")
    )
