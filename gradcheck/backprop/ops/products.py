"""Products: batched matmul and einsum, each the vjp of itself."""

from typing import Any

import numpy as np

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.node import apply
from gradcheck.backprop.op import Example, Shape, Value
from gradcheck.backprop.ops.rows import Function, broadcast, op, sum_to
from gradcheck.backprop.ops.shaping import expand_dims, reshape, swapaxes

# fmt: off
__all__ = [
    "einsum", "matmul",
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
