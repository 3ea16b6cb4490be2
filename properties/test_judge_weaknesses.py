"""What the best checkers of today get wrong, each measured on them, each a mistake that is ours not to make."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from gradcheck import Kind, Report, Verdict, check, from_pair, search

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 6))
Back = Callable[[tuple[Any, ...], Any], Any]


def verdicts(f: Callable[..., Any], right: Back, wrong: Back, *inputs: Any) -> tuple[Verdict, Report]:
    """(verdict of the right pair, report of the wrong one), the same for three seeds."""
    rights = {check(from_pair(f, right), *inputs, seed=seed).verdict for seed in range(3)}
    wrongs = [check(from_pair(f, wrong), *inputs, seed=seed) for seed in range(3)]
    assert len(rights) == 1
    assert len({report.verdict for report in wrongs}) == 1
    return rights.pop(), wrongs[0]


def tanh_back(inputs: tuple[Any, ...], g: Any) -> Any:
    return (g * (1 - np.tanh(inputs[0]) ** 2),)


def square_back(inputs: tuple[Any, ...], g: Any) -> Any:
    return (2 * g * inputs[0],)


def times(factor: float, vjp: Back) -> Back:
    return lambda inputs, g: tuple(factor * d for d in vjp(inputs, g))


def softmax_back(inputs: tuple[Any, ...], g: Any) -> Any:
    p = special.softmax(inputs[0], -1)
    return (p * (g - (g * p).sum(-1, keepdims=True)),)


def normalise(x: Any, axis: int, eps: float) -> tuple[Any, Any]:
    r = 1 / np.sqrt(x.var(axis, keepdims=True) + eps)
    return (x - x.mean(axis, keepdims=True)) * r, r


def normalise_back(axis: int, eps: float) -> Back:
    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        z, r = normalise(inputs[0], axis, eps)
        return (r * (g - g.mean(axis, keepdims=True) - z * (g * z).mean(axis, keepdims=True)),)

    return vjp


def test_a_negated_tanh_on_512_by_512_is_caught() -> None:
    """torch's fast mode passes it."""
    x = np.random.default_rng(1).normal(size=(512, 512))
    right, wrong = check(from_pair(np.tanh, tanh_back), x), check(from_pair(np.tanh, times(-1, tanh_back)), x)
    assert (right.verdict, wrong.verdict, wrong.findings[0].kind) == (Verdict.PASS, Verdict.FAIL, Kind.SIGN)


def test_a_zero_gradient_of_65536_entries_is_caught() -> None:
    """torch's fast mode passes zeros from there."""
    x = np.random.default_rng(1).normal(size=65536)
    wrong = check(from_pair(np.tanh, times(0, tanh_back)), x)
    assert (wrong.verdict, wrong.findings[0].kind) == (Verdict.FAIL, Kind.ZERO)


def test_a_shuffled_gradient_of_10000_entries_is_caught_every_time() -> None:
    """torch's fast mode passes it 40 times of 40."""
    x = np.random.default_rng(1).normal(size=10_000)
    order = np.random.default_rng(2).permutation(x.size)
    shuffled = from_pair(np.square, lambda i, g: (square_back(i, g)[0][order],))
    assert all(check(shuffled, x, seed=seed).verdict is Verdict.FAIL for seed in range(10))


@pytest.mark.parametrize("error", [3.8, 0.1, 1e-3, 1e-5])
def test_one_wrong_entry_of_a_jacobian_of_a_million_is_caught(error: float) -> None:
    """1000 by 1000, entries of size 0.03: torch's fast mode lets up to 3.8 pass."""
    rng = np.random.default_rng(1)
    a = rng.normal(size=(1000, 1000)) / 30
    b = a.copy()
    b[123, 456] += error
    report = check(from_pair(lambda x: a @ x, lambda i, g: (b.T @ g,)), rng.normal(size=1000))
    assert report.verdict is Verdict.FAIL
    assert (report.findings[0].index, report.findings[0].output) == ((456,), (123,)), report


def test_layer_norm_with_another_epsilon_in_backward_is_caught() -> None:
    """1e-4 for 1e-5: torch's slow mode passes it."""
    right, wrong = verdicts(lambda x: normalise(x, -1, 1e-5)[0], normalise_back(-1, 1e-5), normalise_back(-1, 1e-4), X)
    assert (right, wrong.verdict) == (Verdict.PASS, Verdict.FAIL)


