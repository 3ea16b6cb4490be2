"""Search: rare bugs are met, failing cases are small and runnable, and nothing outside a stated domain is judged."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from gradcheck import Kind, Verdict, check, from_pair, search
from gradcheck.judge.case import Case

NIGHTLY = os.environ.get("GRADCHECK_NIGHTLY") == "1"
SEEDS = range(20 if NIGHTLY else 2)
Back = Callable[[tuple[Any, ...], Any], Any]


def entrywise(change: Callable[[Any, Any], Any]) -> tuple[Any, Back]:
    """sin with its gradient d changed to change(d, x)."""
    return np.sin, lambda i, g: (change(g * np.cos(i[0]), i[0]),)


def dense(change: Callable[[list[Any], tuple[Any, ...], Any], Any]) -> tuple[Any, Back]:
    """x @ w + b with its list of gradients changed in place."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        x, w, _ = inputs
        gradients = [g @ w.T, x.T @ g, g.sum(0)]
        change(gradients, inputs, g)
        return tuple(gradients)

    return lambda x, w, b: x @ w + b, vjp


def at_batch_1(d: list[Any], inputs: Any, g: Any) -> None:
    if len(g) == 1:
        d[2] = g.copy()


def if_square(d: list[Any], inputs: Any, g: Any) -> None:
    if d[1].shape[0] == d[1].shape[1]:
        d[1] = d[1].T.copy()


def beyond_batch_1(d: list[Any], inputs: Any, g: Any) -> None:
    d[2] = g.mean(0)


def last_of_tied(i: tuple[Any, ...], g: Any) -> Any:
    """max of a row, every tied entry served in full."""
    return (g[:, None] * (i[0] == i[0].max(-1, keepdims=True)),)


def saturated(i: tuple[Any, ...], g: Any) -> Any:
    y = np.tanh(i[0])
    return (g * np.where(np.abs(y) > 0.999, 0.01, 1 - y * y),)


def set_from(d: Any, start: int, factor: float) -> Any:
    """The tail of a vectorised loop, wrong."""
    flat = d.copy()
    flat[start:] *= factor
    return flat


LAYER = {"x": ("n", "k"), "w": ("k", "m"), "b": ("m",)}
RARE: dict[str, tuple[Any, dict[str, tuple[str | int, ...]], Callable[[Case], bool]]] = {
    "batch 1": (dense(at_batch_1), LAYER, lambda c: c.sizes["n"] == 1),
    "batch above 1": (dense(beyond_batch_1), LAYER, lambda c: c.sizes["n"] == 2),
    "square": (dense(if_square), LAYER, lambda c: c.sizes["k"] == c.sizes["m"] == 2),
    "tie": ((lambda x: x.max(-1), last_of_tied), {"x": ("n", "k")}, lambda c: c.inputs[0].size <= 4),
    "negative": (entrywise(lambda d, x: np.where(x < 0, 2 * d, d)), {"x": ("n",)}, lambda c: c.inputs[0].shape == (1,)),
    "exact zero": (entrywise(lambda d, x: np.where(x == 0, 0, d)), {"x": ("n",)}, lambda c: not c.inputs[0].any()),
    "above 2": (entrywise(lambda d, x: np.where(x > 2, 0, d)), {"x": ("n",)}, lambda c: c.inputs[0].max() > 2),
    "tail past 4": (entrywise(lambda d, x: set_from(d, 4, 1.5)), {"x": ("n",)}, lambda c: c.inputs[0].size == 5),
    "tail past 8": (entrywise(lambda d, x: set_from(d, 8, 1.5)), {"x": ("n",)}, lambda c: c.inputs[0].size == 9),
    "tail past 16": (entrywise(lambda d, x: set_from(d, 16, 1.5)), {"x": ("n",)}, lambda c: c.inputs[0].size == 17),
    "tail past 32": (entrywise(lambda d, x: set_from(d, 32, 1.5)), {"x": ("n",)}, lambda c: c.inputs[0].size == 33),
    "saturated": ((np.tanh, saturated), {"x": ("n",)}, lambda c: c.inputs[0].size == 1),
    "two equal entries": (
        entrywise(lambda d, x: d * (2 if np.unique(x).size < x.size else 1)), {"x": ("n",)},
        lambda c: c.inputs[0].size == 2,
    ),
    "constant rows": (
        entrywise(lambda d, x: d * (2 if x.shape[1] > 1 and np.ptp(x, -1).min() == 0 else 1)), {"x": ("n", "k")},
        lambda c: c.inputs[0].shape == (1, 2),
    ),
    "large": (entrywise(lambda d, x: np.where(np.abs(x) > 50, 0, d)), {"x": ("n",)}, lambda c: c.inputs[0].size <= 2),
}  # fmt: skip


