"""Kinks: right subgradients are never accused at exact ties, zeros and corners; wrong ones are seen there."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck import Kind, Verdict, check, from_pair
from gradcheck.strategies import palette_arrays

EXAMPLES = 10_000 if os.environ.get("GRADCHECK_NIGHTLY") == "1" else 1000 if os.environ.get("CI") else 40
Pair = tuple[Callable[..., Any], Callable[[tuple[Any, ...], Any], Any]]

SIDES = {"zero": 0.0, "half": 0.5, "one": 1.0}


def relu(at_zero: float) -> Pair:
    return lambda x: np.maximum(x, 0), lambda i, g: (g * np.where(i[0] == 0, at_zero, i[0] > 0),)


def absolute(at_zero: float) -> Pair:
    return np.abs, lambda i, g: (g * np.where(i[0] == 0, at_zero, np.sign(i[0])),)


def clip(inside: bool) -> Pair:
    def vjp(i: Any, g: Any) -> Any:
        x = i[0]
        return (g * ((x >= -1) & (x <= 1) if inside else (x > -1) & (x < 1)),)

    return lambda x: np.clip(x, -1, 1), vjp


def largest(choose: Callable[[Any], Any], sign: float = 1.0) -> Pair:
    """max (sign 1) or min (−1) over the last axis; `choose` shares a row's cotangent among its ties."""

    def vjp(i: Any, g: Any) -> Any:
        x = sign * i[0]
        return (g[..., None] * np.apply_along_axis(choose, -1, x == x.max(-1, keepdims=True)),)

    return lambda x: sign * (sign * x).max(-1), vjp


def first(ties: Any) -> Any:
    return np.arange(ties.size) == ties.argmax()


def last(ties: Any) -> Any:
    return np.arange(ties.size) == ties.size - 1 - ties[::-1].argmax()


def shared(ties: Any) -> Any:
    return ties / ties.sum()


def sort() -> Pair:
    def vjp(i: Any, g: Any) -> Any:
        d = np.empty_like(g)
        np.put_along_axis(d, np.argsort(i[0], -1, kind="stable"), g, -1)
        return (d,)

    return lambda x: np.sort(x, -1), vjp


