"""A cost curve in words: the sentence, the shares with their bounds, and one line a size."""

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.cost.scaling import CLOCK_GATE, COUNT_GATE, Fit
from gradcheck.report import Verdict

if TYPE_CHECKING:
    from gradcheck.cost.curve import Curve

CAUSES = (
    "the usual causes: a list searched with `in`, a whole array copied for every entry that is added to,\n"
    "  a gradient that is passed on before all of its parts have arrived"
)


def headline(curve: "Curve") -> str:
    """One sentence: what share of the time, or of a count, is super-linear."""
    most = f"{curve.sizes[-1]:,} {curve.per}s"
    if wrong := [visits for visits in curve.visits if visits != 1]:
        return f"{curve.name}: backward visits an edge {wrong[-1]:.4g} times, not once, at up to {most}"
    for name, (fit, gate) in _judged(curve).items():
        where = f"{fit.largest:,.0f} {curve.per}s"
        if fit.share.low > gate:
            share = f"{_share(fit)} of backward's {name}"
            return f"{curve.name}: {share} at {where} is {_beyond(fit)} (gate {gate:.0%})"
        if fit.beyond(gate):
            return (
                f"{curve.name}: backward's {name} grows like E^{fit.slope.value:.1f} up to {where}, not {_order(fit)}"
            )
    if curve.verdict is Verdict.INCONCLUSIVE:
        return f"{curve.name}: backward's time does not grow with its {curve.per}s up to {most}: choose larger sizes"
    return f"{curve.name}: backward is {_order(curve.time)} in its {curve.per}s up to {most}"


def describe(curve: "Curve") -> str:
    """The headline and all that it rests on."""
    lines = [headline(curve), ""]
    lines += [share_line(name, fit, gate) for name, (fit, gate) in _judged(curve).items()]
    slope = curve.time.slope
    lines += [f"  {'slope of log t, log E':<30}{slope.value:.3f}, 95% bounds {slope.low:.3f} … {slope.high:.3f}", ""]
    seen = "   visits per edge" if curve.visits else ""
    lines.append(f"  {curve.per + 's':>12} {'time':>10} {'per ' + curve.per:>12}{seen}")
    for place, (size, spent) in enumerate(zip(curve.sizes, curve.seconds, strict=True)):
        visits = f"{curve.visits[place]:>18.3f}" if curve.visits else ""
        lines.append(f"  {size:>12,} {duration(spent):>10} {duration(spent / size):>12}{visits}")
    if curve.verdict is Verdict.FAIL:
        lines += ["", f"  {CAUSES}"]
    return "\n".join(lines)


def share_line(name: str, fit: Fit, gate: float) -> str:
    """The super-linear share of one kind of cost, its bounds and its gate."""
    said = f"95% bounds {fit.share.low:.1%} … {fit.share.high:.1%}" if np.isfinite(fit.share.low) else "no bounds"
    return f"  {name + ' beyond ' + _order(fit):<30}{_share(fit)}, {said}, gate {gate:.0%}"


def duration(seconds: float) -> str:
    """A time with three digits and its unit.

    >>> duration(2.8447e-6), duration(0.05)
    ('2.84 µs', '50 ms')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _judged(curve: "Curve") -> dict[str, tuple[Fit, float]]:
    return {"time": (curve.time, CLOCK_GATE), **{name: (fit, COUNT_GATE) for name, fit in curve.counts.items()}}


def _share(fit: Fit) -> str:
    """The share as a percentage; a cost without a linear part has a share of 100%, whatever the fit makes of it."""
    return f"{np.clip(fit.share.value, 0, 1):.0%}" if np.isfinite(fit.share.value) else "?"


def _order(fit: Fit) -> str:
    return {1: "linear", 2: "quadratic", 3: "cubic"}.get(fit.order, f"E^{fit.order}")


def _beyond(fit: Fit) -> str:
    return {1: "super-linear", 2: "super-quadratic"}.get(fit.order, f"beyond {_order(fit)}")
