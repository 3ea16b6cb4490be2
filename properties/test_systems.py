"""The five systems: hand formula = engine = finite differences, whatever the hyperparameters; a wrong one is caught."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.backprop import ShapeError
from gradcheck.systems import SYSTEMS, chain_rule, regression, s1, s2, s3, s4, s5
from gradcheck.systems.hyperparameters import hidden_widths
from gradcheck.systems.verify import ENGINE_NUMERIC, HAND_ENGINE, HAND_NUMERIC, Check, compare, counted, worst


def broken(outcome):
    """The claims that do not hold, as (quantity, pair)."""
    return {(check.quantity, check.pair) for check in outcome.checks if not check.ok}


@cache
def by_default(name):
    """What a system gives with its default hyperparameters."""
    return SYSTEMS[name]()


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_trains_and_its_three_ways_agree(name):
    """With the default hyperparameters every claim holds, and every cost followed falls by a quarter at least."""
    outcome = by_default(name)
    assert not broken(outcome)
    assert {HAND_ENGINE, HAND_NUMERIC, ENGINE_NUMERIC} <= {check.pair for check in outcome.checks}
    for curve in outcome.curves.values():
        tenth = len(curve) // 10  # the mean of the last tenth: a mini-batch's cost is noisy
        assert np.mean(curve[-tenth:]) < 0.75 * curve[0]


def test_saturated_units_are_no_accident():
    """A learning rate of a million saturates every unit of S2: no overflow is reported, and the ways still agree."""
    found = broken(s2.run(learning_rate=1e6, steps=20))
    assert found <= {("E", "after descent ≤ before")}


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_bounds_leave_no_room_for_a_wrong_formula(name):
    """Every bound between two ways is below 1e-6: a pass is not had by asking for little."""
    for check in by_default(name).checks:
        if check.pair in (HAND_ENGINE, HAND_NUMERIC, ENGINE_NUMERIC):
            assert check.bound < 1e-6, check


few = {"hidden": st.integers(0, 3), "units": st.integers(1, 4), "seed": st.integers(0, 2**16)}


@settings(deadline=None, max_examples=5)
@given(**few, penalty=st.sampled_from((0.0, 1.0)), examples=st.integers(1, 8))
def test_s1_holds_for_any_layers_and_penalty(hidden, units, seed, penalty, examples):
    """The classifier's D is the gradient of its J for any hidden layers, λ and m."""
    assert not broken(s1.run(hidden=hidden, units=(units,), seed=seed, penalty=penalty, examples=examples, steps=2))


@settings(deadline=None, max_examples=8)
@given(**few)
def test_s2_holds_for_any_layers(hidden, units, seed):
    """The delta rule is the gradient of E for any hidden layers."""
    assert not broken(s2.run(hidden=hidden, units=(units,), seed=seed, steps=2, learning_rate=0.1))


@settings(deadline=None, max_examples=8)
@given(examples=st.integers(1, 9), batch=st.integers(1, 9), seed=st.integers(0, 2**16))
def test_s3_holds_for_any_batch(examples, batch, seed):
    """The row-major formulas are the gradient of the cost for any m."""
    assert not broken(s3.run(examples=examples, batch=batch, seed=seed, steps=2))


@settings(deadline=None, max_examples=12)
@given(**few, activation=st.sampled_from(sorted(s5.ACTIVATIONS)), examples=st.integers(1, 8))
def test_s5_holds_for_any_layers_and_activations(hidden, units, seed, activation, examples):
    """The L-layer formulas are the gradient of J for any depth, widths and activations."""
    options = {"hidden": hidden, "units": (units,), "activation": (activation,), "seed": seed, "examples": examples}
    assert not broken(s5.run(**options, steps=2, learning_rate=0.01))


def regularised_bias(Θ, X, Y, λ, right=s1.gradient):
    """The classic mistake: the penalty's derivative added to the bias column too."""
    return [D + λ / X.shape[1] * np.eye(1, Θl.shape[1]) * Θl for D, Θl in zip(right(Θ, X, Y, λ), Θ, strict=True)]


def unsummed(dA, W, cache, g, right=s5.backward_layer):
    """Another: the bias gradient summed over the columns, but not divided by m."""
    before, dW, db = right(dA, W, cache, g)
    return before, dW, db * dA.shape[1]


def unweighted(kind, X, Y, weights, W, b, right=regression.gradient):
    """And another: the examples' weights forgotten."""
    return right(kind, X, Y, np.ones_like(weights), W, b)


def steeper(name):
    """An example graph with one partial derivative 0.1% too large."""
    node = s4.EXAMPLE[name]
    return node._replace(partials=lambda *u: tuple(1.001 * slope for slope in node.partials(*u)))


