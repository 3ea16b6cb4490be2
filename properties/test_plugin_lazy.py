"""A pytest run that does not use the plugin pays nothing for it: what a bare run imports."""

import json
import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "hypothesis", "rich", "torch", "jax", "jinja2", "matplotlib"}

BARE = """
import json, sys

def test_modules():
    with open("modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
"""


FIRST = """
import sys
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
import gradcheck as gc

before = []

@gc.verify(x=("n",), max_examples=2)
def test_verified(x):
    before.append(set(sys.modules))
    assert sorted(set(sys.modules) - before[0]) == []
    return np.sin(x), lambda dy: (np.cos(x) * dy,)

@given(st.just(0.5))
def test_called(gradcheck, x):
    known = set(sys.modules)
    gradcheck((np.sin, lambda inputs, dy: (np.cos(inputs[0]) * dy,)), x)
    assert sorted(set(sys.modules) - known) == []
"""


def modules_of(pytester, *arguments):
    """The modules that a bare run in a process of its own has imported by the time its test runs."""
    pytester.makepyfile(test_bare=BARE)
    run = [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", "-pno:randomly", *arguments]
    subprocess.run(run, cwd=pytester.path, check=True, capture_output=True)
    return set(json.loads(pytester.path.joinpath("modules.json").read_text()))


@pytest.mark.parametrize("ini", ["", "gradcheck_targets = no.such:layer\ngradcheck_dtypes = float32\n"])
def test_a_bare_run_imports_neither_numpy_nor_hypothesis(pytester, ini):
    """The plugin is there and nothing heavy is, not even where an ini file sets it up."""
    pytester.makeini(f"[pytest]\n{ini}")
    modules = modules_of(pytester)
    assert "gradcheck.plugin.session" in modules
    assert modules.isdisjoint(HEAVY)
    own = {name for name in modules if name.startswith("gradcheck")}
    assert own == {"gradcheck", "gradcheck.progress"} | {
        f"gradcheck.plugin{name}" for name in ("", ".hooks", ".options", ".selection", ".session", ".settings")
    }


def test_a_plugin_that_imports_numpy_is_noticed(pytester):
    """The rule can fail: a plugin that is not lazy brings numpy into a bare run."""
    pytester.makepyfile(eager="import numpy\n")
    assert "numpy" in modules_of(pytester, "-p", "eager")


def test_the_public_name_of_verify_is_lazy_too():
    """`import gradcheck` has it and imports nothing for it; `gradcheck.search` is the function whatever came before."""
    code = (
        "import gradcheck, sys; assert 'verify' in dir(gradcheck) and 'numpy' not in sys.modules; "
        "import gradcheck.judge.search; print(gradcheck.search.__name__, gradcheck.verify.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["search", "verify"]


def test_the_first_example_imports_nothing(pytester):
    """What judging imports is there before Hypothesis looks at its watch."""
    pytester.makepyfile(test_first=FIRST)
    run = [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", "-pno:randomly"]
    done = subprocess.run(run, cwd=pytester.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
