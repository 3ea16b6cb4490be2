"""`gradcheck campaign`: many layers over many draws, on all cores or a cluster."""

import sys
from typing import Any

from gradcheck.commands import arguments
from gradcheck.commands.arguments import BROKEN, Commands, Parser


def declare(commands: Commands) -> None:
    """Say what it takes."""
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
    campaign.add_argument("--budget", type=arguments.count, metavar="N", help="examples a target, dtype, block (1000)")
    campaign.add_argument("--examples", type=arguments.count, metavar="N", help="examples a cell (100)")
    campaign.add_argument("--shard", type=arguments.shard, metavar="I/N", help="judge the I-th of N parts only")
    campaign.add_argument("-o", "--output", default="campaign.jsonl", metavar="FILE", help="(campaign.jsonl)")
    campaign.add_argument("-j", "--jobs", type=arguments.count, metavar="N", help="processes; one a core else")
    campaign.add_argument("--scheduler", metavar="ADDRESS", help="judge on the Dask cluster there, tcp://host:8786")
    campaign.add_argument("--seconds", type=arguments.positive, metavar="S", help="the most that a cell may take (600)")
    campaign.add_argument("--megabytes", type=arguments.positive, metavar="M", help="the memory of a process (4096)")


def main(parser: Parser, targets: list[str], output: str, **settings: Any) -> int:
    """Judge every cell that the file does not have yet."""
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
