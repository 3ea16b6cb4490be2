"""The derivative of a fitted curve: the second numerical way, after neighbouring points."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from gradcheck.numeric import validate
from gradcheck.numeric.ecnoise import line_noise
from gradcheck.numeric.estimate import Estimate
from gradcheck.numeric.lepski import Climb
from gradcheck.numeric.line import Line

Array = NDArray[Any]

WIDEN = 8.0  # from one radius to the next
MISFIT = 4.0  # noise bars that a curve may miss its points by before f is held to change on a smaller scale
# The fit is solved in float64 whatever x is; its condition is about 5 for Chebyshev points and 100 for equispaced ones.
SOLVED = 16 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Fit:
    """Least-squares polynomial of ``degree`` through points around x, differentiated at x.

    ``nodes`` "chebyshev" crowds the points towards the ends, where polynomials err most; "equispaced" takes neighbours
    at equal distances. There are ``spare`` points more than coefficients. The error is the noise bar, or what the
    points miss the curve by if that is more, carried through the fit, plus what two degrees less would change.
    ``radius`` is half the width of the fit in units of x; None tries radii from small to large, believing larger ones
    only while they agree (Lepski's rule), some 120 calls of f: as honest as ``Richardson`` and dearer.

    >>> from gradcheck.numeric import derivative
    >>> e = derivative(np.exp, 1.0, scheme=Fit())
    >>> bool(e.covers(np.e)), bool(e.error < 1e-9)
    (True, True)
    """

    degree: int = 8
    spare: int = 4
    nodes: Literal["chebyshev", "equispaced"] = "chebyshev"
    radius: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        if self.degree < 3:
            raise ValueError(f"degree is {self.degree}: the error compares with two degrees less; pass 3 or more")
        if self.spare < 1:
            raise ValueError(f"spare is {self.spare}: without spare points a fit cannot see its misses; pass 1 or more")
        if self.nodes not in ("chebyshev", "equispaced"):
            raise ValueError(f"nodes is {self.nodes!r}: points are laid 'chebyshev' or 'equispaced'; pass one of them")
        validate.positive(self.radius, "radius", "try radii from small to large")

    def along(self, line: Line, order: int) -> Estimate:
        """The derivative of that order at the line's origin, for each output."""
        if order > self.degree - 2:
            raise ValueError(
                f"order is {order} and degree {self.degree}: the error needs degree order + 2 at least;"
                f" pass Fit(degree={order + 2}) or more"
            )
        bar = line_noise(line)
        climb = Climb(line.origin.size, line.work)
        radius, climbing = self.radius or self._narrowest(line, bar), True
        while climbing and (radius <= line.reach or radius == self.radius):
            climbing = climb.offer(*self._fit(line, order, radius, bar)) and self.radius is None
            radius *= WIDEN
        return Estimate(climb.value, climb.error, line.evaluations)

    def _narrowest(self, line: Line, bar: Array) -> float:
        """The first radius: √eps of x, where a line would do; less where the curve misses by more than noise."""
        radius: float = line.scale * line.eps**0.5
        while radius / WIDEN**2 > max(4 * line.blur, line.scale * line.eps**2):
            realised, values = self._points(line, radius)
            _, project = _functional(realised, self.degree, 1)
            if (np.max(np.abs(values - project @ values), axis=0) <= MISFIT * bar).all():
                break
            radius /= WIDEN**2
        return radius

    def _points(self, line: Line, radius: float) -> tuple[Array, Array]:
        """Places in units of the radius, and f's change there: a constant adds nothing to a slope but rounding."""
        points = [line.at(radius * place) for place in _places(self.degree + 1 + self.spare, self.nodes)]
        return np.array([float(t) for t, _ in points]) / radius, np.stack([y for _, y in points]) - line.origin

    def _fit(self, line: Line, order: int, radius: float, bar: Array) -> tuple[Array, Array]:
        realised, values = self._points(line, radius)
        weights, project = _functional(realised, self.degree, order)
        coarse, _ = _functional(realised, self.degree - 2, order)
        with np.errstate(all="ignore"):
            value = weights @ values / radius**order
            misses = np.max(np.abs(values - project @ values), axis=0)
            size = np.max(np.abs(values + line.origin), axis=0)
            slope = np.max(np.abs(values), axis=0) / radius
            trembling = np.maximum(np.maximum(bar, misses), line.eps * size + line.blur * slope)
            trembling += SOLVED * np.max(np.abs(values), axis=0)
            error = np.sum(np.abs(weights)) * trembling / radius**order
            error = error + np.abs(value - coarse @ values / radius**order)
        return value, np.where(np.isfinite(error), error, np.inf)


@lru_cache(maxsize=64)
def _places(count: int, nodes: str) -> tuple[float, ...]:
    inside = chebyshev.chebpts1(count) if nodes == "chebyshev" else np.linspace(-1, 1, count)
    return tuple(float(p) for p in inside)


def _functional(places: Array, degree: int, order: int) -> tuple[Array, Array]:
    """Weights on the values that give the fitted curve's derivative at 0, and the projection on fitted curves."""
    basis = chebyshev.chebvander(places, degree)
    inverse = np.linalg.pinv(basis)
    at_zero = chebyshev.chebval(0.0, chebyshev.chebder(np.eye(degree + 1), order))
    return at_zero @ inverse, basis @ inverse
