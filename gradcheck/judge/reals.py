"""Reals: an array of floats as a flat real vector, and back; a complex entry is two reals."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def as_real(array: Array) -> Array:
    """A flat real view (or copy, where the layout asks for one) of a float or complex array."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def like(flat: Array, model: Array) -> Array:
    """The array of model's shape and dtype whose real view is `flat`."""
    if model.dtype.kind == "c":
        return np.ascontiguousarray(flat, dtype=model.real.dtype).view(model.dtype).reshape(model.shape)
    return flat.astype(model.dtype, copy=False).reshape(model.shape)


def identical(a: Array, b: Array) -> bool:
    """Equal to the last bit; by value where the bytes hold padding (longdouble)."""
    return a.tobytes() == b.tobytes() or (a.dtype.itemsize > 8 and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
