"""Objects with a forward and a backward under many names, their gradients in many places."""

import threading
from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws

W, B = draws(3, 2), draws(2)


def attributes(twist: Twist) -> Any:
    class Dense:
        def __init__(self) -> None:
            self.W, self.b = W.copy(), B.copy()

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dout):
            self.dW = twist("W", self.x.T @ dout)
            self.db = twist("b", dout.sum(0))
            return twist("x", dout @ self.W.T)

    return Dense


def dictionaries(twist: Twist) -> Any:
    class Linear:
        def __init__(self) -> None:
            self.params = {"w": W.copy(), "b": B.copy()}
            self.grads: dict[str, Any] = {}

        def forward(self, inputs):
            self.inputs = inputs
            return inputs @ self.params["w"] + self.params["b"]

        def backward(self, grad):
            self.grads["w"] = twist("W", self.inputs.T @ grad)
            self.grads["b"] = twist("b", grad.sum(axis=0))
            return twist("x", grad @ self.params["w"].T)

    return Linear


def prefixed_dictionary(twist: Twist) -> Any:
    class Linear:
        def __init__(self) -> None:
            self.parameters = {"W1": W.copy(), "b1": B.copy()}
            self.gradients = {"dW1": np.zeros_like(W), "db1": np.zeros_like(B)}

        def feed_forward(self, X):
            self.cache = X
            return X @ self.parameters["W1"] + self.parameters["b1"]

        def back_propagate(self, delta):
            self.gradients["dW1"] = twist("W", self.cache.T @ delta)
            self.gradients["db1"] = twist("b", delta.sum(0))
            return twist("x", delta @ self.parameters["W1"].T)

    return Linear


def parallel_lists(twist: Twist) -> Any:
    class Affine:
        def __init__(self, W, b) -> None:
            self.params = [W, b]
            self.grads = [np.zeros_like(W), np.zeros_like(b)]

        def forward(self, x):
            W, b = self.params
            self.x = x
            return x @ W + b

        def backward(self, dout):
            W, _ = self.params
            self.grads[0][...] = twist("W", self.x.T @ dout)
            self.grads[1][...] = twist("b", dout.sum(0))
            return twist("x", dout @ W.T)

    return lambda: Affine(W.copy(), B.copy())


def returned_with_a_list(twist: Twist) -> Any:
    class FullyConnected:
        def __init__(self) -> None:
            self.W, self.b = W.copy(), B.reshape(1, -1).copy()
            self.params = [self.W, self.b]

        def forward(self, X):
            self.X = X
            return X @ self.W + self.b

        def backward(self, dout):
            dW, db = twist("W", self.X.T @ dout), twist("b", np.sum(dout, axis=0))  # (2,) for a b of (1, 2)
            dX = twist("x", dout @ self.W.T)
            return dX, [dW, db]

    return FullyConnected


def returned_flat(twist: Twist) -> Any:
    class FullyConnected:
        def __init__(self) -> None:
            self.weights, self.bias = W.copy(), B.copy()

        def fprop(self, X):
            self.X = X
            return X @ self.weights + self.bias

        def bprop(self, g):
            return twist("x", g @ self.weights.T), twist("W", self.X.T @ g), twist("b", g.sum(0))

    return FullyConnected


