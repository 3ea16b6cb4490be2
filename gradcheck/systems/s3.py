"""S3 · The two-layer mini-batch example, row-major: an example is a row, and a batch has m of them.

Notation of the tutorial: X (m, 2), Y (m, 1), W1 (2, 3), b1 (1, 3), W2 (3, 1), b2 (1, 1).

- ``i1 = X W1 + b1``, ``o1 = sigmoid(i1)``, ``i2 = o1 W2 + b2``, ``o2 = sigmoid(i2)``
- ``cost = 1/(2m) Σ (o2 − Y)²``
- ``e = (1/m)(o2 − Y) ∘ o2∘(1−o2)``: ``∂cost/∂W2 = (eᵀ o1)ᵀ``, ``∂cost/∂b2 = Σ_rows e``
- ``h = (e W2ᵀ) ∘ o1∘(1−o1)``: ``∂cost/∂W1 = (hᵀ X)ᵀ``, ``∂cost/∂b1 = Σ_rows h``
"""

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.dense import Arrays, Dense
from gradcheck.backprop.descent import sgd
from gradcheck.systems.verify import Check, Outcome, three_ways, worst

TITLE = "the two-layer mini-batch example"
NETWORK = Dense((2, 3, 1), ("sigmoid", "sigmoid"), loss="squared")
Array = NDArray[np.float64]


def sigmoid(i: Array) -> Array:
    """The logistic sigmoid."""
    return 1 / (1 + np.exp(-i))


def forward(X: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, Array]:
    """Outputs o1 (m, 3) and o2 (m, 1) of the two layers."""
    o1 = sigmoid(X @ W1 + b1)
    o2 = sigmoid(o1 @ W2 + b2)
    return o1, o2


def cost(X: Array, Y: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> float:
    """1/(2m) Σ (o2 − Y)²."""
    o2 = forward(X, W1, b1, W2, b2)[1]
    return float(np.sum((o2 - Y) ** 2) / (2 * len(X)))


def errors(o1: Array, o2: Array, Y: Array, W2: Array) -> tuple[Array, Array]:
    """e (m, 1) and h (m, 3): derivatives of the cost with respect to i2 and i1."""
    e = (o2 - Y) / len(Y) * o2 * (1 - o2)
    h = (e @ W2.T) * o1 * (1 - o1)
    return e, h


def gradient(X: Array, Y: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Arrays:
    """∂cost/∂ each parameter, by name."""
    o1, o2 = forward(X, W1, b1, W2, b2)
    e, h = errors(o1, o2, Y, W2)
    return {
        "W1": (h.T @ X).T,
        "b1": np.sum(h, axis=0, keepdims=True),
        "W2": (e.T @ o1).T,
        "b2": np.sum(e, axis=0, keepdims=True),
    }


def slope(point: Arrays, data: Arrays) -> tuple[float, Arrays]:
    """Cost and gradient by the hand formulas; the data are "X" and "Y"."""
    return cost(**data, **point), gradient(**data, **point)


def engine_slope(point: Arrays, data: Arrays) -> tuple[float, Arrays]:
    """The same by the graph engine."""
    return NETWORK.slope(point, {"x": data["X"], "y": data["Y"]})


def strip(examples: int, seed: int) -> Arrays:
    """Points of the square (−1, 1)², and whether each lies in the strip along a diagonal that covers half of it."""
    X = np.random.default_rng(seed).uniform(-1, 1, (examples, 2))
    return {"X": X, "Y": (np.abs(X[:, :1] - X[:, 1:]) < 2 - np.sqrt(2)).astype(float)}


def verify(point: Arrays, data: Arrays) -> tuple[Check, ...]:
    """Compare the cost and its gradient three ways at ``point``."""
    # A number passes through two layers, there and back, each a sum over at most 3 terms and some four more
    # operations, and then through the sum over the m examples.
    roundings = 2 * 2 * (3 + 4) + len(data["X"])
    return three_ways(
        point,
        data,
        cost=lambda w, data: cost(**data, **w),
        hand=slope,
        engine=engine_slope,
        roundings=roundings,
    )


def run(*, steps: int = 1500, learning_rate: float = 4.0, examples: int = 32, batch: int = 8, seed: int = 0) -> Outcome:
    """Learn a strip in ``steps`` mini-batches of ``batch``, and verify before and after on all ``examples``."""
    data = strip(examples, seed)
    start = NETWORK.parameters(seed)
    end = sgd(
        slope,
        start,
        data,
        learning_rate=learning_rate,
        steps=steps,
        batch=batch,
        seed=seed,
        title="S3",
    )
    checks = worst(verify(start, data), verify(end.parameters, data))
    return Outcome(TITLE, {"mini-batch cost": end.curve}, checks)
