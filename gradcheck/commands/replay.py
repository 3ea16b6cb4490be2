"""`gradcheck replay`: recorded failures judged again."""

import sys

from gradcheck.commands.arguments import Commands, Parser


def declare(commands: Commands) -> None:
    """Say what it takes."""
    replay = commands.add_parser("replay", help="judge recorded failures again: fixed, still failing or changed")
    replay.add_argument("paths", nargs="+", metavar="FILE[:LINE]", help="of a file, all that are no PASS")
    replay.add_argument("--target", metavar="MODULE:ATTR", help="judge this layer at the recorded inputs instead")
    replay.add_argument("--plot", action="store_true", help="draw the V-curve and the wrong entries in characters")


def main(parser: Parser, paths: list[str], target: str | None = None, plot: bool = False) -> int:
    """Judge each again and print what became of it."""
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
