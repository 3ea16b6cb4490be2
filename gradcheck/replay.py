"""Replay: judge recorded failures again, and say of each whether it is fixed, still failing or changed.

The target is imported by the name in the record, as `gradcheck run` imports it, or the test is run that asked about it;
its inputs are the recorded ones, and nothing else of a record plays a part.
"""

import enum
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcheck.render.records import Record, case_of, is_cost, look_of, read, report_of
from gradcheck.report import Report, Verdict

if TYPE_CHECKING:
    from gradcheck.judge.case import Case
    from gradcheck.judge.closer import Look


class Word(enum.Enum):
    """What became of a recorded failure. CHANGED fails, or cannot be told, otherwise than it did."""

    FIXED = "fixed"
    STILL = "still failing"
    CHANGED = "changed"
    UNKNOWN = "not replayed"


@dataclass(frozen=True)
class Replay:
    """One record judged again: what became of it, today's report, or why there is none."""

    made: Record
    word: Word
    report: Report | None = None
    reason: str = ""
    look: "Look | None" = None

    @property
    def line(self) -> str:
        """What became of it, of which target, and in a sentence."""
        sentence = self.reason if self.report is None else self.report.headline()
        return f"{self.word.value:13}  {self.made['source']}  {sentence}"


def choose(paths: Sequence[str]) -> tuple[list[Record], list[str]]:
    """The records to replay and what could not be read: of FILE all that are no PASS, of FILE:LINE the one there.

    Raises OSError where a file cannot be opened.
    """
    chosen: list[Record] = []
    complaints: list[str] = []
    for path in paths:
        name, colon, line = path.rpartition(":")
        single = bool(colon) and line.isdigit() and not Path(path).exists()
        records, unread = read([name if single else path])
        if single:
            records = [made for made in records if made["source"] == path]
            unread = [words for words in unread if words.startswith(f"{path}:")]
            unread = unread or ([] if records else [f"{path}: there is no record in this line"])
        chosen += [made for made in records if single or made["verdict"] != Verdict.PASS.value]
        complaints += unread
    return chosen, complaints


def replay(made: Record, target: str | None = None, *, closer: bool = False) -> Replay:
    """Judge the case of one record again, of the target that it names or of `target`, "module:attr".

    Every seed that the judge may have had is tried, and the worst verdict counts, one that says what was said before
    others; a test has its own. closer: take a closer look as well.
    What cannot be replayed (no case was kept, a target that is not there) is UNKNOWN, with the reason.
    """
    from gradcheck.judge.case import Case

    if is_cost(made):
        return Replay(made, Word.UNKNOWN, reason=f"{made['headline']}; gradcheck cost or its test measures it again")
    before, ref = report_of(made), target or str(made["ref"])
    try:
        recorded = case_of(made)
        case = Case(recorded.inputs, recorded.sizes)
        judged = _test if _is_test(ref) else _layer
        report, look = judged(ref, before, case, dict(made.get("options") or {}), closer)
    except Unresolved as error:
        return Replay(made, Word.UNKNOWN, reason=str(error))
    except (ValueError, TypeError) as error:
        return Replay(made, Word.UNKNOWN, reason=f"{made['ref']}: {error}")
    return Replay(made, _word(before, report), report, look=look)


def exit_code(replays: Iterable[Replay]) -> int:
    """pytest's: 0 when every one is fixed, 1 when one fails or cannot be told, 4 when one could not be replayed."""
    words = {one.word for one in replays}
    return 4 if Word.UNKNOWN in words else 1 if words - {Word.FIXED} else 0


class Unresolved(Exception):  # noqa: N818 - a state of the record, told in the report of the replay
    """The target that a record names cannot be had; the message says why."""


def _is_test(ref: str) -> bool:
    """path/to/test_file.py::test_name, where others say package.module:attribute."""
    return "::" in ref


def _test(ref: str, before: Report, case: "Case", _: dict[str, Any], closer: bool) -> "tuple[Report, Look | None]":
    """What the test of this id says of its target at the case, by the settings that the test has today."""
    from gradcheck.plugin.rerun import rerun

    if not Path(ref.partition("::")[0]).exists():
        raise Unresolved(f"there is no {ref.partition('::')[0]} here: run this where pytest was run, in its rootdir")
    again = rerun(ref, before.target, case, closer=closer)
    if again.report is None:
        remedy = f"run pytest {shlex.quote(ref)}, or name its layer with --target MODULE:ATTR"
        raise Unresolved(f"{again.reason}; {remedy}")
    return again.report, look_of({"look": again.look})


def _layer(
    ref: str, before: Report, case: "Case", options: dict[str, Any], closer: bool
) -> "tuple[Report, Look | None]":
    """What the judge says of the layer that "module:attr" names, or "module:attr[name]" for one of several."""
    from gradcheck.judge import check
    from gradcheck.judge.case import seed_of
    from gradcheck.judge.closer import look
    from gradcheck.judge.search import maker

    layer, frozen = _resolved(ref), options.pop("frozen", ())
    built = maker(layer, list(case.sizes), frozen)(layer, case)
    seeds = dict.fromkeys([seed_of(case), before.seed or 0])
    reports = [check(built, *case.inputs, seed=seed, **options) for seed in seeds]
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    report = min(reports, key=lambda one: (order.index(one.verdict), _word(before, one) is not Word.STILL))
    return report, look(built, *case.inputs, report=report) if closer and not report else None


def _resolved(ref: str) -> Any:
    """The layer of that name today."""
    from gradcheck.suite.targets import TargetError, resolve

    spec = ref.partition("[")[0]
    try:
        found = dict(resolve(spec))
    except TargetError as error:
        raise Unresolved(str(error)) from error
    if ref not in found:
        raise Unresolved(f"{ref} is not among what {spec} holds today: {', '.join(list(found)[:5])}")
    return found[ref]


def _word(before: Report, now: Report) -> Word:
    """FIXED passes; STILL says of the same input what was said, or might have been: a diagnosis has several names."""
    if now.verdict is Verdict.PASS:
        return Word.FIXED
    if now.verdict is not before.verdict:
        return Word.CHANGED
    if now.verdict is Verdict.INCONCLUSIVE:
        return Word.STILL
    first = now.findings[0]
    known = {kind for f in before.findings if f.input == first.input for kind in (f.kind, *f.kinds)}
    return Word.STILL if known & {first.kind, *first.kinds} else Word.CHANGED
