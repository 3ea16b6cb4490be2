"""Linear algebra: batched products, einsum, solving, inverse, determinant, Cholesky.

The rules are those of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008), and for Cholesky of I. Murray, "Differentiation of the Cholesky decomposition"
(arXiv:1602.07527).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.node import apply
from gradcheck.backprop.op import ANY, DEFINITE, INVERTIBLE, Array, Example, Shape, Value
from gradcheck.backprop.ops.elementwise import add, mul, neg
from gradcheck.backprop.ops.rows import Function, broadcast, op, sum_to
from gradcheck.backprop.ops.shaping import expand_dims, reshape, swapaxes

# fmt: off
__all__ = [
    "cholesky", "det", "einsum", "inv", "logdet", "matmul", "solve", "tril",
]
# fmt: on


def mT(x: Value) -> Value:  # noqa: N802 - the name NumPy gave it
    """The last two axes exchanged."""
    return swapaxes(x, -2, -1)


# --- products ----------------------------------------------------------------------------------------------------
def _matmul_shape(a: Shape, b: Shape) -> Shape:
    if not a or not b:
        raise ShapeError("matmul", [a, b], "a scalar is no matrix", "use * to scale")
    if a[-1] != b[-2:][0]:
        raise ShapeError("matmul", [a, b], f"the inner sizes {a[-1]} and {b[-2:][0]} must be equal", "transpose one")
    return (*broadcast("matmul", a[:-2], b[:-2]), *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def _matmul_vjp(g: Value, y: Value, a: Value, b: Value) -> tuple[Value, Value]:
    A = a if len(np.shape(a)) > 1 else expand_dims(a, 0)  # a vector on the left is one row,
    B = b if len(np.shape(b)) > 1 else expand_dims(b, 1)  # on the right one column
    batch = broadcast("matmul", np.shape(A)[:-2], np.shape(B)[:-2])
    G = reshape(g, (*batch, np.shape(A)[-2], np.shape(B)[-1]))
    dA = sum_to(matmul(G, mT(B)), np.shape(A))
    dB = sum_to(matmul(mT(A), G), np.shape(B))
    return reshape(dA, np.shape(a)), reshape(dB, np.shape(b))


matmul: Function = op(
    "matmul",
    np.matmul,
    _matmul_vjp,
    arity=2,
    shape=_matmul_shape,
    examples=tuple(
        Example(shapes)
        for shapes in (
            ((2, 3), (3, 4)),
            ((3,), (3, 2)),
            ((2, 3), (3,)),
            ((3,), (3,)),
            ((2, 1, 2, 3), (4, 3, 2)),
            ((2, 0), (0, 3)),
            ((3,), (2, 3, 2)),
        )
    ),
    doc="Matrix product over the last two axes, batched over the others; a vector is a row left, a column right.",
)


def _letters(subscripts: str, shapes: tuple[Shape, ...]) -> tuple[list[str], str, dict[str, int]]:
    """Operands, result, and the size of each letter; ShapeError where subscripts and shapes do not fit."""
    if "." in subscripts:
        raise ShapeError("einsum", shapes, f"{subscripts!r} has an ellipsis", "write the batch axes as letters")
    left, arrow, out = subscripts.replace(" ", "").partition("->")
    operands = left.split(",")
    if not arrow:
        out = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    if len(operands) != len(shapes) or any(len(o) != len(s) for o, s in zip(operands, shapes, strict=True)):
        raise ShapeError("einsum", shapes, f"{subscripts!r} needs one letter an axis of each operand", "add letters")
    sizes: dict[str, int] = {}
    for letter, n in ((c, n) for o, s in zip(operands, shapes, strict=True) for c, n in zip(o, s, strict=True)):
        if sizes.setdefault(letter, n) != n:
            raise ShapeError(
                "einsum", shapes, f"letter {letter!r} of {subscripts!r} has sizes {sizes[letter]} and {n}", "rename one"
            )
    if len(set(out)) < len(out) or not set(out) <= set(sizes):
        raise ShapeError("einsum", shapes, f"the result {out!r} must take distinct letters of {left!r}", "correct it")
    return operands, out, sizes


def _einsum_shape(*shapes: Shape, subscripts: str) -> Shape:
    _, out, sizes = _letters(subscripts, shapes)
    return tuple(sizes[c] for c in out)


def _einsum_vjp(g: Value, y: Value, *operands: Value, subscripts: str) -> tuple[Value, ...]:
    """Each cotangent is again an einsum: of g and the other operands, onto the letters of this one.

    A letter that is repeated within the operand is written afresh and tied by an identity matrix (the adjoint of
    taking a diagonal); a letter found nowhere else was summed away and is restored by a vector of ones. Both are
    boolean, so they keep the dtype.
    """
    names, out, sizes = _letters(subscripts, tuple(np.shape(x) for x in operands))
    fresh = [chr(c) for c in range(ord("a"), ord("z") + 1)] + [chr(c) for c in range(ord("A"), ord("Z") + 1)]
    fresh = [c for c in fresh if c not in sizes]
    cotangents = []
    for i, name in enumerate(names):
        terms = [out] + [other for j, other in enumerate(names) if j != i]
        factors = [g] + [x for j, x in enumerate(operands) if j != i]
        spare, target = iter(fresh), ""
        for letter in name:
            if letter in target:
                twin = next(spare)
                terms.append(letter + twin)
                factors.append(np.eye(sizes[letter], dtype=bool))
                target += twin
            else:
                if letter not in "".join(terms):
                    terms.append(letter)
                    factors.append(np.ones(sizes[letter], dtype=bool))
                target += letter
        cotangents.append(einsum(",".join(terms) + "->" + target, *factors))
    return tuple(cotangents)


op(
    "einsum",
    lambda *operands, subscripts: np.einsum(subscripts, *operands, optimize=len(operands) > 2),
    _einsum_vjp,
    arity=None,
    shape=_einsum_shape,
    examples=tuple(
        Example(shapes, {"subscripts": subscripts})
        for subscripts, shapes in (
            ("ij,jk->ik", ((2, 3), (3, 4))),
            ("bij,bjk,k", ((2, 2, 3), (2, 3, 2), (2,))),
            ("ii->i", ((3, 3),)),
            ("iij,j->", ((2, 2, 3), (3,))),
            ("ij->j", ((2, 3),)),
            ("i,j->ji", ((2,), (3,))),
            ("ii,jj->", ((2, 2), (3, 3))),
        )
    ),
)


def einsum(subscripts: str, *operands: Value) -> Any:
    """Einstein summation, ``einsum("bij,bjk->bik", a, b)``: letters may repeat or be summed away; no ellipsis.

    >>> from gradcheck.backprop import ops
    >>> float(ops.einsum("ii->", [[1.0, 2.0], [3.0, 4.0]]))
    5.0
    """
    return apply("einsum", operands, {"subscripts": subscripts})


# --- square matrices ---------------------------------------------------------------------------------------------
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
