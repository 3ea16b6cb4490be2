"""The scorecard: every case of the catalogue before gradcheck and before its peers, at the same points.

    python -m benchmarks.scorecard [--only REGEX] [--points 10] [--examples 200] [--tools gradcheck,jax,…] [--jobs 2]

A bug is missed by a tool that accuses it at none of the points; a right case is accused if it is at one of them.
A tool that cannot take a case ("error") has missed it.
`gradcheck` judges the points, `gradcheck-search` lets Hypothesis draw from the case's own strategy.
"""

import argparse
import functools
import multiprocessing
import re
import resource
import signal
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from types import FrameType
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import peers
from benchmarks.peers import Outcome
from properties import catalogue
from properties.catalogue.case import Case, Inputs

TOOLS = ("gradcheck", "gradcheck-search", *peers.PEERS)
STATEFUL = ("STALE", "ACCUMULATES")  # these keep state from call to call: each tool meets them fresh
MEMORY = 6 * 2**30  # bytes a process: to report a mismatch torch's fast mode builds the Jacobian, 550 GB at 512 × 512
PATIENCE = 300  # seconds for one case and tool, so that a hang is a line in the table and not the end of it


@dataclass(frozen=True)
class Said:
    """What gradcheck says of one point beside the verdict: the diagnosis of its first finding."""

    outcome: Outcome
    kind: str = ""
    input: str | int | None = None
    index: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Row:
    """One case before one tool."""

    case: str
    tool: str
    said: tuple[Said, ...]
    shapes: tuple[tuple[tuple[int, ...], ...], ...]  # of the inputs, a point
    shown: tuple[bool, ...]  # whether the mistake shows, a point; empty for right cases
    same: tuple[bool, ...]  # whether the pair is the right twin's but for rounding, a point
    seconds: float

    def unfounded(self) -> list[int]:
        """The points at which a wrong case behaves like its right twin and is accused all the same."""
        return [
            k
            for k, (s, same) in enumerate(zip(self.said, self.same, strict=False))
            if s.outcome.verdict == "accused" and same
        ]

    def count(self, verdict: str) -> int:
        """How many points got this verdict."""
        return sum(s.outcome.verdict == verdict for s in self.said)


def gradcheck_says(case: Case, call: Callable[[Any], Any]) -> Said:
    """gradcheck through its public contract only."""
    import gradcheck

    report = call(gradcheck.from_pair(case.f, case.vjp, name=case.name, frozen=case.frozen))
    words = {
        gradcheck.Verdict.PASS: "passed",
        gradcheck.Verdict.FAIL: "accused",
        gradcheck.Verdict.INCONCLUSIVE: "inconclusive",
    }
    first = report.findings[0] if report.findings else None
    outcome = Outcome(words[report.verdict], report.evaluations, str(report))
    return Said(outcome, first.kind.name, first.input, first.index) if first else Said(outcome)


def at_points(case: Case, tool: str, points: Sequence[Inputs]) -> Iterator[Said]:
    for seed, inputs in enumerate(points):
        if tool == "gradcheck":
            import gradcheck

            given = [np.array(a) for a in inputs]
            yield gradcheck_says(case, functools.partial(_check, gradcheck.check, given, seed))
        else:
            yield Said(peers.judge(tool, case, inputs, seed))


def _check(check: Callable[..., Any], inputs: Sequence[Any], seed: int, target: Any) -> Any:
    return check(target, *inputs, seed=seed)


def run(task: tuple[str, str, int, int]) -> Row:
    """One case before one tool; never raises."""
    name, tool, count, examples = task
    np.seterr(all="ignore")
    warnings.simplefilter("ignore")
    if catalogue.cases()[name].kind in STATEFUL:
        catalogue.cases.cache_clear()
        catalogue.wrong_cases.cache_clear()
    case = catalogue.cases()[name]
    points = list(case.points(count))
    said: list[Said] = []
    started = time.perf_counter()
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(PATIENCE)
    try:
        if tool == "gradcheck-search":
            import gradcheck

            said.append(gradcheck_says(case, lambda t: gradcheck.search(t, case.inputs, max_examples=examples, seed=0)))
        else:
            said.extend(at_points(case, tool, points))
    except Exception:
        said.append(Said(Outcome("error", 0, traceback.format_exc(limit=-3))))
    finally:
        signal.alarm(0)
    seconds = time.perf_counter() - started
    shown = () if case.right else tuple(bool(catalogue.shows(case, inputs)) for inputs in points)
    # 1e-13: a few hundred roundings, by which two correct ways to compute one gradient may differ
    same = () if case.right else tuple(not catalogue.shows(case, inputs, least=1e-13) for inputs in points)
    return Row(name, tool, tuple(said), tuple(tuple(np.shape(a) for a in x) for x in points), shown, same, seconds)


