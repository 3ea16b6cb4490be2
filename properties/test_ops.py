"""Every op of the table: its vjp is the finite difference, its dtype is kept, its second derivatives are right."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import BroadcastableShapes, mutually_broadcastable_shapes

from gradcheck.backprop import ShapeError, backward, backward_graph, forward, jvp, ops, trace
from properties.differences import ROUNDINGS, along, call_graph, mismatches, random_like

ROWS: dict[str, Any] = {**ops.TABLE, **ops.BLOCKS}
ASKED = """
    add sub mul div neg power scalar_power square reciprocal exp expm1 log log1p sqrt sin cos tan arcsin arccos
    arctan sinh cosh tanh erf sigmoid relu leaky_relu elu softplus gelu gelu_tanh silu abs maximum minimum clip
    where equal not_equal less less_equal greater greater_equal sign sum mean max min prod var logsumexp cumsum
    matmul einsum transpose reshape broadcast_to concatenate stack getitem take embedding pad conv1d conv2d
    max_pool avg_pool softmax log_softmax layer_norm batch_norm solve inv det logdet cholesky
""".split()  # noqa: SIM905 - a list of a hundred words
# ops whose value is a complex-analytic NumPy expression, so that a complex step has no truncation error
ANALYTIC = """
    add sub mul div neg square reciprocal scalar_power power exp expm1 log log1p sqrt sin cos tan arcsin arccos
    arctan sinh cosh tanh arcsinh arccosh arctanh sum mean prod cumsum matmul einsum solve inv det conv1d conv2d
    avg_pool
""".split()  # noqa: SIM905 - a list of a hundred words
EPS = float(np.finfo(float).eps)


def calls(name: str, seed: int = 0, dtype: str = "float64") -> Any:
    """Every example of an op as (example, graph, arrays, cotangent)."""
    rng = np.random.default_rng([seed, len(name)])
    for example in ROWS[name].examples:
        graph, arrays = call_graph(name, example, ops.draw(ROWS[name], example, rng, dtype))
        yield example, graph, arrays, random_like(rng, graph.output.shape)


def test_the_table_has_every_op_that_was_asked_for() -> None:
    """The list of the project's foundation is covered, and whatever is in the table can be called and has examples."""
    assert set(ASKED) <= set(ops.EXAMPLES)
    assert all(ops.EXAMPLES.values())
    assert all(callable(getattr(ops, name)) for name in ops.EXAMPLES)


@pytest.mark.parametrize("name", ROWS)
def test_vjp_is_the_finite_difference(name: str) -> None:
    """On each example of each op, every entry of every gradient lies within the bound of the finite difference."""
    for example, graph, arrays, cotangent in calls(name):
        assert mismatches(graph, arrays, cotangent) == [], example


@pytest.mark.parametrize("name", ANALYTIC)
def test_vjp_is_the_complex_step(name: str) -> None:
    """Where the op is analytic, a step of 1e-30 along the imaginary axis gives the derivative to rounding."""
    for example, graph, arrays, cotangent in calls(name, seed=1):
        tape = forward(graph, **arrays)
        table = backward(tape, cotangent)
        for p, x in arrays.items():
            u = random_like(np.random.default_rng(2), x.shape)
            stepped = forward(graph, **{**arrays, p: x + 1e-30j * u}).output
            numeric = float(np.sum(cotangent * stepped.imag) / 1e-30)
            # a few dozen roundings of the summed terms; conditioning of solve and powers is below 10 on these domains
            size = np.sum(np.abs(table[p] * u)) + np.sum(np.abs(cotangent) * (1 + np.abs(tape.output)))
            assert abs(np.sum(table[p] * u) - numeric) <= 10 * ROUNDINGS * EPS * size, (example, p)


