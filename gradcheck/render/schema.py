"""Schema: what a record is made of, field by field (docs/records.md says it in words), and a Report out of it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from gradcheck.judge.closer import Curve, Entries, Look
from gradcheck.render.cases import decode
from gradcheck.render.readers import (
    Reader,
    choice,
    count,
    each,
    fields,
    label,
    maybe,
    positive,
    real,
    row,
    scalar,
    shaped,
    table,
    text,
    whole,
)
from gradcheck.report import Block, Finding, Kind, Report, Verdict

SCHEMA = 1
"""Goes up when a reader of the old schema would misread the new one; a field that is added does not raise it."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A recorded case: the inputs, and the sizes that the layer was built with, if it was built for them.

    `python` is the expression that the case was printed as, which is shown and never evaluated.
    """

    inputs: tuple[Any, ...]
    sizes: Mapping[str, int]
    python: str

    def __repr__(self) -> str:
        return self.python


@dataclass(frozen=True)
class Cost:
    """A measured cost of a backward pass.

    per: "edge" or "element", what sizes count. seconds: the shortest of each size. fit: rows of size, fitted seconds,
    half of the 95 % band, and what it would be without the super-linear part. share: of the super-linear part, with its
    bounds before and after it. said: all of it in words.
    """

    target: str
    verdict: Verdict
    headline: str
    per: str
    sizes: tuple[float, ...]
    seconds: tuple[float, ...]
    fit: tuple[tuple[float, float, float, float], ...]
    share: tuple[float, float, float]
    said: str


def is_cost(made: Record) -> bool:
    """Whether a record is of a cost, and not of a gradient."""
    return "cost" in made


def cost_of(made: Record) -> Cost:
    """The cost that was recorded. Raises ValueError, naming the field, where it cannot be drawn."""
    told = fields(made, {"target": text, "verdict": choice(_VERDICTS), "headline": text, "cost": shaped(_COST)})
    cost = told.pop("cost")
    _same_length("cost", cost["sizes"], cost["seconds"])
    return Cost(**told, **cost)


def report_of(made: Record) -> Report:
    """The Report that was recorded; its case is what is shown of it, with inputs only from `case_of`.

    Raises ValueError, naming the field, where the record does not have the shape of the schema.
    """
    head = fields(made, {"verdict": choice(_VERDICTS), "target": text, "report": shaped(TOLD)})
    told = head["report"]
    told["findings"] = tuple(Finding(**finding) for finding in told["findings"])
    told["blocks"] = tuple(Block(**block) for block in told["blocks"])
    told["resolutions"] = dict(told["resolutions"])
    if head["verdict"] is Verdict.FAIL and not told["findings"]:
        raise ValueError("findings: a FAIL has none")
    if told["examples"] < 1:
        raise ValueError("examples: 0 is below 1")
    shown = maybe(shaped({"python": text, "sizes": table(count)}))(made.get("case"))
    case = None if shown is None else Case((), shown["sizes"], shown["python"])
    return Report(head["verdict"], head["target"], case=case, **told)


def look_of(made: Record) -> Look | None:
    """The closer look that a record holds, if any. Raises ValueError, naming the field, where it cannot be drawn."""
    told = maybe(shaped(_LOOK))(made.get("look"))
    if told is None:
        return None
    curve = None if told["curve"] is None else Curve(**told["curve"])
    if curve is not None:
        _same_length("curve", curve.step, curve.distance, curve.error, curve.noise, curve.truncation)
    entries = tuple(Entries(**block) for block in told["entries"])
    for block in entries:
        _same_length("entries", block.position, block.claimed, block.error, block.bound)
        if any(position >= prod(block.shape) for position in block.position):
            raise ValueError(f"entries: a position is past the last of {prod(block.shape)}")
    return Look(curve, entries, told["evaluations"])


def case_of(made: Record) -> Case:
    """The recorded case with its inputs. Raises ValueError, with the reason, where they were not kept."""
    case = made.get("case")
    if case is None:
        raise ValueError("the record has no case: a PASS is recorded by its margins alone")
    told = fields(case, {"python": text, "sizes": table(count)})
    if "inputs" not in case:
        raise ValueError(f"the case was not kept as data: {case.get('missing', 'no reason given')}")
    return Case(fields(case, {"inputs": each(decode)})["inputs"], told["sizes"], told["python"])


def checked(made: Record) -> Record:
    """The record itself, every field of it having been read. Raises ValueError, naming the field."""
    if is_cost(made):
        cost_of(made)
        return made | fields(made, _SIGNED)
    made |= fields(made, _SIGNED | _JUDGED)
    report_of(made)
    look_of(made)
    return made


def _same_length(what: str, *columns: Sequence[object]) -> None:
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"{what}: columns of {sorted({len(column) for column in columns})} values")


_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_PLACE, _LINES, _REALS, _COUNTS = maybe(each(count)), each(text), each(real), each(count)
_NUMBERS: dict[str, Reader] = {"claimed": maybe(scalar), "numeric": maybe(scalar), "bound": maybe(real)}
_JUDGED: dict[str, Reader] = {"profile": text, "options": table(lambda value: value)}
_SIGNED: dict[str, Reader] = {
    "id": text, "at": text, "ref": text,
    "environment": table(lambda value: value if value is None or isinstance(value, int | float) else text(value)),
}  # fmt: skip
_COST: dict[str, Reader] = {
    "per": text, "sizes": each(positive), "seconds": each(positive), "fit": each(row(positive, real, real, real)),
    "share": row(real, real, real), "said": text,
}  # fmt: skip
_FINDING: dict[str, Reader] = {
    "kind": choice(Kind.__members__), "message": text, "input": maybe(label), "index": _PLACE, "output": _PLACE,
    **_NUMBERS, "kinds": each(choice(Kind.__members__)), "evidence": _LINES, "sweep": each(row(real, real, real)),
}  # fmt: skip
_BLOCK: dict[str, Reader] = {
    "input": label, "shape": _COUNTS, "dtype": text, "verdict": choice(_VERDICTS), "index": _PLACE, **_NUMBERS,
}  # fmt: skip
TOLD: dict[str, Reader] = {
    "findings": each(shaped(_FINDING)), "resolution": real, "evaluations": count, "pullbacks": count, "kinks": _LINES,
    "reasons": _LINES, "notes": _LINES, "dtype": text, "seed": maybe(whole), "examples": count, "inconclusive": count,
    "resolutions": each(row(label, real)), "blocks": each(shaped(_BLOCK)),
}  # fmt: skip
"""The fields of a Report that a record tells under "report"."""
_CURVE: dict[str, Reader] = {
    "input": label, "index": _COUNTS, "step": each(positive), "distance": _REALS, "error": _REALS, "noise": _REALS,
    "truncation": _REALS, "chosen": positive, "bound": real,
}  # fmt: skip
_ENTRIES: dict[str, Reader] = {
    "input": label, "shape": _COUNTS, "position": _COUNTS, "claimed": _REALS, "error": _REALS, "bound": _REALS,
}  # fmt: skip
_LOOK: dict[str, Reader] = {
    "curve": maybe(shaped(_CURVE)), "entries": each(shaped(_ENTRIES)), "evaluations": count,
}  # fmt: skip
