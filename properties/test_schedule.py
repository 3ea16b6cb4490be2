"""Schedules of tensor nodes: equal to the oracle to the last bit, whatever is reused, and frugal."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from gradcheck.backprop import (
    Dense,
    GradTable,
    Graph,
    GraphError,
    Schedule,
    ShapeError,
    backward,
    compile_graph,
    forward,
    ops,
    trace,
)
from gradcheck.backprop.inplace import summed_by_blas
from gradcheck.strategies import Architecture, Batch, architectures, batches, dense_networks

QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
CASES = st.one_of(architectures(), architectures(dtype="float32"), dense_networks().flatmap(batches))


def product(a: Any, b: Any) -> Any:
    """The product that a schedule uses, so that a rounding of BLAS is no difference: np.dot where it can."""
    plain = np.ndim(a) == np.ndim(b) == 2 and a.dtype == b.dtype and a.dtype.kind == "f"
    return np.dot(a, b) if plain else np.matmul(a, b)


def total(x: Any, shape: tuple[int, ...]) -> Any:
    """The sum over rows that a schedule uses."""
    x = np.asarray(x)
    by_blas = summed_by_blas(x, shape)
    return np.dot(np.ones(len(x), x.dtype), x).reshape(shape) if by_blas else SUM_TO(x, shape)


SUM_TO = ops.TABLE["sum_to"].value


@pytest.fixture(autouse=True, scope="module")
def same_blas_calls() -> Iterator[None]:
    """The oracle multiplies and sums matrices with the calls of BLAS that schedules use."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("matmul", product), ("sum_to", total)):
            patch.setitem(ops.TABLE, name, dataclasses.replace(ops.TABLE[name], value=value))
        yield


def assert_same(one: Any, other: Any) -> None:
    """Equal in shape, dtype and every bit but the sign of a zero."""
    one, other = np.asarray(one), np.asarray(other)
    assert (one.shape, one.dtype) == (other.shape, other.dtype)
    assert np.array_equal(one, other, equal_nan=True)


def oracle(graph: Graph, arrays: dict[str, Any]) -> GradTable:
    """The grad_table; a point at which a drawn matrix has no inverse is not a case."""
    try:
        return backward(forward(graph, **arrays))
    except np.linalg.LinAlgError:
        reject()


@settings(QUIET, max_examples=100)
@given(CASES)
def test_a_schedule_is_the_oracle(case: Architecture | Batch) -> None:
    """Output and gradients equal the grad_table's bit for bit, at one point and then, all buffers used, at others."""
    graph = case.graph()
    schedule = Schedule(graph, graph.inputs.values())
    with np.errstate(all="ignore"):  # a drawn point may overflow, in both
        for seed in (None, 1, 2):
            arrays = case.sample(seed)
            table = oracle(graph, arrays)
            assert_same(schedule.forward(**arrays), table.tape.output)
            gradients = schedule.backward()
            assert (gradients.visits, schedule.edges, schedule.nodes) == (table.visits, graph.edges, len(graph))
            assert table.visits == graph.edges
            for name in graph.inputs:
                assert_same(gradients[name], table[name])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name", sorted(ops.TABLE))
def test_every_row_of_the_table_compiles_to_the_oracle(name: str, dtype: str) -> None:
    """Each op by itself, on all its examples, in three precisions, with a generic cotangent."""
    row, rng = ops.TABLE[name], np.random.default_rng(5)
    for example in row.examples:
        arguments = ops.draw(row, example, rng, dtype, margin=0)
        arrays = {f"x{i}": x for i, x in enumerate(arguments)}
        shapes = {key: x.shape for key, x in arrays.items()}
        graph = trace(lambda kw=example.static, **xs: ops.invoke(name, *xs.values(), **kw), **shapes)
        tape, schedule = forward(graph, **arrays), Schedule(graph, graph.inputs.values())
        g = rng.normal(size=graph.output.shape).astype(dtype)
        for _ in range(2):
            assert_same(schedule.forward(**arrays), tape.output)
            table, gradients = backward(tape, g), schedule.backward(g)
            for key in arrays:
                assert_same(gradients[key], table[key])


@settings(QUIET, max_examples=40)
@given(architectures(), st.lists(st.sampled_from(["float64", "float32"]), min_size=8, max_size=8))
def test_dtypes_may_be_mixed(case: Architecture, dtypes: list[str]) -> None:
    """Where inputs of several precisions meet, every value has the dtype and the rounding of the oracle's."""
    graph = case.graph()
    arrays = {
        name: x.astype(d) if x.dtype.kind == "f" else x
        for (name, x), d in zip(case.sample().items(), dtypes, strict=False)
    }
    with np.errstate(all="ignore"):
        table = oracle(graph, arrays)
        schedule = Schedule(graph, graph.inputs.values())
        assert_same(schedule.forward(**arrays), table.tape.output)
        gradients = schedule.backward()
    for name in graph.inputs:
        assert_same(gradients[name], table[name])


