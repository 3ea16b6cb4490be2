"""The judge against the table of what it must reach: one line a requirement, with the figure measured here and now.

    python -m benchmarks.judge_table [--quick] [--faults]

`--quick` takes a tenth of the trials; `--faults` adds one line a fault operator, with what it was taken for.
"""

import argparse
import subprocess
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gradcheck
from gradcheck.report import Report, Verdict
from properties.catalogue import FAULTS
from properties.catalogue.case import Array, Case, Inputs
from properties.planted import OpDomain, hosts, planted

Line = tuple[str, str, str, str]  # what, target, measured, "met" or "short"


def judged(case: Case, inputs: Inputs, **options: Any) -> Report:
    return gradcheck.check(
        gradcheck.from_pair(case.f, case.vjp, name=case.name, frozen=case.frozen), *inputs, **options
    )


def smooth() -> list[Case]:
    """The hosts that are differentiable everywhere in their domain."""
    return [c for c in hosts() if isinstance(c.domain, OpDomain) and c.domain.row and c.domain.row.kinks is None]


def scaled(case: Case, factor: float, dtype: str | None = None) -> Case:
    """The gradient of the first input off by a factor."""
    block = next(i for i in range(len(case.domain.draws)) if i not in case.frozen)

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = list(case.vjp(inputs, g))
        gradients[block] = np.asarray(gradients[block] * np.asarray(factor, gradients[block].dtype))
        return tuple(gradients)

    return case.renamed(f"{case.name}/x{factor!r}", vjp=vjp)


def single(case: Case, *, face: str = "float32") -> Case:
    """The case computed in float32, before a float32 or a float64 face."""

    def down(a: Array) -> Array:
        return np.asarray(a.astype("float32") if a.dtype.kind == "f" else a)

    def f(*inputs: Array) -> Array:
        return np.asarray(case.f(*map(down, inputs)).astype("float32").astype(face))

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = case.vjp(tuple(map(down, inputs)), down(g))
        return tuple(None if d is None else down(d).astype(face) for d in gradients)

    return case.renamed(f"{case.name}[{face}]", f=f, vjp=vjp)


def cast(inputs: Inputs, dtype: str) -> Inputs:
    return tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in inputs)


def generic(case: Case, seed: int) -> Inputs:
    """A point of the case with values of full mantissa: the ops' own draws are dyadic, on which rounding is rare."""
    inputs = next(case.points(1, seed))
    rng = np.random.default_rng(seed)
    return tuple(
        np.asarray(a * (1 + 2**-7 * rng.uniform(-1, 1, a.shape))) if a.dtype.kind == "f" else a for a in inputs
    )


def one_off(size: int, factor: float, seed: int) -> tuple[Any, Array, int]:
    """x + x²/2, whose gradient is off by `factor` in one entry."""
    rng = np.random.default_rng([seed, size])
    x, guilty = rng.normal(size=size), int(rng.integers(size))

    def vjp(inputs: tuple[Array, ...], g: Array) -> tuple[Array]:
        d = g * (1 + inputs[0])
        d[guilty] *= factor
        return (d,)

    return gradcheck.from_pair(lambda x: x + 0.5 * x * x, vjp, name=f"one of {size}"), x, guilty


@dataclass
class Faults:
    """What became of planted faults."""

    total: int
    missed: list[str]
    kinds: dict[str, Counter[str]]
    first: int
    honest: int
    wrong_input: list[str]
    indexed: int
    wrong_index: list[str]


