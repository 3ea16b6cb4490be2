"""from_functions and from_pair on scikit-learn's neural network, whose derivatives are written by hand and in place."""

import warnings

import numpy as np
import pytest

from gradcheck import Verdict, check, from_pair, search
from properties.zoo import draws

X = draws(4, 3)


@pytest.fixture(scope="module")
def activations(require):
    """Its table of activations and the table of their derivatives."""
    base = require("sklearn.neural_network._base")
    return base.ACTIVATIONS, base.DERIVATIVES


@pytest.mark.parametrize("name", ["identity", "tanh", "logistic", "relu"])
@pytest.mark.parametrize("wrong", [False, True])
def test_an_activation_of_scikit_learn_takes_five_lines(activations, name: str, wrong: bool) -> None:
    """f works in place, f′ takes the value and multiplies the cotangent in place."""
    run, derive = (table[name] for table in activations)

    def forward(x):
        value = x.copy()
        run(value)
        return value

    def vjp(inputs, cotangent):
        delta = cotangent.copy()
        derive(forward(*inputs), delta)
        return 1.01 * delta if wrong else delta

    target = from_pair(forward, vjp)
    assert check(target, X).verdict is (Verdict.FAIL if wrong else Verdict.PASS)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_network_of_scikit_learn_is_judged_whole(require, power: float) -> None:
    """The loss and its gradients by every weight and bias, as MLPRegressor's own _backprop computes them."""
    network = require("sklearn.neural_network").MLPRegressor(
        hidden_layer_sizes=(3,), activation="tanh", alpha=power, random_state=0, max_iter=1
    )
    x, y = draws(5, 2), draws(5, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, and need not
        network.fit(x, y.ravel())
    shapes = [c.shape for c in network.coefs_] + [b.shape for b in network.intercepts_]

    def loss_and_gradients(*weights):
        network.coefs_, network.intercepts_ = [*weights[:2]], [*weights[2:]]
        hidden = [x] + [np.empty((5, n)) for n in (3, 1)]
        deltas, dw, db = ([np.empty((5, n)) for n in (3, 1)], [None, None], [None, None])
        hidden = network._forward_pass(hidden)
        loss, dw, db = network._backprop(x, y, None, hidden, deltas, dw, db)
        return loss, (*dw, *db)

    target = from_pair(
        lambda *weights: loss_and_gradients(*weights)[0],
        lambda weights, g: tuple(g * d for d in loss_and_gradients(*weights)[1]),
    )
    report = search(target, **{f"w{i}": shape for i, shape in enumerate(shapes)}, max_examples=10, seed=0)
    assert report.verdict is Verdict.PASS, str(report)
