"""The command line: ``gradcheck run``, ``systems``, ``report``, ``replay``, ``cost``, ``campaign``.

The exit codes are pytest's. 0: every gradient is right, every cost linear. 1: some are not. 2: interrupted. 3: broken
off. 4: the command was not understood. 5: nothing was told.
"""

import io
import sys
from collections.abc import Sequence

import gradcheck
from gradcheck.commands import campaign, cost, replay, report, run, systems
from gradcheck.commands.arguments import Parser

COMMANDS = {"run": run, "systems": systems, "report": report, "replay": replay, "cost": cost, "campaign": campaign}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments, by default those of the process; return the exit code."""
    parser = Parser(prog="gradcheck", description="A test bench for gradients.")
    parser.add_argument("--version", action="version", version=f"gradcheck {gradcheck.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS.values():
        module.declare(commands)
    for stream in (sys.stdout, sys.stderr):  # a terminal without Greek letters gets question marks, not a traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    settings = vars(parser.parse_args(arguments))
    command = settings.pop("command")
    given = {name: value for name, value in settings.items() if value is not None}
    code: int = COMMANDS[command].main(commands.choices[command], **given)
    return code


if __name__ == "__main__":
    sys.exit(main())
