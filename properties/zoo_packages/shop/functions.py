"""Functions: pairs by name."""

# ruff: noqa: RUF059 - written as others write

import numpy as np


def affine_forward(x, w, b):
    """Right."""
    return x @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    return dout @ w.T, x.T @ dout, dout.sum(0)


def embedding_forward(x, W):
    """Wrong where an id is there twice."""
    return W[x], (x, W)


def embedding_backward(dout, cache):
    x, W = cache
    dW = np.zeros_like(W)
    dW[x] = dout
    return dW


def step(z):
    """Right."""
    return 1 / (1 + np.exp(-z))


def step_prime(z):
    return step(z) * (1 - step(z))
