"""Reading entries at an index, and its adjoint: adding into zeros, repeated indices adding up."""

from typing import Any

import numpy as np

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.node import Node
from gradcheck.backprop.op import ANY, INDEX, Array, Example, Shape, Value
from gradcheck.backprop.ops.rows import Function, axes_of, block, op

# fmt: off
__all__ = [
    "embedding", "getitem", "put", "put_along", "take",
]
# fmt: on


def _getitem(x: Array, index: Any) -> Array:
    """``x[index]``: slices, integers, None, ellipsis, integer and boolean arrays; repeated indices are read twice."""
    return np.asarray(x)[index]  # type: ignore[no-any-return]


def _getitem_shape(x: Shape, index: Any) -> Shape:
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, Node) for part in parts):
        raise TypeError("an index that is itself a node goes through ops.take(x, indices, axis)")
    try:
        return np.shape(np.broadcast_to(np.False_, x)[index])  # zero strides: reads one byte, allocates only the result
    except IndexError as error:
        raise ShapeError("getitem", [x], f"index {index!r} does not fit ({error})", "stay within the axes") from None


def _put(g: Array, index: Any, shape: Shape) -> Array:
    """Adjoint of getitem: zeros of ``shape`` into which ``g`` is added at ``index``, repeated indices adding up."""
    x = np.zeros(shape, np.asarray(g).dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(part is None or part is Ellipsis or isinstance(part, int | slice) for part in parts):
        x[index] = g  # slices and numbers repeat nothing, and np.add.at would be slow
    else:
        np.add.at(x, index, g)
    return x


getitem: Function = op(
    "getitem",
    _getitem,
    lambda g, y, x, index: (put(g, index, np.shape(x)),),
    shape=_getitem_shape,
    examples=tuple(
        Example(((3, 4),), {"index": index})
        for index in (
            1,
            (slice(None, None, -2), None, ...),
            np.array([0, 2, 0, 0]),
            (np.array([[0], [2]]), np.array([1, 1, -1])),
            np.array([True, False, True]),
        )
    ),
)
put: Function = op(
    "put",
    _put,
    lambda g, y, x, index, shape: (getitem(g, index),),
    shape=lambda g, index, shape: tuple(shape),
    examples=(
        Example(((4,),), {"index": np.array([0, 2, 0, 0]), "shape": (3,)}),
        Example(((2, 2),), {"index": (slice(None), slice(1, 3)), "shape": (2, 4)}),
    ),
)


def _take(x: Array, indices: Array, axis: int = 0) -> Array:
    """Entries of ``x`` along ``axis`` at integer ``indices`` (an array or a node), which replace that axis."""
    return np.take(x, indices, axis=axis)


def _take_shape(x: Shape, indices: Shape, axis: int = 0) -> Shape:
    (a,) = axes_of("take", axis, x)
    return (*x[:a], *indices, *x[a + 1 :])


def _put_along(g: Array, indices: Array, axis: int, shape: Shape) -> Array:
    """Adjoint of take: zeros of ``shape`` into which ``g`` is added at ``indices`` of ``axis``."""
    return _put(g, (*[slice(None)] * (axis % len(shape)), indices), shape)


take: Function = op(
    "take",
    _take,
    lambda g, y, x, indices, axis=0: (put_along(g, indices, axis, np.shape(x)), None),
    arity=2,
    shape=_take_shape,
    domain=(ANY, INDEX),
    frozen=(1,),
    examples=(Example(((3, 2), (4,))), Example(((2, 3), (2, 2)), {"axis": -1}), Example(((3,), ()))),
)
put_along: Function = op(
    "put_along",
    _put_along,
    lambda g, y, x, indices, axis, shape: (take(g, indices, axis), None),
    arity=2,
    shape=lambda g, indices, axis, shape: tuple(shape),
    domain=(ANY, INDEX),
    frozen=(1,),
    examples=(Example(((4, 2), (4,)), {"axis": 0, "shape": (3, 2)}),),
)


@block(domain=(INDEX, ANY), examples=(Example(((2, 4), (3, 2))),), frozen=(0,))
def embedding(indices: Value, weights: Value) -> Any:
    """Rows of ``weights`` (vocabulary, width) at integer ``indices``; shape ``indices.shape + (width,)``."""
    return take(weights, indices, 0)
