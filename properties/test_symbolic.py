"""The backward graph is a graph: the same numbers, printable, differentiable again; jvp, hvp, Jacobian, Hessian."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.backprop import (
    GraphError,
    Node,
    ShapeError,
    backward,
    backward_graph,
    forward,
    hessian,
    hvp,
    jacobian,
    jvp,
    ops,
    sensitivity,
    trace,
)
from gradcheck.backprop.sweep import evaluate
from properties.differences import ROUNDINGS, mismatches, random_like
from properties.test_sweep import SLOTS, data, random_graph

EPS = float(np.finfo(float).eps)


@settings(deadline=None, max_examples=40)
@given(SLOTS, st.integers(0, 2**32 - 1), st.sampled_from(["float64", "float32"]))
def test_the_backward_graph_computes_what_the_sweep_computes(
    slots: list[tuple[str, int, int]], seed: int, dtype: str
) -> None:
    """Symbol-to-symbol then evaluated equals symbol-to-number to the last bit, in either dtype."""
    graph = random_graph(slots)
    arrays = {k: a.astype(dtype) for k, a in data(seed).items()}
    table = backward(forward(graph, **arrays))
    B = backward_graph(graph)
    assert list(B.inputs) == ["a", "b", "cotangent"]
    for name, output in zip(graph.inputs, forward(B, **arrays, cotangent=np.ones((), dtype)).outputs, strict=True):
        assert output.dtype == table[name].dtype == dtype
        np.testing.assert_array_equal(output, table[name])


@settings(deadline=None, max_examples=25)
@given(SLOTS, st.integers(0, 2**32 - 1))
def test_jvp_is_the_transpose_of_backward_on_generated_graphs(slots: list[tuple[str, int, int]], seed: int) -> None:
    """⟨Jᵀ1, u⟩ = J u for a scalar output: two programs, one number."""
    graph = random_graph(slots)
    arrays = data(seed)
    u = {k: random_like(np.random.default_rng(seed), a.shape) for k, a in arrays.items()}
    table = backward(forward(graph, **arrays))
    terms = [table[k] * u[k] for k in u]
    B = forward(backward_graph(graph), **arrays, cotangent=np.ones(()))
    size = 1 + max(float(np.max(np.abs(v), initial=0)) for v in B.values)
    # at most 18 terms, each built of some dozens of products no larger than the largest value of the backward graph
    assert abs(float(jvp(graph, arrays, u)) - float(np.sum(terms))) <= 18 * ROUNDINGS * EPS * size**2


def function(x: Node, w: Node) -> Node:
    return ops.sum(ops.softmax(ops.tanh(x @ w)) ** 2 * ops.exp(w[0]))


GRAPH = trace(function, x=(2, 3), w=(3, 2))
RNG = np.random.default_rng(0)
ARRAYS = {"x": RNG.uniform(-1, 1, (2, 3)), "w": RNG.uniform(-1, 1, (3, 2))}


def test_hvp_is_the_hessian_times_the_vector() -> None:
    """The Hessian, entry by entry, is symmetric, contracts to the hvp, and is the Jacobian of the gradient."""
    H = hessian(GRAPH, ARRAYS)
    v = {k: random_like(RNG, a.shape) for k, a in ARRAYS.items()}
    product = hvp(GRAPH, ARRAYS, v)
    for a in ARRAYS:
        contracted = sum(np.tensordot(H[a, b], v[b], v[b].ndim) for b in ARRAYS)
        # 12 terms below 8
        assert np.allclose(product[a], contracted, rtol=0, atol=12 * 8 * ROUNDINGS * EPS)
        for b in ARRAYS:
            turned = np.moveaxis(H[b, a], range(2), range(-2, 0))
            assert np.allclose(H[a, b], turned, rtol=0, atol=8 * ROUNDINGS * EPS)
    assert np.array_equal(hvp(GRAPH, ARRAYS, {"w": v["w"]})["x"], hvp(GRAPH, ARRAYS, {**v, "x": 0 * v["x"]})["x"])


def test_the_backward_graph_of_the_backward_graph_is_the_finite_difference_of_the_gradient() -> None:
    """B is differentiated again by the same machinery, numerically and symbolically, and once more."""
    B = backward_graph(GRAPH)
    arrays = {**ARRAYS, "cotangent": np.asarray(1.5)}
    weights = tuple(random_like(RNG, output.shape) for output in B.outputs)
    along = trace(lambda **nodes: ops.sum(sum_of(B, nodes, weights)), **{k: node.shape for k, node in B.inputs.items()})
    assert mismatches(along, arrays, np.ones(())) == []
    BB = backward_graph(along)
    assert "cotangent_" in BB.inputs
    gradients = forward(BB, **arrays, cotangent_=np.ones(())).outputs
    table = backward(forward(along, **arrays))
    for name, g in zip(along.inputs, gradients, strict=True):
        np.testing.assert_array_equal(g, table[name])
    third = trace(lambda **nodes: ops.sum(sum_of(BB, nodes, [1.0] * 3)), **{k: n.shape for k, n in BB.inputs.items()})
    assert mismatches(third, {**arrays, "cotangent_": np.ones(())}, np.ones(())) == []


def test_second_derivatives_keep_float32() -> None:
    """jvp, hvp, Jacobian and Hessian of float32 data are float32, and close to those of float64."""
    narrow = {k: a.astype("float32") for k, a in ARRAYS.items()}
    v = {k: random_like(RNG, a.shape) for k, a in ARRAYS.items()}
    for found, exact in zip(
        (
            jvp(GRAPH, narrow, v),
            hvp(GRAPH, narrow, v)["x"],
            jacobian(GRAPH, narrow)["w"],
            hessian(GRAPH, narrow)["x", "w"],
        ),
        (
            jvp(GRAPH, ARRAYS, v),
            hvp(GRAPH, ARRAYS, v)["x"],
            jacobian(GRAPH, ARRAYS)["w"],
            hessian(GRAPH, ARRAYS)["x", "w"],
        ),
        strict=True,
    ):
        assert found.dtype == np.float32
        assert np.allclose(found, exact, rtol=0, atol=2.0**-14)  # of 23 bits, nine are left to sums of terms below 8


def sum_of(graph: Any, nodes: dict[str, Node], weights: Any) -> Any:
    """The outputs of ``graph`` replayed on ``nodes``, weighted and summed: graphs are functions too."""
    values = evaluate(graph, nodes, next(iter(nodes.values())).trace.constant)
    return sum((ops.sum(values[o.index] * w) for o, w in zip(graph.outputs, weights, strict=True)), 0.0)


def test_the_backward_graph_prints() -> None:
    """The chain rule can be read off the page."""
    B = backward_graph(trace(lambda w: ops.sin(w * w), w=()))
    assert str(B).splitlines() == [
        "w = input  ()",
        "cotangent = input  ()",
        "u2 = mul(w, w)  ()",
        "u3 = cos(u2)  ()",
        "u4 = mul(cotangent, u3)  ()",
        "u5 = mul(u4, w)  ()",
        "u6 = mul(u4, w)  ()",
        "u7 = add(u5, u6)  ()",
    ]


def test_several_outputs_and_taken_names_give_inputs_of_other_names() -> None:
    """B takes one cotangent an output, under names that are free."""
    two = trace(lambda x: (x * 2.0, ops.sum(x)), x=(2,))
    B = backward_graph(two)
    assert list(B.inputs) == ["x", "cotangent0", "cotangent1"]
    (g,) = forward(B, x=[1.0, 1.0], cotangent0=[1.0, 0.0], cotangent1=3.0).outputs
    assert g.tolist() == [5.0, 3.0]
    assert list(backward_graph(trace(lambda cotangent: cotangent * 2.0, cotangent=())).inputs) == [
        "cotangent",
        "cotangent_",
    ]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_the_jacobian_of_a_linear_map_is_its_matrix(n: int, m: int, seed: int) -> None:
    """J of A x is A itself, empty axes included, and for tensors it has the output's axes first."""
    A = np.random.default_rng(seed).uniform(-1, 1, (m, n))
    assert np.array_equal(jacobian(trace(lambda x: A @ x, x=(n,)), {"x": np.zeros(n)})["x"], A)
    J = jacobian(trace(lambda x: x @ A.T, x=(2, n)), {"x": np.zeros((2, n))})["x"]
    assert J.shape == (2, m, 2, n)
    assert np.array_equal(J, np.einsum("ij,ab->iajb", np.eye(2), A))


