"""How often the clock's tier accuses linear code, and how often it finds each planted fault, idle and under load.

    python -m benchmarks.linearity [--runs 100] [--load 4] [--code linear copying …]

`--load` starts so many processes that do nothing but multiply, besides whatever else the machine does. What counts here
is the clock alone: the exact counts, which find the planted faults at the first run, are left out.
"""

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from rich.console import Console

from gradcheck.cost import FAMILIES, measure
from gradcheck.cost.curve import grown, works_of
from gradcheck.cost.scaling import CLOCK_GATE
from properties import planted_sweeps as planted

LINEAR = {"scalar": FAMILIES["scalar"], "tensor": FAMILIES["tensor"], "dense": FAMILIES["dense"]}
FAULTS = {"copying": planted.copying, "scanning": planted.scanning, "revisiting": planted.revisiting}


def accused(code: str, runs: int) -> tuple[int, float, float]:
    """Of so many curves, how many are super-linear by the clock; the least and largest lower bound of the share."""
    make = (LINEAR | FAULTS)[code]
    works = list(works_of(make, grown(make)).values())
    curves = [measure(works) for _ in range(runs)]
    lows = [curve.time.share.low for curve in curves]
    return sum(curve.time.beyond(CLOCK_GATE) for curve in curves), min(lows), max(lows)


def _multiply() -> None:
    x = np.eye(300)
    while True:
        x = x @ x


@contextmanager
def load(processes: int) -> Iterator[None]:
    """So many busy processes besides."""
    busy = [multiprocessing.Process(target=_multiply, daemon=True) for _ in range(processes)]
    for process in busy:
        process.start()
    try:
        yield
    finally:
        for process in busy:
            process.terminate()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--load", type=int, default=0)
    parser.add_argument("--code", nargs="+", choices=[*LINEAR, *FAULTS], default=[*LINEAR, *FAULTS])
    chosen = parser.parse_args(arguments)
    console = Console(highlight=False)
    with load(chosen.load):
        for code in chosen.code:
            found, least, most = accused(code, chosen.runs)
            console.print(f"{code:<12} accused {found:>3} of {chosen.runs}, lower bounds {least:.3f} … {most:.3f}")


if __name__ == "__main__":
    main()
