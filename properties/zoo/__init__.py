"""A zoo of hand-written layers, one for every convention met in the wild, each right and, on demand, wrong.

Every layer sends its gradients through `twist(name, gradient)` before it stores or returns them: with `right` nothing
happens, and a fault planted there is in the layer's own code, wherever its convention then puts the gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Twist = Callable[[str, Any], Any]


def right(name: str, gradient: Any) -> Any:
    """No fault."""
    return gradient


def planted(which: str, fault: Callable[[Any], Any]) -> Twist:
    """A fault in one gradient."""
    return lambda name, gradient: fault(gradient) if name == which else gradient


@dataclass(frozen=True)
class Specimen:
    """A layer in one convention.

    make(twist) gives what a user would hand over; `gradients` maps the name that twist hears to the name that a report
    must judge; `note` is part of what the report must say of it.
    """

    name: str
    make: Callable[[Twist], Any]
    inputs: tuple[Any, ...]
    gradients: dict[str, str]
    note: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.name


def draws(*shape: int, seed: int = 0) -> Any:
    """Generic numbers."""
    return np.random.default_rng(seed + sum(shape)).normal(size=shape)
