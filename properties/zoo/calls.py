"""Passes called in their own ways: a cotangent by another name, or none, or behind decorators."""

from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws


def cotangent_called_eta(twist: Twist) -> Any:
    class Sigmoid:
        def forward(self, x):
            self.y = 1 / (1 + np.exp(-x))
            return self.y

        def backward(self, eta):
            eta = eta.copy()
            eta *= self.y * (1 - self.y)
            return twist("x", eta)

    return Sigmoid


def cotangent_called_x(twist: Twist) -> Any:
    class Scale:
        def __init__(self) -> None:
            self.gain = draws(3)

        def forward(self, x):
            self.x = x
            return x * self.gain

        def backprop(self, x, lr):
            self.dgain, dx = twist("gain", (x * self.x).sum(0)), twist("x", x * self.gain)
            self.gain = self.gain - lr * self.dgain
            return dx

    return Scale


def derivative_where_it_is(twist: Twist) -> Any:
    class Tanh:
        def forward(self, x):
            self.state = np.tanh(x)
            return self.state

        def derivative(self):
            return twist("x", 1 - self.state**2)

    return Tanh


def backward_where_it_is(twist: Twist) -> Any:
    class Tanh:
        def forward(self, x):
            self.state = np.tanh(x)
            return self.state

        def backward(self):
            return twist("x", 1 - self.state**2)

    return Tanh


def wrapped(twist: Twist) -> Any:
    def traced(function):
        def wrap(*args, **kwargs):  # no functools.wraps
            wrap.calls += 1
            return function(*args, **kwargs)

        wrap.calls = 0
        return wrap

    class Module:
        @traced
        def forward(self, input_data):
            self.input = input_data
            self._forward(input_data)
            return self.output

        @traced
        def backward(self, upstream_gradients, y_true=None):
            self._backward(upstream_gradients, y_true)
            return self.retrograde

    class Scale(Module):
        def __init__(self) -> None:
            self.gain = draws(3)

        def _forward(self, x):
            self.output = x * self.gain

        def _backward(self, g, _):
            self.dgain, self.retrograde = twist("gain", (g * self.input).sum(0)), twist("x", g * self.gain)

    return Scale


X = draws(4, 3)

CALLS = [
    Specimen("cotangent called eta", cotangent_called_eta, (X,), {"x": "x"}),
    Specimen("cotangent called x", cotangent_called_x, (X,), {"gain": "gain", "x": "x"}, "MUTATES"),
    Specimen("derivative where it is", derivative_where_it_is, (X,), {"x": "x"}, "derivative returns dx"),
    Specimen("backward where it is", backward_where_it_is, (X,), {"x": "x"}, "the derivative of each entry"),
    Specimen("wrapped", wrapped, (X,), {"gain": "gain", "x": "input_data"}, "forward(input_data)"),
]