@pytest.mark.parametrize("name", ROWS)
def test_value_has_the_traced_shape_and_gradients_the_dtype_of_the_data(name: str) -> None:
    """Float32 in gives float32 out, gradients too, equal to those of float64 up to float32 rounding."""
    for example, graph, arrays, cotangent in calls(name, seed=3, dtype="float32"):
        tape = forward(graph, **arrays)
        assert tape.output.shape == graph.output.shape
        assert tape.output.dtype in (np.float32, np.bool_), example
        table = backward(tape, cotangent)
        assert {g.dtype for k, g in table.gradients.items() if arrays[k].dtype.kind == "f"} <= {np.dtype("float32")}
        wide = {k: a.astype("float64") if a.dtype.kind == "f" else a for k, a in arrays.items()}
        exact = backward(forward(graph, **wide), cotangent)
        for k in arrays:
            # the arguments are exact in both; of float32's 23 bits, 13 are left to conditioning and sums
            assert np.allclose(table[k], exact[k], rtol=2**-10, atol=2**-10), (example, k)


@pytest.mark.parametrize("dtype", ["float16", "longdouble"])
@pytest.mark.parametrize("name", ROWS)
def test_other_float_types_are_kept_or_refused(name: str, dtype: str) -> None:
    """float16 and longdouble stay what they are, even inside the sweep; LAPACK and erf refuse longdouble."""
    lacking = ["solve", "inv", "det", "logdet", "cholesky", "erf", "erfc", "gelu"] if dtype == "longdouble" else []
    for example, graph, arrays, cotangent in calls(name, seed=4, dtype=dtype):
        if name in lacking:
            with pytest.raises(TypeError):
                forward(graph, **arrays)
            continue
        tape = forward(graph, **arrays)
        assert tape.output.dtype in (np.dtype(dtype), np.bool_), example
        if tape.output.dtype == np.bool_:  # nothing flows through a comparison
            continue
        table = backward(tape, cotangent)
        reached = [g for g in table.cotangents if g is not None]
        assert {np.asarray(g).dtype for g in reached} <= {np.dtype(dtype)}, example


@pytest.mark.parametrize("name", ROWS)
def test_symbolic_backward_is_numeric_backward(name: str) -> None:
    """The backward graph is written by the same rules, so its numbers are the same to the last bit."""
    for example, graph, arrays, cotangent in calls(name, seed=5):
        table = backward(forward(graph, **arrays), cotangent)
        outputs = forward(backward_graph(graph), **arrays, cotangent=cotangent).outputs
        for k, g in zip(graph.inputs, outputs, strict=True):
            np.testing.assert_array_equal(g, table[k], err_msg=str(example))


@pytest.mark.parametrize("name", ROWS)
def test_second_derivatives_are_symmetric_and_the_difference_of_the_gradient(name: str) -> None:
    """⟨u, H v⟩ = ⟨v, H u⟩, and both are the derivative of the gradient along v."""
    for example, graph, arrays, cotangent in calls(name, seed=6):
        B = backward_graph(graph)
        rng = np.random.default_rng(7)
        moving = [k for k, a in arrays.items() if a.dtype.kind == "f"]
        u, v = ({k: random_like(rng, arrays[k].shape) for k in moving} for _ in range(2))
        tape = forward(B, **arrays, cotangent=cotangent)

        def along_u(t: float, B: Any = B, arrays: Any = arrays, c: Any = cotangent, u: Any = u, v: Any = v) -> float:
            moved = {k: a + t * v[k] / 2 if k in v else a for k, a in arrays.items()}  # v reaches 2: steps stay short
            outputs = dict(zip(arrays, forward(B, **moved, cotangent=c).outputs, strict=True))
            return float(sum(np.sum(u[k] * outputs[k]) for k in u))

        def product(w: Any, tape: Any = tape, k: Any = tuple(arrays)) -> Any:
            return backward(tape, tuple(w.get(name) for name in k))

        uHv = sum(float(np.sum(u[k] * product(v)[k])) for k in moving)
        vHu = sum(float(np.sum(v[k] * product(u)[k])) for k in moving)
        size = float(
            sum(np.sum(np.abs(g)) for g in tape.outputs) + sum(np.sum(np.abs(product(v)[k])) for k in moving) + 1
        )
        assert abs(uHv - vHu) <= 2 * ROUNDINGS * EPS * size * 8, example  # entries of u and v are at most 2
        numeric, bound = along(along_u, 4 * size)
        assert abs(uHv - 2 * numeric) <= 2 * bound, example


