"""What is kept of the verdicts: in pytest's reports, in the file of --gradcheck-report, in the terminal's summary."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.adapters import as_target
from gradcheck.plugin.verify import drawn_besides
from gradcheck.render import records
from gradcheck.render.block import block
from gradcheck.render.cases import shown
from gradcheck.render.text import drawn
from gradcheck.report import GradientMismatch, Report, Verdict, place

if TYPE_CHECKING:
    from gradcheck.plugin.session import Session

_BADNESS = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}


def properties(heard: Sequence[Report]) -> list[tuple[str, object]]:
    """What JUnit's XML says of a test: its worst verdict."""
    worst = min(heard, key=lambda report: _BADNESS[report.verdict])
    told: list[tuple[str, object]] = [
        ("gradcheck_verdict", worst.verdict.value),
        ("gradcheck_headline", worst.headline()),
        ("gradcheck_examples", str(sum(report.examples for report in heard))),
    ]
    if worst:
        return [*told, ("gradcheck_resolution", f"{worst.resolution:.1e}")]
    for finding in worst.findings[:1]:
        told += [("gradcheck_kind", finding.kind.name), ("gradcheck_worst", place(finding.input, finding.index))]
    return told if worst.case is None else [*told, ("gradcheck_case", shown(worst.case))]


def verdict(session: "Session", item: pytest.Item, report: Report, call: pytest.CallInfo[None]) -> dict[str, Any]:
    """One verdict of a test, as it crosses to the process that writes: what the summary says; a record if asked for.

    What is found wrong leaves a record in .gradcheck where it can be judged again from that, and its failure ends in
    the command that does so; and in its plots where they are asked for.
    """
    layer = getattr(item, "callspec", None) and item.callspec.params.get("gradcheck_target")  # type: ignore[attr-defined]
    wrong = call.excinfo.value if call.excinfo else None
    mismatch = wrong if isinstance(wrong, GradientMismatch) and wrong.report.target == report.target else None
    ref = item.nodeid if layer is None else layer.ref
    told = {
        "verdict": report.verdict.value,
        "ref": ref,
        "headline": report.headline(),
        "examples": report.examples,
        "inconclusive": report.inconclusive or int(report.verdict is Verdict.INCONCLUSIVE),
        "resolution": report.resolution,
        "record": None,
    }
    look, replay = _look(session, report), ""
    if session.options.report or item.ihook.pytest_gradcheck_record.get_hookimpls() or mismatch:
        options = session.judged_with.get(report.target, {})
        _, inputs, frozen = session.wrong.get(report.target, (None, (), ()))
        made = records.record(
            report,
            target_ref=ref,
            case=report.case or inputs or None,
            profile=_profile(),
            options=options | ({"frozen": list(frozen)} if frozen else {}),
            look=look,
        ) | {"test": item.nodeid}
        item.ihook.pytest_gradcheck_record(record=made, item=item, report=report)
        told["record"] = made
        if mismatch and session.recorded is None and "inputs" in (made["case"] or {}) and not drawn_besides(item):
            replay = _saved(made)
    if mismatch:
        plots = f"\n\n{drawn(look)}" if session.options.plot and look is not None else ""
        mismatch.args = (block(mismatch.report, replay=replay) + plots,)
    return told


def _look(session: "Session", report: Report) -> Any:
    """A closer look at what is wrong, for the plots of a report; None where none is asked for, or nothing is wrong."""
    asked = session.options.report or session.options.plot
    if report.verdict is not Verdict.FAIL or not asked or report.target not in session.wrong:
        return None
    from gradcheck.judge.closer import look, look_again

    layer, inputs, frozen = session.wrong[report.target]
    try:
        if inputs:
            return look(as_target(layer, frozen=frozen), *inputs, report=report)
        return look_again(layer, report, frozen)
    except Exception as error:  # the layer is somebody's code, asked once more: its failure is told, plots or not
        session.warned.append(f"{report.target}: there are no plots of it: {type(error).__name__}: {error!s:.80}")
        return None


def _saved(made: dict[str, Any]) -> str:
    try:
        return records.save(made)
    except OSError:  # a directory that cannot be written: the failure is told without the command
        return ""


def _profile() -> str:
    from hypothesis import settings

    return settings.get_current_profile_name()


def counted(told: Sequence[dict[str, Any]]) -> str:
    """How many verdicts there were of each kind, and how small an error would have been seen.

    >>> counted([{"verdict": "pass", "examples": 200, "inconclusive": 3, "resolution": 1e-9}])
    '1 gradient judged at 197 of 200 points: 1 pass; errors above 1.0e-09 of a gradient would have been seen'
    """
    counts = [(sum(v["verdict"] == verdict.value for v in told), verdict.value) for verdict in Verdict]
    words = ", ".join(f"{count} {name}" for count, name in counts if count)
    seen = [v["resolution"] for v in told if v["verdict"] == "pass"]
    resolution = f"; errors above {max(seen):.1e} of a gradient would have been seen" if seen else ""
    gradients, points = f"gradient{'s' * (len(told) != 1)}", sum(v["examples"] for v in told)
    unclear = sum(v["inconclusive"] for v in told)
    judged = f"{points - unclear} of {points}" if unclear else f"{points}"
    return f"{len(told)} {gradients} judged at {judged} point{'s' * (points != 1)}: {words}{resolution}"


def summarise(session: "Session", terminal: pytest.TerminalReporter) -> None:
    """Print how many verdicts there were, those that could not tell, what is stale and where the report is."""
    told = session.verdicts
    terminal.section("gradcheck", sep="=")
    if told:
        terminal.line(counted(told))
    for v in told:
        if v["verdict"] == "inconclusive":
            terminal.line(f"INCONCLUSIVE {v['test']}: {v['headline']}", yellow=True)
    for line in session.warned:
        terminal.line(f"WARNING {line}", yellow=True)
    if session.options.report and (told or session.costs):
        terminal.line(f"report: {session.options.report}")
