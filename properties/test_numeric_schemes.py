"""Stencils, noise, complex step and the derivatives of fields keep their laws."""

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.numeric import (
    Backward,
    Central,
    ComplexStep,
    Fit,
    Forward,
    NotAnalyticError,
    Richardson,
    Stencil,
    derivative,
    directional,
    gradient,
    hessian,
    jacobian,
    noise,
    stencil_weights,
)

SCHEMES = [Richardson(), Fit(), ComplexStep(), Central(), Central(4), Forward(), Backward(3), Stencil((-2, -1, 1, 3))]
offsets = st.lists(st.integers(-12, 12), min_size=2, max_size=7, unique=True)


@given(offsets, st.data())
@settings(deadline=None, max_examples=50)
def test_stencils_differentiate_every_polynomial_they_can(offsets, data):
    """Through p points, the weights give the derivative of order n of x^k at 0 exactly, for every k < p."""
    order = data.draw(st.integers(1, len(offsets) - 1))
    weights = stencil_weights(offsets, order)
    for power in range(len(offsets)):
        terms = [Fraction(w) * Fraction(o) ** power for w, o in zip(weights.tolist(), offsets, strict=True)]
        exact = factorial(order) if power == order else 0
        # each weight is rounded once, by half an ulp at most
        assert abs(sum(terms) - exact) <= sum(map(abs, terms)) * Fraction(2) ** -53


@given(offsets)
@settings(deadline=None, max_examples=25)
def test_mirrored_stencils_have_mirrored_weights(offsets):
    """f(-x) has the opposite slope: reflecting the offsets negates the first-order weights."""
    assert stencil_weights([-o for o in offsets], 1).tolist() == [-w for w in stencil_weights(offsets, 1).tolist()]


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
def test_the_repr_of_a_scheme_is_runnable(scheme):
    """A scheme is a value: evaluating its repr gives an equal one, with an equal hash."""
    again = eval(repr(scheme))
    assert again == scheme
    assert hash(again) == hash(scheme)


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_every_scheme_works_in_every_precision(scheme, dtype):
    """exp at 1.5 within the error, computed in x's own dtype; more precision gives a smaller error."""
    seen = set()

    def f(x):
        seen.add(x.real.dtype)
        return np.exp(x)

    e = derivative(f, np.dtype(dtype).type(1.5), scheme=scheme)
    assert e.covers(np.exp(np.longdouble(1.5)))
    assert e.error < {"float32": 1e-1, "float64": 1e-4, "longdouble": 1e-5}[dtype]  # Central(2) in float32 is the worst
    assert seen == {np.dtype(dtype)}


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
def test_evaluations_are_counted(scheme):
    """The price in the estimate is the number of times f was called."""
    calls = []
    e = derivative(lambda x: (calls.append(x), np.sin(x))[1], 0.7, scheme=scheme)
    assert e.evaluations == len(calls)


@given(st.floats(1e-300, 1e300))
@settings(deadline=None, max_examples=25)
def test_steps_scale_with_x(x):
    """The logarithm's slope is found with the same relative error at 1e-300 and 1e300."""
    e = derivative(np.log, x)
    assert e.covers(1 / np.longdouble(x))
    assert e.error * x < 1e-8


def test_steps_outside_the_domain_are_dropped():
    """math.log raises for negative numbers and numpy gives NaN: both only shorten the ladder."""
    import math

    for f in (math.log, np.log):
        e = derivative(f, 1e-3)
        assert e.covers(1000.0)
        assert e.error < 1e-6


def test_an_error_at_the_point_itself_is_raised():
    """Only steps may leave f's domain: what f raises at x is for the caller."""
    import math

    with pytest.raises(ValueError, match=r"math domain error|expected a positive input"):
        derivative(math.log, -1.0)


def test_a_function_that_is_nan_has_no_derivative():
    """The value is NaN and the error infinite, for every scheme that looks at real points."""
    for scheme in (Richardson(), Fit(), Central()):
        e = derivative(np.log, -1.0, scheme=scheme)
        assert np.isnan(e.value)
        assert e.error == np.inf


