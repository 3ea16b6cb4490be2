"""Aftermath: what a backward pass leaves behind, wherever its gradients may be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.adapters.optimisers import Recorder
from gradcheck.adapters.walk import Array, Path, places, read


@dataclass
class Aftermath:
    """What a backward pass left behind: the layer, what was returned, the parameters as objects before (and their
    values), the parameters now, the cotangents as backward left them; what tells the learning rate, if it is known.
    """

    layer: Any
    returned: Any
    before: dict[str, Any]
    values: dict[str, Array]
    now: dict[str, Any]
    given: list[Array]
    rate: Callable[[], float | None]

    def gradient(self, source: Path) -> Any:
        """What lies at one path of that tree; the rest of it is not made."""
        root = getattr(self, source[0].key)
        return read(root() if source[0].key in ("recorded", "stepped") else root, source[1:])

    def moved(self) -> list[str]:
        """The parameters that backward changed."""
        return [name for name, now in self.now.items() if not np.array_equal(now, self.values[name], equal_nan=True)]

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
        rate = self.rate()
        if rate is None:
            return {}
        found = {}
        for name, now in self.now.items():
            if isinstance(now, np.ndarray) and now.shape == self.values[name].shape:
                found[name] = (self.values[name] - now) / rate
        return found
