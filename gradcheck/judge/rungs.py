"""Rungs: which step of a line would settle what is still open, given those that were taken."""

from itertools import pairwise

import numpy as np

from gradcheck.judge.precision import Scale
from gradcheck.judge.sweep import SAFETY, Sweep


def wanted(sweep: Sweep, scale: Scale) -> float | None:
    """The next step to try, None when every cotangent is settled."""
    low, high = min(sweep.steps), max(sweep.steps)
    if sweep.still and not sweep.weight.any():  # nothing claimed, nothing seen: one long step, past any quantum
        return 0.3 if high < 0.3 else None
    down = []
    wishes = set()
    gap = 6.0  # how wide a gap in the ladder is left alone: narrow where something was seen and has to be confirmed
    for k, reading in enumerate(sweep.readings()):
        size = max(float(sweep.weight[k]), abs(reading.value))
        if reading.persists and low < 0.1 * scale.small:
            top = abs(float(sweep.slopes[int(np.argmax(sweep.steps))][k]))
            if (
                top < 0.1 * abs(reading.value) and high < 0.1
            ):  # gone further out: is it a jagged f rather than a wrong claim?
                wishes.add("larger")
            continue
        if reading.is_zero and reading.error <= scale.goal * size:
            continue
        if not reading.is_zero:  # is it there at smaller steps too, as far down as noise lets one see?
            room = 0.25 * abs(reading.value) / max(SAFETY * float(sweep.sigma[k]) / low, 1e-300)
            if room > 2 and low > 1e-13:
                down.append(min(30.0, room))
            elif not reading.persists:
                gap = 2.2
                wishes.add("between" if reading.step < high else "larger")
        elif reading.limit == "truncation" and reading.step == low and low > 1e-13:
            down.append(30.0)
        else:
            wishes.add("larger" if reading.step == high else "between")
    if down:
        return low / max(down)
    if "larger" in wishes and high < 1e4:
        return 8 * high if high >= scale.large else 15 * high
    if "between" in wishes:
        ratio, below, above = max((b / a, a, b) for a, b in pairwise(sorted(sweep.steps)))
        return float(np.sqrt(below * above)) if ratio > gap else None
    return None
