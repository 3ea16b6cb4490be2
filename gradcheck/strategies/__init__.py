"""Hypothesis strategies: shapes, arrays, batches, architectures, and the profiles to run them with."""

import importlib
from typing import TYPE_CHECKING

from gradcheck.strategies.palette import POSITIVE, REAL, UNIT, Palette, palette, palette_arrays, palettes
from gradcheck.strategies.shapes import shapes, shapes_by_letter, sizes

if TYPE_CHECKING:
    from gradcheck.strategies.networks import Batch as Batch
    from gradcheck.strategies.networks import batches as batches
    from gradcheck.strategies.networks import dense_networks as dense_networks
    from gradcheck.strategies.slots import Architecture as Architecture
    from gradcheck.strategies.slots import Slot as Slot
    from gradcheck.strategies.slots import architectures as architectures

# These import the reference, which drawing arrays for somebody else's layer does not need.
_HOME = {
    "Architecture": "slots",
    "Slot": "slots",
    "architectures": "slots",
    "Batch": "networks",
    "batches": "networks",
    "dense_networks": "networks",
}

__all__ = [
    "POSITIVE",
    "REAL",
    "UNIT",
    "Palette",
    "palette",
    "palette_arrays",
    "palettes",
    "shapes",
    "shapes_by_letter",
    "sizes",
    *_HOME,
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'gradcheck.strategies' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"gradcheck.strategies.{_HOME[name]}"), name)
    globals()[name] = value
    return value
