"""What the judge costs: examples a second of search, seconds of a check against its size, memory. Figures, no gates.

    pytest benchmarks/test_judge_benchmarks.py --benchmark-enable

The judge against everything it must reach is a table of its own: `python -m benchmarks.judge_table`.
"""

from typing import Any

import numpy as np
import pytest

import gradcheck
from benchmarks.judge_table import localisation, memory, one_off
from gradcheck import Verdict


def dense(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b, lambda dy: (dy @ w.T, x.T @ dy, dy.sum(0))


def wrong_dense(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b, lambda dy: (dy @ w.T, x.T @ dy, dy.mean(0))


SHAPES = {"x": ("n", 3), "w": (3, 2), "b": (2,)}


def test_search_of_a_passing_3_by_2_dense_layer(benchmark: Any) -> None:
    """200 examples: the target is 2 s, 100 examples a second and more."""
    report = benchmark(lambda: gradcheck.search(dense, SHAPES, seed=1))
    assert (report.verdict, report.examples) == (Verdict.PASS, 200)
    benchmark.extra_info["examples"] = report.examples
    benchmark.extra_info["forward calls an example"] = report.evaluations / report.examples


def test_search_of_a_failing_dense_layer(benchmark: Any) -> None:
    """Found and shrunk."""
    report = benchmark(lambda: gradcheck.search(wrong_dense, SHAPES, seed=1))
    assert report.verdict is Verdict.FAIL


@pytest.mark.parametrize("size", [50, 10**4, 10**6])
def test_check_of_a_right_gradient(benchmark: Any, size: int) -> None:
    """Calls and seconds against entries."""
    target, x, _ = one_off(size, 1.0, 0)
    report = benchmark(lambda: gradcheck.check(target, x))
    assert report.verdict is Verdict.PASS
    assert report.evaluations <= (40 if size <= 50 else 60)
    benchmark.extra_info["forward calls"] = report.evaluations


@pytest.mark.parametrize("factor", [1.3, 1.001])
@pytest.mark.parametrize("size", [10**4, 10**6])
def test_localisation_of_one_wrong_entry(benchmark: Any, size: int, factor: float) -> None:
    """Found among 10⁴ and 10⁶ entries within 4 log₂ P + 20 calls more than a passing check."""
    trials = 5
    found, dearest, _ = benchmark.pedantic(lambda: localisation(size, factor, trials), rounds=1)
    assert found == trials
    assert dearest <= 4 * np.log2(size) + 20
    benchmark.extra_info["forward calls to localise, most"] = dearest


def test_memory_of_a_check_of_ten_million_entries(benchmark: Any) -> None:
    """Under 12 arrays of that size, resource peak in a process of its own."""
    pytest.importorskip("resource")
    arrays = benchmark.pedantic(memory, rounds=1)
    benchmark.extra_info["arrays"] = arrays
    assert arrays < 12
