"""Hypothesis strategies: shapes, arrays, batches, architectures, and the profiles to run them with."""

from gradcheck.strategies.palette import POSITIVE, REAL, UNIT, Palette, palette, palette_arrays, palettes
from gradcheck.strategies.shapes import shapes, shapes_by_letter, sizes

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
]
