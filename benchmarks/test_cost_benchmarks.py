"""Backward against edges, beside its peers, and what a check costs beside other checkers. Figures, no gates.

    pytest benchmarks/test_cost_benchmarks.py --benchmark-enable --benchmark-group-by=group

The table of what must be reached is `make bench`. What is timed is the backward pass alone; recording and the forward
pass come before it.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from benchmarks import check_cost
from benchmarks import engine_cases as cases
from benchmarks.startup import IMPORTS, seconds
from gradcheck.cost import FAMILIES, as_it_is
from gradcheck.cost.counts import count, counted

Prepare = Callable[[], Callable[[], Any]]


@pytest.mark.parametrize("nodes", [300, 3_000, 30_000])
@pytest.mark.parametrize("family", FAMILIES)
def test_backward_against_edges(benchmark: Any, family: str, nodes: int) -> None:
    """The reverse sweep of the reference, in nanoseconds an edge at any size."""
    benchmark.group = f"backward, {family}"
    work = FAMILIES[family](nodes)
    benchmark.pedantic(work.prepare(as_it_is), rounds=5, warmup_rounds=1)
    counts = count(work.prepare(counted), work.compared) if nodes <= 3_000 else None
    seen = {"bytecodes": counts.bytecodes, "elements": counts.elements} if counts else {}
    benchmark.extra_info.update(nodes=work.nodes, edges=work.edges, **seen)
    if benchmark.stats:
        benchmark.extra_info["ns an edge"] = 1e9 * benchmark.stats.stats.min / work.edges


def ours(edges: int) -> Prepare:
    loss, tape = cases.layered(edges)
    schedule = tape.compile(loss)
    schedule.forward()
    return lambda: schedule.backward


def micrograd(edges: int) -> Prepare:
    from micrograd.engine import Value  # type: ignore[import-untyped]

    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10**6))  # it walks the graph by recursion
    return lambda: cases.layered_one_by_one(edges, Value).backward


def torch(edges: int) -> Prepare:
    number = partial(cases.peer("torch").tensor, requires_grad=True)
    return lambda: cases.layered_one_by_one(edges, number).backward


def mygrad(edges: int) -> Prepare:
    return lambda: cases.layered_one_by_one(edges, cases.peer("mygrad").tensor).backward


def autograd(edges: int) -> Prepare:
    from autograd import make_vjp

    def loss(x: Any) -> Any:
        return cases.layered_one_by_one(edges, lambda value: x * value)

    return lambda: partial(make_vjp(loss)(1.0)[0], 1.0)


def jax(edges: int) -> Prepare:
    if edges > 10**3:
        pytest.skip("jax needs more than 8 GiB to trace 10⁴ scalar nodes")
    framework = cases.peer("jax")

    def loss(x: Any) -> Any:
        return cases.layered_one_by_one(edges, lambda value: x * value)

    return lambda: partial(framework.vjp(loss, 1.0)[1], framework.numpy.float64(1.0))


@pytest.mark.parametrize("edges", [10**3, 10**4])
@pytest.mark.parametrize("engine", [ours, micrograd, torch, mygrad, autograd, jax], ids=lambda engine: engine.__name__)
def test_backward_beside_peers(benchmark: Any, engine: Callable[[int], Prepare], edges: int) -> None:
    """One backward pass of the same layered graph of scalars, recorded anew for every round."""
    name = engine.__name__
    if name != "ours" and cases.peer("micrograd.engine" if name == "micrograd" else name) is None:
        pytest.skip(f"{name} is not installed")
    benchmark.group = f"backward of {edges:,} scalar edges"
    prepare = engine(edges)
    benchmark.pedantic(lambda call: call(), setup=lambda: ((prepare(),), {}), rounds=5, warmup_rounds=1)
    benchmark.extra_info["edges"] = edges
    if benchmark.stats:
        benchmark.extra_info["ns an edge"] = 1e9 * benchmark.stats.stats.min / edges


@pytest.mark.parametrize("entries", check_cost.SIZES)
@pytest.mark.parametrize("tool", check_cost.TOOLS)
def test_check_beside_peers(benchmark: Any, tool: str, entries: int) -> None:
    """One check of a right dense layer; a tool that cannot take the size, or is missing, is skipped with its reason."""
    benchmark.group = f"check of {entries:,} entries"
    verdict, calls = check_cost.check(tool, entries)
    if verdict.startswith(("missing", "error")):
        pytest.skip(verdict)
    benchmark.pedantic(check_cost.check, (tool, entries), rounds=3)
    benchmark.extra_info.update({"verdict": verdict, "forward calls": calls, "entries": entries})
    benchmark.extra_info["bytes of the inputs"] = sum(np.asarray(x).nbytes for x in check_cost.inputs(entries))


@pytest.mark.parametrize("name", IMPORTS)
def test_start_up(benchmark: Any, name: str) -> None:
    """A whole Python that runs this line."""
    benchmark.group = "start-up"
    benchmark.pedantic(seconds, ([sys.executable, "-c", IMPORTS[name]],), rounds=5, warmup_rounds=1)
