"""A black box seen along a line through a point: φ(t) = f(x + t·u), with the step that was really taken."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BlackBox = Callable[[Any], Any]


class Line:
    """f along a line through x: one coordinate of x (``index``), or a direction (``u``).

    f is called with one point at a time, in x's own shape and dtype, always a fresh copy. Outputs are flattened to
    ``(outputs,)`` in ``work``: float64, or longdouble where x is.

    Attributes: ``origin`` f(x); ``shape`` of f's output; ``eps`` the coarser of the two machine epsilons of x and f(x);
    ``scale`` the size of x along the line, 1 at zero; ``reach`` the largest step worth trying; ``blur`` the rounding of
    x itself (all three in units of t); ``evaluations`` the calls so far.
    """

    def __init__(self, f: BlackBox, x: Array, *, index: tuple[int, ...] = (), u: Array | None = None) -> None:
        """Evaluate f at x; whatever f raises there is the caller's to see."""
        self.f, self.x, self.index, self.u = f, x, index, u
        self.work: np.dtype[Any] = np.result_type(x.dtype, np.float64)
        self.evaluations = 0
        eps, size = float(np.finfo(x.dtype).eps), float(np.max(np.abs(x)))
        if u is None:
            own = abs(float(x[index]))
            # An entry far below the others (a weight of 1e-9 among weights of 1) says nothing about f's length scale:
            # 2^-20 of the largest is a fair first guess, and schemes step further down where f asks for it.
            self.scale = max(own, size * 2.0**-20 if own else size) or 1.0
            self.reach, self.blur = max(own, 1.0), eps * own
        else:
            longest = float(np.max(np.abs(u)))
            self.scale = (size or 1.0) / longest
            self.reach, self.blur = max(size, 1.0) / longest, eps * size / longest
        output = self._call(self._point(0.0))
        self.shape = output.shape
        precisions = [np.finfo(d).eps for d in (x.dtype, output.dtype) if d.kind == "f"]
        self.eps = float(max(precisions))
        self.origin: Array = output.astype(self.work).ravel()
        self._seen: dict[float, tuple[Any, Array]] = {0.0: (self.work.type(0), self.origin)}

    def step(self, t: float) -> float:
        """The step nearest to t that keeps x ± t on the floating-point grid; never 0. Directions are left alone."""
        if self.u is not None:
            return t
        spacing = float(np.spacing(self.x.dtype.type(abs(float(self.x[self.index])) + abs(t))))
        return float(max(round(abs(t) / spacing), 1) * spacing * (1 if t >= 0 else -1))

    def at(self, t: float) -> tuple[Any, Array]:
        """The realised step (what x + t - x is after rounding) and φ there, remembered; NaN where f raises there.

        f has succeeded at x by now, so a ValueError or ArithmeticError here (``math.log(-1)``) means that the step left
        f's domain.
        """
        if t in self._seen:
            return self._seen[t]
        moved = self._point(t)
        if self.u is None:
            realised = self.work.type(moved[self.index]) - self.work.type(self.x[self.index])
        else:
            u = self.u.astype(self.work)
            realised = np.sum((moved.astype(self.work) - self.x) * u) / np.sum(u * u)
        try:
            output = self._call(moved)
        except (ValueError, ArithmeticError):
            output = np.full(self.shape, np.nan)
        if output.shape != self.shape:
            raise ValueError(
                f"f returned shape {self.shape} at x and {output.shape} at x + {t:.3g}: its output must keep its shape;"
                " fix the shape or differentiate its parts"
            )
        self._seen[t] = realised, output.astype(self.work).ravel()
        return self._seen[t]

    def of(self, f: BlackBox) -> "Line":
        """The same line through the same point, for another function."""
        return Line(f, self.x, index=self.index, u=self.u)

    def _point(self, t: float) -> Array:
        moved = self.x.copy()
        if self.u is None:
            moved[self.index] = self.work.type(self.x[self.index]) + self.work.type(t)
        else:
            moved[...] = self.x.astype(self.work) + self.work.type(t) * self.u
        return moved

    def _call(self, moved: Array) -> Array:
        self.evaluations += 1
        with np.errstate(all="ignore"):
            output = np.asarray(self.f(moved.copy() if moved.ndim else moved[()]))
        if output.dtype.kind not in "fiub":
            raise TypeError(
                f"f returned dtype {output.dtype}, but only real numbers can be differentiated here;"
                " return a real array, e.g. its real and imaginary parts"
            )
        return output
