"""The sweep: each node once, each edge once; equivalent graphs agree; bad data are refused by name."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.backprop import Graph, GraphError, Node, ShapeError, backward, forward, ops, trace
from properties.differences import mismatches, random_like

UNARY = ["tanh", "sin", "sigmoid", "relu", "neg", "softmax", "layer_norm", "getitem", "transpose"]
BINARY = ["add", "sub", "mul", "maximum", "matmul", "mask"]
STATIC: dict[str, dict[str, Any]] = {"getitem": {"index": np.array([1, 0, 1])}}
SLOTS = st.lists(st.tuples(st.sampled_from(UNARY + BINARY), st.integers(0, 99), st.integers(0, 99)), max_size=8)


def random_graph(slots: list[tuple[str, int, int]]) -> Graph:
    """A graph over two 3×3 inputs in which each slot applies an op to earlier nodes: fan-out and repeats included."""

    def function(a: Node, b: Node) -> Node:
        made = [a, b]
        for name, i, j in slots:
            parents = [made[i % len(made)]] + ([made[j % len(made)]] if name in BINARY else [])
            if name == "mask":  # a boolean node as a parent
                made.append(parents[0] * ops.greater(*parents))
            else:
                made.append(ops.invoke(name, *parents, **STATIC.get(name, {})))
        return ops.sum(made[-1] * made[len(made) // 2])

    return trace(function, a=(3, 3), b=(3, 3))


def data(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"a": rng.uniform(-1, 1, (3, 3)), "b": rng.uniform(-1, 1, (3, 3))}


@settings(deadline=None, max_examples=60)
@given(SLOTS, st.integers(0, 2**32 - 1))
def test_backward_visits_every_edge_once(slots: list[tuple[str, int, int]], seed: int) -> None:
    """On generated graphs the visits equal the edges exactly, booleans and repeated parents included."""
    graph = random_graph(slots)
    tape = forward(graph, **data(seed))
    assert graph.edges == sum(len(node.parents) for node in graph.nodes)
    assert backward(tape).visits == graph.edges
    assert tape.kept == len(graph)


def test_edges_that_carry_nothing_are_visited_and_counted() -> None:
    """What lies behind a condition gets no cotangent, and its edges count all the same."""
    graph = trace(lambda x: ops.sum(ops.where(ops.tanh(x) * 2.0 > 0, x, 0.0)), x=(2,))
    table = backward(forward(graph, x=[1.0, -1.0]))
    assert table["x"].tolist() == [1, 0]
    assert table.visits == graph.edges == 1 + 2 + 2 + 3 + 1  # tanh, mul, greater, where, sum


@settings(deadline=None, max_examples=25)
@given(SLOTS, st.integers(0, 2**32 - 1))
def test_each_rule_runs_at_most_once_a_node(slots: list[tuple[str, int, int]], seed: int) -> None:
    """Fan-out or not, the vjp of a node is asked for once, after the cotangent is complete: counted at the rules."""
    graph = random_graph(slots)
    tape = forward(graph, **data(seed))
    calls: Counter[int] = Counter()

    def counted(row: ops.Op) -> ops.Op:
        def vjp(g: Any, y: Any, *parents: Any, **static: Any) -> Any:
            calls[id(y)] += 1
            return row.vjp(g, y, *parents, **static)

        return dataclasses.replace(row, vjp=vjp)

    with pytest.MonkeyPatch.context() as patch:
        for name in {node.op for node in graph.nodes if node.parents}:
            patch.setitem(ops.TABLE, name, counted(ops.TABLE[name]))
        table = backward(tape)
    reached = [node for node in graph.nodes if node.parents and table.cotangents[node.index] is not None]
    assert calls == Counter(id(tape.values[node.index]) for node in reached)


@settings(deadline=None, max_examples=40)
@given(SLOTS.filter(lambda slots: all(name not in ("relu", "maximum", "mask") for name, _, _ in slots)),
       st.integers(0, 2**32 - 1))  # fmt: skip
def test_backward_is_the_finite_difference_on_generated_graphs(slots: list[tuple[str, int, int]], seed: int) -> None:
    """On smooth generated graphs every entry of every gradient lies within the bound of the finite difference."""
    graph = random_graph(slots)
    arrays = data(seed)
    values = forward(graph, **arrays).values
    if max(float(np.max(np.abs(v))) for v in values) < 100:  # else the bound's "values of order 1" does not hold
        assert mismatches(graph, arrays, np.ones(())) == []


def test_a_chain_of_a_million_nodes_runs_without_recursion() -> None:
    """Trace, forward and backward over 10**6 nodes: one float64 a node is kept, and as many again by the sweep."""
    n = 10**6

    def chain(x: Node) -> Node:
        for _ in range(n):
            x = ops.neg(x)
        return x

    graph = trace(chain, x=())
    tape = forward(graph, x=2.0)
    table = backward(tape)
    assert (tape.kept, table.visits, graph.edges) == (n + 1, n, n)
    assert (float(tape.output), float(table["x"])) == (2.0, 1.0)
    assert (tape.peak_bytes, table.peak_bytes) == (8 * (n + 1), 16 * (n + 1))


def test_peak_bytes_count_each_buffer_once() -> None:
    """A transposed or broadcast view costs nothing more than what it looks at."""
    graph = trace(lambda x: ops.broadcast_to(x.T, (100, 3, 2)), x=(2, 3))
    tape = forward(graph, x=np.ones((2, 3)))
    assert tape.kept == 3
    assert tape.peak_bytes == 6 * 8
    table = backward(tape, np.ones((100, 3, 2)))
    assert table.peak_bytes >= 6 * 8 + 600 * 8  # the cotangent itself is new


# --- equivalent graphs -------------------------------------------------------------------------------------------
@settings(deadline=None, max_examples=25)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_the_gradient_of_a_batch_is_the_sum_of_its_examples(m: int, seed: int) -> None:
    """A cost summed over a batch has the sum of the examples' gradients."""
    rng = np.random.default_rng(seed)
    x, w = rng.uniform(-1, 1, (m, 3)), rng.uniform(-1, 1, (3, 2))

    def cost(x: Node, w: Node) -> Node:
        return ops.sum(ops.tanh(x @ w) ** 2)

    whole = backward(forward(trace(cost, x=(m, 3), w=(3, 2)), x=x, w=w))["w"]
    one = trace(cost, x=(1, 3), w=(3, 2))
    parts = [backward(forward(one, x=x[i : i + 1], w=w))["w"] for i in range(m)]
    # at most 5 terms below 2, each right to a few ulps
    assert np.allclose(whole, np.sum(parts, axis=0), rtol=0, atol=64 * np.finfo(float).eps)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_shared_nodes_equal_copies_and_sums_may_be_reassociated(seed: int) -> None:
    """One node used twice has the gradient of two copies; (a+b)+c has that of a+(b+c)."""
    arrays = data(seed)

    def shared(a: Node, b: Node) -> Node:
        h = ops.tanh(a @ b)
        return ops.sum(h * ops.sin(h))

    def copied(a: Node, b: Node) -> Node:
        return ops.sum(ops.tanh(a @ b) * ops.sin(ops.tanh(a @ b)))

    def left(a: Node, b: Node) -> Node:
        return ops.sum(((a + b) + a * b) ** 2)

    def right(a: Node, b: Node) -> Node:
        return ops.sum((a + (b + a * b)) ** 2)

    for first, second in ((shared, copied), (left, right)):
        tables = [backward(forward(trace(f, a=(3, 3), b=(3, 3)), **arrays)) for f in (first, second)]
        for name in arrays:  # a dozen terms below 16
            assert np.allclose(tables[0][name], tables[1][name], rtol=0, atol=256 * np.finfo(float).eps)


