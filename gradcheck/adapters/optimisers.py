"""Optimisers: what steps inside somebody's backward, made to write down the gradients that it is given."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.adapters.naming import OPTIMISERS
from gradcheck.adapters.walk import Array, Path, places

STEPS = ("update", "step", "apply", "apply_gradient", "get_update", "optimize", "optimise")
"""What an optimiser inside a layer is called by, with the parameter and its gradient."""


_CALLED = re.compile(
    r"optim|^opt$|sgd|adam|adagrad|adadelta|rms_?prop|momentum|nesterov|descent|updater", re.IGNORECASE
)


def optimisers_in(layer: Any) -> dict[int, Any]:
    """The optimisers inside a layer, by their ids: what is called one, or is of a class that is, and has a step.

    Those that a property makes when it is asked are made.
    """
    for place, name in [(place, name) for _, place in places(layer) for name in OPTIMISERS]:
        if isinstance(inspect.getattr_static(type(place), name, None), property):
            try:
                getattr(place, name)
            except Exception:  # not yet to be had
                continue
    return {id(value): value for path, value in places(layer) if path and _is_optimiser(path, value)}


def _is_optimiser(path: Path, value: Any) -> bool:
    called = _CALLED.search(str(path[-1].key)) or _CALLED.search(type(value).__name__)
    return bool(called) and any(callable(getattr(value, step, None)) for step in STEPS)


class Recorder:
    """An optimiser inside a layer that works as before and writes down what it was given."""

    def __init__(self, optimiser: Any) -> None:
        self.optimiser = optimiser
        self.recorded: list[tuple[Array, Array]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "optimiser" not in self.__dict__:
            raise AttributeError(name)
        member = getattr(self.optimiser, name)
        if name not in STEPS:
            return member

        def recording(*arguments: Any, **settings: Any) -> Any:
            self.recorded.extend(_pairs([*arguments, *settings.values()]))
            return member(*arguments, **settings)

        return recording


def _pairs(given: Sequence[Any]) -> Iterator[tuple[Array, Array]]:
    """Parameters with their gradients, or gradients with their parameters: arrays, lists or dicts beside each other, or
    lists of pairs.

    >>> [(p.tolist(), g.tolist()) for p, g in _pairs([[np.ones(1), np.zeros(1)], [np.full(1, 2.0), np.full(1, 3.0)]])]
    [([1.0], [2.0]), ([0.0], [3.0])]
    """
    parts = [part for part in given if isinstance(part, np.ndarray | Mapping | list | tuple)]
    if len(parts) == 1 and isinstance(parts[0], list | tuple):  # [(W, dW), (b, db)]
        for part in parts[0]:
            if isinstance(part, tuple) and len(part) == 2:
                yield from _pairs(part)
    if len(parts) < 2:
        return
    one, other = parts[:2]
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        yield one, other
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in one:
            yield from _pairs((one[key], other[key])) if key in other else ()
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        for pair in zip(one, other, strict=False):
            yield from _pairs(pair)


class Descent:
    """The optimiser given to a layer that wants one: plain descent."""

    def update(self, parameter: Array, gradient: Array) -> Array:
        """The parameter after a step against its gradient."""
        return parameter - 0.01 * gradient