def returned_by_key(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.kernel, self.bias = W.copy(), B.copy()

        def compute(self, x):
            self.x = x
            return x @ self.kernel + self.bias

        def vjp(self, g):
            return {
                "kernel": twist("W", self.x.T @ g), "bias": twist("b", g.sum(0)), "x": twist("x", g @ self.kernel.T),
            }  # fmt: skip

    return Layer


def parameter_objects(twist: Twist) -> Any:
    class Parameter:
        def __init__(self, data) -> None:
            self.data = data
            self.grad = np.zeros_like(data)

    class Linear:
        def __init__(self) -> None:
            self.W, self.b = Parameter(W.copy()), Parameter(B.copy())

        def __call__(self, x):
            self.x = x
            return x @ self.W.data + self.b.data

        def backward(self, dy):
            self.W.grad += twist("W", self.x.T @ dy)
            self.b.grad += twist("b", dy.sum(0))
            return twist("x", dy @ self.W.data.T)

    return Linear


def training_flag_and_optimisers(twist: Twist) -> Any:
    class Optimizer:
        def update(self, w, grad):
            return w - 0.1 * grad

    class Dense:
        def initialize(self, optimizer) -> None:
            self.W, self.w0 = W.copy(), B.reshape(1, -1).copy()
            self.W_opt, self.w0_opt = optimizer, optimizer

        def forward_pass(self, X, training):
            self.layer_input = X
            return X @ self.W + self.w0

        def backward_pass(self, accum_grad):
            before = self.W
            self.W = self.W_opt.update(self.W, twist("W", self.layer_input.T @ accum_grad))
            self.w0 = self.w0_opt.update(self.w0, twist("b", accum_grad.sum(0, keepdims=True)))
            return twist("x", accum_grad @ before.T)

    def make() -> Any:
        layer = Dense()
        layer.initialize(Optimizer())
        return layer

    return make


def not_initialised(twist: Twist) -> Any:
    dense = type(training_flag_and_optimisers(twist)())
    return dense  # its forward raises until initialize(optimizer) has been called


def steps_with_a_rate(twist: Twist) -> Any:
    class Dense:
        def __init__(self) -> None:
            self.weights, self.bias = W.copy(), B.copy()

        def forward(self, input):
            self.input = input
            return input @ self.weights + self.bias

        def backward(self, output_gradient, learning_rate):
            input_gradient = twist("x", output_gradient @ self.weights.T)
            self.weights -= learning_rate * twist("W", self.input.T @ output_gradient)
            self.bias -= learning_rate * twist("b", output_gradient.sum(0))
            return input_gradient

    return Dense


def steps_with_its_own_rate(twist: Twist) -> Any:
    class Dense:
        def __init__(self) -> None:
            self.weights, self.bias, self.lr = W.copy(), B.copy(), 0.125

        def forward(self, x):
            self.x = x
            return x @ self.weights + self.bias

        def backward(self, dy):
            dx = twist("x", dy @ self.weights.T)
            self.weights = self.weights - self.lr * twist("W", self.x.T @ dy)
            self.bias = self.bias - self.lr * twist("b", dy.sum(0))
            return dx

    return Dense


def second_method(twist: Twist) -> Any:
    class Dense:
        def __init__(self) -> None:
            self.W, self.b = W.copy(), B.copy()

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dout):
            self.dout = dout
            return twist("x", dout @ self.W.T)

        def param_grads(self):
            return {"W": twist("W", self.x.T @ self.dout), "b": twist("b", self.dout.sum(0))}

    return Dense


def gradients_property(twist: Twist) -> Any:
    class Dense:
        def __init__(self) -> None:
            self.weight, self.bias = W.copy(), B.copy()

        def forward(self, x):
            self.x = x
            return x @ self.weight + self.bias

        def backward(self, dout):
            self._upstream = dout
            return twist("x", dout @ self.weight.T)

        @property
        def gradients(self):
            return [twist("W", self.x.T @ self._upstream), twist("b", self._upstream.sum(0))]

        @property
        def parameters(self):
            return [self.weight, self.bias]

    return Dense


