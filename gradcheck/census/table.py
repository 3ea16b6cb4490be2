"""Table: what a census came to, told layer by layer and then in one table, with what the user would have to write."""

import textwrap
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from gradcheck.census import WORDS, Counted
from gradcheck.progress import watching

STYLE = {"wrong": "bold red", "raises": "red", "right": "green", "odd": "cyan", "inconclusive": "yellow"}
OK, WRONG, NOTHING = 0, 1, 5
"""pytest's exit codes: all is well, something failed, nothing was there to check."""


def show(counted: Iterable[Counted], console: Console) -> int:
    """Print each layer as it comes, then the table; return the exit code: 1 where one is wrong or raises.

    An odd layer differs from its derivative on purpose, or by an epsilon, and is named as such, not accused.
    """
    done: list[Counted] = []
    with watching("layers") as watcher:
        for one in counted:
            done.append(one)
            line = Text(f"{one.word:14}", style=STYLE.get(one.word, "dim"))
            with watcher.aside():
                console.print(line + Text(f" {one.module}:{one.name}".rstrip(":")), soft_wrap=True)
            watcher.expect(sum({other.module: other.siblings for other in done}.values()))  # of the modules read so far
            margin = max((seen.margin for seen in one.seen if seen.margin == seen.margin), default=0.0)
            watcher.show(len(done), margin, wrong=sum(other.word == "wrong" for other in done))
    for word in ("wrong", "raises", "odd", "inconclusive", "not understood"):
        _section(word, [one for one in done if one.word == word], console)
    counts = [(sum(one.word == word for one in done), word) for word in WORDS]
    settings = sum(seen.word in ("right", "wrong") for one in done for seen in one.seen)
    console.print(", ".join(f"{n} {word}" for n, word in counts if n) or "nothing to check was found", end="")
    console.print(f"; {settings} settings judged" if done else "")
    if not any(one.name for one in done):
        return NOTHING
    return WRONG if any(one.word in ("wrong", "raises") for one in done) else OK


def _section(word: str, some: list[Counted], console: Console) -> None:
    if some:
        console.print(Text(f"\n{word}", style=STYLE.get(word, "bold")))
    for one in some:
        seen = one.telling
        lines = [f"{one.module}:{one.name}".rstrip(":") + (f": {seen.kind}" if seen.kind else "")]
        lines += [f"  at {seen.worst}"] if seen.worst else []
        lines += [f"  made as {one.name}{seen.setting}"] if seen.setting.startswith("(") else []
        lines += [f"  given {seen.setting}"] if seen.setting and not seen.setting.startswith("(") else []
        lines += [f"  smallest case {textwrap.shorten(seen.case, 240, placeholder=' …')}"] if seen.case else []
        why = seen.message or one.lost
        lines += [f"  {textwrap.shorten(why, 240, placeholder=' …')}"] if why else []
        if word == "not understood" and one.template:
            path = one.path and f", with PYTHONPATH={one.path}"
            lines += [f"  to have it judged, fill in the dots and run{path}"]
            lines += [f"    {line}" for line in one.template.splitlines()]
        console.print("\n".join(lines), soft_wrap=True, markup=False)
