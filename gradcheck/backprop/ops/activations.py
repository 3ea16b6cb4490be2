"""Activation functions of one argument. Sources: GELU, Hendrycks and Gimpel 2016 (arXiv:1606.08415); ELU, Clevert,
Unterthiner and Hochreiter 2015 (arXiv:1511.07289); SiLU, Elfwing, Uchibe and Doya 2017 (arXiv:1702.03118).
"""

from typing import Any

import numpy as np
from scipy import special

from gradcheck.backprop.op import Array, Example, Value
from gradcheck.backprop.ops.elementwise import (
    add,
    erfc,
    exp,
    greater,
    like,
    minimum,
    mul,
    neg,
    sub,
    tanh,
    where,
)
from gradcheck.backprop.ops.rows import UNARY, Function, elementwise

# fmt: off
__all__ = [
    "elu", "gelu", "gelu_tanh", "leaky_relu", "relu", "sigmoid", "silu", "softplus",
]
# fmt: on

ROOT_HALF = float(np.sqrt(0.5))
ROOT_2_OVER_PI = float(np.sqrt(2 / np.pi))
CUBIC = 0.044715  # of the tanh form of GELU, section 2 of the paper


# --- logistic ----------------------------------------------------------------------------------------------------
sigmoid: Function = elementwise(
    "sigmoid", like(special.expit), lambda g, y, x: (mul(g, mul(y, sub(1, y))),), doc="1 / (1 + exp(-x))."
)
softplus: Function = elementwise(
    "softplus",
    lambda x: np.logaddexp(0.0, x),
    lambda g, y, x: (mul(g, sigmoid(x)),),
    doc="log(1 + exp(x)) without overflow.",
)
silu: Function = elementwise(
    "silu",
    lambda x: x * like(special.expit)(x),
    # sigmoid(-x) is 1 - sigmoid(x) without its cancellation at large x
    lambda g, y, x: (mul(g, mul(sigmoid(x), add(1, mul(x, sigmoid(neg(x)))))),),
    doc="x sigmoid(x), also called swish.",
)

# --- rectifiers: the kink is at 0, and the gradient there is that of the left side -------------------------------
relu: Function = elementwise(
    "relu",
    lambda x: np.maximum(x, 0),
    lambda g, y, x: (mul(g, greater(x, 0)),),
    kinks=np.abs,
    doc="max(x, 0); its gradient at 0 is 0.",
)


def _leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """X where positive, ``slope * x`` elsewhere; the gradient at 0 is the slope."""
    return np.where(x > 0, x, slope * x)


leaky_relu: Function = elementwise(
    "leaky_relu",
    _leaky_relu,
    lambda g, y, x, slope=0.01: (where(greater(x, 0), g, mul(slope, g)),),
    kinks=lambda x, slope=0.01: np.abs(x),
    examples=(*UNARY, Example(((4,),), {"slope": 0.25})),
)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    """X where positive, ``alpha * (exp(x) - 1)`` elsewhere: a kink at 0, in the second derivative if alpha is 1."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


elu: Function = elementwise(
    "elu",
    _elu,
    lambda g, y, x, alpha=1.0: (where(greater(x, 0), g, mul(g, mul(alpha, exp(minimum(x, 0))))),),
    kinks=lambda x, alpha=1.0: np.abs(x),
    examples=(*UNARY, Example(((4,),), {"alpha": 0.5})),
)


# --- Gaussian error linear unit ----------------------------------------------------------------------------------
def _gelu(x: Array) -> Array:
    """X times the probability that a standard normal variable is below x."""
    return 0.5 * x * like(special.erfc)(-ROOT_HALF * x)


def _gelu_vjp(g: Value, y: Value, x: Value) -> tuple[Value]:
    probability = mul(0.5, erfc(mul(-ROOT_HALF, x)))
    density = mul(0.5 * ROOT_2_OVER_PI, exp(mul(-0.5, mul(x, x))))
    return (mul(g, add(probability, mul(x, density))),)


gelu: Function = elementwise("gelu", _gelu, _gelu_vjp)


def _gelu_tanh(x: Array) -> Any:
    """The tanh approximation of gelu: ``x / 2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``."""
    inner = ROOT_2_OVER_PI * (x + CUBIC * x**3)
    return np.multiply(0.5 * x, 1 + np.tanh(inner))


def _gelu_tanh_vjp(g: Value, y: Value, x: Value) -> tuple[Value]:
    t = tanh(mul(ROOT_2_OVER_PI, add(x, mul(CUBIC, mul(x, mul(x, x))))))
    slope = mul(ROOT_2_OVER_PI, add(1, mul(3 * CUBIC, mul(x, x))))
    return (mul(g, mul(0.5, add(add(1, t), mul(x, mul(sub(1, mul(t, t)), slope))))),)


gelu_tanh: Function = elementwise("gelu_tanh", _gelu_tanh, _gelu_tanh_vjp)