def planted_faults(chosen: Callable[[int, int], bool] = lambda i, j: True) -> Faults:
    """Fault operators on op hosts, wherever the mistake shows at the point. `chosen` picks (fault, host) by number."""
    tally = Faults(0, [], defaultdict(Counter), 0, 0, [], 0, [])
    for case, inputs in planted(FAULTS, chosen):
        report = judged(case, inputs, seed=zlib.crc32(case.name.encode()))
        tally.total += 1
        if report.verdict is not Verdict.FAIL:
            tally.missed.append(case.name)
            continue
        finding = report.findings[0]
        tally.kinds[case.fault][finding.kind.name] += 1
        tally.first += finding.kind.name == case.kind
        tally.honest += finding.kind.name in (case.kind, *case.also)
        if case.input is not None and finding.input != case.input:
            tally.wrong_input.append(case.name)
        if case.index is not None and case.input is not None:
            shape = inputs[case.input].shape
            tally.indexed += 1
            if finding.index != tuple(k % n for k, n in zip(case.index, shape, strict=True)):
                tally.wrong_index.append(case.name)
    return tally


def rate(cases: Sequence[tuple[Case, Inputs]]) -> Counter[str]:
    """How many of each verdict."""
    return Counter(judged(case, inputs, seed=k).verdict.value for k, (case, inputs) in enumerate(cases))


def localisation(size: int, factor: float, trials: int) -> tuple[int, int, int]:
    """(found at the right entry, forward calls of the dearest failing check beyond a passing one's, median passing)."""
    found, dearest = 0, 0
    passing = []
    for seed in range(trials):
        target, x, guilty = one_off(size, factor, seed)
        right, _, _ = one_off(size, 1.0, seed)
        report, clean = gradcheck.check(target, x, seed=seed), gradcheck.check(right, x, seed=seed)
        found += report.verdict is Verdict.FAIL and report.findings[0].index == (guilty,)
        passing.append(clean.evaluations)
        dearest = max(dearest, report.evaluations - clean.evaluations)
    return found, dearest, int(median(passing))


MEMORY = """
import resource, numpy as np, gradcheck
n = 10_000_000
x = np.linspace(0.5, 2.0, n)
target = gradcheck.from_pair(lambda x: 0.5 * x * x, lambda inputs, g: (g * inputs[0],), name="ten million")
gradcheck.check(target, x[:8])  # what is imported late is imported now
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = gradcheck.check(target, x)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert report, report
print((peak - before) * 1024 / x.nbytes)
"""


