"""Linearity and its three tiers, regression runs, checks and start-up: one line for each thing they must reach.

`python -m benchmarks.performance_table --part cost` prints them; `python -m benchmarks.linearity` makes 100 runs of
what has five here. Of what is timed the spread stands behind the middle, so that a row near its target shows it.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import HealthCheck, given, settings

import gradcheck
from benchmarks import check_cost, linearity, startup
from benchmarks.engine_cases import seconds
from benchmarks.engine_table import Line, at_most, line
from benchmarks.test_judge_benchmarks import SHAPES, dense
from gradcheck.backprop import backward, compile_graph, forward
from gradcheck.cost import Spec, trees
from gradcheck.cost.callgrind import MissingError, instructions
from gradcheck.cost.counts import count, counted
from gradcheck.cost.regression import Outcome, against
from gradcheck.cost.scaling import COUNT_GATE, fit
from gradcheck.strategies import architectures
from properties import planted_sweeps as planted

DEEP, SHALLOW = (60, 120, 240, 480, 960), (6, 9, 12, 15, 18)  # nodes; exponential code gets the small ones
FAULTS = {"copying": DEEP, "scanning": DEEP, "revisiting": SHALLOW}


def count_lines(graphs: int = 300) -> Iterator[Line]:
    """Visits on generated graphs; the counts of linear code, and of each planted fault."""
    seen: list[bool] = []

    @settings(max_examples=graphs, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(architectures())
    def each(case: architectures) -> None:
        graph, arrays = case.graph(), case.sample()
        schedule = compile_graph(graph)
        schedule.forward(**arrays)
        counts = backward(forward(graph, **arrays)).visits, schedule.backward().visits, schedule.nodes
        seen.append(counts == (graph.edges, graph.edges, len(graph)))

    each()
    what = "E edges visited and N nodes, oracle and schedule"
    yield line(what, "every graph", f"{sum(seen)} of {len(seen)} generated", all(seen))
    for code, nodes in {"linear": DEEP, **FAULTS}.items():
        works = [getattr(planted, code)(n) for n in nodes]
        edges = [work.edges for work in works]
        tallies = [count(work.prepare(counted), work.compared) for work in works]
        shares = {
            name: fit(edges, numbers)
            for name in ("bytecodes", "comparisons", "elements")
            if min(numbers := [getattr(tally, name) for tally in tallies]) > 0
        }
        beyond = [
            f"{name} {min(found.share.value, 1):.0%}" for name, found in shares.items() if found.beyond(COUNT_GATE)
        ]
        visits = works[-1].visits(works[-1].prepare(lambda array: array)()) / edges[-1]
        beyond += [f"visits {visits:.3g} an edge"] if visits != 1 else []
        yield _judged("counts", code, beyond)


def instruction_lines() -> Iterator[Line]:
    """callgrind: the same number twice, linear code left alone, each planted fault caught."""
    try:
        twice = [instructions(Spec(f"{planted.__name__}:linear"), DEEP) for _ in range(2)]
    except MissingError as missing:
        yield "instruction counts", "gate 3%", str(missing), ""
        return
    off = max(abs(a - b) for a, b in zip(*twice, strict=True))
    yield line("instructions of two processes", "the same", f"{off} of {twice[0][-1]:,} off", off == 0)
    for code, nodes in {"linear": DEEP, **FAULTS}.items():
        edges = [getattr(planted, code)(n).edges for n in nodes]
        counts = twice[0] if code == "linear" else instructions(Spec(f"{planted.__name__}:{code}"), nodes)
        found = fit(edges, counts)
        share = f"{found.share.value:.1%}" if found.share.low > COUNT_GATE else f"slope {found.slope.value:.1f}"
        yield _judged("instructions", code, [share] if found.beyond(COUNT_GATE) else [])


def clock_lines(runs: int) -> Iterator[Line]:
    """The clock alone, some runs of each code."""
    for code in linearity.LINEAR | linearity.FAULTS:
        found, least, most = linearity.accused(code, runs)
        wanted = 0 if code in linearity.LINEAR else runs
        bounds = f"   lower bounds {least:.2f} … {most:.2f}"
        yield line(f"clock, {code}", f"{wanted} of {runs}", f"{found} of {runs}{bounds}", found == wanted)


def _judged(tier: str, code: str, beyond: list[str]) -> Line:
    target = "silent" if code == "linear" else "caught"
    return line(f"{tier}, {code}", target, ", ".join(beyond) or "silent", bool(beyond) == (target == "caught"))


MODULE = """
import numpy as np

def make(n):
    def vjp(inputs, dy):
        g = dy
        for _ in range({repeats}):
            g = g * np.cos(inputs[0])
        return (g,)
    return (np.sin, vjp), (np.ones(n),)
"""


def regression_lines() -> Iterator[Line]:
    """Two versions of a module in one job: the same, and one that does 12 things where base does 10."""
    for head, wanted in ((10, Outcome.NOT_SLOWER), (12, Outcome.SLOWER)):
        with TemporaryDirectory() as folder:
            versions = []
            for name, repeats in (("base", 10), ("head", head)):
                place = Path(folder, name)
                place.mkdir()
                (place / "layers.py").write_text(MODULE.format(repeats=repeats), encoding="utf-8")
                versions.append(trees.Tree(name, place, (str(place), *trees.here().path), root=place))
            found = against(Spec("layers:make"), versions[0], versions[1], (10_000, 30_000, 100_000))
        ratio = f"{found.ratio:.3f}×, {len(found.head)} pairs"
        yield line(f"base and head, {head / 10:g}× the work", wanted.value, ratio, found.outcome is wanted)


def check_lines() -> Iterator[Line]:
    """Forward calls and time of a check, beside the others'; examples a second of search."""
    for entries in check_cost.SIZES:
        _, calls = check_cost.check("gradcheck", entries)
        spent = check_cost.seconds("gradcheck", entries)
        others = []
        for tool in check_cost.TOOLS[1:]:
            verdict, _ = check_cost.check(tool, entries)
            if verdict == "passed":
                others.append(f"{tool} {1e3 * check_cost.seconds(tool, entries):.3g}")
        note = f" ms   {', '.join(others)}"
        yield line(
            f"check of {entries:,} entries", "≤ 60 calls", f"{calls} calls, {1e3 * spent:.3g}{note}", calls <= 60
        )
    rates = 200 / seconds({"search": lambda: gradcheck.search(dense, SHAPES, seed=1)}, rounds=5)["search"]
    low, rate, high = np.quantile(rates, (0.25, 0.5, 0.75))
    yield line("examples of search, 3×2 dense", "≥ 150 a second", f"{rate:.0f} ({low:.0f}–{high:.0f})", rate >= 150)


def start_lines(rounds: int = 9) -> Iterator[Line]:
    """Importing gradcheck over importing NumPy, and the idle plugin."""
    found = startup.imports(rounds)
    for name in ("import gradcheck", "its names used", "check called"):
        yield at_most(f"{name}, over import numpy", 1.25, found[name] / found["import numpy"])
    spent, share = startup.idle()
    yield line("the idle plugin", "≤ 5 ms", f"{1e3 * spent:+.1f} ms, {share:.1%} of a pytest run", spent <= 5e-3)


def lines(runs: int = 5) -> Iterator[Line]:
    """All rows, one after the other, as they are measured."""
    yield from count_lines()
    yield from clock_lines(runs)
    yield from instruction_lines()
    yield from regression_lines()
    yield from check_lines()
    yield from start_lines()
