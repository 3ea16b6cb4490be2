"""from_jax: what is in jax.nn passes, a planted custom_vjp or custom_jvp is caught, the caller's config stays."""

import sys

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Verdict, from_jax
from gradcheck.adapters import jax_

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
LABELS = np.array([0, 2, 1, 1])


@pytest.fixture(scope="module")
def jax(require):
    return require("jax")


# -- what nobody here wrote --------------------------------------------------------------------------------------------

ACTIVATIONS = (
    "celu elu gelu glu hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid log_softmax logsumexp mish relu relu6 "
    "selu sigmoid silu soft_sign softmax softplus sparse_plus sparse_sigmoid squareplus standardize tanh identity"
)


@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_no_function_of_jax_nn_is_accused(jax, name):
    """Every activation and normalisation passes, those with a custom_jvp of their own among them."""
    x = X[:, :2] if name == "glu" else X
    report = gradcheck.check(from_jax(getattr(jax.nn, name)), x)
    assert report.verdict is Verdict.PASS, str(report)
    assert report.dtype == "float64"
    assert report.resolution < 1e-8


@pytest.mark.parametrize("name", ["relu", "silu"])
def test_forward_mode_and_second_order_of_jax_nn_pass(jax, name):
    """custom_jvp rules are what forward mode uses, and are differentiated again for order 2."""
    for options in ({"mode": "forward"}, {"order": 2}):
        report = gradcheck.check(from_jax(getattr(jax.nn, name), **options), X[0])
        assert report.verdict is Verdict.PASS, str(report)


def test_pytrees_are_judged_leaf_by_leaf(jax):
    """Parameters in a tree are named as one reaches them; keys, Python numbers and integers stay what they are."""

    def loss(parameters, x, labels, key, rate):
        keep = jax.random.bernoulli(key, 1 - rate, x.shape)
        logits = (x * keep) @ parameters["dense"][0] + parameters["dense"][1]
        return {"loss": -jax.nn.log_softmax(logits)[jax.numpy.arange(len(labels)), labels].mean(), "logits": logits}

    parameters = {"dense": (RNG.normal(size=(3, 3)), RNG.normal(size=3)), "unused": None}
    report = gradcheck.check(from_jax(loss), parameters, X, LABELS, jax.random.key(0), 0.5)
    assert report.verdict is Verdict.PASS, str(report)
    assert sorted(report.resolutions) == ["parameters['dense'][0]", "parameters['dense'][1]", "x"]


def test_registered_containers_are_trees_too(jax):
    """What JAX has been taught to take apart is taken apart."""

    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    jax.tree_util.register_pytree_node(Pair, lambda p: ((p.a, p.b), None), lambda _, children: Pair(*children))
    report = gradcheck.check(from_jax(lambda pair: Pair(pair.a * pair.b, pair.a.sum())), Pair(X, X + 1))
    assert report.verdict is Verdict.PASS
    assert len(report.resolutions) == 2


# -- planted -----------------------------------------------------------------------------------------------------------


def planted(jax, backward):
    """x³ with this backward, as a custom_vjp."""

    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (backward(x, g),))
    return cube


FAULTS = {
    Kind.SIGN: lambda x, g: -3 * x**2 * g,
    Kind.FACTOR: lambda x, g: 1.5 * x**2 * g,
    Kind.ZERO: lambda x, g: 0 * g,
    Kind.NONLINEAR: lambda x, g: 3 * x**2 * abs(g),
    Kind.IGNORES_COTANGENT: lambda x, g: 3 * x**2,
    Kind.BRANCH: lambda x, g: 3 * x**2 * g * (x > 0),
    Kind.LOW_PRECISION: lambda x, g: (3 * x**2 * g).astype("float16").astype(x.dtype),
}


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name)
def test_a_planted_custom_vjp_is_caught_and_named(jax, kind):
    """Each wrong backward is a FAIL named for what was planted, jitted or not."""
    for function in (planted(jax, FAULTS[kind]), jax.jit(planted(jax, FAULTS[kind]))):
        report = gradcheck.check(function, np.array([[0.7, -1.3, 2.1], [-0.4, 1.7, 0.9]]))
        assert report.verdict is Verdict.FAIL
        assert kind in {k for f in report.findings for k in (f.kind, *f.kinds)}, str(report)


def test_a_planted_custom_jvp_is_caught_both_ways(jax):
    """A wrong jvp rule is wrong when transposed, too."""

    @jax.custom_jvp
    def cube(x):
        return x**3

    cube.defjvps(lambda tangent, value, x: 6 * x**2 * tangent)
    for options in ({}, {"mode": "forward"}):
        finding = gradcheck.check(from_jax(cube, **options), X).findings[0]
        assert finding.kind is Kind.FACTOR
        assert finding.claimed == pytest.approx(2 * finding.numeric)


