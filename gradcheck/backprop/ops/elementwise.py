"""Elementwise ops: arithmetic, powers, transcendental functions, comparisons and choices. Broadcasting as in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from gradcheck.backprop.op import ANY, MASK, NON_ZERO, POSITIVE, Array, Domain, Example, Value
from gradcheck.backprop.ops.rows import Function, comparison, distance, elementwise

# fmt: off
__all__ = [
    "abs", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "clip", "cos", "cosh",
    "div", "equal", "erf", "erfc", "exp", "expm1", "greater", "greater_equal", "less", "less_equal", "log", "log1p",
    "logaddexp", "maximum", "minimum", "mul", "neg", "not_equal", "ones_like", "power", "reciprocal",
    "scalar_power", "sign", "sin", "sinh", "sqrt", "square", "sub", "tan", "tanh", "where",
]
# fmt: on

UNIT = Domain("(-1, 1)", -0.9, 0.9)
ROOT_PI = float(np.sqrt(np.pi))


def like(ufunc: Callable[..., Any]) -> Callable[[Array], Array]:
    """A scipy function that keeps float16, which scipy computes and returns as float32."""

    def value(x: Array) -> Array:
        y = ufunc(x)
        return y.astype(np.float16) if getattr(x, "dtype", None) == np.float16 else y  # type: ignore[no-any-return]

    return value


# --- comparisons: boolean, no gradient ---------------------------------------------------------------------------
equal = comparison("equal", np.equal, "==")
not_equal = comparison("not_equal", np.not_equal, "!=")
less = comparison("less", np.less, "<")
less_equal = comparison("less_equal", np.less_equal, "<=")
greater = comparison("greater", np.greater, ">")
greater_equal = comparison("greater_equal", np.greater_equal, ">=")
sign: Function = elementwise(
    "sign", np.sign, lambda g, y, x: (None,), frozen=(0,), doc="The sign of x; no gradient flows."
)
ones_like: Function = elementwise(
    "ones_like", np.ones_like, lambda g, y, x: (None,), frozen=(0,), doc="Ones of the shape and dtype of x."
)

# --- arithmetic --------------------------------------------------------------------------------------------------
add: Function = elementwise("add", np.add, lambda g, y, a, b: (g, g), arity=2, doc="a + b.")
sub: Function = elementwise("sub", np.subtract, lambda g, y, a, b: (g, neg(g)), arity=2, doc="a - b.")
mul: Function = elementwise("mul", np.multiply, lambda g, y, a, b: (mul(g, b), mul(g, a)), arity=2, doc="a * b.")
div: Function = elementwise(
    "div",
    np.true_divide,
    lambda g, y, a, b: (div(g, b), neg(div(mul(g, y), b))),
    arity=2,
    domain=(ANY, NON_ZERO),
    doc="a / b.",
)
neg: Function = elementwise("neg", np.negative, lambda g, y, x: (neg(g),), doc="-x.")
reciprocal: Function = elementwise(
    "reciprocal", np.reciprocal, lambda g, y, x: (neg(mul(g, mul(y, y))),), domain=NON_ZERO, doc="1 / x."
)
square: Function = elementwise("square", np.square, lambda g, y, x: (mul(g, mul(2, x)),), doc="x * x.")


# --- powers and exponentials -------------------------------------------------------------------------------------
def _raise(x: Array, exponent: float) -> Array:
    """X to a constant power: ``scalar_power(x, 3)`` is right for negative x, and smooth at 0."""
    return x**exponent


def _scalar_power_vjp(g: Value, y: Value, x: Value, exponent: float) -> tuple[Value]:
    return (mul(g, mul(exponent, scalar_power(x, exponent - 1))) if exponent else mul(g, 0.0),)


scalar_power: Function = elementwise(
    "scalar_power",
    _raise,
    _scalar_power_vjp,
    domain=POSITIVE,
    examples=tuple(Example(((2, 3),), {"exponent": e}) for e in (3, -1, 0.5, 2, 1, 0)),
)
_power: Function = elementwise(
    "power",
    np.power,
    # y log a is 0 at a = 0 (y = 0 there), and a negative base has no derivative by its exponent: both count as 0
    lambda g, y, a, b: (
        mul(g, mul(b, _power(a, sub(b, 1)))),
        mul(g, mul(y, log(where(greater(a, 0), a, 1.0)))),
    ),
    arity=2,
    domain=(POSITIVE, ANY),
)


def power(a: Value, b: Value) -> Any:
    """``a ** b``: any base if b is a Python number, a positive base if b is an array or node."""
    return scalar_power(a, b) if isinstance(b, int | float) else _power(a, b)


exp: Function = elementwise("exp", np.exp, lambda g, y, x: (mul(g, y),))
expm1: Function = elementwise("expm1", np.expm1, lambda g, y, x: (mul(g, exp(x)),), doc="exp(x) - 1, exact near 0.")
log: Function = elementwise("log", np.log, lambda g, y, x: (div(g, x),), domain=POSITIVE)
log1p: Function = elementwise(
    "log1p",
    np.log1p,
    lambda g, y, x: (div(g, add(1, x)),),
    domain=Domain("above -1", -0.75, 3.0),
    doc="log(1 + x), exact near 0.",
)
sqrt: Function = elementwise("sqrt", np.sqrt, lambda g, y, x: (div(g, mul(2, y)),), domain=POSITIVE)
logaddexp: Function = elementwise(
    "logaddexp",
    np.logaddexp,
    lambda g, y, a, b: (mul(g, exp(sub(a, y))), mul(g, exp(sub(b, y)))),
    arity=2,
    doc="log(exp(a) + exp(b)) without overflow.",
)

# --- trigonometric, hyperbolic, error function -------------------------------------------------------------------
sin: Function = elementwise("sin", np.sin, lambda g, y, x: (mul(g, cos(x)),))
cos: Function = elementwise("cos", np.cos, lambda g, y, x: (neg(mul(g, sin(x))),))
tan: Function = elementwise(
    "tan", np.tan, lambda g, y, x: (mul(g, add(1, mul(y, y))),), domain=Domain("(-pi/2, pi/2)", -1.2, 1.2)
)
arcsin: Function = elementwise("arcsin", np.arcsin, lambda g, y, x: (div(g, sqrt(sub(1, mul(x, x)))),), domain=UNIT)
arccos: Function = elementwise(
    "arccos", np.arccos, lambda g, y, x: (neg(div(g, sqrt(sub(1, mul(x, x))))),), domain=UNIT
)
arctan: Function = elementwise("arctan", np.arctan, lambda g, y, x: (div(g, add(1, mul(x, x))),))
arctan2: Function = elementwise(
    "arctan2",
    np.arctan2,
    lambda g, y, a, b: (
        div(mul(g, b), add(mul(a, a), mul(b, b))),
        neg(div(mul(g, a), add(mul(a, a), mul(b, b)))),
    ),
    arity=2,
    domain=(ANY, NON_ZERO),
    doc="The angle of the point (b, a), over (-pi, pi].",
)
sinh: Function = elementwise("sinh", np.sinh, lambda g, y, x: (mul(g, cosh(x)),))
cosh: Function = elementwise("cosh", np.cosh, lambda g, y, x: (mul(g, sinh(x)),))
tanh: Function = elementwise("tanh", np.tanh, lambda g, y, x: (mul(g, sub(1, mul(y, y))),))
arcsinh: Function = elementwise("arcsinh", np.arcsinh, lambda g, y, x: (div(g, sqrt(add(1, mul(x, x)))),))
arccosh: Function = elementwise(
    "arccosh",
    np.arccosh,
    lambda g, y, x: (div(g, mul(sqrt(sub(x, 1)), sqrt(add(x, 1)))),),
    domain=Domain("above 1", 1.25, 4.0),
)
arctanh: Function = elementwise("arctanh", np.arctanh, lambda g, y, x: (div(g, sub(1, mul(x, x))),), domain=UNIT)
erf: Function = elementwise("erf", like(special.erf), lambda g, y, x: (mul(g, mul(2 / ROOT_PI, exp(neg(mul(x, x))))),))
erfc: Function = elementwise(
    "erfc", like(special.erfc), lambda g, y, x: (mul(g, mul(-2 / ROOT_PI, exp(neg(mul(x, x))))),)
)

# --- choices: kinks are ties; a tie of maximum or minimum is split equally ---------------------------------------
abs: Function = elementwise(
    "abs", np.abs, lambda g, y, x: (mul(g, sign(x)),), kinks=np.abs, doc="|x|; its gradient at 0 is 0."
)


def _share(mine: Value, other: Value, wins: Callable[..., Any]) -> Value:
    """1 where mine wins, 1/2 where the two are tied, 0 elsewhere."""
    return add(wins(mine, other), mul(0.5, mul(equal(mine, other), ones_like(mine))))


maximum: Function = elementwise(
    "maximum",
    np.maximum,
    lambda g, y, a, b: (mul(g, _share(a, b, greater)), mul(g, _share(b, a, greater))),
    arity=2,
    kinks=distance,
    doc="The larger of a and b; a tie gives half of the gradient to each.",
)
minimum: Function = elementwise(
    "minimum",
    np.minimum,
    lambda g, y, a, b: (mul(g, _share(a, b, less)), mul(g, _share(b, a, less))),
    arity=2,
    kinks=distance,
    doc="The smaller of a and b; a tie gives half of the gradient to each.",
)
clip: Function = elementwise(
    "clip",
    np.clip,
    lambda g, y, x, low, high: (
        mul(g, mul(greater_equal(x, low), less_equal(x, high))),
        mul(g, less(x, low)),
        mul(g, greater(x, high)),
    ),
    arity=3,
    domain=(ANY, Domain("the lower bound", -1.0, -0.5), Domain("the upper bound", 0.5, 1.0)),
    kinks=lambda x, low, high: np.minimum(distance(x, low), distance(x, high)),
    examples=(Example(((2, 3), (), ())), Example(((2, 3), (3,), (2, 1)))),
    doc="x held within [low, high]; at a bound the gradient goes to x.",
)
where: Function = elementwise(
    "where",
    np.where,
    lambda g, y, condition, a, b: (None, where(condition, g, 0.0), where(condition, 0.0, g)),
    arity=3,
    domain=(MASK, ANY, ANY),
    frozen=(0,),
    examples=(Example(((2, 3), (3,), (2, 1))), Example(((), (), ())), Example(((3,), (2, 3), ()))),
    doc="a where the condition holds, b elsewhere; no gradient flows to the condition.",
)
