"""Plots: the pictures of a report as SVG for a page, drawn by matplotlib in colours that the page chooses.

matplotlib writes colours as numbers; each of `_COLOURS` is one that it would never choose, and is replaced by a CSS
variable, so that one picture serves a light page, a dark one and a printer.
"""

import io
import math
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from gradcheck.render.scale import RANGE, decades, grid_of, ratios_of
from gradcheck.report import Verdict

if TYPE_CHECKING:
    from gradcheck.judge.closer import Curve, Entries
    from gradcheck.render.schema import Cost

_COLOURS = {
    "#010101": "ink", "#020202": "dim", "#030303": "line", "#040404": "good", "#050505": "bad", "#060606": "own",
}  # fmt: skip
_INK, _DIM, _LINE, _GOOD, _BAD, _OWN = _COLOURS
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be selected, searched and read aloud
    "svg.hashsalt": "gradcheck",  # the same picture is the same text
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": _DIM,
    "axes.labelcolor": _INK, "text.color": _INK, "xtick.color": _DIM, "ytick.color": _DIM, "axes.facecolor": "none",
    "xtick.labelcolor": _INK, "ytick.labelcolor": _INK, "grid.color": _LINE, "legend.frameon": False,
    "legend.fontsize": 8, "axes.titlesize": 9, "axes.unicode_minus": False,
}  # fmt: skip
_WIDE = 5.2
"""Inches of a picture of all records: shrunk to the 360 pixels of a phone, its letters still have eight."""


def v_curve(curve: "Curve") -> str:
    """Error of the central difference against its step, between the lines of noise and truncation; the step chosen."""
    with rc_context(_STYLE):
        figure, axes = _figure(4.6, 3.4, legend=3)
        axes.loglog(curve.step, _shown(curve.distance), "o-", ms=3, lw=1, color=_BAD, label="distance from backward")
        axes.loglog(curve.step, _shown(curve.error), ".", ms=4, color=_OWN, label="distance from the best")
        axes.loglog(curve.step, _shown(curve.noise), "--", lw=1, color=_DIM, label="noise ∝ 1/h")
        if any(curve.truncation):
            axes.loglog(curve.step, _shown(curve.truncation), ":", lw=1.2, color=_DIM, label="truncation ∝ h²")
        axes.axhline(curve.bound, lw=1, color=_GOOD, label=f"bound {curve.bound:.1e}")
        axes.axvline(curve.chosen, lw=1, color=_GOOD, ls="-.", label=f"chosen step {curve.chosen:.0e}")
        sizes = [value for value in (*curve.distance, *curve.error, curve.bound) if 0 < value < math.inf]
        if sizes:  # the truncation line would stretch the axis to where nothing was seen
            axes.set_ylim(min(sizes) / 3, max(sizes) * 3)
        axes.set(xlabel="step h", ylabel="distance")
        _plain(axes)
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, 1.26), ncols=2)
        return _svg(figure, "V-curve: error of the central difference against its step")


def heat_map(entries: "Entries", worst: tuple[int, ...] | None = None) -> str:
    """|error|/bound of every entry, all but the last axis run together; the worst is ringed. Empty for a sample."""
    grid, ring = grid_of(entries, worst)
    if grid is None:
        return ""
    rows, columns = grid.shape
    with rc_context(_STYLE):
        figure, axes = _figure(4.6, min(3.4, max(1.3, 0.8 + 3.8 * rows / columns)), right=0.55)
        image = axes.imshow(grid, cmap="coolwarm", vmin=-RANGE, vmax=RANGE, aspect="auto", interpolation="none")
        if ring is not None:
            axes.plot(ring[1], ring[0], "o", ms=9, mfc="none", mec=_INK, mew=1.4)
        axes.set(xlabel="last axis", ylabel="the others" if rows > 1 else "")
        axes.set_xticks(sorted({0, columns - 1}))
        axes.set_yticks(sorted({0, rows - 1}))
        bar = figure.colorbar(image, ax=axes, fraction=0.06, pad=0.03)
        bar.set_label("log₁₀ |error|/bound")
        bar.outline.set_visible(False)
        return _svg(figure, f"error over bound of every entry of {entries.input}")


def against(entries: "Entries") -> str:
    """Backward against finite difference, an entry a point; right ones lie on the line."""
    claimed = np.array(entries.claimed)
    numeric = claimed - np.array(entries.error)
    finite = np.isfinite(claimed) & np.isfinite(numeric)
    wrong = ratios_of(entries) > 1
    with rc_context(_STYLE):
        figure, axes = _figure(4.6, 3.4, legend=1)
        ends = np.array([*claimed[finite], *numeric[finite], 0.0])
        low, high = float(ends.min()), float(ends.max())
        axes.plot([low, high], [low, high], lw=1, color=_DIM)
        for chosen, colour, name in ((finite & ~wrong, _GOOD, "within the bound"), (finite & wrong, _BAD, "outside")):
            if chosen.any():
                axes.plot(numeric[chosen], claimed[chosen], "o", ms=3.5, color=colour, label=name, alpha=0.8)
        axes.set(xlabel="finite difference", ylabel="backward")
        if finite.any():
            axes.legend(loc="upper center", bbox_to_anchor=(0.45, 1.13), ncols=2)
        return _svg(figure, f"backward against finite difference of {entries.input}")


