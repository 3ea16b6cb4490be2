"""Prepare: a layer made ready to be run again and again: initialised, without memory of calls made before."""

import copy
import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.adapters.optimisers import Descent, Recorder
from gradcheck.adapters.passes import Passes, Performance
from gradcheck.adapters.walk import Array, copied, places, read

PREPARATIONS = ("initialize", "initialise", "init", "build", "init_params", "initialize_parameters", "compile", "setup")
"""Methods called once when forward does not run without them; input_shape and an optimiser are given by name."""


def initialised(layer: Any, inputs: tuple[Any, ...]) -> Iterator[Any]:
    """Copies of a layer, each set up by a method for that, if it has any: initialize(optimizer), build(shape),
    where the shape is that of an example, or of all that forward is given.
    """
    whole = next((np.shape(x) for x in inputs if isinstance(x, np.ndarray)), ())
    shapes = [(whole[1:],), (whole,)] if len(whole) > 1 else [(whole[1:],)]  # one example has no batch to tell of
    there = [name for name in PREPARATIONS if callable(getattr(layer, name, None))]
    for name, given in itertools.product(there, ((), (Recorder(Descent()),), *shapes)):
        made = copied(layer)
        try:
            getattr(made, name)(*given)
        except (TypeError, AttributeError, LookupError, ValueError):
            continue
        yield made


def own_attributes(layer: Any) -> None:
    """Arrays that are attributes of a class become the object's own, so that one copy may differ from another."""
    for _, place in list(places(layer)):
        for base in type(place).__mro__ if hasattr(place, "__dict__") else ():
            for name, value in vars(base).items():
                if isinstance(value, np.ndarray) and name not in vars(place):
                    setattr(place, name, value.copy())


def forget(layer: Any, warm: Any, passes: Passes, inputs: tuple[Any, ...]) -> None:
    """Empty the lists that forward adds to, which hold the inputs of calls made before the layer came here."""
    grown = []
    for path, here in places(layer):
        there = read(warm, path)
        if isinstance(here, list) and here and isinstance(there, list) and len(there) > len(here):
            grown.append(here)
    if not grown:
        return
    with seeded():
        before = values(passes.perform(copied(layer), copy.deepcopy(inputs)))
        kept = [list(here) for here in grown]
        for here in grown:
            here.clear()
        try:
            after = values(passes.perform(copied(layer), copy.deepcopy(inputs)))
            same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))
        except Exception:
            same = False
        for here, was in zip(grown, kept, strict=True):
            here.extend([] if same else was)  # a state, such as the first of a recurrence, and no memory


def rewind(layer: Any, passes: Passes, inputs: tuple[Any, ...]) -> None:
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


def values(done: Performance) -> list[Array]:
    """The outputs, copied."""
    return [np.array(output) for output in done.outputs]


@contextmanager
def seeded(start: int = 0) -> Iterator[None]:
    """The global random streams at a fixed place inside, as they were outside: masks repeat."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the layer's streams, not ours
    random.seed(start)
    np.random.seed(start)  # noqa: NPY002
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
