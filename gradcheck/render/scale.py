"""Scale: how far an entry is from its bound, as a number to colour by, and where it lies in a picture."""

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from gradcheck.judge.closer import Entries

Array = npt.NDArray[np.float64]

RANGE = 6.0
"""Decades to either side of the bound that colours tell apart: right entries lie some 3 below, wrong ones 3 to 11
above."""


def decades(ratio: float) -> float:
    """log₁₀ of |error|/bound, held within ±RANGE; what is not finite is as bad as can be.

    >>> decades(1.0), decades(0.0), decades(float("nan"))
    (0.0, -6.0, 6.0)
    """
    if math.isnan(ratio):
        return RANGE
    return max(-RANGE, min(RANGE, math.log10(ratio))) if ratio > 0 else -RANGE


def ratios_of(entries: "Entries") -> Array:
    """|error|/bound of each entry; infinite where the error is no number, or where there is no bound to a real one."""
    error, bound = np.abs(np.array(entries.error, dtype=float)), np.array(entries.bound, dtype=float)
    ratio = np.divide(error, bound, out=np.where(error > 0, np.inf, 0.0), where=bound > 0)
    return np.asarray(np.where(np.isnan(error), np.inf, ratio))


def grid_of(entries: "Entries", worst: tuple[int, ...] | None = None) -> tuple[Array | None, tuple[int, int] | None]:
    """The decades of a whole block as rows and columns, and the place of its worst entry; None, None for a sample.

    All axes but the last are run together. `worst` is the entry to ring, by default the one most bounds away.
    """
    size = math.prod(entries.shape)
    if len(entries.position) < size or size < 2:
        return None, None
    values = ratios_of(entries)
    columns = entries.shape[-1]
    if worst is None or len(worst) != len(entries.shape) or any(np.greater_equal(worst, entries.shape)):
        flat = int(np.argmax(values))
    else:
        flat = int(np.ravel_multi_index(worst, entries.shape))
    grid = np.array([decades(float(value)) for value in values]).reshape(-1, columns)
    return grid, divmod(flat, columns)
