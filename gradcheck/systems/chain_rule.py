"""The chain rule of S4 for vectors, a product of Jacobians, and for tensors, a contraction of them.

- vectors: ``y = tanh(W x)``, ``z = exp(V y)``: ``∂z/∂x = ∂z/∂y · ∂y/∂x = diag(z) V · diag(1 − y²) W``
- tensors: ``S[i,j,k] = Σ_l X[i,l] A[j,k,l]``, ``T = sin(S)``:
  ``∂T[i,j,k]/∂X[a,b] = Σ ∂T[i,j,k]/∂S[…] · ∂S[…]/∂X[a,b] = cos(S[i,j,k]) · [i = a] · A[j,k,b]``
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck import numeric
from gradcheck.backprop import jacobian, ops, trace
from gradcheck.backprop.dense import Arrays
from gradcheck.systems.verify import Check, each_pair, rounding_of

Array = NDArray[Any]


def vector(W: Array, V: Array, x: Array) -> Any:
    """z, of as many entries as V has rows."""
    return np.exp(V @ np.tanh(W @ x))


def vector_jacobian(W: Array, V: Array, x: Array) -> Any:
    """∂z/∂x, shape (entries of z, entries of x)."""
    y = np.tanh(W @ x)
    return (np.diag(np.exp(V @ y)) @ V) @ (np.diag(1 - y**2) @ W)


def tensor(A: Array, X: Array) -> Any:
    """T, shape (rows of X, then A's first two axes)."""
    return np.sin(np.einsum("il,jkl->ijk", X, A))


def tensor_jacobian(A: Array, X: Array) -> Any:
    """∂T/∂X, the shape of T followed by that of X."""
    return np.einsum("ijk,ia,jkb->ijkab", np.cos(np.einsum("il,jkl->ijk", X, A)), np.eye(len(X)), A)


def verify(seed: int) -> list[Check]:
    """Compare both Jacobians three ways at random points."""
    rng = np.random.default_rng(seed)
    W, V, A = rng.standard_normal((4, 3)), rng.standard_normal((2, 4)), rng.standard_normal((2, 2, 3))
    vectors = trace(lambda x: ops.exp(ops.matmul(V, ops.tanh(ops.matmul(W, x)))), x=3)
    tensors = trace(lambda x: ops.sin(ops.einsum("il,jkl->ijk", x, A)), x=(2, 3))
    checks: list[Check] = []
    for quantity, graph, function, by_hand in (
        ("∂z/∂x, vector", vectors, partial(vector, W, V), partial(vector_jacobian, W, V)),
        ("∂T/∂X, tensor", tensors, partial(tensor, A), partial(tensor_jacobian, A)),
    ):
        x = rng.standard_normal(graph.inputs["x"].shape)

        def as_slope(moved: Arrays, _: Arrays, by_hand: Any = by_hand) -> tuple[float, Arrays]:
            return 0.0, {"J": by_hand(moved["x"])}

        rounding = rounding_of(as_slope, {"x": x}, {}, 20)[
            "J"
        ]  # sums of 3 and 4 terms and two functions, there and back
        checks += each_pair(
            quantity, by_hand(x), jacobian(graph, {"x": x})["x"], numeric.jacobian(function, x), rounding
        )
    return checks
