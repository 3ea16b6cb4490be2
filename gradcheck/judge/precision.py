"""Precision: how finely a value is computed, as its dtype says and as its digits show."""

from dataclasses import dataclass

import numpy as np

from gradcheck.floats import differentiable, has_bits, limits
from gradcheck.judge.bench import Bench
from gradcheck.judge.reals import Array

GOAL = 3e-9
"""The resolution that ends a clean float64 sweep early: a block off by one part in 10⁸ must be seen (three bounds
away).
"""


@dataclass(frozen=True)
class Scale:
    """The steps that suit a precision: noise ~ eps/t and truncation ~ t² cross near eps^⅓."""

    eps: float

    @property
    def small(self) -> float:
        """Half of eps^0.345: 2e-6 in float64, 2e-3 in float32; third differences there are below rounding."""
        return float(0.5 * self.eps**0.345)

    @property
    def large(self) -> float:
        """eps^0.2: 7e-4 in float64, 4e-2 in float32: tells truncation from noise at the small steps."""
        return float(self.eps**0.2)

    @property
    def goal(self) -> float:
        """GOAL in float64, its like (eps^⅓ up to a constant) elsewhere: 4e-5 in float32."""
        return GOAL if self.eps < 1e-10 else 0.02 * self.small


def is_simple(values: Array) -> bool:
    """Numbers of six bits: steps of a step function, or the inputs' own simple values; they say nothing of a
    precision.
    """
    return has_bits(values, 6)


def face_of(values: Array, eps: float) -> float:
    """Eps of a precision coarser than `eps` that holds every value, and so has computed them; 0 where none is seen."""
    if is_simple(values):
        return 0.0
    for lower in (np.float16, np.float32):
        coarse = float(np.finfo(lower).eps)
        if coarse > eps and np.array_equal(values, values.astype(lower)):
            return coarse
    return 0.0


def grain_of(origin: Array) -> float:
    """Eps of the coarsest float that a value could have been computed in: what it cannot hold is not seen to change."""
    for lower in (np.float16, np.float32):
        if np.array_equal(origin, origin.astype(lower), equal_nan=True) and (
            lower is np.float32 or not is_simple(origin)
        ):
            return float(np.finfo(lower).eps)
    return 0.0


def underflow_of(bench: Bench, origin: Array) -> float:
    """How coarsely the smallest values are rounded: a subnormal has few digits, and what is computed from it no more.

    0 where no value is subnormal.
    """
    if bench.twin:
        return 0.0
    known = [limits(m.dtype) for m in bench.models if differentiable(m)]
    tiny, smallest = max(float(i.tiny) for i in known), max(float(i.smallest_subnormal) for i in known)
    below = np.abs(origin[(origin != 0) & (np.abs(origin) < tiny)])
    return float(np.max(smallest / below, initial=0.0))


def sizes_of(bench: Bench, origin: Array) -> Array:
    """What an output's rounding is relative to: half the largest entry of its array; small entries come of
    cancellation.
    """
    halves, counts, start = [], [], 0
    for model in bench.models:
        if differentiable(model):
            stop = start + model.size * (2 if model.dtype.kind == "c" else 1)
            part = origin[start:stop]
            largest = max(
                np.max(part, initial=0.0, where=np.isfinite(part)), -np.min(part, initial=0.0, where=np.isfinite(part))
            )
            halves.append(0.5 * float(largest))
            counts.append(stop - start)
            start = stop
    return np.broadcast_to(halves[0], origin.shape) if len(halves) == 1 else np.repeat(halves, counts)
