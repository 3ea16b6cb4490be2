"""Functions: forward and backward as a pair with a cache, with a context, as a derivative, as value and gradient."""

from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws


def pair_with_a_cache(twist: Twist) -> Any:
    def affine_forward(x, w, b):
        return x.reshape(len(x), -1) @ w + b, (x, w, b)

    def affine_backward(dout, cache):
        x, w, _ = cache
        dx = twist("x", (dout @ w.T).reshape(x.shape))
        dw = twist("w", x.reshape(len(x), -1).T @ dout)
        db = twist("b", dout.sum(0))
        return dx, dw, db

    return affine_forward, affine_backward


def pair_in_another_order(twist: Twist) -> Any:
    def linear_forward(A, W):
        return W @ A, (A, W)

    def linear_backward(dZ, cache):
        A, W = cache
        return twist("W", dZ @ A.T), twist("A", W.T @ dZ)  # by shape: nothing here has a name

    return linear_forward, linear_backward


def pair_with_a_dictionary(twist: Twist) -> Any:
    def cell_forward(xt, a_prev, parameters):
        a_next = np.tanh(a_prev @ parameters["Waa"] + xt @ parameters["Wax"])
        yt = a_next * 2
        return a_next, yt, (a_next, a_prev, xt, parameters)

    def cell_backward(da_next, cache):
        a_next, a_prev, xt, parameters = cache
        d = da_next * (1 - a_next**2)
        return {
            "dxt": twist("xt", d @ parameters["Wax"].T), "da_prev": twist("a_prev", d @ parameters["Waa"].T),
            "dWaa": twist("Waa", a_prev.T @ d), "dWax": twist("Wax", xt.T @ d),
        }  # fmt: skip

    return cell_forward, cell_backward


def pair_with_two_outputs(twist: Twist) -> Any:
    def step_forward(x, c):
        h = np.tanh(x) * c
        next_c = c + x
        return h, next_c, {"x": x, "c": c}

    def step_backward(dh, dnext_c, cache):
        x, c = cache["x"], cache["c"]
        return twist("x", dh * c / np.cosh(x) ** 2 + dnext_c), twist("c", dh * np.tanh(x) + dnext_c)

    return step_forward, step_backward


def pair_with_settings(twist: Twist) -> Any:
    def norm_forward(x, gamma, norm_param):
        eps = norm_param.setdefault("eps", 1e-5)
        std = np.sqrt(x.var(0) + eps)
        norm_param["running_mean"] = x.mean(0)
        hat = (x - x.mean(0)) / std
        return gamma * hat, (hat, gamma, std)

    def norm_backward(dout, cache):
        hat, gamma, std = cache
        dhat = dout * gamma
        dx = (dhat - dhat.mean(0) - hat * (dhat * hat).mean(0)) / std
        return twist("x", dx), twist("gamma", (dout * hat).sum(0))

    return norm_forward, norm_backward


def pair_with_batch_means(twist: Twist) -> Any:
    def linear_forward(A, W, b):
        return W @ A + b, (A, W, b)

    def linear_backward(dZ, cache):
        A_prev, W, _ = cache
        m = A_prev.shape[1]
        dW = twist("W", 1 / m * dZ @ A_prev.T)
        db = twist("b", 1 / m * np.sum(dZ, axis=1, keepdims=True))
        dA_prev = twist("A", W.T @ dZ)
        return dA_prev, dW, db

    return linear_forward, linear_backward


def pair_with_the_input(twist: Twist) -> Any:
    def tanh_forward(Z):
        return np.tanh(Z)

    def tanh_backward(dA, z):
        return twist("Z", dA / np.cosh(z) ** 2)

    return tanh_forward, tanh_backward


def pair_with_the_value(twist: Twist) -> Any:
    def sigmoid_forward(x):
        return 1 / (1 + np.exp(-x))

    def sigmoid_backward(dout, y):
        return twist("x", dout * y * (1 - y))

    return sigmoid_forward, sigmoid_backward


def pair_with_the_input_for_a_cache(twist: Twist) -> Any:
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def sigmoid_backward(dA, cache):
        return twist("z", dA * sigmoid(cache) * (1 - sigmoid(cache)))

    return sigmoid, sigmoid_backward