@pytest.mark.parametrize("name", RARE)
def test_what_shows_rarely_is_found_and_shrunk(name: str) -> None:
    """200 examples by letters find it for every seed, and the case is the smallest or nearly so."""
    pair, shapes, small = RARE[name]
    for seed in SEEDS:
        report = search(pair, shapes, seed=seed)
        assert report.verdict is Verdict.FAIL, (name, seed, str(report))
        assert isinstance(report.case, Case)
        assert small(report.case), (name, seed, report.case)


def test_a_repeated_index_is_found_in_drawn_indices() -> None:
    """An embedding that overwrites repeated rows; indices come from the user's strategy."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        d = np.zeros_like(inputs[0])
        d[inputs[1]] = g
        return d, None

    indices = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(np.array)
    table = st.just(np.arange(10.0).reshape(5, 2))
    for seed in SEEDS:
        report = search(from_pair(lambda w, i: w[i], vjp), st.tuples(table, indices), seed=seed)
        assert report.verdict is Verdict.FAIL
        assert report.findings[0].kind is Kind.REPEATED_INDEX, report
        assert len(report.case.inputs[1]) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_draw_of_one_in_forty_is_met(seed: int) -> None:
    """A strategy whose every fortieth draw shows the bug is drawn from often enough in 200 examples."""
    rare = st.tuples(st.integers(0, 39), st.integers(0, 2**16)).map(
        lambda drawn: (np.random.default_rng(drawn[1]).normal(size=3) + (100.0 if drawn[0] == 17 else 0.0),)
    )
    assert search(entrywise(lambda d, x: np.where(x > 50, 0, d)), rare, seed=seed).verdict is Verdict.FAIL


def cholesky_back(inputs: tuple[Any, ...], g: Any) -> Any:
    """The usual backward, symmetrised: right for symmetric inputs (Murray, arXiv:1602.07527)."""
    factor = np.linalg.cholesky(inputs[0])
    middle = np.tril(factor.T @ g)
    middle[np.diag_indices(len(middle))] *= 0.5
    inverse = np.linalg.inv(factor)
    whole = inverse.T @ middle @ inverse
    return (0.5 * (whole + whole.T),)


def definite(n: int, seed: int) -> tuple[Any]:
    root = np.random.default_rng(seed).normal(size=(n, n))
    return (root @ root.T + n * np.eye(n),)


def test_a_domain_of_symmetric_matrices_is_not_left() -> None:
    """Cholesky's symmetrised backward passes on symmetric matrices; off by a hundredth it fails there."""
    domain = st.builds(definite, st.integers(1, 4), st.integers(0, 2**16))
    for seed in SEEDS:
        report = search((np.linalg.cholesky, cholesky_back), domain, seed=seed, max_examples=60)
        assert report.verdict is Verdict.PASS, report
        assert report.inconclusive <= 0.1 * report.examples
        wrong = (np.linalg.cholesky, lambda i, g: (1.01 * cholesky_back(i, g)[0],))
        assert search(wrong, domain, seed=seed, max_examples=60).verdict is Verdict.FAIL

        def diagonal(i: Any, g: Any) -> Any:
            d = cholesky_back(i, g)[0]
            return (d + np.diag(np.diag(d)),)

        assert search((np.linalg.cholesky, diagonal), domain, seed=seed, max_examples=60).verdict is Verdict.FAIL


