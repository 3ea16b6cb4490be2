"""The engine's passes by size, rows of pytest-benchmark: nodes, edges, bytes and time per edge in ``extra_info``.

    OMP_NUM_THREADS=1 pytest benchmarks/test_engine_benchmarks.py --benchmark-enable

Against peers and targets: `make bench`.
"""

from typing import Any

import numpy as np
import pytest

from benchmarks import engine_cases as cases
from benchmarks.engine_table import dense_passes, relu, scalar_schedule
from gradcheck.backprop import ScalarTape, compile_graph
from gradcheck.backprop.differences import scalar_differences

SIZES = [10**4, 10**5, 10**6]


@pytest.mark.parametrize("edges", SIZES)
@pytest.mark.parametrize("family", ["layered", "scalar MLP", "chain"])
def test_backward_of_scalars(benchmark: Any, family: str, edges: int) -> None:
    """A planned backward, one family a group."""
    benchmark.group = f"backward of scalars, {family}"
    schedule = scalar_schedule(family, edges)
    gradients = benchmark(schedule.backward)
    assert gradients.visits == schedule.edges
    benchmark.extra_info.update(nodes=schedule.nodes, edges=schedule.edges)
    if benchmark.stats:
        benchmark.extra_info["ns per edge"] = benchmark.stats.stats.median / schedule.edges * 1e9


@pytest.mark.parametrize("family", ["layered", "scalar MLP", "chain"])
def test_forward_of_scalars(benchmark: Any, family: str) -> None:
    """A replayed forward: wide levels by groups, narrow ones node by node."""
    benchmark.group = "forward of scalars"
    schedule = scalar_schedule(family, 10**5)
    benchmark(schedule.forward)
    benchmark.extra_info.update(nodes=schedule.nodes, edges=schedule.edges)


@pytest.mark.parametrize("how", ["operators", "layers"])
def test_recording(benchmark: Any, how: str) -> None:
    """A tape of some 10⁵ edges."""
    benchmark.group = "recording"

    def record() -> ScalarTape:
        if how == "layers":
            return cases.layered(10**5)[1]
        tape = ScalarTape()
        cases.perceptron(tape.input, 32, 10**5 // cases.mlp_edges(32), relu)
        return tape

    benchmark.extra_info["edges"] = benchmark(record).edges


def test_tape_of_small_tensors(benchmark: Any) -> None:
    """Forward and backward of 1000 nodes of 8 entries, inputs copied in."""
    schedule, arrays = compile_graph(cases.traced_small()), cases.small_inputs()
    benchmark(lambda: (schedule.forward(**arrays), schedule.backward()))
    benchmark.extra_info.update(nodes=schedule.nodes, edges=schedule.edges, bytes=schedule.nbytes)


@pytest.mark.parametrize("which", ["floor", "ours"])
@pytest.mark.parametrize("width", [32, 128, 512])
def test_dense_network(benchmark: Any, width: int, which: str) -> None:
    """Three tanh layers of 128 examples, beside their products alone."""
    benchmark.group = f"dense, {width} wide, batch 128"
    benchmark(cases.dense_floor(width, 128, "float64") if which == "floor" else dense_passes(width, 128, "float64")[0])


def test_numeric_gradient_of_scalars(benchmark: Any) -> None:
    """561 inputs of a scalar MLP, 256 at once."""
    tape = ScalarTape()
    schedule = tape.compile(cases.perceptron(tape.input, 16, 1, lambda x: x.tanh()))
    found = benchmark(lambda: scalar_differences(schedule))
    exact = schedule.backward().cotangents[list(schedule.inputs.values())]
    assert np.max(np.abs(found - exact)) < 1e-8  # ε^⅔ of third derivatives of size 1, and rounding over a step of 6e-6
