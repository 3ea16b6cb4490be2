"""The complex step: an imaginary nudge gives the derivative without cancellation, if f is complex-analytic."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric.estimate import Estimate
from gradcheck.numeric.line import Line
from gradcheck.numeric.richardson import Richardson
from gradcheck.numeric.stencils import Central

Array = NDArray[Any]

# Truncation is (step/scale)² relative: 2^-70 puts it below the rounding of longdouble, and far above underflow.
STEP = 2.0**-70
ROUNDINGS = 16.0  # units of rounding allowed for: what a dozen operations on the imaginary part may cost
REMEDY = "use Richardson(), which needs real values only, or write f with analytic operations"


class NotAnalyticError(ValueError):
    """f is not complex-analytic (a real cast, abs, a norm, x·conj(x)), so a complex step would silently be wrong."""


@dataclass(frozen=True)
class ComplexStep:
    """Im f(x + ih)/h with a tiny h: exact to rounding, first derivatives only, for complex-analytic f.

    W. Squire and G. Trapp, SIAM Rev. 40 (1998) 110. The error allows for rounding inside f and for what moving x by one
    unit in the last place changes. Whether f is analytic is not taken on trust: a dropped imaginary part
    (``ComplexWarning``), a real result, or a value that finite differences with their noise bar contradict raises
    ``NotAnalyticError``, which names what was seen. It costs three complex calls and that cross-check (5 real calls, 45
    where the cheap check objects).

    >>> from gradcheck.numeric import derivative
    >>> bool(abs(derivative(np.sin, 1.0, scheme=ComplexStep()).value - np.cos(1.0)) < 1e-15)
    True
    >>> derivative(np.abs, -1.0, scheme=ComplexStep())
    Traceback (most recent call last):
    gradcheck.numeric.complex_step.NotAnalyticError: f returned float64 for a complex x: the imaginary part, which carries \
the derivative, is gone; use Richardson(), which needs real values only, or write f with analytic operations
    """

    def along(self, line: Line, order: int) -> Estimate:
        """The first derivative at the line's origin, for each output; ValueError for higher orders."""
        if order != 1:
            raise ValueError(f"order is {order}: the complex step knows first derivatives only; use Richardson()")
        h = line.scale * STEP
        value = _imaginary(line, h)
        # A second step whose mantissa differs (√2) sees other rounding errors; a neighbour of x sees f' itself move.
        spread = np.abs(_imaginary(line, h * 1.4142) - value) + np.abs(_imaginary(line, h, nudge=True) - value)
        error = 2 * spread + ROUNDINGS * line.eps * np.abs(value) + np.finfo(line.work).smallest_subnormal
        _cross_check(line, value, error)
        known = np.isfinite(value) & np.isfinite(error)
        return Estimate(np.where(known, value, np.nan), np.where(known, error, np.inf), line.evaluations)


def _imaginary(line: Line, h: float, nudge: bool = False) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            output = np.asarray(line.at_imaginary(h, nudge))
        except np.exceptions.ComplexWarning:
            raise NotAnalyticError(
                f"f cast complex to real (ComplexWarning), which drops the imaginary part that carries the derivative;"
                f" {REMEDY}"
            ) from None
        except TypeError as refusal:
            raise NotAnalyticError(f"f refused a complex x (TypeError: {refusal}); {REMEDY}") from refusal
    if output.dtype.kind != "c":
        raise NotAnalyticError(
            f"f returned {output.dtype} for a complex x: the imaginary part, which carries the derivative, is gone;"
            f" {REMEDY}"
        )
    return np.asarray(output.imag.astype(line.work).ravel() / line.work.type(h))


def _cross_check(line: Line, value: Array, error: Array) -> None:
    """Raise where finite differences contradict the value; the adaptive ones are asked only where the cheap ones do."""
    for scheme in (Central(), Richardson()):
        real = scheme.along(line, 1)
        wrong = np.isfinite(value) & (np.abs(real.value - value) > real.error + error)
        if not wrong.any():
            return
    worst = int(np.argmax(np.where(wrong, np.abs(real.value - value), 0)))
    raise NotAnalyticError(
        f"the complex step says {value[worst]:.6g} and finite differences say {real.value[worst]:.6g} ±"
        f" {real.error[worst]:.1g}: f is not complex-analytic (abs, a norm, conj, real or a comparison inside); {REMEDY}"
    )
