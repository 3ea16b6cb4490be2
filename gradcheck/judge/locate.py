"""Locate: halve the support of a failing direction until the entry is found, in 2 log₂ P forward calls, then the
output the same way.
"""

from dataclasses import dataclass

import numpy as np

from gradcheck.judge.hearing import Hearing, ask, ask_output
from gradcheck.judge.moves import Line
from gradcheck.judge.probe import Prober
from gradcheck.judge.reals import Array
from gradcheck.judge.sweep import Sweep
from gradcheck.numeric.ladder import Reading


@dataclass(frozen=True)
class Place:
    """Where a claim is wrong: the flat entry (None if the error is too thin to pin down), the output, and the numbers
    there.

    alone: this entry explains the whole residual. column: the numeric derivative of every output by that entry.
    """

    entry: int | None
    output: int | None
    claimed: float
    numeric: float
    bound: float
    alone: bool
    sweep: Sweep


def locate(
    prober: Prober, hearing: Hearing, b: int, sweep: Sweep, k: int, cotangent: Array, claim: Array
) -> Place | None:
    """The worst entry of a block that fails along `sweep`, for cotangent k.

    None where the trail goes cold: an entry that looked guilty turns out right when it is looked at alone.
    Raises BudgetError, BackwardError.
    """
    total = sweep.reading(k)
    support = np.flatnonzero(sweep.direction)
    residual = total.value
    while support.size > 1:
        half = support[: support.size // 2]
        part = _residual(prober, sweep, half, total, cotangent, claim)
        if part is None:
            break
        rest = residual - part
        support, residual = (half, part) if abs(part) >= abs(rest) else (support[half.size :], rest)
        if abs(residual) <= 2 * total.error:  # spread too thin to follow any further
            break
    if support.size > 1:
        return _whole(sweep, k, total)
    entry = int(support[0])
    direction = np.zeros_like(sweep.direction)
    direction[entry] = sweep.direction[entry]
    alone = prober.sweep(sweep.position, direction, cotangent[None, :], [claim])
    if not alone.steps:
        return _whole(sweep, k, total)
    reading = alone.reading(0)
    if reading.is_zero:
        return None if reading.error < 0.1 * abs(residual) else _whole(sweep, k, total)
    rest = abs(total.value - reading.value)
    only = rest <= total.error + reading.error + 1e-3 * abs(reading.value)
    return _at_output(prober, hearing, b, alone, reading, entry, only, cotangent, claim)


def _residual(
    prober: Prober, sweep: Sweep, support: Array, total: Reading, cotangent: Array, claim: Array
) -> float | None:
    """The residual slope along part of a direction, at the step that served the whole of it: two forward calls."""
    part = np.zeros_like(sweep.direction)
    part[support] = sweep.direction[support]
    line = Line(sweep.position, part, cotangent[None, :], [claim])
    right, left = prober.glimpse(line, total.step), prober.glimpse(line, -total.step)
    if right is None or left is None:
        return None
    return float(right.residual[0] - left.residual[0]) / (2 * total.step)


def _whole(sweep: Sweep, k: int, total: Reading) -> Place:
    claimed = float(sweep.claimed[k])
    return Place(None, None, claimed, claimed + total.value, total.error, False, sweep)


def _at_output(
    prober: Prober,
    hearing: Hearing,
    b: int,
    alone: Sweep,
    reading: Reading,
    entry: int,
    only: bool,
    cotangent: Array,
    claim: Array,
) -> Place:
    """Follow one entry to the output whose derivative is most wrong: halving over outputs costs pullbacks only."""
    size = float(alone.direction[entry])
    claimed, numeric = float(claim[entry]), float(claim[entry]) + reading.value / size
    bound = reading.error / abs(size)
    outputs = np.flatnonzero(cotangent)
    column = numeric_column(prober, alone, reading.step, entry)
    if column is None:
        return Place(entry, int(outputs[0]) if outputs.size == 1 else None, claimed, numeric, bound, only, alone)
    residual = claimed - numeric
    while outputs.size > 1:
        half = outputs[: outputs.size // 2]
        masked = np.zeros_like(cotangent)
        masked[half] = cotangent[half]
        part = float(ask(hearing, masked)[b][entry]) - float(masked @ column)
        rest = residual - part
        outputs, residual = (half, part) if abs(part) >= abs(rest) else (outputs[half.size :], rest)
    output = int(outputs[0])
    single = float(ask_output(hearing, output)[b][entry])
    fair = abs(single - column[output]) > bound  # nonlinear backwards answer one-hot questions differently
    if not fair:
        return Place(entry, None, claimed, numeric, bound, only, alone)
    return Place(
        entry, output, single, float(column[output]), bound / max(abs(float(cotangent[output])), 1e-300), only, alone
    )


def numeric_column(prober: Prober, sweep: Sweep, step: float, entry: int) -> Array | None:
    """The numeric derivative of every output by one entry: two forward calls; None where f is not defined that near."""
    direction = np.zeros_like(sweep.direction)
    direction[entry] = sweep.direction[entry] or prober.unit(sweep.position)[entry]
    right = prober.at(sweep.position, direction, step)
    left = prober.at(sweep.position, direction, -step)
    if right is None or left is None:
        return None
    moved = float(right[0][entry] - left[0][entry])
    if not moved:
        return None
    difference = right[1] - left[1]
    difference[~np.isfinite(prober.origin)] = 0
    return np.asarray(difference / moved)