@pytest.mark.parametrize(
    ("name", "module", "attribute", "wrong", "quantities"),
    [
        ("S1", s1, "g_prime", lambda a: 1.001 * a * (1 - a), {"Θ(1)", "Θ(2)", "Θ(1), one ex.", "Θ(2), one ex."}),
        ("S1", s1, "gradient", regularised_bias, {"Θ(1)", "Θ(2)", "Θ(3)"}),
        ("S2", s2, "f_prime", lambda o: o, {"w(1)", "w(2)", "E(w − η ∂E/∂w)"}),
        ("S3", s3, "errors", lambda *a, right=s3.errors: tuple(1.001 * e for e in right(*a)), {"W1", "b1", "W2", "b2"}),
        ("S4", s4, "EXAMPLE", s4.EXAMPLE | {"e": steeper("e")}, {"x", "∂u/∂x"}),
        ("S4", s4, "hessian_of_u", lambda x, y, right=s4.hessian_of_u: right(x, y) * (1 + np.eye(2)[0]), {"∂²u"}),
        (
            "S4",
            chain_rule,
            "tensor_jacobian",
            lambda A, X, right=chain_rule.tensor_jacobian: -right(A, X),
            {"∂T/∂X, tensor"},
        ),
        ("S4", regression, "gradient", unweighted, {f"{w}, {kind}" for w in "Wb" for kind in regression.KINDS}),
        ("S5", s5, "backward_layer", unsummed, {"b[1]", "b[2]", "b[3]"}),
    ],
)
def test_a_wrong_hand_formula_is_told_from_engine_and_finite_differences(
    monkeypatch, name, module, attribute, wrong, quantities
):
    """Where a formula is planted wrong, hand ≠ engine and hand ≠ finite difference, for these arrays and no others."""
    monkeypatch.setattr(module, attribute, wrong)
    found = broken(SYSTEMS[name](steps=3))
    assert {quantity for quantity, pair in found if "descent" not in pair} == quantities
    assert ENGINE_NUMERIC not in {pair for _, pair in found}


def test_a_wrong_engine_is_told_from_hand_and_finite_differences(monkeypatch):
    """An engine wrong by 0.1% disagrees with both others, which agree."""
    right = s3.engine_slope

    def wrong(point, data):
        cost, gradient = right(point, data)
        return cost, gradient | {"W2": 1.001 * gradient["W2"]}

    monkeypatch.setattr(s3, "engine_slope", wrong)
    assert broken(s3.run(steps=3)) == {("W2", HAND_ENGINE), ("W2", ENGINE_NUMERIC)}


def test_a_wrong_cost_is_told_by_finite_differences(monkeypatch):
    """A cost twice too large belies hand formula and engine, which agree on the gradient."""
    right = s3.cost
    monkeypatch.setattr(s3, "cost", lambda *a, **k: 2 * right(*a, **k))
    arrays = {(name, pair) for name in ("W1", "b1", "W2", "b2") for pair in (HAND_NUMERIC, ENGINE_NUMERIC)}
    assert broken(s3.run(steps=3)) == {("cost", HAND_ENGINE), *arrays}


def test_s2_notices_a_step_that_does_not_lower_the_error(monkeypatch):
    """With the gradient's sign turned, E rises to first order and after descent, and both claims fail."""
    right = s2.gradient
    monkeypatch.setattr(s2, "gradient", lambda *a: [-g for g in right(*a)])
    found = broken(s2.run(steps=20))
    assert {("E(w − η ∂E/∂w)", "E falls by η|∂E/∂w|²"), ("E", "after descent ≤ before")} <= found


@settings(deadline=None)
@given(n=st.integers(0, 10))
def test_the_grad_table_costs_the_edges_and_recomputation_the_paths(n):
    """On n squarings the table takes 2n products; without it 2ⁿ⁺¹ − 2, for the same derivative 2ⁿ."""
    table, few = s4.grad_table(s4.ladder(n), {"u0": 1.0})
    derivative, many = s4.without_table(s4.ladder(n), {"u0": 1.0})
    assert (few, many) == (2 * n, 2 ** (n + 1) - 2)
    assert table["u0"] == derivative == 2**n


@settings(deadline=None)
@given(x=st.integers(-12, 12), y=st.integers(-12, 12))
def test_the_hand_grad_table_is_the_closed_form(x, y):
    """The table's ∂u is that of the formula derived on paper, and agrees without the table too."""
    x, y = x / 8, y / 8
    p, e = x * y, math.exp(x)
    table, _ = s4.grad_table(s4.EXAMPLE, {"x": x, "y": y})
    paper = math.cos(p) * y * (p + e) + math.sin(p) * (y + e)
    # Some ten operations on terms that are at most |y| (|p| + e) + |y| + e.
    bound = 20 * np.finfo(float).eps * (abs(y) * (abs(p) + e) + abs(y) + e)
    assert abs(table["x"] - paper) <= bound
    assert abs(table["x"] - s4.without_table(s4.EXAMPLE, {"x": x, "y": y})[0]) <= bound


def test_sgd_finds_what_least_squares_finds():
    """Weighted linear regression by full-batch descent ends at the weighted least-squares solution."""
    data = regression.noisy_plane("linear", 20, seed=3)
    point = {"W": np.zeros((3, 1)), "b": np.zeros((1, 1))}
    for _ in range(400):
        gradient = regression.slope(point, data, "linear")[1]
        point = {name: w - 0.5 * gradient[name] for name, w in point.items()}
    root = np.sqrt(data["weights"])[:, None]
    solution = np.linalg.lstsq(root * np.hstack((data["X"], np.ones((20, 1)))), root * data["Y"])[0]
    # Descent stalls when its steps drown in rounding: a few units in the last place over the smallest curvature.
    assert np.max(np.abs(np.vstack((point["W"], point["b"])) - solution)) <= 1000 * np.finfo(float).eps


