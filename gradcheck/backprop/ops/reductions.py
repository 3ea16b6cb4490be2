"""Reductions over axes, running sums, and the softmax family. ``axis`` is None (all), a number or a tuple."""

from typing import Any

import numpy as np

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.op import Array, Domain, Example, Shape, Value
from gradcheck.backprop.ops.elementwise import div, equal, exp, mul, ones_like, sqrt, sub, where
from gradcheck.backprop.ops.rows import Function, axes_of, block, op
from gradcheck.backprop.ops.shaping import broadcast_to, flip, reshape, transpose

# fmt: off
__all__ = [
    "cumsum", "log_softmax", "logsumexp", "max", "mean", "min", "prod", "softmax", "std", "sum", "sum_to", "var",
]
# fmt: on

AXES: tuple[Example, ...] = (
    Example(((2, 3),)),
    Example(((2, 3),), {"axis": 0}),
    Example(((2, 3, 2),), {"axis": (0, -1), "keepdims": True}),
    Example(((),)),
)
EMPTY = Example(((0, 2),), {"axis": 0})


def _reduced(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _rule(name: str, least: int = 0) -> Any:
    """Shape rule of a reduction that needs at least ``least`` entries along the reduced axes."""

    def shape(x: Shape, axis: Any = None, keepdims: bool = False, **_: Any) -> Shape:
        axes = axes_of(name, axis, x)
        if int(np.prod([x[a] for a in axes], dtype=int)) < least:
            raise ShapeError(name, [x], f"{name} over axis {axis} needs at least {least} entry", "reduce another axis")
        return _reduced(x, axes, keepdims)

    return shape


def _kept(v: Value, x: Value, axis: Any) -> Value:
    """The reduced value or cotangent ``v``, with its axes kept as ones so that it broadcasts against ``x``."""
    return reshape(v, _reduced(np.shape(x), axes_of("reduction", axis, np.shape(x)), True))


def _count(x: Value, axis: Any) -> int:
    return int(np.prod([np.shape(x)[a] for a in axes_of("reduction", axis, np.shape(x))], dtype=int))


# --- sums --------------------------------------------------------------------------------------------------------
def _sum(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """Sum over ``axis``.

    >>> from gradcheck.backprop import ops
    >>> print(ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0))
    [4. 6.]
    """
    return np.sum(x, axis=axis, keepdims=keepdims)  # type: ignore[no-any-return]


sum: Function = op(
    "sum",
    _sum,
    lambda g, y, x, axis=None, keepdims=False: (broadcast_to(_kept(g, x, axis), np.shape(x)),),
    shape=_rule("sum"),
    examples=(*AXES, EMPTY),
)


def _sum_to(x: Array, shape: Shape) -> Array:
    """The adjoint of broadcasting: sum over the axes that ``shape`` lacks or has as 1."""
    x = np.asarray(x)
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1)
    return np.reshape(np.sum(x, axis=axes, keepdims=True), shape)


sum_to: Function = op(
    "sum_to",
    _sum_to,
    lambda g, y, x, shape: (broadcast_to(g, np.shape(x)),),
    shape=lambda x, shape: tuple(shape),
    examples=(Example(((2, 3, 4),), {"shape": (3, 1)}), Example(((2,),), {"shape": ()})),
)


def _mean(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """Arithmetic mean over ``axis``, which must not be empty."""
    return np.mean(x, axis=axis, keepdims=keepdims)  # type: ignore[no-any-return]


mean: Function = op(
    "mean",
    _mean,
    lambda g, y, x, axis=None, keepdims=False: (broadcast_to(div(_kept(g, x, axis), _count(x, axis)), np.shape(x)),),
    shape=_rule("mean", 1),
    examples=AXES,
)


def _var(x: Array, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Array:
    """Variance over ``axis``: the squared distance from the mean, summed and divided by ``n - ddof``."""
    return np.var(x, axis=axis, keepdims=keepdims, ddof=ddof)  # type: ignore[no-any-return]


var: Function = op(
    "var",
    _var,
    lambda g, y, x, axis=None, keepdims=False, ddof=0: (
        mul(_kept(g, x, axis), mul(2 / (_count(x, axis) - ddof), sub(x, mean(x, axis, True)))),
    ),
    shape=_rule("var", 1),
    examples=(*AXES, Example(((4, 2),), {"axis": 0, "ddof": 1})),
)


@block(domain=Domain("not constant"), examples=(Example(((5,),)), Example(((4, 2),), {"axis": 0, "ddof": 1})))
def std(x: Value, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Value:
    """Standard deviation over ``axis``, the root of ``var``; not differentiable where all entries are equal."""
    return sqrt(var(x, axis, keepdims, ddof))


def _cumsum(x: Array, axis: int = -1) -> Array:
    """Running sum along one axis."""
    return np.cumsum(x, axis=axis)


cumsum: Function = op(
    "cumsum",
    _cumsum,
    lambda g, y, x, axis=-1: (flip(cumsum(flip(g, axis), axis), axis),),
    shape=lambda x, axis=-1: (axes_of("cumsum", axis, x), x)[1],
    examples=(Example(((4,),)), Example(((2, 3),), {"axis": 0}), EMPTY),
)


# --- extremes: a tie is split equally ----------------------------------------------------------------------------
def _extreme_vjp(g: Value, y: Value, x: Value, axis: Any = None, keepdims: bool = False) -> tuple[Value]:
    chosen = mul(equal(x, _kept(y, x, axis)), ones_like(x))
    return (mul(_kept(g, x, axis), div(chosen, sum(chosen, axis, True))),)


def _gap(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """Distance between the largest entry and the next: 0 at a tie, infinite when there is only one entry."""
    axes = axes_of("max", axis, x.shape)
    rows = np.moveaxis(x, axes, range(-len(axes), 0)).reshape(-1, _count(x, axis))
    top = np.sort(np.concatenate([rows, np.full((len(rows), 1), -np.inf)], axis=1), axis=1)
    return top[:, -1] - top[:, -2]  # type: ignore[no-any-return]


def _max(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """Largest entry over ``axis``; tied entries share the gradient equally."""
    return np.max(x, axis=axis, keepdims=keepdims)  # type: ignore[no-any-return]


def _min(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """Smallest entry over ``axis``; tied entries share the gradient equally."""
    return np.min(x, axis=axis, keepdims=keepdims)  # type: ignore[no-any-return]


max: Function = op("max", _max, _extreme_vjp, shape=_rule("max", 1), kinks=_gap, examples=AXES)
min: Function = op(
    "min", _min, _extreme_vjp, shape=_rule("min", 1), kinks=lambda x, **static: _gap(-x, **static), examples=AXES
)


# --- product: every entry is multiplied by the others, never divided out, so zeros are harmless -------------------
def _prod(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """Product over ``axis``; the gradient is right where entries are zero, at n^2 work and memory for n entries."""
    return np.prod(x, axis=axis, keepdims=keepdims)  # type: ignore[no-any-return]


def _prod_vjp(g: Value, y: Value, x: Value, axis: Any = None, keepdims: bool = False) -> tuple[Value]:
    shape = np.shape(x)
    axes = axes_of("prod", axis, shape)
    n = _count(x, axis)
    order = [i for i in range(len(shape)) if i not in axes] + list(axes)
    rows = reshape(transpose(x, order), (*_reduced(shape, axes, False), 1, n))
    others = prod(where(np.eye(n, dtype=bool), 1.0, rows), -1)  # row i has a 1 in place of its own entry i
    back = transpose(reshape(others, tuple(shape[i] for i in order)), [int(i) for i in np.argsort(order)])
    return (mul(_kept(g, x, axis), back),)


prod: Function = op("prod", _prod, _prod_vjp, shape=_rule("prod"), examples=(*AXES, EMPTY))


# --- exponentials of differences ---------------------------------------------------------------------------------
def _logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """Log of the sum of exponentials over ``axis``, the largest entry taken out first so that nothing overflows."""
    top = np.max(x, axis=axis, keepdims=True)
    y = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return np.reshape(y, _reduced(np.shape(x), axes_of("logsumexp", axis, np.shape(x)), keepdims))


logsumexp: Function = op(
    "logsumexp",
    _logsumexp,
    # not exp(x - y): y is rounded to its own ulp, at 900 already 1e-13, and that becomes the gradient's relative error
    lambda g, y, x, axis=None, keepdims=False: (mul(_kept(g, x, axis), softmax(x, axis)),),
    shape=_rule("logsumexp", 1),
    examples=AXES,
)


def _one_axis(name: str) -> Any:
    def shape(x: Shape, axis: Any = -1) -> Shape:
        axes_of(name, axis, x)
        return x

    return shape


def _softmax(x: Array, axis: Any = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along ``axis``, computed from differences so that nothing overflows."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return e / np.sum(e, axis=axis, keepdims=True)  # type: ignore[no-any-return]


SOFT = (Example(((2, 3),)), Example(((4,),)), Example(((2, 3, 2),), {"axis": 1}), Example(((0, 2),)))
softmax: Function = op(
    "softmax",
    _softmax,
    lambda g, y, x, axis=-1: (mul(y, sub(g, sum(mul(g, y), axis, True))),),
    shape=_one_axis("softmax"),
    examples=SOFT,
)


def _log_softmax(x: Array, axis: Any = -1) -> Array:
    """Log of the softmax along ``axis``, exact where the softmax itself would round to 0 or 1."""
    z = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))  # type: ignore[no-any-return]


log_softmax: Function = op(
    "log_softmax",
    _log_softmax,
    lambda g, y, x, axis=-1: (sub(g, mul(exp(y), sum(g, axis, True))),),
    shape=_one_axis("log_softmax"),
    examples=SOFT,
)
