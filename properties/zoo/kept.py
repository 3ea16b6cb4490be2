"""Layers whose passes return nothing: values and gradients are attributes, and a loss goes back from its predictions.

The convention of Kinsley and Kukiela, "Neural Networks from Scratch in Python", and of what was written after it.
"""

from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws
from properties.zoo.losses import softmax


def dense(twist: Twist) -> Any:
    class Layer:
        def __init__(self) -> None:
            self.weights, self.biases = draws(3, 2), np.zeros((1, 2))

        def forward(self, inputs, training):
            self.inputs = inputs
            self.output = np.dot(inputs, self.weights) + self.biases

        def backward(self, dvalues):
            self.dweights = twist("W", np.dot(self.inputs.T, dvalues))
            self.dbiases = twist("b", np.sum(dvalues, axis=0, keepdims=True))
            self.dinputs = twist("x", np.dot(dvalues, self.weights.T))

    return Layer


def relu(twist: Twist) -> Any:
    class ReLU:
        def forward(self, inputs, training):
            self.inputs = inputs
            self.output = np.maximum(0, inputs)

        def backward(self, dvalues):
            self.dinputs = dvalues.copy()
            self.dinputs[self.inputs <= 0] = 0
            self.dinputs = twist("x", self.dinputs)

        def predictions(self, outputs):
            return outputs

    return ReLU


def of_each_example(twist: Twist) -> Any:
    class CategoricalCrossentropy:
        def forward(self, y_pred, y_true):
            p = np.clip(y_pred, 1e-7, 1 - 1e-7)
            return -np.log(p[range(len(p)), y_true] if y_true.ndim == 1 else np.sum(p * y_true, axis=1))

        def backward(self, dvalues, y_true):
            samples, labels = len(dvalues), len(dvalues[0])
            hot = np.eye(labels)[y_true] if y_true.ndim == 1 else y_true
            self.dinputs = twist("x", -hot / dvalues / samples)

    return CategoricalCrossentropy


def squared(twist: Twist) -> Any:
    class MeanSquaredError:
        def forward(self, y_pred, y_true):
            return np.mean((y_true - y_pred) ** 2, axis=-1)

        def backward(self, dvalues, y_true):  # which a cotangent would not make raise
            self.dinputs = twist("x", 2 * (dvalues - y_true) / y_true.size)

    return MeanSquaredError


def with_softmax(twist: Twist) -> Any:
    class SoftmaxCrossentropy:
        def forward(self, inputs, y_true):
            self.output = softmax(inputs)
            return -np.mean(np.log(self.output[range(len(inputs)), y_true]))

        def backward(self, dvalues, y_true):  # of self.output
            self.dinputs = dvalues.copy()
            self.dinputs[range(len(dvalues)), y_true] -= 1
            self.dinputs = twist("x", self.dinputs / len(dvalues))

    return SoftmaxCrossentropy


X, INTEGERS, HOT = draws(4, 3), np.array([0, 2, 1, 1]), np.eye(3)[[0, 2, 1, 1]]
P = softmax(X)

KEPT = [
    Specimen("kept, dense", dense, (X,), {"W": "weights", "b": "biases", "x": "inputs"}, "its value in self.output"),
    Specimen("kept, ReLU", relu, (X,), {"x": "inputs"}, "inputs in self.dinputs"),
    Specimen("kept, loss with softmax", with_softmax, (X, INTEGERS), {"x": "inputs"}, "does not look at"),
]

KEPT_LOSSES = [
    Specimen("kept, loss", of_each_example, (P, INTEGERS), {"x": "y_pred"}, "one of each example"),
    Specimen("kept, loss one-hot", of_each_example, (P, HOT), {"x": "y_pred"}, "y_pred in self.dinputs"),
    Specimen("kept, squared", squared, (X, draws(4, 3, seed=1)), {"x": "y_pred"}, "that of the mean: a constant"),
]
"""The gradient of their mean: wrong as it is, failed by convention="vjp"."""
