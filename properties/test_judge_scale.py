"""Scale and precision: no size of x or f, no offset and no dtype accuses a right gradient or passes a zeroed one."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special

from benchmarks.judge_table import cast, generic, judged, scaled, single, smooth
from gradcheck import Kind, Verdict, check, from_pair

NIGHTLY = os.environ.get("GRADCHECK_NIGHTLY") == "1"
EXAMPLES = 10_000 if NIGHTLY else 40
SEEDS = 20 if NIGHTLY else 2
Function = tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]


def _layer_norm(x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def _layer_norm_back(x: Any, g: Any) -> Any:
    r = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    z = _layer_norm(x)
    return r * (g - g.mean(-1, keepdims=True) - z * (g * z).mean(-1, keepdims=True))


def _softmax_back(x: Any, g: Any) -> Any:
    p = special.softmax(x, -1)
    return p * (g - (g * p).sum(-1, keepdims=True))


FUNCTIONS: dict[str, Function] = {
    "tanh": (np.tanh, lambda x, g: g * (1 - np.tanh(x) ** 2)),
    "square": (np.square, lambda x, g: 2 * x * g),
    "sum of squares": (lambda x: (x * x).sum(), lambda x, g: 2 * x * g),
    "sine": (np.sin, lambda x, g: g * np.cos(x)),
    "softmax": (lambda x: special.softmax(x, -1), _softmax_back),
    "logsumexp": (lambda x: special.logsumexp(x, -1), lambda x, g: g[..., None] * special.softmax(x, -1)),
    "layer norm": (_layer_norm, _layer_norm_back),
}


def stretched(function: Function, width: float, height: float, offset: float, error: float = 1.0) -> Any:
    """height · f(x / width) + offset; the gradient times `error`."""
    f, vjp = function
    return from_pair(
        lambda x: np.asarray(height * f(x / width) + offset),
        lambda i, g: (np.asarray(error * vjp(i[0] / width, np.asarray(height * g)) / width),),
    )


POWERS_X = st.sampled_from([1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6])
POWERS_F = st.sampled_from([1e-8, 1e-4, 1.0, 1e4, 1e8])


def point(seed: int, width: float) -> Any:
    return width * np.random.default_rng(seed).normal(size=(3, 4))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_scale_accuses_a_right_gradient_or_passes_a_zeroed_one(name: str) -> None:
    """x by 1e-6 … 1e6, f by 1e-8 … 1e8, f + 1e8: right passes or is inconclusive, zero and negated never pass."""

    @given(width=POWERS_X, height=POWERS_F, offset=st.sampled_from([0.0, 1e8, -1e8]), seed=st.integers(0, 99))
    @settings(max_examples=EXAMPLES, deadline=None)
    def judge(width: float, height: float, offset: float, seed: int) -> None:
        assume(not offset or height >= 1e-4)  # an ulp of 1e8 is 1.5e-8: below that f is constant, and zero is right
        x = point(seed, width)
        right = check(stretched(FUNCTIONS[name], width, height, offset), x, seed=seed)
        assert right.verdict is not Verdict.FAIL, right
        for error in (0.0, -1.0):
            wrong = check(stretched(FUNCTIONS[name], width, height, offset, error), x, seed=seed)
            assert wrong.verdict is not Verdict.PASS, wrong
            if offset == 0:
                assert wrong.verdict is Verdict.FAIL, wrong

    judge()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("width", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("height", [1e-8, 1.0, 1e8])
def test_scale_alone_changes_no_verdict(name: str, width: float, height: float) -> None:
    """Without an offset right stays PASS, and one part in 10⁶ off stays FAIL."""
    x = point(0, width)
    assert check(stretched(FUNCTIONS[name], width, height, 0.0), x).verdict is Verdict.PASS
    assert check(stretched(FUNCTIONS[name], width, height, 0.0, 1 + 1e-6), x).verdict is Verdict.FAIL


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_part_in_a_hundred_million_is_seen(sign: float) -> None:
    """Smooth float64 functions: one block scaled by 1 ± 1e-8 fails."""
    missed = []
    cases = smooth()
    for seed in range(SEEDS):
        for case in cases:
            report = judged(scaled(case, 1 + sign * 1e-8), generic(case, seed), seed=seed)
            if report.verdict is not Verdict.FAIL:
                missed.append((case.name, seed, report.verdict.value))
    assert not missed


def test_inconclusive_is_rare_on_smooth_functions_of_order_one() -> None:
    """At most one in a hundred, and no accusation."""
    cases = [(case, generic(case, seed)) for seed in range(SEEDS) for case in smooth()]
    reports = [judged(case, inputs) for case, inputs in cases]
    assert all(report.verdict is not Verdict.FAIL for report in reports)
    assert sum(report.verdict is Verdict.INCONCLUSIVE for report in reports) <= 0.01 * len(reports)
    assert all(report.resolution <= 3e-8 for report in reports if report.verdict is Verdict.PASS)


@pytest.mark.parametrize("face", ["float32", "float64"])
def test_single_precision_is_never_accused(face: str) -> None:
    """float32, or float32 behind a float64 face: right gradients of smooth functions, at any scale of x."""
    for seed in range(SEEDS):
        for case in smooth():
            report = judged(single(case, face=face), cast(generic(case, seed), face), seed=seed)
            assert report.verdict is not Verdict.FAIL, report


@pytest.mark.parametrize("face", ["float32", "float64"])
def test_half_a_percent_is_caught_in_single_precision(face: str) -> None:
    """One block off by 1.005 fails in float32, face or not."""
    missed = []
    for seed in range(SEEDS):
        for case in smooth():
            report = judged(scaled(single(case, face=face), 1.005), cast(generic(case, seed), face), seed=seed)
            if report.verdict is not Verdict.FAIL:
                missed.append((case.name, seed, report.verdict.value))
    assert not missed


@given(
    size=st.sampled_from([1e-4, 1e-2, 1.0, 1e2, 1e4]), name=st.sampled_from(sorted(FUNCTIONS)), seed=st.integers(0, 99)
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_single_precision_at_any_scale_accuses_nobody_and_passes_no_zero(size: float, name: str, seed: int) -> None:
    """float32 at |x| from 1e-4 to 1e4: jax's checker passes a zero there and fails what is right."""
    f, vjp = FUNCTIONS[name]
    x = point(seed, size).astype("f4")
    right = from_pair(lambda x: np.asarray(f(x / np.float32(size))),
                      lambda i, g: (np.asarray(vjp(i[0] / np.float32(size), g) / np.float32(size)),))  # fmt: skip
    zero = from_pair(lambda x: np.asarray(f(x / np.float32(size))), lambda i, g: (0 * i[0],))
    assert check(right, x, seed=seed).verdict is not Verdict.FAIL
    assert check(zero, x, seed=seed).verdict is Verdict.FAIL