@settings(QUIET, max_examples=40)
@given(CASES, st.data())
def test_retained_gradients_of_interior_nodes_are_the_oracle_s(case: Architecture | Batch, data: st.DataObject) -> None:
    """Any nodes may be retained; they and the inputs named in wrt equal the oracle's, and the others are not there."""
    graph = case.graph()
    retain = data.draw(st.lists(st.sampled_from(graph.nodes), max_size=4, unique=True))
    wrt = data.draw(st.lists(st.sampled_from(list(graph.inputs)), max_size=2, unique=True))
    schedule = Schedule(graph, [*(graph.inputs[name] for name in wrt), *retain])
    arrays = case.sample()
    with np.errstate(all="ignore"):
        table = oracle(graph, arrays)
        schedule.forward(**arrays)
        gradients = schedule.backward()
    for key in (*retain, *wrt):
        assert_same(gradients[key], table[key])
    assert set(gradients) == {*retain, *(graph.inputs[name] for name in wrt)}


@settings(QUIET, max_examples=40)
@given(architectures())
def test_backward_may_be_repeated(case: Architecture) -> None:
    """Backward uses up the values of the forward pass, and computes them again when it is asked a second time."""
    graph = case.graph()
    schedule = Schedule(graph, graph.inputs.values())
    with np.errstate(all="ignore"):
        oracle(graph, case.sample())
        schedule.forward(**case.sample())
        first = {node: g.copy() for node, g in schedule.backward().items()}
        for node, g in schedule.backward(1.0).items():
            assert_same(g, first[node])


def test_several_outputs_and_cotangents() -> None:
    """A tuple of cotangents, None for zeros; an output that is given twice counts twice."""
    graph = trace(lambda x: (ops.sin(x), ops.sum(x * x), x), x=(3,))
    schedule, x = compile_graph(graph), np.array([1.0, 2.0, 3.0])
    tape = forward(graph, x=x)
    for one, other in zip(schedule.forward(x=x), tape.outputs, strict=True):
        assert_same(one, other)
    for seeds in ((np.ones(3), 2.0, None), (None, None, np.arange(3.0)), (np.ones(3), 0.5, np.ones(3))):
        assert_same(schedule.backward(seeds)["x"], backward(tape, seeds)["x"])


def test_inputs_left_out_keep_their_entries_and_may_be_written_to() -> None:
    """Descent without copies: the schedule's own array of w is updated in place."""
    schedule = compile_graph(trace(lambda x, w: ops.sum((x - w) ** 2), x=(4,), w=(4,)))
    x = np.arange(4.0)
    schedule.forward(x=x, w=np.zeros(4))
    for _ in range(60):
        schedule.inputs["w"][...] -= 0.25 * schedule.backward()["w"]
        cost = schedule.forward()
    assert cost <= 1e-30  # each step halves the distance: 14 / 4⁶⁰
    assert x.tolist() == [0, 1, 2, 3]


def test_the_caller_s_arrays_are_copied() -> None:
    """What the caller does to x afterwards does not change the gradient."""
    schedule, x = compile_graph(trace(lambda x: ops.sum(x * x), x=(2,))), np.array([1.0, 2.0])
    schedule.forward(x=x)
    x[...] = 100
    assert schedule.backward()["x"].tolist() == [2, 4]


def test_results_are_read_only() -> None:
    """A result is the schedule's own memory: writing to it is refused."""
    schedule = compile_graph(trace(lambda x: x * x, x=(2,)))
    output = schedule.forward(x=[1.0, 2.0])
    gradient = schedule.backward(np.ones(2))["x"]
    for array in (output, gradient):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_another_dtype_makes_another_plan() -> None:
    """float32 after float64 computes in float32, and back."""
    schedule = compile_graph(trace(lambda x: ops.sum(0.5 * x * x), x=(2,)))
    for dtype in (np.float64, np.float32, np.float16, np.float64):
        schedule.forward(x=np.ones(2, dtype))
        assert schedule.backward()["x"].dtype == dtype


def test_a_chain_of_linear_ops_runs_in_two_buffers_besides_its_input() -> None:
    """Buffers serve again: 100 nodes of 8 kB need no more memory than one, forward and backward."""

    def chain(x: Any) -> Any:
        for _ in range(100):
            x = -x
        return x

    schedule = compile_graph(trace(chain, x=(1000,)))
    assert isinstance(schedule, Schedule)
    schedule.forward(x=np.ones(1000))
    # the input, its cotangent's seed, the output and the gradient
    assert schedule.nbytes == 4 * 8000


