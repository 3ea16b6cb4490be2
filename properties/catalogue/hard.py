"""Right functions that fool finite differences: coarse solvers, cancellation, jumps and chirps near by, exact kinks."""

import numpy as np

from .case import Array, Case, Pullback, case, elementwise, generic, positive, real
from .elementwise import X


def bisected(x: Array) -> Array:
    """The root of y + y³ = x by bisection, to 1e-7 only: a staircase, as many iterative solvers are."""
    low, high = -np.abs(x) - 1, np.abs(x) + 1
    while np.max(high - low, initial=0) > 1e-7:
        middle = (low + high) / 2
        above = middle + middle**3 > x
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray((low + high) / 2)


def expanded(x: Array) -> Array:
    """(x - 1)⁷ multiplied out: near 1 nothing but cancellation is left."""
    return np.asarray(x**7 - 7 * x**6 + 21 * x**5 - 35 * x**4 + 35 * x**3 - 21 * x**2 + 7 * x - 1)


# Their noise is far above an ulp of their value: a reference that takes small steps mistakes it for the slope.
COARSE = [
    elementwise(
        "bisection_to_1e-7", bisected, lambda x: 1 / (1 + 3 * bisected(x) ** 2), generic("n", "k"), "a staircase"
    ),
    elementwise(
        "expanded_polynomial",
        expanded,
        lambda x: 7 * (x - 1) ** 6,
        generic("n", "k", scale=0.3, shift=1.0),
        "cancellation",
    ),
    elementwise("one_minus_cosine", lambda x: 1 - np.cos(x), np.sin, generic("n", "k", scale=1e-4), "cancellation"),
    elementwise(
        "six_decimals", lambda x: np.round(np.sin(x), 6), np.cos, generic("n", "k"), "what a text format keeps"
    ),
]

NEAR = [
    elementwise("floor", np.floor, lambda x: 0.0, generic("n", "k", scale=3), "flat, with jumps near by"),
    elementwise("sawtooth", lambda x: x - np.floor(x), lambda x: 1.0, generic("n", "k", scale=3), "jumps near by"),
    elementwise(
        "squared_relu", lambda x: np.maximum(x, 0) ** 2, lambda x: 2 * np.maximum(x, 0), X, "the curvature jumps"
    ),
    elementwise("x_abs_x", lambda x: x * np.abs(x), lambda x: 2 * np.abs(x), X, "the curvature jumps"),
    elementwise(
        "chirp",
        lambda x: np.sin(1 / x),
        lambda x: -np.cos(1 / x) / x**2,
        positive("n", "k", scale=0.05),
        "faster near 0",
    ),
    elementwise(
        "tall_spike", lambda x: 1 / (x * x + 1e-6), lambda x: -2 * x / (x * x + 1e-6) ** 2, X, "1e-3 wide, 1e6 tall"
    ),
    elementwise(
        "hidden_kink",
        lambda x: np.abs(x - 1e-4) + x,
        lambda x: np.sign(x - 1e-4) + 1,
        generic("n", "k", scale=3e-4),
        "",
    ),
]


@case(x=generic("n", "k", shift=1e4), sizes={"k": (2, 6)})
def variance_by_moments(x: Array) -> Pullback:
    """E[x²] - E[x]² at a mean of 1e4: eight digits cancel."""
    m = x.mean(-1, keepdims=True)
    return (x * x).mean(-1) - m[..., 0] ** 2, lambda g: g[..., None] * 2 * (x - m) / x.shape[-1]


@case(x=real("n", "k"), w=real("k", "m"), b=real("m"))
def dense_relu_at_kinks(x: Array, w: Array, b: Array) -> Pullback:
    """Units at exactly zero: each output's gradient is a valid subgradient."""
    z = x @ w + b

    def pull(g: Array) -> tuple[Array, ...]:
        d = g * (z > 0)
        return d @ w.T, x.T @ d, d.sum(0)

    return np.maximum(z, 0), pull


@case(x=real("n"), sizes={"n": (5_000, 10_000)})
def tanh_of_ten_thousand(x: Array) -> Pullback:
    y = np.tanh(x)
    return y, lambda g: g * (1 - y * y)


@case(x=real("n", "k"), y=real("n", "k"))
def far_apart(x: Array, y: Array) -> Pullback:
    """A block whose gradient is 1e-9 of the other's, in one output."""
    return np.sin(x).sum() + 1e-9 * np.sin(y).sum(), lambda g: (g * np.cos(x), 1e-9 * g * np.cos(y))


CASES = [*COARSE, *NEAR, *(c for c in list(globals().values()) if isinstance(c, Case))]
