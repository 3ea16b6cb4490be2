"""What one check costs beside the other gradient checkers: seconds and forward calls, on the same right dense layer.

python -m benchmarks.check_cost [--sizes 100 1000 10000 100000]
"""

import argparse
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gradcheck
from benchmarks.peers import PEERS, judge, missing
from properties.catalogue.case import Case, Domain, real

SIZES = (10**2, 10**3, 10**4, 10**5)
TOOLS = ("gradcheck", *PEERS)


def dense(x: Any, w: Any) -> Any:
    """tanh(x w) and its pullback."""
    y = np.tanh(x @ w)

    def pullback(dy: Any) -> tuple[Any, Any]:
        dz = dy * (1 - y * y)
        return dz @ w.T, x.T @ dz

    return y, pullback


LAYER = Case(
    "dense",
    lambda x, w: dense(x, w)[0],
    lambda inputs, dy: dense(*inputs)[1](dy),
    Domain({"x": real(2, "k"), "w": real("k", "k")}),
)


def inputs(entries: int) -> tuple[Any, Any]:
    """A batch of two and a square weight of so many entries, scaled so that no unit is saturated."""
    k = math.isqrt(entries)
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, k)), rng.standard_normal((k, k)) / math.sqrt(k)


def check(tool: str, entries: int) -> tuple[str, int]:
    """The verdict of a tool and the forward calls that it spent; "missing: …" or "error: …" where it gives none."""
    if tool == "gradcheck":
        report = gradcheck.check(gradcheck.from_pullback(dense), *inputs(entries))
        return {"pass": "passed", "fail": "accused"}.get(report.verdict.value, report.verdict.value), report.evaluations
    if reason := missing(tool):
        return f"missing: {reason}", 0
    outcome = judge(tool, LAYER, inputs(entries))
    return (outcome.verdict if outcome.verdict != "error" else f"error: {outcome.message}"), outcome.evaluations


def seconds(tool: str, entries: int, rounds: int = 3) -> float:
    """The shortest of some rounds, but one where it takes more than a second."""
    best = math.inf
    for _ in range(rounds):
        start = time.process_time()
        check(tool, entries)
        best = min(best, time.process_time() - start)
        if best > 1:
            break
    return best


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sizes = parser.parse_args(arguments).sizes
    table = Table("checker", *(f"{size:,} entries" for size in sizes), box=None)
    for tool in TOOLS:
        cells = []
        for size in sizes:
            verdict, calls = check(tool, size)  # the first call imports and compiles
            said = f"{1e3 * seconds(tool, size):,.0f} ms, {calls:,} calls"
            cells.append(f"{said} {verdict}" if verdict in ("passed", "accused", "inconclusive") else verdict)
        table.add_row(tool, *cells)
    Console(highlight=False, width=200).print(table)


if __name__ == "__main__":
    main()
