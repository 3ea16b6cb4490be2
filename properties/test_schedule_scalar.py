"""Scalar nodes: the flat tape, its one sweep, and what they cost."""

import dataclasses
import gc
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradcheck.backprop import (
    Graph,
    GraphError,
    ScalarSchedule,
    ScalarTape,
    ShapeError,
    backward,
    compile_graph,
    forward,
    levels,
    ops,
    schedule_scalar,
    trace,
    triangular,
)
from gradcheck.backprop.scalar import Scalars
from gradcheck.strategies import Architecture, architectures

EPS = 2.0**-52
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
ELEMENTWISE = sorted(name for name, row in ops.TABLE.items() if row.family in schedule_scalar.FAMILIES)


def of_scalars(case: Architecture) -> Architecture:
    """The same ops on inputs of one number each."""
    return Architecture(tuple(dataclasses.replace(recipe, shape=()) for recipe in case.inputs), case.slots)


SCALAR_CASES = architectures(names=ELEMENTWISE, slots=12).map(of_scalars)


def magnitudes(schedule: ScalarSchedule) -> np.ndarray[Any, Any]:
    """For every node the sum, over all ways from the output, of the sizes of their products: rounding follows it."""
    sizes = np.zeros_like(schedule._cotangents)
    sizes[[len(sizes) - 1 - place for place in schedule.outputs]] = 1.0
    triangular.descend(schedule._ends, schedule._parents, np.abs(schedule._partials), sizes)
    return sizes[::-1]


def assert_is_the_oracle(graph: Graph, arrays: dict[str, Any]) -> None:
    """The value and, from the oracle's values, every cotangent equal but for rounding; counts exact."""
    schedule = ScalarSchedule.from_graph(graph)
    with np.errstate(all="ignore"):
        tape = forward(graph, **arrays)
        table = backward(tape)
        output = schedule.forward(**arrays)
        schedule.values[: len(graph)] = [float(value) for value in tape.values]
        gradients = schedule.backward()
        found = np.array(gradients.cotangents)
        bound = magnitudes(schedule)
        # NumPy rounds x³ of an array and of a number differently: 4 roundings a node, carried to the output
        off = 4 * EPS * float(np.sum(bound * np.abs(schedule.values[: len(graph)])))
        same = np.array_equal(output, tape.output, equal_nan=True)
        assert same or not np.isfinite(off) or abs(output - tape.output) <= off
    assert (gradients.visits, schedule.edges, schedule.nodes) == (graph.edges, graph.edges, len(graph))
    assert table.visits == graph.edges
    for node in graph.nodes:
        one, other = found[node.index], float(table[node])
        if np.isfinite(bound[node.index]):
            # The oracle multiplies g into each rule, the schedule takes the partial and multiplies then. A rule has at
            # most 10 roundings, a way at most N edges, and N ways meet: 2 (10 + 1) N roundings of the largest sum.
            assert abs(one - other) <= 22 * len(graph) * EPS * bound[node.index] + sys.float_info.min


@settings(QUIET, max_examples=100)
@given(SCALAR_CASES, st.integers(0, 99))
def test_a_scalar_schedule_is_the_oracle(case: Architecture, seed: int) -> None:
    """On graphs of every elementwise op, fan-out and repeats: every value, every cotangent, N nodes, E edges."""
    assert_is_the_oracle(case.graph(), case.sample())
    assert_is_the_oracle(case.graph(), case.sample(seed))


def test_every_elementwise_op_is_drawn_and_compiled() -> None:
    """Each row by itself, at arguments of its domain, so that no op is left to chance."""
    for name in ELEMENTWISE:
        row = ops.TABLE[name]
        shapes = {f"x{i}": () for i in range(row.arity or 2)}
        static = next((e.static for e in row.examples if e.static), {})
        domains = [row.domain[min(i, len(row.domain) - 1)] for i in range(row.arity or 2)]
        if any(domain.kind != "real" for domain in domains):
            continue  # a mask is no scalar to differentiate
        graph = trace(lambda op=name, kw=static, **xs: ops.invoke(op, *xs.values(), **kw) * 1.5, **shapes)
        arguments = ops.draw(row, ops.Example(tuple(shapes.values()), static), np.random.default_rng(3))
        arrays = {key: x for key, x in zip(shapes, arguments, strict=True)}
        assert_is_the_oracle(graph, arrays)


