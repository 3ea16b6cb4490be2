"""Block: a report as the lines of text that the terminal, pytest, an exception and a page all show.

The first line is a sentence by itself. Below it a table has every input, worst first; then come, for each finding,
the worst entry in full precision, what it looks like and the steps; then the point, the case and how to reproduce it.
"""

import io
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradcheck.render.cases import shown
from gradcheck.report import Block, Finding, Kind, Report, Verdict, place

WIDE = 100
"""Columns from which the table is set with wider gaps: its own eight columns need about 76."""
ROWS = 10
"""The most rows of a table: whoever has more inputs wants the worst of them, and a number for the rest."""
DETAILED = 3
"""Findings told in full. One mistake upstream makes every block wrong, and the first three say as much as all."""

_STYLE = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow"}
_WORD = {Verdict.PASS: "ok", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "unclear"}


def block(report: Report, width: int = 80, color: bool = False, replay: str = "") -> str:
    """The text of a report, at most `width` characters a line (80 or more, for the table), in ANSI colours if `color`.

    `replay` is the command that judges this case again, where there is a record of it.

    >>> from gradcheck.report import Report, Verdict
    >>> print(block(Report(Verdict.PASS, "tanh", resolution=2e-11, evaluations=12, pullbacks=16, dtype="float64")))
    tanh: backward agrees with the finite differences to 2.0e-11
      kinks: none · float64 · 12 forward and 16 backward calls
    """
    out = io.StringIO()
    console = Console(
        file=out, width=width, color_system="standard" if color else None, force_terminal=color, no_color=not color,
        highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    headline = report.headline()
    console.print(_text(headline, style=_STYLE[report.verdict]), soft_wrap=True)  # one line, whatever the width
    console.print(Padding(Group(*_body(report, headline, width, replay)), (0, 0, 0, 2)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def show(report: Report, console: Console, replay: str = "") -> None:
    """Print the block where this console prints, as wide and with colours if it has them (NO_COLOR is heard)."""
    color = console.is_terminal and not console.no_color
    console.file.write(block(report, min(max(console.width, 80), 120), color, replay) + "\n")


def _body(report: Report, headline: str, width: int, replay: str) -> Iterator[RenderableType]:
    """What stands below the first line, part by part."""
    if report.verdict is Verdict.FAIL:
        yield ""
        if report.blocks:
            yield from (_table(report, width), "")
        for n, finding in enumerate(report.findings[:DETAILED]):
            yield from (_rows(_details(finding, said=n == 0 and headline.endswith(finding.message))), "")
        if (more := len(report.findings) - DETAILED) > 0:
            kinds = ", ".join(dict.fromkeys(f.kind.name for f in report.findings[DETAILED:]))
            yield from (_text(f"… and {more} finding{'s' if more > 1 else ''} more: {kinds}"), "")
    yield from (_text(line) for line in _circumstances(report))
    if labelled := list(_reproduction(report, replay)):
        yield _rows(labelled)


def _text(text: str, **options: Any) -> Text:
    """Text as it is, with what would steer a terminal spelled out: messages quote what a target raised."""
    return Text("".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text), **options)


def _rows(labelled: Iterable[tuple[str, str]]) -> Table:
    """Labels to the left, and what they say beside them."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for label, text in labelled:
        table.add_row(label, _text(text))
    return table


# -- the table ------------------------------------------------------------------------------------------------------


def _table(report: Report, width: int) -> Table:
    """One row an input or parameter, the worst first."""
    gap, room = (1, width - 68) if width < WIDE else (2, width - 76)  # for a name, beside the seven other columns
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="dim", pad_edge=False)
    for name in ("input", "shape", "worst at"):
        table.add_column(name, overflow="fold")  # places may take a second line, numbers never lose a digit
    for name in ("backward", "finite diff", "|error|", "bound", "error/bound"):
        table.add_column(name, no_wrap=True)
    order = sorted(report.blocks, key=_badness)
    for row in order[:ROWS]:
        cells = _cells(row, _word(row, report.findings), room)
        table.add_row(*map(_text, cells), style="" if row.verdict is Verdict.PASS else _STYLE[row.verdict])
    if rest := order[ROWS:]:
        wrong = sum(row.verdict is Verdict.FAIL for row in rest)
        table.add_row(_text(f"… {len(rest)} more"), "", _text(f"{wrong} FAIL" if wrong else "all ok"))
    return table


def _word(row: Block, findings: Iterable[Finding]) -> str:
    """What became of a block; the name of the law that it breaks where its numbers would not say FAIL."""
    ratio = row.margin
    if row.verdict is Verdict.FAIL and (ratio is None or ratio <= 1):
        return next((finding.kind.name for finding in findings if finding.input == row.input), "FAIL")
    return _WORD[row.verdict]


def _badness(row: Block) -> tuple[int, float]:
    """FAIL, INCONCLUSIVE, PASS; a broken law before numbers, and numbers by how many bounds they are off."""
    ratio = row.margin
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    return order.index(row.verdict), -(float("inf") if ratio is None else ratio)


def _cells(row: Block, word: str, room: int) -> tuple[str, ...]:
    """The row of one block; a dash where nothing was measured."""
    ratio, name = row.margin, place(row.input)
    return (
        name if len(name) <= room else f"…{name[1 - room :]}",  # params['encoder…: it is the end that tells them apart
        "×".join(map(str, row.shape)) or "scalar",
        "–" if row.index is None else f"[{', '.join(map(str, row.index))}]",
        _short(row.claimed),
        _short(row.numeric),
        "–" if row.error is None else f"{row.error:.1e}",
        "–" if row.bound is None else f"{row.bound:.1e}",
        f"{'' if ratio is None else f'{ratio:.0e} '}{word}",
    )


def _short(value: float | complex | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, complex) else f"{value:.3e}"


# -- the findings ---------------------------------------------------------------------------------------------------


def _details(finding: Finding, said: bool) -> Iterator[tuple[str, str]]:
    """(label, text) for one finding; `said` where the first line has its message already.

    Both numbers in full precision, one below the other: 17 digits tell any two float64 apart.
    """
    if not said:
        yield "finding", finding.message
    if finding.claimed is not None and finding.numeric is not None:
        pair = [f"{value + 0.0:.17g}" for value in (finding.claimed, finding.numeric)]  # + 0.0: no minus zero
        wide = max(map(len, pair))
        of = f", of output [{', '.join(map(str, finding.output))}]" if finding.output else ""
        yield "backward", f"{pair[0]:{wide}}  at {place(finding.input, finding.index)}{of}"
        yield "finite diff", f"{pair[1]:{wide}}" + (f"  ± {finding.bound:.1e}" if finding.bound is not None else "")
    diagnoses = [line for line in dict.fromkeys(finding.evidence) if line.split(":")[0] in Kind.__members__]
    if not diagnoses:
        yield "kind", f"{finding.kind.name}: {finding.kind.value}"
    for k, line in enumerate(diagnoses):
        yield "or" if k else "looks like", line
    for line in dict.fromkeys(finding.evidence):
        if line not in diagnoses:
            yield "seen", line
    if finding.sweep:
        yield "steps", _steps(finding)


def _steps(finding: Finding) -> str:
    """The residual slope at up to four of the steps, and what its course says."""
    rungs = finding.sweep
    chosen = [rungs[round(k * (len(rungs) - 1) / 3)] for k in range(4)] if len(rungs) > 4 else rungs
    shown = " | ".join(f"{step:.0e} {slope:.1e}" for step, slope, _ in chosen)
    clear = [abs(slope) for _, slope, noise in rungs if abs(slope) > noise]
    if len(clear) > 1 and max(clear) <= 1.3 * min(clear):  # the 30 % within which the judge calls it persistent
        return f"{shown}\nflat: neither truncation nor round-off"
    return f"{shown}\nflat but for the ends: neither truncation nor round-off"


# -- the circumstances ----------------------------------------------------------------------------------------------


def _circumstances(report: Report) -> Iterator[str]:
    """What is to be known of the point, whatever the verdict; first, where there is none, why and what would help."""
    if report.verdict is Verdict.INCONCLUSIVE:
        yield from (f"because {reason.split('; ')[0]}" for reason in report.reasons[1:DETAILED])
        yield f"to tell: {'; '.join(_remedies(report))}"
    calls = f"{report.evaluations} forward and {report.pullbacks} backward call{'s' if report.pullbacks != 1 else ''}"
    kinks = f"kinks: {', '.join(report.kinks[:4])}" if report.kinks else "kinks: none"
    if report.verdict is Verdict.FAIL and not report.blocks:
        kinks = ""  # a broken law came first, and nobody looked
    spent = f"{report.examples} examples, {calls}" if report.examples > 1 else calls
    unclear = f"{report.inconclusive} of them inconclusive" if report.inconclusive else ""
    steady = ""
    if report.verdict is Verdict.FAIL and report.evaluations > 1:  # the judge asks forward twice before all else
        wavering = any(finding.kind is Kind.NONDETERMINISTIC for finding in report.findings)
        steady = f"deterministic: {'no' if wavering else 'yes'}"
    yield " · ".join(part for part in (kinks, steady, report.dtype, spent, unclear) if part)
    yield from (f"note: {note}" for note in report.notes)


def _reproduction(report: Report, replay: str) -> Iterator[tuple[str, str]]:
    """The case as Python, and the command that judges it again."""
    if report.case is not None and report.verdict is Verdict.FAIL:
        drawn = report.examples > 1 or getattr(report.case, "sizes", None)  # and shrunk; else somebody gave it
        yield "smallest case:" if drawn else "case:", shown(report.case)
    if replay:
        yield "reproduce:", replay


def _remedies(report: Report) -> Iterator[str]:
    """What would let a verdict be reached: what the reasons ask for, and a wider dtype where there is one."""
    asked = [r.split("; ", 1)[1].removesuffix(" would tell") for r in report.reasons[:DETAILED] if "; " in r]
    if any("budget" in reason for reason in report.reasons):
        asked.append("give a bigger budget, or none")
    if any(name in report.dtype for name in ("float32", "float16")) and not any("dtype" in line for line in asked):
        asked.append("judge it in float64")
    yield from dict.fromkeys(asked or ["move the inputs, or take another seed"])
