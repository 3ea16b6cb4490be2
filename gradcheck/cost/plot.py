"""A cost curve as a picture: cost against size with the fit and its band, and below it the cost per edge."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.cost.curve import Curve


def plot(curves: Sequence[Curve], path: str | Path) -> None:
    """Write the curves to a file, in the format of its suffix: .svg, .png, .pdf.

    Above, on logarithmic axes, the shortest times, the fit and its 95% band, and dotted what an exactly linear cost
    would be; below, the cost per edge, in which a linear cost is level. Raises ModuleNotFoundError, naming the extra,
    where matplotlib is missing, and ValueError for a suffix that it cannot write.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("a plot needs matplotlib: install gradcheck[report]", name="matplotlib") from missing
    figure = Figure(figsize=(4.2 * len(curves), 6.0), layout="constrained")
    axes: Any = figure.subplots(2, len(curves), squeeze=False, sharex="col", height_ratios=(3, 2))
    for (above, below), curve in zip(axes.T, curves, strict=True):
        _draw(above, below, curve)
    with rc_context({"svg.fonttype": "none"}):  # text stays text: a sixth of the size, and it can be searched
        figure.savefig(path)


def _draw(above: Any, below: Any, curve: Curve) -> None:
    sizes = np.array(curve.sizes, float)
    dense = np.geomspace(sizes[0], sizes[-1], 100)
    cost, half = curve.time.at(dense)
    low = np.maximum(cost - half, cost.min() / 10)  # a logarithmic axis has no place for zero
    fixed, per_edge, _ = curve.time.coefficients
    for axis, by in ((above, 1.0), (below, dense)):
        axis.fill_between(dense, low / by, (cost + half) / by, alpha=0.25, linewidth=0, label="95% band")
        axis.plot(dense, cost / by, linewidth=1.2, label="a + bE + cE²")
        axis.plot(dense, (fixed + per_edge * dense / sizes[-1]) / by, ":", color="gray", label="a + bE")
    above.plot(sizes, curve.seconds, "k.", label="shortest of all rounds")
    below.plot(sizes, curve.seconds / sizes, "k.")
    above.set(xscale="log", yscale="log", ylabel="seconds", title=curve.name)
    below.set(xlabel=f"{curve.per}s", ylabel=f"seconds per {curve.per}", ylim=(0, None))
    share, slope = curve.time.share, curve.time.slope
    above.text(
        0.97, 0.03, f"super-linear {share:.1%}\nslope {slope:.3f}", transform=above.transAxes, ha="right", size=8
    )
    above.legend(frameon=False, fontsize=8)
