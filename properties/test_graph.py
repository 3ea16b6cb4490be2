"""Graphs: traced or read from a table, in topological order, with their edges counted; what is no graph is refused."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.backprop import Graph, GraphError, Node, ShapeError, backward, forward, ops, trace


def test_edges_count_repeated_parents() -> None:
    """x * x has two edges to x; a constant is a parent too."""
    graph = trace(lambda x: ops.sum(x * x + 2.0), x=(3,))
    assert [node.op for node in graph.nodes] == ["input", "mul", "constant", "add", "sum"]
    assert graph.edges == 2 + 2 + 1
    assert len(graph) == 5


def test_nodes_that_the_output_does_not_need_are_dropped_and_inputs_kept() -> None:
    """Dead code leaves no node; an unused input stays and has a zero gradient."""

    def function(x: Node, unused: Node) -> Node:
        ops.exp(unused)
        return ops.sum(x)

    graph = trace(function, x=(2,), unused=(3,))
    assert [node.label for node in graph.nodes] == ["x", "unused", "u2"]
    table = backward(forward(graph, x=[1.0, 2.0], unused=[0.0, 0.0, 0.0]))
    assert table["unused"].tolist() == [0.0, 0.0, 0.0]


def test_a_scalar_constant_is_one_node_however_often_it_is_used() -> None:
    """Python scalars are recorded once, told apart by sign and type."""
    graph = trace(lambda x: ops.sum((x + 2.0) * (x - 2.0) + (0.0 - x) + -0.0), x=())
    assert [n.static["value"] for n in graph.nodes if n.op == "constant"] == [2.0, 0.0, -0.0]


def test_operators_are_ops() -> None:
    """Every operator of a Node records the op of its name, arrays and numbers on either side."""
    a = np.array([1.0, 2.0])
    graph = trace(
        lambda x: (
            *(x + a, a + x, x - 1, 1 - x, a * x, x / a, 1 / x, -x, abs(x), x**2, x**x, 2**x, a @ x, x @ a, x[0]),
            *(x > 0, x > 0, x >= a, x <= a, x < a, x.T, x.sum(), x.mean(0, True)),
            *(x.reshape(2, 1), x.reshape((1, 2)), x.reshape(-1)),
        ),
        x=(2,),
    )
    expected = "add add sub sub mul div div neg abs scalar_power power power matmul matmul getitem"
    expected += " greater greater greater_equal less_equal less transpose sum mean reshape reshape reshape"
    assert [output.op for output in graph.outputs] == expected.split()
    outputs = forward(graph, x=a).outputs
    assert [o.tolist() for o in outputs[:7]] == [[2, 4], [2, 4], [0, 1], [0, -1], [1, 4], [1, 1], [1, 0.5]]
    assert [o.tolist() for o in outputs[7:15]] == [[-1, -2], [1, 2], [1, 4], [1, 4], [2, 4], 5, 5, 1]


def test_a_graph_prints_one_line_a_node() -> None:
    """Names, ops, static arguments and shapes are on the line."""
    graph = trace(lambda x, w: ops.softmax(x @ w, axis=0) * np.ones(2) - 0.5, x=(5, 3), w=(3, 2))
    assert str(graph).splitlines() == [
        "x = input  (5, 3)",
        "w = input  (3, 2)",
        "u2 = matmul(x, w)  (5, 2)",
        "u3 = softmax(u2, axis=0)  (5, 2)",
        "u4 = float64 constant  (2,)",
        "u5 = mul(u3, u4)  (5, 2)",
        "u6 = 0.5  ()",
        "u7 = sub(u5, u6)  (5, 2)",
    ]
    assert repr(graph) == "<Graph x=(5, 3), w=(3, 2): 8 nodes, 7 edges, 1 output(s)>"


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=12), st.randoms())
def test_a_table_may_be_written_in_any_order(pairs: list[tuple[int, int]], rng: random.Random) -> None:
    """However the rows are shuffled, parents come before children and the gradient is the same."""
    rows: list[tuple[str, object]] = [("n0", (2,))]
    for i, (a, b) in enumerate(pairs, 1):
        rows.append((f"n{i}", ("mul" if a % 2 else "sub", f"n{a % i}", f"n{b % i}")))
    last = f"n{len(pairs)}"
    x = np.array([0.5, -1.5])
    straight = Graph.from_table(dict(rows), outputs=last)
    shuffled = rows.copy()
    rng.shuffle(shuffled)
    graph = Graph.from_table(dict(shuffled), outputs=last)
    assert all(parent.index < node.index for node in graph.nodes for parent in node.parents)
    assert [node.index for node in graph.nodes] == list(range(len(graph)))
    assert graph.edges == straight.edges
    # the same sums in another order: each may differ by an ulp of terms below 2**100, so compare relatively
    first, second = (backward(forward(g, n0=x), np.ones(2))["n0"] for g in (straight, graph))
    assert np.allclose(first, second, rtol=1e-9, atol=1e-9 * (1 + np.max(np.abs(first))))


def test_a_table_holds_named_nodes_constants_and_blocks() -> None:
    """Names reach intermediate values and gradients; blocks expand into their ops."""
    graph = Graph.from_table({
        "cost": ("sum", "h"),
        "h": ("mul", "n", 3.0),
        "n": ("layer_norm", "x", {"axis": -1, "eps": 0.0}),
        "x": (2, 2),
    })  # fmt: skip
    tape = forward(graph, x=[[0.0, 2.0], [5.0, 1.0]])
    assert tape["n"].tolist() == [[-1, 1], [1, -1]]
    assert backward(tape)["h"].tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "empty graph: the table has no rows"),
        ({"x": (2,), "y": ("exq", "x")}, "unknown op 'exq': did you mean exp"),
        ({"x": (2,), "y": ("zzzz", "x")}, "unknown op 'zzzz': known ops: abs, add"),
        ({"x": (2,), "y": ("add", "x")}, r"op 'add' takes 2 parent\(s\), got 1"),
        ({"x": (2,), "y": ("add", "x", "z")}, "'y' has the parent 'z', which is not in the table"),
        ({"x": (2,), "y": ("exp", 1.0)}, "'y' depends on no input"),
        ({"y": ("exp", "y")}, "a cycle: y -> y; a graph must have none"),
        ({"x": (), "a": ("add", "x", "c"), "b": ("exp", "a"), "c": ("exp", "b"), "d": ("exp", "c")},
         "a cycle: (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c);"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_refused_by_name(table: dict[str, object], words: str) -> None:
    """Empty tables, unknown ops and parents, wrong arity and cycles are errors that name the culprit."""
    with pytest.raises(GraphError, match=words):
        Graph.from_table(table)


def test_a_long_cycle_and_a_long_chain_need_no_recursion() -> None:
    """Ten thousand rows, ten times Python's recursion limit, are sorted, and their cycle is named."""
    table: dict[str, object] = {f"n{i}": ("neg", f"n{i - 1}") for i in range(9999, 0, -1)}
    assert len(Graph.from_table({**table, "n0": ()})) == 10_000
    with pytest.raises(
        GraphError, match=r"n9999 -> n0 -> n1 -> n2 -> \.\.\. 9993 more \.\.\. -> n9996 -> n9997 -> n9998 -> n9999;"
    ):
        Graph.from_table({**table, "n0": ("neg", "n9999")})