def derivative_with_a_cotangent(twist: Twist) -> Any:
    def tanh(z):
        return np.tanh(z)

    def tanh_grad(z, dz):
        return twist("z", dz / np.cosh(z) ** 2)

    return tanh, tanh_grad


def vjp_with_the_answer(twist: Twist) -> Any:
    def power(x, n):
        return x**n

    def power_vjp(g, ans, x, n):
        return twist("x", g * n * ans / x), twist("n", g * ans * np.log(x))

    return power, power_vjp


def pair_with_gaps(twist: Twist) -> Any:
    def masked_forward(x, mask, y):
        return x * mask * y, (x, mask, y)

    def masked_backward(dout, cache):
        x, mask, y = cache
        return twist("x", dout * mask * y), None, twist("y", dout * mask * x)

    return masked_forward, masked_backward


def static_with_a_context(twist: Twist) -> Any:
    class Multiply:
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, grad_output):
            x, y = ctx.saved_tensors
            return twist("x", grad_output * y), twist("y", grad_output * x)

    return Multiply


def derivative(twist: Twist) -> Any:
    def tanh(x):
        return np.tanh(x)

    def tanh_prime(x):
        return twist("x", 1 - np.tanh(x) ** 2)

    return tanh, tanh_prime


def derivative_at_the_value(twist: Twist) -> Any:
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def sigmoid_derivative(a):
        return twist("z", a * (1 - a))

    return sigmoid, sigmoid_derivative


def activation_object(twist: Twist) -> Any:
    class ReLU:
        def __call__(self, x):
            return np.where(x >= 0, x, 0)

        def gradient(self, x):
            return twist("x", np.where(x >= 0, 1.0, 0.0))

    return ReLU


def jacobian_of_a_row(twist: Twist) -> Any:
    class Softmax:
        def fn(self, z):
            e = np.exp(z - z.max(-1, keepdims=True))
            return e / e.sum(-1, keepdims=True)

        def prime(self, z):
            s = self.fn(z)
            return twist("z", s[..., None] * np.eye(s.shape[-1]) - s[..., None] * s[..., None, :])

    return Softmax


X, Y = draws(4, 3), draws(4, 3, seed=1)

PAIRS = [
    Specimen("cache", pair_with_a_cache, (draws(4, 2, 3), draws(6, 2), draws(2)), {n: n for n in ("x", "w", "b")}),
    Specimen("another order", pair_in_another_order, (draws(3, 4), draws(2, 3)), {"A": "A", "W": "W"}),
    Specimen(
        "dictionary", pair_with_a_dictionary, (X, draws(4, 2), {"Waa": draws(2, 2), "Wax": draws(3, 2)}),
        {"xt": "xt", "a_prev": "a_prev", "Waa": "parameters['Waa']", "Wax": "parameters['Wax']"},
    ),
    Specimen("two outputs", pair_with_two_outputs, (X, Y), {"x": "x", "c": "c"}),
    Specimen("settings", pair_with_settings, (X, draws(3), {"mode": "train"}), {"x": "x", "gamma": "gamma"}),
    Specimen(
        "pair of batch means", pair_with_batch_means, (draws(3, 4), draws(2, 3), draws(2, 1)),
        {n: n for n in ("A", "W", "b")}, "means over the batch",
    ),
    Specimen("the input beside", pair_with_the_input, (X,), {"Z": "Z"}),
    Specimen("the value beside", pair_with_the_value, (X,), {"x": "x"}),
    Specimen("the input for a cache", pair_with_the_input_for_a_cache, (X,), {"z": "z"}),
    Specimen("derivative with a cotangent", derivative_with_a_cotangent, (X,), {"z": "z"}),
    Specimen("the answer beside", vjp_with_the_answer, (np.exp(X), Y), {"x": "x", "n": "n"}),
    Specimen("gaps", pair_with_gaps, (X, (Y > 0) * 1.0, Y), {"x": "x", "y": "y"}),
    Specimen("context", static_with_a_context, (X, Y), {"x": "x", "y": "y"}),
    Specimen("derivative", derivative, (X,), {"x": "x"}),
    Specimen("derivative at the value", derivative_at_the_value, (X,), {"z": "z"}),
    Specimen("activation object", activation_object, (X,), {"x": "x"}),
    Specimen("Jacobian of a row", jacobian_of_a_row, (X,), {"z": "z"}),
]  # fmt: skip