def test_shared_nodes_accumulate_in_place() -> None:
    """A node with 50 readers needs one buffer for its cotangent and one for what is added, not 50."""
    schedule = compile_graph(trace(lambda x: sum((x * float(k) for k in range(2, 50)), x), x=(1000,)))
    assert isinstance(schedule, Schedule)
    schedule.forward(x=np.ones(1000))
    assert schedule.backward(np.ones(1000))["x"][0] == sum(range(1, 50))
    assert schedule.nbytes <= 6 * 8000


def test_a_dense_network_needs_no_more_than_its_products_and_elementwise_steps() -> None:
    """Transposes, reshapes and broadcasts are views, made once: of 3 tanh layers, 8 products are left and few steps."""
    net = Dense((4, 5, 6, 3), ("tanh",) * 3)
    schedule = compile_graph(net.graph(7), wrt=["W1", "b1", "W2", "b2", "W3", "b3"])
    assert isinstance(schedule, Schedule)
    rng = np.random.default_rng(0)
    schedule.forward(x=rng.normal(size=(7, 4)), y=rng.normal(size=(7, 3)), **net.parameters())
    names = [node.op for node in schedule._plan.made]
    assert names.count("matmul") == 3 + 3 + 2
    assert not {"transpose", "reshape", "broadcast_to"} & set(names)


@pytest.mark.parametrize(
    ("arrays", "error", "words"),
    [
        ({"x": [1.0, 2.0]}, GraphError, "the graph needs the inputs x, w; got x"),
        ({"x": [1.0, 2.0], "w": 1.0, "v": 1.0}, GraphError, "the graph needs the inputs x, w; got x, w, v"),
        ({"x": [1.0], "w": 1.0}, ShapeError, r"input 'x': shapes \(1,\) and \(2,\) do not fit"),
        ({"x": [1, 2], "w": 1.0}, TypeError, "input 'x' has dtype int64, and gradients of integers do not exist"),
        (
            {"x": [1j, 2], "w": 1.0},
            TypeError,
            "input 'x' is complex: a schedule is for real data; use backprop.forward",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(arrays: dict[str, Any], error: type[Exception], words: str) -> None:
    """The first forward and any later one refuse the same arrays in the same words."""
    schedule = compile_graph(trace(lambda x, w: ops.sum(x * w), x=(2,), w=()))
    with pytest.raises(error, match=words):
        schedule.forward(**arrays)
    schedule.forward(x=[1.0, 2.0], w=3.0)
    if "w" in arrays and len(arrays) >= 2:
        with pytest.raises(error, match=words):
            schedule.forward(**arrays)
    assert schedule.backward()["w"] == 3  # what was refused has changed nothing


def test_asking_too_early_or_for_too_much_is_an_error_that_says_so() -> None:
    """No forward yet, no such name, a gradient that was not compiled, a cotangent that does not fit."""
    graph = trace(lambda x, w: x * w, x=(2,), w=(2,))
    schedule = compile_graph(graph, wrt=["x"])
    with pytest.raises(GraphError, match="nothing is computed yet: call forward with all inputs first"):
        schedule.backward()
    schedule.forward(x=[1.0, 2.0], w=[3.0, 4.0])
    with pytest.raises(ValueError, match=r"a cotangent is needed: the output is \(2,\)"):
        schedule.backward()
    with pytest.raises(ShapeError, match=r"backward: shapes \(3,\) and \(2,\) do not fit"):
        schedule.backward(np.ones(3))
    with pytest.raises(GraphError, match="the graph has 1 outputs and got 2 cotangents"):
        schedule.backward((np.ones(2), None))
    gradients = schedule.backward(np.ones(2))
    with pytest.raises(KeyError, match="the gradient of w was not compiled: name it in wrt or retain"):
        gradients["w"]
    for any_graph in (graph, trace(lambda x, w: x * w, x=(), w=())):  # the second is all scalars
        with pytest.raises(GraphError, match="no input is named 'v'; the graph has x, w"):
            compile_graph(any_graph, wrt=["v"])
    with pytest.raises(GraphError, match="no node 'h' in the graph; by name it has x, w"):
        compile_graph(graph, retain=["h"])


def test_an_error_while_computing_names_the_node() -> None:
    """A matrix that has no inverse at the second point is named as the node that asked for it."""
    schedule = compile_graph(trace(lambda a: ops.sum(ops.inv(a)), a=(2, 2)))
    schedule.forward(a=np.eye(2))
    with pytest.raises(np.linalg.LinAlgError) as caught:
        schedule.forward(a=np.zeros((2, 2)))
    assert any("while computing" in note and "inv(" in note for note in caught.value.__notes__)
