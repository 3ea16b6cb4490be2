"""An op is one row of a table: its value, its vjp, its shape rule, and what is needed to draw arguments for it.

The vjp is the pullback of the row: ``vjp(g, y, *parents, **static)`` takes the cotangent ``g`` of the value ``y`` and
returns one cotangent a parent, None where no gradient flows (indices, masks). It is written in terms of ops, so the
same rule turns arrays into arrays and graph nodes into graph nodes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Value: TypeAlias = Any  # an array, a NumPy or Python scalar, or a Node: what an op accepts and returns

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Domain:
    """Where an argument may come from: a description for people, a kind and bounds for samplers.

    >>> POSITIVE.description, POSITIVE.low, POSITIVE.high
    ('positive', 0.25, 3.0)
    """

    description: str
    low: float = -2.0
    high: float = 2.0
    kind: Literal["real", "integer", "boolean", "invertible", "definite"] = "real"

    def sample(self, rng: np.random.Generator, shape: Shape, dtype: npt.DTypeLike = "float64") -> Array:
        """Draw an array of this domain; entries are multiples of 2**-10, exact in every float dtype but float16."""
        if self.kind == "boolean":
            return np.asarray(rng.integers(0, 2, shape), bool)
        if self.kind == "integer":
            return np.asarray(rng.integers(int(self.low), int(self.high), shape, endpoint=True))
        x = rng.integers(int(np.ceil(self.low * 1024)), int(self.high * 1024), shape, endpoint=True) / 1024
        if self.kind == "invertible":  # rows dominated by their diagonal, of either sign: determinants of either sign
            n = shape[-1]
            x = (x + 2 * n * np.eye(n)) * rng.choice([-1.0, 1.0], (*shape[:-1], 1))
        if self.kind == "definite":  # x xᵀ + n plus a skew part, which symmetrising takes away again
            n, t = shape[-1], np.swapaxes(x, -1, -2)
            x = x @ t + n * np.eye(n) + (x - t) / 4
        return np.asarray(x, dtype)


ANY = Domain("any")
POSITIVE = Domain("positive", 0.25, 3.0)
NON_ZERO = Domain("not zero", 0.25, 3.0)
INDEX = Domain("an integer index", -2, 1, "integer")
MASK = Domain("a boolean mask", 0, 1, "boolean")
INVERTIBLE = Domain("an invertible matrix", -1.0, 1.0, "invertible")
DEFINITE = Domain("a matrix whose symmetric part is positive definite", -1.0, 1.0, "definite")


@dataclass(frozen=True)
class Example:
    """One representative call of an op: the shapes of its parents and its static arguments."""

    shapes: tuple[Shape, ...]
    static: Mapping[str, Any] = field(default_factory=dict)


def default_shape(*shapes: Shape, **_: Any) -> Shape:
    """Shape rule of an op of one argument that keeps its shape."""
    return shapes[0]


@dataclass(frozen=True)
class Op:
    """One row of the table.

    ``arity`` is the number of parents, None for any number. ``domain`` has one entry a parent, the last one repeated.
    ``frozen`` lists the parents that never receive a gradient. ``kinks(*parents, **static)`` returns the distance of
    the arguments from the nearest point where the op is not differentiable; None when it is smooth on its domain.
    """

    name: str
    value: Callable[..., Any]
    vjp: Callable[..., tuple[Value, ...]]
    shape: Callable[..., Shape] = default_shape
    arity: int | None = 1
    domain: tuple[Domain, ...] = (ANY,)
    frozen: tuple[int, ...] = ()
    kinks: Callable[..., Any] | None = None
    examples: tuple[Example, ...] = ()
    family: str = ""


@dataclass(frozen=True)
class Block:
    """A function built of ops, such as a convolution: no vjp of its own, but examples to draw arguments for it."""

    name: str
    call: Callable[..., Value]
    domain: tuple[Domain, ...] = (ANY,)
    kinks: Callable[..., Any] | None = None
    examples: tuple[Example, ...] = ()
    frozen: tuple[int, ...] = ()


def draw(
    row: Op | Block,
    example: Example,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = "float64",
    *,
    margin: float = 1 / 64,
    attempts: int = 1000,
) -> list[Array]:
    """Draw arguments for ``row`` in its domain and at least ``margin`` away from its kinks.

    Raises RuntimeError when ``attempts`` draws all fell on kinks: the example is then too large to miss them by chance.
    """
    for _ in range(attempts):
        arguments = [
            row.domain[min(i, len(row.domain) - 1)].sample(rng, shape, dtype) for i, shape in enumerate(example.shapes)
        ]
        if row.kinks is None or np.min(row.kinks(*arguments, **example.static), initial=np.inf) >= margin:
            return arguments
    raise RuntimeError(f"{row.name}: no draw of {example} stayed {margin} away from the kinks; use smaller shapes")


TABLE: dict[str, Op] = {}
BLOCKS: dict[str, Block] = {}
