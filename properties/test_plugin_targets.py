"""Layers by name: `--gradcheck-target`, the packaged suite, `gradcheck run MODULE:ATTR`; and finding their shapes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from gradcheck import from_pair
from gradcheck.suite.shapes import found
from gradcheck.suite.targets import Subject, TargetError, read_shapes, resolve
from properties.nested import inside, refused, run

LAYERS = """
import numpy as np

def sine(x):
    return np.sin(x), lambda dy: (np.cos(x) * dy,)

def doubled(x):
    return 2 * x, lambda dy: (3 * dy,)

def dense(x, w, b, eps=1e-5):
    return x @ w + b, lambda dy: (dy @ w.T, x.T @ dy, dy.sum(0))

def make():
    return sine

def built(k, m):
    w = np.ones((k, m))
    return lambda x: x @ w, lambda inputs, dy: (dy @ w.T,)
built.gradcheck_shapes = "x: n, k; y: m"

class Fixed:
    gradcheck_shapes = {"x": ("n", 3)}
    def __call__(self, x):
        return x @ np.ones((3, 2)), lambda dy: (dy @ np.ones((2, 3)),)

class Backwardless:
    def forward(self, x):
        return x

class Sized:
    def __init__(self, inputs, scale=1):
        raise NotImplementedError

pair = sine, None
both = {"sine": sine, "doubled": doubled}
several = [sine, dense]
generated = (f for f in (sine, sine))
vjp = np.sin, lambda inputs, dy: (np.cos(inputs[0]) * dy,)
nothing = []
fixed = Fixed()
plain = np.sin
number = 3
"""


@pytest.fixture
def layers(pytester, monkeypatch):
    """A module of layers in the directory where pytest is started."""
    pytester.makepyfile(mylayers=LAYERS, broken="import math\n\n1 / 0\n", needy="import no_such_package\n")
    monkeypatch.syspath_prepend(str(pytester.path))
    return pytester


def suite(pytester, *arguments):
    """The packaged suite, few examples."""
    pytester.makepyfile(conftest="from hypothesis import settings\nsettings.register_profile('few', max_examples=10)")
    return inside(pytester, "--pyargs", "gradcheck.suite", "--hypothesis-profile=few", *arguments)


def test_the_packaged_suite_judges_the_layers_named_and_nothing_else(layers):
    """One test a layer, several from a mapping, the reference's own tests left out; by option and by ini key."""
    result = suite(layers, "-v", "--gradcheck-target=mylayers:both", "--gradcheck-target", "mylayers:dense")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines_random(
        [
            "*::test_gradient_is_right[[]mylayers:both[[]sine[]][]] PASSED *",
            "*::test_gradient_is_right[[]mylayers:both[[]doubled[]][]] FAILED *",
            "*::test_gradient_is_right[[]mylayers:dense[]] PASSED *",
            "E *reproduce: *gradcheck replay .gradcheck/*.json",
        ]
    )
    layers.makeini("[pytest]\ngradcheck_targets =\n    mylayers:several\n    mylayers:vjp\n")
    suite(layers).assert_outcomes(passed=3)


def test_the_command_in_the_failure_judges_the_case_again(layers):
    """The record that a wrong layer leaves behind is replayed by the command that its failure ends in."""
    from gradcheck.__main__ import main

    suite(layers, "--gradcheck-target=mylayers:doubled").assert_outcomes(failed=1)
    (record,) = layers.path.glob(".gradcheck/*.json")
    assert main(["replay", str(record)]) == 1


