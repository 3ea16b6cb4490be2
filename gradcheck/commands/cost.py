"""`gradcheck cost`: whether a backward pass is linear in its edges, or became slower."""

from pathlib import Path
from typing import Any

from gradcheck.commands import arguments
from gradcheck.commands.arguments import Commands, Parser


def declare(commands: Commands) -> None:
    """Say what it takes."""
    cost = commands.add_parser("cost", help="measure whether a backward pass is linear in its edges, or became slower")
    cost.add_argument("target", nargs="?", metavar="MODULE:ATTR", help="a factory or layer instead of the reference")
    cost.add_argument("--shapes", metavar='"x: n,64; w: 64,32"', help="inputs of a layer; the letters grow")
    cost.add_argument("--per", choices=("edge", "element"), help="count the size in these")
    cost.add_argument("--order", type=arguments.count, metavar="P", help="the power in which the cost may grow: 1")
    cost.add_argument("--plot", metavar="OUT.svg", help="draw cost against size, with the fit and its 95%% band")
    cost.add_argument("--report", metavar="PATH", help="write the curves to PATH, .html or .jsonl")
    cost.add_argument("--instructions", action="store_true", default=None, help="count them too, by callgrind")
    versions = cost.add_mutually_exclusive_group()
    versions.add_argument("--against", metavar="REV|PYTHON", help="compare with another version, measured in turns")
    versions.add_argument("--save", metavar="NAME", help="store this run in .benchmarks")
    versions.add_argument("--compare", nargs="?", const="last", metavar="RUN", help="with a stored run: the last")


def main(parser: Parser, report: str | None = None, **settings: Any) -> int:
    """Measure, or compare; print it, draw it and store it as asked."""
    from gradcheck.cost import command

    kept: list[tuple[str, Any]] = []
    try:
        if report is not None:
            _refuse_report(report, settings)
            settings["keep"] = lambda name, curve: kept.append((name, curve))
        code = command.main(**settings)
        if kept:
            _write_costs(report or "", kept)
        return code
    except ModuleNotFoundError as missing:  # of an extra; it says which
        parser.error(str(missing))
    except ValueError as error:
        parser.error(str(error))


def _refuse_report(path: str, settings: dict[str, Any]) -> None:
    """Raise ValueError where curves could not be written after they have been measured."""
    from gradcheck.plugin.reading import writable

    if versions := {"against", "save", "compare"} & settings.keys():
        raise ValueError(f"--report is about curves, and --{versions.pop()} measures none: leave one of them out")
    try:
        writable(Path(path))
    except ValueError as error:
        raise ValueError(f"--report: {error}") from None


def _write_costs(path: str, kept: list[tuple[str, Any]]) -> None:
    from gradcheck.render.costs import cost_record
    from gradcheck.render.writing import write

    write(path, [cost_record(curve, target_ref=name) for name, curve in kept])
    print(f"written to {path}")
