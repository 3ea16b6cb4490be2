"""Replay: what was wrong is judged again, and what came of it is said in a word, a sentence and an exit code."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck.__main__ import main
from gradcheck.judge.case import Case, seed_of
from gradcheck.render.records import append, record, save
from gradcheck.replay import Word, choose, exit_code, replay
from properties.test_judge_kinds import MISTAKES

LAYERS = """
    import numpy as np
    import gradcheck

    FACTOR = 2.0


    def f(x, w):
        return np.tanh(x @ w)


    def vjp(inputs, g):
        x, w = inputs
        d = g * (1 - np.tanh(x @ w) ** 2)
        return d @ w.T, FACTOR * x.T @ d


    dense = gradcheck.from_pair(f, vjp, name="dense")
    several = {"one": dense}


    def sized(k, m):
        scale = np.full((k, m), 3.0)
        return lambda x: x * scale, lambda inputs, g: (FACTOR * g * scale,)
"""


@pytest.fixture
def layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of layers, whose FACTOR of 2 is their mistake."""
    (tmp_path / "zoo_of_replay.py").write_text(textwrap.dedent(LAYERS), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "zoo_of_replay", raising=False)
    import zoo_of_replay  # type: ignore[import-not-found]

    return zoo_of_replay


@pytest.fixture
def made(layers: Any) -> dict[str, Any]:
    """A record of a search that found the mistake."""
    report = gradcheck.search(layers.dense, x=("n", "k"), w=("k", "m"), seed=0, max_examples=20)
    return record(report, target_ref="zoo_of_replay:dense") | {"source": "a.jsonl:1"}


def test_a_mistake_that_is_still_there_is_still_failing(made: dict[str, Any]) -> None:
    """The same kind at the same input; the report is today's."""
    again = replay(made)
    assert again.word is Word.STILL
    assert again.line.startswith("still failing  a.jsonl:1  dense: backward of w")
    assert exit_code([again]) == 1


def test_a_mistake_that_was_mended_is_fixed(made: dict[str, Any], layers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes at the recorded inputs."""
    monkeypatch.setattr(layers, "FACTOR", 1.0)
    again = replay(made)
    assert again.word is Word.FIXED
    assert again.report.verdict is gradcheck.Verdict.PASS
    assert exit_code([again]) == 0


@pytest.mark.parametrize(("factor", "words"), [(-1.0, "-1× the finite difference"), (np.nan, "nan")])
def test_another_mistake_at_the_same_place_is_a_change(
    made: dict[str, Any], layers: Any, monkeypatch: pytest.MonkeyPatch, factor: float, words: str
) -> None:
    """Neither fixed nor the failure that was recorded."""
    monkeypatch.setattr(layers, "FACTOR", factor)
    again = replay(made)
    assert again.word is Word.CHANGED
    assert words in again.line
    assert exit_code([again]) == 1


def test_the_cotangent_that_found_a_mistake_names_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By seed 11 this looks like an approximation, by that of the case like nothing known: it is what it was."""

    def norm(x: Any) -> Any:
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)

    def vjp(inputs: Any, g: Any) -> Any:
        return ((g - g.mean(-1, keepdims=True)) / np.sqrt(inputs[0].var(-1, keepdims=True) + 1e-5),)

    target, x = gradcheck.from_pair(norm, vjp), np.array([[1.0, 0.0, 0.0, 0.0]])
    monkeypatch.setattr("gradcheck.replay._resolved", lambda ref: target)
    report = gradcheck.check(target, x, seed=seed_of(Case((x,))))
    other = gradcheck.check(target, x, seed=11)
    assert report.findings[0].kind is not other.findings[0].kind
    made = record(replace(report, seed=11), target_ref="layers:norm") | {"source": "a.jsonl:1"}
    assert replay(made).word is Word.STILL


