"""The command line: ``gradcheck run``, ``systems``, ``report``, ``replay``, ``cost``, ``campaign``.

The exit codes are pytest's. 0: every gradient is right, every cost linear. 1: some are not. 2: interrupted. 3: broken
off. 4: the command was not understood. 5: nothing was told.
"""

import argparse
import inspect
import io
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import gradcheck

OK, WRONG, BROKEN, USAGE = 0, 1, 3, 4
NAMES = ("S1", "S2", "S3", "S4", "S5")  # here too, so that --help need not import numpy
SYSTEMS_HELP = """the systems:
  S1  the regularised sigmoid classifier       --hidden --units
  S2  the bias-free delta rule                 --hidden --units
  S3  the two-layer mini-batch example
  S4  the computational graph, its grad_table, and two regressions
  S5  the L-layer network                      --hidden --units --activation
all take --steps, --learning-rate and --seed

each cell of a table is the largest difference of a pair and the bound it is held to:
rounding for hand = engine, the finite difference's own error estimate for the others
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors exit with pytest's code for them, 4, where argparse has 2."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message on stderr, and leave."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments, by default those of the process; return the exit code."""
    parser = Parser(prog="gradcheck", description="A test bench for gradients.")
    parser.add_argument("--version", action="version", version=f"gradcheck {gradcheck.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="hold layers, or the reference backprop, to finite differences")
    run.add_argument("targets", nargs="*", metavar="MODULE[:ATTR]", help="layers to check instead of the reference; "
        "all that a module, FILE.py or FOLDER has")
    run.add_argument("--examples", type=_count, metavar="N", help="cases or random architectures to draw")
    run.add_argument("--seed", type=_seed, metavar="S", help="draw the same ones again")
    layers = run.add_argument_group("of layers")
    layers.add_argument("--shapes", action="append", metavar='"x: n,k; w: k,m"', help="inputs; found by trying else")
    layers.add_argument("--dtype", action="append", metavar="DTYPE", help="float64, float32, float16, bfloat16 …")
    layers.add_argument("--xfails", metavar="FILE", help="known failures, as pytest's --gradcheck-xfails takes them")
    layers.add_argument("--strict", action="store_true", default=None, help="fail where nothing could be told")
    layers.add_argument("--plot", action="store_true", default=None, help="draw the V-curve and the wrong entries")
    layers.add_argument("--report", metavar="PATH", help="write the verdicts to PATH, .html or .jsonl")

    systems = commands.add_parser(
        "systems",
        help="train the five worked systems and compare hand formula, graph engine and finite differences",
        description="Train the worked systems and compare hand formula = graph engine = finite differences.",
        epilog=SYSTEMS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    systems.add_argument("names", nargs="*", metavar="SYSTEM", help=f"{', '.join(NAMES)}; all of them by default")
    systems.add_argument("--steps", type=_count, metavar="N", help="descent steps")
    systems.add_argument("--learning-rate", type=float, metavar="A", help="learning rate of the descent")
    systems.add_argument("--hidden", type=int, metavar="H", help="number of hidden layers")
    systems.add_argument("--units", type=_integers, metavar="U[,U…]", help="units of each, or of all")
    systems.add_argument("--activation", type=_names, metavar="G[,G…]", help="activation of each, or of all")
    systems.add_argument("--seed", type=_seed, metavar="S", help="seed of the data and the initial parameters")

    report = commands.add_parser("report", help="make one page of recorded verdicts, of several shards too")
    report.add_argument("paths", nargs="+", metavar="FILE", help="JSON lines, as --gradcheck-report FILE.jsonl writes")
    report.add_argument("-o", "--out", required=True, metavar="PAGE.html", help="the page to write, one file")

    replay = commands.add_parser("replay", help="judge recorded failures again: fixed, still failing or changed")
    replay.add_argument("paths", nargs="+", metavar="FILE[:LINE]", help="of a file, all that are no PASS")
    replay.add_argument("--target", metavar="MODULE:ATTR", help="judge this layer at the recorded inputs instead")
    replay.add_argument("--plot", action="store_true", help="draw the V-curve and the wrong entries in characters")

    cost = commands.add_parser("cost", help="measure whether a backward pass is linear in its edges, or became slower")
    cost.add_argument("target", nargs="?", metavar="MODULE:ATTR", help="a factory or layer instead of the reference")
    cost.add_argument("--shapes", metavar='"x: n,64; w: 64,32"', help="inputs of a layer; the letters grow")
    cost.add_argument("--per", choices=("edge", "element"), help="count the size in these")
    cost.add_argument("--order", type=_count, metavar="P", help="the power in which the cost may grow: 1")
    cost.add_argument("--plot", metavar="OUT.svg", help="draw cost against size, with the fit and its 95%% band")
    cost.add_argument("--report", metavar="PATH", help="write the curves to PATH, .html or .jsonl")
    cost.add_argument("--instructions", action="store_true", default=None, help="count them too, by callgrind")
    versions = cost.add_mutually_exclusive_group()
    versions.add_argument("--against", metavar="REV|PYTHON", help="compare with another version, measured in turns")
    versions.add_argument("--save", metavar="NAME", help="store this run in .benchmarks")
    versions.add_argument("--compare", nargs="?", const="last", metavar="RUN", help="with a stored run: the last")

    campaign = commands.add_parser(
        "campaign",
        help="judge many layers over many draws, on all cores or a cluster",
        description="Judge target × dtype × block × draw, each cell in a guarded process, and append every verdict to "
        "a file. The same command goes on where it stopped.",
    )
    campaign.add_argument("targets", nargs="*", metavar="MODULE:ATTR", help="layers to judge instead of the reference")
    campaign.add_argument("--dtype", action="append", dest="dtypes", metavar="DTYPE", help="as in gradcheck run")
    block_help = "a block of the target, or shapes of its inputs; all of its own else"
    campaign.add_argument("--block", action="append", dest="blocks", metavar='"x: n,k; w: k,m"', help=block_help)
    campaign.add_argument("--budget", type=_count, metavar="N", help="examples a target, dtype and block (1000)")
    campaign.add_argument("--examples", type=_count, metavar="N", help="examples a cell (100)")
    campaign.add_argument("--shard", type=_shard, metavar="I/N", help="judge the I-th of N parts only")
    campaign.add_argument("-o", "--output", default="campaign.jsonl", metavar="FILE", help="(campaign.jsonl)")
    campaign.add_argument("-j", "--jobs", type=_count, metavar="N", help="processes; one a core else")
    campaign.add_argument("--scheduler", metavar="ADDRESS", help="judge on the Dask cluster there, tcp://host:8786")
    campaign.add_argument("--seconds", type=_positive, metavar="S", help="the most that a cell may take (600)")
    campaign.add_argument("--megabytes", type=_positive, metavar="M", help="the most memory of a process (4096)")

    for stream in (sys.stdout, sys.stderr):  # a terminal without Greek letters gets question marks, not a traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    settings = vars(parser.parse_args(arguments))
    command = settings.pop("command")
    given = {name: value for name, value in settings.items() if value is not None}
    actions: dict[str, Callable[..., int]] = {
        "run": _run,
        "systems": _systems,
        "campaign": _campaign,
        "report": _report,
        "replay": _replay,
        "cost": _cost,
    }
    return actions[command](commands.choices[command], **given)


def _campaign(parser: Parser, targets: list[str], output: str, **settings: Any) -> int:
    if "jobs" in settings and "scheduler" in settings:
        parser.error("--jobs counts processes of this machine: leave it out beside --scheduler")
    from gradcheck.campaign import BrokenCampaignError, LedgerError, command
    from gradcheck.suite.targets import TargetError

    try:
        return command.main(targets, output, **settings)
    except ImportError as missing:
        parser.error(f"--scheduler needs {missing.name}, which is missing: pip install 'gradcheck[cluster]'")
    except (TargetError, LedgerError, ValueError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    except BrokenCampaignError as error:
        print(f"gradcheck campaign: {error}", file=sys.stderr)
        return BROKEN


def _run(parser: Parser, targets: list[str], **settings: Any) -> int:
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


def _systems(parser: Parser, names: list[str], **settings: object) -> int:
    chosen = [name.upper() for name in names] or list(NAMES)
    if unknown := [name for name in names if name.upper() not in NAMES]:
        parser.error(f"unknown system {', '.join(unknown)}: the systems are {', '.join(NAMES)}")

    from rich.console import Console

    from gradcheck.systems import SYSTEMS
    from gradcheck.systems.table import show

    _refuse_foreign(parser, chosen, settings)
    if "hidden" not in settings:  # a list of units or activations says how many layers there are
        lists = [value for value in settings.values() if isinstance(value, tuple) and len(value) > 1]
        settings |= {"hidden": len(lists[0])} if lists else {}
    console, wrong, claims = Console(highlight=False), [], 0
    for name in dict.fromkeys(chosen):
        try:
            outcome = SYSTEMS[name](**settings)
        except (ValueError, FloatingPointError) as error:  # settings out of range, a descent that diverged
            parser.error(f"{name}: {error}")
        show(console, name, outcome)
        claims += len(outcome.checks)
        wrong += [f"{name} {check.quantity}: {check.pair}" for check in outcome.checks if not check.ok]
    for claim in wrong:
        console.print(f"WRONG  {claim}", style="bold red", markup=False)
    console.print(f"{claims - len(wrong)} of {claims} claims hold.")
    return WRONG if wrong else OK


def _report(parser: Parser, paths: list[str], out: str) -> int:
    try:
        from gradcheck.render.html import page
    except ImportError as missing:
        parser.error(f"a page needs jinja2 and matplotlib; {missing.name} is missing: pip install 'gradcheck[report]'")
    from gradcheck.render.records import read

    try:
        records, complaints = read(paths)
        print(*complaints, sep="\n", end="\n" if complaints else "", file=sys.stderr)
        Path(out).write_text(page(records, complaints), encoding="utf-8")
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    except ValueError as error:
        parser.error(str(error))
    failing = sum(made["verdict"] == "fail" for made in records)
    print(f"{out}: {len(records)} verdict{'s' if len(records) > 1 else ''}, {failing} FAIL")
    return OK


def _replay(parser: Parser, paths: list[str], target: str | None = None, plot: bool = False) -> int:
    from rich.console import Console

    from gradcheck import replay
    from gradcheck.progress import watching
    from gradcheck.render.block import show
    from gradcheck.render.text import drawn

    sys.path.insert(0, "")  # as python -m does: the layers lie where the command is given
    try:
        chosen, complaints = replay.choose(paths)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    print(*complaints, sep="\n", end="\n" if complaints else "", file=sys.stderr)
    if complaints and not chosen:
        parser.error("nothing to replay: see above")
    console, done = Console(highlight=False, markup=False), []
    with watching("replaying", len(chosen)) as watcher:
        for made in chosen:
            done.append(replay.replay(made, target, closer=plot))
            watcher.saw(done[-1].report)
    for again in done:
        console.print(again.line, soft_wrap=True)
        if again.report is not None and (len(done) == 1 or plot):
            show(again.report, console)
        if again.look is not None:
            console.print("\n" + drawn(again.look, console.width), soft_wrap=True)
    if len(done) != 1:
        counts = [(sum(again.word is word for again in done), word.value) for word in replay.Word]
        console.print(", ".join(f"{count} {word}" for count, word in counts if count) or "No failure is recorded here.")
    return replay.exit_code(done)


def _refuse_foreign(parser: Parser, chosen: list[str], settings: dict[str, object]) -> None:
    """Refuse a hyperparameter that one of the chosen systems does not have, naming those that have it."""
    from gradcheck.systems import SYSTEMS

    for option in settings:
        have = [name for name, run in SYSTEMS.items() if option in inspect.signature(run).parameters]
        if lack := [name for name in chosen if name not in have]:
            flag = "--" + option.replace("_", "-")
            parser.error(f"{flag} does not fit {', '.join(lack)}; try: gradcheck systems {' '.join(have)} {flag} …")


def _cost(parser: Parser, report: str | None = None, **settings: Any) -> int:
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
    from gradcheck.render.records import write

    write(path, [cost_record(curve, target_ref=name) for name, curve in kept])
    print(f"written to {path}")


def _count(text: str, least: int = 1) -> int:
    number = int(text)
    if number < least:
        raise argparse.ArgumentTypeError(f"{number} is below {least}")
    return number


def _seed(text: str) -> int:
    return _count(text, least=0)


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no positive number")
    return number


def _shard(text: str) -> tuple[int, int]:
    from gradcheck.plugin.selection import parse_shard

    try:
        return parse_shard(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


_integers.__name__, _count.__name__, _seed.__name__, _positive.__name__ = (
    "list of integers",
    "whole number",
    "whole number",
    "number",
)  # argparse: "invalid … value"

if __name__ == "__main__":
    sys.exit(main())
