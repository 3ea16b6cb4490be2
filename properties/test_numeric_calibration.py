"""The error estimates are honest and sharp: measured on functions whose derivatives are known in closed form."""

import numpy as np
import pytest

from gradcheck.numeric import Central, ComplexStep, Estimate, Fit, Richardson, derivative
from gradcheck.numeric.calibration import CASES, measure
from gradcheck.numeric.fields import DEFAULT

SMOOTH = [name for name, case in CASES.items() if case.smooth]


@pytest.mark.parametrize("name", CASES)
def test_the_default_error_covers_the_truth(name):
    """At 99 of 100 points at least, on every function, however nasty."""
    assert measure(DEFAULT, CASES[name], points=100, seed=1).coverage >= 0.99


@pytest.mark.parametrize("name", CASES)
def test_the_fitted_curve_covers_the_truth(name):
    """The second numerical way is as honest as the first: every one of 20 points."""
    assert measure(Fit(), CASES[name], points=20, seed=2).coverage == 1.0


@pytest.mark.parametrize("name", CASES)
def test_the_complex_step_covers_the_truth_or_refuses(name):
    """Whatever the complex step answers is right within its error; where f is not analytic it does not answer."""
    calibration = measure(ComplexStep(), CASES[name], points=20, seed=3)
    assert calibration.answered == 0 or calibration.coverage == 1.0


@pytest.mark.parametrize("name", SMOOTH)
def test_errors_are_sharp_on_smooth_functions(name):
    """Honest by being vague would be cheap: the median error is below 1e-8 of the derivative."""
    assert measure(DEFAULT, CASES[name], points=30, seed=4).relative < 1e-8


@pytest.mark.parametrize("name", SMOOTH)
def test_cheap_schemes_keep_their_word_where_they_may_be_used(name):
    """On functions smooth on the scale of x, central differences at one step cover the truth too."""
    assert measure(Central(), CASES[name], points=60, seed=5).coverage >= 0.95


def test_there_are_many_cases():
    """The target is 20 functions at least."""
    assert len(CASES) >= 20
    assert len(SMOOTH) >= 8


def test_the_measure_sees_a_liar():
    """A scheme whose error is 0.1% of what it should be is found out, so that 99% means something."""

    class Liar:
        def along(self, line, order):
            honest = Richardson().along(line, order)
            return Estimate(honest.value, honest.error * 1e-3, honest.evaluations)

    assert measure(Liar(), CASES["log"], points=50).coverage < 0.5


def test_the_measure_sees_the_cheap_schemes_assumptions_broken():
    """float32 inside a float64 function breaks what Central assumes, as its docstring says."""
    assert measure(Central(), CASES["float32 inside"], points=50).coverage < 0.95


@pytest.mark.parametrize("scheme", [Richardson(), Fit()], ids=repr)
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_higher_derivatives_cover_the_truth(scheme, k):
    """The k-th derivatives of sin, whose values are known, at 25 points of every size, also under an offset of 1e8."""
    truths = [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin]
    points = np.random.default_rng(k).uniform(-5, 5, 25)
    for f in (np.sin, lambda x: 1e8 + np.sin(x)):
        estimates = [derivative(f, x, order=k, scheme=scheme) for x in points]
        covered = [e.covers(truths[k - 1](np.longdouble(x))) for e, x in zip(estimates, points, strict=True)]
        assert sum(covered) >= 24


def test_a_periodic_function_that_agrees_with_itself_at_large_steps_is_not_believed():
    """sin(1000 x) at 1 is 562.4 steep; numdifftools' answer is 0.117."""
    e = derivative(lambda x: np.sin(1000 * x), 1.0)
    assert e.covers(1000 * np.cos(np.longdouble(1000)))
    assert e.error < 1e-6
