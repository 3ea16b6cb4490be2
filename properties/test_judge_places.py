"""Where: the wrong entry is found by halving, in few forward calls, among many entries and outputs."""

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge_table import generic, judged, localisation, one_off, smooth
from gradcheck import Kind, Verdict, check, from_pair

NIGHTLY = os.environ.get("GRADCHECK_NIGHTLY") == "1"
TRIALS = 100 if NIGHTLY else 15


@pytest.mark.parametrize("factor", [1.3, 1.001])
@pytest.mark.parametrize("size", [10, 100, 10**4])
def test_one_wrong_entry_among_many_is_found(size: int, factor: float) -> None:
    """Found at its index every time, within 4 log₂ P + 20 forward calls in all."""
    found, dearest, _ = localisation(size, factor, TRIALS)
    assert found == TRIALS
    assert dearest <= np.ceil(4 * np.log2(size) + 20)  # 43 at 50 entries, as the target has it


@pytest.mark.parametrize("factor", [1.3, 1.001] if NIGHTLY else [1.001])
def test_one_wrong_entry_in_a_million_is_found(factor: float) -> None:
    """The same among 10⁶ entries."""
    found, dearest, passing = localisation(10**6, factor, 20 if NIGHTLY else 1)
    assert found == (20 if NIGHTLY else 1)
    assert dearest <= 4 * np.log2(10**6) + 20
    assert passing <= 60


def test_a_passing_check_is_cheap() -> None:
    """Median forward calls: at most 40 for up to 50 entries, at most 60 for 10⁴."""
    small = [judged(case, generic(case, 0)).evaluations for case in smooth()]
    assert np.median(small) <= 40
    assert max(small) <= 200
    assert localisation(10**4, 1.3, 3)[2] <= 60


@given(n=st.integers(1, 5), k=st.integers(1, 5), data=st.data())
@settings(max_examples=1000 if NIGHTLY else 40, deadline=None)
def test_every_entry_of_a_small_block_can_be_found(n: int, k: int, data: st.DataObject) -> None:
    """Whatever the shape, the finding names input and index of the only wrong entry, with both numbers."""
    x = np.random.default_rng(n).normal(size=(n, k))
    w = np.random.default_rng(k).normal(size=(n, k))
    block = data.draw(st.sampled_from([0, 1]))
    at = (data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, k - 1)))

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        gradients = [g * np.cos(inputs[0]) * inputs[1], g * np.sin(inputs[0])]
        gradients[block][at] *= 1.5
        return tuple(gradients)

    report = check(from_pair(lambda x, w: np.sin(x) * w, vjp), x, w)
    finding = report.findings[0]
    assert (finding.input, finding.index) == ("xw"[block], at), report
    assert finding.claimed is not None
    assert finding.numeric is not None
    assert finding.claimed / finding.numeric == pytest.approx(1.5, rel=1e-6)
    assert finding.bound is not None
    assert finding.bound < 0.01 * abs(finding.claimed - finding.numeric)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_one_of_several_wrong_entries_is_named(count: int) -> None:
    """Of several wrong entries the finding names one that is wrong."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, guilty = rng.normal(size=(20, 20)), rng.choice(400, count, replace=False)

        def vjp(inputs: tuple[Any, ...], g: Any, guilty: Any = guilty) -> Any:
            d = g * (1 + inputs[0])
            d.flat[guilty] *= 1.3
            return (d,)

        report = check(from_pair(lambda x: x + 0.5 * x * x, vjp), x, seed=seed)
        index = report.findings[0].index
        assert index is not None
        assert np.ravel_multi_index(index, x.shape) in guilty, report


def test_the_output_is_named_too() -> None:
    """One wrong entry of a Jacobian of 60 by 40: the row is finding.output, the column finding.index."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(60, 40))
    b = a.copy()
    b[17, 23] += 0.5
    report = check(from_pair(lambda x: a @ x, lambda i, g: (b.T @ g,)), rng.normal(size=40))
    finding = report.findings[0]
    assert (finding.index, finding.output) == ((23,), (17,)), report
    assert finding.claimed == pytest.approx(b[17, 23], rel=1e-6)
    assert finding.numeric == pytest.approx(a[17, 23], rel=1e-6)


def test_the_output_of_a_tuple_leads_with_its_position() -> None:
    """f returns (y, z); the error is in what z contributes."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        d = g[0] * np.cos(inputs[0]) + 2 * g[1] * inputs[0]
        d[1] += 0.25 * g[1][1]
        return (d,)

    report = check(from_pair(lambda x: (np.sin(x), x * x), vjp), np.array([0.3, -1.2, 0.7]))
    assert (report.findings[0].index, report.findings[0].output) == ((1,), (1, 1)), report


@pytest.mark.parametrize("block", ["a", "b", "c"])
def test_the_wrong_input_is_named_among_right_ones(block: str) -> None:
    """Only the block that is wrong has a finding."""
    x = np.random.default_rng(0).normal(size=(3, 3))

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        a, b, c = inputs
        right = {"a": g * b * c, "b": g * a * c, "c": g * a * b}
        return tuple(2 * d if name == block else d for name, d in right.items())

    report = check(from_pair(lambda a, b, c: a * b * c, vjp), x, x + 3, x - 3)
    assert [finding.input for finding in report.findings] == [block]


def test_complex_entries_are_found_by_their_own_index() -> None:
    """An entry of a complex input is one index, not two reals."""
    z = np.array([[1 + 1j, 2 - 1j], [0.5 + 2j, -1 + 0.5j]])

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        d = g * np.conj(2 * inputs[0])
        d[1, 0] *= 1.5
        return (d,)

    report = check(from_pair(lambda z: z * z, vjp), z)
    assert (report.verdict, report.findings[0].index) == (Verdict.FAIL, (1, 0)), report


def test_a_zero_dimensional_input_has_the_empty_index() -> None:
    """A wrong scalar is placed at ()."""
    report = check(from_pair(np.sin, lambda i, g: (2 * g * np.cos(i[0]),)), 0.5)
    assert (report.findings[0].index, report.findings[0].kind) == ((), Kind.FACTOR)


def test_an_entry_next_to_far_larger_ones_is_found() -> None:
    """Sizes from 1e-3 to 1e3 in one block: the smallest is found when it alone is wrong."""
    x = np.logspace(-3, 3, 9)

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        d = 2 * g * inputs[0]
        d[0] *= 2
        return (d,)

    report = check(from_pair(np.square, vjp), x)
    assert (report.verdict, report.findings[0].index) == (Verdict.FAIL, (0,)), report


def test_localising_costs_no_more_than_the_bound_for_any_guilty_entry() -> None:
    """First, last and middle entries of 10⁴."""
    bound = 4 * np.log2(10**4) + 20
    for seed in range(5):
        target, x, guilty = one_off(10**4, 1.01, seed)
        right = one_off(10**4, 1.0, seed)[0]
        report = check(target, x)
        assert report.findings[0].index == (guilty,)
        assert report.evaluations - check(right, x).evaluations <= bound
