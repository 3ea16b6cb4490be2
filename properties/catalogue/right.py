"""Everything that is right: the functions, and the same ones at other scales, offsets and precisions."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from . import elementwise, hard, layers, matrices, reductions
from .case import Array, Case, Inputs

SCALES = {"x*1e-6": 1e-6, "x*1e-3": 1e-3, "x*1e3": 1e3, "x*1e6": 1e6}
HEIGHTS = {"f*1e-8": 1e-8, "f*1e-4": 1e-4, "f*1e4": 1e4, "f*1e8": 1e8}
OFFSETS = {"f+1e4": 1e4, "f+1e8": 1e8, "f-1e8": -1e8}

SCALED = (
    "tanh", "gelu_erf", "sum_of_squares", "softmax", "dense_tanh", "layer_norm", "relu_at_zero_0.0", "logsumexp",
    "max_shared",
)  # fmt: skip
OFFSET = (*SCALED, "sum_all", "cross_entropy", "attention", "quadratic_form", "exp")
SINGLE = (
    *OFFSET, "square", "sqrt", "log", "sigmoid", "softplus", "silu", "abs_at_zero_0.0", "clip_open", "huber",
    "multiply", "maximum_half", "mean_all", "variance", "norm_2", "max_first", "sort", "median", "cumsum",
    "log_softmax", "embedding", "where", "matmul", "dense", "dense_relu", "two_layers", "ridge", "batch_norm",
    "rms_norm", "conv1d", "conv2d", "max_pool", "average_pool", "lstm_cell", "recurrent", "squared_error",
    "logistic_loss", "rbf_kernel", "long_sum_of_squares", "circular_convolution", "multiclass_hinge",
)  # fmt: skip
HALF = ("relu_at_zero_0.0", "tanh", "multiply", "dense", "max_first", "square", "sum_rows")
EXTENDED = ("tanh", "exp", "square", "softmax", "dense", "relu_at_zero_0.0", "max_first")


def each(function: Callable[[Array], Any], value: Any) -> Any:
    """Apply to an array, or to each of a tuple."""
    return tuple(function(y) for y in value) if isinstance(value, tuple) else function(value)


def moved(case: Case, name: str, *, x: float = 1.0, height: float = 1.0, offset: float = 0.0) -> Case:
    """The case of height * f(inputs / x) + offset, its domain stretched by x."""

    def shrink(inputs: Inputs) -> Inputs:
        return tuple(a / x if a.dtype.kind == "f" else a for a in inputs)

    def f(*inputs: Array) -> Any:
        return each(lambda y: np.asarray(y * height + offset), case.f(*shrink(inputs)))

    def vjp(inputs: Inputs, cotangent: Any) -> tuple[Any, ...]:
        gradients = case.vjp(shrink(inputs), each(lambda g: np.asarray(g * height), cotangent))
        return tuple(None if d is None else np.asarray(d / x) for d in gradients)

    draws = {n: draw.map(lambda a: a * x if a.dtype.kind == "f" else a) for n, draw in case.domain.draws.items()}
    return case.renamed(
        f"{case.name}[{name}]", f=f, vjp=vjp, domain=replace(case.domain, draws=draws), note=f"{case.name}: {name}"
    )


def typed(case: Case, dtype: str) -> Case:
    """The case with inputs, values and gradients of another dtype; modest values only, for half precision."""
    modes = ("palette", "generic") if dtype == "float16" else case.domain.modes
    return case.renamed(
        f"{case.name}[{dtype}]", domain=replace(case.domain, dtype=dtype, modes=modes), note=f"{case.name} in {dtype}"
    )


def hidden(case: Case, dtype: str = "float32") -> Case:
    """float64 in and out, computed in less."""

    def down(inputs: Inputs) -> Inputs:
        return tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in inputs)

    def f(*inputs: Array) -> Any:
        return each(lambda y: y.astype("float64"), case.f(*down(inputs)))

    def vjp(inputs: Inputs, cotangent: Any) -> tuple[Any, ...]:
        gradients = case.vjp(down(inputs), each(lambda g: g.astype(dtype), cotangent))
        return tuple(None if d is None else d.astype("float64") for d in gradients)

    return case.renamed(
        f"{case.name}[{dtype} inside]", f=f, vjp=vjp, note=f"{case.name}: {dtype} behind a float64 face"
    )


@cache
def functions() -> Mapping[str, Case]:
    """The right functions themselves, in float64, by name."""
    return {c.name: c for module in (elementwise, reductions, layers, matrices, hard) for c in module.CASES}


@cache
def right_cases() -> tuple[Case, ...]:
    """All right cases: the functions, then their variants."""
    base = functions()
    variants = [
        *(moved(base[n], label, x=s) for n in SCALED for label, s in SCALES.items()),
        *(moved(base[n], label, height=s) for n in SCALED for label, s in HEIGHTS.items()),
        *(moved(base[n], label, offset=s) for n in OFFSET for label, s in OFFSETS.items()),
        *(moved(base[n], "x*1e6, f*1e-8", x=1e6, height=1e-8) for n in SCALED),
        *(typed(base[n], "float32") for n in SINGLE),
        *(hidden(base[n]) for n in SINGLE),
        *(typed(base[n], "float16") for n in HALF),
        *(typed(base[n], "longdouble") for n in EXTENDED),
    ]
    return (*base.values(), *variants)
