"""What ``gradcheck cost`` does: curves with their verdicts, or a comparison with another version of the code.

Exit codes: 0 linear, or not slower; 1 super-linear, or slower; 4 not understood; 5 nothing could be told.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console

from gradcheck.cost import baseline, callgrind, trees
from gradcheck.cost.curve import Curve, grown, measure, works_of
from gradcheck.cost.reference import FAMILIES
from gradcheck.cost.regression import Comparison, Outcome, against, interleaved
from gradcheck.cost.scaling import COUNT_GATE, LEAST_SIZES, fit
from gradcheck.cost.spec import REFERENCE, Spec, read_shapes
from gradcheck.cost.table import duration, share_line
from gradcheck.cost.work import unit
from gradcheck.report import Verdict

OK, WRONG, NOTHING = 0, 1, 5
PROCESSES = 8  # of a run that is stored: Welch's interval over twice eight samples of 1% each is ±1.1%
Say = Callable[[str], None]


def main(
    target: str | None = None,
    shapes: str = "",
    per: str | None = None,
    order: int = 1,
    plot: str | None = None,
    instructions: bool = False,
    keep: Callable[[str, Curve], object] = lambda name, curve: None,
    **version: str,
) -> int:
    """Measure a target, or the reference, and return the exit code. ``version`` is one of against, save and compare.

    keep: called with the name of every target and its curve. Raises ValueError for what cannot be understood: a target
    that is not there, shapes, a revision, a corrupt file.
    """
    say = partial(Console(highlight=False).print, markup=False, soft_wrap=True)
    names = [target] if target else [REFERENCE + family for family in FAMILIES]
    specs = [Spec(name, read_shapes(shapes)) for name in names]
    try:
        if version:
            ((verb, named),) = version.items()
            return _worst([VERSIONS[verb](spec, named, say) for spec in specs])
        curves, codes = [], []
        for spec in specs:
            curve, sizes = _curve(spec, per, order)
            say(f"{curve}\n")
            codes += [CODES[curve.verdict], _instructions(spec, sizes, curve, say) if instructions else OK]
            curves.append(curve)
            keep(spec.name, curve)
    except (baseline.NothingToCompareError, callgrind.MissingError, RuntimeError) as reason:
        print(f"gradcheck cost: {reason}", file=sys.stderr)
        return NOTHING
    if plot:
        from gradcheck.cost.plot import plot as draw

        draw(curves, plot)
        say(f"written to {plot}")
    return _worst(codes)


CODES = {Verdict.PASS: OK, Verdict.FAIL: WRONG, Verdict.INCONCLUSIVE: NOTHING}
OUTCOMES = {Outcome.NOT_SLOWER: OK, Outcome.SLOWER: WRONG, Outcome.UNDECIDED: NOTHING}


def _worst(codes: Sequence[int]) -> int:
    return max(codes, key=[OK, NOTHING, WRONG].index)


def _curve(spec: Spec, per: str | None, order: int) -> tuple[Curve, list[int]]:
    make = spec.factory()
    works = works_of(make, grown(make), per)
    return measure(list(works.values()), per or unit(works), order), list(works)


def _instructions(spec: Spec, sizes: Sequence[int], curve: Curve, say: Say) -> int:
    """The smallest sizes again, in instructions: some fifty times slower than at speed."""
    found = fit(curve.sizes[:LEAST_SIZES], callgrind.instructions(spec, sizes[:LEAST_SIZES]), curve.time.order)
    say(f"{share_line('instructions', found, COUNT_GATE)}\n")
    return WRONG if found.beyond(COUNT_GATE) else OK


def _against(spec: Spec, named: str, say: Say) -> int:
    sizes = grown(spec.factory())[1::3]
    with trees.base(named) as base:
        return _said(spec, sizes, against(spec, base, trees.here(), sizes), named, say)


def _save(spec: Spec, named: str, say: Say) -> int:
    sizes = grown(spec.factory())[1::3]
    (samples,) = interleaved(spec, [trees.here()], sizes, PROCESSES)
    say(f"{spec.name}: {len(samples)} processes stored in {baseline.save(named, spec, sizes, samples)}")
    return OK


def _compare(spec: Spec, named: str, say: Say) -> int:
    base = baseline.load(named, spec)
    (samples,) = interleaved(spec, [trees.here()], base.sizes, PROCESSES)
    return _said(spec, base.sizes, baseline.compare(base, samples), base.path.name, say)


VERSIONS: dict[str, Callable[[Spec, str, Say], int]] = {"against": _against, "save": _save, "compare": _compare}


def _said(spec: Spec, sizes: Sequence[int], found: Comparison, named: str, say: Say) -> int:
    ratio = f"{found.ratio.value:.3f}× (95% interval {found.ratio.low:.3f} … {found.ratio.high:.3f})"
    say(f"{spec.name}: head {found.outcome.value}: {ratio} of {named}, {len(found.head)} processes each")
    say(f"  {'size':>12} {'base':>10} {'head':>10}")
    for place, size in enumerate(sizes):
        base, head = (min(sample.seconds[place] for sample in run) for run in (found.base, found.head))
        say(f"  {size:>12,} {duration(base):>10} {duration(head):>10}")
    return OUTCOMES[found.outcome]
