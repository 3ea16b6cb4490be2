"""The statistic of a cost curve: what it says of recorded shapes of cost, exact, noisy and loaded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.cost.scaling import CLOCK_GATE, COUNT_GATE, fit

SIZES = np.unique(np.geomspace(100, 6400, 8).astype(int))
SEEDS = range(100)


def minima(cost, seed, rounds=28, load=0.0):
    """Shortest of noisy rounds: 1% jitter of a round, delays of 3% on average, and of `load` more."""
    rng = np.random.default_rng(seed)
    clean = np.array([cost(n) for n in SIZES])
    drift = 1 + 0.01 * rng.standard_normal((rounds, 1))
    delays = rng.exponential(0.03 + load, (rounds, len(SIZES)))
    return (clean * drift * (1 + delays)).min(axis=0)


def linear(n):
    return 30 + 2.5 * n


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.floats(0, 10))
def test_the_share_of_an_exact_quadratic_is_found(fixed, per_edge, ratio):
    """a + bE + cE² has the share cE/(b + cE) at the largest E, and an interval no wider than rounding."""
    largest = float(SIZES[-1])
    costs = [fixed + per_edge * n * (1 + ratio * n / largest) for n in SIZES]
    share = fit(SIZES, costs).share
    # Rounding of the costs, ε each, is magnified where the fixed part hides the growing one.
    rounding = 1e4 * np.finfo(float).eps * max(costs) / (per_edge * largest)
    assert abs(share.value - ratio / (1 + ratio)) <= rounding
    assert share.low <= share.value <= share.high


@pytest.mark.parametrize("load", [0.0, 0.3])
def test_linear_code_is_left_alone_in_100_of_100_runs(load):
    """Idle, and with delays of 30% of the time on average."""
    assert not any(fit(SIZES, minima(linear, seed, load=load)).beyond(CLOCK_GATE) for seed in SEEDS)


@pytest.mark.parametrize(
    "cost",
    [lambda n: 2.5 * n * np.log(n), lambda n: linear(n) + 1.2e-4 * n * n, lambda n: 0.01 * n * n, lambda n: 1.01**n],
    ids=["n log n", "list scan", "quadratic", "exponential"],
)
def test_what_is_not_linear_is_caught_in_100_of_100_runs(cost):
    """n·log n, a scan that takes a fifth of the time at the largest size, n², and an exponential."""
    assert all(fit(SIZES, minima(cost, seed)).beyond(CLOCK_GATE) for seed in SEEDS)


def test_the_interval_holds_the_true_share_as_often_as_it_says():
    """90% of intervals, within what 500 trials can tell, for noise that is normal and two-sided."""
    rng = np.random.default_rng(0)
    clean = np.array([20 + n + n * n / 20_000 for n in SIZES])
    truth = SIZES[-1] / 20_000 / (1 + SIZES[-1] / 20_000)
    shares = [fit(SIZES, clean * (1 + 0.01 * rng.standard_normal(len(SIZES)))).share for _ in range(500)]
    held = np.mean([share.low <= truth <= share.high for share in shares])
    # 500 trials of 0.9 have a standard deviation of 0.0134; four of them is 0.054
    assert abs(held - 0.9) < 0.054


def test_a_cost_that_does_not_grow_has_no_share():
    """A constant with noise: the interval is unbounded, so nothing is said and nothing is accused."""
    costs = 100 * (1 + 0.01 * np.random.default_rng(0).standard_normal(len(SIZES)))
    share = fit(SIZES, costs).share
    assert (share.low, share.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("order", [2, 3])
def test_a_claimed_order_is_allowed_and_the_next_one_is_not(order):
    """E² is no fault where order=2 is claimed; E³ is, and E⁴ for order=3."""
    assert not fit(SIZES, [5 + n**order for n in SIZES], order).beyond(COUNT_GATE)
    assert fit(SIZES, [5 + n ** (order + 1) for n in SIZES], order).beyond(CLOCK_GATE)
    assert not fit(SIZES, [5 + n for n in SIZES], order).beyond(COUNT_GATE)


def test_the_slope_is_the_power():
    """The slope of log cost over log size is the exponent, with an interval that holds it."""
    slope = fit(SIZES, [n**1.5 for n in SIZES]).slope
    rounding = 1e-12  # of eight logarithms; the interval of an exact power is as narrow as that
    assert slope.low - rounding <= 1.5 <= slope.high + rounding
    assert abs(slope.value - 1.5) < rounding


def test_the_band_is_widest_beyond_the_sizes_and_holds_the_fit():
    """`at` gives the fitted cost, exactly a + bE + cE², and a half-width that grows where it extrapolates."""
    curve = fit(SIZES, minima(linear, 0))
    cost, half = curve.at([SIZES[3], SIZES[-1], 4 * SIZES[-1]])
    assert half[2] > half[1] > 0
    assert cost[1] == pytest.approx(sum(curve.coefficients), rel=1e-12)  # three additions


@pytest.mark.parametrize(
    ("sizes", "costs", "order", "words"),
    [
        ([1, 2, 3, 4], [1.0] * 4, 1, "4 sizes with 4 costs: a fit needs 5 different sizes or more"),
        ([1, 2, 3, 3, 3], [1.0] * 5, 1, "3 sizes with 5 costs"),
        ([1, 2, 3, 4, 5], [1.0, 1, 1, 1, 0], 1, "costs 0 … 1: the order is 1, 2, …, a cost is positive"),
        ([1, 2, 3, 4, 5], [1.0] * 5, 0, "order=0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes, costs, order, words):
    """Too few sizes, a cost that is not positive and an order below 1 are named."""
    with pytest.raises(ValueError, match=words):
        fit(sizes, costs, order)
