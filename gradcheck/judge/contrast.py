"""Contrast: name the mistake of the smallest case by a larger one, where entries can be compared with each other."""

from collections.abc import Iterable
from dataclasses import replace

from gradcheck.report import Finding, Kind, Report, place

_TELLING = (
    Kind.BRANCH, Kind.REPEATED_INDEX, Kind.TRANSPOSED, Kind.PERMUTED, Kind.DIAGONAL_ONLY, Kind.NOT_SUMMED,
    Kind.MISSING_TERM, Kind.APPROXIMATION, Kind.LOW_PRECISION, Kind.ACCUMULATES, Kind.STALE, Kind.MUTATES,
)  # fmt: skip
"""Kinds that are told by contrast, between entries or between answers, of which the smallest case may have too few."""


def contrasted(smallest: Report, others: Iterable[Report]) -> Report:
    """The smallest report, its worst finding by the name that one of the others has for it: the first that knows more.

    OTHER gives way to any name, the rest to what only contrast can tell.
    """
    finding = smallest.findings[0]
    if finding.kind in _TELLING:
        return smallest
    for other in others:
        if not other.findings:
            continue
        larger = next((f for f in other.findings if f.input == finding.input), other.findings[0])
        if larger.kind in _TELLING or finding.kind is Kind.OTHER is not larger.kind:
            return replace(smallest, findings=(_renamed(finding, larger), *smallest.findings[1:]))
    return smallest


def _renamed(finding: Finding, larger: Finding) -> Finding:
    words = larger.evidence[0].removeprefix(f"{larger.kind.name}: ") if larger.evidence else larger.message
    message = f"backward of {place(finding.input, finding.index)} is {larger.kind.wrong}"
    others = (e for e in finding.evidence if not e.startswith(Kind.OTHER.name))
    return replace(
        finding,
        kind=larger.kind,
        message=message if finding.kind is Kind.OTHER else finding.message,
        kinds=(larger.kind, *(k for k in finding.kinds if k is not larger.kind)),
        evidence=(f"{larger.kind.name}: at a larger case, {words}", *others),
    )
