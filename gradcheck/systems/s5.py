"""S5 · The L-layer network, in the notation of the Deep Learning Specialization (Andrew Ng, 2017, course 1, week 4).

Column convention: an example is a column. Layer l = 1 … L has n[l] units and an activation g[l]; m examples.

- shapes: X (n0, m), W[l] (n[l], n[l−1]), b[l] (n[l], 1) broadcast over the m columns, Z[l] and A[l] (n[l], m);
  dW, db, dZ and dA have the shapes of W, b, Z and A
- ``Z[l] = W[l] A[l−1] + b[l]``, ``A[l] = g[l](Z[l])``, ``A[0] = X``
- cost: ``J = −(1/m) Σ Y log A[L] + (1−Y) log(1−A[L])``, the binary cross-entropy
- ``dA[L] = −Y/A[L] + (1−Y)/(1−A[L])``, then for l = L … 1 with the cached Z[l]: ``dZ[l] = dA[l] ∘ g'[l](Z[l])``,
  ``dW[l] = (1/m) dZ[l] A[l−1]ᵀ``, ``db[l] = (1/m) Σ_columns dZ[l]``, ``dA[l−1] = W[l]ᵀ dZ[l]``
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.dense import Arrays, Dense
from gradcheck.backprop.descent import gradient_descent
from gradcheck.backprop.errors import ShapeError
from gradcheck.systems.hyperparameters import hidden_widths, per_layer
from gradcheck.systems.verify import Check, Outcome, three_ways, worst

TITLE = "the L-layer network"
Array = NDArray[np.float64]


class Activation(NamedTuple):
    """A function g of Z and its derivative g', entry by entry."""

    g: Callable[[Array], Array]
    g_prime: Callable[[Array], Array]


def sigmoid(Z: Array) -> Array:
    """The logistic sigmoid."""
    return 1 / (1 + np.exp(-Z))


ACTIVATIONS: Mapping[str, Activation] = {
    "identity": Activation(lambda Z: Z, np.ones_like),
    "sigmoid": Activation(sigmoid, lambda Z: sigmoid(Z) * (1 - sigmoid(Z))),
    "tanh": Activation(np.tanh, lambda Z: 1 - np.tanh(Z) ** 2),
    "relu": Activation(lambda Z: np.maximum(Z, 0), lambda Z: (Z > 0).astype(float)),
    "leaky_relu": Activation(lambda Z: np.where(Z > 0, Z, 0.01 * Z), lambda Z: np.where(Z > 0, 1.0, 0.01)),
    "softplus": Activation(lambda Z: np.logaddexp(0, Z), sigmoid),
    "silu": Activation(lambda Z: Z * sigmoid(Z), lambda Z: sigmoid(Z) * (1 + Z * (1 - sigmoid(Z)))),
}


class Cache(NamedTuple):
    """What a layer keeps for its backward step: its input A[l−1] and its Z[l]."""

    A_before: Array
    Z: Array


def check_shapes(X: Array, Y: Array, W: list[Array], b: list[Array]) -> None:
    """Raise ShapeError naming the first array whose shape is not that of the column convention."""
    if X.ndim != 2:
        raise ShapeError("X", (X.shape,), "X must be (n0, m), one column an example", "reshape it to two axes")
    before, m = X.shape
    for k, (Wl, bl) in enumerate(zip(W, b, strict=True), 1):
        if Wl.ndim != 2 or Wl.shape[1] != before:
            rule = f"W[{k}] must be (n[{k}], n[{k - 1}]) and A[{k - 1}] (n[{k - 1}], m), n[{k - 1}] = {before} here"
            raise ShapeError(
                f"layer {k}, W[{k}] A[{k - 1}]", (Wl.shape, (before, m)), rule, f"transpose or resize W[{k}]"
            )
        before = len(Wl)
        if bl.shape != (before, 1):
            rule = f"b[{k}] must be (n[{k}], 1) to be broadcast over the columns of Z[{k}]"
            raise ShapeError(f"layer {k}, b[{k}]", (bl.shape, (before, 1)), rule, f"reshape b[{k}] to a column")
    if Y.shape != (before, m):
        rule = f"Y must have the shape of A[{len(W)}], (n[{len(W)}], m)"
        raise ShapeError(f"layer {len(W)}, Y", (Y.shape, (before, m)), rule, "put one example in each column of Y")


def forward(X: Array, W: list[Array], b: list[Array], g: tuple[str, ...]) -> tuple[Array, list[Cache]]:
    """A[L] and the cache of each layer."""
    A, caches = X, []
    for Wl, bl, gl in zip(W, b, g, strict=True):
        Z = Wl @ A + bl
        caches.append(Cache(A, Z))
        A = ACTIVATIONS[gl].g(Z)
    return A, caches


def cost(A: Array, Y: Array) -> float:
    """J, the binary cross-entropy of the outputs A = A[L]."""
    return float(-np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / Y.shape[1])


