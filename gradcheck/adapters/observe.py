"""Observe: what forward and backward do to a layer, learned from runs on copies of it.

A parameter is an array whose change alters a fresh forward. What backward leaves, returns or hands to an optimiser is
gathered under one root, so that every gradient has a path: layer.dW, returned[1], recorded['W'].
"""

import copy
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gradcheck.adapters.flat import varied
from gradcheck.adapters.naming import OPTIMISERS, PARAMETERS, RATES, VALUES
from gradcheck.adapters.optimisers import STEPS, Descent, Recorder
from gradcheck.adapters.passes import Passes, Performance
from gradcheck.adapters.walk import Array, Path, Step, arrays, copied, places, read, spelled

PREPARATIONS = ("initialize", "initialise", "init", "build", "init_params", "initialize_parameters", "compile", "setup")
"""Methods called once when forward does not run without them; input_shape and an optimiser are given by name."""

@dataclass
class Parameter:
    """An array that the value depends on, with all the paths that lead to it, the most telling one first."""

    paths: list[Path]
    array: Array

    @property
    def name(self) -> str:
        """What a report calls it: W for params['W'] and for W.data, cell.W for a part's."""
        steps = self.paths[0]
        if len(steps) > 1 and steps[-1].kind == "attribute" and steps[-1].key in VALUES and steps[-2].key != "params":
            steps = steps[:-1]
        kept = [s for s in steps[:-1] if s.key not in PARAMETERS] + [steps[-1]]
        if len(kept) == len(steps) or isinstance(steps[-1].key, int):
            return spelled(steps)
        return spelled((*kept[:-1], Step("attribute", kept[-1].key)))


class View(NamedTuple):
    """An array that is a view of another: self.WT = self.W.T. A copy of the layer has to have it as one again."""

    path: Path
    of: Path
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def seen_in(self, array: Array) -> Array:
        """The same view of another array."""
        return np.ndarray(self.shape, array.dtype, np.ascontiguousarray(array), self.offset, self.strides)


def views_in(layer: Any) -> list[View]:
    """The arrays of a layer that are views of other, contiguous ones of it.

    >>> from types import SimpleNamespace
    >>> W = np.arange(6.0).reshape(2, 3)
    >>> [(spelled(v.path), spelled(v.of)) for v in views_in(SimpleNamespace(W=W, WT=W.T))]
    [('WT', 'W')]
    """
    there = arrays(layer)
    found = []
    for path, view in there.items():
        for of, array in there.items() if view.base is not None else ():
            inside = view is not array and array.flags.c_contiguous and np.may_share_memory(view, array)
            if inside and view.size <= array.size and not (view.flags.c_contiguous and view.size == array.size):
                offset = view.__array_interface__["data"][0] - array.__array_interface__["data"][0]
                if 0 <= offset < array.nbytes and view.dtype == array.dtype and np.shares_memory(view, array):
                    found.append(View(path, of, offset, view.shape, view.strides))
    return found


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

    def pull(self, done: Performance, cotangents: Sequence[Array], *, own: bool = True) -> "Aftermath":
        """A backward pass on a copy of what forward left; own=False hands it the very cotangents given."""
        again: Performance = copied(done)
        before = {name: read(again.layer, p.paths[0]) for name, p in self.parameters.items()}
        values = {name: np.array(array) for name, array in before.items()}
        given = [np.array(c) for c in cotangents] if own else list(cotangents)
        returned = self.passes.pull(again, given)
        now = {name: read(again.layer, p.paths[0]) for name, p in self.parameters.items()}
        return Aftermath(again.layer, returned, before, values, now, given)


@dataclass
class Aftermath:
    """What a backward pass left behind: the layer, what was returned, the parameters as objects before (and their
    values), the parameters now, the cotangents as backward left them.
    """

    layer: Any
    returned: Any
    before: dict[str, Any]
    values: dict[str, Array]
    now: dict[str, Any]
    given: list[Array]

    def gradient(self, source: Path) -> Any:
        """What lies at one path of that tree; the rest of it is not made."""
        root = getattr(self, source[0].key)
        return read(root() if source[0].key in ("recorded", "stepped") else root, source[1:])

    def recorded(self) -> dict[str, Array]:
        """Gradients handed to optimisers, by the parameter handed over with them."""
        found: dict[str, Array] = {}
        for _, place in places(self.layer):
            for one, other in place.recorded if isinstance(place, Recorder) else ():
                for name, array in self.before.items():
                    if one is array or other is array:
                        found[name] = other if one is array else one
        return found

    def stepped(self) -> dict[str, Array]:
        """What parameters lost during backward, over the learning rate: the gradient, if that was a step of descent."""
        rates = (read(self.layer, (Step("attribute", name),)) for name in RATES)
        rate = next((float(r) for r in rates if isinstance(r, int | float) and r), 1.0)
        found = {}
        for name, now in self.now.items():
            if isinstance(now, np.ndarray) and now.shape == self.values[name].shape:
                found[name] = (self.values[name] - now) / rate
        return found