def test_half_precision_passes_right_and_fails_wrong() -> None:
    """float16: a sine passes, a doubled one fails."""
    x = np.array([0.5, -1.25, 2.0, 0.125], "f2")
    sine = (np.sin, lambda i, g: (g * np.cos(i[0]),))
    assert check(sine, x).verdict is Verdict.PASS
    assert check((np.sin, lambda i, g: (np.float16(2) * g * np.cos(i[0]),)), x).verdict is Verdict.FAIL


def test_extended_precision_sees_finer_than_double() -> None:
    """longdouble: an error of 1e-9 fails where float64 could not tell 1e-11; a right one passes."""
    x = np.array([0.5, -1.25, 2.0], np.longdouble)
    assert check((np.sin, lambda i, g: (g * np.cos(i[0]),)), x).verdict is Verdict.PASS
    assert check((np.sin, lambda i, g: (g * np.cos(i[0]) * np.longdouble(1 + 1e-9),)), x).verdict is Verdict.FAIL


def test_a_saturated_unit_is_not_accused() -> None:
    """Logits of ±300: gradients far below the noise are nobody's fault."""
    for size in (30.0, 300.0, 3000.0):
        x = size * np.array([[1.0, -1.0, 0.5], [0.9, 1.0, -2.0]])
        assert check(stretched(FUNCTIONS["softmax"], 1.0, 1.0, 0.0), x).verdict is not Verdict.FAIL
        sigmoid = from_pair(special.expit, lambda i, g: (g * special.expit(i[0]) * special.expit(-i[0]),))
        assert check(sigmoid, x).verdict is not Verdict.FAIL