def test_the_backward_of_tanh_gelu_under_an_erf_gelu_is_caught() -> None:
    """The two differ by at most 5e-4: torch's slow mode passes it."""

    def exact(inputs: tuple[Any, ...], g: Any) -> Any:
        x = inputs[0]
        return (g * (special.ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)),)

    def approximate(inputs: tuple[Any, ...], g: Any) -> Any:
        x, c = inputs[0], np.sqrt(2 / np.pi)
        t = np.tanh(c * (x + 0.044715 * x**3))
        return (g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)),)

    right, wrong = verdicts(lambda x: x * special.ndtr(x), exact, approximate, X)
    assert (right, wrong.verdict, wrong.findings[0].kind) == (Verdict.PASS, Verdict.FAIL, Kind.APPROXIMATION)


def test_a_mutated_cotangent_is_caught() -> None:
    """torch's slow mode passes a backward that scales its cotangent in place."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        g *= 1 - np.tanh(inputs[0]) ** 2
        return (g.copy(),)

    report = check(from_pair(np.tanh, vjp), X)
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.MUTATES)


def test_a_stale_cache_is_caught() -> None:
    """A layer that keeps the last input only: torch's slow mode passes it."""
    slot: list[Any] = [None]

    def f(x: Any) -> Any:
        slot[0] = np.array(x)
        return np.tanh(x)

    report = check(from_pair(f, lambda i, g: tanh_back((slot[0],), g)), X)
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.STALE)


def test_a_tiny_penalty_left_out_is_caught() -> None:
    """½·1e-5·ΣW², alone or beside a loss: torch's slow mode passes zeros."""

    def penalty(w: Any) -> Any:
        return 0.5e-5 * (w * w).sum()

    right, wrong = verdicts(penalty, lambda i, g: (1e-5 * g * i[0],), lambda i, g: (0 * i[0],), X)
    assert (right, wrong.verdict, wrong.findings[0].kind) == (Verdict.PASS, Verdict.FAIL, Kind.ZERO)
    report = check(from_pair(lambda w: np.tanh(w).sum() + penalty(w), tanh_back), X)
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.MISSING_TERM)


def test_a_bias_not_summed_at_batch_one_is_found_by_search() -> None:
    """Right but for its shape, and that at batch 1 only, which a fixed test batch never is."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        x, w, _ = inputs
        return g @ w.T, x.T @ g, g.copy() if len(g) == 1 else g.sum(0)

    report = search(from_pair(lambda x, w, b: x @ w + b, vjp), x=("n", "k"), w=("k", "m"), b=("m",), seed=0)
    assert (report.verdict, report.findings[0].input) == (Verdict.FAIL, "b")
    assert report.case.sizes["n"] == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("at", [0.0, 5e-7, -5e-7])
def test_relu_at_and_near_zero_is_not_accused(at: float) -> None:
    """torch's rule accuses it at 0 and at 5e-7."""
    target = from_pair(lambda x: np.maximum(x, 0), lambda i, g: (g * (i[0] > 0),))
    assert check(target, np.array([at, 1.0, -1.0])).verdict is Verdict.PASS
    assert check(target, np.array([at])).verdict is Verdict.PASS