def margins(seen: Sequence[tuple[str, float]]) -> str:
    """How many blocks came how near to their bound, and how far beyond: (verdict, error/bound) of each."""
    edges = np.arange(-RANGE, RANGE + 0.51, 0.5)
    with rc_context(_STYLE):
        figure, axes = _figure(_WIDE, 2.6, legend=1)
        groups = [("pass", _GOOD), ("inconclusive", _OWN), ("fail", _BAD)]
        values = [[decades(ratio) for verdict, ratio in seen if verdict == name] for name, _ in groups]
        axes.hist(values, bins=edges, stacked=True, color=[c for _, c in groups], label=[name for name, _ in groups])
        axes.axvline(0, lw=1, color=_INK)
        if axes.get_ylim()[1] > 100:  # a few failures among thousands of passes have to be seen
            axes.set_yscale("symlog", linthresh=10)
        else:
            axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel="log₁₀ |error|/bound of the blocks judged (the ends hold what is beyond)", ylabel="blocks")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.13), ncols=3)
        return _svg(figure, "histogram of error over bound, by verdict")


def growth(cost: "Cost") -> str:
    """Seconds against edges, or elements, both logarithmic: the shortest times, the fit with its band, and linear."""
    size, fitted, half, straight = np.array(cost.fit).T
    low = np.maximum(fitted - half, fitted.min() / 10)  # a logarithmic axis has no place for zero
    colour = _BAD if cost.verdict is Verdict.FAIL else _GOOD
    with rc_context(_STYLE):
        figure, axes = _figure(4.6, 3.4, legend=2, right=0.25)
        axes.fill_between(size, low, fitted + half, color=colour, alpha=0.2, lw=0, label="95 % band")
        axes.loglog(size, fitted, lw=1.2, color=colour, label="fit a + bE + cE²")
        axes.loglog(size, straight, ":", lw=1.2, color=_DIM, label="its part a + bE")
        axes.loglog(cost.sizes, cost.seconds, "o", ms=3.5, color=_INK, label="shortest of all rounds")
        axes.set(xlabel=f"{cost.per}s", ylabel="seconds")
        _plain(axes)
        axes.grid(visible=True, lw=0.6)
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, 1.2), ncols=2)
        return _svg(figure, f"cost of {cost.target} against its {cost.per}s")


def calls(seen: Sequence[tuple[int, float]]) -> str:
    """What a verdict cost: forward calls of one example against the entries judged."""
    with rc_context(_STYLE):
        figure, axes = _figure(_WIDE, 2.6, right=0.25)
        axes.loglog(*zip(*sorted(set(seen)), strict=True), "o", ms=3, color=_OWN, alpha=0.6)
        axes.set(xlabel="entries of all inputs and parameters", ylabel="forward calls an example")
        _plain(axes)
        axes.grid(visible=True, lw=0.6)
        return _svg(figure, "forward calls against entries")


def _figure(width: float, height: float, *, legend: int = 0, right: float = 0.1) -> tuple[Figure, Any]:
    """A figure with room for labels, in inches, since text does not scale, and for so many lines of legend above."""
    figure = Figure(figsize=(width, height))
    figure.patch.set_visible(False)
    figure.subplots_adjust(0.78 / width, 0.45 / height, 1 - right / width, 1 - (0.12 + 0.17 * legend) / height)
    return figure, figure.add_subplot()


def _plain(axes: Any) -> None:
    """Powers of ten as 1e-06 and nothing between: typeset ones, and eight ticks a decade, take most of the time."""
    axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:.0e}")


def _shown(values: Sequence[float]) -> list[float]:
    """Zeros have no place on a logarithmic axis."""
    return [value if value > 0 else math.nan for value in values]


def _svg(figure: Figure, words: str) -> str:
    """The picture as an element of a page: in the page's colours and font, scaled to its width, with its words."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', rf'\1 role="img" aria-label="{escape(words)}"', text, count=1)
    for number, name in _COLOURS.items():
        text = text.replace(number, f"var(--{name})")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", text)
    text = re.sub(r'<g clip-path="[^"]*">\s*(?:<use [^>]*>\s*)+</g>', _lean, text)
    text = re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), text)
    return re.sub(r"\n\s*", "\n", text)


def _lean(markers: re.Match[str]) -> str:
    """Markers of one style, which each of them repeats: it moves to their group, and 500 of them weigh half."""
    styles = set(re.findall(r' style="[^"]*"', markers[0]))
    if len(styles) != 1:
        return markers[0]
    (style,) = styles
    return markers[0].replace(style, "").replace("<g ", f"<g{style} ", 1)
