"""How a row enters the table, and the two families that need a wrapper: elementwise ops and comparisons."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, TypeAlias

import numpy as np

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.node import apply
from gradcheck.backprop.op import ANY, BLOCKS, NOTHING, TABLE, Block, Domain, Example, Op, Shape, Value, default_shape

Function: TypeAlias = Callable[..., Any]  # the public callable of an op
UNARY = (Example(((2, 3),)), Example(((),)), Example(((0, 2),)))
BINARY = (Example(((2, 3), (3,))), Example(((2, 1), (1, 3))), Example(((), (2,))), Example(((0, 2), (2,))))


def op(
    name: str,
    value: Callable[..., Any],
    vjp: Callable[..., tuple[Value, ...]],
    *,
    arity: int | None = 1,
    shape: Callable[..., Shape] = default_shape,
    domain: Domain | tuple[Domain, ...] = ANY,
    frozen: tuple[int, ...] = (),
    kinks: Callable[..., Any] | None = None,
    examples: tuple[Example, ...] = UNARY,
    doc: str = "",
) -> Function:
    """Add one row to the table and return its public callable, for arrays and nodes alike.

    The callable takes the parents by position and then the static arguments by position or by name: what follows ``g``
    and ``y`` in the signature of the vjp. Its docstring is ``doc`` or that of ``value``.
    """
    domains = domain if isinstance(domain, tuple) else (domain,)
    family = vjp.__module__.rpartition(".")[2]
    TABLE[name] = Op(name, value, vjp, shape, arity, domains, frozen, kinks, examples, family)

    # after g and y come the parents, by position only, then the static arguments
    names = [p.replace(annotation=Parameter.empty) for p in list(signature(vjp).parameters.values())[2:]]
    names[: arity or 0] = [p.replace(kind=Parameter.POSITIONAL_ONLY) for p in names[: arity or 0]]
    by_name = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    static_names = [p.name for p in names[arity or 0 :] if p.kind in by_name]

    def sort_out(parents: tuple[Value, ...], static: dict[str, Any]) -> tuple[tuple[Value, ...], dict[str, Any]]:
        """Static arguments given by position go to their names; wrong ones are refused with the signature."""
        count = len(parents) if arity is None else arity
        extra = parents[count:]
        if len(parents) < count or len(extra) > len(static_names) or not static.keys() <= set(static_names):
            named = f" and {', '.join(static)}" if static else ""
            raise TypeError(f"ops.{name}{Signature(names)} got {len(parents)} argument(s) by position{named}")
        return parents[:count], {**dict(zip(static_names, extra, strict=False)), **static}

    def call(*parents: Value, **static: Any) -> Any:
        if len(parents) != arity or static:  # the plain call is by far the most frequent, and has nothing to sort out
            parents, static = sort_out(parents, static)
        return apply(name, parents, static or NOTHING)

    call.__name__ = call.__qualname__ = name
    call.__module__ = vjp.__module__
    call.__signature__ = Signature(names)  # type: ignore[attr-defined]
    call.__doc__ = doc or (f"Elementwise {name}." if isinstance(value, np.ufunc) else value.__doc__)
    return call


def block(
    domain: Domain | tuple[Domain, ...] = ANY,
    kinks: Callable[..., Any] | None = None,
    examples: tuple[Example, ...] = UNARY,
    frozen: tuple[int, ...] = (),
    variadic: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function built of ops so that its examples are found beside those of the table."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*parents: Value, **static: Any) -> Value:
            return function(parents, **static) if variadic else function(*parents, **static)

        domains = domain if isinstance(domain, tuple) else (domain,)
        BLOCKS[function.__name__] = Block(function.__name__, call, domains, kinks, examples, frozen)
        return function

    return register


def broadcast(op: str, *shapes: Shape) -> Shape:
    """Shape of elementwise results: trailing axes aligned, sizes equal or 1 (NumPy's rule); ShapeError otherwise."""
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    ndim = max(map(len, shapes))
    out = []
    for axis in range(-ndim, 0):
        sizes = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(sizes) > 1:
            listed = " and ".join(map(str, sorted(sizes)))
            raise ShapeError(
                op,
                shapes,
                f"axis {axis} has sizes {listed}",
                "broadcasting needs equal sizes or 1: reshape one of them",
            )
        out.append(sizes.pop() if sizes else 1)
    return tuple(out)


def sum_to(g: Value, shape: Shape) -> Value:
    """Undo broadcasting: sum the cotangent ``g`` over the axes along which ``shape`` was repeated."""
    return g if np.shape(g) == shape else apply("sum_to", (g,), {"shape": shape})


def elementwise(
    name: str, value: Callable[..., Any], vjp: Callable[..., tuple[Value, ...]], *, arity: int = 1, **row: Any
) -> Callable[..., Any]:
    """Add an elementwise row: its vjp is written as if nothing were broadcast, and un-broadcast here."""
    if arity == 1:
        return op(name, value, vjp, **row)

    @wraps(vjp)
    def unbroadcast(g: Value, y: Value, *parents: Value, **static: Any) -> tuple[Value, ...]:
        cotangents = vjp(g, y, *parents, **static)
        return tuple([c if c is None else sum_to(c, np.shape(p)) for c, p in zip(cotangents, parents, strict=True)])

    def shape(*shapes: Shape, **_: Any) -> Shape:
        return broadcast(name, *shapes)

    row.setdefault("examples", BINARY)
    return op(name, value, unbroadcast, arity=arity, shape=shape, **row)


def distance(a: Any, b: Any) -> Any:
    """How far the arguments are from a tie, where ops of two ordered arguments have their kink or jump."""
    return np.abs(np.subtract(a, b))


def comparison(name: str, ufunc: np.ufunc, sign: str) -> Function:
    """Add a comparison: boolean, so no gradient flows through it."""
    return elementwise(
        name, ufunc, lambda g, y, a, b: (None, None), arity=2, frozen=(0, 1), kinks=distance, doc=f"a {sign} b."
    )


def axes_of(op: str, axis: Any, shape: Shape) -> tuple[int, ...]:
    """The axes named by ``axis`` (None for all) as non-negative numbers; ShapeError when one does not exist."""
    if axis is None:
        return tuple(range(len(shape)))
    axes = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    for a in axes:
        if not -len(shape) <= a < len(shape):
            raise ShapeError(op, [shape], f"there is no axis {a}", f"axes run from {-len(shape)} to {len(shape) - 1}")
    found = tuple(int(a) % len(shape) for a in axes)
    if len(set(found)) < len(found):
        raise ShapeError(op, [shape], f"axis {axis} names an axis twice", "name each axis once")
    return found