@pytest.fixture(params=["private", "public"])
def descend(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Both ways down the edges."""
    if request.param == "private" and triangular.descend is triangular.descend_by_solving:
        pytest.skip("this scipy has not the private loop")
    return triangular.descend if request.param == "private" else triangular.descend_by_solving


@settings(QUIET, max_examples=60)
@given(st.integers(0, 12), st.integers(0, 2**32 - 1), st.sampled_from(["float64", "float32"]))
def test_both_ways_down_the_edges_are_the_plain_loop(n: int, seed: int, dtype: str) -> None:
    """The aliased private loop and the public triangular solve equal a loop in Python, on random graphs."""
    rng = np.random.default_rng(seed)
    lists = [rng.integers(j + 1, n, rng.integers(0, 4)) if j + 1 < n else np.array([], int) for j in range(n)]
    ends = np.append(0, np.cumsum([len(parents) for parents in lists])).astype(np.int32)
    parents = np.concatenate([np.array([], int), *lists]).astype(np.int32)
    partials = rng.integers(-3, 4, len(parents)).astype(dtype)  # small integers: no rounding
    seed_g = rng.integers(-3, 4, n).astype(dtype)
    plain = seed_g.copy()
    for j in range(n):
        for e in range(ends[j], ends[j + 1]):
            plain[parents[e]] += partials[e] * plain[j]
    for way in (triangular.descend, triangular.descend_by_solving):
        g = seed_g.copy()
        way(ends, parents, partials, g)
        assert g.tolist() == plain.tolist()


def test_a_private_loop_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial on import can fail: a loop that reads the old values, one that is missing, one that raises."""
    from scipy.sparse import _sparsetools

    def on_a_copy(rows: int, columns: int, ends: Any, parents: Any, partials: Any, x: Any, y: Any) -> None:
        before = x.copy()
        for j in range(columns):
            for e in range(ends[j], ends[j + 1]):
                y[parents[e]] += partials[e] * before[j]

    def raises(*_: Any) -> None:
        raise TypeError("no aliases")

    assert triangular._private() is not None or triangular.descend is triangular.descend_by_solving
    for impostor in (on_a_copy, raises):
        monkeypatch.setattr(_sparsetools, "csc_matvec", impostor)
        assert triangular._private() is None
    monkeypatch.delattr(_sparsetools, "csc_matvec")
    assert triangular._private() is None


@pytest.mark.parametrize("length", [10**5])
def test_a_long_chain_runs_under_default_limits(length: int, descend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No recursion anywhere: recorded, compiled, forward and backward, by either way down."""
    monkeypatch.setattr(schedule_scalar, "descend", descend)
    tape = ScalarTape()
    x = y = tape.input(1.0)
    for _ in range(length):
        y = y + x
    schedule = tape.compile(y)
    assert schedule.backward()[x] == length + 1
    assert schedule.forward([2.0]) == 2.0 * (length + 1)
    assert (schedule.edges, schedule.nodes) == (2 * length, length + 1)


def test_a_node_costs_at_most_250_bytes_and_the_collector_one_object() -> None:
    """Tape and Scalar together, every Scalar kept; without them the tape alone takes some 25 bytes a node."""
    n = 20_000
    tape = ScalarTape()
    x = tape.input(1.5)
    gc.collect()
    tracemalloc.start()
    kept = [x * x for _ in range(n)]
    live = tracemalloc.get_traced_memory()[0]
    tracked = sum(map(gc.is_tracked, kept))
    del kept
    bare = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert live / n <= 250
    assert bare / n <= 30  # 4 + 4 + 4 + 8, and an eighth of room to grow
    assert tracked <= n


def micro(x: Any, y: Any) -> Any:
    """An expression of every operator; ``x`` and ``y`` are numbers or scalars."""
    return (x + y) * x - y / x + 2 - (3 - x) * -y + 1 / y + 2 * x + (x**2) ** 0.5 + 2**y


def test_operators_record_what_they_say() -> None:
    """The value is Python's, to a few roundings, and the gradient that of the traced expression."""
    tape = ScalarTape()
    x, y = tape.input(1.25), tape.input(0.75)
    z = micro(x, y)
    assert z.value == pytest.approx(micro(1.25, 0.75), rel=1e-15)  # a dozen roundings of 2⁻⁵³, the sum of size 9
    gradients = tape.compile(z).backward()
    table = backward(forward(trace(micro, x=(), y=()), x=1.25, y=0.75))
    for node, name in ((x, "x"), (y, "y")):
        assert float(gradients[node]) == pytest.approx(float(table[name]), rel=1e-14)  # dozens of roundings of 2⁻⁵³


def test_powers_outside_of_their_domain_are_numpy_s() -> None:
    """A root of −1 is NaN and 1 / 0 infinite with a warning, recorded and replayed: no complex number, no exception."""
    for x, exponent, value in ((-1.0, 0.5, np.nan), (0.0, -1.0, np.inf)):
        tape = ScalarTape()
        with pytest.warns(RuntimeWarning):
            y = tape.input(x) ** exponent
        assert np.array_equal(y.value, value, equal_nan=True)
        with pytest.warns(RuntimeWarning):
            assert np.array_equal(tape.compile(y).forward(), value, equal_nan=True)


def test_functions_of_a_scalar_are_those_of_the_table() -> None:
    """By method or by name, static arguments included; the same op with other static arguments is another rule."""
    tape = ScalarTape()
    x = tape.input(-0.5)
    made = {
        "tanh": x.tanh(), "exp": x.exp(), "relu": x.relu(), "log": (-x).log(), "gelu": x.apply("gelu"),
        "slope": x.apply("leaky_relu", slope=0.25), "steeper": x.apply("leaky_relu", slope=0.5),
        "hypotenuse": x.apply("logaddexp", 2.0),
    }  # fmt: skip
    total = sum(made.values(), tape.constant(0.0))
    expected = {"slope": -0.125, "steeper": -0.25, "relu": 0.0, "log": np.log(0.5), "tanh": np.tanh(-0.5)}
    assert {name: made[name].value for name in expected} == expected
    graph = trace(
        lambda x: ops.tanh(x) + ops.exp(x) + ops.relu(x) + ops.log(-x) + ops.gelu(x) + ops.leaky_relu(x, 0.25)
        + ops.leaky_relu(x, 0.5) + ops.logaddexp(x, 2.0), x=(),
    )  # fmt: skip
    slope = float(backward(forward(graph, x=-0.5))["x"])
    assert float(tape.compile(total).backward()[x]) == pytest.approx(slope, rel=1e-14)  # dozens of roundings


@settings(QUIET, max_examples=40)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_whole_layers_are_the_scalars_one_by_one(m: int, k: int, n: int, seed: int) -> None:
    """A layer recorded at once has the nodes, edges and gradients of its scalars, and those of the matrix product."""
    rng = np.random.default_rng(seed)
    x, w, b = rng.normal(size=(m, k)), rng.normal(size=(k, n)), rng.normal(size=n)
    tape = ScalarTape()
    xs, ws, bs = tape.input(x), tape.input(w), tape.input(b)
    loss = ((xs @ ws + bs).apply("tanh") * 2.0 - 1.0).sum()
    schedule = tape.compile(loss)
    graph = trace(lambda x, w, b: ops.sum(ops.tanh(x @ w + b) * 2.0 - 1.0), x=(m, k), w=(k, n), b=(n,))
    table = backward(forward(graph, x=x, w=w, b=b))
    gradients = schedule.backward()
    assert (
        tape.edges == schedule.edges == gradients.visits == 2 * m * n * (k + (k - 1) + 1 + 2) + m * n + 2 * (m * n - 1)
    )
    for nodes, name in ((xs, "x"), (ws, "w"), (bs, "b")):
        # sums of at most 5 + 16 products of numbers whose sizes add up to less than 20
        assert np.max(np.abs(gradients[nodes] - table[name])) <= 4 * 21 * 20 * EPS


@pytest.mark.parametrize(("narrow", "block"), [(1, 1), (16, 7), (16, 2**15), (10**9, 2**15)])
def test_wide_and_narrow_levels_in_blocks_of_any_size(narrow: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed by groups or node by node, at once or in blocks, a point is what is recorded there."""
    monkeypatch.setattr(levels, "NARROW", narrow)
    monkeypatch.setattr(levels, "BLOCK", block)
    monkeypatch.setattr(schedule_scalar, "BLOCK", block)

    def recorded(seed: int) -> tuple[ScalarTape, Any]:
        rng, tape = np.random.default_rng(seed), ScalarTape()
        x, w, b = (tape.input(rng.normal(size=shape)) for shape in ((4, 3), (3, 5), ()))
        hidden = ((x @ w).apply("tanh") - b * 2.0).apply("gelu")
        return tape, (hidden / (hidden * hidden + 1.0)).sum()

    tape, loss = recorded(0)
    there, loss_there = recorded(1)
    schedule, expected = tape.compile(loss), there.compile(loss_there)
    before = schedule.values.copy()
    schedule.forward()
    assert np.array_equal(schedule.values, before)  # the same functions of the same numbers
    schedule.forward(expected.values[list(expected.inputs.values())])
    assert np.array_equal(schedule.values, expected.values)
    assert np.array_equal(schedule.backward().cotangents, expected.backward().cotangents)


def test_sums_of_layers_take_any_axis_and_any_operand() -> None:
    """Scalars meet numbers, arrays and a Scalar on either side; sums by axis keep the others."""
    tape = ScalarTape()
    x, s = tape.input(np.arange(6.0).reshape(2, 3)), tape.input(2.0)
    assert isinstance(x, Scalars)
    y = (1.0 - x * s + np.ones(3)) / 4.0
    assert y.sum(0).value.tolist() == [-0.5, -1.5, -2.5]  # (1 − 2 x + 1) / 4, x = 0 and 3, 1 and 4, 2 and 5
    assert y.sum(-1).value.shape == (2,)
    assert float(tape.compile(y.sum()).backward()[s]) == -sum(range(6)) / 4
    with pytest.raises(GraphError, match="a sum of no scalars is no node"):
        x[:, :0].sum(1)


def test_what_the_output_does_not_need_costs_nothing() -> None:
    """Nodes off the way are left out of the count and of the sweep, as a Graph would drop them."""
    tape = ScalarTape()
    x, unused = tape.input(3.0), tape.input(1.0)
    y = x * x
    _ = (y + unused).exp() / 0.5
    schedule = tape.compile(y)
    assert (schedule.nodes, schedule.edges) == (3, 2)  # y and both inputs
    gradients = schedule.backward()
    assert (gradients[x], gradients[unused], gradients.visits) == (6, 0, 2)


def test_a_tape_goes_on_after_it_was_compiled() -> None:
    """Nothing taken from a tape holds its buffer, counts, schedules or errors: more can be recorded after each."""
    tape = ScalarTape()
    assert (len(tape), tape.edges) == (0, 0)
    x = tape.input(3.0)
    y = x * x
    early = tape.compile(y)
    with pytest.raises(GraphError) as failed:
        tape.compile(tape.input(np.ones(2)))
    late = tape.compile(tape.input(np.ones(3)).sum() + y * x)
    assert (early.nodes, early.edges, late.nodes, late.edges, failed.value.args != ()) == (2, 2, 11, 10, True)
    assert (early.backward()[x], late.backward()[x]) == (6, 27)


def test_a_schedule_moves_to_other_points() -> None:
    """By position or by name; what is left out stays; every output may have its cotangent."""
    graph = trace(lambda x, y: (x * y, ops.exp(x)), x=(), y=())
    schedule = compile_graph(graph)
    assert isinstance(schedule, ScalarSchedule)
    assert schedule.forward(x=2.0, y=3.0) == (6.0, np.exp(2.0))
    assert schedule.forward(y=5.0)[0] == 10
    assert schedule.forward([0.0, 7.0]) == (0.0, 1.0)
    gradients = schedule.backward((2.0, None))
    assert (gradients["x"], gradients["y"]) == (14.0, 0.0)
    assert schedule.backward((1.0, 10.0))["x"] == 17.0


def test_what_does_not_fit_is_refused_by_name() -> None:
    """Bad inputs, cotangents, scalars of another tape, what is no scalar: each says what and why."""
    tape, other = ScalarTape(), ScalarTape()
    x, y = tape.input(1.0), other.input(1.0)
    schedule = ScalarSchedule.from_graph(trace(lambda a: (a * 2.0, a), a=()))
    with pytest.raises(GraphError, match="two scalars of different tapes meet"):
        x + y
    with pytest.raises(GraphError, match="scalars of different tapes meet"):
        tape.input(np.ones(2)) + other.input(np.ones(2))
    with pytest.raises(TypeError, match="a Scalar meets Scalars of its tape and numbers, not a str"):
        x * "2"
    with pytest.raises(TypeError):
        np.tanh(x)
    with pytest.raises(TypeError):
        float(x)
    with pytest.raises(GraphError, match="records elementwise ops of one or two arguments, and 'softmax' is none"):
        x.apply("softmax")
    with pytest.raises(GraphError, match=r"op 'add' takes 2 parent\(s\), got 1"):
        x.apply("add")
    with pytest.raises(GraphError, match="the output must be one scalar of this tape"):
        other.compile(x)
    with pytest.raises(GraphError, match="the output must be one scalar of this tape"):
        tape.compile(tape.input(np.ones(2)))
    with pytest.raises(GraphError, match="no input is named 'b'; the schedule has a"):
        schedule.forward(b=1.0)
    with pytest.raises(ShapeError, match=r"input 'a': shapes \(2,\) and \(\) do not fit"):
        schedule.forward(a=[1.0, 2.0])
    with pytest.raises(ShapeError, match=r"forward: shapes \(2,\) and \(1,\) do not fit: one number an input"):
        schedule.forward([1.0, 2.0])
    with pytest.raises(ValueError, match=r"a cotangent is needed: the output is \(\), \(\)"):
        schedule.backward()
    with pytest.raises(GraphError, match="the graph has 2 outputs, not one"):
        schedule.output  # noqa: B018 - looking it up is what raises
    with pytest.raises(GraphError, match="is no elementwise op of scalars: compile the graph with compile_graph"):
        ScalarSchedule.from_graph(trace(lambda x: ops.sum(x), x=(3,)))
