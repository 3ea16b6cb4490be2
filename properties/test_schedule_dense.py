"""Dense networks by hand and by movements of one unit: both are the oracle's gradients."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradcheck.backprop import Dense, GraphError, ShapeError
from gradcheck.backprop.differences import coordinate_difference, dense_differences, scalar_differences
from gradcheck.backprop.scalar import ScalarTape
from gradcheck.backprop.schedule_dense import LINE, PAGE, STEPS, _together, compile_dense
from gradcheck.strategies import Batch, batches, dense_networks

QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
NETWORKS = dense_networks()
BY_HAND = NETWORKS.filter(lambda net: not net.penalty and set(net.activations) <= set(STEPS))


def parts(batch: Batch, seed: int | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and data of a batch."""
    arrays = batch.sample(seed)
    data = {name: arrays[name] for name in ("x", "y", "weights") if name in arrays}
    return {name: a for name, a in arrays.items() if name not in data}, data


@settings(QUIET, max_examples=80)
@given(BY_HAND.flatmap(batches), st.sampled_from(["float64", "float32"]))
def test_a_dense_schedule_is_the_oracle(batch: Batch, dtype: str) -> None:
    """Cost and gradients, at one point, at another when the workspaces are used, and repeated."""
    net, eps = batch.network, float(np.finfo(dtype).eps)
    schedule = compile_dense(net, batch.size, dtype)
    for seed in (None, 5):
        parameters, data = parts(batch, seed)
        parameters, data = ({k: a.astype(dtype) for k, a in group.items()} for group in (parameters, data))
        with np.errstate(all="ignore"):
            cost, slopes = net.slope(parameters, data)
            found = schedule.forward(**data, **parameters)
            # 6 products, sums of at most 6 terms, 10 roundings in each activation and loss: some 100 roundings of
            # terms of up to ten times the result, which may cancel to nothing beside inputs of size 1.
            bound = 1000 * eps * max(1.0, abs(cost), *(float(np.max(np.abs(g))) for g in slopes.values()))
            for _ in range(2):
                gradients = schedule.backward()
                for name, g in slopes.items():
                    assert gradients[name].dtype == dtype
                    assert np.max(np.abs(gradients[name] - g)) <= bound
        assert abs(found - cost) <= bound


def test_a_dense_schedule_equals_the_oracle_to_some_roundings() -> None:
    """Without a generous bound: every activation, layout and reduction agrees to 1e-13 of the largest entry."""
    rng = np.random.default_rng(0)
    for examples in ("rows", "columns"):
        for activation in STEPS:
            for reduction in ("mean", "sum", "weighted"):
                for bias in (True, False):
                    net = Dense((5, 7, 6, 3), (activation,) * 3, examples=examples, reduction=reduction, bias=bias)
                    shapes = net.shapes(4)
                    data = {name: rng.uniform(0.5, 1, shapes[name]) for name in ("x", "y", "weights") if name in shapes}
                    parameters = net.parameters(1)
                    schedule = compile_dense(net, 4)
                    cost, slopes = net.slope(parameters, data)
                    assert schedule.forward(**data, **parameters) == pytest.approx(cost, rel=1e-14)  # some 30 roundings
                    for name, g in schedule.backward().items():
                        # 6 layers of sums of 7 terms: 50 roundings of 2⁻⁵³ of terms up to ten times the largest entry
                        assert np.max(np.abs(g - slopes[name])) <= 1e-13 * np.max(np.abs(slopes[name]))


@settings(QUIET, max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=6), st.sampled_from("dfe"))
def test_arrays_cut_from_one_block_are_apart_and_aligned(shapes: list[tuple[int, int]], dtype: str) -> None:
    """Small blocks and those of large pages: each array has its shape, its own bytes and the start of a cache line."""
    for large in ([], [(600, 1000)], [(1000, 1024), (1, 1), (1024, 1200)]):
        arrays = _together([*shapes, *large], dtype)
        assert [a.shape for a in arrays] == [*shapes, *large]
        assert {a.dtype.char for a in arrays} == {dtype}
        assert all(a.ctypes.data % LINE == 0 and a.flags.c_contiguous and a.flags.writeable for a in arrays)
        for number, array in enumerate(arrays):
            array += number  # ones at first: an entry that two arrays share would be counted twice
        assert all(np.all(array == 1 + number) for number, array in enumerate(arrays))
        whole = arrays[0]
        while whole.base is not None:
            whole = whole.base
        ends = [a.ctypes.data + a.nbytes for a in arrays]
        assert max(ends) <= whole.ctypes.data + whole.nbytes
        if sum(a.nbytes for a in arrays) > 2 * PAGE:
            assert arrays[0].ctypes.data % PAGE == 0
            assert whole.ctypes.data + whole.nbytes >= math.ceil(max(ends) / PAGE) * PAGE