def test_a_stop_gradient_in_a_backward_is_seen_at_second_order(jax):
    """The gradient is right, the gradient of the gradient is silently zero."""
    stopped = planted(jax, lambda x, g: 3 * jax.lax.stop_gradient(x) ** 2 * g)
    assert gradcheck.check(stopped, X).verdict is Verdict.PASS
    report = gradcheck.check(from_jax(stopped, order=2), X)
    assert {f.input: f.kind for f in report.findings} == {"x": Kind.ZERO}
    assert report.target == "cube, double backward"


# -- nothing is changed ------------------------------------------------------------------------------------------------


def test_float64_is_judged_in_float64_and_the_config_stays(jax):
    """x64 is enabled for the call alone; JAX's own float32 arrays are judged as float32, and the report says so."""
    before = jax.config.jax_enable_x64
    wide = gradcheck.check(from_jax(jax.numpy.tanh), X)
    assert wide.dtype == "float64"
    assert jax.config.jax_enable_x64 == before
    with jax.enable_x64(False):
        narrow = gradcheck.check(from_jax(jax.numpy.tanh), jax.numpy.array(X, dtype="float32"))
    assert (narrow.verdict, narrow.dtype) == (Verdict.PASS, "float32")
    assert narrow.notes == ("float32, as JAX made the inputs: give NumPy float64 arrays to see smaller errors",)
    assert narrow.resolution > 1e3 * wide.resolution


def test_arrays_given_and_returned_are_not_jaxs(jax):
    """The judge's arrays are copied on the way in, what comes back can be written to."""
    target, arrays = from_jax(lambda x: x).bind(X)
    value = target.value(*arrays)
    gradient = target.linearize(*arrays)(np.ones_like(X))[0]
    assert value.flags.writeable
    assert gradient.flags.writeable
    value[:] = 7
    assert np.array_equal(arrays[0], X)
    assert np.array_equal(target.value(np.broadcast_to(X[0], (2, 3))[:, ::-1]), np.broadcast_to(X[0], (2, 3))[:, ::-1])


def test_complex_gradients_are_recognised_as_jaxs(jax):
    """JAX returns Jᵀv where others return conj(J)ᵀv; the report notes it."""
    z = X[0] + 1j * X[1]
    report = gradcheck.check(from_jax(lambda z: z * jax.numpy.conj(z) * z), z)
    assert report.verdict is Verdict.PASS
    assert any("as JAX has them" in note for note in report.notes)


def test_arrays_in_the_other_byte_order_are_judged(jax):
    """JAX takes none of them, and is given what they hold."""
    report = gradcheck.check(from_jax(jax.numpy.sin), X[0].astype(X.dtype.newbyteorder("S")))
    assert report.verdict is Verdict.PASS, str(report)


def test_frozen_inputs_are_held(jax):
    """By position, by name, or by the path of a leaf."""
    for frozen in (1, "b", "a['p']"):
        report = gradcheck.check(from_jax(lambda a, b: a["p"] * a["q"] * b, frozen=frozen), {"p": X, "q": X}, X)
        everything = {"a['p']", "a['q']", "b"}
        assert set(report.resolutions) == everything - {"b" if frozen == 1 else frozen}


# -- recognised, and refused -------------------------------------------------------------------------------------------


def test_jaxs_own_are_recognised(jax):
    """custom_vjp, custom_jvp, jit and jax's functions need no from_jax; others' functions are left alone."""
    for function in (planted(jax, FAULTS[Kind.SIGN]), jax.jit(np.tanh), jax.nn.relu, jax.numpy.tanh, jax.nn.softmax):
        assert jax_.recognises(function)
    assert not any(map(jax_.recognises, (np.tanh, lambda x: x, jax.Array, 3, jax.numpy.ones(2))))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda jax: from_jax(3), "from_jax takes a function of arrays or pytrees, got 3"),
        (lambda jax: from_jax(jax.numpy.sin, order=0), "order must be 1, the gradient, or 2, .* got 0"),
        (lambda jax: from_jax(jax.numpy.sin, mode="jvp"), "mode must be 'reverse', the backward pass, .* got 'jvp'"),
        (
            lambda jax: gradcheck.check(from_jax(planted(jax, FAULTS[Kind.SIGN]), mode="forward"), X),
            "cube, forward mode is not defined: can't apply forward-mode .* judge it with order=1 and mode='reverse'",
        ),
        (
            lambda jax: gradcheck.check(from_jax(jax.numpy.sin, frozen="y"), X),
            "sin: frozen names 'y', but the inputs are 0, x; name one of these or give its position",
        ),
    ],
)
def test_bad_input_is_refused_by_name_rule_and_remedy(jax, ask, words):
    """Each error says what was given, what is understood and what to do."""
    with pytest.raises((TypeError, ValueError), match=words):
        ask(jax)


def test_a_missing_jax_is_named_with_its_remedy(monkeypatch):
    """from_jax without JAX says how to install it, and recognising an object does not import it."""
    monkeypatch.setitem(sys.modules, "jax", None)
    assert not jax_.recognises(np.tanh)
    with pytest.raises(ImportError, match=r'from_jax needs jax, .*; install it: pip install "gradcheck\[jax\]"'):
        from_jax(np.tanh)
