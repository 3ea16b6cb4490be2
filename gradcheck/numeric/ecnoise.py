"""How much f trembles: the size of its rounding errors, read from a table of differences."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric import validate
from gradcheck.numeric.line import BlackBox, Line

Array = NDArray[Any]

# The table holds f at nine points, as few as Moré and Wild found workable, in units of its spacing. Theirs are equal;
# where f moves by whole stairs a spacing, equal ones see no rounding at all (met with (1e8 + sin x) - 1e8), so four are
# not equal.
PLACES = np.array([-4.0, -2.83, -1.71, -1.0, 0.0, 1.0, 2.37, 3.15, 4.0])
DEGREES = (3, 5)  # of the trends taken out: what noise leaves of both is alike
SAFETY = 6.0  # a bar, not a deviation: Student's t for 99% is 5.8 with three degrees of freedom, 4.0 with five
ALIKE = 4.0  # a trend of higher degree makes the two residuals differ by more; Moré and Wild's factor
MANTISSA = 1.3714  # a power of two would step between exact values of a coarser arithmetic and see no rounding
FIRST = 0.4  # first spacing, as a power of eps: 5e-7 of x in float64, several float32 neighbours wide
TREND = 16.0  # a trend this far above rounding still hides the noise
IMPLAUSIBLE = 2.0**-2  # of |f|: a bar beyond this is more likely a function too fast for the spacing than noise
NARROW = 64.0  # from one spacing to the next where f is too fast for it
WIDEN = 4.0  # from one step to the next where f stood still; the ladder's own ratio, so that its points are shared
STAIR = 2.0**-16  # float32 rounds at 2^-24 of |f|; a first change up to 2^8 of that is taken for a stair of its
STAIR_BITS = 12  # … and so is one with no more significant bits than this: grids leave few, slopes leave all


def noise(f: BlackBox, x: Any, u: Any = None) -> Any:
    """A bar on the absolute error of evaluating f at x: one number for each output of f, in f's shape.

    High differences of values at tiny spacings are free of any smooth trend, so they show the noise (J. J. Moré and
    S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) 1292); unequal spacings here, so that
    "differences" are what polynomials of degree 3 and 5 leave over. The points lie
    along ``u``; by default along x itself, along ones where x is zero. Where f does not move at all, as float32
    arithmetic inside a float64 function does not at small steps, the spacing is widened until it does. The bar is
    never below one unit of rounding of f(x), nor of x times the slope. TypeError and ValueError as in ``directional``.

    >>> bool(noise(np.sin, 1.0) < 1e-14), bool(noise(lambda x: float(np.float32(np.sin(x))), 1.0) > 1e-8)
    (True, True)
    >>> bool(1e-9 < noise(lambda x: (1e8 + np.sin(x)) - 1e8, 1.0) < 1e-6)  # cancellation leaves the rounding of 1e8
    True
    """
    x = validate.point(x)
    line = Line(f, x, u=validate.direction(np.where(x == 0, 1, x) if u is None else u, x))
    return line_noise(line).reshape(line.shape)[()]


def line_noise(line: Line) -> Array:
    """The noise bar of every output, shape (outputs,), along a line."""
    first = spacing = line.scale * MANTISSA * line.eps**FIRST
    table = _table(line, spacing)
    bar, hidden = _bar(line, table, spacing)
    while hidden.any() and spacing / NARROW > line.scale * line.eps:
        spacing /= NARROW
        finer = _table(line, spacing)
        less, still_hidden = _bar(line, finer, spacing)
        stands = np.ptp(finer, axis=0) == 0  # a stair seen from close up: what was seen from afar holds
        bar = np.where(hidden & ~stands, less, bar)
        hidden &= still_hidden & ~stands
    spacing = first
    changes = np.abs(np.diff(table, axis=0))
    still = np.sum(changes != 0, axis=0) < len(PLACES) // 2
    while still.any() and spacing * PLACES[-1] * WIDEN < line.reach:
        # A change after stillness is a stair of some coarser arithmetic, or f is really flat here and has a kink
        # further on (a dead relu). Only the first is noise.
        stair = np.min(np.where(changes > 0, changes, np.inf), axis=0)
        found = still & np.isfinite(stair)
        stairs = found & _is_stair(stair, np.max(np.abs(table), axis=0))
        if stairs.any():
            wide, _ = _bar(line, _table(line, spacing * WIDEN), spacing * WIDEN)
            bar = np.where(stairs, np.maximum(wide, stair), bar)
        still &= ~found
        spacing *= WIDEN
        table = np.stack([line.at(-spacing)[1], line.origin, line.at(spacing)[1]])
        changes = np.abs(np.diff(table, axis=0))
    return np.asarray(bar)


def _table(line: Line, spacing: float) -> Array:
    """f at nine points around the origin, shape (9, outputs)."""
    return np.stack([line.at(line.step(place * spacing))[1] if place else line.origin for place in PLACES])


def _is_stair(change: Array, size: Array) -> Array:
    with np.errstate(all="ignore"):
        bits = np.frexp(change)[0] * 2.0**STAIR_BITS
        return np.asarray((bits == np.round(bits)) | (change <= STAIR * size))


def _bar(line: Line, table: Array, spacing: float) -> tuple[Array, "NDArray[np.bool_]"]:
    """SAFETY deviations, at least what rounding f and its argument once costs; and is f too fast here to tell?"""
    with np.errstate(all="ignore"):
        coarse, fine = (np.sqrt(np.mean((a @ (table - line.origin)) ** 2, axis=0)) for a in _ANNIHILATORS)
    trend = fine < coarse / ALIKE
    measured = SAFETY * np.where(trend, fine, np.maximum(coarse, fine))
    finite = np.where(np.isfinite(table), table, line.origin)
    slope = np.abs(finite[-1] - finite[0]) / (PLACES[-1] - PLACES[0]) / spacing
    # A float64 f whose every value is a float32 was computed in float32, whatever its dtype says; so with longdouble.
    coarser = np.float64 if line.eps < np.finfo(np.float64).eps else np.float32
    with np.errstate(all="ignore"):
        rounded = (finite == finite.astype(coarser)).all(axis=0)
    eps = np.where(rounded, max(float(np.finfo(coarser).eps), line.eps), line.eps)
    rounding = eps * (np.max(np.abs(finite), axis=0) + line.blur / line.eps * slope)
    hidden = trend & (measured > TREND * rounding)
    size, variation = np.max(np.abs(finite), axis=0), np.ptp(finite, axis=0)
    aliased = ~trend & (measured > IMPLAUSIBLE * size) & (measured > variation / 4)
    if aliased.any():
        # Noise stays what it is while the slope grows out of it; what a fast function does at this spacing never grows.
        afar = np.stack([line.at(line.step(i * PLACES[-1] ** 3 * spacing))[1] for i in (-1, 1)] + [line.origin])
        hidden |= aliased & (np.ptp(afar, axis=0) < 4 * measured)
    least = np.finfo(line.work).smallest_subnormal
    return np.maximum(np.where(np.isfinite(measured), measured, 0), rounding) + least, hidden


def _annihilator(degree: int) -> Array:
    """Orthonormal rows that vanish on polynomials of that degree at PLACES: white noise keeps its size in each."""
    left: Array = np.linalg.svd(np.vander(PLACES / PLACES[-1], degree + 1))[0]
    return left[:, degree + 1 :].T


_ANNIHILATORS = tuple(_annihilator(degree) for degree in DEGREES)