@pytest.mark.parametrize("name", ROWS)
def test_jvp_is_the_transpose_of_the_vjp(name: str) -> None:
    """⟨c, J u⟩ = ⟨Jᵀ c, u⟩ for every op."""
    for example, graph, arrays, cotangent in calls(name, seed=8):
        rng = np.random.default_rng(9)
        u = {k: random_like(rng, a.shape) for k, a in arrays.items() if a.dtype.kind == "f"}
        Ju = jvp(graph, arrays, u)
        table = backward(forward(graph, **arrays), cotangent)
        left, right = np.sum(cotangent * Ju), sum(np.sum(table[k] * u[k]) for k in u)
        size = np.sum(np.abs(cotangent * Ju)) + sum(np.sum(np.abs(table[k] * u[k])) for k in u)
        assert abs(left - right) <= ROUNDINGS * EPS * size, example


# --- generated shapes --------------------------------------------------------------------------------------------
PLAIN = [k for k, row in ops.TABLE.items() if row.family in ("elementwise", "activations") and k != "scalar_power"]


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(PLAIN), st.integers(0, 2**32 - 1))
def test_elementwise_vjps_undo_any_broadcast(data: st.DataObject, name: str, seed: int) -> None:
    """Elementwise ops are right on every set of shapes that broadcast, 0-d and size 0 among them."""
    row = ops.TABLE[name]
    assert row.arity is not None
    shapes = data.draw(mutually_broadcastable_shapes(num_shapes=row.arity, min_side=0, max_side=2, max_dims=3))
    example = ops.Example(shapes.input_shapes)
    rng = np.random.default_rng(seed)
    graph, arrays = call_graph(name, example, ops.draw(row, example, rng))
    assert graph.output.shape == shapes.result_shape
    assert mismatches(graph, arrays, random_like(rng, graph.output.shape)) == []


