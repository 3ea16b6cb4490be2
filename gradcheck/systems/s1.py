"""S1 · The regularised sigmoid classifier, in the notation of Andrew Ng's Machine Learning course (2011, weeks 4, 5).

Column vectors. Layer l = 1 … L has s(l) units; Θ(l) is (s(l+1), 1 + s(l)), its first column the bias, which multiplies
a constant unit 1 put on top of a(l). There are m examples, the columns of X (s(1), m) and Y (K, m), and K outputs.

- forward: ``a(1) = x``, ``z(l+1) = Θ(l) a(l)``, ``a(l+1) = g(z(l+1))``, g the logistic sigmoid
- ``δ(L) = a(L) − y``; ``δ(l) = Θ(l)ᵀ δ(l+1) ∘ g'(z(l))`` for l = L−1 … 2, and there is no δ(1)
- one example, λ = 0: ``∂J/∂Θ(l)[i, j] = a(l)[j] · δ(l+1)[i]``
- all of them: ``Δ(l) += δ(l+1) a(l)ᵀ``, then ``D = Δ/m + (λ/m) Θ``, without the second term for the bias column
"""

from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.dense import Arrays, Dense
from gradcheck.backprop.descent import gradient_descent
from gradcheck.systems.hyperparameters import hidden_widths
from gradcheck.systems.verify import Check, Outcome, three_ways, worst

TITLE = "the regularised sigmoid classifier"
Array = NDArray[np.float64]


def g(z: Array) -> Array:
    """The logistic sigmoid."""
    return 1 / (1 + np.exp(-z))


def g_prime(a: Array) -> Array:
    """Derivative of the sigmoid at z, written with a = g(z): ``a ∘ (1 − a)``."""
    return a * (1 - a)


def with_bias(a: Array) -> Array:
    """Put the constant unit 1 on top of each column."""
    return np.vstack((np.ones((1, a.shape[1])), a))


def forward(Θ: list[Array], x: Array) -> list[Array]:
    """Activations a(1) … a(L) of one column, or of several at once."""
    a = [x]
    for Θl in Θ:
        a.append(g(Θl @ with_bias(a[-1])))
    return a


def deltas(Θ: list[Array], a: list[Array], y: Array) -> list[Array]:
    """Errors δ(2) … δ(L); the row of Θ(l)ᵀ that belongs to the bias unit is left out, nothing feeds that unit."""
    δ = [a[-1] - y]
    for Θl, al in zip(Θ[:0:-1], a[-2:0:-1], strict=True):
        δ.insert(0, Θl[:, 1:].T @ δ[0] * g_prime(al))
    return δ


def gradient_of_one(Θ: list[Array], x: Array, y: Array) -> list[Array]:
    """∂J/∂Θ(l)[i, j] = a(l)[j] · δ(l+1)[i] for one example, the columns x and y, and λ = 0."""
    a = forward(Θ, x)
    return [δ @ with_bias(al).T for al, δ in zip(a, deltas(Θ, a, y), strict=False)]


def cost(Θ: list[Array], X: Array, Y: Array, λ: float) -> float:
    """J: the cross-entropy summed over the K outputs, averaged over m, plus λ/(2m) ΣΘ² without the bias columns."""
    m, h = X.shape[1], forward(Θ, X)[-1]
    penalty = λ / (2 * m) * sum(np.sum(Θl[:, 1:] ** 2) for Θl in Θ)
    return float(-np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h)) / m + penalty)


def gradient(Θ: list[Array], X: Array, Y: Array, λ: float) -> list[Array]:
    """D(l) = ∂J/∂Θ(l): the examples go by one at a time, and their gradients add up in Δ."""
    m = X.shape[1]
    Δ = [np.zeros_like(Θl) for Θl in Θ]
    for i in range(m):
        for Δl, one in zip(Δ, gradient_of_one(Θ, X[:, i : i + 1], Y[:, i : i + 1]), strict=True):
            Δl += one
    D = [Δl / m for Δl in Δ]
    for Dl, Θl in zip(D, Θ, strict=True):
        Dl[:, 1:] += λ / m * Θl[:, 1:]
    return D


