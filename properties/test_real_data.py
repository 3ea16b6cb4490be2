"""On scikit-learn's digits S1 and S5 learn to over 90%, their gradients right all along; MLPClassifier's agree."""

import inspect
from functools import partial

import numpy as np
import pytest

from gradcheck.backprop import Dense, sgd
from gradcheck.numeric import derivative, directional
from gradcheck.systems import s1, s5
from gradcheck.systems.verify import BEYOND, rounding_of


@pytest.fixture(scope="module")
def digits(require):
    """1,797 images of 8 × 8 pixels in [0, 1], one a column; one-hot targets; the classes; in a shuffled order."""
    images, classes = require("sklearn.datasets").load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(classes))
    return images[order].T / 16, np.eye(10)[classes[order]].T, classes[order]


def assert_is_the_derivative(cost, gradient, point, rounding, seed):
    """Compare each array of a gradient with finite differences: along one random direction and at two entries."""
    rng = np.random.default_rng(seed)
    for name, w in point.items():

        def along(moved, name=name):
            return cost({**point, name: moved})

        def entry(t, index, name=name, w=w):
            moved = w.copy()
            moved[index] = t
            return along(moved, name)

        u = rng.choice((-1.0, 1.0), w.shape)
        numeric = directional(along, w, u)
        bound = BEYOND * numeric.error + w.size * rounding[name]
        assert abs(np.sum(gradient[name] * u) - numeric.value) <= bound, name
        # An estimate that is too wide would accept anything: it must resolve a part in a thousand of what it may see.
        assert bound <= 1e-3 * np.linalg.norm(gradient[name]) * np.sqrt(w.size), name
        for index in {tuple(int(rng.integers(n)) for n in w.shape) for _ in range(2)}:
            numeric = derivative(partial(entry, index=index), w[index])
            assert abs(gradient[name][index] - numeric.value) <= BEYOND * numeric.error + rounding[name], (name, index)


