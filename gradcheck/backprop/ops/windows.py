"""Sliding windows, and what is built of them: convolution and pooling. Layout: batch, channels, then space."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.op import Array, Example, Shape, Value
from gradcheck.backprop.ops.products import einsum
from gradcheck.backprop.ops.reductions import _gap as gap
from gradcheck.backprop.ops.reductions import max as max_over
from gradcheck.backprop.ops.reductions import mean
from gradcheck.backprop.ops.rows import Function, block, op
from gradcheck.backprop.ops.shaping import pad

# fmt: off
__all__ = [
    "avg_pool", "conv1d", "conv2d", "fold", "max_pool", "windows",
]
# fmt: on


def _reach(size: Shape, dilation: Shape) -> Shape:
    return tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))


# --- the pair of adjoint ops -------------------------------------------------------------------------------------
def _windows(x: Array, size: Shape, stride: Shape, dilation: Shape) -> Array:
    """All windows of ``size`` over the last ``len(size)`` axes: shape (..., places, size); ``fold`` is the adjoint."""
    axes = tuple(range(-len(size), 0))
    every: Array = sliding_window_view(x, _reach(size, dilation), axes)
    index: Any = (..., *(slice(None, None, n) for n in (*stride, *dilation)))
    return np.asarray(every[index])


def _windows_shape(x: Shape, size: Shape, stride: Shape, dilation: Shape) -> Shape:
    reach, k = _reach(size, dilation), len(size)
    if len(x) < k or any(n < r for n, r in zip(x[-k:], reach, strict=True)) or min((*size, *stride, *dilation)) < 1:
        raise ShapeError(
            "windows",
            [x, reach],
            f"a window of {reach} must fit into the last {k} axes",
            "pad, or use a smaller window",
        )
    places = tuple((n - r) // s + 1 for n, r, s in zip(x[-k:], reach, stride, strict=True))
    return (*x[:-k], *places, *size)


def _fold(g: Array, size: Shape, stride: Shape, dilation: Shape, shape: Shape) -> Array:
    """Adjoint of windows: add every window back into zeros of ``shape``, overlaps adding up."""
    x = np.zeros(shape, g.dtype)
    k = len(size)
    places = g.shape[-2 * k : -k]
    for offset in product(*map(range, size)):
        lattice = zip(offset, dilation, stride, places, strict=True)
        to: Any = (..., *(slice(o * d, o * d + s * (n - 1) + 1, s) for o, d, s, n in lattice))
        at: Any = (..., *offset)
        x[to] += g[at]
    return x


windows: Function = op(
    "windows",
    _windows,
    lambda g, y, x, size, stride, dilation: (fold(g, size, stride, dilation, np.shape(x)),),
    shape=_windows_shape,
    examples=(
        Example(((2, 7),), {"size": (3,), "stride": (2,), "dilation": (2,)}),
        Example(((5, 4),), {"size": (2, 2), "stride": (2, 1), "dilation": (1, 2)}),
    ),
)
fold: Function = op(
    "fold",
    _fold,
    lambda g, y, x, size, stride, dilation, shape: (windows(g, size, stride, dilation),),
    shape=lambda g, size, stride, dilation, shape: tuple(shape),
    examples=(Example(((2, 2, 3),), {"size": (3,), "stride": (2,), "dilation": (2,), "shape": (2, 7)}),),
)


def _each(name: str, value: int | Sequence[int], k: int) -> Shape:
    """One number an axis of space."""
    sizes = (value,) * k if isinstance(value, int) else tuple(value)
    if len(sizes) != k:
        raise ShapeError(name, [sizes], f"needs {k} numbers, one an axis of space", "give one number or one an axis")
    return sizes


def _pad_space(x: Value, padding: Shape, value: float = 0.0) -> Value:
    widths = [(0, 0)] * (len(np.shape(x)) - len(padding)) + [(p, p) for p in padding]
    return pad(x, tuple(widths), value) if any(padding) else x


# --- convolution (cross-correlation, as in every deep-learning library) ------------------------------------------
def _conv(name: str, letters: str, x: Value, w: Value, stride: Any, padding: Any, dilation: Any) -> Any:
    k = len(letters)
    X, W = np.shape(x), np.shape(w)
    if len(X) != k + 2 or len(W) != k + 2 or X[1] != W[1]:
        raise ShapeError(
            name, [X, W], f"x is (batch, channels, {k} of space), w is (outputs, channels, {k} of space)", "match them"
        )
    x = _pad_space(x, _each(name, padding, k))
    view = windows(x, tuple(W[2:]), _each(name, stride, k), _each(name, dilation, k))
    inner = letters.upper()
    return einsum(f"nc{letters}{inner},oc{inner}->no{letters}", view, w)


@block(
    examples=(
        Example(((2, 2, 5), (3, 2, 2))),
        Example(((1, 2, 6), (2, 2, 3)), {"stride": 2, "padding": 2, "dilation": 2}),
    )
)
def conv1d(x: Value, w: Value, stride: int = 1, padding: int = 0, dilation: int = 1) -> Any:
    """Convolution of x (batch, channels, length) with w (outputs, channels, size): (batch, outputs, places)."""
    return _conv("conv1d", "i", x, w, stride, padding, dilation)


@block(
    examples=(
        Example(((1, 2, 3, 3), (2, 2, 2, 2))),
        Example(((2, 1, 4, 3), (2, 1, 2, 2)), {"stride": (2, 1), "padding": (1, 0), "dilation": (2, 1)}),
    )
)
def conv2d(x: Value, w: Value, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Any:
    """Convolution of x (batch, channels, height, width) with w (outputs, channels, size, size)."""
    return _conv("conv2d", "ij", x, w, stride, padding, dilation)


# --- pooling -----------------------------------------------------------------------------------------------------
def _pooled(
    name: str, x: Value, size: Any, stride: Any, padding: Any, dilation: Any, border: float
) -> tuple[Value, tuple[int, ...]]:
    """The windows of x, padded with ``border``, and the axes over which to reduce them."""
    k = len(np.shape(x)) - 2
    sizes, paddings = _each(name, size, k), _each(name, padding, k)
    if any(2 * p > s for p, s in zip(paddings, sizes, strict=True)):
        raise ShapeError(name, [np.shape(x)], f"padding {paddings} exceeds half of the window {sizes}", "pad less")
    steps = sizes if stride is None else _each(name, stride, k)
    view = windows(_pad_space(x, paddings, border), sizes, steps, _each(name, dilation, k))
    return view, tuple(range(-k, 0))


def _max_pool_kinks(x: Array, size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Array:
    return gap(*_pooled("max_pool", x, size, stride, padding, dilation, -np.inf))


@block(
    kinks=_max_pool_kinks,
    examples=(
        Example(((1, 2, 6),), {"size": 2}),
        Example(((1, 1, 4, 3),), {"size": (2, 2), "stride": (2, 1), "padding": (1, 0)}),
        Example(((1, 1, 5),), {"size": 2, "stride": 1, "dilation": 2}),
    ),
)
def max_pool(x: Value, size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Any:
    """Largest entry of each window of x (batch, channels, space...); tied entries share the gradient equally.

    The stride is the size of the window unless given; the border is padded with minus infinity.
    """
    view, axes = _pooled("max_pool", x, size, stride, padding, dilation, -np.inf)
    return max_over(view, axes)


@block(
    examples=(
        Example(((1, 2, 6),), {"size": 2}),
        Example(((1, 1, 4, 3),), {"size": (2, 2), "stride": (2, 1), "padding": (1, 0)}),
    )
)
def avg_pool(x: Value, size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Any:
    """Mean of each window of x (batch, channels, space...), zeros of the padding included."""
    view, axes = _pooled("avg_pool", x, size, stride, padding, dilation, 0.0)
    return mean(view, axes)
