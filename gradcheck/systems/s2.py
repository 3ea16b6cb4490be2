"""S2 · The bias-free delta rule, in the notation of Rumelhart, Hinton and Williams (Nature 323, 1986).

Layers of sigmoid units without biases; unit j of a layer takes ``net_j = Σ_i w_ij o_i`` from the outputs o of the layer
before, so w is (units before, units after). One row a pattern: x (patterns, inputs), d and y (patterns, outputs).
The error ``E = ½ Σ (d − y)²`` runs over all patterns and outputs, d desired and y actual.

- output layer: ``δ_k = (y_k − d_k) · f'(net_k)``
- hidden layer: ``δ_j = f'(net_j) · Σ_k w_jk δ_k``
- ``∂E/∂w_ij = δ_j · o_i``, summed over the patterns; gradient descent ``w ← w − η ∂E/∂w``
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.dense import Arrays, Dense
from gradcheck.backprop.descent import gradient_descent
from gradcheck.systems.hyperparameters import hidden_widths
from gradcheck.systems.verify import Check, Outcome, three_ways, worst

TITLE = "the bias-free delta rule"
Array = NDArray[np.float64]


def f(net: Array) -> Array:
    """The logistic sigmoid."""
    return 1 / (1 + np.exp(-net))


def f_prime(o: Array) -> Array:
    """Derivative of the sigmoid at net, written with its output o = f(net)."""
    return o * (1 - o)


def forward(w: list[Array], x: Array) -> list[Array]:
    """Outputs o of each layer, the inputs first and y last."""
    o = [x]
    for wl in w:
        o.append(f(o[-1] @ wl))
    return o


def deltas(w: list[Array], o: list[Array], d: Array) -> list[Array]:
    """δ of each layer but the inputs: the output layer's from the error, a hidden one's from the layer above it."""
    y = o[-1]
    δ = [(y - d) * f_prime(y)]
    for wl, ol in zip(w[:0:-1], o[-2:0:-1], strict=True):
        δ.insert(0, f_prime(ol) * (δ[0] @ wl.T))
    return δ


def error(w: list[Array], x: Array, d: Array) -> float:
    """E = ½ Σ (d − y)²."""
    return float(0.5 * np.sum((d - forward(w, x)[-1]) ** 2))


def gradient(w: list[Array], x: Array, d: Array) -> list[Array]:
    """∂E/∂w_ij = δ_j o_i of each layer, summed over the patterns."""
    o = forward(w, x)
    return [ol.T @ δ for ol, δ in zip(o, deltas(w, o, d), strict=False)]


def slope(point: Arrays, data: Arrays) -> tuple[float, Arrays]:
    """E and ∂E/∂w by the hand formulas, the arrays keyed "w(1)", "w(2)", …, the data "x" and "d"."""
    w = list(point.values())
    return error(w, data["x"], data["d"]), dict(zip(point, gradient(w, data["x"], data["d"]), strict=True))


def engine_slope(point: Arrays, data: Arrays) -> tuple[float, Arrays]:
    """The same by the graph engine."""
    widths = (data["x"].shape[1], *(w.shape[1] for w in point.values()))
    net = Dense(widths, ("sigmoid",) * len(point), loss="squared", bias=False, reduction="sum")
    E, table = net.slope({f"W{k}": w for k, w in enumerate(point.values(), 1)}, {"x": data["x"], "y": data["d"]})
    return E, dict(zip(point, table.values(), strict=True))


def initial(widths: tuple[int, ...], seed: int) -> Arrays:
    """Draw the weights between layers of these many units."""
    rng = np.random.default_rng(seed)
    sizes = enumerate(pairwise(widths), 1)
    return {f"w({k})": 2 * rng.standard_normal(size) / np.sqrt(size[0]) for k, size in sizes}


def patterns() -> Arrays:
    """Exclusive or: two inputs, and a third that is always 1, since the units have no bias of their own."""
    x = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    return {"x": x, "d": np.array([[0.1], [0.9], [0.9], [0.1]])}


def verify(point: Arrays, data: Arrays) -> tuple[Check, ...]:
    """Compare E and ∂E/∂w three ways at ``point``."""
    # A number passes through the layers, there and back, each a sum over at most `widest` terms and some four more
    # operations, and then through the sum over the patterns.
    widest = max(max(w.shape) for w in point.values())
    return three_ways(
        point,
        data,
        cost=lambda w, data: error(list(w.values()), **data),
        hand=slope,
        engine=engine_slope,
        roundings=2 * len(point) * (widest + 4) + len(data["x"]),
    )


def first_order_fall(point: Arrays, data: Arrays) -> Check:
    """Check that one small step lowers E, by η|∂E/∂w|² to first order, as calculus promises.

    The step is halved until the fall is within a tenth of the promise: what is left is the second-order term
    ½ η² gᵀHg, a share ½ η |H| of the first at most, so a right gradient gets there once η ≤ 0.2/|H|. A wrong one
    never does, and neither does one whose square is below the rounding of E.
    """
    E, g = slope(point, data)
    promise = sum(float(np.sum(gl**2)) for gl in g.values())
    for η in 0.5 ** np.arange(1, 21):
        lower = slope({name: w - η * g[name] for name, w in point.items()}, data)[0]
        share = abs((E - lower) / (η * promise) - 1)
        if share <= 0.1:
            break
    return Check("E(w − η ∂E/∂w)", "E falls by η|∂E/∂w|²", share, 0.1)


def run(
    *, hidden: int = 1, units: tuple[int, ...] = (4,), steps: int = 500, learning_rate: float = 2.0, seed: int = 0
) -> Outcome:
    """Learn exclusive or by gradient descent, verify before and after, and show that E has fallen.

    ``hidden`` layers of ``units`` each (see `hidden_widths`); ``learning_rate`` is η.
    """
    data = patterns()
    start = initial((3, *hidden_widths(hidden, units), 1), seed)
    end = gradient_descent(
        slope,
        start,
        data,
        learning_rate=learning_rate,
        steps=steps,
        title="S2",
    )
    checks = worst(verify(start, data), verify(end.parameters, data))
    fallen = Check("E", "after descent ≤ before", float(end.curve[-1] - end.curve[0]), 0.0)
    return Outcome(TITLE, {"E": end.curve}, (*checks, first_order_fall(start, data), fallen))