def learn(system, slope, engine_slope, cost, start, data, batch, learning_rate, steps):
    """Train by SGD with the hand formulas, and verify three ways at the start, half-way and at the end."""
    few = {name: array[:, :60] for name, array in data.items()}
    point = start
    for half in range(3):
        (J, hand), (engine_J, engine) = slope(point, few), engine_slope(point, few)
        # Layers of at most 64 units, there and back, six operations each, and a sum over 60 examples.
        rounding = rounding_of(slope, point, few, 2 * 2 * (64 + 6) + 60)
        assert abs(J - engine_J) <= rounding["cost"]
        for name in point:
            assert np.all(np.abs(hand[name] - engine[name]) <= rounding[name]), (system, half, name)
        assert_is_the_derivative(lambda at: cost(at, few), hand, point, rounding, seed=half)
        if half < 2:
            options = {"learning_rate": learning_rate, "steps": steps // 2, "batch": batch, "examples": "columns"}
            point = sgd(slope, point, data, seed=half, **options).parameters
    return point


def test_s1_reads_digits_with_over_90_percent_right(digits):
    """Ng's classifier with 32 hidden units learns 1,200 digits and reads the 597 others, gradients verified thrice."""
    X, Y, classes = digits
    λ = 0.01
    end = learn(
        "S1",
        partial(s1.slope, λ=λ),
        partial(s1.engine_slope, λ=λ),
        lambda Θ, data: s1.cost(list(Θ.values()), data["X"], data["Y"], λ),
        s1.initial((64, 32, 10), seed=0),
        {"X": X[:, :1200], "Y": Y[:, :1200]},
        batch=20,
        learning_rate=1.0,
        steps=600,
    )
    answers = np.argmax(s1.forward(list(end.values()), X[:, 1200:])[-1], axis=0)
    assert np.mean(answers == classes[1200:]) > 0.9


def test_s5_reads_digits_with_over_90_percent_right(digits):
    """The L-layer network with 32 ReLU units and ten sigmoid outputs does so too."""
    X, Y, classes = digits
    g = ("relu", "sigmoid")

    def cost(point, data):
        W, b = [w for n, w in point.items() if n[0] == "W"], [w for n, w in point.items() if n[0] == "b"]
        return s5.cost(s5.forward(data["X"], W, b, g)[0], data["Y"])

    end = learn(
        "S5",
        partial(s5.slope, g=g),
        partial(s5.engine_slope, g=g),
        cost,
        s5.initial((64, 32, 10), seed=0),
        {"X": X[:, :1200], "Y": Y[:, :1200]},
        batch=20,
        learning_rate=0.3,
        steps=1000,
    )
    W, b = [end["W[1]"], end["W[2]"]], [end["b[1]"], end["b[2]"]]
    answers = np.argmax(s5.forward(X[:, 1200:], W, b, g)[0], axis=0)
    assert np.mean(answers == classes[1200:]) > 0.9


NAMES = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


def sklearn_slope(model, x, labels, weights):
    """Cost and gradients of an MLPClassifier at its present weights, by its own backward pass, under our names."""
    targets = model._label_binarizer.transform(labels).astype(float)
    arguments = {
        "X": x,
        "y": targets,
        "sample_weight": weights,
        "activations": [x, *[None] * len(model.coefs_)],
        "deltas": [None] * len(model.coefs_),
        "coef_grads": [np.empty_like(w) for w in model.coefs_],
        "intercept_grads": [np.empty_like(b) for b in model.intercepts_],
    }
    known = inspect.signature(model._backprop).parameters  # sample_weight came with scikit-learn 1.7
    loss, coefs, intercepts = model._backprop(**{name: value for name, value in arguments.items() if name in known})
    named = {f"W{k}": w for k, w in enumerate(coefs, 1)} | {f"b{k}": b[None] for k, b in enumerate(intercepts, 1)}
    return targets, loss, named


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize(("alpha", "weighted"), [(0.0, False), (1e-4, True), (1.0, False)])
@pytest.mark.parametrize("activation", NAMES)
def test_mlpclassifier_has_our_gradient_and_that_of_finite_differences(
    require, digits, activation, alpha, weighted, classes
):
    """Same weights, same batch: scikit-learn's backward pass, ours and finite differences agree."""
    network = require("sklearn.neural_network")
    X, _, labels = digits
    chosen = np.flatnonzero(labels < classes)[:40]
    x, labels = X.T[chosen], labels[chosen]
    model = network.MLPClassifier((9, 7), activation=activation, alpha=alpha, solver="sgd", random_state=0)
    model.partial_fit(x, labels, classes=np.arange(classes))
    if weighted and "sample_weight" not in inspect.signature(model._backprop).parameters:
        pytest.skip("this scikit-learn has no weighted examples: they came with 1.7")
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(x)) if weighted else None
    targets, loss, theirs = sklearn_slope(model, x, labels, weights)

    net = Dense(
        (64, 9, 7, targets.shape[1]),
        (NAMES[activation], NAMES[activation], "sigmoid" if classes == 2 else "softmax"),
        loss="binary_cross_entropy" if classes == 2 else "cross_entropy",
        penalty=alpha,
        reduction="weighted" if weighted else "mean",
    )
    parameters = {f"W{k}": w for k, w in enumerate(model.coefs_, 1)}
    parameters |= {f"b{k}": b[None] for k, b in enumerate(model.intercepts_, 1)}
    data = {"x": x, "y": targets} | ({"weights": weights} if weighted else {})
    total, ours = net.slope(parameters, data)
    # Three layers of at most 64 units, there and back, eight operations each, and a sum over 40 examples.
    rounding = rounding_of(net.slope, parameters, data, 2 * 3 * (64 + 8) + 40)
    assert abs(loss - total) <= rounding["cost"]
    for name in parameters:
        assert np.all(np.abs(theirs[name] - ours[name]) <= rounding[name]), name
    assert_is_the_derivative(lambda at: float(net.cost(**data, **at)), theirs, parameters, rounding, seed=0)


def test_a_gradient_wrong_by_a_thousandth_is_noticed_on_digits(digits):
    """The comparison above can fail: S1's first Θ scaled by 1.001 is not the derivative."""
    X, Y, _ = digits
    data, point = {"X": X[:, :60], "Y": Y[:, :60]}, s1.initial((64, 8, 10), seed=0)

    def cost(Θ):
        return s1.cost(list(Θ.values()), data["X"], data["Y"], 0.0)

    right = s1.slope(point, data, 0.0)[1]
    rounding = dict.fromkeys(point, 1e-12)  # far above what 60 examples and 64 units can lose, far below 0.1%
    assert_is_the_derivative(cost, right, point, rounding, seed=0)
    with pytest.raises(AssertionError, match=r"Θ\(1\)"):
        assert_is_the_derivative(cost, right | {"Θ(1)": 1.001 * right["Θ(1)"]}, point, rounding, seed=0)


def test_a_missing_framework_is_a_skip_and_in_ci_a_failure(require, monkeypatch):
    """`require` skips with the reason; under GRADCHECK_REQUIRE_ALL=1 the same is a failure."""
    monkeypatch.delenv("GRADCHECK_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs no_such_framework, which is not installed"):
        require("no_such_framework")
    monkeypatch.setenv("GRADCHECK_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="no_such_framework cannot be imported"):
        require("no_such_framework")
    assert require("math").pi > 3