def test_a_test_of_the_users_own_takes_the_targets(layers):
    """By the argument gradcheck_target; the hook adds to those of the ini file, the command line replaces both."""
    layers.makeconftest(
        """
        import mylayers

        def pytest_gradcheck_targets(config):
            return {"mine": mylayers.sine}
        """
    )
    layers.makeini("[pytest]\ngradcheck_targets = mylayers:dense\n")
    source = """
    def test_mine(gradcheck, gradcheck_target):
        assert gradcheck(gradcheck_target, max_examples=5).examples == 5
    """
    result = run(layers, source, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_mine[[]mylayers:dense[]] PASSED*", "*test_mine[[]mine[]] PASSED*"])
    result = run(layers, source, "-v", "--gradcheck-target=mylayers:fixed")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_mine[[]mylayers:fixed[]] PASSED*"])


def test_without_a_target_the_suite_is_about_the_reference(pytester):
    """Never a run that verifies nothing."""
    result = suite(pytester, "-k", "test_gradient_is_right", "-v")
    result.assert_outcomes(passed=1, deselected=7)
    result.stdout.fnmatch_lines(["*::test_gradient_is_right[[]gradcheck.suite.dense:dense[]] PASSED*"])


def test_a_target_that_no_test_takes_is_a_usage_error(layers):
    """A green run that has not looked at the layer would be a lie."""
    line = refused(run(layers, "def test_else():\n    pass\n", "--gradcheck-target=mylayers:sine"))
    assert line == (
        "--gradcheck-target mylayers:sine: none of the 1 tests collected takes gradcheck_target, so it would not be "
        "checked; add --pyargs gradcheck.suite"
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mylayers", "'mylayers' is no target: write MODULE:ATTR, for example package.module:Dense"),
        ("nolayers:sine", "nolayers:sine: there is no module nolayers to import; run where it lies, or install its"),
        ("mylayers.sub:sine", "mylayers.sub:sine: there is no module mylayers.sub to import; run where"),
        ("mylayers:sin", "mylayers:sin: module mylayers has no attribute sin; did you mean sine?"),
        ("mylayers:sine.zzz", "mylayers:sine.zzz: <function sine at"),
        ("mylayers:nothing", "mylayers:nothing is empty: it must hold at least one layer"),
        ("broken:layer", "broken:layer: importing broken raised ZeroDivisionError: division by zero (broken.py:3)"),
        ("needy:layer", "needy:layer: needy needs no_such_package, which is not installed; install it"),
        ("mylayers:number", "mylayers:number: cannot make a target of int 3: give a Target, a pair (f, vjp), or a"),
        ("mylayers:Backwardless", "mylayers:Backwardless: cannot make a target of Backwardless <mylayers."),
        ("mylayers:Sized", "mylayers:Sized: Sized must be given inputs: name an instance, or a function that makes"),
        ("math:floor", "math:floor: floor returned int 0, but a function given to from_pullback returns (value, "),
        ("mylayers:plain", "mylayers:plain: sin returned ndarray of shape (4, 7), but a function given"),
    ],
)
def test_a_target_that_cannot_be_used_is_a_usage_error(layers, target, words):
    """One line with the target, the reason and the remedy, and pytest's exit code for it."""
    assert refused(suite(layers, f"--gradcheck-target={target}")).startswith(words)


def test_a_target_of_the_ini_file_that_cannot_be_used_is_a_usage_error(layers):
    """The same, although it is not looked up before a test takes it."""
    unusable = "-ogradcheck_targets=mylayers:sin"
    assert refused(suite(layers, unusable)) == "mylayers:sin: module mylayers has no attribute sin; did you mean sine?"
    run(layers, "def test_else():\n    pass\n", unusable).assert_outcomes(passed=1)


def test_shapes_that_do_not_fit_are_a_usage_error(layers):
    """With the sizes tried and what the layer raised; shapes that do fit are used."""
    target = "--gradcheck-target=mylayers:dense"
    line = refused(suite(layers, target, "--gradcheck-shapes=x: n,k; w: n,k; b: k"))
    assert line.startswith("mylayers:dense: inputs of shapes x (4, 7), w (4, 7), b (7,) do not fit: forward raised")
    line = refused(suite(layers, target, "--gradcheck-shapes=x n,k"))
    assert line == "shapes 'x n,k' are not understood: write \"x: n,k; w: k,m\", a number for a fixed size"
    line = refused(suite(layers, target, "--gradcheck-shapes=;"))
    assert line == "shapes ';' name no input: write \"x: n,k; w: k,m\""
    suite(layers, target, "--gradcheck-shapes=x: n,2", "--gradcheck-shapes=w: 2,m; b: m").assert_outcomes(passed=1)