def median() -> Pair:
    """The mean of the two middle ones where the count is even."""

    def vjp(i: Any, g: Any) -> Any:
        order = np.argsort(i[0], -1, kind="stable")
        n = i[0].shape[-1]
        d = np.zeros_like(i[0])
        middle = [n // 2] if n % 2 else [n // 2 - 1, n // 2]
        for m in middle:
            at = order[..., m : m + 1]
            np.put_along_axis(d, at, np.take_along_axis(d, at, -1) + g[..., None] / len(middle), -1)
        return (d,)

    return lambda x: np.median(x, -1), vjp


def hinge() -> Pair:
    """max(0, 1 − x), summed over rows."""
    return lambda x: np.maximum(0, 1 - x).sum(-1), lambda i, g: (-g[..., None] * (i[0] < 1),)


def huber() -> Pair:
    def f(x: Any) -> Any:
        return np.where(np.abs(x) <= 1, 0.5 * x * x, np.abs(x) - 0.5)

    return f, lambda i, g: (g * np.clip(i[0], -1, 1),)


def maxpool() -> Pair:
    """Windows of two, of stride one: they overlap."""

    def f(x: Any) -> Any:
        return np.maximum(x[..., :-1], x[..., 1:])

    def vjp(i: Any, g: Any) -> Any:
        x, d = i[0], np.zeros_like(i[0])
        left = x[..., :-1] >= x[..., 1:]
        d[..., :-1] += g * left
        d[..., 1:] += g * ~left
        return (d,)

    return f, vjp


def norm() -> Pair:
    def vjp(i: Any, g: Any) -> Any:
        n = np.sqrt((i[0] ** 2).sum(-1, keepdims=True))
        return (g[..., None] * i[0] / np.where(n == 0, 1, n),)

    return lambda x: np.sqrt((x * x).sum(-1)), vjp


RIGHT: dict[str, Pair] = {
    **{f"relu, {name} at zero": relu(c) for name, c in SIDES.items()},
    **{f"abs, {c:g} at zero": absolute(c) for c in (0.0, 1.0, -1.0)},
    "clip, closed": clip(True),
    "clip, open": clip(False),
    **{f"max, {c.__name__}": largest(c) for c in (first, last, shared)},
    **{f"min, {c.__name__}": largest(c, -1.0) for c in (first, last, shared)},
    "sort": sort(),
    "median": median(),
    "hinge": hinge(),
    "huber": huber(),
    "maxpool": maxpool(),
    "norm": norm(),
    "leaky relu": (lambda x: np.where(x > 0, x, 0.01 * x), lambda i, g: (g * np.where(i[0] > 0, 1, 0.01),)),
}
EXACT = [n for n in RIGHT if n not in ("median", "norm", "leaky relu", "huber")]
SHAPES = st.tuples(st.integers(1, 4), st.integers(2, 5))


@pytest.mark.parametrize("name", RIGHT)
def test_right_functions_are_never_accused_at_ties_and_kinks(name: str) -> None:
    """Whatever the palette draws, nothing right is accused."""

    @given(x=palette_arrays(SHAPES), seed=st.integers(0, 9))
    @settings(max_examples=EXAMPLES, deadline=None)
    def judge(x: Any, seed: int) -> None:
        report = check(from_pair(*RIGHT[name], name=name), x, seed=seed)
        assert report.verdict is not Verdict.FAIL, report

    judge()


@pytest.mark.parametrize("dtype", ["float32", "float16", "longdouble"])
@pytest.mark.parametrize("name", ["relu, zero at zero", "max, first", "sort", "clip, closed", "abs, 1 at zero"])
def test_kinks_are_no_fault_in_other_dtypes_either(name: str, dtype: str) -> None:
    """The same in single, half and extended precision."""
    f, vjp = RIGHT[name]

    @given(x=palette_arrays(SHAPES, dtype))
    @settings(max_examples=max(20, EXAMPLES // 10), deadline=None)
    def judge(x: Any) -> None:
        typed = from_pair(f, lambda i, g: tuple(d.astype(dtype) for d in vjp(i, g)), name=name)
        report = check(typed, x)
        assert report.verdict is not Verdict.FAIL, report

    judge()


FLAT = {  # f, its slope, and the side of 1 on which f does nothing
    "clip": (lambda x: np.clip(x, -1, 1), lambda x: np.abs(x) <= 1, 1),
    "relu behind a bias": (lambda x: np.maximum(x - 1, 0), lambda x: x > 1, -1),
    "hard sigmoid": (lambda x: np.clip(x / 2 + 0.5, 0, 1), lambda x: 0.5 * (np.abs(x) < 1), 1),
    "soft threshold": (lambda x: np.sign(x) * np.maximum(np.abs(x) - 1, 0), lambda x: np.abs(x) > 1, -1),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FLAT)
def test_a_flat_stretch_beside_a_kink_is_no_fault(name: str, dtype: str) -> None:
    """Entries that do nothing up to a kink, which longer steps cross: 1 in 16 was accused in float32."""
    f, slope, side = FLAT[name]
    others = np.array([-2.338, 1.043, 3.751, -1.111, 4.866, -1.891, 1.36, 2.333, -1.269]) ** side
    target = from_pair(f, lambda i, g: ((g * slope(i[0])).astype(dtype),), name=name)
    for distance in np.geomspace(1e-4, 0.1, 40):
        x = np.append(others, 1 + side * distance).astype(dtype)
        for seed in range(max(2, EXAMPLES // 500)):
            assert check(target, x, seed=seed).verdict is not Verdict.FAIL


@pytest.mark.parametrize("size", [1, 8])
@pytest.mark.parametrize("grid", [2.0**-12, 2.0**-16])
def test_a_quantised_function_is_not_flat(grid: float, size: int) -> None:
    """Nothing moves at the smallest steps there either, but what begins does so with a jump: a claim of 0 is wrong."""
    x = np.linspace(0.3, 2.3, size)
    target = from_pair(lambda x: np.round(1.7 * x / grid) * grid, lambda i, g: (0 * g,), name="grid")
    for seed in range(4):
        assert check(target, x, seed=seed).verdict is Verdict.FAIL


@given(x=palette_arrays((2, 3)), y=palette_arrays((2, 3)), side=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_maximum_of_two_arrays_may_serve_either_at_a_tie(x: Any, y: Any, side: float) -> None:
    """first, second or both halves: every split of the cotangent is right, and so it is for the minimum."""

    def vjp(i: Any, g: Any) -> Any:
        a, b = i
        take = np.where(a == b, side, a > b)
        return g * take, g * (1 - take)

    report = check(from_pair(np.maximum, vjp), x, y)
    assert report.verdict is not Verdict.FAIL, report


@given(
    data=st.integers(0, 2**32 - 1),
    w=palette_arrays((2, 3)),
    v=palette_arrays((3, 1)),
    quiet=st.sampled_from([1.0, 1e-3, 1e-5]),
)
@settings(max_examples=EXAMPLES // 4, deadline=None)
def test_a_relu_network_at_zero_weights_and_biases_is_not_accused(data: int, w: Any, v: Any, quiet: float) -> None:
    """Its one output is a sum of many kinks, each as small as its unit's weight: a move of all weights meets them."""
    rng = np.random.default_rng(data)
    x, y = rng.normal(size=(4, 2)), rng.normal(size=(4, 1))

    def loss(w: Any, b: Any, v: Any) -> Any:
        return ((np.maximum(x @ w + b, 0) @ (quiet * v) - y) ** 2).mean()

    def vjp(inputs: Any, g: Any) -> Any:
        w, b, v = inputs
        z = x @ w + b
        dy = 2 * g * (np.maximum(z, 0) @ (quiet * v) - y) / len(y)
        dz = (dy @ (quiet * v).T) * (z > 0)
        return x.T @ dz, dz.sum(0), quiet * np.maximum(z, 0).T @ dy

    for seed in (0, 1):
        report = check((loss, vjp), w, np.zeros(3), v, seed=seed)
        assert report.verdict is not Verdict.FAIL, report


@pytest.mark.parametrize("seed", range(60))  # of any seeds one in some four hundred is accused still: docs/verdict.md
def test_a_relu_network_whose_data_repeat_rows_is_not_accused_at_zero_weights(seed: int) -> None:
    """Many rows open a unit at once, others close it: kinks of any size, beside louder biases and penalties."""
    rng = np.random.default_rng(seed)
    k, units = rng.integers(1, 4, 2)
    rows = rng.normal(size=(rng.integers(1, 3), k)) * 10.0 ** rng.integers(-1, 3)
    x = rows[rng.integers(0, len(rows), rng.integers(2, 9))]
    y, penalty, quiet = rng.normal(size=(len(x), 2)), rng.choice([0.0, 1e-4, 0.1]), 10.0 ** rng.integers(-5, 1)

    def loss(w: Any, b: Any, v: Any, c: Any) -> Any:
        return ((np.maximum(x @ w + b, 0) @ v + c - y) ** 2).mean() + penalty * ((w * w).sum() + (v * v).sum())

    def vjp(inputs: Any, g: Any) -> Any:
        w, b, v, c = inputs
        z = x @ w + b
        dy = 2 * g * (np.maximum(z, 0) @ v + c - y) / y.size
        dz = (dy @ v.T) * (z > 0)
        decay = 2 * g * penalty
        return x.T @ dz + decay * w, dz.sum(0), np.maximum(z, 0).T @ dy + decay * v, dy.sum(0)

    w = rng.normal(size=(k, units)) * (rng.random(units) < 0.5)
    report = check((loss, vjp), w, np.zeros(units), quiet * rng.normal(size=(units, 2)), np.zeros(2), seed=seed)
    assert report.verdict is not Verdict.FAIL, report


def test_a_kink_far_smaller_than_the_slope_beside_it_is_seen_before_blaming() -> None:
    """The kink of the third unit is 4e-4 of the slope along which all weights move together."""
    x = np.array([[0.0, 3.0], [-1.0, 0.5], [0.0, -1.0], [2.0, -2.0], [-0.75, 0.375]])
    y = np.array([[0.00845136], [0.00465933], [0.00637086], [-0.00028672], [0.0142992]])
    w, v = np.array([[2.0, 5.0, 0.375], [-0.5, 0.5, 0.0]]), np.array([[0.00039859], [0.00020838], [0.0013753]])

    def loss(w: Any, b: Any, v: Any, c: Any) -> Any:
        return ((np.maximum(x @ w + b, 0) @ v + c - y) ** 2).mean()

    def vjp(inputs: Any, g: Any) -> Any:
        w, b, v, c = inputs
        z = x @ w + b
        dy = 2 * g * (np.maximum(z, 0) @ v + c - y) / len(y)
        dz = (dy @ v.T) * (z > 0)
        return x.T @ dz, dz.sum(0), np.maximum(z, 0).T @ dy, dy.sum(0)

    for seed in range(4):
        report = check((loss, vjp), w, np.zeros(3), v, np.array([0.00137218]), seed=seed)
        assert report.verdict is Verdict.PASS, report


def test_exact_points_pass_rather_than_stay_inconclusive() -> None:
    """A kink costs no verdict: PASS at zeros and ties, with the kinks named."""
    x = np.array([[0.0, 1.0, 1.0, -1.0, -1.0], [2.0, 2.0, 1.5, 0.0, 0.0]])
    for name in EXACT:
        report = check(from_pair(*RIGHT[name], name=name), x)
        assert report.verdict is Verdict.PASS, report
        assert report.kinks, report


@pytest.mark.parametrize("at_zero", [-0.5, -1.0, 1.5, 2.0, 100.0])
def test_no_subgradient_is_accused_at_the_kink(at_zero: float) -> None:
    """relu's claim at zero must lie between 0 and 1; the finding is placed there and says both slopes."""
    x = np.array([[0.5, 1.0], [-1.0, 0.0]])
    report = check(from_pair(*relu(at_zero)), x)
    assert report.verdict is Verdict.FAIL
    finding = report.findings[0]
    assert (finding.kind, finding.index) == (Kind.BRANCH, (1, 1)), report
    assert finding.claimed == pytest.approx(at_zero)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_every_tie_served_in_full_is_accused(sign: float) -> None:
    """max whose tied entries all receive the whole cotangent."""
    f, vjp = largest(lambda ties: ties.astype(float), sign)
    report = check(from_pair(f, vjp), sign * np.array([[1.0, 2.0, 2.0], [0.0, 1.0, 3.0]]))
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.BRANCH), report


@pytest.mark.parametrize("serve", [(1.0, 1.0), (0.0, 0.0)])
def test_a_tie_of_two_inputs_served_twice_or_never_is_accused(serve: tuple[float, float]) -> None:
    """max(a, b) at a = b: the two claims must add up to the cotangent."""

    def vjp(i: Any, g: Any) -> Any:
        a, b = i
        return g * np.where(a == b, serve[0], a > b), g * np.where(a == b, serve[1], b > a)

    report = check(from_pair(np.maximum, vjp), np.array([1.0, 2.0, 0.0]), np.array([1.0, 3.0, 0.0]))
    assert report.verdict is Verdict.FAIL, report


@pytest.mark.parametrize("name", RIGHT)
def test_kinked_functions_with_a_wrong_gradient_fail_off_their_kinks(name: str) -> None:
    """Doubled, negated and zeroed gradients are caught at generic points."""
    f, vjp = RIGHT[name]
    x = np.random.default_rng(0).normal(size=(3, 4))
    for factor in (2.0, -1.0, 0.0, 1.001):
        wrong = from_pair(f, lambda i, g, c=factor: tuple(c * d for d in vjp(i, g)), name=name)
        assert check(wrong, x).verdict is Verdict.FAIL, (name, factor)


@given(x=palette_arrays((2, 3)).filter(lambda x: bool(np.any(x == 0)) and bool(np.any(x > 0))))
@settings(max_examples=EXAMPLES // 2, deadline=None)
def test_a_wrong_gradient_does_not_hide_behind_a_kink(x: Any) -> None:
    """relu doubled where x > 0 fails though other entries sit at the kink."""
    report = check(from_pair(lambda x: np.maximum(x, 0), lambda i, g: (2 * g * (i[0] > 0),)), x)
    assert report.verdict is Verdict.FAIL, report


@pytest.mark.parametrize("distance", [1e-12, 1e-9, 5e-7, 1e-5, 1e-3])
def test_a_kink_nearby_is_neither_a_fault_nor_an_excuse(distance: float) -> None:
    """relu at ±distance beside entries of size 1: right is not accused, negated is not passed."""
    x = np.array([distance, -distance, 1.0, -2.0])
    f, vjp = relu(0.0)
    assert check(from_pair(f, vjp), x).verdict is Verdict.PASS
    assert check(from_pair(f, lambda i, g: (-vjp(i, g)[0],)), x).verdict is Verdict.FAIL


def test_kinks_forbid_fails_at_a_kink_and_only_there() -> None:
    """kinks="forbid" turns the accepted subgradient into a finding that names the place."""
    target = from_pair(*relu(0.0))
    away, at = np.array([1.0, -2.0]), np.array([1.0, 0.0])
    assert check(target, away, kinks="forbid").verdict is Verdict.PASS
    report = check(target, at, kinks="forbid")
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.BRANCH)
    assert "kinks are forbidden" in report.findings[0].message


def test_steps_are_no_slopes() -> None:
    """floor and sign have slope zero between their steps; on a step nothing is accused."""
    for f in (np.floor, np.sign, np.round):
        flat = from_pair(f, lambda i, g: (0 * g,))
        assert check(flat, np.array([0.3, 1.7, -2.2])).verdict is not Verdict.FAIL
        assert check(flat, np.array([0.0, 1.0, 0.5, -2.2])).verdict is not Verdict.FAIL
        assert check(from_pair(f, lambda i, g: (g.copy(),)), np.array([0.3, 1.7, -2.2])).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("name", "f", "vjp"),
    [
        ("log", np.log, lambda i, g: (g / i[0],)),
        ("reciprocal", lambda x: 1 / x, lambda i, g: (-g / i[0] ** 2,)),
        ("sqrt", np.sqrt, lambda i, g: (0.5 * g / np.sqrt(i[0]),)),
        ("cbrt", np.cbrt, lambda i, g: (g / (3 * np.cbrt(i[0]) ** 2),)),
        ("x log x", lambda x: x * np.log(np.where(x == 0, 1, x)), lambda i, g: (g * (np.log(i[0]) + 1),)),
        ("x to the 1.5", lambda x: x**1.5, lambda i, g: (1.5 * g * np.sqrt(i[0]),)),
    ],
)
def test_the_edge_of_a_domain_is_no_fault(name: str, f: Any, vjp: Any) -> None:
    """At 0, where value or slope is infinite, a right formula is not accused."""
    assert check(from_pair(f, vjp, name=name), np.array([0.0, 1.0, 2.0])).verdict is not Verdict.FAIL


def test_degenerate_eigenvalues_are_no_fault() -> None:
    """eigvalsh at the identity: any eigenvectors are as good, and the claim is a limit of gradients nearby."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        vectors = np.linalg.eigh(inputs[0])[1]
        return ((vectors * g) @ vectors.T,)

    for seed in range(5):
        for a in (np.eye(3), np.diag([1.0, 1.0, 2.0]), np.zeros((2, 2))):
            assert check(from_pair(np.linalg.eigvalsh, vjp), a, seed=seed).verdict is not Verdict.FAIL


@pytest.mark.parametrize("gap", [1e-7, 1e-9, 1e-12, 1e-17, 1e-100, 1e-200])
@pytest.mark.parametrize("name", ["relu, zero at zero", "max, first", "sort", "hinge", "maxpool"])
def test_entries_nearer_to_a_kink_than_any_step_are_not_accused(name: str, gap: float) -> None:
    """Near-ties and near-zeros: every step is longer than what is between them, and the claim is the limit there."""
    for seed in range(EXAMPLES // 20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(2, 4))
        x[rng.random(x.shape) < 0.6] = 0.0
        x += gap * rng.normal(size=x.shape)
        report = check(from_pair(*RIGHT[name], name=name), x, seed=seed)
        assert report.verdict is not Verdict.FAIL, report


@pytest.mark.parametrize("x", [[3.5, 1.0, 2.5, 4 - 2**-51], [2 - 2**-52, 1 - 2**-53, 4.0, 2.0], [0.0, 1e-3, 1e3, 1.0]])
def test_the_optimum_of_a_square_is_not_accused(x: list[float]) -> None:
    """Just below a power of two a step to the right is an ulp longer than one to the left, and its square with it."""
    target = np.array(x)
    square = from_pair(lambda x: ((x - target) ** 2).sum(), lambda i, g: (2 * g * (i[0] - target),))
    for seed in range(EXAMPLES):
        assert check(square, target.copy(), seed=seed).verdict is Verdict.PASS
