"""Layers: the right ones say so, the wrong ones say where."""

# ruff: noqa: D102, NPY002 - written as others write

import time

import numpy as np


class Layer:
    """A base class: nothing to check."""

    def forward(self, x):
        raise NotImplementedError

    def backward(self, dout):
        raise NotImplementedError


class Dense(Layer):
    """Right."""

    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out)
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(0)
        return dout @ self.W.T


class StridedPool(Layer):
    """Average pooling; wrong for any stride but the size of the window: it goes back as if they were equal."""

    def __init__(self, pool_size, stride=2):
        self.size, self.stride = pool_size, stride

    def forward(self, x):
        self.x, s = x, self.stride
        rows = range(0, x.shape[2] - self.size + 1, s)
        columns = range(0, x.shape[3] - self.size + 1, s)
        means = [[x[:, :, i : i + self.size, j : j + self.size].mean((2, 3)) for j in columns] for i in rows]
        return np.array(means).transpose(2, 3, 0, 1)

    def backward(self, dout):
        dx = np.zeros_like(self.x)
        for i, j in np.ndindex(*dout.shape[2:]):
            a, b = i * self.size, j * self.size
            dx[:, :, a : a + self.size, b : b + self.size] += dout[:, :, i, j, None, None] / self.size**2
        return dx


class Gain(Layer):
    """Wrong for a gain that is not 1, which it is at first: dx leaves it out."""

    def __init__(self, dim):
        self.gamma = np.ones(dim)

    def forward(self, x):
        self.x = x
        return x * self.gamma

    def backward(self, dout):
        self.dgamma = (dout * self.x).sum(0)
        return dout


class Endless(Layer):
    """Never comes back."""

    def forward(self, x):
        time.sleep(1000)

    def backward(self, dout):
        return dout + 0


class Hungry(Layer):
    """Takes all the memory there is."""

    def forward(self, x):
        self.held = np.ones(2 * 10**9)
        return x

    def backward(self, dout):
        return dout * 1.0


class Peculiar(Layer):
    """Cannot be made by guessing."""

    def __init__(self, protocol):
        self.factor = protocol.negotiate()

    def forward(self, x):
        return x * self.factor

    def backward(self, dout):
        return dout * self.factor


class Tanh:
    """Odd: its derivative is written in terms of the value."""

    def fn(self, x):
        return np.tanh(x)

    def derivative(self, x):
        return 1 - x**2


class CrossEntropy:
    """Right."""

    def forward(self, p, labels):
        self.p, self.labels = p, labels
        return -np.mean(np.sum(labels * np.log(p), axis=1))

    def backward(self):
        return -self.labels / self.p / len(self.p)
