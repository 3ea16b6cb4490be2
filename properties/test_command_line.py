"""The command line as its user meets it: `gradcheck systems` in a terminal and piped, and what it refuses."""

import os
import re
import subprocess
import sys

import pytest

from gradcheck.__main__ import main
from gradcheck.commands.systems import NAMES
from gradcheck.systems import SYSTEMS, s3


def command(*arguments, encoding="utf-8"):
    """Run ``python -m gradcheck`` with these arguments, piped."""
    run = [sys.executable, "-m", "gradcheck", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(run, capture_output=True, encoding=encoding, env=environment)


def refused(capsys, *arguments):
    """Exit code and message of a command that must not be understood."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    out, err = capsys.readouterr()
    assert out == ""
    return left.value.code, err


def test_all_five_systems_are_known_by_the_names_they_have():
    """The names that the command line lists without importing numpy are those of the systems."""
    assert tuple(SYSTEMS) == NAMES


def test_systems_prints_the_three_ways_with_difference_bound_and_verdict(capsys):
    """A row an array, with three cells ``difference ≤ bound`` and OK; names are taken in any case; exit code 0."""
    assert main(["systems", "s3", "S2", "--steps", "40", "--learning-rate", "0.5"]) == 0
    out = capsys.readouterr().out
    assert out.index("S3 · the two-layer mini-batch example") < out.index("S2 · the bias-free delta rule")
    cell = r"(0|\d\.\de-\d\d) ≤ \d\.\de-\d\d +"
    for name in ("W1", "b1", "W2", "b2", r"w\(1\)", r"w\(2\)"):
        assert re.search(rf"^ {name} +({cell}){{3}}OK *$", out, re.MULTILINE), name
    assert re.search(r"^22 of 22 claims hold\.$", out, re.MULTILINE)
    assert all(len(line) <= 80 for line in out.splitlines())


def test_every_table_fits_80_columns(capsys):
    """S1 and S4 have the widest rows."""
    assert main(["systems", "S1", "S4", "--steps", "3"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_wrong_formula_is_exit_code_1_and_is_named(capsys, monkeypatch):
    """A planted error of 0.1% in one array is WRONG, in its row and at the end, and the command fails."""
    right = s3.gradient
    monkeypatch.setattr(s3, "gradient", lambda *a, **k: (g := right(*a, **k)) | {"W2": 1.001 * g["W2"]})
    assert main(["systems", "S3", "--steps", "5"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^ W2 +\S+ > \S+ +\S+ > \S+ +\S+ ≤ \S+ +WRONG *$", out, re.MULTILINE)
    assert "WRONG  S3 W2: hand = engine\n" in out
    assert "WRONG  S3 W2: hand = finite difference\n" in out
    assert "WRONG  S3 W2: engine" not in out
    assert "11 of 13 claims hold." in out


def test_hyperparameters_reach_the_system(capsys):
    """`--hidden`, `--units`, `--activation` and `--steps` shape the network that is trained."""
    assert main(["systems", "S5", "--units", "3,2,2", "--activation", "relu,tanh,silu", "--steps", "7"]) == 0
    out = capsys.readouterr().out
    assert "in 8 evaluations" in out
    assert "W[4]" in out
    assert "W[5]" not in out
    assert main(["systems", "S1", "--hidden", "1", "--units", "3", "--steps", "2", "--seed", "5"]) == 0
    assert "Θ(3)" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["systems", "S6", "s1", "X"], "unknown system S6, X: the systems are S1, S2, S3, S4, S5"),
        (["systems", "S3", "--hidden", "2"], "--hidden does not fit S3; try: gradcheck systems S1 S2 S5 --hidden …"),
        (["systems", "--activation", "relu"], "--activation does not fit S1, S2, S3, S4; try: gradcheck systems S5"),
        (["systems", "S5", "--activation", "swish"], "S5: unknown activation 'swish': the known ones are identity"),
        (["systems", "S5", "--activation", "relu,tanh", "--hidden", "3"], "(relu, tanh) for 3 hidden layers"),
        (["systems", "S1", "--units", "4,x"], "argument --units: 'x' is no whole number"),
        (["systems", "S1", "--units", "0"], "S1: units=(0,): a hidden layer needs at least one unit"),
        (["systems", "S1", "--steps", "0"], "argument --steps: 0 is below 1"),
        (["systems", "S1", "--steps", "many"], "argument --steps: 'many' is no whole number"),
        (["systems", "S1", "--learning-rate", "0"], "S1: learning_rate=0.0: it must be positive"),
        (["systems", "S1", "--seed", "-1"], "argument --seed: -1 is below 0"),
        (["systems", "S4", "--learning-rate", "1e9"], "S4: the cost is"),
        (["systems", "--faster"], "unrecognized arguments: --faster"),
        (["run", "--dtype", "float32"], "--dtype is about layers: name them, as in gradcheck run package.module:Dense"),
        (["run", "--examples", "0"], "argument --examples: 0 is below 1"),
        (["verify"], "invalid choice: 'verify'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_what_cannot_be_run_is_a_usage_error(capsys, arguments, message):
    """Exit code 4, as pytest's, and a last line on stderr that names the value and the remedy."""
    code, err = refused(capsys, *arguments)
    assert code == 4
    assert err.startswith("usage: gradcheck")
    assert message in err.splitlines()[-1]


def test_help_imports_nothing_heavy():
    """``gradcheck --help`` answers without numpy, scipy and rich."""
    code = (
        "import sys, gradcheck.__main__ as m\n"
        "try: m.main(['systems', '--help'])\n"
        "except SystemExit: print(sorted({'numpy', 'scipy', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("[]\n")
    assert "--learning-rate" in run.stdout


def test_piped_systems_writes_a_report_and_no_progress():
    """Piped, stdout is plain text without escape codes, stderr is empty, and the exit code is 0."""
    run = command("systems", "S3", "--steps", "5")
    assert (run.returncode, run.stderr) == (0, "")
    assert "\x1b" not in run.stdout
    assert run.stdout.startswith("S3 · ")
    assert command("systems", "S9").returncode == 4


def test_an_ascii_terminal_gets_question_marks_and_no_traceback():
    """Where stdout cannot say Θ the report is still written."""
    run = command("systems", "S1", "--steps", "2", encoding="ascii")
    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(r"^ \?\(1\) ", run.stdout, re.MULTILINE)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_in_a_terminal_the_cost_is_followed_live():
    """In a terminal a progress line with the steps and the cost comes before the table."""
    master, slave = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    run = [sys.executable, "-m", "gradcheck", "systems", "S3", "--steps", "30"]
    with subprocess.Popen(run, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                chunk = os.read(master, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
            if not chunk:
                break
            shown += chunk
    os.close(master)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert process.returncode == 0
    assert re.search(r"S3 .*30/30 cost \d\.\d{3}e-\d\d", plain)
    assert plain.index("30/30") < plain.index("hand = engine")


def test_the_seed_decides_the_data(capsys):
    """One seed prints the same report twice, another seed another."""
    reports = []
    for seed in ("1", "1", "2"):
        main(["systems", "S3", "--steps", "3", "--seed", seed])
        reports.append(capsys.readouterr().out)
    assert reports[0] == reports[1] != reports[2]