def test_a_symmetric_domain_excuses_no_other_mistake() -> None:
    """f(A) = sum of A∘A, where half of the gradient's off-diagonal is missing: symmetric, symmetrised, and wrong."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        d = 2 * g * inputs[0]
        return (np.where(np.eye(len(d), dtype=bool), d, 0.5 * d),)

    report = check((lambda a: (a * a).sum(), vjp), *definite(3, 0))
    assert report.verdict is Verdict.FAIL


def test_nothing_outside_a_strategy_is_judged() -> None:
    """Forward never sees what is far from everything drawn: half the smallest, or half as much again as the largest."""
    seen = []

    def f(x: Any) -> Any:
        seen.append(np.array(x))
        return np.log(x)

    drawn = st.integers(0, 99).map(lambda s: (np.random.default_rng(s).uniform(1.0, 2.0, 3),))
    report = search((f, lambda i, g: (g / i[0],)), drawn, seed=0, max_examples=30)
    assert report.verdict is Verdict.PASS
    assert min(x.min() for x in seen) > 0.5
    assert max(x.max() for x in seen) < 3.0


def test_a_failing_case_can_be_run_again_from_its_repr() -> None:
    """eval(repr(case)) with np and Case in scope gives equal inputs, sizes and the same verdict."""
    for name in ("negative", "batch above 1", "above 2", "constant rows"):
        pair, shapes, _ = RARE[name]
        report = search(pair, shapes, seed=0, dtypes="float32")
        assert report.verdict is Verdict.FAIL
        case = eval(repr(report.case), {"np": np, "Case": Case})
        assert isinstance(report.case, Case)
        assert case.sizes == report.case.sizes
        for a, b in zip(case.inputs, report.case.inputs, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_array_equal(a, b)
        assert check(pair, *case.inputs).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "value",
    [
        0.1, 3, True, "label", None, np.float32(0.1), np.array(0.25), np.zeros((0, 3)),
        np.array([np.nan, np.inf, -np.inf]),
        np.array([True, False]), np.arange(3, dtype="int32"), np.array([1 + 2j]),
        np.array([0.1], "f4"), np.array([0.1], "f2"),
        np.array([[0.1], [1e-300]]), np.array([1.0], "longdouble") / 3, np.array([-0.0]),
    ],
    ids=repr,
)  # fmt: skip
def test_the_repr_of_a_case_is_exact_for_every_kind_of_input(value: Any) -> None:
    """Dtype, shape and every bit survive."""
    (again,) = eval(repr(Case((value,))), {"np": np, "Case": Case}).inputs
    a, b = np.asarray(value), np.asarray(again)
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    np.testing.assert_array_equal(a, b)
    if a.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (2, 2), (0, 3)])
def test_the_repr_of_a_case_of_tensors_is_exact(require: Any, dtype: str, shape: tuple[int, ...]) -> None:
    """Of torch and of JAX: framework, dtype, shape and every bit, of what has no number too."""
    torch, jnp = require("torch"), require("jax.numpy")
    numbers = [1 / 3, np.nan, -np.inf, 3e4] if "float" in dtype else [1, 0, -3, 7]
    values = np.array(numbers)[: int(np.prod(shape))].reshape(shape)
    tensor = torch.tensor(values).to(getattr(torch, dtype)).requires_grad_("float" in dtype)
    array = jnp.asarray(values).astype({"int64": "int32", "float64": "float32"}.get(dtype, dtype))
    scope = {"torch": torch, "jnp": jnp, "np": np, "Case": Case}
    again, other = eval(repr(Case((tensor, array))), scope).inputs
    assert again.dtype == tensor.dtype
    assert again.shape == tensor.shape
    assert torch.equal(again.nan_to_num(7), tensor.detach().nan_to_num(7))
    assert type(other) is type(array)
    assert other.dtype == array.dtype
    assert np.asarray(other).tobytes() == np.asarray(array).tobytes()


def test_the_repr_of_a_case_goes_into_its_containers() -> None:
    """Dictionaries of parameters, lists of states, tuples of one."""
    inputs = ({"w": np.array([0.1]), "more": [np.float32(2.0), (np.arange(2),)]}, ())
    (tree, empty) = eval(repr(Case(inputs)), {"np": np, "Case": Case}).inputs
    assert empty == ()
    assert tree["w"].tolist() == [0.1]
    assert tree["more"][0].dtype == np.float32
    assert tree["more"][1][0].tolist() == [0, 1]



def test_the_same_seed_gives_the_same_report() -> None:
    """Passing or failing; another seed draws other cases; without one the report names its own."""
    for pair in (entrywise(lambda d, x: d), entrywise(lambda d, x: np.where(x > 1, 2 * d, d))):
        first, second = (search(pair, x=("n",), seed=5, max_examples=40) for _ in range(2))
        assert (first.verdict, first.examples, first.evaluations, repr(first.case)) == (
            second.verdict, second.examples, second.evaluations, repr(second.case),
        )  # fmt: skip
        assert str(first) == str(second)
    unseeded = search(entrywise(lambda d, x: d), x=("n",), max_examples=5)
    assert unseeded.seed is not None
    assert (
        search(entrywise(lambda d, x: d), x=("n",), max_examples=5, seed=unseeded.seed).evaluations
        == unseeded.evaluations
    )


def test_a_case_gets_the_same_verdict_in_check() -> None:
    """The shrunk case fails when checked by itself."""
    pair = entrywise(lambda d, x: np.where(x < 0, 2 * d, d))
    report = search(pair, x=("n",), seed=0)
    assert isinstance(report.case, Case)
    again = check(pair, *report.case.inputs)
    assert (again.verdict, again.findings[0].kind) == (Verdict.FAIL, report.findings[0].kind)


def test_inconclusive_examples_stop_nothing() -> None:
    """Half the examples raise in forward; the search goes on, counts them, and still finds the bug."""

    def f(x: Any) -> Any:
        if x[0] < 0:
            raise ValueError("outside the domain")
        return np.sin(x)

    right = search((f, lambda i, g: (g * np.cos(i[0]),)), x=("n",), seed=0)
    assert right.verdict is Verdict.PASS
    assert 0 < right.inconclusive < right.examples
    wrong = (f, lambda i, g: (g * np.cos(i[0]) * np.where(i[0] > 4, 2, 1),))
    assert search(wrong, x=("n",), seed=0).verdict is Verdict.FAIL
    never = search((lambda x: x * np.nan, lambda i, g: (g,)), x=("n",), seed=0, max_examples=10)
    assert (never.verdict, never.inconclusive, never.examples) == (Verdict.INCONCLUSIVE, 10, 10)
    assert isinstance(never.case, Case)
    assert set(never.case.sizes) == {"n"}  # a case of it, with what its layer is made by
    assert {row.input for row in right.blocks} == {"x"}
    assert right.margin < 1
    assert right.resolutions["x"] == right.resolution
    assert never.reasons


def test_examples_are_counted() -> None:
    """examples is what was judged before the first failure, max_examples for a pass."""
    assert search(entrywise(lambda d, x: d), x=("n",), seed=0, max_examples=37).examples == 37
    failing = search(entrywise(lambda d, x: -d), x=("n",), seed=0, max_examples=37)
    assert 1 <= failing.examples <= 3


def test_a_factory_of_letters_builds_a_layer_for_the_sizes_drawn() -> None:
    """Layer and batch shrink together; the case names the sizes."""

    report = search(lambda k, m: _with_m(k, m), x=("n", "k"), w=("k", "m"), seed=0)
    assert (report.verdict, report.case.sizes) == (Verdict.FAIL, {"n": 1, "k": 1, "m": 3})  # type: ignore[attr-defined]


def _with_m(k: int, m: int) -> Any:
    """x @ w, wrong where m is 3."""
    factor = 1.5 if m == 3 else 1.0
    return from_pair(lambda x, w: x @ w, lambda i, g: (factor * g @ i[1].T, i[0].T @ g))


def test_a_factory_without_arguments_makes_a_fresh_target_for_each_example() -> None:
    """A layer that keeps state for ever cannot spoil the next example."""
    made = []

    def factory() -> Any:
        made.append(1)
        return from_pair(np.sin, lambda i, g: (g * np.cos(i[0]),))

    report = search(factory, x=("n",), seed=0, max_examples=12)
    assert (report.verdict, len(made)) == (Verdict.PASS, 12)


def test_a_strategy_of_targets_is_searched_too() -> None:
    """Targets are drawn and shrunk like inputs."""

    def build(power: int) -> Any:
        slope = 3.0 if power == 5 else power
        return from_pair(lambda x: x**power, lambda i, g: (slope * g * i[0] ** (power - 1),), name=f"power{power}")

    report = search(st.integers(1, 6).map(build), x=(2,), seed=0)
    assert (report.verdict, report.target) == (Verdict.FAIL, "power5")


def test_several_dtypes_are_drawn() -> None:
    """A layer wrong in float32 only is found when float32 is asked for."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        d = g * np.cos(inputs[0])
        return (d * d.dtype.type(2 if d.dtype == np.float32 else 1),)

    assert search((np.sin, vjp), x=("n",), seed=0, max_examples=40).verdict is Verdict.PASS
    for dtypes in ("float64 float32", ["float64", "float32"], "float32"):
        report = search((np.sin, vjp), x=("n",), seed=0, max_examples=40, dtypes=dtypes)
        assert (report.verdict, report.case.inputs[0].dtype) == (Verdict.FAIL, np.float32)  # type: ignore[attr-defined]
    assert search((np.sin, vjp), x=("n",), seed=0, max_examples=20, dtypes="float16 longdouble").verdict is Verdict.PASS