def observe(layer: Any, passes: Passes, inputs: tuple[Any, ...]) -> Observed:
    """Make a layer ready and find its parameters. Raises what its forward raises."""
    notes: list[str] = []
    views = views_in(layer)
    fresh = copied(layer)
    optimisers = {
        id(value): Recorder(value)
        for path, value in places(fresh)
        if path and any(word in str(path[-1].key).lower() for word in OPTIMISERS)
        and any(callable(getattr(value, step, None)) for step in STEPS)
    }  # fmt: skip
    fresh = copied(fresh, optimisers) if optimisers else fresh
    if getattr(fresh, "input_shape", None) is None and callable(getattr(fresh, "set_input_shape", None)):
        fresh.set_input_shape(next((np.shape(x)[1:] for x in inputs if isinstance(x, np.ndarray)), ()))
    with seeded():
        try:
            warm = copied(fresh)
            passes.perform(warm, copy.deepcopy(inputs))
        except Exception:
            if not _prepare(fresh, inputs):
                raise
            warm = copied(fresh)
            passes.perform(warm, copy.deepcopy(inputs))
            notes.append("prepared by its own initialisation, with an optimiser that records")
    _forget(fresh, warm, passes, inputs)
    observed = Observed(passes, fresh, notes=notes, views=views)
    observed.parameters = _influential(observed, inputs, set())
    lazy = Observed(passes, warm)
    created = _influential(lazy, inputs, {path for p in observed.parameters.values() for path in p.paths})
    created = {n: p for n, p in created.items() if not isinstance(read(fresh, p.paths[0]), np.ndarray)}
    if created:
        _rewind(warm, passes, inputs)
        notes.append(f"created by the first forward: {', '.join(created)}")
        observed = Observed(passes, warm, notes=notes, views=views_in(warm))
        observed.parameters = _influential(observed, inputs, set())
    return observed


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
        origin = _values(observed.passes.perform(copied(observed.layer), copy.deepcopy(inputs)))
    found: dict[str, Parameter] = {}
    for parameter in groups.values():
        if skip.isdisjoint(parameter.paths) and _alters(observed, parameter.array, inputs, origin):
            parameter.paths.sort(key=_telling)
            name = parameter.name if parameter.name not in found else spelled(parameter.paths[0])
            found[name] = parameter
    return found


def _telling(path: Path) -> tuple[bool, int]:
    """A path that ends in a word says more than one that ends in a number; a short one more than a long one."""
    return isinstance(path[-1].key, int), len(path)


def _alters(observed: Observed, array: Array, inputs: tuple[Any, ...], origin: list[Array]) -> bool:
    """A small change first, which keeps a variance positive; a large one for what a small one cannot push over zero."""
    for size in (2.0**-10, 1.0):
        spread = np.random.default_rng(0).uniform(0.5, 1.5, array.shape)
        moved = (array + size * spread * np.maximum(np.abs(array), 0.5)).astype(array.dtype)
        try:
            with seeded():
                done = observed.passes.perform(copied(observed.layer, {id(array): moved}), copy.deepcopy(inputs))
        except Exception:
            return False  # a table that forward looks things up in, not a weight
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(origin, _values(done), strict=False)):
            return True
    return False


def _values(done: Performance) -> list[Array]:
    return [np.array(output) for output in done.outputs]


def _prepare(layer: Any, inputs: tuple[Any, ...]) -> bool:
    """Call the methods that set a layer up, if it has any: initialize(optimizer), build(shape)."""
    shape = next((np.shape(x)[1:] for x in inputs if isinstance(x, np.ndarray)), ())
    for name in PREPARATIONS:
        method = getattr(layer, name, None)
        if not callable(method):
            continue
        for given in ((), (Recorder(Descent()),), (shape,)):
            try:
                method(*given)
            except (TypeError, AttributeError):
                continue
            return True
    return False


def _forget(layer: Any, warm: Any, passes: Passes, inputs: tuple[Any, ...]) -> None:
    """Empty the lists that forward adds to, which hold the inputs of calls made before the layer came here."""
    grown = []
    for path, here in places(layer):
        there = read(warm, path)
        if isinstance(here, list) and here and isinstance(there, list) and len(there) > len(here):
            grown.append(here)
    if not grown:
        return
    with seeded():
        before = _values(passes.perform(copied(layer), copy.deepcopy(inputs)))
        kept = [list(here) for here in grown]
        for here in grown:
            here.clear()
        try:
            after = _values(passes.perform(copied(layer), copy.deepcopy(inputs)))
            same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))
        except Exception:
            same = False
        for here, was in zip(grown, kept, strict=True):
            here.extend([] if same else was)  # a state, such as the first of a recurrence, and no memory


def _rewind(layer: Any, passes: Passes, inputs: tuple[Any, ...]) -> None:
    """Undo what one forward added: lists that grow with every call, and whole numbers that count calls."""
    with seeded():
        again = copied(layer)
        passes.perform(again, copy.deepcopy(inputs))
    for path, here in list(places(layer)):
        there = read(again, path)
        if isinstance(here, list) and isinstance(there, list) and len(there) > len(here):
            del here[max(0, 2 * len(here) - len(there)) :]
        elif type(here) is type(there) and not isinstance(here, list | tuple | np.ndarray):
            table = here if isinstance(here, dict) else vars(here)
            other = there if isinstance(here, dict) else vars(there)
            for key, count in table.items():
                later = other.get(key)
                if type(count) is int and type(later) is int and later != count:
                    table[key] = 2 * count - later


@contextmanager
def seeded() -> Iterator[None]:
    """The global random streams at a fixed place inside, as they were outside: masks repeat."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the layer's streams, not ours
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002

