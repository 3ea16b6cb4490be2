"""Losses with an epsilon in their log that their gradient knows nothing of, and some with an epsilon in both."""

from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws
from properties.zoo.losses import softmax

EPS = 1e-8


def likelihood(p: Any, t: Any) -> Any:
    return -np.sum(t * np.log(p + 1e-7)) / len(t)


def literal(twist: Twist) -> Any:
    class CrossEntropy:
        def loss(self, y, p):
            return -np.sum(y * np.log(p + 1e-7))

        def grad(self, y, p):
            return twist("x", -y / p)

    return CrossEntropy


def attribute(twist: Twist) -> Any:
    class CrossEntropy:
        def __init__(self) -> None:
            self.eps = 1e-7

        def forward(self, p, y):
            self.p, self.y = p, y
            return -np.sum(y * np.log(self.eps + p))

        def backward(self):
            return twist("x", -self.y / self.p)

    return CrossEntropy


def variable(twist: Twist) -> Any:
    class BinaryCrossEntropy:
        def loss(self, y, p):
            eps = 1e-7
            return -np.mean(y * np.log(p + eps) + (1 - y) * np.log(1 - p + eps))

        def grad(self, y, p):
            return twist("x", ((1 - y) / (1 - p) - y / p) / p.size)

    return BinaryCrossEntropy


def of_each_entry(twist: Twist) -> Any:
    class BinaryCrossEntropy:
        def forward(self, p, y):
            return -(y * np.log(p + EPS) + (1 - y) * np.log(1 - p + EPS))

        def derivative(self, p, y):
            return twist("x", (1 - y) / (1 - p) - y / p)

    return BinaryCrossEntropy


def in_a_function(twist: Twist) -> Any:
    class SoftmaxWithLoss:
        def forward(self, x, t):
            self.y, self.t = softmax(x), t
            self.loss = likelihood(self.y, t)
            return self.loss

        def backward(self, dout=1):
            return twist("x", dout * (self.y - self.t) / len(self.t))

    return SoftmaxWithLoss


def in_a_method(twist: Twist) -> Any:
    class CrossEntropy:
        @staticmethod
        def _log(p):
            return np.log(p + 1e-7)

        def loss(self, y, p):
            return -np.sum(y * self._log(p))

        def grad(self, y, p):
            return twist("x", -y / p)

    return CrossEntropy


def joined(twist: Twist) -> Any:
    class CrossEntropy:
        def loss(self, y, p):
            return -np.sum(y * np.log(p + 1e-9))

        def grad(self, y, p):
            return twist("x", p - y)

    return CrossEntropy


def at_once(twist: Twist) -> Any:
    def nll_loss(p, y):
        loss = -np.sum(y * np.log(p + 1e-7))
        dp = twist("x", -y / p)
        return loss, dp

    return nll_loss, None


def in_both(twist: Twist) -> Any:
    class CrossEntropy:
        def loss(self, y, p):
            return -np.sum(y * np.log(p + 1e-7))

        def grad(self, y, p):
            return twist("x", -y / (p + 1e-7))

    return CrossEntropy


HOT = np.eye(3)[[0, 2, 1, 1]]
Z = draws(4, 3)
P = softmax(Z)
NOTE = "epsilon in the loss only: forward takes log(… + {}), backward does not, which makes less than a hundredth here"

EPSILONS = [
    Specimen("literal", literal, (HOT, P), {"x": "p"}, NOTE.format("1e-07")),
    Specimen("attribute", attribute, (P, HOT), {"x": "p"}, NOTE.format("self.eps")),
    Specimen("variable", variable, (HOT, P), {"x": "p"}, NOTE.format("eps")),
    Specimen("of each entry", of_each_entry, (P, HOT), {"x": "p"}, NOTE.format("EPS")),
    Specimen("in a function", in_a_function, (Z, HOT), {"x": "x"}, NOTE.format("1e-07")),
    Specimen("in a method", in_a_method, (HOT, P), {"x": "p"}, NOTE.format("1e-07")),
    Specimen("joined, with an epsilon", joined, (HOT, P), {"x": "p"}, NOTE.format("1e-09")),
    Specimen("of a certain class", literal, (HOT, np.where(HOT == 0, 1e-12, 1.0)), {"x": "p"}, NOTE.format("1e-07")),
]
"""Wrong by a ten-millionth as they are: passed with a note, failed by convention="vjp"."""

OTHERS = [
    Specimen("epsilon, at once", at_once, (P, HOT), {"x": "p"}, NOTE.format("1e-07")),
    Specimen("epsilon in both", in_both, (HOT, P), {"x": "p"}),
]
