"""Starting costs little: what is imported with gradcheck, when its names are used, and when one is called."""

import ast
import subprocess
import sys

import pytest

import gradcheck

HEAVY = {"scipy", "hypothesis", "pytest", "rich", "torch", "jax", "autograd", "matplotlib", "pytest_benchmark"}
# `search` drives Hypothesis and `verify` makes a pytest test: they need these two, and nothing else that is heavy.
MADE_OF = {"search": {"hypothesis"}, "verify": {"hypothesis", "pytest"}}


def loaded(code):
    """The heavy modules that a fresh Python has after this code, and NumPy."""
    code = f"import sys\n{code}\nprint(sorted({{name.split('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ast.literal_eval(run.stdout.splitlines()[-1])) & (HEAVY | {"numpy"})


def test_importing_gradcheck_loads_nothing_not_even_numpy():
    """The public face is the standard library's."""
    assert loaded("import gradcheck") == set()


def test_using_the_names_loads_numpy_and_nothing_heavier():
    """All names but `search` and `verify`, each looked up."""
    names = sorted(set(gradcheck.__all__) - set(MADE_OF))
    assert loaded(f"import gradcheck\nfor name in {names}: getattr(gradcheck, name)") == {"numpy"}


@pytest.mark.parametrize("name", MADE_OF)
def test_search_and_verify_load_what_they_are_made_of(name):
    """And no more of what is heavy."""
    assert loaded(f"import gradcheck\ngradcheck.{name}") <= {"numpy"} | MADE_OF[name]


def test_a_check_loads_numpy_and_nothing_heavier():
    """Called, not only looked up, on a right gradient and on a wrong one, with its report printed."""
    code = (
        "import gradcheck, numpy as np\n"
        "for factor in (1, 2):\n"
        "    target = gradcheck.from_pair(np.tanh, lambda x, g: (factor * g * (1 - np.tanh(x[0]) ** 2),))\n"
        "    gradcheck.check(target, np.ones(3)).headline()"
    )
    assert loaded(code) == {"numpy"}


def test_asking_for_help_on_costs_loads_nothing():
    """``gradcheck cost --help`` answers without NumPy."""
    code = "import gradcheck.__main__ as m\ntry: m.main(['cost', '--help'])\nexcept SystemExit: pass"
    assert loaded(code) == set()


def test_this_test_can_fail():
    """A module that imports scipy is seen to."""
    assert loaded("import gradcheck.backprop") == {"numpy", "scipy"}
