"""Wire any op of the reference onto any values: whatever their shapes and ranges, the result is defined.

A random graph would be ill-shaped, or outside a domain, nearly always. So an op that broadcasts has its arguments
summed over the axes that do not fit; an op with an axis takes one that exists; every other op has its arguments
refilled to the shapes of one of its own examples; and an argument that may leave the domain is squashed into it. A new
row of the table can be wired as soon as it has examples; only ops that take an axis are listed here.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from gradcheck.backprop import ops
from gradcheck.strategies.palette import REAL, Bounds

Value = Any  # an array or a Node

REDUCES = ("sum", "mean", "var", "max", "min", "prod", "logsumexp")
ALONG = ("softmax", "log_softmax", "cumsum", "flip")
# Towers of these overflow within three slots; their arguments are kept in (-2, 2), where a wrong rule is as wrong.
GROWS = ("exp", "expm1", "sinh", "cosh", "power", "prod", "scalar_power", "square")

_ROWS: Mapping[str, Any] = {**ops.TABLE, **ops.BLOCKS}
_BROADCASTS = ("elementwise", "activations")
BY_EXAMPLE = frozenset(
    name
    for name, row in _ROWS.items()
    if name not in (*REDUCES, *ALONG) and getattr(row, "family", "") not in _BROADCASTS
)


def names() -> tuple[str, ...]:
    """Every op and block that can be wired: smooth ones first, then those with kinks, then those that only choose."""
    return tuple(sorted(_ROWS, key=lambda name: (chooses(name), _ROWS[name].kinks is not None)))


def chooses(name: str) -> bool:
    """Whether no gradient flows through the op itself: comparisons, sign. They are wired as choices between values."""
    row = _ROWS[name]
    return bool(row.frozen) and len(row.frozen) == getattr(row, "arity", None)


def has_kinks(name: str) -> bool:
    """Whether the op, as wired here, has points without a derivative."""
    return chooses(name) or _ROWS[name].kinks is not None


def arity(name: str, variant: int) -> int:
    """How many values the op takes in this variant; masks and indices are made up here and not counted."""
    total = getattr(_ROWS[name], "arity", None) or len(_example(name, variant).shapes)
    return total if chooses(name) else sum(not _made_up(name, position) for position in range(total))


def bounds(name: str, position: int) -> Bounds:
    """The open interval in which an argument has to lie, `REAL` where any number will do."""
    domain = _domain(name, position)
    if name in GROWS and domain.description == "any":
        return (-2.0, 2.0)
    return REAL if domain.description == "any" or domain.kind != "real" else (domain.low, domain.high)


def wire(name: str, values: Sequence[Value], known: Sequence[Bounds | None], variant: int) -> Value:
    """Apply op ``name`` to ``values``, arrays or nodes; ``variant`` picks the axis or the example.

    ``known`` holds, for each value, the bounds that its entries are known to lie in, None where nothing is known.
    """
    if chooses(name):
        return _chosen(name, _joined(values))
    fitted, static = _fitted(name, values, variant)
    arguments: list[Value] = []
    left = iter(zip(fitted, values, known, strict=True))
    for position in range(len(values) + sum(_made_up(name, p) for p in range(len(values) + 1))):
        if _made_up(name, position):
            shape = _example(name, variant).shapes[position] if name in BY_EXAMPLE else np.shape(fitted[0])
            arguments.append(_domain(name, position).sample(np.random.default_rng(variant), shape))
        else:
            argument, value, inside = next(left)
            arguments.append(_held(name, position, argument, inside if argument is value else None))
    return ops.invoke(name, *arguments, **static)


def _fitted(name: str, values: Sequence[Value], variant: int) -> tuple[list[Value], Mapping[str, Any]]:
    """The values in shapes that the op accepts, and its static arguments."""
    ndim = np.ndim(values[0])
    axis = variant % ndim if ndim else None
    if name in REDUCES:
        return list(values), {"axis": axis, "keepdims": True}
    if name in ALONG:
        return [values[0] if ndim else ops.reshape(values[0], (1,))], {"axis": axis or 0}
    if name == "matmul" and variant % 2 == 0:
        return _multipliable(*values), {}
    example = _example(name, variant)
    if name not in BY_EXAMPLE:
        return _joined(values), example.static
    shapes = [shape for position, shape in enumerate(example.shapes) if not _made_up(name, position)]
    return [_refilled(value, shape) for value, shape in zip(values, shapes, strict=True)], example.static


def _made_up(name: str, position: int) -> bool:
    """Whether the argument is a mask or an array of indices."""
    return _domain(name, position).kind in ("integer", "boolean")


def _example(name: str, variant: int) -> Any:
    filled = [example for example in _ROWS[name].examples if all(np.prod(shape) for shape in example.shapes)]
    return filled[variant % len(filled)]


def _domain(name: str, position: int) -> Any:
    domains = _ROWS[name].domain
    return domains[min(position, len(domains) - 1)]


def _chosen(name: str, values: list[Value]) -> Value:
    """``x sign(x)``, ``a if a < b else b``: the op decides, the values flow."""
    picked = ops.invoke(name, *values)
    return ops.where(picked, *values) if len(values) == 2 else values[0] * picked


def _joined(values: Sequence[Value]) -> list[Value]:
    """The values, each summed over the axes in which it does not fit those before it, so that they broadcast."""
    joined: list[Value] = []
    common: list[int] = []  # sizes from the last axis backwards
    for value in values:
        sizes = np.shape(value)[::-1]
        misfits = [-1 - i for i, (n, m) in enumerate(zip(sizes, common, strict=False)) if 1 not in (n, m) and n != m]
        if misfits:
            value = ops.sum(value, axis=tuple(misfits), keepdims=True)
        joined.append(value)
        common = [max(n, m) for n, m in zip_longest(np.shape(value)[::-1], common, fillvalue=1)]
    return joined


def _multipliable(a: Value, b: Value) -> list[Value]:
    """Matrices with equal inner sizes: b as it is, or transposed, or its rows summed and repeated."""
    a, b = (value if np.ndim(value) > 1 else ops.reshape(value, (1, -1)) for value in (a, b))
    if np.ndim(a) > 2 and np.ndim(b) > 2:
        a, b = ops.sum(a, axis=tuple(range(np.ndim(a) - 2))), b
    inner = np.shape(a)[-1]
    if np.shape(b)[-2] != inner:
        b = ops.swapaxes(b, -2, -1) if np.shape(b)[-1] == inner else ops.sum(b, axis=-2, keepdims=True)
    if np.shape(b)[-2] != inner:
        b = ops.broadcast_to(b, (*np.shape(b)[:-2], inner, np.shape(b)[-1]))
    return [a, b]


def _refilled(value: Value, shape: tuple[int, ...]) -> Value:
    """The entries of ``value`` in order, cut off or repeated until they fill ``shape``."""
    own = np.shape(value)
    if own == shape:
        return value
    size, target = int(np.prod(own)), int(np.prod(shape))
    if size == target:
        return ops.reshape(value, shape)
    flat = value if len(own) == 1 else ops.reshape(value, (size,))
    return ops.getitem(flat, np.arange(target).reshape(shape) % size)


def _held(name: str, position: int, value: Value, inside: Bounds | None) -> Value:
    """The argument brought into its domain, unless it is known to be there already."""
    domain, shape = _domain(name, position), np.shape(value)
    if domain.kind in ("invertible", "definite"):
        # |tanh| rounds to 1, and the n of a row may all be -1: n + 1 outweighs them; float16 leaves dtypes alone
        return ops.tanh(value) + (shape[-1] + 1) * np.eye(shape[-1], dtype=np.float16)
    if domain.description == "not constant":
        return ops.tanh(value) + 2 * np.indices(shape, dtype=np.float16).sum(0)
    low, high = bounds(name, position)
    if low is None or high is None or (inside is not None and _within(inside, low, high)):
        return value
    return low + (high - low) * ops.sigmoid(value)


def _within(inside: Bounds, low: float, high: float) -> bool:
    return inside[0] is not None and inside[1] is not None and low <= inside[0] and inside[1] <= high
