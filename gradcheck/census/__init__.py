"""Census: count what of a module is right and what is wrong, with no line of code from its user."""

import collections
import collections.abc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gradcheck.census.discover import Candidate, UnreadableError, found_in, imported, modules_of
from gradcheck.census.judge import Seen, judged
from gradcheck.census.process import alone

SECONDS = 60.0
"""For one layer, by the clock: some 20 settings of an ordinary one take a quarter of it."""
MEGABYTES = 3000.0
WORDS = ("wrong", "odd", "right", "raises", "inconclusive", "not understood")


@dataclass(frozen=True)
class Counted:
    """A layer of a module, or the module itself, and what came of it."""

    module: str
    name: str
    seen: tuple[Seen, ...]
    lost: str = ""
    template: str = ""

    @property
    def word(self) -> str:
        """wrong, odd, right, raises, inconclusive or not understood: the first of these that was seen of it."""
        words = [seen.word for seen in self.seen]
        return next((word for word in WORDS if word in words), WORDS[-1])

    @property
    def telling(self) -> Seen:
        """What is shown of it: the last of its word, which is the smallest."""
        shown = [seen for seen in self.seen if seen.word == self.word] or self.seen or (Seen("", message=self.lost),)
        return shown[-1]


def census(place: str, *, home: str = ".", seconds: float = SECONDS, jobs: int = 2) -> Iterator[Counted]:
    """Judge whatever has a hand-written gradient in a module, a file or all files of a folder.

    place: "package.module", "layers.py" or "folder". Nothing is imported here: modules are read and layers judged in
    processes of their own, `jobs` at a time. Yields one `Counted` a layer, in the order of the source; a module that
    cannot be imported is one too, with an empty name.
    """
    home = str(Path(home).resolve())
    with ThreadPoolExecutor(jobs) as pool:
        for module, root in modules_of(place, Path(home)):
            listed = list(alone(_names, module, root, home, seconds=seconds / 2, megabytes=MEGABYTES))
            if listed and isinstance(listed[-1], str):
                yield Counted(module, "", (), listed[-1])
            elif listed:
                yield from pool.map(partial(_count, module, root, home, seconds), *zip(*listed, strict=True))


def _count(module: str, root: str, home: str, seconds: float, name: str, template: str) -> Counted:
    told = list(alone(_judged, module, root, home, name, seconds, seconds=seconds + 5, megabytes=MEGABYTES))
    seen = tuple(one for one in told if isinstance(one, Seen))
    return Counted(module, name, seen, next((one for one in told if isinstance(one, str)), ""), template)


def _names(module: str, root: str, home: str) -> Iterator[tuple[str, str] | str]:
    """The candidates of a module, each with the lines that its user would write where it is not understood."""
    try:
        _old_names()
        for candidate in found_in(imported(module, root, home)):
            yield candidate.name, template_of(module, candidate)
    except UnreadableError as error:
        yield str(error)


def _judged(module: str, root: str, home: str, name: str, seconds: float) -> Iterator[Seen]:
    _old_names()
    found = found_in(imported(module, root, home))
    yield from judged(next(candidate for candidate in found if candidate.name == name), seconds)


def _old_names() -> None:
    """Give NumPy and collections the names back that they had until 1.24 and 3.10, for modules of that time."""
    for name, kind in {"int": int, "float": float, "bool": bool, "object": object}.items():
        vars(np).setdefault(name, kind)
    for name in collections.abc.__all__:
        vars(collections).setdefault(name, getattr(collections.abc, name))


def template_of(module: str, candidate: Candidate) -> str:
    """Three lines that make a layer a target: its import, a function that makes it, and the shapes of its inputs."""
    lower = candidate.name.lower()
    arguments = ", ".join(f"{p.name}=…" for p in candidate.arguments if p.default is p.empty)
    made = f"{candidate.name}({arguments})" if candidate.arguments or not candidate.passes[1:] else candidate.name
    if len(candidate.passes) == 2:
        pair = [passed.__name__ for passed in candidate.passes]
        return (
            f"from {module} import {', '.join(pair)}\n{lower}_pair = gradcheck.from_functions({', '.join(pair)})\n"
            f"gradcheck.check({lower}_pair, {', '.join(f'{name}=…' for name in candidate.inputs)})"
        )
    shapes = "; ".join(f"{name}: n,k" for name in candidate.inputs)
    return (
        f"from {module} import {candidate.name}\ndef make_{lower}(): return {made}\n"
        f'make_{lower}.gradcheck_shapes = "{shapes}"'
    )
