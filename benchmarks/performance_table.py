"""What `make bench` prints: everything that speed must reach, with the figure measured here and now beside it.

    OMP_NUM_THREADS=1 python -m benchmarks.performance_table [--part engine|cost]

Some ten minutes on two processors, half of them for each part.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import engine_table  # first: it sets the number of threads

from benchmarks import cost_table  # isort: skip

PARTS: dict[str, Callable[[], Iterable[engine_table.Line]]] = {"cost": cost_table.lines, "engine": engine_table.lines}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, help="one half of it")
    chosen = parser.parse_args(arguments)
    console = Console(highlight=False, width=140)
    table = Table("what", "target", "measured", "", box=None)
    for part in [chosen.part] if chosen.part else PARTS:
        for what, target, measured, met in PARTS[part]():
            console.print(f"{what}: {measured}", style="dim", markup=False, soft_wrap=True)
            table.add_row(what, target, measured, met, style={"met": "green", "short": "red"}.get(met))
    console.print(table)


if __name__ == "__main__":
    main()
