"""What a run of pytest leaves behind: records that can be drawn and judged again, and the same in JUnit's XML."""

import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from gradcheck import Finding, Kind, Report, Verdict
from gradcheck.plugin.recording import _look
from gradcheck.render.html import page
from gradcheck.render.records import case_of, look_of, read

TESTS = """
    import gradcheck
    import numpy as np
    from hypothesis import given, settings
    from hypothesis import strategies as st


    def backward(inputs, dy):
        return (2 * dy * np.cos(inputs[0]),)


    @gradcheck.verify(x=("n", "k"))
    def test_verify(x):
        return np.sin(x), lambda dy: backward((x,), dy)


    def test_here(gradcheck):
        gradcheck((np.sin, backward), np.array([0.5, 2.0]))


    def test_shapes(gradcheck):
        gradcheck((np.sin, backward), x=("n",))


    @settings(max_examples=5)
    @given(st.floats(0, 1))
    def test_given(gradcheck, x):
        gradcheck((np.sin, backward), np.array([x]))


    class Worn:
        calls = 0

        def __call__(self, x):
            Worn.calls += 1
            if Worn.calls > 200:
                raise SystemExit("worn out")
            return np.sin(x)


    def test_worn(gradcheck):
        try:
            gradcheck((Worn(), backward), np.array([0.5, 2.0]))
        finally:
            Worn.calls = 201


    def test_right(gradcheck):
        gradcheck((np.sin, lambda inputs, dy: (dy * np.cos(inputs[0]),)), np.array([0.5, 2.0]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a run has left its records and its XML."""
    path = tmp_path_factory.mktemp("run")
    (path / "test_layers.py").write_text(textwrap.dedent(TESTS), encoding="utf-8")
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--gradcheck-report", "out.jsonl"]
    done = subprocess.run([*run, "--junitxml", "junit.xml"], cwd=path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return path


def test_every_failure_has_its_case_and_a_closer_look(folder: Path) -> None:
    """However the test was written; of what passes there are margins only."""
    records, complaints = read([folder / "out.jsonl"])
    assert complaints == []
    assert [record["ref"].partition("::")[2] for record in records] == [
        "test_verify", "test_here", "test_shapes", "test_given", "test_worn", "test_right",
    ]  # fmt: skip
    for record in records[:4]:
        assert case_of(record).inputs[0].size >= 1
        look = look_of(record)
        assert look is not None
        assert look.curve is not None
        assert look.entries[0].error
    assert look_of(records[4]) is None  # nothing to be seen any more of a layer that no longer runs
    assert look_of(records[5]) is None


def test_the_page_of_the_run_has_its_plots(folder: Path) -> None:
    """One V-curve for each failure that could be looked at."""
    text = page(read([folder / "out.jsonl"])[0])
    assert text.count("<figcaption>V-curve of") == 4
    assert text.count('<section class="failure"') == 5


def test_junit_carries_verdict_kind_worst_entry_and_case(folder: Path) -> None:
    """As properties of each test."""
    text = (folder / "junit.xml").read_text(encoding="utf-8")
    verify = text[text.index('name="test_verify"') : text.index('name="test_here"')]
    for name, value in {"verdict": "fail", "kind": "FACTOR", "worst": "x[0, 0]", "case": "Case((np.array([["}.items():
        assert f'<property name="gradcheck_{name}" value="{value}' in verify
    right = text[text.index('name="test_right"') :]
    assert '<property name="gradcheck_verdict" value="pass"' in right
    assert "gradcheck_kind" not in right


def test_a_look_that_fails_costs_its_plots_and_says_so() -> None:
    """Pictures are not worth an internal error of pytest: the failure stands, and the summary warns."""
    session = SimpleNamespace(
        options=SimpleNamespace(report="out.jsonl"), wrong={"layer": ("no layer", (1.5,), ())}, warned=[]
    )
    report = Report(Verdict.FAIL, "layer", (Finding(Kind.SIGN, "wrong"),))
    assert _look(session, report) is None  # type: ignore[arg-type]
    (warned,) = session.warned
    assert warned.startswith("layer: there are no plots of it: TypeError: cannot make a target of str 'no layer'")
