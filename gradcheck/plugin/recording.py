"""What is kept of the verdicts: in pytest's reports, in the file of --gradcheck-report, in the terminal's summary."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.render import records
from gradcheck.report import Report, Verdict

if TYPE_CHECKING:
    from gradcheck.plugin.session import Session

_BADNESS = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}


def properties(heard: Sequence[Report]) -> list[tuple[str, object]]:
    """What JUnit's XML says of a test: its worst verdict."""
    worst = min(heard, key=lambda report: _BADNESS[report.verdict])
    return [
        ("gradcheck_verdict", worst.verdict.value),
        ("gradcheck_headline", worst.headline()),
        ("gradcheck_resolution", f"{worst.resolution:.1e}"),
        ("gradcheck_examples", str(sum(report.examples for report in heard))),
    ]


def verdict(session: "Session", item: pytest.Item, report: Report) -> dict[str, Any]:
    """One verdict of a test, as it crosses to the process that writes: what the summary says; a record if asked for."""
    hooks = item.ihook.pytest_gradcheck_record.get_hookimpls()
    told = {
        "verdict": report.verdict.value,
        "headline": report.headline(),
        "examples": report.examples,
        "resolution": report.resolution,
        "record": None,
    }
    if session.options.report is None and not hooks:
        return told
    made = records.record(report, target_ref=reference(item), profile=_profile()) | {"test": item.nodeid}
    item.ihook.pytest_gradcheck_record(record=made, item=item, report=report)
    return told | {"record": made}


def reference(item: pytest.Item) -> str:
    """Where what a test judges is found again: "module:attr" for a target, else the test itself."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return str(parameters.get("gradcheck_target", item.nodeid))


def _profile() -> str:
    from hypothesis import settings

    return settings.get_current_profile_name()


def write(path: Path, made: Sequence[dict[str, Any]]) -> None:
    """Write a run's records to its report, over that of an earlier run."""
    if path.suffix == ".jsonl":
        path.unlink(missing_ok=True)
        path.touch()
        for record in made:
            records.append(path, record)
    else:
        from gradcheck.render import html

        path.write_text(html.page(made), encoding="utf-8")


def summarise(session: "Session", terminal: pytest.TerminalReporter) -> None:
    """Print how many verdicts there were, those that could not tell, what is stale and where the report is."""
    told = session.verdicts
    terminal.section("gradcheck", sep="=")
    if told:
        counts = [(sum(v["verdict"] == verdict.value for v in told), verdict.value) for verdict in Verdict]
        words = ", ".join(f"{count} {name}" for count, name in counts if count)
        seen = [v["resolution"] for v in told if v["verdict"] == "pass"]
        resolution = f"; errors above {max(seen):.1e} of a gradient would have been seen" if seen else ""
        examples = sum(v["examples"] for v in told)
        judged, points = (f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((len(told), "gradient"), (examples, "point")))
        terminal.line(f"{judged} judged at {points}: {words}{resolution}")
    for v in told:
        if v["verdict"] == "inconclusive":
            terminal.line(f"INCONCLUSIVE {v['test']}: {v['headline']}", yellow=True)
    for line in session.warned:
        terminal.line(f"WARNING {line}", yellow=True)
    if session.options.report and told:
        terminal.line(f"report: {session.options.report}")