def test_a_function_must_return_nodes_of_its_own_trace() -> None:
    """Constants, nothing, and nodes of other graphs are no outputs, and a finished graph takes no more nodes."""
    with pytest.raises(GraphError, match="empty graph: the function returned a float"):
        trace(lambda x: 1.0, x=())
    with pytest.raises(GraphError, match="empty graph: there is no output"):
        trace(lambda x: (), x=())
    other = trace(lambda x: ops.exp(x), x=())
    with pytest.raises(GraphError, match="belongs to another graph"):
        trace(lambda x: other.output, x=())
    with pytest.raises(GraphError, match="add: u1 belongs to another graph"):
        trace(lambda x: x + other.output, x=())
    with pytest.raises(GraphError, match="mul: the graph is complete"):
        other.output * 2


def test_a_node_is_a_symbol_and_says_so() -> None:
    """A Node has no truth value, cannot be iterated, and does not hide in an index or among objects."""
    with pytest.raises(TypeError, match=r"no truth value.*ops\.where"):
        trace(lambda x: x if x > 0 else -x, x=())
    with pytest.raises(TypeError, match="not iterable"):
        trace(lambda x: sum(x), x=(3,))
    with pytest.raises(TypeError, match=r"ops\.take"):
        trace(lambda x, i: x[:, i], x=(3, 2), i=(2,))
    with pytest.raises(TypeError, match="must be numeric, got str"):
        trace(lambda x: x + "1", x=())
    with pytest.raises(TypeError, match=r"the shape of 'x' must be a tuple of sizes >= 0, got \(2, -1\)"):
        trace(lambda x: x, x=(2, -1))


def test_the_wrong_shape_of_a_layer_is_found_while_tracing() -> None:
    """No data is needed to learn that shapes do not fit."""
    with pytest.raises(ShapeError, match=r"matmul: shapes \(5, 3\) and \(2, 4\) do not fit") as caught:
        trace(lambda x, w: x @ w, x=(5, 3), w=(2, 4))
    assert caught.value.op == "matmul"
    assert caught.value.shapes == ((5, 3), (2, 4))


def test_an_index_may_be_an_input() -> None:
    """x[i] with a Node i is a take: integers pass where no gradient flows."""
    graph = trace(lambda x, i: ops.sum(x[i]), x=(3,), i=(4,))
    table = backward(forward(graph, x=[1.0, 2.0, 3.0], i=[0, 0, 2, -1]))
    assert table["x"].tolist() == [2.0, 0.0, 2.0]