@settings(deadline=None, max_examples=40)
@given(
    st.data(),
    st.sampled_from(["sum", "mean", "max", "min", "prod", "var", "logsumexp"]),
    st.lists(st.integers(1, 3), max_size=3).map(tuple),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_reductions_are_right_over_any_axes(
    data: st.DataObject, name: str, shape: tuple[int, ...], keepdims: bool, seed: int
) -> None:
    """A reduction over any subset of axes, kept or not, has NumPy's shape and the finite difference's gradient."""
    axes = data.draw(st.sets(st.sampled_from(range(-len(shape), 0))) if shape else st.just(set()))
    axis = data.draw(st.sampled_from([None, tuple(axes)]))
    example = ops.Example((shape,), {"axis": axis, "keepdims": keepdims})
    rng = np.random.default_rng(seed)
    graph, arrays = call_graph(name, example, ops.draw(ops.TABLE[name], example, rng))
    assert graph.output.shape == np.sum(np.zeros(shape), axis=axis, keepdims=keepdims).shape
    assert mismatches(graph, arrays, random_like(rng, graph.output.shape)) == []


@settings(deadline=None, max_examples=40)
@given(
    mutually_broadcastable_shapes(signature="(m?,n),(n,p?)->(m?,p?)", min_side=0, max_side=2, max_dims=1),
    st.integers(0, 2**32 - 1),
)
def test_matmul_is_right_on_any_batch_and_on_vectors(shapes: BroadcastableShapes, seed: int) -> None:
    """Matrix products of batches, vectors and empty matrices have the finite difference's gradient."""
    example = ops.Example(shapes.input_shapes)
    rng = np.random.default_rng(seed)
    graph, arrays = call_graph("matmul", example, ops.draw(ops.TABLE["matmul"], example, rng))
    assert graph.output.shape == shapes.result_shape
    assert mismatches(graph, arrays, random_like(rng, graph.output.shape)) == []


# --- points that finite differences cannot judge -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("function", "x", "gradient"),
    [
        (lambda x: ops.max(x), [1.0, 3.0, 3.0, 3.0], [0, 1 / 3, 1 / 3, 1 / 3]),
        (lambda x: ops.min(x), [2.0, 2.0], [0.5, 0.5]),
        (lambda x: ops.sum(ops.maximum(x, 1.0)), [0.0, 1.0, 2.0], [0, 0.5, 1]),
        (lambda x: ops.sum(ops.minimum(x, 1.0)), [0.0, 1.0, 2.0], [1, 0.5, 0]),
        (lambda x: ops.sum(ops.relu(x)), [-1.0, 0.0, 1.0], [0, 0, 1]),
        (lambda x: ops.sum(ops.leaky_relu(x, 0.25)), [-1.0, 0.0, 1.0], [0.25, 0.25, 1]),
        (lambda x: ops.sum(ops.abs(x)), [-1.0, 0.0, 1.0], [-1, 0, 1]),
        (lambda x: ops.sum(ops.clip(x, 0.0, 1.0)), [-1.0, 0.0, 1.0, 2.0], [0, 1, 1, 0]),
        (lambda x: ops.sum(ops.max_pool(x, 3)), [[[2.0, 2.0, 1.0]]], [[[0.5, 0.5, 0]]]),
        (lambda x: ops.prod(x), [2.0, 0.0, 3.0], [0, 6, 0]),
        (lambda x: ops.prod(x), [2.0, 0.0, 0.0], [0, 0, 0]),
        (lambda x: ops.sum(x**2), [-1.0, 0.0], [-2, 0]),
        (lambda x: ops.sum(x**0), [0.0, 1.0], [0, 0]),
        (lambda x: ops.sum(x ** np.array([2.0, 3.0])), [0.0, -2.0], [0, 12]),
        (lambda x: ops.sum(x[[0, 0, 1]]), [5.0, 5.0, 5.0], [2, 1, 0]),
        (lambda x: ops.sum(ops.take(x, np.array([1, -1, 1]))), [5.0, 5.0], [0, 3]),
        (lambda x: ops.sum(ops.softplus(x)), [-800.0, 0.0, 800.0], [0, 0.5, 1]),
        (lambda x: ops.logsumexp(x), [900.0, 900.0], [0.5, 0.5]),
    ],
)
def test_ties_zeros_repeats_and_extremes(function: Any, x: Any, gradient: Any) -> None:
    """Ties are split equally, a product with zeros is right, repeated indices add up, and nothing overflows."""
    graph = trace(function, x=np.shape(x))
    np.testing.assert_array_equal(backward(forward(graph, x=x))["x"], np.asarray(gradient, float))


# --- values, for a wrong value has a right vjp of its own --------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("sigmoid", lambda x: 1 / (1 + math.exp(-x))),
        ("softplus", lambda x: math.log1p(math.exp(x))),
        ("silu", lambda x: x / (1 + math.exp(-x))),
        ("elu", lambda x: x if x > 0 else math.expm1(x)),
        ("relu", lambda x: x if x > 0 else 0.0),
        ("leaky_relu", lambda x: x if x > 0 else 0.01 * x),
        ("gelu", lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
        ("gelu_tanh", lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        ("erf", math.erf),
        ("erfc", math.erfc),
        ("tan", math.tan),
        ("arcsin", lambda x: math.asin(x) if abs(x) <= 1 else math.nan),
    ],
)
def test_activations_are_their_formulas(name: str, formula: Any) -> None:
    """Each activation equals its textbook formula, in Python's own mathematics."""
    x = np.array([-0.9, -0.25, 0.0, 0.5, 0.75])
    # two implementations of one formula differ by a few ulps of values below 4
    assert np.allclose(ops.invoke(name, x), [formula(v) for v in x], rtol=0, atol=16 * EPS)


def test_convolution_is_the_sum_over_the_window() -> None:
    """conv2d equals the six nested loops of its definition: stride, padding and dilation included."""
    rng = np.random.default_rng(0)
    x, w = rng.integers(-3, 4, (2, 2, 5, 4)), rng.integers(-3, 4, (3, 2, 2, 3))
    stride, padding, dilation = (2, 1), (1, 2), (2, 1)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    got = ops.conv2d(x * 1.0, w * 1.0, stride, padding, dilation)
    for n, o, i, j in np.ndindex(got.shape):
        terms = [
            padded[n, c, i * stride[0] + a * dilation[0], j * stride[1] + b * dilation[1]] * w[o, c, a, b]
            for c, a, b in np.ndindex(w.shape[1:])
        ]
        assert got[n, o, i, j] == sum(terms)  # small integers: exact
    assert got.shape == (2, 3, 3, 6)


