"""Floats: which dtypes carry a gradient, and how finely each is spaced: NumPy's own, and the bfloat16 of ml_dtypes.

NumPy takes bfloat16 for a void of two bytes, knows no finfo of it and no promotion to float16. ml_dtypes is imported
only where bfloat16 is asked for by name: where an array of it is, it is already.
"""

import functools
import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DType = np.dtype[Any]

NAMES = ("float64", "float32", "float16", "bfloat16", "longdouble")
"""The dtypes that inputs can be drawn in."""


def named(name: str) -> DType:
    """The real floating-point dtype of this name. Raises ValueError for any other, ImportError without ml_dtypes.

    >>> named("float16")
    dtype('float16')
    >>> named("int64")
    Traceback (most recent call last):
    ValueError: 'int64' is no floating-point dtype; use float64, float32, float16, bfloat16 or longdouble
    """
    if name == "bfloat16":
        try:
            narrow: DType = np.dtype(importlib.import_module("ml_dtypes").bfloat16)
        except ImportError as missing:
            raise ImportError(
                f"bfloat16 needs ml_dtypes, which cannot be imported ({missing}); install it: pip install ml_dtypes"
            ) from missing
        return narrow
    try:
        dtype = np.dtype(name)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind != "f":
        raise ValueError(f"{name!r} is no floating-point dtype; use {', '.join(NAMES[:-1])} or {NAMES[-1]}")
    return dtype


@functools.cache
def carries(dtype: DType) -> bool:
    """Whether arrays of a dtype can carry a gradient: floats and complex numbers, bfloat16 among them.

    >>> [carries(np.dtype(name)) for name in ("float16", "complex64", "int64", "O")]
    [True, True, False, False]
    """
    return dtype.kind in "fc" or (dtype.kind == "V" and dtype.name == "bfloat16")


def is_real(dtype: DType) -> bool:
    """Whether numbers of a dtype are floats and not complex."""
    return carries(dtype) and dtype.kind != "c"


def is_number(dtype: DType) -> bool:
    """Whether arrays of a dtype hold numbers: integers too, but neither truths nor objects."""
    return carries(dtype) or dtype.kind in "iu"


def differentiable(array: Array) -> bool:
    """Whether an array can carry a gradient: floats and complex numbers do, integers, booleans and objects do not."""
    return carries(array.dtype)


@functools.cache
def limits(dtype: DType) -> Any:
    """The finfo of a dtype that carries a gradient: eps, tiny, smallest_subnormal, max.

    >>> float(limits(np.dtype("complex64")).eps) == 2.0**-23
    True
    """
    return importlib.import_module("ml_dtypes").finfo(dtype) if dtype.kind == "V" else np.finfo(dtype)


def eps_of(array: Array) -> float:
    """The spacing of an array's numbers just above 1: 2⁻⁵² in float64, 2⁻¹⁰ in float16, 2⁻⁷ in bfloat16."""
    return float(limits(array.dtype).eps)


def is_half(dtype: DType) -> bool:
    """Whether numbers of a dtype have two bytes: float16 and bfloat16, whose steps are too coarse for differences."""
    return dtype.itemsize == 2 and carries(dtype)


def is_narrow(dtype: DType) -> bool:
    """Whether a dtype is real and narrower than float64."""
    return is_real(dtype) and dtype.itemsize < 8


def promoted(*dtypes: DType) -> DType:
    """The smallest dtype that holds the numbers of all: NumPy's rule, and float32 for bfloat16 beside float16.

    >>> promoted(np.dtype("float16"), np.dtype("float32"))
    dtype('float32')
    """
    try:
        return np.result_type(*dtypes)
    except np.exceptions.DTypePromotionError:
        return np.result_type(np.float32, *(dtype for dtype in dtypes if not is_half(dtype)))


def has_bits(values: Array, bits: int) -> bool:
    """Whether all values are numbers of so many bits: bfloat16's have 8, whatever their dtype says.

    >>> has_bits(np.array([1.5, -96.0]), 2), has_bits(np.array([1.25]), 2)
    (True, False)
    """
    mantissas = np.ldexp(np.frexp(values)[0], bits)
    return np.array_equal(mantissas, np.round(mantissas))