@pytest.mark.parametrize("kind", gradcheck.Kind)
def test_what_did_not_change_is_still_failing_whatever_it_was_called(
    kind: gradcheck.Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search draws by another seed than it judges by, and another cotangent may name the same mistake otherwise."""
    f, vjp, inputs = MISTAKES[kind]
    target = gradcheck.from_pair(f, vjp)
    monkeypatch.setattr("gradcheck.replay._resolved", lambda ref: target)
    for seed in (0, 7):
        report = gradcheck.check(target, *inputs, seed=seed)
        made = record(replace(report, seed=1000 + seed), target_ref="layers:it") | {"source": "a.jsonl:1"}
        assert replay(made).word is Word.STILL


def test_a_layer_for_sizes_is_built_for_the_recorded_ones(layers: Any) -> None:
    """The function of letters that made the layer makes it again."""
    report = gradcheck.search(layers.sized, x=("k", "m"), seed=0, max_examples=20)
    assert report.case.sizes
    again = replay(record(report, target_ref="zoo_of_replay:sized") | {"source": "a:1"})
    assert again.word is Word.STILL


def test_one_of_several_is_found_by_its_name(made: dict[str, Any]) -> None:
    """ "module:attr[name]", as a run over a mapping records it."""
    assert replay({**made, "ref": "zoo_of_replay:several[one]"}).word is Word.STILL
    gone = replay({**made, "ref": "zoo_of_replay:several[two]"})
    assert gone.reason == (
        "zoo_of_replay:several[two] is not among what zoo_of_replay:several holds today: zoo_of_replay:several[one]"
    )


def test_another_layer_can_be_judged_at_the_recorded_inputs(made: dict[str, Any]) -> None:
    """--target MODULE:ATTR, for a record whose own target is gone or a test."""
    assert replay({**made, "ref": "gone:dense"}, "zoo_of_replay:dense").word is Word.STILL


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ref": "gone_from_here:dense"}, "gone_from_here:dense: there is no module gone_from_here to import"),
        ({"ref": "zoo_of_replay:gone"}, "has no attribute gone"),
        ({"ref": "tests/test_a.py::test_b"}, "there is no tests/test_a.py here: run this where pytest was run"),
        ({"case": None}, "the record has no case"),
        ({"case": {"python": "Case", "sizes": {}, "missing": "too large"}}, "the case was not kept as data: too large"),
        ({"case": {"python": "Case", "sizes": {}, "inputs": [{"array": 7}]}}, "is no value of a case"),
        ({"options": {"tolerance": 1}}, "unexpected keyword argument 'tolerance'"),
    ],
)
def test_what_cannot_be_replayed_says_why(made: dict[str, Any], change: dict[str, Any], words: str) -> None:
    """Not replayed is no verdict: exit code 4."""
    again = replay({**made, **change})
    assert again.word is Word.UNKNOWN
    assert again.report is None
    assert words in again.line
    assert exit_code([again]) == 4


def test_a_line_of_a_file_can_be_chosen(made: dict[str, Any], tmp_path: Path) -> None:
    """FILE takes all that are no PASS, FILE:LINE that line."""
    passing = record(gradcheck.check((np.sin, lambda i, g: (g * np.cos(i[0]),)), 0.5), target_ref="m:f")
    path = tmp_path / "a.jsonl"
    for one in (passing, made, made):
        append(path, one)
    assert [one["source"] for one in choose([str(path)])[0]] == [f"{path}:2", f"{path}:3"]
    assert [one["source"] for one in choose([f"{path}:1"])[0]] == [f"{path}:1"]
    assert choose([f"{path}:9"]) == ([], [f"{path}:9: there is no record in this line"])


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "gradcheck", "replay", *arguments]
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(run, capture_output=True, text=True, encoding="utf-8", cwd=cwd, env=environment, check=False)


def test_the_command_saved_with_a_failure_replays_it_with_its_plots(made: dict[str, Any], tmp_path: Path) -> None:
    """One failure: its block; with --plot the V-curve and the wrong entries in characters."""
    line = save(made, tmp_path / ".gradcheck")
    done = command(line.split()[-1], "--plot", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("still failing  ")
    assert "looks like" in done.stdout
    assert "V-curve of w" in done.stdout
    assert "X the worst" in done.stdout or "outside their bound" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_the_command_counts_what_became_of_many(made: dict[str, Any], tmp_path: Path) -> None:
    """A line each, the counts at the end, unreadable lines on stderr."""
    path = tmp_path / "a.jsonl"
    for one in (made, {**made, "ref": "gone:dense"}):
        append(path, one)
    with path.open("a") as file:
        file.write(json.dumps({"schema": 99}) + "\n")
    done = command("a.jsonl", cwd=tmp_path)
    assert done.returncode == 4
    assert done.stdout.splitlines()[-1] == "1 still failing, 1 not replayed"
    assert done.stderr.startswith("a.jsonl:3: skipped: schema 99 is newer than 1")


def test_the_command_says_when_there_is_nothing_to_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is missing is a usage error, one without a failure is none."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # the command puts the current folder there
    (tmp_path / "empty.jsonl").touch()
    assert main(["replay", str(tmp_path / "empty.jsonl")]) == 0
    assert capsys.readouterr().out == "No failure is recorded here.\n"
    with pytest.raises(SystemExit) as left:
        main(["replay", str(tmp_path / "missing.jsonl")])
    assert left.value.code == 4
    assert "missing.jsonl: No such file or directory" in capsys.readouterr().err


TESTS = """
    import gradcheck
    import numpy as np
    import pytest
    from hypothesis import given
    from hypothesis import strategies as st

    FACTOR = 2


    def backward(inputs, dy):
        return (FACTOR * dy * np.cos(inputs[0]),)


    @pytest.mark.parametrize("scale", [3.0])
    @gradcheck.verify(x=("n", 2))
    def test_verified(x, scale, tmp_path):
        return scale * np.sin(x), lambda dy: backward((x,), scale * dy)


    class TestGroup:
        @gradcheck.verify(st.tuples(st.just(np.ones(2))))
        def test_method(self, x):
            return np.sin(x), lambda dy: backward((x,), dy)


    def test_given_arrays(gradcheck):
        gradcheck((np.cos, lambda i, dy: (-dy * np.sin(i[0]),)), 0.5)
        gradcheck((np.sin, backward), np.array([0.5, 2.0]))


    def test_searched(gradcheck):
        gradcheck(lambda n: (lambda x: n * np.sin(x), lambda i, dy: backward(i, n * dy)), x=("n", "k"))


    def test_expected(gradcheck):
        with pytest.raises(gradcheck_mismatch):
            gradcheck((np.sin, backward), x=("n",))


    @given(st.floats(0.5, 1))
    def test_drawn(gradcheck, x):
        gradcheck((np.sin, backward), np.array([x]))


    def test_large(gradcheck):
        gradcheck((np.sin, backward), np.ones(70_000))


    gradcheck_mismatch = gradcheck.GradientMismatch
"""


def test_what_a_test_found_is_judged_again_by_that_test(tmp_path: Path) -> None:
    """However it was written: drawn, searched, at arrays, in a class. What cannot be says why, and what to do."""
    tests = tmp_path / "test_layers.py"
    tests.write_text(textwrap.dedent(TESTS), encoding="utf-8")
    ini = "[pytest]\naddopts = -ra -q\nfilterwarnings = error\ngradcheck_report = out.jsonl\n"
    (tmp_path / "pytest.ini").write_text(ini)
    told = subprocess.run([sys.executable, "-m", "pytest"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 1, told.stdout
    written = (tmp_path / "out.jsonl").read_bytes()

    done = command("out.jsonl", cwd=tmp_path)
    *still, drawn, large, counts = done.stdout.splitlines()
    assert all(line.startswith("still failing  ") for line in still)
    assert "test_drawn: the test draws x too, which the record does not hold; run pytest test_layers.py::te" in drawn
    assert "an array of shape (70000,) has 70000 entries" in large
    assert counts == "5 still failing, 2 not replayed"

    # once each: where CI is set, pytest repeats whole messages in its short summary
    saved = list(dict.fromkeys(line.split()[-1] for line in told.stdout.splitlines() if "reproduce:" in line))
    assert len(saved) == 4  # of test_expected nothing failed; of the others there is no case
    one = command(saved[0], "--plot", cwd=tmp_path)
    assert one.stdout.startswith(f"still failing  {saved[0]}:1  verified: backward of x")
    assert "V-curve of x" in one.stdout

    tests.write_text(textwrap.dedent(TESTS).replace("FACTOR = 2", "FACTOR = 1"), encoding="utf-8")
    mended = command("out.jsonl", cwd=tmp_path)
    assert mended.stdout.splitlines()[-1] == "5 fixed, 2 not replayed"
    assert (tmp_path / "out.jsonl").read_bytes() == written  # the ini file's report is of another run

    tests.write_text("def test_searched(missing):\n    pass\n\ndef test_given_arrays():\n    pass\n", encoding="utf-8")
    gone = command(*saved[2:], cwd=tmp_path).stdout.splitlines()
    assert "test_given_arrays passed, and asked nothing about sin; run pytest" in gone[0]
    assert "test_searched: fixture 'missing' not found; run pytest" in gone[1]
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    refused = command("out.jsonl:1", cwd=tmp_path).stdout
    assert "error: unrecognized arguments: --no-such-option; run pytest" in refused


def test_pytest_and_run_draw_a_failure_in_characters(tmp_path: Path, layers: Any) -> None:
    """--gradcheck-plot, and run --plot: the curve and the map below the block; nothing of what passes."""
    run = [sys.executable, "-m", "gradcheck", "run", "zoo_of_replay:dense", "--plot", "--examples", "5", "--seed", "0"]
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.index("reproduce:") < done.stdout.index("V-curve of w[")
    assert max(map(len, done.stdout.splitlines()[1:-1])) <= 80
    (tmp_path / "test_it.py").write_text(
        "import numpy as np\n\ndef test_it(gradcheck):\n"
        "    gradcheck((np.sin, lambda i, g: (g * np.cos(i[0]) * [2, 1],)), np.ones(2))\n"
    )
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "--gradcheck-plot"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "V-curve of x[0]" in told.stdout
    assert "x: |error|/bound, an entry a character, X the worst" in told.stdout
