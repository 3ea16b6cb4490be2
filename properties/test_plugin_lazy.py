"""A pytest run that does not use the plugin pays nothing for it: what a bare run imports."""

import json
import re
import subprocess
import sys

import pytest

from gradcheck.plugin import MARKERS
from gradcheck.plugin.settings import SETTINGS
from properties.nested import run

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


def own(modules):
    """Those of gradcheck."""
    return {name for name in modules if name.partition(".")[0] == "gradcheck"}


def test_a_bare_run_imports_the_options_and_the_hooks(pytester):
    """And what keeps bars away: no session is begun for tests that ask for no gradient."""
    modules = modules_of(pytester)
    plugin = {"gradcheck.plugin", "gradcheck.plugin.hooks", "gradcheck.plugin.options"}
    assert own(modules) == {"gradcheck", "gradcheck.progress"} | plugin
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("ini", "arguments"),
    [
        ("gradcheck_targets = no.such:layer\ngradcheck_dtypes = float32\n", ()),
        ("", ("--gradcheck-shard=1/1",)),
        ("", ("--gradcheck-dtype=float32", "--gradcheck-plot")),
    ],
)
def test_a_run_that_is_set_up_and_checks_nothing_imports_nothing_heavy(pytester, ini, arguments):
    """What is said to gradcheck is read at the start, and refused there if it is wrong: still without NumPy."""
    pytester.makeini(f"[pytest]\n{ini}")
    modules = modules_of(pytester, *arguments)
    assert "gradcheck.plugin.session" in modules
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "asking",
    [
        "def test_asks(gradcheck): pass",
        "def test_asks(cost_curve): pass",
        "import pytest\n@pytest.fixture\ndef mine(gradcheck): pass\ndef test_asks(mine): pass",
        "import pytest\n@pytest.mark.gradcheck(strict=True)\ndef test_asks(): pass",
        "import pytest\n@pytest.mark.cost(order=1)\ndef test_asks(): pass",
        "def test_asks(request): request.getfixturevalue('gradcheck')",
    ],
)
def test_a_test_that_asks_begins_the_session(pytester, asking):
    """By a fixture, by way of another one, by a marker, or by name while it runs: after it the session is there."""
    pytester.makepyfile(test_a_asks=asking)
    assert "gradcheck.plugin.session" in modules_of(pytester)


def test_a_verdict_asked_for_while_the_test_runs_is_told(pytester):
    """The fixture is not among the test's own, so the session begins in the middle of it."""
    result = run(
        pytester,
        """
        import numpy as np
        def test_late(request):
            gradcheck = request.getfixturevalue("gradcheck")
            assert gradcheck((np.sin, lambda inputs, dy: (np.cos(inputs[0]) * dy,)), 0.5)
        def test_later(request):
            request.getfixturevalue("gradcheck")((np.sin, lambda inputs, dy: (np.sin(inputs[0]) * dy,)), 0.5)
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["2 gradients judged at 2 points: 1 pass, 1 fail; errors above * would have been seen"])


def test_the_marker_names_every_setting():
    """`pytest --markers` says what `settings` has, which is not imported for it."""
    assert re.findall(r"(\w+)=…", MARKERS[0]) == list(SETTINGS)


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
