"""Exact counts: what they count, that they repeat, and that each planted fault of cost shows in one of them."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings

from gradcheck.backprop import Node, forward, ops
from gradcheck.backprop.sweep import sweep
from gradcheck.cost import FAMILIES, of_tape
from gradcheck.cost.counts import Counted, count, counted
from gradcheck.cost.scaling import COUNT_GATE, fit
from gradcheck.strategies import architectures
from properties import planted_sweeps as planted

NODES = (30, 60, 120, 240, 480)
SHALLOW = (6, 9, 12, 15, 18, 21)


def totals(make, nodes, name):
    works = [make(n) for n in nodes]
    return [w.edges for w in works], [getattr(count(w.prepare(counted), w.compared), name) for w in works]


def visited(make, nodes):
    return [work.visits(work.prepare(lambda array: array)()) / work.edges for work in map(make, nodes)]


@given(architectures())
@settings(deadline=None, max_examples=60)
def test_backward_visits_every_edge_once_on_every_generated_graph(case):
    """Visits equal edges and rows equal nodes, whatever the graph."""
    graph = case.graph()
    tape = forward(graph, **case.sample())
    table, visits = sweep(graph, tape.values, {graph.output: np.ones(())})
    assert (visits, len(table)) == (graph.edges, len(graph.nodes))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_is_linear_in_every_count(family):
    """Bytecodes, comparisons and elements grow with the edges and with nothing else, visits equal edges."""
    make = FAMILIES[family]
    for name in ("bytecodes", "elements"):
        assert not fit(*totals(make, NODES, name)).beyond(COUNT_GATE)
    assert totals(make, NODES, "comparisons")[1] == [0] * len(NODES)
    assert visited(make, NODES) == [1.0] * len(NODES)


def test_copies_for_every_part_show_in_the_elements():
    """O(E²) accumulation: the elements are super-linear by more than half, while visits and bytecodes are in order."""
    share = fit(*totals(planted.copying, NODES, "elements")).share
    assert share.low > 0.5
    assert not fit(*totals(planted.copying, NODES, "bytecodes")).beyond(COUNT_GATE)
    assert visited(planted.copying, NODES) == [1.0] * len(NODES)


def test_a_list_scan_shows_in_the_comparisons():
    """``node in done``: the comparisons are quadratic, while visits, bytecodes and elements are in order."""
    edges, comparisons = totals(planted.scanning, NODES, "comparisons")
    assert fit(edges, comparisons).share.low > 0.9
    assert not fit(*totals(planted.scanning, NODES, "bytecodes")).beyond(COUNT_GATE)
    assert visited(planted.scanning, NODES) == [1.0] * len(NODES)


def test_revisited_nodes_show_in_the_visits_and_the_bytecodes():
    """A shared node that is visited once a path: the visits of an edge double and redouble."""
    visits = visited(planted.revisiting, SHALLOW)
    assert visits == sorted(visits)
    assert visits[-1] > 10
    assert fit(*totals(planted.revisiting, SHALLOW, "bytecodes")).beyond(COUNT_GATE)


@pytest.mark.parametrize("rule", planted.PLANTED, ids=lambda rule: rule.__name__)
def test_planted_sweeps_are_slow_and_right(rule):
    """Their gradients are the reference's, so no check of gradients finds them."""
    mine, reference = planted.work(15, rule), planted.work(15, sweep)
    wrong = mine.prepare(lambda array: array)()[0]
    for ours, right in zip(wrong, reference.prepare(lambda array: array)()[0], strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-12)  # some 20 roundings, summed in another order


def test_counts_repeat_exactly():
    """Two runs of one work count the same, to the last bytecode."""
    work = FAMILIES["dense"](40)
    assert count(work.prepare(counted), work.compared) == count(work.prepare(counted), work.compared)


def test_elements_are_those_that_numpy_touches():
    """Operators, reductions, in-place operations, ``at``, products, joins and views."""
    x = counted(np.ones((4, 5)))

    def touched(call):
        before = Counted.elements
        call()
        return Counted.elements - before

    assert touched(lambda: x * 2.0) == 20 + 1 + 20
    assert touched(lambda: x.sum()) == 20 + 1
    assert touched(lambda: np.add(x, x, out=x)) == 20 + 20 + 20
    assert touched(lambda: x @ x.T) == 20 + 20 + 16
    assert touched(lambda: np.concatenate([x, x])) == 40 + 40
    assert touched(lambda: np.add.at(x, (np.array([0, 0]), np.array([1, 1])), 1.0)) == 2 + 2 + 1
    assert touched(lambda: np.shape(x)) == 0
    assert isinstance(np.exp(x), Counted)
    assert isinstance(x.sum(), float)


def test_counting_leaves_nothing_behind():
    """The trace function of a debugger is put back, and nodes compare by identity as before, also after an error."""

    def theirs(frame, event, argument):
        return None

    def broken():
        raise KeyError("planted")

    before = sys.gettrace()
    sys.settrace(theirs)
    try:
        with pytest.raises(KeyError, match="planted"):
            count(broken, (Node,))
        assert sys.gettrace() is theirs
    finally:
        sys.settrace(before)
    assert Node.__eq__ is object.__eq__


def test_a_node_can_be_compared_while_comparisons_are_counted():
    """``in`` and ``==`` answer as they do otherwise; one comparison is counted for every other node looked at."""
    nodes = FAMILIES["scalar"](30).prepare(lambda array: array).args[0].nodes[:4]
    found = []
    counts = count(lambda: found.append(nodes[3] in nodes), (Node,))
    assert found == [True]
    # three nodes before it are asked, and each hands the question over to the other side; `is` answers for the fourth
    assert counts.comparisons == 6


def test_ops_take_counted_arrays():
    """Every elementwise op of the reference gives a counted array for one, so that counting does not end half-way."""
    x = counted(np.full((2, 2), 0.5))
    assert all(isinstance(op(x), Counted) for op in (ops.tanh, ops.exp, ops.square, ops.abs))
    assert of_tape(forward(FAMILIES["tensor"](9).prepare(counted).args[0], x=np.ones(8))).elements > 8
