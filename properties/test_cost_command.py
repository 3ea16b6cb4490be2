"""`gradcheck cost` as its user meets it: what is printed, drawn and compared, exit codes, and what is refused."""

import sys

import numpy as np
import pytest

from gradcheck.__main__ import main
from gradcheck.cost import callgrind, clock, command, curve
from gradcheck.cost.regression import Comparison, Outcome, Sample, paired
from gradcheck.render.records import read

LINEAR, SCANNING = "properties.planted_sweeps:linear", "properties.planted_sweeps:scanning"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Small sizes, one look of a few rounds, and a clock that ticks once a call: nothing waits for a time."""
    ticks = iter(range(10**9))
    monkeypatch.setattr(clock, "CLOCK", lambda: next(ticks) * 1e-3)
    monkeypatch.setattr(clock, "_FOREIGN", np.zeros(1))
    monkeypatch.setattr(command, "grown", lambda make: [30, 60, 120, 240, 480])


def judged(monkeypatch, cost):
    """Let the clock have found this cost for every size."""
    times = lambda prepared, rounds: np.array([[cost(k) for k in range(len(prepared))]])  # noqa: E731
    monkeypatch.setattr(curve, "interleaved", times)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["cost", *arguments])
    return left.value.code, capsys.readouterr().err.splitlines()[-1]


def test_a_linear_target_is_printed_and_exits_with_0(capsys, monkeypatch):
    """Headline, shares, slope and a line a size."""
    judged(monkeypatch, lambda k: 1e-4 * 2**k)
    assert main(["cost", LINEAR]) == 0
    out = capsys.readouterr().out
    assert out.startswith("sweep: backward is linear in its edges up to 800 edges\n")
    assert out.count("visits per edge") == 1
    assert out.count("µs             1.000\n") + out.count("ms             1.000\n") == 5


def test_a_planted_scan_exits_with_1(capsys, monkeypatch):
    """The counts find it, whatever the clock says."""
    judged(monkeypatch, lambda k: 1e-4 * 2**k)
    assert main(["cost", SCANNING]) == 1
    assert "of backward's comparisons at 800 edges is super-linear (gate 3%)" in capsys.readouterr().out


def test_what_cannot_be_told_exits_with_5(capsys, monkeypatch):
    """A time that does not grow is no pass."""
    judged(monkeypatch, lambda k: 1e-4 * (1 + 0.01 * (-1) ** k))
    assert main(["cost", LINEAR]) == 5
    assert "choose larger sizes" in capsys.readouterr().out


def test_a_layer_with_shapes_is_measured_by_element(capsys, monkeypatch, tmp_path):
    """``--shapes`` makes the inputs; the module lies in the current folder."""
    source = "def layer(x, w):\n    return x @ w, lambda dy: (dy @ w.T, x.T @ dy)\n"
    (tmp_path / "mine_to_measure.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    judged(monkeypatch, lambda k: 1e-4 * 2**k)
    assert main(["cost", "mine_to_measure:layer", "--shapes", "x: n,8; w: 8,3"]) == 0
    assert "layer: backward is linear in its elements up to 3,864 elements" in capsys.readouterr().out


def test_the_plot_is_drawn(tmp_path, capsys, monkeypatch, require):
    """An SVG with a panel a curve, the fit, the band, and what an exactly linear cost would be."""
    require("matplotlib")
    judged(monkeypatch, lambda k: 1e-4 * 2**k)
    picture = tmp_path / "out.svg"
    assert main(["cost", LINEAR, "--plot", str(picture)]) == 0
    assert f"written to {picture}" in capsys.readouterr().out
    text = picture.read_text(encoding="utf-8")
    assert text.count('id="axes_') == 2
    assert "<svg" in text


def test_the_curves_are_written_for_a_page(tmp_path, capsys, monkeypatch, require):
    """A record each, with the name that the command takes; of a page the suffix makes one."""
    require("jinja2")
    judged(monkeypatch, lambda k: 1e-4 * 2**k)
    assert main(["cost", LINEAR, "--report", str(tmp_path / "out.jsonl")]) == 0
    (made,), complaints = read([tmp_path / "out.jsonl"])
    assert (made["ref"], made["verdict"], complaints) == (LINEAR, "pass", [])
    assert main(["cost", SCANNING, "--report", str(tmp_path / "out.html")]) == 1
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "1 of 1 verdicts fail" in text
    assert f"gradcheck cost {SCANNING}" in text


def test_a_plot_without_matplotlib_is_refused_with_the_remedy(capsys, monkeypatch):
    """The extra is named; exit code 4."""
    judged(monkeypatch, lambda k: 1e-4 * 2**k)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, said = refused(capsys, LINEAR, "--plot", "out.svg")
    assert (code, said) == (4, "gradcheck cost: error: a plot needs matplotlib: install gradcheck[report]")


def test_a_suffix_that_cannot_be_drawn_is_refused(capsys, monkeypatch, require, tmp_path):
    """Matplotlib says which there are."""
    require("matplotlib")
    judged(monkeypatch, lambda k: 1e-4 * 2**k)
    code, said = refused(capsys, LINEAR, "--plot", str(tmp_path / "out.sgv"))
    assert code == 4
    assert "'sgv' is not supported" in said


@pytest.mark.parametrize(
    ("counts", "code", "words"),
    [
        ([1000 + 50 * 2**k for k in range(5)], 0, "instructions beyond linear    0%"),
        ([1000 + 50 * 4**k for k in range(5)], 1, "instructions beyond linear    100%"),
    ],
)
def test_instructions_are_judged_where_they_are_asked_for(capsys, monkeypatch, counts, code, words):
    """A gate of 3%, and its own line."""
    judged(monkeypatch, lambda k: 1e-4 * 2**k)
    monkeypatch.setattr(callgrind, "instructions", lambda spec, sizes: counts)
    assert main(["cost", LINEAR, "--instructions"]) == code
    assert words in capsys.readouterr().out


def test_missing_instructions_are_no_pass(capsys, monkeypatch):
    """Exit code 5, and why, on stderr."""

    def missing(spec, sizes):
        raise callgrind.MissingError("valgrind is not installed")

    judged(monkeypatch, lambda k: 1e-4 * 2**k)
    monkeypatch.setattr(callgrind, "instructions", missing)
    assert main(["cost", LINEAR, "--instructions"]) == 5
    assert capsys.readouterr().err == "gradcheck cost: valgrind is not installed\n"


def compared(ratio, spread=0.001):
    logs = np.log(ratio) + spread * np.array([-1, -0.5, 0, 0.5, 1])
    base = tuple(Sample((1e-3, 2e-3), 2e-3) for _ in logs)
    head = tuple(Sample((1e-3 * np.exp(log), 2e-3 * np.exp(log)), 2e-3) for log in logs)
    return Comparison(base, head, paired(logs))


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        (compared(1.0), 0, "head is not slower: 1.000× (95% interval 0.999 … 1.001) of HEAD, 5 processes each"),
        (compared(1.3), 1, "head is slower: 1.300× (95% interval 1.299 … 1.301) of HEAD"),
        (compared(1.03, 0.1), 5, "head cannot be told from base within 3%: 1.030×"),
    ],
    ids=[outcome.name for outcome in (Outcome.NOT_SLOWER, Outcome.SLOWER, Outcome.UNDECIDED)],
)
def test_a_comparison_is_a_sentence_and_an_exit_code(capsys, monkeypatch, found, code, words):
    """Against a revision that is there; the sizes and the shortest times of both follow."""
    monkeypatch.setattr(command, "against", lambda spec, base, head, sizes: found)
    assert main(["cost", LINEAR, "--against", sys.executable]) == code
    out = capsys.readouterr().out
    assert words.replace("HEAD", sys.executable) in out
    assert out.count(" ms ") >= 2


def test_a_run_is_stored_and_compared_with(capsys, monkeypatch, tmp_path):
    """``--save`` names the file, ``--compare`` takes its sizes; another machine's, or none, is exit code 5."""
    monkeypatch.chdir(tmp_path)
    runs = iter([1.0, 1.0, 1.4, 1.0])
    kernels = iter([2e-3, 2e-3, 2e-3, 3e-3])

    def measured(spec, several, sizes, count):
        ratio, kernel, rng = next(runs), next(kernels), np.random.default_rng(0)
        return [
            tuple(
                Sample(tuple(ratio * 1e-4 * size * np.exp(0.002 * rng.standard_normal()) for size in sizes), kernel)
                for _ in range(count)
            )
        ]

    monkeypatch.setattr(command, "interleaved", measured)
    assert main(["cost", LINEAR, "--compare"]) == 5
    assert "no run is stored yet in .benchmarks: store one with --save NAME" in capsys.readouterr().err
    assert main(["cost", LINEAR, "--save", "before"]) == 0
    assert "8 processes stored in " in capsys.readouterr().out
    assert [main(["cost", LINEAR, "--compare"]), main(["cost", LINEAR, "--compare", "0001"])] == [0, 1]
    assert "head is slower: 1.400×" in capsys.readouterr().out
    assert main(["cost", LINEAR, "--compare"]) == 5
    assert "0001_before.json is of another machine" in capsys.readouterr().err
    (stored,) = tmp_path.glob(".benchmarks/*/0001_before.json")
    stored.write_text("{")
    code, said = refused(capsys, LINEAR, "--compare")
    assert code == 4
    assert "0001_before.json cannot be read as a stored run (JSONDecodeError" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch:x"], "'nosuch:x': nosuch cannot be imported: No module named 'nosuch'"),
        (["nosuch"], "'nosuch': name a factory as MODULE:ATTR"),
        ([LINEAR + "x"], "properties.planted_sweeps has no linearx"),
        ([LINEAR, "--shapes", "x"], "'x' is not a shape: write them as in 'x: n,64; w: 64,32'"),
        ([LINEAR, "--per", "element", "--order", "0"], "argument --order: 0 is below 1"),
        ([LINEAR, "--against", "v1", "--save", "x"], "argument --save: not allowed with argument --against"),
        ([LINEAR, "--report", "out.txt"], "--report: 'out.txt' must end in .html or .jsonl"),
        ([LINEAR, "--report", "out.jsonl", "--save", "x"], "--report is about curves, and --save measures none"),
        ([LINEAR, "--against", "no-such-revision"], "cannot compare with 'no-such-revision': "),
    ],
)
def test_what_cannot_be_understood_is_a_usage_error(capsys, arguments, words):
    """Exit code 4 and one line that names the value and the rule."""
    code, said = refused(capsys, *arguments)
    assert code == 4
    assert words in said


def test_the_worst_exit_code_is_that_of_all():
    """A failure outweighs what could not be told, and that a pass."""
    assert command._worst([0, 5, 0]) == 5
    assert command._worst([0, 5, 1]) == 1
