"""A table of every scheme on every calibration function: how often its error covers the truth, how far it overshoots.

``pytest benchmarks/test_numeric_calibration.py -s`` prints it; a cell reads coverage, median estimate over true error.
"""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from gradcheck.numeric import Backward, Central, ComplexStep, Fit, Forward, Richardson
from gradcheck.numeric.calibration import CASES, Calibration, measure

SCHEMES = (Richardson(), Fit(), ComplexStep(), Central(), Central(4), Forward(1), Forward(3), Backward(3))
POINTS = 25


def _cell(calibration: Calibration) -> str:
    if not calibration.answered:
        return "refused"
    slack = f"{calibration.slack:.0e}" if math.isfinite(calibration.slack) else "exact"
    return f"{calibration.coverage:4.0%} {slack}"


def test_calibration_of_every_scheme(benchmark: Any) -> None:
    """Everything is measured; the adaptive schemes cover the truth in 99% of all points."""

    def run() -> dict[str, list[Calibration]]:
        return {name: [measure(scheme, case, POINTS) for scheme in SCHEMES] for name, case in CASES.items()}

    rows = benchmark.pedantic(run, rounds=1)
    table = Table(title=f"coverage and median estimated/true error, {POINTS} points a function")
    table.add_column("function")
    for scheme in SCHEMES:
        accuracy = getattr(scheme, "accuracy", "")
        table.add_column(f"{type(scheme).__name__} {accuracy}".strip())
    for name, row in rows.items():
        table.add_row(name, *map(_cell, row))
    Console(width=140).print(table)
    for column, scheme in enumerate(SCHEMES[:2]):
        mean = sum(row[column].coverage for row in rows.values()) / len(rows)
        assert mean >= 0.99, f"{scheme}: {mean:.1%}"