def test_ties_of_max_are_not_accused() -> None:
    """First of the tied, or shared among them."""
    x = np.array([1.0, 2.0, 2.0, 0.0])
    for back in (lambda x: np.arange(4) == x.argmax(), lambda x: (x == x.max()) / (x == x.max()).sum()):
        assert check(from_pair(lambda x: x.max(), lambda i, g, b=back: (g * b(i[0]),)), x).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("f", "vjp", "x"),
    [
        (np.square, square_back, np.array([1e9, -2e9, 1.5e9])),
        (np.log, lambda i, g: (g / i[0],), np.array([1e-5, 2e-5])),
        (lambda x: special.logsumexp(x, -1) + 1e8, lambda i, g: (g[:, None] * special.softmax(i[0], -1),), X),
        (lambda x: normalise(x, 0, 1e-5)[0], normalise_back(0, 1e-5), X + 1e6),
        (lambda x: (x * x).sum(), square_back, np.random.default_rng(3).normal(size=10_000)),
        (lambda x: (x * x).sum(), square_back, 1e4 * np.random.default_rng(3).normal(size=100)),
        (lambda x: (x * x).sum(), square_back, np.random.default_rng(3).normal(size=10_000).astype("f4")),
        (np.square, square_back, (1e4 * X).astype("f4")),
        (lambda x: np.sin(1000 * x), lambda i, g: (1000 * g * np.cos(1000 * i[0]),), X),
    ],
    ids=["x² at 1e9", "log at 1e-5", "logsumexp + 1e8", "batch norm at mean 1e6", "Σx², n = 10⁴", "Σx² at 1e4",
         "Σx², n = 10⁴, float32", "x² at 1e4, float32", "sin 1000x"],
)  # fmt: skip
def test_hard_points_of_right_functions_pass_and_negated_or_zeroed_ones_fail(f: Any, vjp: Back, x: Any) -> None:
    """Each is accused by one checker or another, or its zero is passed."""
    assert check(from_pair(f, vjp), x).verdict is Verdict.PASS
    for factor in (x.dtype.type(-1), x.dtype.type(0)):
        assert check(from_pair(f, times(factor, vjp)), x).verdict is Verdict.FAIL


def test_single_precision_behind_a_float64_face_is_not_accused() -> None:
    """tanh computed in float32: torch's rule accuses it."""

    def f(x: Any) -> Any:
        return np.tanh(x.astype("f4")).astype("f8")

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        return tuple(d.astype("f8") for d in tanh_back((inputs[0].astype("f4"),), g.astype("f4")))

    right, wrong = verdicts(f, vjp, times(1.01, vjp), X)
    assert (right, wrong.verdict) == (Verdict.PASS, Verdict.FAIL)


@pytest.mark.parametrize(
    ("f", "vjp"),
    [(lambda x: special.softmax(x, -1), softmax_back), (lambda x: normalise(x, 0, 1e-5)[0], normalise_back(0, 1e-5))],
    ids=["softmax", "batch norm"],
)
def test_zeros_that_all_ones_cotangents_cannot_see_are_caught(f: Any, vjp: Back) -> None:
    """Rows of softmax add up to one: a cotangent of ones has gradient zero, and a zeroed backward passes."""
    right, wrong = verdicts(f, vjp, times(0.0, vjp), X)
    assert (right, wrong.verdict, wrong.findings[0].kind) == (Verdict.PASS, Verdict.FAIL, Kind.ZERO)


def test_the_message_for_one_wrong_entry_shows_two_different_numbers() -> None:
    """torch prints two textually identical tensors; ours names the entry and prints digits that differ."""
    x = np.random.default_rng(4).normal(size=(100, 100))
    for error in (1e-2, 1e-4, 1e-6):

        def vjp(inputs: tuple[Any, ...], g: Any, error: float = error) -> Any:
            d = 2 * g * inputs[0]
            d[37, 5] *= 1 + error
            return (d,)

        report = check(from_pair(np.square, vjp), x)
        finding = report.findings[0]
        assert finding.index == (37, 5)
        lines = [line.split() for line in str(report).splitlines()]
        (claimed,) = (words[1] for words in lines if words[:1] == ["backward"] and "x[37," in words)
        (numeric,) = (words[2] for words in lines if words[:2] == ["finite", "diff"])
        assert claimed != numeric
        assert float(claimed) / float(numeric) - 1 == pytest.approx(error, rel=1e-2)


def test_complex_functions_are_not_silently_zero() -> None:
    """The complex step gives 0 for x·conj(x), abs and norm: their doubled gradients are caught here."""
    z = np.array([1 + 2j, -0.5 + 0.25j, 2 - 1j])
    pairs: list[tuple[Any, Back]] = [
        (lambda z: (z * np.conj(z)).real, lambda i, g: (2 * g * i[0],)),
        (np.abs, lambda i, g: (g * i[0] / np.abs(i[0]),)),
        (lambda z: np.sqrt((np.abs(z) ** 2).sum()), lambda i, g: (g * i[0] / np.sqrt((np.abs(i[0]) ** 2).sum()),)),
    ]
    for f, vjp in pairs:
        right, wrong = verdicts(f, vjp, times(2.0, vjp), z)
        assert (right, wrong.verdict, wrong.findings[0].kind) == (Verdict.PASS, Verdict.FAIL, Kind.FACTOR)
