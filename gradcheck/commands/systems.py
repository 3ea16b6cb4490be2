"""`gradcheck systems`: the five worked systems, trained and compared three ways."""

import argparse
import inspect

from gradcheck.commands import arguments
from gradcheck.commands.arguments import OK, WRONG, Commands, Parser

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


def declare(commands: Commands) -> None:
    """Say what it takes."""
    systems = commands.add_parser(
        "systems",
        help="train the five worked systems and compare hand formula, graph engine and finite differences",
        description="Train the worked systems and compare hand formula = graph engine = finite differences.",
        epilog=SYSTEMS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    systems.add_argument("names", nargs="*", metavar="SYSTEM", help=f"{', '.join(NAMES)}; all of them by default")
    systems.add_argument("--steps", type=arguments.count, metavar="N", help="descent steps")
    systems.add_argument("--learning-rate", type=arguments.real, metavar="A", help="learning rate of the descent")
    systems.add_argument("--hidden", type=arguments.whole, metavar="H", help="number of hidden layers")
    systems.add_argument("--units", type=arguments.several, metavar="U[,U…]", help="units of each, or of all")
    systems.add_argument("--activation", type=arguments.names, metavar="G[,G…]", help="activation of each, or of all")
    systems.add_argument("--seed", type=arguments.seed, metavar="S", help="seed of the data and the initial parameters")


def main(parser: Parser, names: list[str], **settings: object) -> int:
    """Train those named, all of them by default, and print a table each."""
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


def _refuse_foreign(parser: Parser, chosen: list[str], settings: dict[str, object]) -> None:
    """Refuse a hyperparameter that one of the chosen systems does not have, naming those that have it."""
    from gradcheck.systems import SYSTEMS

    for option in settings:
        have = [name for name, run in SYSTEMS.items() if option in inspect.signature(run).parameters]
        if lack := [name for name in chosen if name not in have]:
            flag = "--" + option.replace("_", "-")
            parser.error(f"{flag} does not fit {', '.join(lack)}; try: gradcheck systems {' '.join(have)} {flag} …")
