"""Passes called in their own ways: a cotangent by another name, or none, or behind decorators."""

from types import SimpleNamespace
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


def returns_nothing(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.fc = SimpleNamespace(weight=draws(3, 3), bias=draws(3))

        def forward(self, x):
            self.x = x
            return x @ self.fc.weight + self.fc.bias

        def backward(self, dout):
            self.fc.dweight, self.fc.dbias = twist("W", self.x.T @ dout), twist("b", dout.sum(0))
            self.dout, self.grad_input = dout, twist("x", dout @ self.fc.weight.T)

    return Layer


def in_a_phase(twist: Twist) -> Any:
    class Dropout:
        def __init__(self) -> None:
            self.mask = np.array([2.0, 0.0, 2.0])

        def forward(self, x, phase):
            return x * self.mask if phase == "train" else x

        def backward(self, dout):
            return twist("x", dout * self.mask)

    return Dropout


class Affine:
    """The parameters of the layers below."""

    def __init__(self) -> None:
        self.W, self.b = draws(3, 2), draws(2)


def closure(twist: Twist) -> Any:
    class Layer(Affine):
        def forward(self, x):
            def backward(dout):
                dW, db = twist("W", x.T @ dout), twist("b", dout.sum(0))
                return twist("x", dout @ self.W.T), dW, db

            return x @ self.W + self.b, backward

    return Layer


def closure_that_keeps(twist: Twist) -> Any:
    class Layer(Affine):
        def forward(self, x):
            def total(dout):
                self.db = twist("b", dout.sum(0))  # on the layer, by a function inside the function inside
                return dout

            def backward(dout):
                self.dW = twist("W", x.T @ dout)
                return twist("x", total(dout) @ self.W.T)

            return x @ self.W + self.b, backward

    return Layer


def closure_called(twist: Twist) -> Any:
    class Layer(Affine):
        def __call__(self, x):
            return x @ self.W + self.b, lambda dout: {
                "x": twist("x", dout @ self.W.T), "W": twist("W", x.T @ dout), "b": twist("b", dout.sum(0))
            }  # fmt: skip

    return Layer


def method_returned(twist: Twist) -> Any:
    class Layer(Affine):
        def forward(self, x):
            self.x = x
            return x @ self.W + self.b, self._back

        def _back(self, dout):
            self.dW, self.db = twist("W", self.x.T @ dout), twist("b", dout.sum(0))
            return twist("x", dout @ self.W.T)

    return Layer


def function_with_a_closure(twist: Twist) -> Any:
    def affine(x, W, b):
        def vjp(dout):
            return twist("x", dout @ W.T), twist("W", x.T @ dout), twist("b", dout.sum(0))

        return x @ W + b, vjp

    return affine, None


def cache_to_fill(twist: Twist) -> Any:
    class Layer(Affine):
        def forward(self, x, cache):
            cache["x"] = x
            return x @ self.W + self.b

        def backward(self, dout, cache):
            self.dW, self.db = twist("W", cache["x"].T @ dout), twist("b", dout.sum(0))
            return twist("x", dout @ self.W.T)

    return Layer


def context_to_fill(twist: Twist) -> Any:
    class Layer(Affine):
        def forward(self, ctx, x):
            ctx.save_for_backward(x)
            return x @ self.W + self.b

        def backward(self, ctx, dout):
            (x,) = ctx.saved_tensors
            self.dW, self.db = twist("W", x.T @ dout), twist("b", dout.sum(0))
            return twist("x", dout @ self.W.T)

    return Layer


def context_of_a_class(twist: Twist) -> Any:
    class Multiply:
        @classmethod
        def forward(cls, ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @classmethod
        def backward(cls, ctx, g):
            x, y = ctx.saved_values
            return twist("x", g * y), twist("y", g * x)

    return Multiply


def parameters_beside_gradients(twist: Twist) -> Any:
    class Layer(Affine):
        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dout):
            pairs = [(self.W, twist("W", self.x.T @ dout)), (self.b, twist("b", dout.sum(0)))]
            return twist("x", dout @ self.W.T), pairs

    return Layer


X = draws(4, 3)
AFFINE = {"W": "W", "b": "b", "x": "x"}

CALLS = [
    Specimen("cotangent called eta", cotangent_called_eta, (X,), {"x": "x"}),
    Specimen("cotangent called x", cotangent_called_x, (X,), {"gain": "gain", "x": "x"}, "MUTATES"),
    Specimen("derivative where it is", derivative_where_it_is, (X,), {"x": "x"}, "derivative returns dx"),
    Specimen("backward where it is", backward_where_it_is, (X,), {"x": "x"}, "the derivative of each entry"),
    Specimen("wrapped", wrapped, (X,), {"gain": "gain", "x": "input_data"}, "forward(input_data)"),
    Specimen(
        "returns nothing",
        returns_nothing,
        (X,),
        {"W": "fc.weight", "b": "fc.bias", "x": "x"},
        "x in self.grad_input",
    ),
    Specimen("in a phase", in_a_phase, (X,), {"x": "x"}),
    Specimen("closure", closure, (X,), AFFINE, "pullback returns dx; gradients: W in returned[1]"),
    Specimen("closure that keeps", closure_that_keeps, (X,), AFFINE, "W in self.dW, b in self.db"),
    Specimen("closure, called", closure_called, (X,), AFFINE, "W in returned['W']"),
    Specimen("method returned", method_returned, (X,), AFFINE, "W in self.dW, b in self.db"),
    Specimen("function with a closure", function_with_a_closure, (X, draws(3, 2), draws(2)), AFFINE),
    Specimen("cache to fill", cache_to_fill, (X,), AFFINE, "forward(x, cache)"),
    Specimen("cache to fill, given", cache_to_fill, (X, {}), AFFINE),
    Specimen("context to fill", context_to_fill, (X,), AFFINE),
    Specimen("context of a class", context_of_a_class, (X, draws(4, 3, seed=1)), {"x": "x", "y": "y"}),
    Specimen("parameters beside gradients", parameters_beside_gradients, (X,), AFFINE, "W in returned[1][0][1]"),
]