def created_lazily(twist: Twist) -> Any:
    class FullyConnected:
        def __init__(self, n_out, optimizer=None) -> None:
            self.n_out = n_out
            self.X: list[Any] = []
            self.parameters: dict[str, Any] = {"W": None, "b": None}
            self.gradients: dict[str, Any] = {}
            self.is_initialized = False

        def _init_params(self) -> None:
            self.parameters = {"W": draws(self.n_in, self.n_out), "b": np.zeros((1, self.n_out))}
            self.gradients = {name: np.zeros_like(p) for name, p in self.parameters.items()}
            self.is_initialized = True

        def forward(self, X, retain_derived=True):
            if not self.is_initialized:
                self.n_in = X.shape[1]
                self._init_params()
            if retain_derived:
                self.X.append(X)
            return X @ self.parameters["W"] + self.parameters["b"]

        def backward(self, dLdy, retain_grads=True):
            if not isinstance(dLdy, list):
                dLdy = [dLdy]
            dX = []
            for dy, x in zip(dLdy, self.X, strict=True):
                dX.append(twist("x", dy @ self.parameters["W"].T))
                if retain_grads:
                    self.gradients["W"] += twist("W", x.T @ dy)
                    self.gradients["b"] += twist("b", dy.sum(axis=0, keepdims=True))
            return dX[0] if len(self.X) == 1 else dX

    return lambda: FullyConnected(2)