def _bounded() -> None:
    """A tool that runs out of memory gets an exception, and the machine stays up."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _out_of_time(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"no answer within {PATIENCE} s")


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "–"


def summary(rows: Sequence[Row], cases: dict[str, Case]) -> Table:
    """One line a tool."""
    table = Table(title="The catalogue before gradcheck and its peers")
    for column in (
        "tool",
        "bugs missed",
        "right accused",
        "caught per point",
        "accused per point",
        "accused unshown",
        "inconclusive",
        "errors",
        "forward calls",
        "s",
    ):
        table.add_column(column, justify="left" if column == "tool" else "right")
    for tool in dict.fromkeys(row.tool for row in rows):
        mine = [row for row in rows if row.tool == tool]
        wrong, right = ([r for r in mine if cases[r.case].right is truth] for truth in (False, True))
        calls = [s.outcome.evaluations for r in right for s in r.said if s.outcome.verdict == "passed"]
        points = sum(len(r.said) for r in mine)
        table.add_row(
            tool,
            f"{sum(not r.count('accused') for r in wrong)} of {len(wrong)}",
            f"{sum(bool(r.count('accused')) for r in right)} of {len(right)}",
            percent(sum(r.count("accused") for r in wrong), sum(len(r.said) for r in wrong)),
            percent(sum(r.count("accused") for r in right), sum(len(r.said) for r in right)),
            "–" if tool.endswith("search") else str(sum(len(r.unfounded()) for r in wrong)),
            percent(sum(r.count("inconclusive") for r in mine), points),
            str(sum(r.count("error") for r in mine)),
            f"{median(calls):.0f}" if calls else "–",
            f"{sum(r.seconds for r in mine):.0f}",
        )
    wrong = [r for r in rows if not cases[r.case].right]
    shown = percent(sum(sum(r.shown) for r in wrong), sum(len(r.shown) for r in wrong))
    table.caption = (
        f"{shown} of the points of wrong cases show the mistake; unshown: points of wrong cases accused where they "
        "behave like the right twin; forward calls: median of the right cases' passing points"
    )
    return table


def resolved(index: tuple[int, ...] | None, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """An index with its negative entries counted from the end."""
    return None if index is None else tuple(k % n if n else k for k, n in zip(index, shape, strict=True))


def diagnoses(rows: Sequence[Row], cases: dict[str, Case], tool: str) -> Table:
    """For each fault: how often it was caught where it shows, and how well it was named and placed."""
    table = Table(title=f"{tool}: diagnosis of what was caught, by fault (hand-written and rare ones by kind)")
    for column in (
        "fault",
        "cases",
        "caught",
        "right kind first",
        "kind or honest other",
        "right input",
        "right index",
        "named instead",
    ):
        table.add_column(column, justify="left" if column in ("fault", "named instead") else "right")
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.tool == tool and not cases[row.case].right:
            case = cases[row.case]
            groups[case.fault if case.fault in {f.name for f in catalogue.FAULTS} else f"({case.kind})"].append(row)
    operators = [r for name, group in groups.items() if not name.startswith("(") for r in group]
    for name, group in [
        *sorted(groups.items()),
        ("all operators", operators),
        ("all", [r for g in groups.values() for r in g]),
    ]:
        accused = [
            (cases[r.case], s, shapes)
            for r in group
            for s, shapes in zip(r.said, r.shapes, strict=False)
            if s.outcome.verdict == "accused"
        ]
        placed = [(c, s) for c, s, _ in accused if c.input is not None]
        # an entry outside a batch of a single entry is the whole block, which is as good a place
        indexed = [
            (resolved(c.index, shapes[c.input]), s.index)
            for c, s, shapes in accused
            if c.index is not None and c.input is not None
        ]
        exact = [(want, got) for want, got in indexed if tool == "gradcheck"]
        other: defaultdict[str, int] = defaultdict(int)
        for c, s, _ in accused:
            if s.kind != c.kind and s.kind not in c.also:
                other[s.kind] += 1
        table.add_row(
            name,
            str(len(group)),
            f"{sum(bool(r.count('accused')) for r in group)}",
            percent(sum(s.kind == c.kind for c, s, _ in accused), len(accused)),
            percent(sum(s.kind == c.kind or s.kind in c.also for c, s, _ in accused), len(accused)),
            percent(sum(s.input == c.input for c, s in placed), len(placed)),
            percent(sum(want == got for want, got in exact), len(exact)),
            ", ".join(f"{kind} {n}" for kind, n in sorted(other.items(), key=lambda item: -item[1])[:3]),
        )
    return table


def listing(rows: Sequence[Row], cases: dict[str, Case], tool: str) -> Iterator[str]:
    """The names behind the counts, with the first thing that was said."""
    for row in (r for r in rows if r.tool == tool):
        case = cases[row.case]
        fault = (
            "ACCUSED"
            if case.right and row.count("accused")
            else "MISSED"
            if not case.right and not row.count("accused")
            else ""
        )
        unfounded = row.unfounded() if tool == "gradcheck" else []
        if unfounded:
            yield f"UNSHOWN {row.case}: accused at {unfounded}, where it behaves like its right twin"
            yield f"    {row.said[unfounded[0]].outcome.message.splitlines()[0]}"
        if not fault and not row.count("error"):
            continue
        tally = ", ".join(f"{n} {v}" for v in ("accused", "passed", "inconclusive", "error") if (n := row.count(v)))
        yield f"{fault or 'ERROR'} {row.case} {case.kind or ''}: {tally}" + (
            "" if case.right else f"; shows at {sum(row.shown)} of {len(row.shown)}"
        )
        worth_reading = ("accused", "error") if case.right else ("inconclusive", "error", "passed")
        k, said = next(
            (k, s)
            for v in worth_reading
            for k, s in enumerate(row.said)
            if s.outcome.verdict == v or (not fault and s.outcome.verdict == "error")
        )
        lines = said.outcome.message.splitlines()[: 8 if tool.startswith("gradcheck") else 1]
        yield from (f"    point {k}: {line}" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scorecard", description="gradcheck and its peers on the catalogue"
    )
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--points", type=int, default=10, help="points a case (default 10)")
    parser.add_argument(
        "--examples", type=int, default=200, help="Hypothesis examples a case for gradcheck-search (default 200)"
    )
    parser.add_argument("--tools", default=",".join(TOOLS), help=f"of {','.join(TOOLS)}")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument(
        "--list-missed", action="store_true", help="name what each tool missed and accused, with what it said"
    )
    options = parser.parse_args(arguments)
    tools = options.tools.split(",")
    if unknown := set(tools) - set(TOOLS):
        parser.error(f"unknown tools {', '.join(sorted(unknown))}; choose from {', '.join(TOOLS)}")
    console = Console(width=max(Console().width, 140))
    cases = {name: case for name, case in catalogue.cases().items() if re.search(options.only, name)}
    if not cases:
        parser.error(f"no case matches {options.only!r}")
    for tool in list(tools):
        if reason := peers.missing(tool):
            console.print(f"{tool}: skipped, {reason}")
            tools.remove(tool)
    tasks = [(name, tool, options.points, options.examples) for tool in tools for name in cases]
    with multiprocessing.get_context("spawn").Pool(options.jobs, initializer=_bounded) as pool:
        done = pool.imap(run, tasks, chunksize=8)
        rows = list(track(done, "judging", total=len(tasks), console=Console(stderr=True), transient=True))
    for tool in tools:
        if tool.startswith("gradcheck") or options.list_missed:
            for line in listing(rows, cases, tool):
                console.print(f"{tool}: {line}", highlight=False, markup=False)
        if tool.startswith("gradcheck"):
            console.print(diagnoses(rows, cases, tool))
    console.print(summary(rows, cases))


if __name__ == "__main__":
    main()
