"""A number that knows its own error: what every scheme of this package returns, and what a scheme is."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric.line import Line

Array = NDArray[Any]


@dataclass(frozen=True)
class Estimate:
    """A numeric derivative with its error bound and its price.

    ``value`` and ``error`` have one shape, in float64 (longdouble where x was): the true derivative is claimed to lie
    within ``value ± error``. ``evaluations`` counts the calls of f. An entry that cannot be had, because f is NaN
    there, has the value NaN and the error infinity.

    >>> e = Estimate(np.float64(2.0), np.float64(1e-9), 5)
    >>> bool(e.covers(2.0 + 5e-10)), bool(e.covers(2.1))
    (True, False)
    """

    value: Any
    error: Any
    evaluations: int

    def covers(self, truth: Any) -> Any:
        """Entry by entry: is ``truth`` within the error? Never true where the value is NaN."""
        return np.abs(np.asarray(self.value) - truth) <= self.error


class Scheme(Protocol):
    """A way to differentiate along a line: a frozen dataclass whose repr is runnable Python."""

    def along(self, line: Line, order: int) -> Estimate:
        """The derivative of the given order at the line's origin; value and error have the shape (outputs,)."""
        ...