def test_a_small_block_does_not_hide_behind_a_large_one() -> None:
    """A zeroed bias whose gradient is 1e-6 of the weight's fails, and is named."""

    def f(w: Any, b: Any) -> Any:
        return w * 1e6 + b

    report = check(from_pair(f, lambda i, g: (g * 1e6, 0 * g)), np.ones(3), np.ones(3))
    assert (report.verdict, report.findings[0].input) == (Verdict.FAIL, "b")


def test_slack_scales_the_bound_and_nothing_else() -> None:
    """A wider slack passes a smaller error that a narrow one fails."""
    x = point(0, 1.0)
    off = from_pair(np.sin, lambda i, g: (g * np.cos(i[0]) * (1 + 3e-7),))
    assert check(off, x).verdict is Verdict.FAIL
    assert check(off, x, slack=1e6).verdict is not Verdict.FAIL


def test_near_overflow_nobody_is_accused() -> None:
    """exp at 709.7: some cotangent's gradient is infinite, and 0·inf is no proof of anything."""
    exponential = from_pair(np.exp, lambda i, g: (g * np.exp(i[0]),))
    for x in ([709.7, 1.0], [700.0, -700.0, 1.0], [-745.0, -744.0]):
        for seed in range(5):
            assert check(exponential, np.array(x), seed=seed).verdict is not Verdict.FAIL


@pytest.mark.parametrize("size", [1e4, 1e6, 1e8, 1e15])
def test_a_wave_far_from_zero_is_not_accused(size: float) -> None:
    """sin at |x| ~ 1e8: steps relative to x are hundreds of periods long, at 1e15 an ulp is an eighth of a radian."""
    for seed in range(5):
        report = check(from_pair(np.sin, lambda i, g: (g * np.cos(i[0]),)), point(0, size), seed=seed)
        assert report.verdict is not Verdict.FAIL, report


def test_a_gradient_that_is_exactly_zero_at_an_optimum_passes() -> None:
    """Σ(p − t)² at p = t: claim and slope are zero within 1e-20 of a function that moves by 1."""

    def back(inputs: tuple[Any, ...], g: Any) -> Any:
        d = 2 * g * (inputs[0] - inputs[1])
        return d, -d

    x = point(0, 1.0)
    assert check(from_pair(lambda p, t: ((p - t) ** 2).sum(), back), x, x.copy()).verdict is Verdict.PASS
    assert check(from_pair(lambda x: (x * x).sum(), lambda i, g: (2 * g * i[0],)), np.zeros(3)).verdict is Verdict.PASS


@pytest.mark.parametrize("lower", ["float32", "float16"])
def test_a_linear_backward_in_lower_precision_is_seen_at_simple_values(lower: str) -> None:
    """x = 1, 2, ½ and a layer that only moves or adds numbers: the cotangent has to bring the digits that get lost."""

    def rounded(a: Any) -> Any:
        return a.astype(lower).astype("f8")

    x = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    for f, back in (
        (lambda x: x.sum(0), lambda i, g: np.tile(g, (2, 1))),
        (lambda x: x.T.copy(), lambda i, g: g.T.copy()),
        (lambda x: 2 * x, lambda i, g: 2 * g),
        (lambda x: x.sum(), lambda i, g: np.full((2, 3), g)),
    ):
        assert check(from_pair(f, back), x).verdict is Verdict.PASS
        report = check(from_pair(f, lambda i, g, back=back: rounded(back(i, g))), x)
        assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.LOW_PRECISION), report


