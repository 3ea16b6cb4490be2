"""Surprises: what layers do that is no mistake, and that a naive checker trips over."""

from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws


def writes_into_its_cotangent(twist: Twist) -> Any:
    class Relu:
        def forward(self, x):
            self.mask = x <= 0
            return np.where(self.mask, 0, x)

        def backward(self, dout):
            dout[self.mask] = 0
            return twist("x", dout)

    return Relu


def writes_into_its_input(twist: Twist) -> Any:
    class Exp:
        def forward(self, x):
            np.exp(x, out=x)
            self.y = x
            return x

        def backward(self, dout):
            return twist("x", dout * self.y)

    return Exp


def enters_once(twist: Twist) -> Any:
    class Stacked:
        def __init__(self) -> None:
            self.stack: list[Any] = []

        def forward(self, x):
            self.stack.append(x)
            return x**2

        def backward(self, dout):
            return twist("x", 2 * self.stack.pop() * dout)

    return Stacked


def clips(twist: Twist) -> Any:
    class Clipped:
        def __init__(self) -> None:
            self.W = draws(3, 2)

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dout):
            self.dW = np.clip(twist("W", self.x.T @ dout), -5, 5)
            return twist("x", dout @ self.W.T)

    return Clipped


def single_precision_inside(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.W = draws(3, 2).astype("f")

        def forward(self, x):
            self.x = x.astype("f")
            return self.x @ self.W

        def backward(self, dout):
            self.dW = twist("W", self.x.T @ dout.astype("f"))
            return twist("x", dout.astype("f") @ self.W.T)

    return Layer


def global_dropout(twist: Twist) -> Any:
    class Dropout:
        def forward(self, x, train_flg=True):
            if train_flg:
                self.mask = np.random.rand(*x.shape) > 0.3  # noqa: NPY002 - the habit of most
                return x * self.mask
            return x * 0.7

        def backward(self, dout):
            return twist("x", dout * self.mask)

    return Dropout


def seed_inside(twist: Twist) -> Any:
    class Dropout:
        def forward(self, x):
            np.random.seed(3)  # noqa: NPY002
            self.mask = np.random.rand(*x.shape) > 0.5  # noqa: NPY002
            return x * self.mask

        def backward(self, dout):
            return twist("x", dout * self.mask)

    return Dropout


def dropout_of_its_own(twist: Twist) -> Any:
    class Dropout:
        def __init__(self) -> None:
            self.rng = np.random.default_rng(1)

        def forward(self, x, is_training):
            self.mask = self.rng.random(x.shape) > 0.3 if is_training else np.full(x.shape, 0.7)
            return x * self.mask

        def backward(self, dout):
            return twist("x", dout * self.mask)

    return Dropout


def batch_normalisation(twist: Twist) -> Any:
    class BatchNorm:
        def __init__(self) -> None:
            self.gamma, self.beta = np.ones(3), np.zeros(3)
            self.running_mean, self.running_var = np.zeros(3), np.ones(3)
            self.training = True

        def forward(self, x):
            mean, var = (x.mean(0), x.var(0)) if self.training else (self.running_mean, self.running_var)
            if self.training:
                self.running_mean = 0.9 * self.running_mean + 0.1 * mean
                self.running_var = 0.9 * self.running_var + 0.1 * var
            self.std = np.sqrt(var + 1e-5)
            self.hat = (x - mean) / self.std
            return self.gamma * self.hat + self.beta

        def backward(self, dout):
            self.dgamma, self.dbeta = twist("gamma", (dout * self.hat).sum(0)), twist("beta", dout.sum(0))
            d = dout * self.gamma
            if self.training:
                d = d - d.mean(0) - self.hat * (d * self.hat).mean(0)
            return twist("x", d / self.std)

    return BatchNorm


def its_own_buffer(twist: Twist) -> Any:
    class Double:
        def __init__(self) -> None:
            self.buffer = np.zeros((4, 3))

        def forward(self, x):
            return 2 * x

        def backward(self, dout):
            self.buffer[...] = twist("x", 2 * dout)
            return self.buffer  # the same memory at every call

    return Double


def hands_its_cotangent_on(twist: Twist) -> Any:
    class Shift:
        def __init__(self) -> None:
            self.b = draws(3)

        def forward(self, x):
            self.shape = x.shape
            return (x + self.b).reshape(-1)

        def backward(self, dout):
            dout = twist("x", dout)
            self.db = twist("b", dout.reshape(self.shape).sum(0))
            return dout.reshape(self.shape)  # a view

    return Shift


def cache_on_demand(twist: Twist) -> Any:
    class Square:
        def forward(self, x, save_cache=False):
            self.x = x if save_cache else None
            return x**2

        def backward(self, dout):
            return twist("x", 2 * self.x * dout)

    return Square


def state_from_call_to_call(twist: Twist) -> Any:
    class Recurrent:
        def __init__(self) -> None:
            self.Wx, self.Wh, self.h = draws(3, 2), draws(2, 2), None

        def forward(self, x):
            self.x, self.before = x, np.zeros((len(x), 2)) if self.h is None else self.h
            self.h = np.tanh(x @ self.Wx + self.before @ self.Wh)
            return self.h

        def backward(self, dh):
            dt = dh * (1 - self.h**2)
            self.dWx, self.dWh = twist("Wx", self.x.T @ dt), twist("Wh", self.before.T @ dt)
            return twist("x", dt @ self.Wx.T)

    return Recurrent


X = draws(4, 3)

SURPRISES = [
    Specimen("writes into its cotangent", writes_into_its_cotangent, (X,), {"x": "x"}, "writes into its cotangent"),
    Specimen("writes into its input", writes_into_its_input, (X,), {"x": "x"}, "writes into its input"),
    Specimen("enters once", enters_once, (X,), {"x": "x"}, "can be called once for each forward"),
    Specimen("clips", clips, (X,), {"W": "W", "x": "x"}, "clips gradients at ±5"),
    Specimen("single precision inside", single_precision_inside, (X,), {"W": "W", "x": "x"}, "float32 inside"),
    Specimen("global dropout", global_dropout, (X,), {"x": "x"}),
    Specimen("seed inside", seed_inside, (X,), {"x": "x"}, "forward sets NumPy's global seed"),
    Specimen("dropout of its own", dropout_of_its_own, (X,), {"x": "x"}),
    Specimen("batch norm", batch_normalisation, (X,), {"gamma": "gamma", "beta": "beta", "x": "x"}, "gamma, beta: the"),
    Specimen(
        "batch norm in use", batch_normalisation, (X,), {"gamma": "gamma", "beta": "beta", "x": "x"},
        "running_mean alters the value and no gradient of it was found", {"training": False},
    ),
    Specimen("its own buffer", its_own_buffer, (X,), {"x": "x"}),
    Specimen("hands its cotangent on", hands_its_cotangent_on, (X,), {"b": "b", "x": "x"}),
    Specimen("cache on demand", cache_on_demand, (X,), {"x": "x"}),
    Specimen("state", state_from_call_to_call, (X,), {"Wx": "Wx", "Wh": "Wh", "x": "x"}, "h alters the value"),
]  # fmt: skip
