"""The block of a report: held to snapshots at two widths, and to its rules for whatever a report may hold.

After a change that is meant, UPDATE_SNAPSHOTS=1 writes the snapshots anew; read the difference before committing it.
"""

import io
import os
import pickle
import re
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import gradcheck
from gradcheck import GradientMismatch, InconclusiveError, Kind, Report, Verdict, check, from_pair
from gradcheck.render.block import DETAILED, ROWS, block, show
from gradcheck.render.records import record
from gradcheck.report import Block, Finding
from properties.test_judge_kinds import MISTAKES

SNAPSHOTS = Path(__file__).with_name("snapshots")
SWEEP = ((7e-8, 2.0, 1e-7), (2e-6, 2.0, 1e-9), (4e-6, 2.0, 5e-10), (7e-4, 2.1, 1e-11), (2e-2, 9.5, 1e-12))


class Case:
    """What stands in a report for the smallest case."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


FACTOR = Finding(
    Kind.FACTOR, "backward of W is 2× the finite difference, everywhere", "W", (2, 1), (0, 1), 4.000000000000001,
    2.0000000000000004, 3.1e-10, (Kind.FACTOR, Kind.BATCH),
    ("FACTOR: 6 of 6 entries off by the factor 2 (accumulated twice?)",
     "BATCH: with the first of the 2 examples alone the gradient is right"), SWEEP,
)  # fmt: skip
STALE = Finding(
    Kind.STALE, "backward of x changes when forward is called elsewhere in between", "x", (0, 2),
    evidence=("at [0, 2]: -2.07064, expected -2.07266",),
)  # fmt: skip
RAISES = Finding(
    Kind.RAISES, "backward of the layer raises ValueError: operands could not be broadcast: shapes (3,2) (2,3)"
)
ROW = Block("W", (3, 2), "float64", Verdict.FAIL, (2, 1), 4.0, 2.0, 3.1e-10)
LONG = "params['encoder.layers.0.attention.in_proj_weight']"
FINE = Block(LONG, (96, 32), "float64", Verdict.PASS, None, 1.5, 1.5, 2e-9)
DIM = Block("b", (), "float64", Verdict.INCONCLUSIVE)
REPORTS: dict[str, Report] = {
    "fail": Report(
        Verdict.FAIL, "Dense", (FACTOR,), 3e-11, 46, 17, dtype="float64", seed=3, blocks=(DIM, FINE, ROW),
        notes=("recognised: forward(x), backward(dout)",), examples=12,
        case=Case("Case((np.array([[1.0], [2.0]]), np.array([[0.5, -1.0]])), {'n': 2, 'k': 1, 'm': 2})"),
    ),
    "law": Report(Verdict.FAIL, "Dense", (STALE,), evaluations=24, pullbacks=12, dtype="float32"),
    "raises": Report(Verdict.FAIL, "Dense", (RAISES,), evaluations=2, pullbacks=1, dtype="float64"),
    "many": Report(
        Verdict.FAIL, "Dense", (FACTOR, STALE, FACTOR, FACTOR, STALE), 3e-11, 460, 170, dtype="float64",
        blocks=tuple(replace(ROW, input=f"W{n}", index=(n, 1), bound=1e-9 / (n + 1)) for n in range(12)),
    ),
    "pass": Report(Verdict.PASS, "Dense", (), 3.2e-11, 21, 16, dtype="float64"),
    "pass_with_kinks": Report(
        Verdict.PASS, "relu", (), 3.2e-11, 4200, 3200, ("x", "w"), dtype="float64", examples=200, inconclusive=3,
        notes=("W is symmetric and its gradient symmetrised: right for symmetric moves",),
    ),
    "inconclusive": Report(
        Verdict.INCONCLUSIVE, "Dense", (), evaluations=30, pullbacks=16, dtype="float32",
        reasons=("W: the bound 1.2e-02 is too wide for a slope of 3.4e-03; a wider dtype or other inputs would tell",
                 "b: no slope could be read; scale the inputs, or move them"),
    ),
    "budget": Report(
        Verdict.INCONCLUSIVE, "Dense", (), evaluations=5, pullbacks=2, dtype="float32",
        reasons=("the budget of 5 forward calls is spent",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_drawn_as_it_was_approved(name: str, width: int) -> None:
    """Character for character, at two widths."""
    path = SNAPSHOTS / f"{name}_{width}.txt"
    text = block(REPORTS[name], width, replay="gradcheck replay .gradcheck/7f3a91.json" if name == "fail" else "")
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == path.read_text(encoding="utf-8")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NUMBER = st.none() | st.floats() | st.complex_numbers()
PLACE = st.none() | st.lists(st.integers(0, 10**6), max_size=4).map(tuple)
FINDINGS = st.builds(
    Finding, st.sampled_from(Kind), TEXT, st.none() | TEXT | st.integers(0, 9), PLACE, PLACE, NUMBER, NUMBER,
    st.none() | st.floats(0), evidence=st.lists(TEXT, max_size=3).map(tuple),
    sweep=st.lists(st.tuples(st.floats(), st.floats(), st.floats()), max_size=9).map(tuple),
)  # fmt: skip
BLOCKS = st.builds(
    Block, TEXT | st.integers(0, 9), st.lists(st.integers(0, 10**6), max_size=5).map(tuple), TEXT,
    st.sampled_from(Verdict), PLACE, NUMBER, NUMBER, st.none() | st.floats(0),
)  # fmt: skip
ANY = st.builds(
    Report, st.sampled_from(Verdict), TEXT, st.lists(FINDINGS, min_size=1, max_size=6).map(tuple), st.floats(),
    st.integers(0), st.integers(0), st.lists(TEXT, max_size=3).map(tuple), st.lists(TEXT, max_size=3).map(tuple),
    st.lists(TEXT, max_size=2).map(tuple), TEXT, blocks=st.lists(BLOCKS, max_size=14).map(tuple), case=st.none() | TEXT,
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(ANY, st.sampled_from([80, 120]))
def test_any_report_has_a_short_first_line_and_no_control_characters(report: Report, width: int) -> None:
    """Whatever names, messages and numbers it holds: nothing steers the terminal, no line is blank at its end."""
    lines = block(report, width).split("\n")
    assert lines[0].rstrip() == lines[0]
    assert len(report.headline()) < 90
    assert all(c.isprintable() for line in lines for c in line)
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("name", REPORTS)
def test_no_line_is_wider_than_the_terminal(name: str) -> None:
    """But the first, which is one sentence on one line whatever the width."""
    for width in (80, 100, 120):
        assert all(len(line) <= width for line in block(REPORTS[name], width).splitlines()[1:])


def test_no_number_loses_a_digit_to_a_narrow_terminal() -> None:
    """The places of a convolution and complex numbers take more lines, and nothing is elided."""
    kernel = Block("conv.kernel", (128, 64, 3, 3), "float64", Verdict.FAIL, (127, 63, 2, 2), -1e-100, -2e-99, 1e-110)
    pair = Block("z", (1000, 1000), "complex128", Verdict.FAIL, (123, 456), -1.25e-5 - 3.5e-7j, 2e-5 + 1e-7j, 1e-9)
    for report in (Report(Verdict.FAIL, "conv", (RAISES,), blocks=(row,)) for row in (kernel, pair)):
        table = block(report, 80).split("\n\n")[1]
        assert "…" not in table
        row = report.blocks[0]
        for number in (f"{row.error:.1e}", f"{row.bound:.1e}", "FAIL"):
            assert number in table
    assert "-1.000e-100" in block(Report(Verdict.FAIL, "conv", (RAISES,), blocks=(kernel,)), 80)
    assert "-1.25e-05-3.5e-07j" in table


@pytest.mark.parametrize("kind", Kind)
def test_the_block_of_every_kind_of_mistake_says_it(kind: Kind) -> None:
    """A real mistake of each kind: named in the block with its evidence; pytest -s prints them all, to be read."""
    f, vjp, inputs = MISTAKES[kind]
    report = check(from_pair(f, vjp, name="layer"), *inputs)
    text = block(report)
    print(f"\n{text}")
    lines = text.splitlines()
    assert lines[0].startswith("layer: ")
    assert lines[1] == ""
    assert f"{kind.name}: " in text
    assert len(lines) < 40
    assert "nan" not in text or kind is Kind.NONFINITE


def test_a_broken_law_is_named_where_the_numbers_agree() -> None:
    """A gradient that is right and shares memory does not read "1e-02 FAIL"."""
    f, vjp, inputs = MISTAKES[Kind.ALIASES]
    (row,) = [line for line in block(check(from_pair(f, vjp), *inputs)).splitlines() if line.startswith("  x ")]
    assert row.endswith(" ALIASES")
    assert "FAIL" not in row


def test_rows_and_findings_are_counted_when_they_are_not_shown() -> None:
    """Ten rows and three findings; what is left out is said."""
    text = block(REPORTS["many"])
    assert len([line for line in text.splitlines() if line.startswith("  W")]) == ROWS
    assert "… 2 more" in text
    assert "2 FAIL" in text
    assert text.count("\n  backward  ") + text.count("\n  finding") >= DETAILED - 1
    assert "… and 2 findings more: FACTOR, STALE" in text


def test_colour_is_for_terminals_and_never_where_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """ANSI codes to a terminal, none to a pipe, none under NO_COLOR, and the words are the same."""
    report = REPORTS["fail"]

    def shown(**options: Any) -> str:
        out = io.StringIO()
        show(report, Console(file=out, width=100, **options))
        return out.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    plain, coloured = shown(), shown(force_terminal=True)
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    assert plain == block(report, 100) + "\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(force_terminal=True) == plain
    assert str(report) == block(report, 80)


def test_a_case_too_long_to_read_is_cut_and_counted() -> None:
    """Never a whole array."""
    report = Report(Verdict.FAIL, "f", (FACTOR,), case=Case("Case(" + "1.0, " * 10_000 + ")"))
    assert len(block(report)) < 4000
    assert "characters more" in block(report)


def test_an_exception_draws_its_report_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis raises hundreds while it shrinks, and one is read; it survives the way between processes."""
    drawn = []
    monkeypatch.setattr("gradcheck.render.block.block", lambda report: drawn.append(report) or "text")
    for kind in (GradientMismatch, InconclusiveError):
        raised = pickle.loads(pickle.dumps(kind(replace(REPORTS["fail"], case=None))))
        assert type(raised) is kind
        assert raised.report.findings == (FACTOR,)
        assert drawn == []
        assert str(raised) == "text"
        assert len(drawn) == 1
        assert traceback.format_exception_only(raised) == [f"gradcheck.{kind.__name__}: text\n"]
        drawn.clear()
    assert issubclass(GradientMismatch, AssertionError)
    assert not issubclass(InconclusiveError, AssertionError)


