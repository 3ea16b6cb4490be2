"""Layers that are set up by a method of their own, keep what they need outside forward, or leave lists of gradients."""

from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws


def set_up_with(whole: bool) -> Any:
    """A dense layer whose setup is told the shape of the batch, or that of an example."""

    def make(twist: Twist) -> Any:
        class Dense:
            def setup(self, X_shape):
                self.W = draws(X_shape[1 if whole else 0], 2)

            def forward(self, x):
                self.x = x
                return x @ self.W

            def backward(self, dout):
                self.dW = twist("W", self.x.T @ dout)
                return twist("x", dout @ self.W.T)

        return Dense

    return make


def transposed_by_setup(twist: Twist) -> Any:
    class Mix:
        """Runs for either shape; an example gives an example only for its own."""

        def build(self, shape):
            self.W = draws(*shape[::-1]) if len(shape) > 1 else draws(shape[0])

        def forward(self, x):
            self.x = x
            return x * self.W if self.W.ndim == 1 else self.W @ x

        def backward(self, dout):
            self.dW = twist("W", (dout * self.x).sum(0) if self.W.ndim == 1 else dout @ self.x.T)
            return twist("x", dout * self.W if self.W.ndim == 1 else self.W.T @ dout)

    return Mix


def remembers_when_called(twist: Twist) -> Any:
    class Base:
        def __call__(self, X):
            self.memory_input = X
            return self.forward(X)

    class Cube(Base):
        def forward(self, X):
            return X**3

        def backward(self, error):
            return twist("x", 3 * error * self.memory_input**2)

    return Cube


def list_of_examples(twist: Twist) -> Any:
    class Thinned:
        def forward(self, images):
            self.shape = np.shape(images)
            return [2 * image[::2] for image in images]

        def backprop(self, dout):
            gradient = np.zeros(self.shape)
            gradient[:, ::2] = [2 * d for d in dout]
            return list(twist("x", gradient))

    return Thinned


def all_units_off(twist: Twist) -> Any:
    class Unit:
        def __init__(self) -> None:
            self.W, self.b = np.zeros((3, 2)), np.zeros(2)

        def forward(self, x):
            self.x, self.z = x, x @ self.W + self.b
            return np.maximum(self.z, 0)

        def backward(self, dout):
            dz = dout * (self.z > 0)
            self.dW, self.db = twist("W", self.x.T @ dz), twist("b", dz.sum(0))
            return twist("x", dz @ self.W.T)

    return Unit


X = draws(4, 3)
NEGATIVE = -np.abs(X)

PREPARED = [
    Specimen("set up for a batch", set_up_with(whole=True), (X,), {"W": "W", "x": "x"}, "its own initialisation"),
    Specimen("set up for an example", set_up_with(whole=False), (X,), {"W": "W", "x": "x"}, "its own initialisation"),
    Specimen("set up either way", transposed_by_setup, (X,), {"W": "W", "x": "x"}, "its own initialisation"),
    Specimen("remembers when called", remembers_when_called, (X,), {"x": "X"}),
    Specimen("list of examples", list_of_examples, (X,), {"x": "images"}),
    Specimen("all units off", all_units_off, (NEGATIVE,), {"W": "W", "b": "b", "x": "x"}),
]