def backward_layer(dA: Array, W: Array, cache: Cache, g: str) -> tuple[Array, Array, Array]:
    """dA[l−1], dW[l] and db[l] from dA[l]."""
    m = dA.shape[1]
    dZ = dA * ACTIVATIONS[g].g_prime(cache.Z)
    dW = dZ @ cache.A_before.T / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    return W.T @ dZ, dW, db


def backward(A: Array, Y: Array, W: list[Array], caches: list[Cache], g: tuple[str, ...]) -> list[tuple[Array, Array]]:
    """(dW[l], db[l]) of layers 1 … L."""
    dA = -Y / A + (1 - Y) / (1 - A)
    gradients: list[tuple[Array, Array]] = []
    for Wl, cache, gl in zip(reversed(W), reversed(caches), reversed(g), strict=True):
        dA, dW, db = backward_layer(dA, Wl, cache, gl)
        gradients.insert(0, (dW, db))
    return gradients


def slope(point: Arrays, data: Arrays, g: tuple[str, ...]) -> tuple[float, Arrays]:
    """J and its gradient by the hand formulas, keyed "W[1]", "b[1]", "W[2]", …; the data are "X" and "Y".

    Raises ShapeError as `check_shapes` does.
    """
    X, Y, (W, b) = data["X"], data["Y"], _layers(point)
    check_shapes(X, Y, W, b)
    A, caches = forward(X, W, b, g)
    gradients = backward(A, Y, W, caches, g)
    return cost(A, Y), {f"{'Wb'[i]}[{k}]": pair[i] for k, pair in enumerate(gradients, 1) for i in (0, 1)}


def engine_slope(point: Arrays, data: Arrays, g: tuple[str, ...]) -> tuple[float, Arrays]:
    """The same by the graph engine."""
    W, _ = _layers(point)
    net = Dense((len(data["X"]), *map(len, W)), g, loss="binary_cross_entropy", examples="columns")
    plain = {name: name.replace("[", "").replace("]", "") for name in point}
    J, table = net.slope({plain[name]: w for name, w in point.items()}, {"x": data["X"], "y": data["Y"]})
    return J, {name: table[plain[name]] for name in point}


def initial(widths: tuple[int, ...], seed: int) -> Arrays:
    """Draw W[l] with variance 1/n[l−1] and small b[l] for layers of these many units."""
    rng, point = np.random.default_rng(seed), {}
    for k, (before, after) in enumerate(pairwise(widths), 1):
        point[f"W[{k}]"] = rng.standard_normal((after, before)) / np.sqrt(before)
        point[f"b[{k}]"] = 0.1 * rng.standard_normal((after, 1))
    return point


def rings(examples: int, seed: int) -> Arrays:
    """Two noisy rings, one within the other: X (2, m), and Y (1, m) is 1 on the inner one."""
    rng = np.random.default_rng(seed)
    inner, angle = np.arange(examples) % 2, rng.uniform(0, 2 * np.pi, examples)
    radius = np.where(inner == 1, 0.5, 1.5) + 0.1 * rng.standard_normal(examples)
    return {"X": radius * np.stack((np.cos(angle), np.sin(angle))), "Y": inner.astype(float)[np.newaxis]}


def verify(point: Arrays, data: Arrays, g: tuple[str, ...]) -> tuple[Check, ...]:
    """Compare J and its gradient three ways at ``point``."""
    # A number passes through L layers, there and back, each a sum over at most `widest` terms and some six more
    # operations, and then through the sum over the m columns.
    widest = max(max(w.shape) for w in point.values())
    return three_ways(
        point,
        data,
        cost=lambda w, data: cost(forward(data["X"], *_layers(w), g)[0], data["Y"]),
        hand=partial(slope, g=g),
        engine=partial(engine_slope, g=g),
        roundings=2 * len(g) * (widest + 6) + data["X"].shape[1],
    )


def run(
    *,
    hidden: int = 2,
    units: tuple[int, ...] = (6,),
    activation: tuple[str, ...] = ("tanh",),
    steps: int = 300,
    learning_rate: float = 0.5,
    examples: int = 40,
    seed: int = 0,
) -> Outcome:
    """Tell two rings apart by gradient descent, and verify before and after.

    ``hidden`` layers of ``units`` each with ``activation`` (see `hidden_widths`; one of `ACTIVATIONS`), then one
    sigmoid unit; ``learning_rate`` is α, m = ``examples``. Raises ValueError for an unknown activation.
    """
    g = (*per_layer("activation", hidden, activation), "sigmoid")
    if unknown := [name for name in g if name not in ACTIVATIONS]:
        raise ValueError(f"unknown activation {unknown[0]!r}: the known ones are {', '.join(ACTIVATIONS)}")
    data = rings(examples, seed)
    start = initial((2, *hidden_widths(hidden, units), 1), seed)
    end = gradient_descent(partial(slope, g=g), start, data, learning_rate=learning_rate, steps=steps, title="S5")
    checks = worst(verify(start, data, g), verify(end.parameters, data, g))
    return Outcome(TITLE, {"J": end.curve}, checks)


def _layers(point: Arrays) -> tuple[list[Array], list[Array]]:
    return [w for name, w in point.items() if name[0] == "W"], [b for name, b in point.items() if name[0] == "b"]