def test_options_reach_check() -> None:
    """kinks, budget and slack are passed on."""
    relu = (lambda x: np.maximum(x, 0), lambda i, g: (g * (i[0] > 0),))
    assert search(relu, x=("n",), seed=0).verdict is Verdict.PASS
    assert search(relu, x=("n",), seed=0, options={"kinks": "forbid"}).verdict is Verdict.FAIL
    poor = search(relu, x=("n",), seed=0, max_examples=10, options={"budget": 3})
    assert (poor.verdict, poor.evaluations) == (Verdict.INCONCLUSIVE, 30)


def test_frozen_inputs_stay_frozen_in_a_search() -> None:
    """A mask needs no gradient."""
    masked = (lambda x, m: x * m, lambda i, g: (g * i[1], None))
    assert search(masked, x=("n",), m=("n",), frozen=("m",), seed=0, max_examples=20).verdict is Verdict.PASS
    assert search(masked, x=("n",), m=("n",), seed=0, max_examples=20).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("error", "words", "arguments", "options"),
    [
        (TypeError, "either a strategy for the tuple of inputs or shapes by letter", (), {}),
        (TypeError, "inputs must be a Hypothesis strategy or shapes by letter, got list", ([1],), {}),
        (ValueError, "max_examples must be at least 1, got 0", (), {"x": ("n",), "max_examples": 0}),
        (ValueError, "'int64' is no floating-point dtype; use float64", (), {"x": ("n",), "dtypes": "int64"}),
        (ValueError, "drew nothing to judge", (st.nothing(),), {}),
        (TypeError, "cannot make a target of", (), {"x": ("n",), "target": 3}),
    ],
)
def test_what_search_cannot_use_is_refused_in_words(error: Any, words: str, arguments: Any, options: Any) -> None:
    """The error names the value, the rule and the remedy."""
    options = dict(options)
    target = options.pop("target", (np.sin, lambda i, g: (g * np.cos(i[0]),)))
    with pytest.raises(error, match=words):
        search(target, *arguments, **options)


