"""Observe: what forward and backward do to a layer, learned from runs on copies of it.

A parameter is an array whose change alters a fresh forward. What backward leaves, returns or hands to an optimiser is
gathered under one root, so that every gradient has a path: layer.dW, returned[1], recorded['W'].
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradcheck.adapters.aftermath import Aftermath
from gradcheck.adapters.flat import varied
from gradcheck.adapters.naming import ARRAYS, PARAMETERS
from gradcheck.adapters.optimisers import Recorder, optimisers_in
from gradcheck.adapters.passes import Passes, Performance
from gradcheck.adapters.prepare import forget, initialised, own_attributes, rewind, seeded, values
from gradcheck.adapters.views import View, views_in
from gradcheck.adapters.walk import Array, Path, Step, arrays, copied, read, spelled


@dataclass
class Parameter:
    """An array that the value depends on, with all the paths that lead to it, the most telling one first."""

    paths: list[Path]
    array: Array

    @property
    def name(self) -> str:
        """What a report calls it: W for params['W'] and for W.data, cell.W for a part's."""
        steps = self.paths[0]
        if len(steps) > 1 and steps[-1].kind == "attribute" and steps[-1].key in ARRAYS and steps[-2].key != "params":
            steps = steps[:-1]
        kept = [s for s in steps[:-1] if s.key not in PARAMETERS] + [steps[-1]]
        if len(kept) == len(steps) or isinstance(steps[-1].key, int):
            return spelled(steps)
        return spelled((*kept[:-1], Step("attribute", kept[-1].key)))


@dataclass
class Observed:
    """A layer ready to be run, what its value depends on, and what had to be done to it."""

    passes: Passes
    layer: Any  # never run itself: every call is made on a copy of it
    parameters: dict[str, Parameter] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def fork(self, values: dict[str, Array] | None = None) -> Any:
        """A copy of the layer, with these values for parameters."""
        return copied(self.layer, self.instead({name: np.array(v) for name, v in (values or {}).items()}))

    def instead(self, values: dict[str, Array]) -> dict[int, Array]:
        """What takes the place of what, by id, for parameters to be these very arrays: they, and views of them."""
        places = {id(self.parameters[name].array): array for name, array in values.items()}
        for view in self.views:
            for name, array in values.items():
                if view.of in self.parameters[name].paths and array.dtype == self.parameters[name].array.dtype:
                    places[id(read(self.layer, view.path))] = view.seen_in(array)
        return places

    def perform(self, inputs: tuple[Any, ...], values: dict[str, Array] | None = None) -> Performance:
        """A forward pass on a fork."""
        return self.passes.perform(self.fork(values), copy.deepcopy(inputs))

    def pull(self, done: Performance, cotangents: Sequence[Array], *, own: bool = True) -> Aftermath:
        """A backward pass on a copy of what forward left; own=False hands it the very cotangents given."""
        again: Performance = copied(done)
        before = {name: read(again.layer, p.paths[0]) for name, p in self.parameters.items()}
        values = {name: np.array(array) for name, array in before.items()}
        given = [np.array(c) for c in cotangents] if own else list(cotangents)
        returned = _stacked(self.passes.pull(again, given), done.inputs)
        now = {name: read(again.layer, p.paths[0]) for name, p in self.parameters.items()}
        return Aftermath(again.layer, returned, before, values, now, given, lambda: self.passes.rate(done.layer))

    def pull_again(self, done: Performance, after: Aftermath, cotangents: Sequence[Array]) -> Aftermath | None:
        """A second backward pass on what a first left, with the parameters that the first had; None where it raises."""
        before = {id(now): after.values[name].copy() for name, now in after.now.items()}
        try:
            return self.pull(replace(done, layer=copied(after.layer, before)), cotangents)
        except Exception:
            return None


def observe(layer: Any, passes: Passes, inputs: tuple[Any, ...]) -> Observed:
    """Make a layer ready and find its parameters. Raises what its forward raises."""
    notes: list[str] = []
    views = views_in(layer)
    fresh = copied(layer)
    own_attributes(fresh)
    optimisers = {i: Recorder(found) for i, found in optimisers_in(fresh).items()}
    fresh = copied(fresh, optimisers) if optimisers else fresh
    if getattr(fresh, "input_shape", None) is None and callable(getattr(fresh, "set_input_shape", None)):
        fresh.set_input_shape(next((np.shape(x)[1:] for x in inputs if isinstance(x, np.ndarray)), ()))
    with seeded():
        try:
            warm = copied(fresh)
            passes.perform(warm, copy.deepcopy(inputs))
        except Exception as raised:
            fresh, warm = _prepared(fresh, passes, inputs, raised)
            notes.append("prepared by its own initialisation, with an optimiser that records")
    forget(fresh, warm, passes, inputs)
    observed = Observed(passes, fresh, notes=notes, views=views)
    observed.parameters = _influential(observed, inputs, set())
    lazy = Observed(passes, warm)
    created = _influential(lazy, inputs, {path for p in observed.parameters.values() for path in p.paths})
    created = {n: p for n, p in created.items() if not isinstance(read(fresh, p.paths[0]), np.ndarray)}
    if created:
        rewind(warm, passes, inputs)
        notes.append(f"created by the first forward: {', '.join(created)}")
        observed = Observed(passes, warm, notes=notes, views=views_in(warm))
        observed.parameters = _influential(observed, inputs, set())
    return observed


