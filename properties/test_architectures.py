"""On generated architectures: backprop = finite differences = symbolic graph = jvp, each node and edge visited once."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, find, given, seed, settings
from hypothesis import strategies as st

from gradcheck.backprop import Dense, backward, backward_graph, forward, hvp, jvp, ops
from gradcheck.numeric import directional
from gradcheck.strategies import Architecture, Batch, Palette, Slot, architectures, batches, dense_networks, wiring
from gradcheck.suite.compare import GradientWrongError, compare, kink_distance

QUIET = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
DTYPES = ["float64", "float32"]


def cases(dtype="float64"):
    """Graphs of ops, and now and then a batch through a dense network."""
    graphs = architectures(dtype=dtype)
    return st.one_of(graphs, graphs, dense_networks().flatmap(lambda network: batches(network, dtype=dtype)))


@given(cases())
@QUIET
def test_a_case_is_runnable_python_and_makes_the_same_graph_and_point(case):
    """The repr of an architecture is the reproduction line: it makes an equal case, and the same numbers."""
    names = (Architecture, Batch, Dense, Palette, Slot)
    again = eval(repr(case), {cls.__name__: cls for cls in names})
    assert again == case
    assert str(again.graph()) == str(case.graph())
    for name, array in case.sample().items():
        assert np.array_equal(array, again.sample()[name])
        assert array.shape == case.graph().inputs[name].shape


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_gradient_agrees_with_finite_differences(dtype):
    """No architecture or dense network has a gradient that finite differences exclude."""

    @settings(QUIET, max_examples=12)
    @given(cases(dtype))
    def agrees(case):
        seen = compare(case)
        assert seen.visits == seen.edges

    agrees()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("code", [0, 1, 2, 25, 26])  # 26 is -8, where tanh is -1 in every entry
def test_a_matrix_made_for_solve_is_well_conditioned(dtype, code):
    """The diagonal outweighs its row wherever tanh saturates, so that no rounding is taken for a wrong gradient."""
    case = Architecture(inputs=(Palette(bytes([code]), (), dtype=dtype),), slots=(Slot("solve", parents=(0, 0)),))
    tape = forward(case.graph(), **case.sample())
    (solve,) = (node for node in tape.graph.nodes if node.op == "solve")
    assert np.linalg.cond(tape[solve.parents[0]]) < 10
    compare(case)


def test_float64_comparisons_are_conclusive():
    """In float64 fewer than 3 in 100 comparisons cannot see a rule that is wrong by 0.1%."""
    counted = Counter()

    @seed(2)
    @settings(QUIET, max_examples=15, database=None, phases=[Phase.generate])
    @given(architectures())
    def count(case):
        seen = compare(case)
        counted["all"] += seen.compared
        counted["inconclusive"] += seen.inconclusive

    count()
    assert counted["inconclusive"] <= 0.03 * counted["all"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_finite_and_keep_the_dtype(dtype):
    """Whatever the ops, a float32 architecture has float32 values and gradients, and all of them are finite."""

    @QUIET
    @given(cases(dtype))
    def keeps(case):
        tape = forward(case.graph(), **case.sample())
        table = backward(tape)
        assert tape.output.dtype == dtype
        for name in case.graph().inputs:
            assert table[name].dtype == dtype
            assert np.isfinite(table[name]).all()

    keeps()


@given(cases())
@QUIET
def test_the_symbolic_graph_gives_the_same_gradients(case):
    """The backward graph B, evaluated, equals the grad_table: the same rules, written once, applied to nodes."""
    graph, arrays = case.graph(), case.sample()
    tape = forward(graph, **arrays)
    table = backward(tape)
    evaluated = forward(backward_graph(graph), **arrays, cotangent=np.ones(tape.output.shape))
    for name, gradient in zip(graph.inputs, evaluated.outputs, strict=True):
        # The two make the same operations in the same order; NumPy may sum a copy and a view in another order.
        size = np.max(np.abs(table[name]), initial=0.0)
        assert np.max(np.abs(gradient - table[name]), initial=0.0) <= len(graph) * np.finfo(float).eps * size


@given(cases(), st.integers(0, 2**16))
@QUIET
def test_forward_and_backward_mode_agree_by_the_dot_product(case, number):
    """jvp(u) = ⟨gradient, u⟩ for random u: both are the same sum over paths, taken in another order."""
    graph, arrays = case.graph(), case.sample()
    rng = np.random.default_rng(number)
    u = {name: rng.uniform(-1, 1, array.shape) for name, array in arrays.items()}
    table = backward(forward(graph, **arrays))
    terms = np.concatenate([(table[name] * u[name]).ravel() for name in arrays])
    pushed = float(jvp(graph, arrays, u))
    # Each node rounds as if its inputs were off by an ulp (Higham 2002, §1.5), at 0 by that of 1, for terms that do not
    # vanish may cancel there. 16 ulps, or rounding may swallow them; jvp runs through B, of some 8 nodes a node.
    eps, nodes = np.finfo(float).eps, 8 * len(graph)
    moved = {name: array + 16 * eps * np.maximum(np.abs(array), 1) for name, array in arrays.items()}
    shift = abs(float(jvp(graph, moved, u)) - pushed)
    assert abs(pushed - terms.sum()) <= nodes * (shift + eps * np.abs(terms).sum())


@given(architectures(slots=4), st.integers(0, 2**16))
@QUIET
def test_second_derivatives_agree_with_finite_differences_of_the_gradient(case, number):
    """H·u by differentiating B equals the directional derivative of the gradient, within twice its own error."""
    graph, arrays = case.graph(), case.sample()
    assume(kink_distance(forward(graph, **arrays)) > 1e-3)  # at a kink the gradient itself jumps
    rng = np.random.default_rng(number)
    name = sorted(graph.differentiable)[0] if graph.differentiable else assume(False)
    u = rng.choice([-0.5, 0.5], arrays[name].shape)
    product = hvp(graph, arrays, {name: u})[name]

    def gradient(x):
        return backward(forward(graph, **{**arrays, name: x}))[name]

    estimate = directional(gradient, arrays[name], u)
    again = hvp(graph, {**arrays, name: np.nextafter(arrays[name], np.inf)}, {name: u})[name]
    rounding = 8 * len(graph) * (np.abs(again - product) + np.finfo(float).eps * np.max(np.abs(product), initial=1.0))
    assert (np.abs(product - estimate.value) <= 2 * estimate.error + rounding).all()


@given(cases())
@QUIET
def test_each_node_and_each_edge_is_visited_once(case):
    """The vjp of every reached node runs exactly once, and visits equal edges, repeated parents counted."""
    graph = case.graph()
    tape = forward(graph, **case.sample())
    calls = Counter()

    def counting(row):
        def vjp(g, y, *parents, **static):
            calls[id(y)] += 1
            return row.vjp(g, y, *parents, **static)

        return dataclasses.replace(row, vjp=vjp)

    used = {node.op for node in graph.nodes if node.parents}
    with pytest.MonkeyPatch.context() as patch:
        for name in used:
            patch.setitem(ops.TABLE, name, counting(ops.TABLE[name]))
        table = backward(tape)
    assert table.visits == graph.edges == sum(len(node.parents) for node in graph.nodes)
    assert set(calls.values()) <= {1}
    reached = [node for node in graph.nodes if node.parents and table.cotangents[node.index] is not None]
    assert sum(calls.values()) == len(reached)


def test_every_op_is_drawn_and_every_structure_often():
    """Of 300 architectures 95% of all ops are drawn; fan-out, shared inputs and residual sums in 5% or more."""
    drawn, seen = Counter(), Counter()

    @seed(1)
    @settings(max_examples=300, database=None, deadline=None, phases=[Phase.generate])
    @given(architectures())
    def count(case):
        drawn.update(slot.op for slot in case.slots)
        first = len(case.inputs)
        read = Counter(p for slot in case.slots for p in set(slot.parents))
        seen["distinct"] += 1
        seen["fan-out"] += any(n > 1 for p, n in read.items() if p >= first)
        seen["shared input"] += any(n > 1 for p, n in read.items() if p < first)
        seen["three inputs"] += first == 3
        seen["five slots"] += len(case.slots) >= 5
        makers = {first + i: slot.parents for i, slot in enumerate(case.slots)}
        seen["skip connection"] += any(q in makers.get(p, ()) for s in case.slots for p in s.parents for q in s.parents)

    count()
    assert len(drawn) >= 0.95 * len(wiring.names())
    assert min(seen.values()) >= 15
    assert len(seen) == 6


@pytest.mark.parametrize("name", wiring.names())
def test_every_op_can_be_wired_onto_any_values(name):
    """Each op and block, alone, in four variants, on scalars, rows, matrices and batches, has a finite gradient."""
    for variant in range(4):
        for shape in ((), (3,), (2, 3), (2, 2, 2)):
            parents = tuple(range(wiring.arity(name, variant)))
            recipes = tuple(Palette(b"", shape, "jitter", p, bounds=_inside(name, p)) for p in parents)
            case = Architecture(recipes, (Slot(name, parents, variant),))
            tape = forward(case.graph(), **case.sample())
            table = backward(tape)
            assert all(np.isfinite(table[x]).all() for x in case.graph().inputs)


def _inside(name, position):
    return (0.3, 0.6) if wiring.bounds(name, position)[0] is not None else (None, None)


def test_architectures_of_chosen_ops_have_no_others():
    """``names`` restricts the menu; an unknown name is refused, with those that are known."""

    @settings(QUIET, max_examples=20)
    @given(architectures(names=["relu", "matmul"]))
    def chosen(case):
        assert {slot.op for slot in case.slots} <= {"relu", "matmul"}

    chosen()
    with pytest.raises(ValueError, match="names: rleu not in the op table; known are abs, add"):
        find(architectures(names=["rleu"]), lambda case: True)


def test_a_kinked_architecture_is_drawn_at_a_generic_point():
    """Where an op has kinks the point is jittered, so that zeros and ties do not accuse a right rule."""

    @settings(QUIET, max_examples=20)
    @given(architectures(names=["relu", "abs", "maximum", "add"]))
    def generic(case):
        assert not case.kinked or {recipe.mode for recipe in case.inputs} == {"jitter"}

    generic()


def test_a_sample_with_a_seed_is_another_generic_point():
    """The same seed gives the same point, another seed another, and shapes and bounds stay."""
    case = Architecture((Palette(b"\x01", (2, 3), bounds=(0, 4)),), (Slot("log", (0,)),))
    one, same, other = (case.sample(s) for s in (1, 1, 2))
    assert np.array_equal(one["x0"], same["x0"])
    assert not np.array_equal(one["x0"], other["x0"])
    assert one.keys() == case.sample().keys() == case.shapes.keys()
    assert 0 < one["x0"].min() <= one["x0"].max() < 4


def test_a_right_rule_at_a_kink_is_not_accused():
    """relu at exactly 0 and a tie of maximum have no derivative: the comparison is inconclusive, never wrong."""
    at_zero = Architecture((Palette(b"", (2,)),), (Slot("relu", (0,)),))
    tie = Architecture((Palette(b"\x01", ()), Palette(b"\x01", ())), (Slot("maximum", (0, 1)),))
    for case in (at_zero, tie):
        assert compare(case).inconclusive > 0


@pytest.mark.parametrize("name", ["exp", "matmul", "softmax", "cumsum", "take", "relu"])
def test_a_rule_wrong_by_a_tenth_of_a_percent_is_caught(name, monkeypatch):
    """Near misses are caught on architectures of that op alone, at the first generic point."""
    row = ops.TABLE[name]

    def wrong(g, y, *parents, **static):
        return tuple(c if c is None else ops.mul(1.001, c) for c in row.vjp(g, y, *parents, **static))

    monkeypatch.setitem(ops.TABLE, name, dataclasses.replace(row, vjp=wrong))
    parents = tuple(range(wiring.arity(name, 0)))
    recipes = tuple(Palette(b"\x05", (2, 3), "jitter", 1 + p, bounds=(0.2, 2.0)) for p in parents)
    with pytest.raises(GradientWrongError, match=r"x0.*differs from every finite difference by"):
        compare(Architecture(recipes, (Slot(name, parents),)))
