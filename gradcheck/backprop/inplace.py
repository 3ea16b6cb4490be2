"""Calls that write an op's value into an array that is there already, with the arithmetic of the op's own value."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from gradcheck.backprop.op import TABLE

Array = NDArray[Any]
Call = Callable[[], Any]
POWERS: Mapping[float, np.ufunc] = {2: np.square, -1: np.reciprocal, 0.5: np.sqrt}  # as x**n does


def call(op: str, static: Mapping[str, Any], operands: list[Any], out: Array) -> Call:
    """A call without arguments that computes ``op`` from the ``operands`` as they then are, into ``out``.

    Everything that depends on shapes and dtypes is decided here, once; what is left is one call of NumPy if possible.
    """
    known = IN_PLACE.get(op)
    made = known(out, *operands, **static) if known else None
    if made is not None:
        return made
    ufunc = _ufunc(op, static)
    if ufunc is not None:
        return _into(ufunc, [_typed(x, operands) for x in operands], out)
    return partial(_copied, partial(TABLE[op].value, **static), operands, out)


def may_overwrite(op: str) -> bool:
    """Whether an op may write where an operand lies: it goes entry by entry, or computes elsewhere first."""
    return op not in IN_PLACE or op in ("relu", "softmax")


def is_identity(op: str, static: Mapping[str, Any]) -> bool:
    """Whether the value of an op is its operand: x¹, which the gradient of x² asks for."""
    return op == "scalar_power" and static["exponent"] == 1


def _ufunc(op: str, static: Mapping[str, Any]) -> np.ufunc | None:
    if op == "scalar_power":
        return POWERS.get(static["exponent"])
    value = UFUNCS.get(op, TABLE[op].value)
    return value if isinstance(value, np.ufunc) else None


def _into(ufunc: np.ufunc, operands: list[Any], out: Array) -> Call:
    # ``out`` by position: 0.17 µs a call of 8 entries, by keyword 0.35, and 0.6 as the keyword of a partial
    if ufunc not in (np.maximum, np.minimum):
        return partial(ufunc, *operands, out)
    a, b = operands  # by position it is deprecated for these two, NumPy 2.4
    return lambda: ufunc(a, b, out=out)


def _typed(x: Any, operands: list[Any]) -> Any:
    """A Python number, not one of NumPy's, as an array of the dtype that it takes: 0.2 µs less a call."""
    dtypes = {o.dtype for o in operands if isinstance(o, np.ndarray)}
    if type(x) in (int, float) and len(dtypes) == 1 and next(iter(dtypes)).kind == "f":
        return np.array(x, dtypes.pop())
    return x


def _copied(value: Callable[..., Any], operands: list[Any], out: Array) -> None:
    """Compute the value wherever it likes, and copy it."""
    out[...] = value(*operands)


def _matmul(out: Array, a: Array, b: Array) -> Call | None:
    # np.dot has half of matmul's overhead (0.4 µs a call) and stays with BLAS at an inner size of 1, where matmul does
    # not: 82 µs against 274 µs for (512, 1) @ (1, 512). It needs operands of one dtype and a contiguous result.
    plain = a.ndim == b.ndim == 2 and a.dtype == b.dtype == out.dtype and out.flags.c_contiguous and a.dtype.kind == "f"
    return partial(np.dot, a, b, out) if plain else partial(np.matmul, a, b, out)


def _reduction(ufunc: np.ufunc) -> Callable[..., Call]:
    reduce: Any = ufunc.reduce

    def make(out: Array, x: Array, axis: Any = None, keepdims: bool = False) -> Call:
        return partial(reduce, x, axis, None, out, keepdims)

    return make


def _mean(out: Array, x: Array, axis: Any = None, keepdims: bool = False) -> Call | None:
    if x.dtype.kind != "f" or x.dtype == np.float16 or not out.size:  # np.mean has rules of its own for these
        return None
    total, count = _reduction(np.add)(out, x, axis, keepdims), np.array(x.size // out.size, x.dtype)

    def compute() -> None:  # what np.mean does, without the 2 µs in which it finds that out
        total()
        np.divide(out, count, out)

    return compute


def _sum_to(out: Array, x: Array, shape: tuple[int, ...]) -> Call | None:
    if summed_by_blas(x, shape):  # 0.4 µs against 1.0 for (16, 32): the gradient of every bias
        return partial(np.dot, np.ones(len(x), x.dtype), x, out.reshape(-1))
    lead = x.ndim - len(shape)
    kept = out.reshape((1,) * lead + shape)
    axes = tuple(i for i in range(x.ndim) if kept.shape[i] == 1 and (i < lead or x.shape[i] != 1))
    return _reduction(np.add)(kept, x, axes, True) if np.may_share_memory(kept, out) else None


def summed_by_blas(x: Array, shape: tuple[int, ...]) -> bool:
    """Whether a sum over the rows of ``x`` to this shape is one product of a vector and a matrix, and taken so."""
    rows = x.ndim == 2 and len(x) > 1 and shape in (x.shape[1:], (1, *x.shape[1:]))
    return rows and x.size > 0 and x.dtype.char in "fd" and x.flags.c_contiguous


def _softmax(out: Array, x: Array, axis: Any = -1) -> Call:
    top = np.empty_like(np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    total = np.empty_like(top)

    def compute() -> None:
        np.maximum.reduce(x, axis, out=top, keepdims=True, initial=-np.inf)
        np.subtract(x, top, out)
        np.exp(out, out)
        np.add.reduce(out, axis, out=total, keepdims=True)
        np.divide(out, total, out)

    return compute


UFUNCS: Mapping[str, np.ufunc] = {"sigmoid": special.expit, "erf": special.erf, "erfc": special.erfc}
IN_PLACE: Mapping[str, Callable[..., Call | None]] = {
    "matmul": _matmul,
    "sum": _reduction(np.add),
    "max": _reduction(np.maximum),
    "min": _reduction(np.minimum),
    "mean": _mean,
    "sum_to": _sum_to,
    "softmax": _softmax,
    "relu": lambda out, x: _into(np.maximum, [x, np.zeros((), x.dtype)], out),
    "concatenate": lambda out, *arrays, axis=0: partial(np.concatenate, arrays, axis, out),
}