def test_pooling_and_normalisation_are_their_definitions() -> None:
    """Windows of a pool are what they say, and a normalised row has mean 0 and variance 1."""
    x = np.array([[[1.0, 5.0, 2.0, 4.0, 3.0]]])
    assert ops.max_pool(x, 2).tolist() == [[[5.0, 4.0]]]
    assert ops.avg_pool(x, 2, 1).tolist() == [[[3.0, 3.5, 3.0, 3.5]]]
    assert ops.max_pool(-x, 2, padding=1).tolist() == [[[-1.0, -2.0, -3.0]]]
    rows = np.random.default_rng(0).normal(size=(4, 6))
    for y, axis in ((ops.layer_norm(rows, eps=0.0), 1), (ops.batch_norm(rows, eps=0.0), 0)):
        assert np.allclose(np.mean(y, axis), 0, atol=64 * EPS)  # sums of at most 6 entries below 3
        assert np.allclose(np.var(y, axis), 1, atol=64 * EPS)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.matmul(np.ones((5, 3)), np.ones((2, 4))), r"matmul: .*\(5, 3\) and \(2, 4\).*inner sizes 3 and 2"),
        (lambda: ops.add(np.ones(3), np.ones(2)), r"add: .*\(3,\) and \(2,\).*axis -1 has sizes 2 and 3.*reshape"),
        (lambda: ops.einsum("...i->i", np.ones((2, 3))), r"einsum: .*ellipsis; write the batch axes as letters"),
        (lambda: trace(lambda x: ops.einsum("ij,jk", x, x), x=(2, 3)), r"letter 'j' of 'ij,jk' has sizes 3 and 2"),
        (lambda: trace(lambda x: ops.sum(x, 2), x=(2, 3)), r"sum: .*there is no axis 2; axes run from -2 to 1"),
        (lambda: trace(lambda x: ops.max(x), x=(0,)), r"max: .*needs at least 1 entry"),
        (lambda: trace(lambda x: x.reshape(4), x=(2, 3)), r"reshape: .*6 entries cannot fill it"),
        (lambda: trace(lambda x: x[5], x=(2, 3)), r"getitem: .*index 5 does not fit"),
        (lambda: trace(lambda x: ops.concatenate([x, x[0]]), x=(2, 3)), r"concatenate: .*all sizes but that of axis 0"),
        (lambda: trace(lambda x: ops.inv(x), x=(2, 3)), r"inv: shape \(2, 3\).*square matrix"),
        (lambda: trace(lambda x: ops.conv1d(x, x), x=(2, 3)), r"conv1d: .*x is \(batch, channels"),
        (lambda: trace(lambda x: ops.max_pool(x, 4), x=(1, 1, 3)), r"windows: .*\(4,\) must fit into the last 1 axes"),
        (lambda: trace(lambda x: ops.batch_norm(x, np.ones(2)), x=(4, 3)), "batch_norm: .*scale and offset are"),
        (lambda: trace(lambda x: ops.broadcast_to(x, (1, 3)), x=(2, 3)), "broadcast_to: .*only axes of size 1"),
    ],
)
def test_a_wrong_shape_is_an_error_that_names_op_shapes_rule_and_remedy(call: Any, words: str) -> None:
    """Arrays and nodes meet the same shape rule, in words."""
    with pytest.raises(ShapeError, match=words):
        call()


def test_wrong_arguments_are_refused_with_the_signature() -> None:
    """An unknown static argument is an error that shows what the op takes."""
    with pytest.raises(TypeError, match=r"ops\.sum\(x, /, axis=None, keepdims=False\) got 1 .* and keepdim"):
        ops.sum(np.ones(3), keepdim=True)
