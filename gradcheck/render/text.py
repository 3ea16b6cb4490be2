"""Text: the plots of a report in characters, for those who sit at a terminal far from a browser."""

import math
from typing import TYPE_CHECKING

from gradcheck.render.scale import grid_of, ratios_of
from gradcheck.report import place

if TYPE_CHECKING:
    from gradcheck.judge.closer import Curve, Entries, Look

_SHADES = " ·░▒▓█"
"""|error|/bound: below 1e-3, 1e-1, 1, 1e2, 1e4 and beyond: the three first are right, the last three wrong."""
_LIMITS = (-3.0, -1.0, 0.0, 2.0, 4.0)


def drawn(look: "Look", width: int = 80) -> str:
    """The V-curve and the map of the accused block, at most `width` characters a line."""
    parts = [] if look.curve is None else [v_curve(look.curve, width)]
    worst = None if look.curve is None else look.curve.index
    return "\n\n".join([*parts, *(heat_map(entries, worst, width) for entries in look.entries[:1])])


def v_curve(curve: "Curve", width: int = 80, height: int = 16) -> str:
    """Distance from backward (●) and from the best finite difference (o) against the step, on logarithmic axes.

    '-' is the noise line, '/' the truncation line, '=' the bound, ':' the chosen step.
    """
    left, columns = 9, min(width - 10, 2 * len(curve.step) - 1)
    series = [("/", curve.truncation), ("-", curve.noise), ("o", curve.error), ("●", curve.distance)]
    sizes = [v for v in (*curve.distance, *curve.error, curve.bound) if v > 0 and math.isfinite(v)]
    if not sizes or len(curve.step) < 2:
        return f"V-curve of {place(curve.input, curve.index)}: nothing to draw, every difference is zero"
    low, high = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    high = max(high, low + 1)
    first, last = math.log10(curve.step[0]), math.log10(curve.step[-1])

    def row(value: float) -> int:
        return round((high - math.log10(value)) / (high - low) * (height - 1))

    def column(step: float) -> int:
        return round((math.log10(step) - first) / (last - first) * (columns - 1))

    cells = [[" "] * columns for _ in range(height)]
    for line in cells:
        line[column(min(max(curve.chosen, curve.step[0]), curve.step[-1]))] = ":"
    if 0 < curve.bound < math.inf:
        cells[row(curve.bound)] = ["="] * columns
    for mark, values in series:
        for step, value in zip(curve.step, values, strict=True):
            if 0 < value < math.inf and 0 <= row(value) < height:
                cells[row(value)][column(step)] = mark
    labels = {row(10.0**power): f"1e{power:+03d}" for power in (low, (low + high) // 2, high)}
    lines = [f"{labels.get(n, ''):>{left - 1}} |{''.join(line).rstrip()}" for n, line in enumerate(cells)]
    ticks = " " * left + f"{curve.step[0]:.0e}".ljust(columns - 5) + f"{curve.step[-1]:.0e}"
    return "\n".join(
        [
            f"V-curve of {place(curve.input, curve.index)}: ● from backward, o from the best difference, by step h",
            *lines,
            ticks,
            f"{'':{left}}- noise ∝ 1/h   / truncation ∝ h²   = bound {curve.bound:.1e}   : chosen {curve.chosen:.0e}",
        ]
    )


def heat_map(entries: "Entries", worst: tuple[int, ...] | None = None, width: int = 80, height: int = 24) -> str:
    """|error|/bound of a block, a character an entry, X the worst; a character is the worst of several where they are
    many.
    """
    name, (grid, ring) = place(entries.input), grid_of(entries, worst)
    if grid is None or ring is None:
        outside = int((ratios_of(entries) > 1).sum())
        return f"{name}: {outside} of the {len(entries.position)} entries looked at are outside their bound"
    tall, wide = -(-grid.shape[0] // height), -(-grid.shape[1] // (width - 4))
    lines = []
    for top in range(0, grid.shape[0], tall):
        block = grid[top : top + tall]
        worst_of = [float(block[:, at : at + wide].max()) for at in range(0, grid.shape[1], wide)]
        lines.append([_SHADES[sum(value >= limit for limit in _LIMITS)] for value in worst_of])
    lines[ring[0] // tall][ring[1] // wide] = "X"
    each = "an entry" if tall == wide == 1 else f"the worst of {tall}×{wide} entries"
    words = ("< 1e-3", "< 0.1", "< 1", "< 100", "< 1e4", "beyond")
    scale = " ".join(f"'{shade}' {limit}" for shade, limit in zip(_SHADES, words, strict=True))
    rows = (f"  |{''.join(line)}|" for line in lines)
    return "\n".join([f"{name}: |error|/bound, {each} a character, X the worst", *rows, f"  {scale}"])