def test_a_search_leaves_global_random_streams_alone() -> None:
    """Hypothesis and the judge seed their own."""
    np.random.seed(3)  # noqa: NPY002 - the stream under test
    before = np.random.get_state()[1].tobytes()  # type: ignore[union-attr] # noqa: NPY002
    search(entrywise(lambda d, x: d), x=("n",), seed=0, max_examples=5)
    assert np.random.get_state()[1].tobytes() == before  # type: ignore[union-attr] # noqa: NPY002


def test_a_mistake_is_named_by_a_larger_case_than_the_smallest() -> None:
    """A softmax without its coupling shrinks to one entry, in which there is nothing left to compare."""

    def softmax(x: Any) -> Any:
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    report = search(from_pair(softmax, lambda i, g: (g * softmax(i[0]),)), x=("n", "k"), seed=0)
    finding = report.findings[0]
    assert report.case is not None
    assert report.case.inputs[0].size == 1
    assert finding.kind is Kind.DIAGONAL_ONLY
    assert finding.message == "backward of x[0, 0] is wrong: coupling between entries dropped"
    assert finding.evidence[0].startswith("DIAGONAL_ONLY: at a larger case, ")


def test_a_mistake_in_no_pattern_is_told_by_its_numbers() -> None:
    """ "In no pattern known here" helps nobody in a headline; the two numbers do."""
    odd = np.array([0.7, -1.3, 2.9, 0.1, -0.4])
    report = check(from_pair(np.sin, lambda i, g: (g * np.cos(i[0]) * odd,)), np.array([0.3, 1.1, -2.0, 0.2, 2.5]))
    assert "the finite difference" in report.headline()
    assert "pattern" not in report.headline()