def memory() -> float:
    """Peak of a check of 10⁷ entries beyond the caller's own, in arrays of that size, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    return float(done.stdout)


def examples_a_second(examples: int = 200) -> tuple[float, float]:
    """(examples a second, seconds for 200) of `search` on a 3 → 2 dense layer, after a warm-up."""

    def dense(x: Array, w: Array, b: Array) -> Any:
        return x @ w + b, lambda dy: (dy @ w.T, x.T @ dy, dy.sum(0))

    shapes = {"x": ("n", 3), "w": (3, 2), "b": (2,)}
    gradcheck.search(dense, shapes, max_examples=20, seed=0)
    started = time.perf_counter()
    report = gradcheck.search(dense, shapes, max_examples=examples, seed=1)
    seconds = time.perf_counter() - started
    assert report.verdict is Verdict.PASS, report
    return report.examples / seconds, seconds * 200 / report.examples


def line(what: str, target: str, measured: str, met: bool) -> Line:
    return what, target, measured, "met" if met else "SHORT"


def faults_lines(tally: Faults) -> list[Line]:
    n, caught = tally.total, tally.total - len(tally.missed)
    return [
        line("planted faults caught", "100 %", f"{caught} of {n}", caught == n),
        line("right kind first", "≥ 85 %", f"{tally.first / caught:.1%} (or as honest: {tally.honest / caught:.1%})",
             tally.first >= 0.85 * caught),
        line("right input", "100 %", f"{len(tally.wrong_input)} wrong", not tally.wrong_input),
        line("right index", "≥ 95 %", f"{tally.indexed - len(tally.wrong_index)} of {tally.indexed}",
             len(tally.wrong_index) <= 0.05 * tally.indexed),
    ]  # fmt: skip


def single_lines(seeds: int) -> list[Line]:
    lines = []
    for face in ("float32", "float64"):
        cases = [single(c, face=face) for c in smooth()]
        points = [(c, cast(generic(c, s), face)) for s in range(seeds) for c in cases]
        right = rate(points)
        wrong = rate([(scaled(c, 1.005), x) for c, x in points])
        n, name = len(points), "float32" if face == "float32" else "float32 inside float64"
        lines += [
            line(
                f"{name}, right",
                "0 accused",
                f"{right['fail']} of {n}; {right['inconclusive']} inconclusive",
                not right["fail"],
            ),
            line(f"{name}, 0.5 % off", "caught", f"{wrong['fail']} of {n}; {wrong['pass']} passed", wrong["fail"] == n),
        ]
    return lines


def lines(share: float) -> list[Line]:
    """Every line; `share` of the trials."""
    trials, seeds = max(1, round(100 * share)), max(1, round(10 * share))
    points = [(c, generic(c, s)) for s in range(seeds) for c in smooth()]
    rows = []
    right = rate(points)
    n = len(points)
    unsure, accused = right["inconclusive"], right["fail"]
    rows.append(line("smooth float64, inconclusive", "≤ 1 %", f"{unsure} of {n}", unsure <= 0.01 * n))
    rows.append(line("smooth float64, accused", "0", f"{accused} of {n}", not accused))
    for error in (1e-8, -1e-8):
        wrong = rate([(scaled(c, 1 + error), x) for c, x in points])
        rows.append(line(f"block off by 1 {error:+.0e}", "caught", f"{wrong['fail']} of {n}", wrong["fail"] == n))
    rows += single_lines(seeds)
    for size in (50, 10**4, 10**6):
        for factor in (1.3, 1.001):
            count = trials if size < 10**6 else max(1, trials)
            found, dearest, calls = localisation(size, factor, count)
            bound = 4 * np.log2(size) + 20
            least = count if factor == 1.3 else 0.99 * count
            rows.append(
                line(f"one of {size} off by {factor}", f"{least:g} of {count}", f"{found} of {count}", found >= least)
            )
            rows.append(line("  calls to localise it", f"≤ {bound:.0f}", str(dearest), dearest <= bound))
        allowed = 40 if size <= 50 else 60
        rows.append(line(f"calls of a passing check, {size} entries", f"≤ {allowed}", str(calls), calls <= allowed))
    calls = median(judged(c, x).evaluations for c, x in points if sum(a.size for a in x) <= 50)
    rows.append(line("calls of a passing check, ops ≤ 50 entries", "≤ 40", f"{calls:g}", calls <= 40))
    arrays = memory()
    rows.append(line("memory at 10⁷ entries", "< 12 arrays", f"{arrays:.1f}", arrays < 12))
    speed, seconds = examples_a_second()
    rows.append(line("search, 3×2 dense layer", "≥ 150 examples/s", f"{speed:.0f}", speed >= 150))
    rows.append(line("  200 examples", "< 2 s", f"{seconds:.2f}", seconds < 2))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge_table", description="the judge, measured")
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument("--faults", action="store_true", help="one line a fault operator too")
    options = parser.parse_args(arguments)
    np.seterr(all="ignore")
    console = Console(width=max(Console().width, 120))
    tally = planted_faults(lambda i, j: not options.quick or (i + j) % 10 == 0)
    table = Table(title=f"What the judge reaches: {len(FAULTS)} fault operators, {len(hosts())} ops")
    for column in ("what", "target", "measured", ""):
        table.add_column(column)
    for row in (*faults_lines(tally), *lines(0.1 if options.quick else 1.0)):
        table.add_row(*row)
    console.print(table)
    if options.faults:
        detail = Table(title="Diagnosis by fault operator")
        for column in ("fault", "kind", "named"):
            detail.add_column(column)
        for fault in FAULTS:
            detail.add_row(
                fault.name, fault.kind, ", ".join(f"{k} {n}" for k, n in tally.kinds[fault.name].most_common())
            )
        console.print(detail)
        for what, names in (("missed", tally.missed), ("input", tally.wrong_input), ("index", tally.wrong_index)):
            console.print(f"{what}: {', '.join(names) or 'none'}")


if __name__ == "__main__":
    main()