@pytest.mark.parametrize(
    ("f", "low", "high"),
    [
        (np.sin, 1e-17, 1e-14),
        (lambda x: np.float64(np.sin(np.float32(x))), 1e-8, 1e-5),
        (lambda x: (1e8 + np.sin(x)) - 1e8, 1e-9, 1e-6),
        (lambda x: np.sin(x) + 1e-6 * np.sin(1e15 * x), 1e-7, 1e-4),
    ],
    ids=["float64", "float32 inside", "cancellation", "added noise"],
)
def test_noise_is_seen_at_its_size(f, low, high):
    """The bar lies above the rounding that is there, and no more than some hundred times above."""
    for x in np.random.default_rng(0).uniform(0.5, 3, 20):
        assert low < noise(f, x) < high


def test_noise_of_many_outputs_is_told_apart():
    """A coarse output does not spoil the bar of a fine one beside it."""
    bars = noise(lambda x: np.stack([np.sin(x), np.float64(np.float32(np.sin(x)))]), np.array([1.0, 2.0]))
    assert bars.shape == (2, 2)
    assert (bars[0] < 1e-14).all()
    assert (bars[1] > 1e-8).all()


NOT_ANALYTIC = {
    "a real cast": (lambda x: np.asarray(x).astype(float) ** 2, "ComplexWarning"),
    "abs": (lambda x: abs(x) ** 2, "returned float64"),
    "real": (lambda x: np.sin(x.real), "returned float64"),
    "float": (lambda x: float(x) ** 2, "refused|ComplexWarning"),
    "math": (lambda x: __import__("math").sin(x), "ComplexWarning"),
    "arctan2": (lambda x: np.arctan2(x, 1.0), "refused a complex x"),
    "x·conj(x)": (lambda x: x * np.conj(x), "finite differences say"),
    "abs in part": (lambda x: np.sin(x) + x * abs(x), "finite differences say"),
}


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_a_complex_step_through_what_is_not_analytic_is_refused(name):
    """It would silently give 0 or half the truth; the refusal says what was seen and what to use instead."""
    f, words = NOT_ANALYTIC[name]
    with pytest.raises(NotAnalyticError, match=words) as refusal:
        derivative(f, 1.3, scheme=ComplexStep())
    assert "use Richardson()" in str(refusal.value)


def test_a_norm_is_refused_in_a_gradient():
    """np.linalg.norm is real for complex input: no gradient by complex step."""
    with pytest.raises(NotAnalyticError, match="returned float64"):
        gradient(np.linalg.norm, np.array([3.0, 4.0]), scheme=ComplexStep())


matrices = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).normal(size=(3, 4)))


@given(matrices, st.sampled_from([Richardson(), ComplexStep(), Fit()]))
@settings(deadline=None, max_examples=15)
def test_fields_agree_with_their_closed_forms(a, scheme):
    """The Jacobian of tanh(Ax), the gradient of its sum and a derivative along a line, all within their errors."""
    x, u = a[0] / 2, a[1]
    slope = a / np.cosh(a.astype(np.longdouble) @ x)[:, None] ** 2
    j = jacobian(lambda x: np.tanh(a @ x), x, scheme=scheme)
    assert j.value.shape == (3, 4)
    assert j.covers(slope).all()
    assert gradient(lambda x: np.sum(np.tanh(a @ x)), x, scheme=scheme).covers(slope.sum(axis=0)).all()
    assert directional(lambda x: np.tanh(a @ x), x, u, scheme=scheme).covers(slope @ u).all()


@given(matrices)
@settings(deadline=None, max_examples=6)
def test_hessians_are_symmetric_and_right(a):
    """For f = Σ exp(Ax), H = Aᵀ diag(exp(Ax)) A, at points whose entries differ in size."""
    a, x = a[:, :3] / 3, a[0, :3] * [1, 10, 0.1]
    h = hessian(lambda x: np.sum(np.exp(a @ x)), x)
    assert (h.value == h.value.T).all()
    assert h.covers(a.T @ (np.exp(a @ x)[:, None] * a)).all()
    assert (h.error < 1e-4 * np.abs(h.value).max()).all()


def test_fields_keep_shape_and_dtype_and_do_not_share_x():
    """f gets arrays of x's shape and dtype, and may scribble on them."""
    x = np.ones((2, 3), np.float32)

    def f(x):
        assert x.shape == (2, 3)
        assert x.dtype == np.float32
        value = np.sum(x * x)
        x[...] = np.nan
        return value

    assert gradient(f, x).covers(2.0).all()
    assert (x == 1).all()