@pytest.mark.parametrize("wrong", ["k", "m", "n"])
def test_one_axis_past_a_vector_instruction_is_drawn_beside_others(wrong: str) -> None:
    """What is lost past the eighth entry of one axis of a dense layer is met within 200 examples, whichever axis:
    nearly always, for Hypothesis draws by more than its seed (which local modules are loaded, for one).
    """

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        x, w, _ = inputs
        dx, dw, db = g @ w.T, x.T @ g, g.sum(0)
        if wrong == "k":
            dx[:, 8:] = 0
        elif wrong == "m":
            db[8:] = 0
        else:
            dw = x[:8].T @ g[:8]
        return dx, dw, db

    dense = from_pair(lambda x, w, b: x @ w + b, vjp)
    reports = [search(dense, x=("n", "k"), w=("k", "m"), b=("m",), seed=seed) for seed in range(4)]
    assert sum(report.verdict is Verdict.FAIL for report in reports) >= 3


@pytest.mark.parametrize("special", [1.0, -1.0, 0.5])
def test_a_fault_at_one_exact_value_is_met_among_several_inputs(special: float) -> None:
    """An edge of a clip, a margin, a knee: simple values are drawn often, and one ulp beside them is no rounding."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        x, w, b = inputs
        return g @ w.T, x.T @ g, g.sum(0) * (-1 if (b == special).any() else 1)

    dense = from_pair(lambda x, w, b: x @ w + b, vjp)
    at = (np.array([[1.0, 2.0]]), np.array([[3.0], [0.7]]), np.array([special]))
    assert check(dense, *at).verdict is Verdict.FAIL
    reports = [search(dense, x=("n", "k"), w=("k", "m"), b=("m",), seed=seed) for seed in range(4)]
    assert sum(report.verdict is Verdict.FAIL for report in reports) >= 3


def test_what_was_recognised_is_said_of_a_search_too() -> None:
    """The notes of the target reach the report of many examples as they do that of one."""
    target = replace(from_pair(np.negative, lambda i, g: (-g,)), notes=("recognised: a pair",))
    assert search(target, x=("n",), seed=0, max_examples=5).notes == ("recognised: a pair",)
