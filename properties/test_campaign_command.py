"""``gradcheck campaign``: what it prints, which exit code it gives, and how it stops."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from gradcheck.__main__ import main
from gradcheck.campaign import Cell, Ledger, Plan, Tally, command
from gradcheck.campaign.command import show
from gradcheck.progress import watching

LAYERS = "properties.campaign_layers"
SMALL = ["--budget", "4", "--examples", "2", "-j", "1"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Files are made where the command runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def words(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_a_campaign_ends_with_its_worst_and_the_same_command_does_nothing_twice(capsys, folder):
    """A table, worst first; the smallest failure with what to run; exit code 1. Again: the same words, at once."""
    arguments = ["campaign", f"{LAYERS}:ranks", *SMALL]
    assert main(arguments) == 1
    first = words(capsys)
    assert f"2 FAIL {LAYERS}:ranks[matrix] float64 [x: n] 2 PASS" in first
    assert "FAIL negated: backward of x" in first
    assert "smallest case: Case((np.array([" in first
    assert "reproduce: gradcheck replay .gradcheck/" in first
    assert first.endswith("4 of 4 cells, 6 examples: 2 PASS, 2 FAIL; in campaign.jsonl")
    before = (folder / "campaign.jsonl").read_bytes()
    assert main(arguments) == 1
    assert words(capsys) == first
    assert (folder / "campaign.jsonl").read_bytes() == before
    assert main(["report", "campaign.jsonl", "-o", "page.html"]) in (0, 4)  # 4 where the extra is not installed


def test_a_right_layer_is_green(capsys):
    """Exit code 0, in the dtypes and blocks asked for."""
    assert main(["campaign", f"{LAYERS}:double", *SMALL, "--dtype", "float32", "--block", "x: n,k"]) == 0
    assert "2 PASS" in (said := words(capsys))
    assert f"{LAYERS}:double float32 [x: n,k]" in said


def test_the_reference_is_judged_where_no_layer_is_named(capsys):
    """In blocks of architectures."""
    assert main(["campaign", *SMALL, "--block", "graphs", "-o", "deep/reference.jsonl"]) == 0
    assert "gradcheck.campaign.reference:reference float64 [graphs]" in words(capsys)


def test_lost_cells_are_told_apart_and_make_the_run_red(capsys):
    """With why, and the Python that judges the cell again."""
    assert main(["campaign", f"{LAYERS}:leaving", *SMALL]) == 1
    said = words(capsys)
    assert f"LOST {LAYERS}:leaving float64 [x: n], 2 of 2 cells the first: its process exited with code 3" in said
    assert f"reproduce: gradcheck.campaign.Cell('{LAYERS}:leaving', 'float64', 'x: n', 2, 0).judge()" in said


def test_a_shard_without_cells_is_not_green(capsys):
    """Exit code 5, as pytest's where no test was collected."""
    codes = [main(["campaign", f"{LAYERS}:double", *SMALL, "--budget", "2", "--shard", f"{n}/2"]) for n in (1, 2)]
    assert sorted(codes) == [0, 5]
    assert "0 of 0 cells, 0 examples: nothing; in campaign.jsonl This shard has no cells" in words(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere:f"], "nowhere:f: there is no module nowhere to import"),
        (["--shard", "3/2"], "argument --shard: '3/2' must be I/N with I from 1 to N"),
        (["--seconds", "0"], "argument --seconds: 0 is no positive number"),
        (["--megabytes", "much"], "argument --megabytes: 'much' is no number"),
        (["--budget", "0"], "argument --budget: 0 is below 1"),
        (["-j", "2", "--scheduler", "tcp://host:1"], "--jobs counts processes of this machine: leave it out beside"),
        ([f"{LAYERS}:double", "-o", "."], ".: Is a directory; name a file that can be written to"),
        (["--dtype", "int8"], "'int8' is no floating-point dtype"),
        (["--dtype", "bfloat16"], "[graphs] cannot be drawn in bfloat16: the reference computes in NumPy's own dtypes"),
    ],
)
def test_a_command_that_cannot_be_followed_says_why(arguments, said, capsys):
    """Exit code 4, in one line."""
    with pytest.raises(SystemExit) as left:
        main(["campaign", *arguments])
    assert left.value.code == 4
    assert said in capsys.readouterr().err