def _batch_norm(x: Any) -> Any:
    return _layer_norm(x.T).T


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e8])
def test_a_normalisation_far_from_zero_is_neither_accused_nor_called_kinked(offset: float) -> None:
    """A mean of 1e6 is rounded to its ulp: 1e-10 of noise in f and in a gradient that is zero along the mean."""
    norm = from_pair(_batch_norm, lambda i, g: (_layer_norm_back(i[0].T, g.T).T,))
    for seed in range(EXAMPLES):
        rng = np.random.default_rng(seed)
        x = offset + rng.normal(size=(int(rng.integers(2, 4)), int(rng.integers(1, 4))))
        report = check(norm, x, seed=seed)
        assert report.verdict is not Verdict.FAIL, report
        assert not report.kinks, report


def test_a_quiet_output_whose_gradient_is_rounding_is_no_mistake() -> None:
    """Two examples at 1e6 answer with ±1, so column 1 hardly moves: the claim there, -5e-11, is an ulp of the mean."""
    norm = from_pair(
        lambda x, gamma: _batch_norm(x) * gamma,
        lambda i, g: (_layer_norm_back(i[0].T, (g * i[1]).T).T, (g * _batch_norm(i[0])).sum(0)),
    )
    x = np.array([[1000000.3455841921, 1000000.8216181435], [1000000.3304370762, 999998.6968427683]])
    for seed in range(EXAMPLES):
        report = check(norm, x, np.array([1.0, -1.0]), seed=seed)
        assert report.verdict is not Verdict.FAIL, report


@pytest.mark.parametrize("x", [[1e-10, 1e-305], [1e-160, 1e-160, 2.0], [1e-200, 1e-120, 3.0], [3e-310, 0.5]])
def test_a_gradient_computed_from_a_subnormal_value_is_not_accused(x: list[float]) -> None:
    """prod(x)/x where the product is 1e-315 has eight digits, where it is 2e-320 three."""
    product = from_pair(lambda x: x.prod(-1), lambda i, g: (g * i[0].prod() / i[0],))
    for seed in range(EXAMPLES):
        assert check(product, np.array(x), seed=seed).verdict is not Verdict.FAIL


def _cross_entropy(z: Any) -> Any:
    return np.maximum(z, 0) - z + np.log1p(np.exp(-abs(z)))


