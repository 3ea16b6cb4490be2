"""`gradcheck run`: layers by name, all that a module has, or the reference backprop, held to finite differences."""

from typing import Any

from gradcheck.commands import arguments
from gradcheck.commands.arguments import Commands, Parser


def declare(commands: Commands) -> None:
    """Say what it takes."""
    run = commands.add_parser("run", help="hold layers, or the reference backprop, to finite differences")
    run.add_argument("targets", nargs="*", metavar="MODULE[:ATTR]", help="layers to check instead of the reference; "
        "all that a module, FILE.py or FOLDER has")
    run.add_argument("--examples", type=arguments.count, metavar="N", help="cases or random architectures to draw")
    run.add_argument("--seed", type=arguments.seed, metavar="S", help="draw the same ones again")
    layers = run.add_argument_group("of layers")
    layers.add_argument("--shapes", action="append", metavar='"x: n,k; w: k,m"', help="inputs; found by trying else")
    layers.add_argument("--dtype", action="append", metavar="DTYPE", help="float64, float32, float16, bfloat16 …")
    layers.add_argument("--xfails", metavar="FILE", help="known failures, as pytest's --gradcheck-xfails takes them")
    layers.add_argument("--strict", action="store_true", default=None, help="fail where nothing could be told")
    layers.add_argument("--plot", action="store_true", default=None, help="draw the V-curve and the wrong entries")
    layers.add_argument("--report", metavar="PATH", help="write the verdicts to PATH, .html or .jsonl")


def main(parser: Parser, targets: list[str], **settings: Any) -> int:
    """Judge what is named; the code is 1 for a FAIL."""
    if targets and not any(":" in target for target in targets):
        return _census(parser, targets, **settings)
    if targets:
        from gradcheck.plugin import run

        return run.main(targets, **settings)
    if foreign := settings.keys() - {"examples", "seed"}:
        parser.error(f"--{min(foreign)} is about layers: name them, as in gradcheck run package.module:Dense")
    from gradcheck.suite import reference

    return reference.main(**settings)


def _census(parser: Parser, places: list[str], **settings: Any) -> int:
    if settings:
        parser.error(f"--{min(settings)} is about layers by name: write MODULE:ATTR, or leave it out")
    from rich.console import Console

    from gradcheck.census import census
    from gradcheck.census.table import show

    return show((one for place in places for one in census(place)), Console(highlight=False))