def test_resolve_takes_one_layer_or_several(layers):
    """A class, an instance, a function, a factory and a pair are one; a mapping, a list or a generator are several."""
    assert [ref for ref, _ in resolve("mylayers:generated")] == ["mylayers:generated[0]", "mylayers:generated[1]"]
    assert [ref for ref, _ in resolve("mylayers:both")] == ["mylayers:both[sine]", "mylayers:both[doubled]"]
    for name in ("Fixed", "fixed", "sine", "make", "vjp"):
        assert [ref for ref, _ in resolve(f"mylayers:{name}")] == [f"mylayers:{name}"]
    with pytest.raises(TargetError, match="mylayers:nothing is empty: it must hold at least one layer"):
        resolve("mylayers:nothing")


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (lambda x: (x * 1.0, None), {"x": ("n", "k")}),
        (lambda x, w: (x @ w, None), {"x": ("n", "k"), "w": ("k", "m")}),
        (lambda x, y: (x.T @ y, None), {"x": ("n", "k"), "y": ("n", "k")}),
        (lambda x, b: (np.hstack([x, b[:, None]]), None), {"x": ("n", "k"), "b": ("n",)}),
        (lambda x, y: (x * y, None), {"x": ("n", "k"), "y": ("n", "k")}),
        (lambda x, gamma, beta: (x * gamma + beta, None), {"x": ("n", "k"), "gamma": ("k",), "beta": ("k",)}),
        (lambda x: (np.linalg.inv(x), None), {"x": ("n", "n")}),
        (lambda x: (np.einsum("nchw->n", x), None), {"x": ("n", "k", "h", "w")}),
        (lambda x: (x @ np.ones((5, 2)), None), {"x": ("n", 5)}),
        (lambda x: (np.einsum("nchw,c->n", x, np.ones(3)), None), {"x": ("n", 3, "h", "w")}),
        (lambda x, eps=1e-5: (x / eps, None), {"x": ("n", "k")}),
    ],
)
def test_shapes_are_found_by_trying(layer, shapes):
    """The commonest shapes at which forward runs, whatever the sizes; features and channels by counting."""

    def with_pullback(*inputs, **options):
        return layer(*inputs, **options)[0], lambda dy: dy

    with_pullback.__wrapped__ = layer  # its signature
    assert found(with_pullback) == shapes


def test_what_has_a_default_is_no_input_however_the_layer_is_given():
    """An `out`, an epsilon: of a pair, of a target, of a function with its pullback."""

    def scaled(x, w, eps=1e-5):
        return x @ w + eps

    vjp = lambda inputs, dy: (dy @ inputs[1].T, inputs[0].T @ dy)  # noqa: E731
    for layer in ((scaled, vjp), from_pair(scaled, vjp)):
        assert found(layer) == {"x": ("n", "k"), "w": ("k", "m")}
    sine = np.sin, lambda inputs, dy: (dy * np.cos(inputs[0]),)
    assert found(sine) == found(from_pair(*sine)) == {"x": ("n", "k")}


def test_a_layer_that_takes_no_shapes_says_what_to_do():
    """The first error, and where shapes are given."""

    def picky(x):
        raise ValueError("only on Sundays")

    with pytest.raises(ValueError, match=r"the first raised ValueError: only on Sundays\); say which do: --shapes"):
        found(picky)


def test_shapes_are_read_from_text():
    """Letters, fixed sizes, scalars; nothing else."""
    assert read_shapes("x: n, 3 ; s: ;") == {"x": ("n", 3), "s": ()}
    assert repr(Subject("a:b", None, {})) == "a:b"
    for text in ("x:n-1", "1x: n", "n,k"):
        with pytest.raises(TargetError, match=r"are not understood: write \"x: n,k; w: k,m\""):
            read_shapes(text)


def command(pytester, *arguments):
    """`gradcheck run` as a user gives it, in the directory of the layers, which lies not on the path."""
    environment = {**os.environ, "PYTHONPATH": "", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    line = [sys.executable, "-m", "gradcheck", "run", *arguments]
    return subprocess.run(line, cwd=pytester.path, env=environment, capture_output=True, encoding="utf-8")


def test_gradcheck_run_tells_layer_by_layer(pytester):
    """A line for one that is right, the block for one that is wrong, a sum, pytest's exit code."""
    pytester.makepyfile(mylayers=LAYERS)
    pytester.makeini("[pytest]\naddopts = --no-such-option\n")
    done = command(pytester, "mylayers:both", "--examples=20", "--seed=3", "--dtype=float32", "--report=out.jsonl")
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("PASS          mylayers:both[sine]  sine: backward agrees with the finite differences")
    assert lines[1].startswith("FAIL          mylayers:both[doubled]  doubled: backward of x[0, 0] is 1.5× the finite")
    assert "  smallest case:  Case((np.array([[0.0]], dtype='float32'),), {'n': 1, 'k': 1})" in lines
    assert any(line.startswith("  reproduce:      gradcheck replay .gradcheck") for line in lines)
    assert lines[-1].startswith("2 gradients judged at 21 points: 1 pass, 1 fail; errors above ")
    assert len(pytester.path.joinpath("out.jsonl").read_text().splitlines()) == 2
    done = command(pytester, "mylayers:dense", "--shapes=x: n,k; w: n,k; b: k")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("ERROR: mylayers:dense: inputs of shapes x (4, 7), w (4, 7), b (7,) do not fit: ")