def _stacked(returned: Any, inputs: tuple[Any, ...]) -> Any:
    """What backward returned; a list of the gradients of examples as one array, if that has the only input's shape."""
    if not isinstance(returned, list) or len(inputs) != 1 or not isinstance(inputs[0], np.ndarray):
        return returned
    whole = (len(returned),) == inputs[0].shape[:1] and all(np.shape(part) == inputs[0].shape[1:] for part in returned)
    return np.array(returned) if whole else returned


def _prepared(layer: Any, passes: Passes, inputs: tuple[Any, ...], raised: Exception) -> tuple[Any, Any]:
    """A layer set up by its own methods, before and after a forward pass: the first way by which one example gives one
    value, as a shape with the batch and one without it may both do, else the first that runs. Raises `raised` if none.
    """
    first = None
    for made in initialised(layer, inputs):
        warm = copied(made)
        try:
            value = np.shape(passes.perform(warm, copy.deepcopy(inputs)).outputs[0])
        except Exception:
            continue
        if value[:1] == next((np.shape(x)[:1] for x in inputs if isinstance(x, np.ndarray)), ()):
            return made, warm
        first = first or (made, warm)
    if first is None:
        raise raised
    return first


def vary_constants(observed: Observed, names: Sequence[str]) -> None:
    """Move parameters that are the same everywhere to generic values; a wrong scale by 1 or shift by 0 is invisible."""
    changed = []
    for seed, name in enumerate(names):
        parameter = observed.parameters[name]
        other = varied(parameter.array, seed)
        if other is not parameter.array:
            observed.layer = copied(observed.layer, _kept(observed, name) | observed.instead({name: other}))
            parameter.array = other
            changed.append(name)
    if changed:
        observed.notes.append(f"{', '.join(changed)}: the same number everywhere, moved to random ones")


def start_from_zero(observed: Observed, paths: Sequence[Path]) -> None:
    """Empty the places of gradients, which may hold those of an earlier batch that backward would add to."""
    old = (read(observed.layer, path) for path in paths)
    zeros = {id(array): np.zeros_like(array) for array in old if isinstance(array, np.ndarray) and array.any()}
    if zeros:
        observed.layer = copied(observed.layer, zeros | _kept(observed, ""))


def _kept(observed: Observed, but: str) -> dict[int, Any]:
    """Parameters that stay the very arrays they are, so that their ids still find them in a copy."""
    return {id(p.array): p.array for name, p in observed.parameters.items() if name != but}


def _influential(observed: Observed, inputs: tuple[Any, ...], skip: set[Path]) -> dict[str, Parameter]:
    """The arrays whose change alters the value."""
    groups: dict[int, Parameter] = {}
    for path, array in arrays(observed.layer).items():
        if array.size:
            groups.setdefault(id(array), Parameter([], array)).paths.append(path)
    for path, array in arrays(observed.layer, asked=PARAMETERS).items():  # other names of the same arrays
        if id(array) in groups and path not in groups[id(array)].paths:
            groups[id(array)].paths.append(path)
    with seeded():
        origin = values(observed.passes.perform(copied(observed.layer), copy.deepcopy(inputs)))
    found: dict[str, Parameter] = {}
    for parameter in groups.values():
        if skip.isdisjoint(parameter.paths) and alters(observed, parameter.array, inputs, origin):
            parameter.paths.sort(key=_telling)
            name = parameter.name if parameter.name not in found else spelled(parameter.paths[0])
            found[name] = parameter
    return found


def _telling(path: Path) -> tuple[bool, int]:
    """A path that ends in a word says more than one that ends in a number; a short one more than a long one."""
    return isinstance(path[-1].key, int), len(path)


def alters(observed: Observed, array: Array, inputs: tuple[Any, ...], origin: list[Array]) -> bool:
    """A small change first, which keeps a variance positive; large ones of either sign for what a small one cannot push
    over zero, as one sign alone does not where all units of a ReLU are off.
    """
    for size in (2.0**-10, 1.0, -1.0):
        spread = np.random.default_rng(0).uniform(0.5, 1.5, array.shape)
        moved = (array + size * spread * np.maximum(np.abs(array), 0.5)).astype(array.dtype)
        try:
            with seeded():
                done = observed.passes.perform(copied(observed.layer, {id(array): moved}), copy.deepcopy(inputs))
        except Exception:
            return False  # a table that forward looks things up in, not a weight
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(origin, values(done), strict=False)):
            return True
    return False