S5_POINT = s5.initial((2, 3, 1), seed=0)
S5_DATA = s5.rings(4, seed=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"W[2]": np.ones((3, 1))}, ["layer 2, W[2] A[1]", "(3, 1) and (3, 4)", "(n[2], n[1])", "n[1] = 3"]),
        ({"W[1]": np.ones((3, 5))}, ["layer 1, W[1] A[0]", "(3, 5) and (2, 4)", "(n[1], n[0])"]),
        ({"b[1]": np.ones(3)}, ["layer 1, b[1]", "(3,) and (3, 1)", "broadcast over the columns of Z[1]"]),
        ({"b[2]": np.ones((1, 4))}, ["layer 2, b[2]", "(1, 4) and (1, 1)", "(n[2], 1)"]),
        ({"Y": np.ones((4, 1))}, ["layer 2, Y", "(4, 1) and (1, 4)", "shape of A[2], (n[2], m)"]),
        ({"X": np.ones(2)}, ["X: shape (2,)", "(n0, m), one column an example"]),
    ],
)
def test_s5_names_the_shape_that_does_not_fit(change, words):
    """The error names the layer, the two shapes and the rule of the column convention."""
    point = {name: change.get(name, array) for name, array in S5_POINT.items()}
    data = {name: change.get(name, array) for name, array in S5_DATA.items()}
    with pytest.raises(ShapeError) as raised:
        s5.slope(point, data, ("tanh", "sigmoid"))
    for word in words:
        assert word in str(raised.value)


def test_s5_gradients_have_the_shapes_of_what_they_are_gradients_of():
    """dW, db and dA have the shapes of W, b and A."""
    gradient = s5.slope(S5_POINT, S5_DATA, ("relu", "sigmoid"))[1]
    assert {name: g.shape for name, g in gradient.items()} == {name: w.shape for name, w in S5_POINT.items()}


@pytest.mark.parametrize(
    ("run", "options", "message"),
    [
        (s5.run, {"activation": ("swish",)}, "unknown activation 'swish': the known ones are identity, sigmoid, tanh"),
        (s5.run, {"activation": ("relu",) * 3}, r"3 values of activation \(relu, relu, relu\) for 2 hidden layers"),
        (s1.run, {"units": (3, 4, 5)}, r"3 values of units \(3, 4, 5\) for 2 hidden layers: give one for all"),
        (s2.run, {"hidden": -1}, "hidden=-1: the number of hidden layers must be 0 or more"),
        (s2.run, {"units": (0,)}, r"units=\(0,\): a hidden layer needs at least one unit"),
        (s3.run, {"learning_rate": -1.0}, "learning_rate=-1.0: it must be positive"),
        (s3.run, {"batch": 0}, "batch=0: a mini-batch needs at least one example"),
    ],
)
def test_hyperparameters_that_make_no_sense_are_refused(run, options, message):
    """Each error names the value and the rule."""
    with pytest.raises(ValueError, match=message):
        run(**options)


@settings(deadline=None)
@given(hidden=st.integers(0, 4), units=st.integers(1, 9))
def test_one_number_of_units_serves_all_hidden_layers(hidden, units):
    """`hidden_widths` repeats one width, and takes a list of the right length as it is."""
    assert hidden_widths(hidden, (units,)) == (units,) * hidden
    assert hidden_widths(2, (units, 3)) == (units, 3)


def test_a_comparison_shows_the_largest_difference_or_the_worst_break():
    """Within bounds it shows the entry of the largest difference, else the worst break; NaN is within no bound."""
    zero = np.zeros(3)
    assert compare("a", "b", zero, np.array([1.0, 3.0, 2.0]), 5.0) == Check("a", "b", 3.0, 5.0)
    assert compare("a", "b", zero, np.array([1.0, 3.0, 2.0]), np.array([0.1, 5.0, 5.0])) == Check("a", "b", 1.0, 0.1)
    assert not compare("a", "b", zero, np.array([0.0, np.nan, 0.0]), 1.0).ok
    assert not compare("a", "b", zero, np.zeros(3), np.array([1.0, 1.0, np.nan])).ok
    assert not compare("a", "b", zero, np.zeros((3, 1)), 1.0).ok
    assert not counted("edges", 7, "edges", 8).ok


def test_of_claims_checked_twice_the_worse_is_kept():
    """A break is kept over any success, and of two successes the one nearer to its bound."""
    easy, near, far = Check("a", "b", 0.1, 1.0), Check("a", "b", 0.2, 0.25), Check("a", "b", 3.0, 1.0)
    assert worst((easy,), (near,)) == worst((near,), (easy,)) == (near,)
    assert worst((far,), (near,)) == worst((near,), (far,)) == (far,)
