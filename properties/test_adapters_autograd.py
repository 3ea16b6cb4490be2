"""from_autograd: the NumPy that HIPS autograd wraps passes, a planted defvjp or defjvp is caught."""

import sys
import warnings

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Verdict, from_autograd
from gradcheck.adapters import autograd_

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3))
POSITIVE, WITHIN = np.exp(X), np.tanh(X)
SPREAD = X @ X.T + np.eye(3)


@pytest.fixture(scope="module")
def autograd(require):
    return require("autograd")


@pytest.fixture(scope="module")
def anp(require):
    return require("autograd.numpy")


# -- what nobody here wrote --------------------------------------------------------------------------------------------

UNARY = (
    "abs absolute arctan arcsinh ceil cos cosh cumsum deg2rad diag diff exp exp2 expm1 fabs floor max mean min "
    "negative prod rad2deg ravel sign sin sinc sinh square squeeze std sum tan tanh trace transpose tril triu var "
    "fliplr flipud rot90 cumsum:0 expand_dims:1 repeat:2 roll:1 reshape:-1 swapaxes:0:1 clip:-0.5:0.5"
)
ELSEWHERE = {
    "log": POSITIVE, "log2": POSITIVE, "log10": POSITIVE, "log1p": POSITIVE, "sqrt": POSITIVE, "reciprocal": POSITIVE,
    "arcsin": WITHIN, "arccos": WITHIN, "arctanh": WITHIN, "arccosh": POSITIVE + 1, "sort": X[0], "partition:1": X[0],
    "tile:2": X[0], "linalg.inv": SPREAD, "linalg.det": SPREAD, "linalg.slogdet": SPREAD, "linalg.cholesky": SPREAD,
    "linalg.norm": X, "linalg.eigh": SPREAD,
}  # fmt: skip
LINEAR = "dot matmul inner outer tensordot kron"
BINARY = "add subtract multiply divide maximum minimum logaddexp logaddexp2 arctan2"


def found(anp, name):
    for part in name.split("."):
        anp = getattr(anp, part)
    return anp


@pytest.mark.parametrize("spelling", [*UNARY.split(), *ELSEWHERE])
def test_no_function_of_autograd_numpy_is_accused(anp, spelling):
    """Functions of one array, with the settings that follow the colons."""
    name, *settings = spelling.split(":")
    given = [float(s) if "." in s else int(s) for s in settings]
    function = found(anp, name)
    if name == "linalg.eigh":  # vectors have a sign to choose; values have none
        function, inner = (lambda x: inner(x)[0]), function
    if name == "linalg.cholesky":  # its gradient is that of symmetric matrices
        function, inner = (lambda x: inner((x + x.T) / 2)), function
    target = from_autograd(lambda x: function(x, *given), name=name)
    report = gradcheck.check(target, ELSEWHERE.get(spelling, X))
    assert report.verdict is Verdict.PASS, str(report)


@pytest.mark.parametrize("name", [*BINARY.split(), *LINEAR.split()])
def test_no_function_of_two_arrays_is_accused(anp, name):
    """Both arguments, broadcast against each other where that is allowed."""
    x, y = (X[0], Y[0]) if name == "outer" else (X, Y) if name in LINEAR.split() else (X, Y[0])
    report = gradcheck.check(from_autograd(getattr(anp, name), name=name), x, y)
    assert report.verdict is Verdict.PASS, str(report)


@pytest.mark.parametrize("options", [{"order": 2}, {"mode": "forward"}, {"order": 2, "mode": "forward"}], ids=str)
@pytest.mark.parametrize("name", ["tanh", "square", "sum"])
def test_second_order_and_forward_mode_pass(anp, name, options):
    """The vjps are differentiated again, the jvps are judged by the pullback they imply."""
    assert gradcheck.check(from_autograd(getattr(anp, name), **options), X).verdict is Verdict.PASS


def test_nested_inputs_and_outputs_are_judged_leaf_by_leaf(anp):
    """Dictionaries and tuples are taken apart; integers and Python numbers stay what they are."""

    def layer(parameters, x, pick, rate):
        z = anp.tanh(anp.dot(x, parameters["w"]) + parameters["b"])
        return {"z": z * rate, "one": z[pick], "note": "text"}

    report = gradcheck.check(from_autograd(layer), {"w": X, "b": X[0]}, Y, np.array([0, 2]), 0.5)
    assert report.verdict is Verdict.PASS, str(report)
    assert sorted(report.resolutions) == ["parameters['b']", "parameters['w']", "x"]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [("outer", (X, Y), "not aligned"), ("tile", (X, 2), "array split does not result in an equal division")],
)
def test_what_autograd_has_wrong_is_found(anp, name, arguments, words):
    """autograd 1.9 cannot go back through outer and tile of matrices, which its forward computes."""
    report = gradcheck.check(from_autograd(getattr(anp, name), name=name), *arguments)
    if report.verdict is Verdict.PASS:
        pytest.skip("this autograd has it right")
    assert report.findings[0].kind is Kind.RAISES
    assert words in report.findings[0].message