def test_parameters_may_be_written_to_in_place() -> None:
    """Descent on the schedule's own arrays: nothing is copied, the cost falls."""
    net = Dense((2, 8, 1), ("tanh", "identity"))
    rng = np.random.default_rng(0)
    schedule = compile_dense(net, 16)
    costs = [schedule.forward(x=rng.normal(size=(16, 2)), y=rng.normal(size=(16, 1)), **net.parameters())]
    for _ in range(20):
        for name, g in schedule.backward().items():
            schedule.inputs[name][...] -= 0.1 * g
        costs.append(schedule.forward())
    assert all(later < earlier for earlier, later in pairwise(costs))
    with pytest.raises(ValueError, match="read-only"):
        schedule.backward()["W1"][0, 0] = 1


def test_what_a_dense_schedule_cannot_do_it_refuses() -> None:
    """Other activations, a penalty, no examples, inputs that are missing, unknown or of another shape."""
    with pytest.raises(GraphError, match="no penalty, not the activation 'gelu': use compile_graph"):
        compile_dense(Dense((2, 1), ("gelu",)), 3)
    with pytest.raises(GraphError, match=r"no penalty, not a penalty of 0\.5: use compile_graph"):
        compile_dense(Dense((2, 1), ("tanh",), penalty=0.5), 3)
    with pytest.raises(ValueError, match="m=0: a batch needs at least one example"):
        compile_dense(Dense((2, 1), ("tanh",)), 0)
    schedule = compile_dense(Dense((2, 1), ("tanh",)), 3)
    with pytest.raises(GraphError, match="nothing is known of y, W1, b1 yet: the first forward needs all inputs"):
        schedule.forward(x=np.ones((3, 2)))
    with pytest.raises(GraphError, match="no input is named 'z'; the network has x, y, W1, b1"):
        schedule.forward(z=1.0)
    with pytest.raises(ShapeError, match=r"input 'x': shapes \(2, 3\) and \(3, 2\) do not fit"):
        schedule.forward(x=np.ones((2, 3)))


@settings(QUIET, max_examples=60)
@given(NETWORKS.flatmap(batches), st.sampled_from(["unit", "weight"]))
def test_differences_of_whole_networks_are_the_plain_ones(batch: Batch, by: str) -> None:
    """Every loss, layout, activation and reduction: by unit or by weight, entries agree with plain coordinates."""
    net = batch.network
    parameters, data = parts(batch)
    with np.errstate(all="ignore"):
        found = dense_differences(net, parameters, data, by)
        assert list(found) == list(parameters)
        rng = np.random.default_rng(batch.seed)
        for name, g in found.items():
            assert g.shape == parameters[name].shape
            index = tuple(int(rng.integers(n)) for n in g.shape)
            plain, error = coordinate_difference(net, parameters, data, name, index)
            # the same formula at another step: as far off as the plain one, and twice where that one is lucky
            if np.isfinite(plain) and not batch.kinked and error < 1e-6:
                assert abs(g[index] - plain) <= 2 * error + 1e-7 * max(
                    1.0, abs(plain)
                )  # ε^⅔ is 4e-11; cosh(4) ≈ 27 cubed


def test_a_wrong_factor_in_a_network_s_differences_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The spot check can fail: a loss with a slope 0.1 % too large in the fast way alone."""
    from gradcheck.backprop import differences

    net = Dense((3, 4, 2), ("tanh", "identity"))
    rng = np.random.default_rng(0)
    parameters, data = net.parameters(), {"x": rng.normal(size=(5, 3)), "y": rng.normal(size=(5, 2))}
    plain, error = coordinate_difference(net, parameters, data, "W1", (1, 2))
    assert (
        abs(dense_differences(net, parameters, data)["W1"][1, 2] - plain) <= error + 1e-10
    )  # ε^⅔ of entries of size 1
    squared = differences.LOSSES["squared"]
    monkeypatch.setitem(differences.LOSSES, "squared", lambda *a: 1.001 * squared(*a))
    wrong = dense_differences(net, parameters, data)["W1"][1, 2]
    assert abs(wrong - plain) > 10 * error


@pytest.mark.parametrize("at_once", [1, 3, 256])
def test_differences_of_scalar_graphs_are_their_gradients(at_once: int) -> None:
    """However many inputs move at once, recorded one by one (narrow levels) or by layers (wide ones)."""
    rng = np.random.default_rng(0)
    tape = ScalarTape()
    x, w = tape.input(rng.normal(size=(2, 5))), tape.input(rng.normal(size=(5, 6)))
    layer = (x @ w).apply("tanh").sum()
    y = tape.input(0.5)
    out = layer * y.tanh() + (y * 2).exp()
    schedule = tape.compile(out)
    before = schedule.values.copy()
    found = scalar_differences(schedule, at_once)
    exact = schedule.backward().cotangents[list(schedule.inputs.values())]
    assert np.array_equal(schedule.values, before)
    # ε^⅔ times third derivatives of size 8 e, and rounding of sums of size 20 over a step of 6e-6
    assert np.max(np.abs(found - exact)) <= 1e-8
    with pytest.raises(ValueError, match="at_once=0: at least one input is moved at a time"):
        scalar_differences(schedule, 0)


def test_another_way_to_move_is_refused() -> None:
    """Only two ways are known."""
    net = Dense((1, 1), ("identity",))
    with pytest.raises(ValueError, match="by='layer': move one 'unit' or one 'weight' at a time"):
        dense_differences(net, net.parameters(), {"x": np.ones((1, 1)), "y": np.ones((1, 1))}, "layer")
