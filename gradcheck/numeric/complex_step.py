"""The complex step: an imaginary nudge gives the derivative without cancellation, if f is complex-analytic."""

import warnings
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric.ecnoise import line_noise
from gradcheck.numeric.estimate import Estimate
from gradcheck.numeric.line import Line
from gradcheck.numeric.richardson import Richardson
from gradcheck.numeric.stencils import Central

Array = NDArray[Any]

# Truncation is (step/scale)² relative: 2^-70 puts it below the rounding of longdouble, and far above underflow.
STEP = 2.0**-70
# No two neighbouring points take the same one, so that rounding of the imaginary part, too, shows as noise.
MANTISSAS = (1.0, 1.3714, 1.8236, 1.1127, 1.5893)
# Units of rounding that no step along this line can show, since they come from the other entries of x: what a dot
# product of a dozen terms costs at worst.
ROUNDINGS = 12.0
REMEDY = "use Richardson(), which needs real values only, or write f with analytic operations"


class NotAnalyticError(ValueError):
    """f is not complex-analytic (a real cast, abs, a norm, x·conj(x)), so a complex step would silently be wrong."""


@dataclass(frozen=True)
class ComplexStep:
    """Im f(x + ih)/h with a tiny h: exact to rounding, first derivatives only, for complex-analytic f.

    W. Squire and G. Trapp, SIAM Rev. 40 (1998) 110. The derivative so found is itself a function of x, whose noise
    (``noise``) is the error: cancellation inside f, as in (1 - cos x)/x², is not cured by a complex step. Whether f is
    analytic is not taken on trust: a dropped imaginary part (``ComplexWarning``), a real result, or a value that finite
    differences with their noise bar contradict raises ``NotAnalyticError``, which names what was seen. It costs about 9
    complex calls and that cross-check: 5 real calls, some 45 more where the cheap check objects.

    >>> from gradcheck.numeric import derivative
    >>> bool(abs(derivative(np.sin, 1.0, scheme=ComplexStep()).value - np.cos(1.0)) < 1e-15)
    True
    >>> try:
    ...     derivative(np.abs, -1.0, scheme=ComplexStep())
    ... except NotAnalyticError as refusal:
    ...     print(str(refusal).split(":")[0])
    f returned float64 for a complex x
    """

    def along(self, line: Line, order: int) -> Estimate:
        """The first derivative at the line's origin, for each output; ValueError for higher orders."""
        if order != 1:
            raise ValueError(f"order is {order}: the complex step knows first derivatives only; use Richardson()")
        # A third of it, since a slope that is 1 everywhere would pass for one computed in float32.
        steps = (line.scale * STEP * mantissa for mantissa in cycle(MANTISSAS))
        slopes = line.of(lambda x: _slope(line, x, next(steps)) / 3)
        value = _slope(line, line.x[()], next(steps)).astype(line.work).ravel()
        error = 3 * line_noise(slopes) + ROUNDINGS * line.eps * np.abs(value)
        _cross_check(line, value, error)
        known = np.isfinite(value) & np.isfinite(error)
        evaluations = line.evaluations + slopes.evaluations + 1
        return Estimate(np.where(known, value, np.nan), np.where(known, error, np.inf), evaluations)


def _slope(line: Line, x: Any, step: float) -> Array:
    """Im f(x + ih·u)/h, in the shape of f(x)."""
    h = x.dtype.type(step)
    moved = np.asarray(x).astype(np.result_type(x.dtype, np.complex64))
    if line.u is None:
        moved.imag[line.index] = h
    else:
        moved.imag[...] = h * line.u
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            output = np.asarray(line.f(moved if moved.ndim else moved[()]))
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
    return np.asarray(output.imag / h)


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
        f" {real.error[worst]:.1g}: f is not complex-analytic (abs, a norm, conj, real or a comparison inside);"
        f" {REMEDY}"
    )
