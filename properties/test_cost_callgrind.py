"""Instruction counts: recorded ones judged, one real run, and what is said where there are none."""

import shutil
import subprocess

import pytest

from gradcheck.cost.callgrind import MissingError, instructions, read_total
from gradcheck.cost.scaling import COUNT_GATE, fit
from gradcheck.cost.spec import Spec

# What `instructions(Spec("properties.planted_sweeps:" + name), nodes)` gave with CPython 3.11.7 and NumPy 2.4.6: edges,
# then instructions. A second process, with a load of 8 on 2 processors, gave the same numbers to the last.
RECORDED = {
    "linear": {100: 3317763, 200: 6642876, 400: 13308024, 800: 26649778, 1600: 53332172, 3200: 106697748},
    "copying": {100: 4266111, 200: 8570718, 400: 17619428, 800: 36247764, 1600: 77069557, 3200: 167275779},
    "scanning": {100: 5314644, 200: 15615740, 400: 51167839, 800: 182025560, 1600: 682719453, 3200: 2640059053},
    "revisiting": {10: 463933, 15: 1138555, 20: 2791563, 25: 6820160, 30: 16525644, 35: 39947664},
}


@pytest.mark.parametrize("name", RECORDED)
def test_instructions_show_every_planted_fault_and_leave_linear_code_alone(name):
    """By a gate of 3%: the copies of E² at 18%, the scan at 97%, the revisits by their slope, the linear code not."""
    counts = fit(list(RECORDED[name]), list(RECORDED[name].values()))
    assert counts.beyond(COUNT_GATE) is (name != "linear")


def test_instructions_are_those_of_the_backward_pass_alone():
    """A real run: linear in the edges within a per cent, and a thousand times fewer than importing NumPy takes."""
    if not shutil.which("valgrind"):
        pytest.skip("needs valgrind, which is not installed")
    nodes = (30, 60, 120, 240, 480)
    try:
        counts = instructions(Spec("properties.planted_sweeps:linear"), nodes)
    except MissingError as missing:
        pytest.skip(str(missing))
    found = fit([5 * n // 3 for n in nodes], counts)
    assert not found.beyond(COUNT_GATE)
    # 33,200 an edge recorded above; another Python or NumPy may take half or twice that, an import takes 10⁹
    assert 0.5 < counts[-1] / 800 / 33_200 < 2


def test_without_valgrind_the_reason_and_the_remedy_are_given(monkeypatch):
    """The name of the package is in the message."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingError, match=r"valgrind is not installed \(Debian, Ubuntu: the package valgrind\)"):
        instructions(Spec("properties.planted_sweeps:linear"), [6])


def pretend(monkeypatch, code, stderr="", dumps=()):
    """A valgrind that writes these dumps and ends with this code."""

    def run(command, **options):
        folder = next(word for word in command if word.startswith("--callgrind-out-file=")).partition("=")[2]
        for number, text in enumerate(dumps, start=1):
            with open(f"{folder}.{number}", "w", encoding="utf-8") as file:
                file.write(text)
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", run)


def test_a_python_that_hides_the_function_is_said(monkeypatch):
    """No dump, or an empty one: there are no counts, and they are not taken for zero."""
    for dumps in ((), ("totals: 0\n",)):
        pretend(monkeypatch, 0, dumps=dumps)
        with pytest.raises(MissingError, match="callgrind cannot see PyObject_Dir in this Python"):
            instructions(Spec("a:b"), [6])


def test_dumps_before_ours_are_not_ours(monkeypatch):
    """Modules that use `dir` while they are imported leave dumps too; the last ones count, in numerical order."""
    pretend(monkeypatch, 0, dumps=[f"totals: {n}\n" for n in range(1, 13)])
    assert instructions(Spec("a:b"), [6, 7, 8]) == [10, 11, 12]


def test_a_process_that_fails_is_quoted(monkeypatch):
    """The last line that is not valgrind's."""
    pretend(monkeypatch, 1, stderr="ValueError: 'a:b': no such thing\n==12== I refs: 3\n")
    with pytest.raises(RuntimeError, match="callgrind of a:b failed: ValueError: 'a:b': no such thing"):
        instructions(Spec("a:b"), [6])
    assert read_total("no totals here") == 0