def network(Θ: list[Array], λ: float) -> Dense:
    """Describe the same network to the engine, which keeps the bias column apart from the weights."""
    widths = (Θ[0].shape[1] - 1, *(len(Θl) for Θl in Θ))
    sigmoids = ("sigmoid",) * len(Θ)
    return Dense(widths, sigmoids, loss="binary_cross_entropy", examples="columns", penalty=λ)


def slope(point: Arrays, data: Arrays, λ: float) -> tuple[float, Arrays]:
    """J and D by the hand formulas, the arrays keyed "Θ(1)", "Θ(2)", …, the data "X" and "Y"."""
    Θ = list(point.values())
    return cost(Θ, data["X"], data["Y"], λ), dict(zip(point, gradient(Θ, data["X"], data["Y"], λ), strict=True))


def engine_slope(point: Arrays, data: Arrays, λ: float) -> tuple[float, Arrays]:
    """The same by the graph engine."""
    Θ = list(point.values())
    parameters = {f"W{layer}": Θl[:, 1:] for layer, Θl in enumerate(Θ, 1)}
    parameters |= {f"b{layer}": Θl[:, :1] for layer, Θl in enumerate(Θ, 1)}
    J, table = network(Θ, λ).slope(parameters, {"x": data["X"], "y": data["Y"]})
    return J, {name: np.hstack((table[f"b{layer}"], table[f"W{layer}"])) for layer, name in enumerate(point, 1)}


def initial(widths: tuple[int, ...], seed: int) -> Arrays:
    """Draw Θ(1) … Θ(L−1) for layers of these many units; breaking the symmetry, as the course calls it."""
    rng = np.random.default_rng(seed)
    sizes = enumerate(pairwise(widths), 1)
    return {f"Θ({k})": rng.standard_normal((after, 1 + before)) / np.sqrt(before) for k, (before, after) in sizes}


def blobs(examples: int, seed: int) -> Arrays:
    """K = 4 clouds of points in the plane, one around each corner of a square: X (2, m) and one-hot Y (4, m)."""
    rng = np.random.default_rng(seed)
    corner = np.arange(examples) % 4
    centres = np.array([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]])
    return {"X": centres[:, corner] + 0.4 * rng.standard_normal((2, examples)), "Y": np.eye(4)[:, corner]}


def verify(point: Arrays, data: Arrays, λ: float, of: str = "") -> tuple[Check, ...]:
    """Compare J and D three ways at ``point``; ``of`` is added to the names in the claims."""
    # A number passes through L−1 layers, there and back, each a sum over at most `widest` terms and some four more
    # operations, and then through the sum over the m examples.
    widest = max(max(Θl.shape) for Θl in point.values())
    return three_ways(
        point,
        data,
        cost=lambda Θ, data: cost(list(Θ.values()), **data, λ=λ),
        hand=partial(slope, λ=λ),
        engine=partial(engine_slope, λ=λ),
        roundings=2 * len(point) * (widest + 4) + data["X"].shape[1],
        of=of,
    )


def run(
    *,
    hidden: int = 2,
    units: tuple[int, ...] = (5,),
    steps: int = 300,
    learning_rate: float = 2.0,
    penalty: float = 0.1,
    examples: int = 24,
    seed: int = 0,
) -> Outcome:
    """Train on four clouds of points by gradient descent, and verify before and after.

    The defaults give L = 4 layers and K = 4 outputs; ``hidden`` layers of ``units`` each (see `hidden_widths`),
    λ = ``penalty``, m = ``examples``.
    """
    data = blobs(examples, seed)
    start = initial((2, *hidden_widths(hidden, units), 4), seed)
    end = gradient_descent(
        partial(slope, λ=penalty),
        start,
        data,
        learning_rate=learning_rate,
        steps=steps,
        title="S1",
    )
    first = {name: array[:, :1] for name, array in data.items()}
    checks = worst(
        verify(start, data, penalty),
        verify(end.parameters, data, penalty),
        verify(start, first, 0.0, of=", one ex."),
    )
    return Outcome(TITLE, {"J": end.curve}, checks)
