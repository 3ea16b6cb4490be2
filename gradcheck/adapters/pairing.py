"""Pairing: which gradient belongs to which input and parameter.

By name first (params['W'] with grads['W'], W with dW, W.data with W.grad, `return dx, dw` by the words of the return
statement), then by order and shape. Never by numerical agreement with anything: that would hide the bug.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.adapters.naming import GRADIENTS, PARAMETERS, VALUES, likeness, stems
from gradcheck.adapters.observe import Parameter
from gradcheck.adapters.walk import Array, Path, Step
from gradcheck.floats import is_number


class Candidate(NamedTuple):
    """An array that may be a gradient: where it lies, and the path that its name stands for (`return dw` is a dw)."""

    path: Path
    label: Path
    array: Array

    @property
    def key(self) -> tuple[str, ...]:
        """Its key in a dict that backward returned, which may be the very name of what it is the gradient of."""
        last = self.label[-1]
        return (last.key,) if last.kind == "item" and isinstance(last.key, str) else ()

    @property
    def word(self) -> str:
        """What it is called."""
        return str(self.label[-1].key)


def same_shape(gradient: Array, shape: tuple[int, ...]) -> bool:
    """Whether a gradient fits, axes of length one aside: db of (3,) for b of (1, 3) is a habit, not a mistake."""
    return [n for n in gradient.shape if n != 1] == [n for n in shape if n != 1]


def by_name(parameter: Parameter, candidates: Sequence[Candidate]) -> Candidate | None:
    """The candidate whose name says that it is this parameter's gradient; None if none or several equally do.

    A shape that fits decides between several; a single one of the very name is taken whatever its shape, which may be
    the bug.
    """
    shape = parameter.array.shape
    scored = [
        (max(_agreement(own, c.label, same_shape(c.array, shape)) for own in parameter.paths), c) for c in candidates
    ]
    best = max((score for score, _ in scored), default=0)
    found = [c for score, c in scored if score == best] if best else []
    fitting = [c for c in found if same_shape(c.array, shape)] or found
    nearest = [c for c in fitting if len(c.path) == min(len(other.path) for other in fitting)]
    return nearest[0] if len({id(c.array) for c in nearest}) == 1 else None


def _agreement(own: Path, path: Path, fits: bool) -> int:
    """How well the name of a place fits the gradient of a parameter: 0 not at all. fits: its shape does."""
    if path == (Step("attribute", "layer"), *own):
        return 0
    mine, leaf = _words(own, PARAMETERS)
    theirs, name = _words(path[1:], GRADIENTS)
    if path[0].key == "returned":  # a place in a tuple is no name
        theirs = [key for key in theirs if not isinstance(key, int)]
    among_gradients = any(step.key in GRADIENTS for step in path[1:-1]) or path[0].key == "returned"
    score = max((likeness(str(leaf), stem) for stem in stems(name)), default=0) if isinstance(name, str) else 0
    if among_gradients:
        score = max(score, likeness(str(leaf), str(name)))
    if score and _same(mine, theirs) and (fits or score == 3):
        return 2 * score + among_gradients
    if name in GRADIENTS and leaf in VALUES and mine == theirs:  # W.data and W.grad; w beside grad may be anything
        return 7 if mine else int(fits)
    if name in GRADIENTS and not among_gradients and _same([*mine, leaf], theirs):  # W and W.grad
        return 7
    return 0


def _same(mine: Sequence[Any], theirs: Sequence[Any]) -> bool:
    pairs = zip(mine, theirs, strict=False)
    return len(mine) == len(theirs) and all(a == b or likeness(str(a), str(b)) for a, b in pairs)


def _words(path: Path, containers: Iterable[str]) -> tuple[list[Any], Any]:
    """A path without the names of containers, and its last key by itself."""
    keys = [step.key for step in path]
    return [key for key in keys[:-1] if key not in containers], keys[-1] if keys else ""


def by_shape(parameter: Parameter, others: Sequence[Parameter], candidates: Sequence[Candidate]) -> Candidate | None:
    """The only candidate of a parameter's shape, if no other parameter has that shape; single entries tell nothing."""
    shape = parameter.array.shape
    if parameter.array.size == 1 or any(other.array.shape == shape for other in others if other is not parameter):
        return None
    found = {id(c.array): c for c in candidates if c.array.shape == shape}
    return next(iter(found.values())) if len(found) == 1 else None


def of_inputs(
    returned: Sequence[Candidate], inputs: Sequence[tuple[int, str | None, tuple[int, ...]]]
) -> dict[int, Candidate]:
    """Which returned gradient belongs to which input (position, name, shape): by name where the return statement
    has names, else the i-th of a fitting shape to the i-th input; a single one belongs to a single input.
    """
    found: dict[int, Candidate] = {}
    free = list(returned)
    for position, name, _ in inputs:
        named = [c for c in free if name and any(_ends(name, stem) for stem in (*stems(c.word), *c.key))]
        if len(named) == 1:
            found[position] = named[0]
            free.remove(named[0])
    rest = [entry for entry in inputs if entry[0] not in found]
    free = [c for c in free if not c.key or any(same_shape(c.array, shape) for _, _, shape in rest)]
    if len(rest) == len(free):
        fits = [[c for c in free if same_shape(c.array, shape)] for _, _, shape in rest]
        in_order = all(same_shape(c.array, shape) for c, (_, _, shape) in zip(free, rest, strict=True))
        if not in_order and all(len(fit) == 1 for fit in fits) and len({id(fit[0].array) for fit in fits}) == len(fits):
            return found | {position: fit[0] for (position, _, _), fit in zip(rest, fits, strict=True)}
        # one each, in order, whatever their shapes: one of them may be the bug
        return found | {position: c for (position, _, _), c in zip(rest, free, strict=True)}
    for position, _, shape in rest:
        fitting = next((i for i, c in enumerate(free) if same_shape(c.array, shape)), None)
        if fitting is not None:
            found[position] = free[fitting]
            free = free[fitting + 1 :]
    return found


def _ends(name: str, stem: str) -> bool:
    """Whether a stem is an input's name, or its last word: dMean for t_mean."""
    return bool(likeness(stem, name)) or (len(stem) > 2 and bool(likeness(stem, name[-len(stem) :])))


def laid_out(returned: Any, names: Mapping[tuple[int, ...], str]) -> list[Candidate]:
    """The arrays that backward returned, in order, by the words of the return statement or by their keys."""
    found: list[Candidate] = []

    def visit(part: Any, path: Path, place: tuple[int, ...]) -> None:
        if isinstance(part, Mapping):
            for key, value in part.items():
                visit(value, (*path, Step("item", key)), (*place, -1))
        elif isinstance(part, list | tuple):
            for i, value in enumerate(part):
                visit(value, (*path, Step("item", i)), (*place, i))
        elif isinstance(part, np.ndarray | np.generic | float) and is_number(np.asarray(part).dtype):
            label = (path[0], Step("attribute", names[place])) if place in names else path
            found.append(Candidate(path, label, np.asarray(part)))

    visit(returned, (Step("attribute", "returned"),), ())
    return found