def test_a_large_case_is_told_by_its_shapes_and_never_spelled() -> None:
    """A million entries are not even looked at; JUnit, records and the block say the same."""

    class Unread(np.ndarray):
        def item(self, *_: object) -> float:
            raise AssertionError("an entry was read")

    case = gradcheck.judge.case.Case((np.zeros((1000, 1000)).view(Unread), np.ones(3)))
    text = block(Report(Verdict.FAIL, "f", (FACTOR,), case=case), 120)
    assert text.endswith("  case:  inputs of shapes (1000, 1000), (3,): 1000003 entries, too many to print")
    assert record(Report(Verdict.PASS, "f"), target_ref="m:f", case=case)["case"]["python"] in text


def test_every_failing_check_has_its_case() -> None:
    """As it was when it was judged, whatever the caller writes into the arrays afterwards; a PASS keeps no arrays."""
    f, vjp, _ = MISTAKES[Kind.SIGN]
    x = np.array([0.5, 1.5])
    report = check(from_pair(f, vjp), x)
    x += 1
    assert block(report).splitlines()[-1] == "  case:  Case((np.array([0.5, 1.5]),))"
    assert check(from_pair(f, lambda i, g: (g * np.cos(i[0]),)), x).case is None
    with pytest.raises(InconclusiveError) as raised:
        gradcheck.assert_gradients(from_pair(np.sqrt, vjp), -x, strict=True)
    assert raised.value.report.case is not None


@pytest.mark.parametrize("kind", Kind)
def test_a_block_says_each_thing_once_and_in_plain_words(kind: Kind) -> None:
    """One line a diagnosis, "backward" for what it returned, no minus zero, and no word twice."""
    f, vjp, inputs = MISTAKES[kind]
    text = block(check(from_pair(f, vjp, name="layer"), *inputs), 120)
    named = re.findall(r"^  (?:looks like|or) +(\w+): ", text, re.MULTILINE)
    assert len(named) == len(set(named)), text
    assert "claim" not in text
    assert not re.search(r"-0(?![.\d])", text), text
    assert "wrong: wrong" not in text
    assert not re.search(r"\b1 backward calls", text)  # not of 31
    if kind is Kind.SIGN:
        assert named == ["SIGN"]


def test_unnamed_inputs_are_called_inputs() -> None:
    """Not "the gradient of 0"."""
    wrong = from_pair(lambda *x: x[0] + 0, lambda i, g: (g.ravel(),))
    assert check(wrong, np.zeros((2, 3))).findings[0].message == (
        "the gradient of input 0 has shape (6,), its input has shape (2, 3)"
    )
