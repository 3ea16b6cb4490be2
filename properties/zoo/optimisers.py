"""Layers that step an optimiser inside backward, handed parameters and gradients in all the ways there are."""
# ruff: noqa: D102 - the methods of other people's optimisers

from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws


class Adam:
    """Keeps moments, steps in place, and takes lists."""

    def __init__(self) -> None:
        self.lr, self.m, self.v, self.t = 1e-3, None, None, 0

    def update(self, parameters: Any, gradients: Any) -> None:
        self.t += 1
        if self.m is None:
            self.m, self.v = [0 * p for p in parameters], [0 * p for p in parameters]
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            self.m[i] = 0.9 * self.m[i] + 0.1 * g
            self.v[i] = 0.999 * self.v[i] + 0.001 * g * g
            p -= self.lr * self.m[i] / (1 - 0.9**self.t) / (np.sqrt(self.v[i] / (1 - 0.999**self.t)) + 1e-8)


class Pairs:
    """Takes (parameter, gradient) pairs."""

    def step(self, pairs: Any) -> None:
        for parameter, gradient in pairs:
            parameter -= 0.01 * gradient


class Tables:
    """Takes dictionaries."""

    def update(self, parameters: Any, gradients: Any) -> None:
        for key in parameters:
            parameters[key] -= 0.01 * gradients[key]


class Affine:
    """What the layers below share."""

    def __init__(self) -> None:
        self.W, self.b = draws(3, 2), draws(2)

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b


def lists(twist: Twist) -> Any:
    class Layer(Affine):
        def __init__(self) -> None:
            super().__init__()
            self.optimizer = Adam()

        def backward(self, dout):
            dx = twist("x", dout @ self.W.T)
            self.optimizer.update([self.W, self.b], [twist("W", self.x.T @ dout), twist("b", dout.sum(0))])
            return dx

    return Layer


def made_when_asked(twist: Twist) -> Any:
    class Layer(Affine):
        _instance = None

        @property
        def optimizer(self):
            if self._instance is None:
                self._instance = Adam()
            return self._instance

        def backward(self, dout):
            dx = twist("x", dout @ self.W.T)
            self.optimizer.update([self.W, self.b], [twist("W", self.x.T @ dout), twist("b", dout.sum(0))])
            return dx

    return Layer


def pairs(twist: Twist) -> Any:
    class Layer(Affine):
        def __init__(self) -> None:
            super().__init__()
            self.updater = Pairs()

        def backward(self, dout):
            dx = twist("x", dout @ self.W.T)
            self.updater.step([(self.W, twist("W", self.x.T @ dout)), (self.b, twist("b", dout.sum(0)))])
            return dx

    return Layer


def tables(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.params, self.optim = {"W": draws(3, 2), "b": draws(2)}, Tables()

        def forward(self, x):
            self.x = x
            return x @ self.params["W"] + self.params["b"]

        def backward(self, dout):
            dx = twist("x", dout @ self.params["W"].T)
            self.optim.update(self.params, {"b": twist("b", dout.sum(0)), "W": twist("W", self.x.T @ dout)})
            return dx

    return Layer


def rate_by_default(twist: Twist) -> Any:
    class Layer(Affine):
        def backward(self, dout, lr=0.05):
            dx = twist("x", dout @ self.W.T)
            self.W -= lr * twist("W", self.x.T @ dout)
            self.b -= lr * twist("b", dout.sum(0))
            return dx

    return Layer


def rate_that_decays(twist: Twist) -> Any:
    class Layer(Affine):
        def __init__(self) -> None:
            super().__init__()
            self.lr = 0.5

        def backward(self, dout):
            dx = twist("x", dout @ self.W.T)
            self.W -= self.lr * twist("W", self.x.T @ dout)
            self.b -= self.lr * twist("b", dout.sum(0))
            self.lr *= 0.9
            return dx

    return Layer


def rate_unknown(twist: Twist) -> Any:
    class Layer(Affine):
        def backward(self, dout):
            dx = twist("x", dout @ self.W.T)
            self.W -= 0.01 * twist("W", self.x.T @ dout)
            return dx

    return Layer


def momentum(twist: Twist) -> Any:
    class Layer(Affine):
        def __init__(self) -> None:
            super().__init__()
            self.lr, self.velocity = 0.1, np.zeros((3, 2))

        def backward(self, dout):
            dx = twist("x", dout @ self.W.T)
            self.velocity = 0.9 * self.velocity - self.lr * twist("W", self.x.T @ dout)
            self.W += self.velocity
            return dx

    return Layer


def moments(twist: Twist) -> Any:
    class Layer(Affine):
        def __init__(self) -> None:
            super().__init__()
            self.lr, self.m, self.v = 0.1, np.zeros((3, 2)), np.zeros((3, 2))

        def backward(self, dout):
            dx, dW = twist("x", dout @ self.W.T), twist("W", self.x.T @ dout)
            self.m, self.v = 0.9 * self.m + 0.1 * dW, 0.999 * self.v + 0.001 * dW**2
            self.W -= self.lr * self.m / (np.sqrt(self.v) + 1e-8)
            return dx

    return Layer


X = draws(4, 3)
AFFINE = {"W": "W", "b": "b", "x": "x"}

OPTIMISED = [
    Specimen("optimiser of lists", lists, (X,), AFFINE, "W in recorded['W'], b in recorded['b']"),
    Specimen("optimiser made when asked", made_when_asked, (X,), AFFINE, "W in recorded['W']"),
    Specimen("optimiser of pairs", pairs, (X,), AFFINE, "W in recorded['W']"),
    Specimen("optimiser of tables", tables, (X,), AFFINE, "W in recorded['W']"),
]

OWN_STEPS = [
    Specimen("rate by default", rate_by_default, (X,), AFFINE, "own step"),
    Specimen("rate that decays", rate_that_decays, (X,), AFFINE, "own step"),
]

UNJUDGED = [
    Specimen("rate unknown", rate_unknown, (X,), {"x": "x"}, "W alters the value and no gradient of it was found"),
    Specimen("momentum", momentum, (X,), {"x": "x"}, "W alters the value and no gradient of it was found"),
    Specimen("moments", moments, (X,), {"x": "x"}, "W alters the value and no gradient of it was found"),
]
"""What a step changes is no gradient, and neither are the moments that it keeps; who steps is told all the same."""