# --- what the tape and the table promise -------------------------------------------------------------------------
def test_the_tape_forgets_nothing_and_gradients_share_no_memory() -> None:
    """Arrays changed after forward change nothing, and writing into one gradient leaves the others alone."""
    x = np.array([1.0, 2.0])
    cotangent = np.ones(2)
    tape = forward(trace(lambda a, b: a * b + a + b, a=(2,), b=(2,)), a=x, b=x)
    x[:] = np.inf
    table = backward(tape, cotangent)
    first = table["a"]
    first[:] = 7
    assert table["a"].tolist() == table["b"].tolist() == [2, 3]
    assert cotangent.tolist() == [1, 1]
    assert backward(tape, cotangent)["a"].tolist() == [2, 3]
    assert tape.output.tolist() == [3, 8]
    sums = backward(forward(trace(lambda a, b: a + b, a=(2,), b=(2,)), a=[0.0, 0.0], b=[0.0, 0.0]), cotangent)
    assert not np.shares_memory(sums["a"], sums["b"])
    assert not np.shares_memory(sums["a"], cotangent)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_constants_take_the_dtype_of_the_data(dtype: str) -> None:
    """Python numbers in a graph, even combined with each other, widen nothing; an integer still indexes."""
    graph = trace(lambda x: ops.sum(ops.where(x > 0.5, ops.arctan2(x, 1.0) * 2 + 1, 0.25 / x) ** 2.5), x=(3,))
    tape = forward(graph, x=np.array([0.25, 1.0, 2.0], dtype))
    assert {np.asarray(v).dtype for v in tape.values if not isinstance(v, int)} <= {np.dtype(dtype), np.dtype(bool)}
    assert backward(tape)["x"].dtype == dtype


