"""The closer look: entry by entry it agrees with the analytic gradient, and its V-curve has two known slopes."""

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck.judge.closer import look, look_again

X = np.random.default_rng(0).normal(size=(3, 4))


def judged(vjp: Any, *inputs: Any, f: Any = np.sin, **options: Any) -> Any:
    target = gradcheck.from_pair(f, vjp)
    return look(target, *inputs, report=gradcheck.check(target, *inputs), **options)


def one_wrong(i: Any, g: Any) -> Any:
    d = g * np.cos(i[0])
    d[1, 2] *= 1.001
    return (d,)


def test_just_the_wrong_entry_is_out_of_its_bound() -> None:
    """One entry of twelve off by 0.1 % stands out by a factor of 10⁴, the eleven others lie within their bounds."""
    seen = judged(one_wrong, X)
    (block,) = seen.entries
    assert block.shape == (3, 4)
    assert block.position == tuple(range(12))
    ratios = np.abs(block.error) / np.array(block.bound)
    assert np.flatnonzero(ratios > 1).tolist() == [6]
    assert ratios[6] > 1e4
    assert block.error[6] == pytest.approx(block.claimed[6] * (1 - 1 / 1.001), rel=1e-4)


def test_the_curve_is_that_of_the_entry_that_the_report_names() -> None:
    """Noise ∝ 1/h, truncation ∝ h², the distance from backward flat in between, and the chosen step where they meet."""
    seen = judged(one_wrong, X)
    curve = seen.curve
    assert (curve.input, curve.index) == ("x", (1, 2))
    h, noise, truncation = np.array(curve.step), np.array(curve.noise), np.array(curve.truncation)
    assert np.all(np.diff(h) > 0)
    assert noise * h == pytest.approx(noise[0] * h[0], rel=1e-4)
    assert truncation / h**2 == pytest.approx(truncation[-1] / h[-1] ** 2, rel=1e-4)
    error, distance = np.array(curve.error), np.array(curve.distance)
    assert np.all(error <= 3 * (noise + truncation) + curve.bound)  # the two lines and the bound explain every step
    middle = (h > 1e-6) & (h < 1e-3)
    assert distance[middle] == pytest.approx(abs(seen.entries[0].error[6]), rel=1e-2)
    assert h[0] < curve.chosen < h[-1]


def test_no_more_entries_are_looked_at_than_asked_for_and_the_named_one_is_among_them() -> None:
    """Of a block of 4000, an even sample and the worst."""
    x = np.random.default_rng(1).normal(size=4000)

    def vjp(i: Any, g: Any) -> Any:
        d = g * np.cos(i[0])
        d[1234] *= 2
        return (d,)

    seen = judged(vjp, x, entries=50)
    (block,) = seen.entries
    assert len(block.position) <= 51
    assert 1234 in block.position
    assert seen.curve.index == (1234,)


def test_the_accused_block_comes_first() -> None:
    """x is right, w is wrong: w is looked at first, and gets the curve."""
    seen = judged(
        lambda i, g: (g @ i[1].T, 2 * i[0].T @ g), X, np.random.default_rng(2).normal(size=(4, 2)), f=lambda x, w: x @ w
    )
    assert [block.input for block in seen.entries] == ["w", "x"]
    assert seen.curve.input == "w"


def test_a_claim_that_is_no_number_does_not_hide_the_others() -> None:
    """One NaN: its error is NaN, the others are as they are."""

    def vjp(i: Any, g: Any) -> Any:
        d = g * np.cos(i[0])
        d[0, 1] = np.nan
        return (d,)

    seen = judged(vjp, X)
    error = np.array(seen.entries[0].error)
    assert np.flatnonzero(np.isnan(error)).tolist() == [1]
    assert np.nanmax(np.abs(error)) < 1e-8
    assert seen.curve.index == (0, 1)


def test_complex_entries_count_their_parts() -> None:
    """A complex block of 12 has 24 real entries, and the curve is that of a place in it."""
    seen = judged(lambda i, g: (2 * g * np.conj(np.cos(i[0])),), X + 0.5j)
    assert seen.entries[0].shape == (3, 4, 2)
    assert len(seen.entries[0].position) == 24
    assert len(seen.curve.index) == 2


def test_a_backward_that_does_not_answer_gives_no_look() -> None:
    """Nothing to draw where backward raises or forward does."""

    def raises(*_: Any) -> Any:
        raise ValueError("no")

    assert judged(raises, X) is None
    report = gradcheck.Report(gradcheck.Verdict.INCONCLUSIVE, "f")
    assert look((raises, one_wrong), X, report=report) is None


def test_a_look_leaves_the_random_streams_as_they_were() -> None:
    """A layer that draws from the global stream is reseeded for the look only."""

    def f(x: Any) -> Any:
        return x * (np.random.rand(*x.shape) < 0.5)  # noqa: NPY002 - the layer's own habit is the point

    before = np.random.get_state()[1].copy()  # noqa: NPY002
    look((f, lambda i, g: (g,)), X, report=gradcheck.Report(gradcheck.Verdict.FAIL, "f"))
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_case_of_a_search_can_be_looked_at_again() -> None:
    """The layer is built for the sizes of the case, as the search built it."""

    def sized(k: int, m: int) -> Any:
        scale = np.full((k, m), 3.0)
        return lambda x: x * scale, lambda i, g: (2 * g * scale,)

    report = gradcheck.search(sized, x=("k", "m"), seed=0, max_examples=20)
    seen = look_again(sized, report)
    assert seen is not None
    assert seen.entries[0].shape == report.case.inputs[0].shape  # type: ignore[union-attr]
    assert look_again(sized, gradcheck.Report(gradcheck.Verdict.FAIL, "sized")) is None
