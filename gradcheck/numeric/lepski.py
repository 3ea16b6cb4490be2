"""Lepski's rule: climb from small steps to large ones for as long as each agrees with every smaller one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PATIENCE = 4  # rungs without a better error before a column stops climbing: two would end in one unlucky rung


class Climb:
    """The best estimate so far of each column, and whether that column still climbs.

    At the smallest steps an estimate is a wide but honest interval. A larger step is believed only while its interval
    meets the intervals of all smaller ones, so a periodic function that agrees with itself at large steps is not heard:
    by then it has contradicted a smaller step. (O. Lepski, Theory Probab. Appl. 35 (1991) 454.)
    """

    def __init__(self, columns: int, work: "np.dtype[Any]") -> None:
        """Nothing known of any column: NaN with an infinite error."""
        self.value: Array = np.full(columns, np.nan, work)
        self.error: Array = np.full(columns, np.inf, work)
        self._low: Array = np.full(columns, -np.inf, work)
        self._high: Array = np.full(columns, np.inf, work)
        self._last: Array = np.full(columns, np.nan, work)
        self._stale = np.zeros(columns, int)
        self._climbing = np.ones(columns, bool)

    def offer(self, value: Array, error: Array) -> bool:
        """Hear one rung, larger than all before; False once no column climbs any more. NaN rungs are passed over."""
        with np.errstate(all="ignore"):
            # No rung is surer than its distance to the one before: noise need not be the same at every step (1 - cos x
            # over x² has much more of it where a step lands near 0), and lucky coincidences end here.
            moved = np.abs(value - self._last)
            error = np.where(np.isfinite(moved), np.maximum(error, moved), error)
            self._last = value
            known = np.isfinite(value) & np.isfinite(error)
            agrees = known & (value - error <= self._high) & (value + error >= self._low)
            self._climbing &= agrees | ~known
            heard = agrees & self._climbing
            self._low = np.where(heard, np.maximum(self._low, value - error), self._low)
            self._high = np.where(heard, np.minimum(self._high, value + error), self._high)
            better = heard & (error < self.error)
            self.value = np.where(better, value, self.value)
            self.error = np.where(better, error, self.error)
            self._stale = np.where(better, 0, self._stale + np.isfinite(self.error))
        self._climbing &= self._stale < PATIENCE
        return bool(self._climbing.any())