def test_each_gradient_has_the_dtype_of_its_own_input() -> None:
    """In a graph of mixed floats the gradient of a float32 input is float32."""
    graph = trace(lambda x, w: ops.sum(x * w), x=(2,), w=(2,))
    table = backward(forward(graph, x=np.ones(2, "float32"), w=np.ones(2)))
    assert (table["x"].dtype, table["w"].dtype) == (np.float32, np.float64)


def test_several_outputs_take_one_cotangent_each() -> None:
    """None is a zero cotangent; an output named twice adds up."""
    graph = trace(lambda x: (x * 2.0, x * 3.0, x), x=(2,))
    tape = forward(graph, x=[1.0, 1.0])
    assert backward(tape, ([1.0, 0.0], None, [0.0, 5.0]))["x"].tolist() == [2, 5]
    twice = trace(lambda x: (x, x), x=())
    assert float(backward(forward(twice, x=1.0), (1.0, 2.0))["x"]) == 3.0


SQUARE = trace(lambda x, i: ops.sum(ops.take(x, i) ** 2), x=(2,), i=(2,))
GOOD = {"x": [1.0, 2.0], "i": [0, 1]}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"x": [1.0, np.nan]}, ValueError, r"input 'x' has 1 NaN, the first at \[1\]: clean the data"),
        ({"x": [1, 2]}, TypeError, r"input 'x' has dtype int64, and gradients of integers.*pass x\.astype\(float\)"),
        ({"x": [True, False]}, TypeError, "input 'x' has dtype bool, and gradients"),
        ({"x": ["a", "b"]}, TypeError, "input 'x' has dtype <U1: only numbers"),
        ({"x": [1.0]}, ShapeError, r"input 'x': shapes \(1,\) and \(2,\) do not fit: .* traced"),
        ({"z": 1.0}, GraphError, "the graph needs the inputs x, i; got x, i, z"),
        ({"i": [0, 7]}, IndexError, "out of bounds"),
    ],
)
def test_bad_data_are_refused_by_name(change: dict[str, Any], error: type[Exception], words: str) -> None:
    """NaN, integers where a gradient flows, wrong shapes and wrong names say which input, and what to do."""
    forward(SQUARE, **GOOD)
    with pytest.raises(error, match=words):
        forward(SQUARE, **{**GOOD, **change})


def test_a_cotangent_is_needed_unless_the_output_is_one_number() -> None:
    """A vector has no gradient; a cotangent of the wrong shape or number is refused."""
    tape = forward(trace(lambda x: x * 2.0, x=(2,)), x=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"a cotangent is needed: the output is \(2,\)"):
        backward(tape)
    with pytest.raises(ShapeError, match=r"backward: shapes \(3,\) and \(2,\)"):
        backward(tape, np.ones(3))
    with pytest.raises(GraphError, match="1 outputs and got 2 cotangents"):
        backward(tape, (np.ones(2), np.ones(2)))
    with pytest.raises(TypeError, match=r"'x' is complex.*a complex step needs forward only"):
        backward(forward(trace(lambda x: x * 2.0, x=()), x=1j))
    with pytest.raises(KeyError, match="no node is named 'w'; the graph has x"):
        backward(tape, random_like(np.random.default_rng(0), (2,)))["w"]


def test_a_fault_inside_an_op_says_where() -> None:
    """An error while a node is computed carries the line of that node."""
    graph = trace(lambda a: ops.sum(ops.inv(a)), a=(2, 2))
    with pytest.raises(np.linalg.LinAlgError) as caught:
        forward(graph, a=np.zeros((2, 2)))
    assert caught.value.__notes__ == ["while computing u1 = inv(a)  (2, 2)"]
