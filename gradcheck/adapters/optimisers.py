"""Optimisers: what steps inside somebody's backward, made to write down the gradients that it is given."""

from typing import Any

import numpy as np

from gradcheck.adapters.walk import Array

STEPS = ("update", "step", "apply", "apply_gradient", "get_update", "optimize", "optimise")
"""What an optimiser inside a layer is called by, with the parameter and its gradient."""


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
            given = [a for a in (*arguments, *settings.values()) if isinstance(a, np.ndarray)]
            if len(given) > 1:
                self.recorded.append((given[0], given[1]))
            return member(*arguments, **settings)

        return recording


class Descent:
    """The optimiser given to a layer that wants one: plain descent."""

    def update(self, parameter: Array, gradient: Array) -> Array:
        """The parameter after a step against its gradient."""
        return parameter - 0.01 * gradient