def columns_are_examples(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.W, self.b = W.T.copy(), B.reshape(-1, 1).copy()

        def forward(self, A_prev):
            self.A_prev = A_prev
            return self.W @ A_prev + self.b

        def backward(self, dZ):
            m = self.A_prev.shape[1]
            self.dW = twist("W", dZ @ self.A_prev.T / m)
            self.db = twist("b", dZ.sum(1, keepdims=True) / m)
            return twist("x", self.W.T @ dZ)

    return Layer


def batch_means(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.W, self.b = W.copy(), B.copy()

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dout):
            n = len(self.x)
            self.dW, self.db = twist("W", self.x.T @ dout / n), twist("b", dout.mean(0))
            return twist("x", dout @ self.W.T)

    return Layer


def accumulates(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.W, self.b = W.copy(), B.copy()
            self.W_grad, self.b_grad = np.ones_like(W), np.ones_like(B)  # left behind by an earlier batch

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dout):
            self.W_grad += twist("W", self.x.T @ dout)
            self.b_grad += twist("b", dout.sum(0))
            return twist("x", dout @ self.W.T)

    return Layer


def cache_returned(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.W, self.b = W.copy(), B.copy()

        def forward(self, x):
            return x @ self.W + self.b, {"x": x}

        def backward(self, dout, cache):
            dx = twist("x", dout @ self.W.T)
            return dx, twist("W", cache["x"].T @ dout), twist("b", dout.sum(0))

    return Layer


def inputs_again(twist: Twist) -> Any:
    class Gate:
        def forward(self, W, X):
            return X @ W

        def backward(self, W, X, dZ):
            dW, dX = twist("W", X.T @ dZ), twist("X", dZ @ W.T)
            return dX, dW  # in an order that only the words tell

    return Gate


def two_inputs(twist: Twist) -> Any:
    class Product:
        def forward(self, q, k):
            self.saved = q, k
            return q @ k.T

        def backward(self, dout):
            q, k = self.saved
            return twist("q", dout @ k), twist("k", dout.T @ q)

    return Product


def list_of_inputs(twist: Twist) -> Any:
    class Add:
        def forward(self, X):
            self.n = len(X)
            return sum((i + 1) * x for i, x in enumerate(X))

        def backward(self, dLdY):
            return [twist(f"X[{i}]", (i + 1) * dLdY) for i in range(self.n)]

    return Add


def two_outputs(twist: Twist) -> Any:
    class Block:
        def forward(self, main, skip=None):
            self.main, self.skip = main, skip
            Y_main, Y_skip = main * skip, main + 3 * skip
            return Y_main, Y_skip

        def backward(self, dY_skip, dY_main=None):  # the other way round, and one of them optional
            d_main, d_skip = dY_skip, 3 * dY_skip
            if dY_main is not None:
                d_main, d_skip = d_main + dY_main * self.skip, d_skip + dY_main * self.main
            return twist("main", d_main), twist("skip", d_skip)

    return Block


def tuple_of_cotangents(twist: Twist) -> Any:
    class SinCos:
        def forward(self, x):
            self.x = x
            return np.sin(x), np.cos(x)

        def backward(self, douts):
            ds, dc = douts
            return twist("x", ds * np.cos(self.x) - dc * np.sin(self.x))

    return SinCos


def tree_of_layers(twist: Twist) -> Any:
    dense = attributes(twist)

    class Tanh:
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, dout):
            return dout * (1 - self.y**2)

    class Sequential:
        def __init__(self) -> None:
            self.layers = [dense(), Tanh()]

        def forward(self, x):
            for layer in self.layers:
                x = layer.forward(x)
            return x

        def backward(self, dout):
            for layer in reversed(self.layers):
                dout = layer.backward(dout)
            return dout

    return Sequential


def slots_and_locks(twist: Twist) -> Any:
    class Layer:
        __slots__ = ("dgain", "gain", "lock", "np", "x")

        def __init__(self) -> None:
            self.gain, self.lock, self.np = B.copy(), threading.Lock(), np  # two things that cannot be copied

        def forward(self, x):
            self.x = x
            return self.np.tanh(x) * self.gain

        def backward(self, dout):
            with self.lock:
                self.dgain = twist("gain", (dout * np.tanh(self.x)).sum(0))
                return twist("x", dout * self.gain / np.cosh(self.x) ** 2)

    return Layer


def nothing_for_its_input(twist: Twist) -> Any:
    class Embedding:
        def __init__(self) -> None:
            self.params, self.grads = [draws(6, 2)], [np.zeros((6, 2))]

        def forward(self, idx):
            self.idx = idx
            return self.params[0][idx]

        def backward(self, dout):
            (dW,) = self.grads
            dW[...] = 0
            np.add.at(dW, self.idx, dout)
            dW[...] = twist("W", dW.copy())

    return Embedding


def decoys(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.w, self.v_w, self.m_w = W.copy(), np.zeros_like(W), np.zeros_like(W)
            self.grads: list[Any] = []

        def forward(self, x):
            self.x, self.z = x, x @ self.w
            return np.tanh(self.z)

        def backward(self, dout):
            self.grad = dout / np.cosh(self.z) ** 2  # that of z, beside w
            self.v_w = 0.9 * self.v_w + self.x.T @ self.grad  # of w's shape, and doubling
            self.grads = [twist("w", self.x.T @ self.grad)]
            self.params = [self.w]
            return twist("x", self.grad @ self.w.T)

    def make() -> Any:
        layer = Layer()
        layer.params = [layer.w]
        return layer

    return make


def keeps_a_view(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.W = np.ones((3, 2))  # moved from there, and its transpose with it
            self.W_T = self.W.T

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dout):
            self.dW = twist("W", self.x.T @ dout)
            return twist("x", dout @ self.W_T)

    return Layer


def backward_is_the_step(twist: Twist) -> Any:
    class Layer:
        weights = W.copy()  # of the class, as some have it

        def forward(self, x):
            self.x = x
            return x @ self.weights

        def gradient(self, dout):
            self.grad_weights = twist("W", self.x.T @ dout)
            return twist("x", dout @ self.weights.T)

        def backward(self, learning_rate):
            self.weights -= learning_rate * self.grad_weights

    return Layer


def used_before(twist: Twist) -> Any:
    def make() -> Any:
        layer = created_lazily(twist)()
        layer.forward(draws(7, 3))
        layer.backward(draws(7, 2))
        return layer  # with an input of another batch in its list, and gradients

    return make


X = draws(4, 3)
DENSE = {"W": "W", "b": "b", "x": "x"}

STEPPING = [
    Specimen("steps with a rate", steps_with_a_rate, (X,), {"W": "weights", "b": "bias", "x": "input"}, "own step"),
    Specimen("its own rate", steps_with_its_own_rate, (X,), {"W": "weights", "b": "bias", "x": "x"}, "own step"),
]
"""Gradients that show only in what a step changes: none is seen where nothing changes."""

SPECIMENS = [
    Specimen("attributes", attributes, (X,), DENSE, "gradients: W in self.dW, b in self.db"),
    Specimen("dictionaries", dictionaries, (X,), {"W": "w", "b": "b", "x": "inputs"}, "w in self.grads['w']"),
    Specimen("prefixed dictionary", prefixed_dictionary, (X,), {"W": "W1", "b": "b1", "x": "X"}, "back_propagate"),
    Specimen("parallel lists", parallel_lists, (X,), {"W": "params[0]", "b": "params[1]", "x": "x"}, "self.grads[0]"),
    Specimen("returned with a list", returned_with_a_list, (X,), {**DENSE, "x": "X"}, "W in returned[1][0]"),
    Specimen("returned flat", returned_flat, (X,), {"W": "weights", "b": "bias", "x": "X"}, "bprop returns dX"),
    Specimen("returned by key", returned_by_key, (X,), {"W": "kernel", "b": "bias", "x": "x"}, "compute(x); vjp"),
    Specimen("parameter objects", parameter_objects, (X,), DENSE, "W in self.W.grad"),
    Specimen("optimisers inside", training_flag_and_optimisers, (X,), {"W": "W", "b": "w0", "x": "X"}, "MUTATES"),
    Specimen("not initialised", not_initialised, (X,), {"W": "W", "b": "w0", "x": "X"}, "its own initialisation"),
    Specimen("second method", second_method, (X,), DENSE, "W in self.param_grads()['W']"),
    Specimen(
        "gradients property", gradients_property, (X,), {"W": "weight", "b": "bias", "x": "x"}, "self.gradients[0]"
    ),
    Specimen("created lazily", created_lazily, (X,), {**DENSE, "x": "X"}, "created by the first forward: W, b"),
    Specimen("used before", used_before, (X,), {**DENSE, "x": "X"}),
    Specimen("decoys", decoys, (X,), {"w": "w", "x": "x"}, "w in self.grads[0]"),
    Specimen("keeps a view", keeps_a_view, (X,), {"W": "W", "x": "x"}, "W: the same number everywhere"),
    Specimen("backward is the step", backward_is_the_step, (X,), {"W": "weights", "x": "x"}, "gradient returns dx"),
    Specimen("list of floats", attributes, (X.tolist(),), DENSE),
    Specimen("columns are examples", columns_are_examples, (X.T,), {**DENSE, "x": "A_prev"}, "means over the batch"),
    Specimen("batch means", batch_means, (X,), DENSE, "means over the batch"),
    Specimen("accumulates", accumulates, (X,), DENSE, "gradients accumulate"),
    Specimen("cache returned", cache_returned, (X,), DENSE, "returns (value, cache)"),
    Specimen("inputs again", inputs_again, (W, X), {"W": "W", "X": "X"}, "backward returns dW, dX"),
    Specimen("two inputs", two_inputs, (draws(4, 3), draws(5, 3)), {"q": "q", "k": "k"}),
    Specimen("list of inputs", list_of_inputs, ([X, draws(4, 3, seed=1)],), {"X[0]": "X[0]", "X[1]": "X[1]"}),
    Specimen("two outputs", two_outputs, (X, draws(4, 3, seed=1)), {"main": "main", "skip": "skip"}),
    Specimen("tuple of cotangents", tuple_of_cotangents, (X,), {"x": "x"}),
    Specimen("tree of layers", tree_of_layers, (X,), {"W": "layers[0].W", "b": "layers[0].b", "x": "x"}),
    Specimen("slots and locks", slots_and_locks, (draws(4, 2),), {"gain": "gain", "x": "x"}),
    Specimen("nothing for its input", nothing_for_its_input, (np.array([1, 3, 1]),), {"W": "params[0]"}),
]