def test_the_chain_rule_is_the_product_of_jacobians() -> None:
    """J of g∘f is J of g at f(x), times J of f at x."""
    W = np.array([[0.5, -1.0], [2.0, 0.25], [1.0, 1.0]])
    x = np.array([0.3, -0.7])
    f = trace(lambda x: ops.tanh(W @ x), x=(2,))
    g = trace(lambda h: ops.softmax(h), h=(3,))
    whole = trace(lambda x: ops.softmax(ops.tanh(W @ x)), x=(2,))
    outer = jacobian(g, {"h": forward(f, x=x).output})["h"]
    # 3 terms below 2
    assert np.allclose(jacobian(whole, {"x": x})["x"], outer @ jacobian(f, {"x": x})["x"], rtol=0, atol=32 * EPS)


def test_sensitivity_ranks_inputs_by_how_much_the_output_answers() -> None:
    """Absolute derivatives, largest first; an output of many numbers has one for each."""
    graph = trace(lambda a, b: ops.sum(a * a) - 3.0 * b, a=(2,), b=())
    found = sensitivity(graph, {"a": [2.0, -0.25], "b": 1.0})
    assert found["a"].tolist() == [4.0, 0.5]
    assert str(found) == "a[0]  4\nb  3\na[1]  0.5"
    assert sensitivity(trace(lambda x: -x, x=(2,)), {"x": [1.0, 1.0]})["x"].tolist() == [[1, 0], [0, 1]]


def test_second_derivatives_of_many_outputs_and_wrong_directions_are_refused() -> None:
    """Errors name the shape, the input and the remedy."""
    vector = trace(lambda x: x * 2.0, x=(2,))
    with pytest.raises(ValueError, match=r"an output of one number, this one is \(2,\): sum it"):
        hvp(vector, {"x": [1.0, 2.0]}, {"x": [1.0, 0.0]})
    with pytest.raises(ShapeError, match=r"direction of 'x': shapes \(3,\) and \(2,\)"):
        jvp(vector, {"x": [1.0, 2.0]}, {"x": [1.0, 0.0, 0.0]})
    with pytest.raises(KeyError, match="no input is named 'y'; the graph has x"):
        jvp(vector, {"x": [1.0, 2.0]}, {"y": [1.0, 0.0]})
    with pytest.raises(GraphError, match="2 outputs, not one"):
        jvp(trace(lambda x: (x, x), x=()), {"x": 1.0}, {"x": 1.0})
