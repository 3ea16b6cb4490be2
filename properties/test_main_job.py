"""``gradcheck run``: green where the reference is right, red with the smallest architecture where it is not."""

import os
import re
import subprocess
import sys

import pytest

from gradcheck.strategies import Architecture, Palette, Slot
from gradcheck.suite import reference

PLANTED = """
import dataclasses, sys
from gradcheck.backprop import ops
from gradcheck.suite import reference

row = ops.TABLE["arctan"]
ops.TABLE["arctan"] = dataclasses.replace(
    row, vjp=lambda g, y, x: tuple(ops.mul(1.001, c) for c in row.vjp(g, y, x))
)
sys.exit(reference.main(examples=40, seed=1))
"""


def run(code, tmp_path):
    """Run Python in an empty folder, as a user would, where a foreign pytest configuration lies in wait."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_ADDOPTS": "", "COLUMNS": "100"}
    return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)


def without_time(text):
    """The summary but for the seconds it took."""
    return re.sub(r"time +[0-9.]+ s *", "", text)


def test_the_main_job_is_green_and_the_same_seed_is_the_same_run(tmp_path):
    """Exit code 0, all five systems, visits = edges, no progress bar outside a terminal; twice the same words."""
    code = "import sys; from gradcheck.suite import reference; sys.exit(reference.main(examples=10, seed=4))"
    first, second = run(code, tmp_path), run(code, tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stderr == ""
    assert without_time(first.stdout) == without_time(second.stdout)
    assert "S1 ok, S2 ok, S3 ok, S4 ok, S5 ok" in first.stdout
    assert "Every gradient agrees with its finite difference." in first.stdout
    assert re.search(r"architectures +10\b", first.stdout)
    visits, edges = re.search(r"visits = edges +(\d+) = (\d+)", first.stdout).groups()
    assert visits == edges != "0"


def test_a_planted_wrong_vjp_fails_the_main_job_with_the_smallest_architecture(tmp_path):
    """An arctan wrong by 0.1% gives exit code 1, and a runnable line that shows it on a graph of two nodes."""
    failed = run(PLANTED, tmp_path)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "differs from every finite difference by" in failed.stdout
    assert "reproduce: gradcheck run --examples 40 --seed 1" in failed.stdout
    assert "Every gradient agrees" not in failed.stdout
    line = next(line for line in failed.stdout.splitlines() if line.startswith("Architecture("))
    case = eval(line, {cls.__name__: cls for cls in (Architecture, Palette, Slot)})
    assert [node.op for node in case.graph().nodes] == ["input", "arctan"]


def test_the_main_job_refuses_to_check_nothing():
    """Zero examples are an error, never a green run."""
    with pytest.raises(ValueError, match="examples=0: a run needs at least one architecture"):
        reference.main(examples=0)


def test_the_command_line_runs_the_main_job(monkeypatch):
    """``gradcheck run --examples N --seed S`` passes both on and returns its exit code."""
    from gradcheck import __main__

    seen = {}
    monkeypatch.setattr(reference, "main", lambda **settings: seen.update(settings) or 1)
    assert __main__.main(["run", "--examples", "7", "--seed", "3"]) == 1
    assert seen == {"examples": 7, "seed": 3}
