"""Assignment: every parameter and every input gets the place where its gradient appears, or none."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradcheck.adapters.aftermath import Aftermath
from gradcheck.adapters.naming import GRADIENTS, stems
from gradcheck.adapters.observe import Observed, Parameter
from gradcheck.adapters.pairing import Candidate, by_name, by_shape, of_inputs, same_shape
from gradcheck.adapters.passes import Performance, is_label
from gradcheck.adapters.trees import leaves
from gradcheck.adapters.walk import Array, Path, Step, arrays, numbers, places, spelled

Grads = Callable[[Any], Mapping[str, Any]] | Mapping[str, str] | None
Params = Callable[[Any], Mapping[str, Array]] | Iterable[str] | None
Leaf = tuple[int, str | None, Array]
"""A float array among the inputs: its position, its name, and itself."""


_ONLY = ("x", "X", "input", "inputs", "inp", "x_in")
"""What a gradient of the only input may be called after, whatever that is called: self.dx, self.dinputs."""


@dataclass
class Assignment:
    """Places of gradients, by parameter name and by input position; `notes` say what is less than certain."""

    of_parameters: dict[str, Path] = field(default_factory=dict)
    of_inputs: dict[int, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """A forward, a backward and what that returned; a backward with the cotangents doubled; and where backward steps an
    optimiser, a second backward on what the first left, if it can be entered twice.
    """

    done: Performance
    after: Aftermath
    returned: list[Candidate]
    twice: Aftermath
    again: Aftermath | None

    def is_gradient(self, path: Path, array: Array) -> bool:
        """Whether an array doubles with the cotangent, as a cache does not; and a second backward leaves it as it is or
        adds as much to it, as it does not to a moment, a mean over steps.
        """
        if not array.any() or not _is_multiple(self.twice.gradient(path), 2, array):
            return False
        second = array if self.again is None else self.again.gradient(path)
        return _is_multiple(second, 1, array) or _is_multiple(second, 2, array)


def assigned(
    parameters: Mapping[str, Parameter], inputs: Sequence[Leaf], run: Run, given: Mapping[str, str] | None
) -> Assignment:
    """Who has which gradient. inputs: those that may have one; given: the places that the caller named.

    By name first, returned or kept or handed to an optimiser; then what is left of the returned ones, by order and
    shape; then what was kept, by shape alone; at last what a step inside backward changed.
    """
    found, after, before = Assignment(), run.after, arrays(run.done.layer)
    these = [array for name in parameters for array in (after.before[name], after.now[name])]
    returned = [c for c in run.returned if len(c.path) < 3 or not any(c.array is array for array in these)]  # (W, dW)
    own = {path for p in parameters.values() for path in p.paths}
    everything = [
        Candidate(path, path, array)
        for path, array in arrays(SimpleNamespace(layer=after.layer), asked=GRADIENTS).items()
        if path[1:] not in own
    ]
    everything += [  # the gradient of an array of one entry may be a number
        Candidate(path, path, np.asarray(value)) for path, value in numbers(SimpleNamespace(layer=after.layer)).items()
    ]
    kept = [c for c in everything if not _same(before.get(c.path[1:]), c.array)]

    def take(name: str, chosen: Candidate | None, note: str = "") -> None:
        if chosen is not None and name not in found.of_parameters:
            found.of_parameters[name] = chosen.path
            found.notes.extend([f"{spelled(chosen.path)} {note} {name}"] if note else [])

    if given is not None:
        _take(found, given, parameters, [*returned, *everything])
    else:
        for candidates in (returned, kept):
            for name, parameter in parameters.items():
                take(name, by_name(parameter, candidates))
        if any(path[0].key == "layer" for path in found.of_parameters.values()):
            for name, parameter in parameters.items():  # one that backward forgot, beside others that it fills
                take(name, by_name(parameter, everything))
        for name in after.recorded():
            found.of_parameters.setdefault(name, (Step("attribute", "recorded"), Step("item", name)))
    unpaired = [p for name, p in parameters.items() if name not in found.of_parameters]
    free = [
        c for c in returned
        if c.path not in found.of_parameters.values()
        and (_fits(c, [a for _, _, a in inputs]) or not _fits(c, [p.array for p in unpaired]))
    ]  # fmt: skip
    wanted = inputs
    if len(free) < len(inputs):  # y beside x is an input like any other where backward has a gradient of it
        wanted = [leaf for leaf in inputs if not is_label(leaf[1], [name for _, name, _ in inputs])]
    found.of_inputs = by_argument(after.returned, run.done.inputs)
    if not found.of_inputs:
        found.of_inputs = {i: c.path for i, c in of_inputs(free, [(i, n, a.shape) for i, n, a in wanted]).items()}
    if not found.of_inputs and not returned:
        found.of_inputs = kept_of_inputs(kept, inputs)
    if given is not None:
        return found
    left = [c for c in returned if c.path not in (*found.of_parameters.values(), *found.of_inputs.values())]
    doubling = [c for c in kept if run.is_gradient(c.path, c.array)]
    for candidates in (left, doubling):
        rest = {name: p for name, p in parameters.items() if name not in found.of_parameters}
        for name, parameter in rest.items():
            unused = [c for c in candidates if c.path not in found.of_parameters.values()]
            take(name, by_shape(parameter, list(rest.values()), unused), "taken by its shape for the gradient of")
    for name, change in after.stepped().items():
        path = (Step("attribute", "stepped"), Step("item", name))
        if name not in found.of_parameters and run.is_gradient(path, change):
            found.of_parameters[name] = path
            found.notes.append(f"the gradient of {name} is what backward's own step changed, over its rate")
    if not found.of_inputs and not found.of_parameters:  # places for gradients that backward leaves as they were
        for name, parameter in parameters.items():
            take(name, by_name(parameter, everything))
    return found


def kept_of_inputs(kept: Sequence[Candidate], inputs: Sequence[Leaf]) -> dict[int, Path]:
    """Where a backward that returns nothing keeps the gradients of inputs: self.dx for x, self.grad_input for the only
    one, by name and shape.

    >>> place = (Step("attribute", "layer"), Step("attribute", "grad_input"))
    >>> kept_of_inputs([Candidate(place, place, np.ones(2))], [(0, "x", np.zeros(2))]).keys()
    dict_keys([0])
    """
    found = {}
    judged = [leaf for leaf in inputs if not is_label(leaf[1], [name for _, name, _ in inputs])]
    for i, name, array in judged:
        names = [name or "", *(_ONLY if len(judged) == 1 else ())]
        called = [c for c in kept if set(stems(c.word)).intersection(names)]
        fitting = [c for c in called if same_shape(c.array, array.shape)]
        fitting = fitting or [c for c in called if name in stems(c.word)]  # its very name: another shape is the bug
        if len(fitting) == 1:
            found[i] = fitting[0].path
    return found


def by_argument(returned: Any, arguments: Sequence[Any]) -> dict[int, Path]:
    """Where backward returned one thing for each argument of forward, None among them: which gradient is whose.

    >>> {i: spelled(path) for i, path in by_argument((1.0, None, 2.0), [np.ones(2), 3, np.ones(2)]).items()}
    {0: 'returned[0]', 1: 'returned[2]'}
    """
    one_each = isinstance(returned, tuple | list) and len(returned) == len(arguments)
    if not one_each or not any(gradient is None for gradient in returned):
        return {}
    found: dict[int, Path] = {}
    position = 0
    for i, (gradient, argument) in enumerate(zip(returned, arguments, strict=True)):
        if isinstance(argument, np.ndarray) and isinstance(gradient, np.ndarray | np.generic | float):
            found[position] = (Step("attribute", "returned"), Step("item", i))
        position += sum(isinstance(leaf, np.ndarray) for _, leaf in leaves(argument))
    return found


def _same(before: Array | None, now: Array) -> bool:
    return before is not None and np.array_equal(before, now, equal_nan=True)


def _fits(candidate: Candidate, arrays: Sequence[Array]) -> bool:
    return any(same_shape(candidate.array, array.shape) for array in arrays)


def _is_multiple(other: Any, factor: int, array: Array) -> bool:
    """Whether an array is another times a factor.

    1e-6 of its size is far above the rounding of either precision, and far below the difference between once and twice.
    """
    if not isinstance(other, np.ndarray) or other.shape != array.shape:
        return False
    size = float(np.max(np.abs(array), initial=0.0))
    return np.allclose(other, factor * array, rtol=1e-6, atol=1e-6 * size)


def chosen(observed: Observed, params: Params) -> dict[str, Parameter]:
    """The parameters that the caller names, by path or by a function of the layer."""
    everywhere = {path: value for path, value in places(observed.layer) if isinstance(value, np.ndarray)}
    wanted: dict[str, Array | None]
    if callable(params):
        wanted = dict(params(observed.layer))
    else:
        wanted = {
            name: next((a for path, a in everywhere.items() if name in (spelled(path), str(path[-1].key))), None)
            for name in params or ()
        }
    found = {}
    for name, array in wanted.items():
        paths = [path for path, value in everywhere.items() if value is array]
        if array is None or not paths:
            known = ", ".join(map(spelled, everywhere)) or "no array"
            raise ValueError(f"params names {name!r}, and the layer has {known}; name one of these")
        found[name] = Parameter(paths, array)
    return found


def _take(
    found: Assignment, given: Mapping[str, str], parameters: Mapping[str, Parameter], candidates: list[Candidate]
) -> None:
    """The gradients that the caller names, by path."""
    for name, place in given.items():
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise ValueError(f"grads names a parameter {name!r}, and the parameters are {known}; name one of these")
        chosen = next((c for c in candidates if place in (spelled(c.path), spelled(c.path[1:]))), None)
        if chosen is None:
            known = ", ".join(spelled(c.path) for c in candidates) or "nothing"
            raise ValueError(f"grads has the gradient of {name} in {place!r}; after backward there is {known}")
        found.of_parameters[name] = chosen.path
