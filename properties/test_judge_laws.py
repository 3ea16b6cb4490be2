"""Each law of a pullback, alone: it catches its planted violation, and keeps silent before right pairs."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck import Kind, Report, Verdict, check, from_pair
from gradcheck.judge import check_laws
from gradcheck.judge.laws import LAWS
from gradcheck.strategies import palette_arrays
from properties.planted import hosts

X = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6]])
Vjp = Callable[[tuple[Any, ...], Any], Any]


def slope(inputs: tuple[Any, ...], g: Any) -> Any:
    """The right gradient of the sine."""
    return np.asarray(g * np.cos(inputs[0]))


def heard(law: str, vjp: Vjp, f: Callable[..., Any] = np.sin, x: Any = X, **options: Any) -> Report:
    return check_laws(from_pair(f, vjp, **options), x, laws=(law,))


def writes_to_cotangent(inputs: tuple[Any, ...], g: Any) -> Any:
    d = slope(inputs, g)
    g *= 0.5
    return (d,)


def writes_to_input(inputs: tuple[Any, ...], g: Any) -> Any:
    d = slope(inputs, g)
    inputs[0][...] = 0.0
    return (d,)


def accumulating() -> Vjp:
    total = [np.zeros_like(X)]

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        total[0] = total[0] + slope(inputs, g)
        return (total[0].copy(),)

    return vjp


def noisy() -> Vjp:
    rng = np.random.default_rng(0)
    return lambda inputs, g: (slope(inputs, g) * (1 + 1e-3 * rng.normal(size=X.shape)),)


def same_buffer() -> Vjp:
    buffer = np.zeros_like(X)

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        buffer[...] = slope(inputs, g)
        return (buffer,)

    return vjp


def stale() -> tuple[Callable[..., Any], Vjp]:
    """The textbook layer: forward keeps its input, backward uses the input kept last."""
    kept = [X]

    def f(x: Any) -> Any:
        kept[0] = np.array(x)
        return np.sin(x)

    return f, lambda inputs, g: (slope((kept[0],), g),)


def by_raw_memory(inputs: tuple[Any, ...], g: Any) -> Any:
    """Reads the bytes of its input in the order in which they lie in memory, as code in C may."""
    return (g * np.cos(inputs[0].ravel(order="K").reshape(g.shape)),)


VIOLATIONS: list[tuple[str, Kind, Vjp]] = [
    ("arguments_are_left_alone", Kind.MUTATES, writes_to_cotangent),
    ("arguments_are_left_alone", Kind.MUTATES, writes_to_input),
    ("dtypes_match", Kind.DTYPE, lambda i, g: (slope(i, g).astype("float32"),)),
    ("dtypes_match", Kind.DTYPE, lambda i, g: (slope(i, g).astype("complex128"),)),
    ("dtypes_match", Kind.DTYPE, lambda i, g: (slope(i, g).astype("int64"),)),
    ("memory_is_its_own", Kind.ALIASES, lambda i, g: (g,)),
    ("memory_is_its_own", Kind.ALIASES, lambda i, g: (g[::-1],)),
    ("memory_is_its_own", Kind.ALIASES, lambda i, g: (i[0],)),
    ("asking_twice_changes_nothing", Kind.ACCUMULATES, accumulating()),
    ("asking_twice_changes_nothing", Kind.NONDETERMINISTIC, noisy()),
    ("first_answer_stays", Kind.ALIASES, same_buffer()),
    ("is_linear", Kind.NONLINEAR, lambda i, g: (slope(i, g * g),)),
    ("is_linear", Kind.NONLINEAR, lambda i, g: (slope(i, np.abs(g)),)),
    ("is_linear", Kind.NONLINEAR, lambda i, g: (slope(i, np.clip(g, -1, 1)),)),
    ("is_linear", Kind.NONLINEAR, lambda i, g: (slope(i, g) + 1e-3,)),
    ("is_linear", Kind.NONLINEAR, lambda i, g: (slope(i, g) / np.sqrt((g * g).sum()),)),
    ("is_linear", Kind.MISSING_TERM, lambda i, g: (slope(i, g) + 1e-3 * i[0],)),
    ("is_linear", Kind.IGNORES_COTANGENT, lambda i, g: (np.cos(i[0]),)),
    ("layout_does_not_matter", Kind.OTHER, by_raw_memory),
    ("layout_does_not_matter", Kind.RAISES, writes_to_cotangent),
]


@pytest.mark.parametrize(
    ("law", "kind", "vjp"), VIOLATIONS, ids=[f"{n}-{k.name}-{i}" for i, (n, k, _) in enumerate(VIOLATIONS)]
)
def test_each_law_catches_its_planted_violation(law: str, kind: Kind, vjp: Vjp) -> None:
    """Heard alone, the law fails the pair and names the kind first."""
    report = heard(law, vjp)
    assert report.verdict is Verdict.FAIL, report
    assert report.findings[0].kind is kind, report


def test_the_stale_cache_is_caught_by_the_law_of_other_calls() -> None:
    """A single-slot cache answers for whatever forward saw last; the law itself calls forward elsewhere."""
    f, vjp = stale()
    report = heard("other_calls_leave_no_trace", vjp, f)
    assert [finding.kind for finding in report.findings] == [Kind.STALE], report


@pytest.mark.parametrize("law", LAWS)
def test_every_law_is_silent_on_right_pairs(law: str) -> None:
    """No op of the reference breaks any law."""
    for case in hosts():
        inputs = next(case.points(1))
        report = check_laws(from_pair(case.f, case.vjp, frozen=case.frozen), *inputs, laws=(law,))
        assert not report.findings, (case.name, str(report))


@pytest.mark.parametrize("law", LAWS)
@given(x=palette_arrays((2, 3)))
@settings(max_examples=10, deadline=None)
def test_laws_are_silent_on_a_right_sine_whatever_the_values(law: str, x: Any) -> None:
    """Zeros, ties and constant rows break no law."""
    assert not heard(law, lambda i, g: (slope(i, g),), x=x).findings


def test_laws_need_no_finite_differences() -> None:
    """Heard alone they call forward a few times only, whatever the number of entries."""
    for law in LAWS:
        report = heard(law, lambda i, g: (slope(i, g),))
        assert report.evaluations <= 4, (law, report.evaluations)


def test_an_unknown_law_is_refused_by_name() -> None:
    """The error lists the laws there are."""
    with pytest.raises(ValueError, match=r"laws names 'is_lienar'; the laws are arguments_are_left_alone, .*is_linear"):
        heard("is_lienar", lambda i, g: (slope(i, g),))


@pytest.mark.parametrize(
    ("law", "kind", "vjp"), VIOLATIONS, ids=[f"{n}-{k.name}-{i}" for i, (n, k, _) in enumerate(VIOLATIONS)]
)
def test_a_whole_check_hears_the_laws_too(law: str, kind: Kind, vjp: Vjp) -> None:
    """check fails what a law alone fails, with that kind among the findings or explained by a mutation found first."""
    report = check(from_pair(np.sin, vjp), X)
    assert report.verdict is Verdict.FAIL
    kinds = {finding.kind for finding in report.findings}
    assert kind in kinds or Kind.MUTATES in kinds, report


def test_dropout_is_right_if_its_global_stream_is_reseeded() -> None:
    """Random masks from the global stream are no violation: forward and backward draw the same one after a reseed."""

    def mask() -> Any:
        return np.random.rand(*X.shape) < 0.7  # noqa: NPY002 - a layer that uses the global stream

    report = check(from_pair(lambda x: x * mask(), lambda i, g: (g * mask(),)), X)
    assert report.verdict is Verdict.PASS, report


def test_a_none_is_fine_only_where_declared() -> None:
    """None for a frozen input passes; None for another is a missing gradient."""

    def f(x: Any, y: Any) -> Any:
        return x * y

    right = from_pair(f, lambda i, g: (g * i[1], None), frozen=("y",))
    missing = from_pair(f, lambda i, g: (g * i[1], None))
    assert check(right, X, X + 1).verdict is Verdict.PASS
    report = check(missing, X, X + 1)
    assert (report.verdict, report.findings[0].kind, report.findings[0].input) == (Verdict.FAIL, Kind.ZERO, "y")


@pytest.mark.parametrize("size", [(0,), (0, 3), (2, 0)])
def test_empty_inputs_break_no_law(size: tuple[int, ...]) -> None:
    """Arrays of no entries have gradients of no entries."""
    for law in LAWS:
        assert not heard(law, lambda i, g: (slope(i, g),), x=np.zeros(size)).findings
    report = check(from_pair(np.sin, lambda i, g: (np.zeros(3),)), np.zeros(size))
    assert report.findings[0].kind is Kind.SHAPE


@given(st.sampled_from(list(itertools.permutations(range(3)))))
@settings(max_examples=6, deadline=None)
def test_inputs_of_any_memory_order_pass(axes: tuple[int, ...]) -> None:
    """Transposed, hence non-contiguous, inputs of the caller get the same verdict."""
    x = np.arange(24.0).reshape(2, 3, 4).transpose(axes) / 8
    assert check(from_pair(np.sin, lambda i, g: (slope(i, g),)), x).verdict is Verdict.PASS


def test_a_backward_that_reads_the_cotangent_in_memory_order_is_caught() -> None:
    """As a C kernel does with a bare pointer: right for C-ordered cotangents, transposed for Fortran-ordered ones."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        x, w = inputs
        h = np.frombuffer(g.tobytes("A"), g.dtype).reshape(g.shape)
        return h @ w.T, x.T @ h

    rng = np.random.default_rng(0)
    report = check(from_pair(lambda x, w: x @ w, vjp), rng.normal(size=(3, 2)), rng.normal(size=(2, 4)))
    assert report.verdict is Verdict.FAIL
    assert "is another for Fortran-ordered arrays of the same values" in report.headline()


@pytest.mark.parametrize("dtype", ["float64", "float32", "longdouble"])
@pytest.mark.parametrize("threshold", [1e-3, 1e-5])
def test_a_backward_that_drops_small_cotangents_is_caught(dtype: str, threshold: float) -> None:
    """Linearity is asked downwards, too."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        x, w = inputs
        h = np.where(abs(g) < threshold, 0, g)
        return h @ w.T, x.T @ h

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 2)).astype(dtype), rng.normal(size=(2, 4)).astype(dtype)
    report = check(from_pair(lambda x, w: x @ w, vjp), x, w)
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.NONLINEAR)
