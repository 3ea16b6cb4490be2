"""How much f trembles: the size of its rounding errors, read from a table of differences."""

from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric import validate
from gradcheck.numeric.line import BlackBox, Line

Array = NDArray[Any]

REACH = 4  # the table holds f at -4 … 4 spacings: nine points, as few as Moré and Wild found workable
COLUMNS = (4, 5, 6)  # differences used: below 4 a smooth f still shows, above 6 fewer than three numbers are left
SAFETY = 3.0  # a bar, not a deviation: three of them, from as few as five samples
WIDEN = 2.0**10  # from one spacing to the next where f did not move
QUANTUM = 2.0**-16  # float32 rounds at 2^-24 of |f|; first changes up to 2^8 of that are taken for its staircase
MANTISSA = 1.3714  # a power of two would step from one exact value of a coarser arithmetic to the next, and see no rounding
WEIGHTS = {k: (factorial(k) ** 2 / factorial(2 * k)) ** 0.5 for k in COLUMNS}


def noise(f: BlackBox, x: Any, u: Any = None) -> Any:
    """A bar on the absolute error of evaluating f at x: one number for each output of f, in f's shape.

    The differences of order k of values at equal, tiny spacings are free of any smooth trend, so they show the noise
    (J. J. Moré and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) 1292). The points lie
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
    # eps^(3/4) of x spans some 2^13 ulps of x: the points are distinct, and a smooth f is still a straight line on them.
    spacing = line.step(line.scale * MANTISSA * line.eps**0.75)
    table = _table(line, spacing)
    bar = _bar(line, table, spacing)
    still = ~_moves(table)
    while still.any() and spacing * WIDEN * REACH < line.reach:
        spacing = line.step(spacing * WIDEN)
        table = _table(line, spacing)
        found = still & (table != table[0]).any(axis=0)
        # A change after stillness is the staircase of a coarser arithmetic, or f really is flat here and has a kink
        # further on (a dead relu). Staircases have steps that are small, or whole multiples of one another.
        changes = np.abs(np.diff(table, axis=0))
        quantum = np.min(np.where(changes > 0, changes, np.inf), axis=0)
        with np.errstate(all="ignore"):
            whole = (changes / quantum == np.round(changes / quantum)).all(axis=0)
        stairs = found & (whole | (quantum <= QUANTUM * np.max(np.abs(table), axis=0)))
        # Where every step moved, the smallest change is slope, no longer a stair.
        stair = np.where((changes > 0).all(axis=0), 0.0, quantum)
        bar = np.where(stairs, np.maximum(_bar(line, table, spacing), stair), bar)
        still &= ~(found & (_moves(table) | ~stairs))
    return np.asarray(bar)


def _table(line: Line, spacing: float) -> Array:
    """f at nine equally spaced points around the origin, shape (9, outputs)."""
    return np.stack([line.at(i * spacing)[1] if i else line.origin for i in range(-REACH, REACH + 1)])


def _moves(table: Array) -> Array:
    """Does at least every other step change f? NaN counts as movement: waiting longer would not help."""
    return np.sum(np.diff(table, axis=0) != 0, axis=0) >= REACH


def _bar(line: Line, table: Array, spacing: float) -> Array:
    differences = {k: np.diff(table, n=k, axis=0) * WEIGHTS[k] for k in COLUMNS}
    measured = SAFETY * np.max([np.sqrt(np.mean(d * d, axis=0)) for d in differences.values()], axis=0)
    return np.maximum(np.where(np.isfinite(measured), measured, 0.0), rounding(line, table, spacing))


def rounding(line: Line, table: Array, spacing: float) -> Array:
    """What rounding f's value and its argument once costs at least, from a table of f at that spacing.

    A float64 f whose every value is a float32 has been computed in float32, whatever its dtype says; so with longdouble
    and float64.
    """
    finite = np.where(np.isfinite(table), table, line.origin)
    size = np.max(np.abs(finite), axis=0)
    slope = np.abs(finite[-1] - finite[0]) / (2 * REACH * spacing)
    coarser = np.float64 if line.eps < np.finfo(np.float64).eps else np.float32
    with np.errstate(all="ignore"):
        coarse = (finite == finite.astype(coarser)).all(axis=0)
    eps = np.where(coarse, max(float(np.finfo(coarser).eps), line.eps), line.eps)
    return np.asarray(eps * size + line.blur * (eps / line.eps) * slope + np.finfo(line.work).smallest_subnormal)