def test_a_scheduler_without_the_extra_says_what_to_install(monkeypatch, capsys):
    """As for every extra."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SystemExit) as left:
        main(["campaign", f"{LAYERS}:double", "--scheduler", "tcp://localhost:1"])
    assert left.value.code == 4
    said = "--scheduler needs distributed, which is missing: pip install 'gradcheck[cluster]'"
    assert said in capsys.readouterr().err


def test_a_scheduler_that_does_not_answer_is_named(require, capsys):
    """After the time that Dask gives it."""
    require("distributed")
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}), pytest.raises(SystemExit) as left:
        main(["campaign", f"{LAYERS}:double", "--scheduler", "tcp://127.0.0.1:9"])
    assert left.value.code == 4
    assert "tcp://127.0.0.1:9" in capsys.readouterr().err


def test_ctrl_c_leaves_a_good_file_and_the_campaign_goes_on_from_it(folder):
    """Exit code 2, no traceback, no process left; every line whole, and the second run judges the rest only."""
    arguments = [sys.executable, "-m", "gradcheck", "campaign", f"{LAYERS}:double", "--examples", "2", "-j", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    options = {"cwd": folder, "env": environment, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    ledger = folder / "campaign.jsonl"
    here = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
    try:
        started = subprocess.Popen([*arguments, "--budget", "1000000"], start_new_session=True, **options)
    finally:
        signal.signal(signal.SIGINT, here)
    with started as run:
        while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 3):
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = run.communicate()
    assert (run.returncode, err) == (2, "")
    assert out.endswith("Interrupted: the same command goes on where it stopped.\n")
    lines = ledger.read_bytes().splitlines(keepends=True)
    assert all(json.loads(line)["verdict"] == "pass" for line in lines)
    left = subprocess.run([*arguments, "--budget", str(2 * (len(lines) + 2))], **options)
    assert left.returncode == 0, left.stderr
    assert ledger.read_bytes().splitlines(keepends=True)[: len(lines)] == lines
    with Ledger(ledger) as there:
        assert len({cell for cell, _ in there.records()}) == len(lines) + 2


def test_the_bar_tells_cells_and_the_worst_of_them():
    """By margins, whatever numbers a record has; the counts of what did not pass."""
    screen = io.StringIO()
    tally = Tally()
    with watching("cells", 4, Console(file=screen, force_terminal=True, width=100)) as watcher:
        for number, verdict in enumerate(("pass", "fail", "inconclusive")):
            made = Cell("m:f", "float64", "x: n", 1, number).lost(("why",)) | {"verdict": verdict, "losses": []}
            made["report"]["resolution"] = 3e-9
            rows = ((1.0, 1.5, 1.0), ([1.0, 0.0], [1.0, 8.0], 2.0), ("nan", 1.0, 1.0), (None, None, None))
            made["report"]["blocks"] = [dict(zip(("claimed", "numeric", "bound"), row, strict=True)) for row in rows]
            tally.take(Cell(**made["cell"]), made)
            command.tell(watcher, tally)
    assert "3/4" in screen.getvalue()
    assert "worst error/bound 4, 1 FAIL, 1 inconclusive" in screen.getvalue()


def test_a_long_table_shows_what_is_worst_and_counts_the_rest():
    """At most twenty rows."""
    tally, screen = Tally(), io.StringIO()
    for number in range(30):
        made = Cell(f"m:f{number}", "float64", "x: n", 1, 0).lost(("why", "why"))
        verdict = {"verdict": "pass", "losses": []} if number != 17 else {}
        made["report"]["resolution"] = 1e-9
        tally.take(Cell(**made["cell"]), made | verdict)
    whole = Plan(tuple(tally.lines), 1, 1)
    show(Console(file=screen, width=100), tally, whole, "out.jsonl")
    lines = screen.getvalue().splitlines()
    assert lines[1].split() == ["1", "lost", "m:f17", "float64", "[x:", "n]"]
    assert "and 10 more, none of them worse" in lines
    assert Path(".gradcheck").exists() is False
