"""Census: count what of a module is right and what is wrong, with no line of code from its user."""

import collections
import collections.abc
import inspect
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from gradcheck.adapters.naming import LABELS
from gradcheck.census.discover import Candidate, UnreadableError, found_in, imported, modules_of, places_of
from gradcheck.census.inputs import Input, of_input
from gradcheck.census.judge import Seen, judged
from gradcheck.census.process import alone

SECONDS = 60.0
"""For one layer, by the clock: some 20 settings of an ordinary one take a quarter of it."""
MEGABYTES = 3000.0
WORDS = ("wrong", "odd", "right", "raises", "inconclusive", "not understood")


@dataclass(frozen=True)
class Counted:
    """A layer of a module, or the module itself, and what came of it.

    template: lines of Python that judge it, with dots where the sweep did not know; path: what PYTHONPATH they need.
    siblings: how many layers its module has.
    """

    module: str
    name: str
    seen: tuple[Seen, ...]
    lost: str = ""
    template: str = ""
    path: str = ""
    siblings: int = 1

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
                counted = pool.map(partial(_count, module, root, home, seconds), *zip(*listed, strict=True))
                yield from (replace(one, siblings=len(listed)) for one in counted)


def _count(module: str, root: str, home: str, seconds: float, name: str, template: str) -> Counted:
    told = list(alone(_judged, module, root, home, name, seconds, seconds=seconds + 5, megabytes=MEGABYTES))
    seen = tuple(one for one in told if isinstance(one, Seen))
    lost = next((one for one in told if isinstance(one, str)), "")
    path = os.pathsep.join(os.path.relpath(place, home) for place in places_of(root, home))
    return Counted(module, name, seen, lost, template, path)


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
    """Three lines that judge a layer, once its user has put sizes, arguments and labels in the place of the dots."""
    if inspect.isclass(candidate.layer):
        lacking = ", ".join(f"{p.name}=…" for p in candidate.arguments if p.default is p.empty)
        names, made = [candidate.name], f"{candidate.name}({lacking})"
    elif candidate.passes:
        names = [function.__name__ for function in candidate.passes]
        made = f"gradcheck.from_functions({', '.join(names)})"
    else:
        names, made = [candidate.name], candidate.name
    if all(map(_is_drawn, candidate.inputs)) and not candidate.framework:
        shapes = ", ".join(f'"{name}": (…,)' for name in candidate.inputs)
        call = f"print(gradcheck.search({made}, {{{shapes}}}))"
    else:
        dots = ", ".join("…" for _ in candidate.inputs)
        call = f"print(gradcheck.check({made}, {dots}))  # {', '.join(candidate.inputs)}"
    return f"import gradcheck\nfrom {module} import {', '.join(names)}\n{call}"


def _is_drawn(name: str) -> bool:
    """Whether an input is of any real numbers, by its name: what a search draws by its shape alone."""
    first = of_input(name, "")[0]
    return name not in LABELS and isinstance(first, Input) and first.domain == "real"
