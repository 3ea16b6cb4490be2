"""Square matrices: solving, inverse, determinant, Cholesky.

The rules are those of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008), and for Cholesky of I. Murray, "Differentiation of the Cholesky decomposition"
(arXiv:1602.07527).
"""

from collections.abc import Callable

import numpy as np

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.op import ANY, DEFINITE, INVERTIBLE, Array, Example, Shape, Value
from gradcheck.backprop.ops.elementwise import add, mul, neg
from gradcheck.backprop.ops.products import matmul, mT
from gradcheck.backprop.ops.rows import Function, broadcast, op, sum_to
from gradcheck.backprop.ops.shaping import expand_dims, reshape

# fmt: off
__all__ = [
    "cholesky", "det", "inv", "logdet", "solve", "tril",
]
# fmt: on


def _half(function: Callable[..., Array]) -> Callable[..., Array]:
    """A LAPACK function for float16 too: computed in float32, returned in float16. LAPACK has no longdouble."""

    def value(*arrays: Array) -> Array:
        if all(getattr(a, "dtype", None) == np.float16 for a in arrays):
            return function(*[a.astype(np.float32) for a in arrays]).astype(np.float16)
        return function(*arrays)

    return value


def _square(name: str) -> Callable[..., Shape]:
    def shape(a: Shape) -> Shape:
        if len(a) < 2 or a[-1] != a[-2]:
            raise ShapeError(name, [a], "the last two axes must form a square matrix", "check the shape")
        return a[:-2] if name in ("det", "logdet") else a

    return shape


def _solve_shape(a: Shape, b: Shape) -> Shape:
    _square("solve")(a)
    if not b or a[-1] != b[-2:][0]:
        raise ShapeError("solve", [a, b], f"b needs {a[-1]} rows", "transpose b")
    return (*broadcast("solve", a[:-2], b[:-2]), *b[-2:]) if len(b) > 1 else (*a[:-2], *b)


def _solve_vjp(g: Value, y: Value, a: Value, b: Value) -> tuple[Value, Value]:
    vector = len(np.shape(b)) == 1
    G, Y = (expand_dims(g, -1), expand_dims(y, -1)) if vector else (g, y)
    dB = solve(mT(a), G)
    db = reshape(dB, np.shape(y)) if vector else dB
    return sum_to(neg(matmul(dB, mT(Y))), np.shape(a)), sum_to(db, np.shape(b))


solve: Function = op(
    "solve",
    _half(np.linalg.solve),
    _solve_vjp,
    arity=2,
    shape=_solve_shape,
    domain=(INVERTIBLE, ANY),
    examples=tuple(
        Example(shapes)
        for shapes in (
            ((3, 3), (3, 2)),
            ((3, 3), (3,)),
            ((2, 3, 3), (3, 1)),
            ((2, 2, 2), (3, 1, 2, 2)),
            ((2, 3, 3), (3,)),
        )
    ),
    doc="The x of a @ x = b; b is a vector when it has one axis, else a (batch of a) matrix.",
)
MATRICES = (Example(((3, 3),)), Example(((2, 2, 2),)), Example(((1, 1),)))
inv: Function = op(
    "inv",
    _half(np.linalg.inv),
    lambda g, y, a: (neg(matmul(matmul(mT(y), g), mT(y))),),
    shape=_square("inv"),
    domain=INVERTIBLE,
    examples=MATRICES,
    doc="The inverse of a (batch of) square matrices.",
)


def _each(g: Value) -> Value:
    """One number a matrix, shaped to scale the matrix."""
    return reshape(g, (*np.shape(g), 1, 1))


det: Function = op(
    "det",
    _half(np.linalg.det),
    lambda g, y, a: (mul(_each(mul(g, y)), mT(inv(a))),),
    shape=_square("det"),
    domain=INVERTIBLE,
    examples=MATRICES,
    doc="The determinant; its gradient needs an invertible matrix.",
)
logdet: Function = op(
    "logdet",
    _half(lambda a: np.linalg.slogdet(a)[1]),
    lambda g, y, a: (mul(_each(g), mT(inv(a))),),
    shape=_square("logdet"),
    domain=INVERTIBLE,
    examples=MATRICES,
    doc="The logarithm of the absolute value of the determinant.",
)


def _tril(x: Array, k: int = 0) -> Array:
    """Zero above the k-th diagonal of the last two axes."""
    return np.tril(x, k)


tril: Function = op(
    "tril",
    _tril,
    lambda g, y, x, k=0: (tril(g, k),),
    examples=(Example(((3, 3),)), Example(((2, 2, 3),), {"k": -1})),
)


def _cholesky(a: Array) -> Array:
    """Lower-triangular L with ``L @ L.T`` equal to the symmetric part ``(a + a.T) / 2``, which must be definite.

    Symmetrising inside makes every entry of ``a`` a free variable: the gradient equals the finite difference entry by
    entry, which for a function of the lower triangle alone it would not.
    """
    return np.linalg.cholesky((a + np.swapaxes(a, -1, -2)) / 2)


def _cholesky_vjp(g: Value, y: Value, a: Value) -> tuple[Value]:
    p = matmul(mT(y), g)
    p = mul(0.5, add(tril(p), tril(p, -1)))  # lower triangle, its diagonal halved
    s = mT(solve(mT(y), mT(solve(mT(y), p))))  # inv(L).T @ p @ inv(L)
    return (mul(0.5, add(s, mT(s))),)


cholesky: Function = op(
    "cholesky",
    _half(_cholesky),
    _cholesky_vjp,
    shape=_square("cholesky"),
    domain=DEFINITE,
    examples=MATRICES,
    doc=_cholesky.__doc__ or "",
)
