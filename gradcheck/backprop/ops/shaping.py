"""Ops that move entries about: broadcasting, reshaping, joining, padding. Each is linear: its vjp is its adjoint."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.node import apply
from gradcheck.backprop.op import Array, Example, Shape, Value
from gradcheck.backprop.ops.indexing import getitem
from gradcheck.backprop.ops.rows import Function, axes_of, block, broadcast, op, sum_to

# fmt: off
__all__ = [
    "broadcast_to", "concatenate", "expand_dims", "flip", "pad",
    "reshape", "stack", "swapaxes", "transpose",
]
# fmt: on


# --- shape -------------------------------------------------------------------------------------------------------
def _broadcast_to(x: Array, shape: Shape) -> Array:
    """Repeat ``x`` along new axes and along those of size 1, without copying."""
    return np.broadcast_to(x, shape)


def _broadcast_to_shape(x: Shape, shape: Shape) -> Shape:
    if broadcast("broadcast_to", x, tuple(shape)) != tuple(shape):
        raise ShapeError("broadcast_to", [x, tuple(shape)], "only axes of size 1 can grow", "give a larger target")
    return tuple(shape)


broadcast_to: Function = op(
    "broadcast_to",
    _broadcast_to,
    lambda g, y, x, shape: (sum_to(g, np.shape(x)),),
    shape=_broadcast_to_shape,
    examples=(Example(((3, 1),), {"shape": (2, 3, 4)}), Example(((),), {"shape": (2,)})),
)


def _reshape(x: Array, shape: Any) -> Array:
    """The same entries, row by row, in another shape; one size may be -1."""
    return np.reshape(x, shape)


def _reshape_shape(x: Shape, shape: Any) -> Shape:
    target = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    size, known = int(np.prod(x, dtype=int)), int(np.prod([n for n in target if n != -1], dtype=int))
    if -1 in target and target.count(-1) == 1 and known and size % known == 0:
        return tuple(size // known if n == -1 else int(n) for n in target)
    if -1 in target or known != size:
        raise ShapeError("reshape", [x, target], f"{size} entries cannot fill it", "keep the number of entries")
    return tuple(int(n) for n in target)


reshape: Function = op(
    "reshape",
    _reshape,
    lambda g, y, x, shape: (apply("reshape", (g,), {"shape": np.shape(x)}),),
    shape=_reshape_shape,
    examples=(Example(((2, 3),), {"shape": (3, -1)}), Example(((1,),), {"shape": ()})),
)


def _transpose(x: Array, axes: Sequence[int] | None = None) -> Array:
    """Permute the axes; all reversed by default."""
    return np.transpose(x, axes)


def _permutation(x: Shape, axes: Sequence[int] | None) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(len(x)))[::-1]
    order = axes_of("transpose", tuple(axes), x)
    if len(order) != len(x):
        raise ShapeError("transpose", [x], f"axes {tuple(axes)} is no permutation of {len(x)} axes", "name each once")
    return order


transpose: Function = op(
    "transpose",
    _transpose,
    lambda g, y, x, axes=None: (
        apply("transpose", (g,), {"axes": tuple(map(int, np.argsort(_permutation(np.shape(x), axes))))}),
    ),
    shape=lambda x, axes=None: tuple(x[a] for a in _permutation(x, axes)),
    examples=(Example(((2, 3),)), Example(((2, 3, 4),), {"axes": (2, 0, -2)})),
)


def _flip(x: Array, axis: int = -1) -> Array:
    """Reverse the order of the entries along ``axis``."""
    return np.flip(x, axis)


flip: Function = op(
    "flip",
    _flip,
    lambda g, y, x, axis=-1: (flip(g, axis),),
    shape=lambda x, axis=-1: (axes_of("flip", axis, x), x)[1],
    examples=(Example(((2, 3),)), Example(((2, 3),), {"axis": 0})),
)


@block(examples=(Example(((2, 3),), {"axis": 1}),))
def expand_dims(x: Value, axis: int) -> Value:
    """A new axis of size 1 at ``axis``."""
    shape = list(np.shape(x))
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
    return reshape(x, tuple(shape))


@block(examples=(Example(((2, 3, 4),), {"first": 0, "second": -1}),))
def swapaxes(x: Value, first: int, second: int) -> Value:
    """Exchange two axes."""
    axes = list(range(len(np.shape(x))))
    axes[first], axes[second] = axes[second], axes[first]
    return transpose(x, tuple(axes))


# --- joining -----------------------------------------------------------------------------------------------------
def _concatenate(*arrays: Array, axis: int = 0) -> Array:
    return np.concatenate(arrays, axis=axis)


def _concatenate_shape(*shapes: Shape, axis: int = 0) -> Shape:
    (a,) = axes_of("concatenate", axis, shapes[0])
    rest = {(*s[:a], *s[a + 1 :]) if len(s) == len(shapes[0]) else None for s in shapes}
    if len(rest) > 1:
        raise ShapeError("concatenate", shapes, f"all sizes but that of axis {axis} must be equal", "reshape or slice")
    return (*shapes[0][:a], int(np.sum([s[a] for s in shapes])), *shapes[0][a + 1 :])


def _concatenate_vjp(g: Value, y: Value, *arrays: Value, axis: int = 0) -> tuple[Value, ...]:
    (a,) = axes_of("concatenate", axis, np.shape(y))
    ends = [0, *accumulate(np.shape(x)[a] for x in arrays)]
    return tuple(getitem(g, (*[slice(None)] * a, slice(i, j))) for i, j in pairwise(ends))


op(
    "concatenate",
    _concatenate,
    _concatenate_vjp,
    arity=None,
    shape=_concatenate_shape,
    examples=(Example(((2, 3), (1, 3))), Example(((2, 3), (2, 0), (2, 1)), {"axis": -1})),
)


def concatenate(arrays: Sequence[Value], axis: int = 0) -> Any:
    """Join arrays along an existing axis.

    >>> from gradcheck.backprop import ops
    >>> print(ops.concatenate([[1.0], [2.0, 3.0]]))
    [1. 2. 3.]
    """
    if not arrays:
        raise ShapeError("concatenate", [()], "there is nothing to join", "give at least one array")
    return apply("concatenate", tuple(arrays), {"axis": axis})


@block(examples=(Example(((2, 3), (2, 3))), Example(((2,), (2,), (2,)), {"axis": -1})), variadic=True)
def stack(arrays: Sequence[Value], axis: int = 0) -> Any:
    """Join arrays of equal shape along a new axis."""
    return concatenate([expand_dims(x, axis) for x in arrays], axis)


# --- padding -----------------------------------------------------------------------------------------------------
def _pad(x: Array, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Array:
    """Put ``widths[i] = (before, after)`` entries of ``value`` around axis i."""
    return np.pad(x, widths, constant_values=value)


def _pad_shape(x: Shape, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Shape:
    if len(widths) != len(x) or any(n < 0 for pair in widths for n in pair):
        raise ShapeError("pad", [x], f"widths {widths} need a pair of sizes >= 0 for each axis", "give (0, 0) for none")
    return tuple(n + before + after for n, (before, after) in zip(x, widths, strict=True))


pad: Function = op(
    "pad",
    _pad,
    lambda g, y, x, widths, value=0.0: (
        getitem(g, tuple(slice(before, before + n) for n, (before, _) in zip(np.shape(x), widths, strict=True))),
    ),
    shape=_pad_shape,
    examples=(Example(((2, 3),), {"widths": ((1, 0), (2, 1))}), Example(((2,),), {"widths": ((1, 1),), "value": 3.0})),
)
