"""scikit-learn's neural network as targets: `gradcheck run gradcheck.catalogues.sklearn_neural:TARGETS`.

It is NumPy with derivatives written by hand and in place: those of the activations, and _backprop of the networks.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gradcheck.adapters.flat import Array, framework
from gradcheck.catalogues.catalogue import Args, Catalogue
from gradcheck.target import Target, from_pair

Pair = tuple[Callable[..., Any], Callable[..., Any]]
_WEIGHTS = "real(2,3) real(3,{0}) real(3) real({0})"
_NETWORKS = (Args(activation="tanh"), Args(activation="logistic", alpha=0.5), Args(activation="relu", alpha=0.0),
             Args(activation="identity"))  # fmt: skip

ROWS: list[tuple[Any, ...]] = [
    ("identity tanh logistic relu", "small(n,k)"),
    ("MLPRegressor", "~real(5,2) ~small(5,1) " + _WEIGHTS.format(1), *_NETWORKS),
    (
        "MLPRegressor",
        "~within(5,2) ~sized(5,1) within(2,3) within(3,1) within(3) within(1)",
        Args(activation="tanh", loss="poisson"),
    ),
    (
        "MLPRegressor",
        "~real(4,2) ~small(4,2) real(2,3) real(3,2) real(2,2) real(3) real(2) real(2)",
        Args(hidden_layer_sizes=(3, 2), activation="tanh"),
    ),
    ("MLPClassifier", "~within(5,2) below3(5) within(2,3) within(3,3) within(3) within(3)", *_NETWORKS),
    ("MLPClassifier", "~within(5,2) below2(5) within(2,3) within(3,1) within(3) within(1)", *_NETWORKS),
]
CONSTANT = {"trained by contrastive divergence, which is no gradient": "BernoulliRBM"}
EXCEPTIONS: dict[str, str] = {}


def public() -> Iterable[str]:
    """The activations that have a derivative, and the networks."""
    base = framework("sklearn.neural_network._base", "this catalogue")
    return [*base.DERIVATIVES, *framework("sklearn.neural_network", "this catalogue").__all__]


def _find(name: str) -> Any:
    base = framework("sklearn.neural_network._base", "this catalogue")
    if name in base.DERIVATIVES:
        return base.ACTIVATIONS[name], base.DERIVATIVES[name]
    return getattr(framework("sklearn.neural_network", "this catalogue"), name)


def _activation(run: Callable[[Array], None], derive: Callable[[Array, Array], None]) -> Pair:
    """run works in place; derive takes the value and multiplies the cotangent in place."""

    def forward(x: Array) -> Array:
        value = np.array(x)
        run(value)
        return value

    def vjp(inputs: Sequence[Array], cotangent: Array) -> Array:
        delta = np.array(cotangent)
        derive(forward(*inputs), delta)
        return delta

    return forward, vjp


def _network(settings: Args, estimator: Any) -> Pair:
    """Its loss and, by _backprop, the gradients by weights and biases."""
    made: dict[int, Any] = {}

    def computed(x: Array, y: Array, *weights: Array) -> tuple[Any, list[Array]]:
        outputs = weights[-1].shape[0]
        labels = np.eye(3)[y] if y.dtype.kind == "i" and outputs == 3 else y.reshape(len(x), -1)
        if outputs not in made:
            made[outputs] = _fitted(settings, estimator, outputs)
        network, half = made[outputs], len(weights) // 2
        network.coefs_, network.intercepts_ = [*weights[:half]], [*weights[half:]]
        empty = [np.empty((len(x), b.shape[0])) for b in network.intercepts_]
        values = network._forward_pass([x, *map(np.copy, empty)])
        loss, dw, db = network._backprop(x, labels, None, values, empty, [None] * half, [None] * half)
        return loss, [*dw, *db]

    def vjp(inputs: Sequence[Array], cotangent: Any) -> tuple[Array | None, ...]:
        return None, None, *(cotangent * d for d in computed(*inputs)[1])

    return lambda *inputs: computed(*inputs)[0], vjp


def _fitted(settings: Args, estimator: Any, outputs: int) -> Any:
    """The network after one iteration, so that it has its layers; their weights are then ours."""
    network = estimator(**{"hidden_layer_sizes": (3,), "max_iter": 1, "random_state": 0, **settings.named})
    x = np.random.default_rng(0).uniform(0.25, 0.75, (6, 2))
    classes = np.arange(6) % max(2, outputs)
    numbers = x[:, 0] if outputs == 1 else x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, and need not
        network.fit(x, classes if estimator.__name__ == "MLPClassifier" else numbers)
    return network


def _built(settings: Args, found: Any) -> Pair:
    return _activation(*found) if isinstance(found, tuple) else _network(settings, found)


def _adapted(pair: Pair, *, name: str, frozen: Sequence[int]) -> Target:
    return from_pair(*pair, name=name, frozen=frozen)


CATALOGUE = Catalogue("sklearn.neural_network", public, _find, _adapted, ROWS, CONSTANT, EXCEPTIONS, _built)
TARGETS = CATALOGUE.targets()
"""Every entry by name and settings."""
