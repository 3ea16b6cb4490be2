"""Right functions that work entry by entry: smooth ones, kinked ones with every valid subgradient, and steep ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from .case import Array, Case, Pullback, between, case, elementwise, integers, positive, real

X = real("n", "k")
LONG = real("n", "k", scale=0.7)
RT2 = np.sqrt(2.0).item()
RT2PI = np.sqrt(2 * np.pi).item()
C = np.sqrt(2 / np.pi).item()


def sigmoid(x: Array) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


def steep(x: Array, k: float = 40) -> Any:
    return sigmoid(k * x)


def gelu_slope(x: Array) -> Any:
    return 0.5 * (1 + special.erf(x / RT2)) + x * np.exp(-x * x / 2) / RT2PI


def tanh_gelu_slope(x: Array) -> Any:
    t = np.tanh(C * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * C * (1 + 3 * 0.044715 * x * x)


def mish_slope(x: Array) -> Any:
    t = np.tanh(np.logaddexp(0, x))
    return t + x * (1 - t * t) * sigmoid(x)


def elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def at_zero(value: float, slope: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """A slope with another value at exact zeros."""
    return lambda x: np.where(x == 0, value, slope(x))


SMOOTH = [
    elementwise("identity", lambda x: x, lambda x: 1.0, X),
    elementwise("square", lambda x: x * x, lambda x: 2 * x, X),
    elementwise("cube", lambda x: x**3, lambda x: 3 * x * x, X),
    elementwise("reciprocal", lambda x: 1 / x, lambda x: -1 / (x * x), positive("n", "k")),
    elementwise("power_2.5", lambda x: x**2.5, lambda x: 2.5 * x**1.5, positive("n", "k")),
    elementwise("rsqrt", lambda x: x**-0.5, lambda x: -0.5 * x**-1.5, positive("n", "k")),
    elementwise("exp", np.exp, np.exp, X),
    elementwise("expm1", np.expm1, np.exp, X),
    elementwise("log", np.log, lambda x: 1 / x, positive("n", "k")),
    elementwise("log1p", np.log1p, lambda x: 1 / (1 + x), positive("n", "k")),
    elementwise("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x), positive("n", "k")),
    elementwise("xlogx", lambda x: x * np.log(x), lambda x: np.log(x) + 1, positive("n", "k")),
    elementwise("logit", special.logit, lambda x: 1 / (x * (1 - x)), between(0.02, 0.98, "n", "k")),
    elementwise("sin", np.sin, np.cos, X),
    elementwise("cos", np.cos, lambda x: -np.sin(x), X),
    elementwise("sinh", np.sinh, np.cosh, LONG),
    elementwise("arctan", np.arctan, lambda x: 1 / (1 + x * x), X),
    elementwise("tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2, X),
    elementwise("sigmoid", sigmoid, lambda x: sigmoid(x) * sigmoid(-x), X),
    elementwise("softplus", lambda x: np.logaddexp(0, x), sigmoid, X),
    elementwise(
        "softsign",
        lambda x: x / (1 + np.abs(x)),
        lambda x: 1 / (1 + np.abs(x)) ** 2,
        X,
        "the second derivative jumps at 0",
    ),
    elementwise("silu", lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), X),
    elementwise("gelu_erf", lambda x: 0.5 * x * (1 + special.erf(x / RT2)), gelu_slope, X),
    elementwise("gelu_tanh", lambda x: 0.5 * x * (1 + np.tanh(C * (x + 0.044715 * x**3))), tanh_gelu_slope, X),
    elementwise("mish", lambda x: x * np.tanh(np.logaddexp(0, x)), mish_slope, X),
    elementwise("erf", special.erf, lambda x: 2 / np.sqrt(np.pi).item() * np.exp(-x * x), X),
    elementwise("lgamma", special.gammaln, special.psi, positive("n", "k")),
    elementwise("gaussian", lambda x: np.exp(-x * x / 2), lambda x: -x * np.exp(-x * x / 2), X),
]

KINKED = [
    *(
        elementwise(
            f"relu_at_zero_{at}",
            lambda x: np.maximum(x, 0),
            at_zero(at, lambda x: x > 0),
            X,
            "a valid subgradient",
        )
        for at in (0.0, 0.5, 1.0)
    ),
    *(
        elementwise(f"abs_at_zero_{at}", np.abs, at_zero(at, np.sign), X, "a valid subgradient")
        for at in (0.0, 1.0, -1.0)
    ),
    elementwise(
        "relu_near_zero", lambda x: np.maximum(x, 0), lambda x: x > 0, real("n", "k", scale=5e-7), "kinks 5e-7 away"
    ),
    elementwise("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1, 0.01), X),
    elementwise("relu6", lambda x: np.clip(x, 0, 6), lambda x: (x > 0) & (x < 6), real("n", "k", scale=3)),
    elementwise("elu", elu, lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))), X),
    elementwise(
        "selu",
        lambda x: 1.05 * np.where(x > 0, x, 1.67 * elu(x)),
        lambda x: 1.05 * np.where(x > 0, 1, 1.67 * np.exp(np.minimum(x, 0))),
        X,
    ),
    elementwise("clip_open", lambda x: np.clip(x, -1, 1), lambda x: np.abs(x) < 1, X, "0 at the bounds"),
    elementwise("clip_closed", lambda x: np.clip(x, -1, 1), lambda x: np.abs(x) <= 1, X, "1 at the bounds"),
    elementwise(
        "hard_sigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: (np.abs(x) < 3) / 6, real("n", "k", scale=2)
    ),
    elementwise(
        "hard_swish",
        lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x: np.where(x < -3, 0, np.where(x > 3, 1, x / 3 + 0.5)),
        real("n", "k", scale=2),
    ),
    elementwise("huber", lambda x: np.where(np.abs(x) < 1, x * x / 2, np.abs(x) - 0.5), lambda x: np.clip(x, -1, 1), X),
    elementwise("shrink", lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), lambda x: np.abs(x) > 0.5, X),
    elementwise(
        "triangle_wave",
        lambda x: np.abs(x - np.round(x)),
        lambda x: np.sign(x - np.round(x)),
        real("n", "k", scale=0.77),
    ),
]

HARD = [
    elementwise(
        "sin_1000x", lambda x: np.sin(1000 * x), lambda x: 1000 * np.cos(1000 * x), X, "aliases at ordinary steps"
    ),
    elementwise(
        "exp_30x",
        lambda x: np.exp(30 * x),
        lambda x: 30 * np.exp(30 * x),
        real("n", "k", scale=0.3),
        "entries 40 decades apart",
    ),
    elementwise("steep_sigmoid", steep, lambda x: 40 * steep(x) * steep(-x), X, "saturated nearly everywhere"),
    elementwise(
        "saturated_tanh", np.tanh, lambda x: 1 / np.cosh(x) ** 2, real("n", "k", scale=8), "slopes far below the noise"
    ),
    elementwise("log_near_zero", np.log, lambda x: 1 / x, positive("n", "k", scale=1e-5), "NaN at large steps"),
    elementwise(
        "sqrt_near_zero", np.sqrt, lambda x: 0.5 / np.sqrt(x), positive("n", "k", scale=1e-8), "NaN at large steps"
    ),
    elementwise(
        "arcsin_near_one",
        np.arcsin,
        lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
        between(0.9999, 0.999999, "n", "k"),
        "NaN at large steps",
    ),
    elementwise(
        "arctanh", np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)), between(-0.999, 0.999, "n", "k"), "NaN at large steps"
    ),
    elementwise("lgamma_near_zero", special.gammaln, special.psi, positive("n", "k", scale=1e-3), "a pole near by"),
    elementwise(
        "reciprocal_near_zero",
        lambda x: 1 / x,
        lambda x: -1 / (x * x),
        positive("n", "k", scale=1e-6),
        "a pole near by",
    ),
    elementwise("square_at_1e9", lambda x: x * x, lambda x: 2 * x, real("n", "k", shift=1e9), "large and smooth"),
    elementwise("constant", lambda x: np.full_like(x, 2.0), lambda x: 0.0, X, "the gradient is exactly zero"),
    elementwise("tiny_slope", lambda x: 1 + 1e-9 * np.sin(x), lambda x: 1e-9 * np.cos(x), X, "1e-9 of the value moves"),
    elementwise(
        "ripple", lambda x: x + 1e-3 * np.sin(100 * x), lambda x: 1 + 0.1 * np.cos(100 * x), X, "smooth far, wavy near"
    ),
]


@case(a=real("n", "k"), b=real("n", "k"))
def maximum_first(a: Array, b: Array) -> Pullback:
    """The first argument gets all of a tie."""
    return np.maximum(a, b), lambda g: (g * (a >= b), g * (a < b))


@case(a=real("n", "k"), b=real("n", "k"))
def maximum_half(a: Array, b: Array) -> Pullback:
    """A tie is halved."""
    share = 0.5 * (np.sign(a - b) + 1)
    return np.maximum(a, b), lambda g: (g * share, g * (1 - share))


@case(a=real("n", "k"), b=real("n", "k"))
def minimum_second(a: Array, b: Array) -> Pullback:
    """The second argument gets all of a tie."""
    return np.minimum(a, b), lambda g: (g * (a < b), g * (a >= b))


@case(a=real("n", "k"), b=real("n", "k"))
def add(a: Array, b: Array) -> Pullback:
    """A residual connection: two gradients that are equal, and separate arrays."""
    return a + b, lambda g: (g, g)


@case(a=real("n", "k"), b=real("n", "k"))
def multiply(a: Array, b: Array) -> Pullback:
    return a * b, lambda g: (g * b, g * a)


@case(a=real("n", "k"), b=positive("n", "k"))
def divide(a: Array, b: Array) -> Pullback:
    return a / b, lambda g: (g / b, -g * a / (b * b))


@case(a=positive("n", "k"), b=real("n", "k", scale=0.5))
def power(a: Array, b: Array) -> Pullback:
    return a**b, lambda g: (g * b * a ** (b - 1), g * a**b * np.log(a))


@case(y=real("n", "k"), x=positive("n", "k"))
def arctan2(y: Array, x: Array) -> Pullback:
    r = x * x + y * y
    return np.arctan2(y, x), lambda g: (g * x / r, -g * y / r)


@case(x=real())
def scalar_polynomial(x: Array) -> Pullback:
    """A 0-d input and a 0-d output."""
    return x**3 - 2 * x, lambda g: g * (3 * x * x - 2)


@case(x=real(0, "k"), w=real("k"))
def empty_batch(x: Array, w: Array) -> Pullback:
    """No examples at all: w's gradient is zero, x's has no entries."""
    return x @ w, lambda g: (np.outer(g, w), x.T @ g)


@case(x=real("n", "k"), branch=integers(40, "n"), sizes={"n": (1, 1)})
def one_of_forty(x: Array, branch: Array) -> Pullback:
    """Which of forty branches is taken is an input."""
    return np.sin(x * (1 + branch[:, None])), lambda g: g * (1 + branch[:, None]) * np.cos(x * (1 + branch[:, None]))


CASES = [*SMOOTH, *KINKED, *HARD, *(c for c in list(globals().values()) if isinstance(c, Case))]
