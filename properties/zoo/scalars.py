"""Parameters of one entry: arrays without axes, floats, whole numbers, wherever they and their gradients are kept."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws


def array_and_float(twist: Twist) -> Any:
    class PReLU:
        def __init__(self) -> None:
            self.alpha, self.beta = np.array(0.25), 2.0

        def forward(self, x):
            self.x = x
            return self.beta * np.where(x > 0, x, self.alpha * x)

        def backward(self, dout):
            self.dalpha = float(twist("alpha", self.beta * (dout * np.minimum(self.x, 0)).sum()))
            self.dbeta = twist("beta", (dout * np.where(self.x > 0, self.x, self.alpha * self.x)).sum())
            return twist("x", self.beta * np.where(self.x > 0, dout, self.alpha * dout))

    return PReLU


def floats_in_dictionaries(twist: Twist) -> Any:
    class Line:
        def __init__(self) -> None:
            self.params, self.grads = {"a": 1.5, "b": -0.5}, {"a": 0.0, "b": 0.0}

        def forward(self, x):
            self.x = x
            return self.params["a"] * x + self.params["b"]

        def backward(self, dout):
            self.grads["a"] += twist("a", float((dout * self.x).sum()))
            self.grads["b"] += twist("b", float(dout.sum()))
            return twist("x", self.params["a"] * dout)

    return Line


def floats_returned(twist: Twist) -> Any:
    class Line:
        def __init__(self) -> None:
            self.gain, self.shift = np.float64(1.5), 0.0

        def forward(self, x):
            self.x = x
            return self.gain * x + self.shift

        def backward(self, dout):
            dgain, dshift = twist("gain", (dout * self.x).sum()), twist("shift", dout.sum())
            dx = twist("x", self.gain * dout)
            return dx, dgain, dshift

    return Line


def float_objects(twist: Twist) -> Any:
    class Gain:
        def __init__(self) -> None:
            self.gain = SimpleNamespace(value=1.5, grad=0.0)

        def forward(self, x):
            self.x = x
            return self.gain.value * x

        def backward(self, dout):
            self.gain.grad += twist("gain", (dout * self.x).sum())
            return twist("x", self.gain.value * dout)

    return Gain


def whole_number(twist: Twist) -> Any:
    class Gain:
        def __init__(self) -> None:
            self.gain, self.n, self.dn = 1, 3, 0  # dn is the gradient of nothing: nothing happens to it

        def forward(self, x):
            self.x = x
            return self.gain * x * self.n

        def backward(self, dout):
            self.grad_gain = twist("gain", (dout * self.x * self.n).sum())
            return twist("x", self.gain * dout * self.n)

    return Gain


def settings(twist: Twist) -> Any:
    class LeakyReLU:
        def __init__(self) -> None:
            self.slope, self.d_model, self.model = 0.3, 3, 3.0

        def forward(self, x):
            self.x = x
            return np.where(x > 0, x, self.slope * x) * self.model

        def backward(self, dout):
            return twist("x", np.where(self.x > 0, dout, self.slope * dout) * self.model)

    return LeakyReLU


X = draws(4, 3)

SCALARS = [
    Specimen("array and float", array_and_float, (X,), {n: n for n in ("alpha", "beta", "x")}, "beta in self.dbeta"),
    Specimen("floats in dictionaries", floats_in_dictionaries, (X,), {n: n for n in ("a", "b", "x")}, "accumulate"),
    Specimen("floats returned", floats_returned, (X,), {n: n for n in ("gain", "shift", "x")}, "gain in returned[1]"),
    Specimen("float objects", float_objects, (X,), {"gain": "gain", "x": "x"}, "gain in self.gain.grad"),
    Specimen("whole number", whole_number, (X,), {"gain": "gain", "x": "x"}, "gain in self.grad_gain"),
    Specimen("settings", settings, (X,), {"x": "x"}),
]
