"""The smallest cases of S4: linear and logistic regression, a weighted mean of losses, by stochastic gradient descent.

One row an example: X (m, n), Y (m, 1), W (n, 1), b (1, 1), weights w (m,). A loss is one example's error, the cost
their weighted mean ``Σ wᵢ lossᵢ / Σ wᵢ``. Both regressions have the same gradient formula in their residual p − Y:

- linear: ``p = X W + b``, ``loss = ½ (p − Y)²``
- logistic: ``p = sigmoid(X W + b)``, ``loss = −Y log p − (1−Y) log(1−p)``
- ``∂cost/∂W = Xᵀ r``, ``∂cost/∂b = Σ_rows r`` with ``r = w ∘ (p − Y) / Σ w``
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.dense import Arrays, Dense
from gradcheck.backprop.descent import sgd
from gradcheck.systems.verify import Check, Outcome, three_ways, worst

Array = NDArray[np.float64]

ENGINE = {"linear": ("identity", "squared"), "logistic": ("sigmoid", "binary_cross_entropy")}  # activation, loss
KINDS = tuple(ENGINE)


def predict(kind: str, X: Array, W: Array, b: Array) -> Array:
    """p (m, 1) of the "linear" or "logistic" regression."""
    z = X @ W + b
    return z if kind == "linear" else 1 / (1 + np.exp(-z))


def cost(kind: str, X: Array, Y: Array, weights: Array, W: Array, b: Array) -> float:
    """Weighted mean of the losses."""
    p = predict(kind, X, W, b)
    losses = 0.5 * (p - Y) ** 2 if kind == "linear" else -Y * np.log(p) - (1 - Y) * np.log(1 - p)
    return float(np.average(losses[:, 0], weights=weights))


def gradient(kind: str, X: Array, Y: Array, weights: Array, W: Array, b: Array) -> Arrays:
    """∂cost/∂W and ∂cost/∂b."""
    r = (predict(kind, X, W, b) - Y) * weights[:, np.newaxis] / np.sum(weights)
    return {"W": X.T @ r, "b": np.sum(r, axis=0, keepdims=True)}


def slope(point: Arrays, data: Arrays, kind: str) -> tuple[float, Arrays]:
    """Cost and gradient by the hand formulas; the data are "X", "Y" and "weights"."""
    return cost(kind, **data, **point), gradient(kind, **data, **point)


def engine_slope(point: Arrays, data: Arrays, kind: str) -> tuple[float, Arrays]:
    """The same by the graph engine: a network of one layer."""
    activation, loss = ENGINE[kind]
    net = Dense((data["X"].shape[1], 1), (activation,), loss=loss, reduction="weighted")
    batch = {"x": data["X"], "y": data["Y"], "weights": data["weights"]}
    total, table = net.slope({"W1": point["W"], "b1": point["b"]}, batch)
    return total, {"W": table["W1"], "b": table["b1"]}


def noisy_plane(kind: str, examples: int, seed: int) -> Arrays:
    """Points of a plane in three dimensions, with noise; for "logistic" which side of it they lie on; and weights."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((examples, 3))
    height = X @ np.array([[1.0], [-2.0], [0.5]]) + 0.3 + 0.3 * rng.standard_normal((examples, 1))
    Y = height if kind == "linear" else (height > 0).astype(float)
    return {"X": X, "Y": Y, "weights": rng.uniform(0.5, 1.5, examples)}


def verify(kind: str, point: Arrays, data: Arrays) -> tuple[Check, ...]:
    """Compare the cost and its gradient three ways at ``point``."""
    # A number passes through one layer, there and back, of len(W) terms and some eight more operations, and then
    # through the sums over the m examples of the losses and of the weights.
    return three_ways(
        point,
        data,
        cost=lambda w, data: cost(kind, **data, **w),
        hand=partial(slope, kind=kind),
        engine=partial(engine_slope, kind=kind),
        roundings=2 * (len(point["W"]) + 8) + 2 * len(data["X"]),
        of=f", {kind}",
    )


def run(kind: str, *, steps: int, learning_rate: float, examples: int = 32, batch: int = 8, seed: int = 0) -> Outcome:
    """Fit by SGD from zero, and verify before and after on all of the data."""
    data = noisy_plane(kind, examples, seed)
    start = {"W": np.zeros((3, 1)), "b": np.zeros((1, 1))}
    end = sgd(
        partial(slope, kind=kind),
        start,
        data,
        learning_rate=learning_rate,
        steps=steps,
        batch=batch,
        seed=seed,
        title=f"S4 {kind}",
    )
    checks = worst(verify(kind, start, data), verify(kind, end.parameters, data))
    return Outcome(f"{kind} regression", {f"mini-batch cost, {kind}": end.curve}, checks)