@pytest.mark.parametrize("options", [{}, {"order": 2}, {"mode": "forward"}], ids=str)
def test_outputs_that_depend_on_no_input_have_no_gradient_and_warn_of_nothing(anp, options):
    """Alone or beside others; autograd warns of them, which is not for whoever asks for a verdict."""
    functions = [
        lambda x: np.ones(3),
        lambda x: (x**2, np.ones(3), 2.0, 3, None),
        lambda x: {"a": [x**2, 1.5], "b": anp.linalg.slogdet(np.eye(2))},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for function in functions:
            report = gradcheck.check(from_autograd(function, **options), X[0])
            assert report.verdict is Verdict.PASS, str(report)
        unused = from_autograd(lambda x, y: (x**2, np.ones(3)), **options)
        assert gradcheck.check(unused, X[0], Y[0]).verdict is Verdict.PASS


# -- planted -----------------------------------------------------------------------------------------------------------


def planted(autograd, vjp, jvp=None):
    """A primitive x³ with these rules."""
    from autograd.extend import defjvp, defvjp, primitive

    @primitive
    def cube(x):
        return x**3

    defvjp(cube, lambda value, x: lambda g: vjp(x, g))
    if jvp is not None:
        defjvp(cube, lambda g, value, x: jvp(x, g))
    return cube


FAULTS = {
    Kind.SIGN: lambda x, g: -3 * x**2 * g,
    Kind.FACTOR: lambda x, g: 1.5 * x**2 * g,
    Kind.ZERO: lambda x, g: 0 * g,
    Kind.TRANSPOSED: lambda x, g: (3 * x**2 * g).T,
    Kind.IGNORES_COTANGENT: lambda x, g: 3 * x**2,
    Kind.BRANCH: lambda x, g: 3 * x**2 * g * (x > 0),
}


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name)
def test_a_planted_defvjp_is_caught_and_named(autograd, kind):
    """A primitive is recognised, and its wrong vjp is a FAIL named for what was planted."""
    report = gradcheck.check(planted(autograd, FAULTS[kind]), X)
    assert report.verdict is Verdict.FAIL
    assert kind in {k for f in report.findings for k in (f.kind, *f.kinds)}, str(report)
    assert report.target == "cube"


def test_a_planted_defjvp_is_caught_where_the_vjp_is_right(autograd):
    """Forward mode is judged by itself."""
    cube = planted(autograd, lambda x, g: 3 * x**2 * g, lambda x, g: -3 * x**2 * g)
    assert gradcheck.check(cube, X).verdict is Verdict.PASS
    assert gradcheck.check(from_autograd(cube, mode="forward"), X).findings[0].kind is Kind.SIGN


# -- recognised, and refused -------------------------------------------------------------------------------------------


def test_primitives_are_recognised(anp, autograd):
    """autograd's NumPy functions and what @primitive made; NumPy's own are left alone."""
    assert autograd_.recognises(anp.tanh)
    assert autograd_.recognises(planted(autograd, FAULTS[Kind.SIGN]))
    assert not any(map(autograd_.recognises, (np.tanh, lambda x: x, 3, anp)))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda autograd: from_autograd(3), "from_autograd takes a function of arrays, got 3"),
        (lambda autograd: from_autograd(np.sin, order=0), "order must be 1, the gradient, or 2, .* got 0"),
        (
            lambda autograd: gradcheck.check(from_autograd(planted(autograd, FAULTS[Kind.SIGN]), mode="forward"), X),
            "cube, forward mode is not defined: JVP of cube wrt .* judge it with order=1 and mode='reverse'",
        ),
    ],
)
def test_bad_input_is_refused_by_name_rule_and_remedy(autograd, ask, words):
    """Each error says what was given, what is understood and what to do."""
    with pytest.raises((TypeError, ValueError), match=words):
        ask(autograd)


def test_a_missing_autograd_is_named_with_its_remedy(monkeypatch):
    """from_autograd without autograd says how to install it."""
    monkeypatch.setitem(sys.modules, "autograd", None)
    with pytest.raises(ImportError, match=r'from_autograd needs autograd, .*: pip install "gradcheck\[autograd\]"'):
        from_autograd(np.tanh)
