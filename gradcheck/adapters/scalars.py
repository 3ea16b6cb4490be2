"""Scalars: parameters that are plain numbers, made arrays of one entry, which can be moved and judged.

Most numbers of a layer are settings: a slope, an epsilon. A parameter is one that has a gradient by name, self.alpha
beside the self.dalpha that backward leaves, and whose change alters the value.
"""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradcheck.adapters.assignment import Run
from gradcheck.adapters.naming import GRADIENTS
from gradcheck.adapters.observe import Observed, Parameter, alters
from gradcheck.adapters.pairing import Candidate, by_name
from gradcheck.adapters.prepare import seeded, values
from gradcheck.adapters.walk import Path, arrays, copied, numbers, read, spelled


def with_scalars(observed: Observed, inputs: tuple[Any, ...], run: Run) -> Observed:
    """The same layer with its scalar parameters as arrays; with a note of each that it does not take as one."""
    for path, gradient in list(_with_gradients(observed, run)):
        try:
            moved = _with_array(observed, path, inputs)
        except Exception:  # it is looked up or counted with, or is a property, or in a tuple
            where = spelled(gradient.path).removeprefix("layer.")
            note = f"{spelled(path)} is a number, with a gradient {where}: not judged; an array would be"
            observed = replace(observed, notes=[*observed.notes, note])
        else:
            observed = moved or observed
    return observed


def _with_gradients(observed: Observed, run: Run) -> Iterator[tuple[Path, Candidate]]:
    """The paths of numbers that have a gradient by name: what backward returned, or what was not there before it."""
    before, after = SimpleNamespace(layer=run.done.layer), SimpleNamespace(layer=run.after.layer)
    old: dict[Path, Any] = {**arrays(before), **numbers(before)}
    now: dict[Path, Any] = {**arrays(after, asked=GRADIENTS), **numbers(after)}
    left = [Candidate(p, p, np.asarray(a)) for p, a in now.items() if p not in old or not np.array_equal(old[p], a)]
    single = [candidate for candidate in (*run.returned, *left) if candidate.array.size == 1]
    for path, number in numbers(observed.layer).items():
        gradient = by_name(Parameter([path], np.asarray(number)), single)
        if gradient is not None:
            yield path, gradient


def _with_array(observed: Observed, path: Path, inputs: tuple[Any, ...]) -> Observed | None:
    """The same layer with an array where a number is; None where that does not alter the value.

    Raises what the layer raises then.
    """
    layer = copied(observed.layer, {id(p.array): p.array for p in observed.parameters.values()})
    place, (kind, key) = read(layer, path[:-1]), path[-1]
    array = np.asarray(float(read(layer, path)))
    if kind == "attribute":
        setattr(place, key, array)
    else:
        place[key] = array
    parameter = Parameter([path], array)
    other = replace(observed, layer=layer, parameters={**observed.parameters, parameter.name: parameter})
    with seeded():
        done = other.perform(inputs)
        other.pull(done, [np.ones_like(output) for output in done.outputs])
    return other if alters(other, array, inputs, values(done)) else None