@pytest.mark.parametrize("z", [20.0, 30.0, 36.0, 40.0, 55.0, 300.0, 700.0])
def test_a_claim_that_cancels_is_not_accused_of_what_its_terms_round_to(z: float) -> None:
    """σ(20) − 1 = −2e-9 is made of terms that are 1: off by 5e-8 of itself, and exactly 0 from 37 on."""
    entropy = from_pair(_cross_entropy, lambda i, g: (g * (special.expit(i[0]) - 1),))
    negated = from_pair(_cross_entropy, lambda i, g: (g * (1 - special.expit(i[0])),))
    for seed in range(EXAMPLES // 8):
        assert check(entropy, np.array([z]), seed=seed).verdict is not Verdict.FAIL
        assert check(entropy, np.array([z, 0.5, -z]), seed=seed).verdict is not Verdict.FAIL
        assert check(negated, np.array([0.5, -z]), seed=seed).verdict is Verdict.FAIL


@pytest.mark.parametrize("guard", [0.0, 1e-300, 1e-30, 1e-15, 1e-12, 1e-7])
@pytest.mark.parametrize("name", ["cross-entropy", "reciprocal", "root"])
def test_a_guard_against_zero_excuses_no_wrong_gradient(name: str, guard: float) -> None:
    """t / (p + 1e-15) is 1e15 at p = 0, which says nothing about how it rounds at 0.3: 17 of 20 were excused."""
    t = np.eye(4)[[0, 2, 1]]
    f, slope = {
        "cross-entropy": (lambda p: -np.sum(t * np.log(p + guard)), lambda p: -t / (p + guard)),
        "reciprocal": (lambda p: 1 / (p + guard), lambda p: -1 / (p + guard) ** 2),
        "root": (lambda p: np.sqrt(p + guard), lambda p: 0.5 / np.sqrt(p + guard)),
    }[name]
    for seed in range(max(4, EXAMPLES // 8)):
        p = np.random.default_rng(seed).uniform(0.05, 0.9, (3, 4))
        assert check(from_pair(f, lambda i, g: (g * slope(i[0]),)), p, seed=seed).verdict is Verdict.PASS
        for wrong in (lambda p: 1.01 * slope(p), lambda p: slope(p) + (1 - t) / (1 - p)):
            assert check(from_pair(f, lambda i, g, d=wrong: (g * d(i[0]),)), p, seed=seed).verdict is Verdict.FAIL


@pytest.mark.parametrize("name", ["log", "sqrt", "relu", "abs", "leaky relu"])
@pytest.mark.parametrize("low", [-15, -30])
def test_entries_of_very_different_size_are_not_accused(name: str, low: int) -> None:
    """Values from 1e-30 to 1 in one block: the steps that suit the largest cross zero at the smallest."""
    f, slope = {
        "log": (np.log, lambda x: 1 / x),
        "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
        "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
        "abs": (np.abs, np.sign),
        "leaky relu": (lambda x: np.maximum(x, -x / 2), lambda x: np.where(x > 0, 1, -0.5)),
    }[name]
    for seed in range(EXAMPLES):
        rng = np.random.default_rng([seed, -low])
        x = 10 ** rng.uniform(low, 0, 4) * (1 if name in ("log", "sqrt") else rng.choice([-1, 1], 4))
        assert check(from_pair(f, lambda i, g: (g * slope(i[0]),)), x, seed=seed).verdict is not Verdict.FAIL, x


@pytest.mark.parametrize("n", [4, 5])
def test_an_ill_conditioned_linear_map_is_not_accused(n: int) -> None:
    """A Hilbert matrix of five rows has condition 5e5, and no move of the right-hand side shows it."""
    matrix = 1 / (np.arange(n)[:, None] + np.arange(n) + 1)
    solve = from_pair(lambda b: np.linalg.solve(matrix, b), lambda i, g: (np.linalg.solve(matrix.T, g),))
    for seed in range(EXAMPLES // 8):
        for b in (np.zeros(n), np.ones(n), np.random.default_rng(seed).normal(size=n)):
            assert check(solve, b, seed=seed).verdict is not Verdict.FAIL


@pytest.mark.parametrize("size", [8, 384, 3000])
def test_the_normalisation_of_a_constant_row_in_single_precision_is_not_accused(size: float) -> None:
    """It lives on a scale of √1e-5, fifty ulps of 384, and does not feel a move of all entries together."""
    norm = from_pair(_layer_norm, lambda i, g: (_layer_norm_back(i[0], g).astype(i[0].dtype),))
    for seed in range(EXAMPLES // 4):
        assert check(norm, np.full((2, 4), size, np.float32), seed=seed).verdict is not Verdict.FAIL


def test_a_gradient_that_no_number_of_the_dtype_holds_is_inconclusive() -> None:
    """128³ overflows half precision: infinite is as right as a claim can be."""
    product = from_pair(
        lambda x: x.prod(-1), lambda i, g: (np.stack([np.delete(i[0], j).prod() * g for j in range(4)]),)
    )
    assert check(product, np.array([128, 128, 128, 0], np.float16)).verdict is Verdict.INCONCLUSIVE
