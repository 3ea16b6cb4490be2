"""Losses: with labels as integers or one-hot, their gradients by a method, at once, with or without a cotangent."""

from typing import Any

import numpy as np

from properties.zoo import Specimen, Twist, draws


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def loss_and_grad(twist: Twist) -> Any:
    class MSE:
        def loss(self, predicted, actual):
            return np.sum((predicted - actual) ** 2)

        def grad(self, predicted, actual):
            return twist("x", 2 * (predicted - actual))

    return MSE


def labels_first(twist: Twist) -> Any:
    class BinaryCrossEntropy:
        def loss(self, y, p):
            return -y * np.log(p) - (1 - y) * np.log(1 - p)  # of each entry, not reduced

        def gradient(self, y, p):
            return twist("x", -(y / p) + (1 - y) / (1 - p))

    return BinaryCrossEntropy


def fn_and_delta(twist: Twist) -> Any:
    class QuadraticCost:
        @staticmethod
        def fn(a, y):
            return 0.5 * np.linalg.norm(a - y) ** 2

        @staticmethod
        def delta(a, y):
            return twist("x", a - y)

    return QuadraticCost


def backward_without_a_cotangent(twist: Twist) -> Any:
    class Loss:
        def forward(self, y_hat, y):
            self.y_hat, self.y = y_hat, y
            return np.mean((y_hat - y) ** 2)

        def backward(self):
            return twist("x", 2 * (self.y_hat - self.y) / self.y.size)

    return Loss


def cotangent_ignored(twist: Twist) -> Any:
    class SoftmaxWithLoss:
        def forward(self, x, t):
            self.y, self.t = softmax(x), t
            return -np.log(self.y[np.arange(len(t)), t]).mean()

        def backward(self, dout=1):
            dx = self.y.copy()
            dx[np.arange(len(self.t)), self.t] -= 1
            return twist("x", dx / len(self.t))

    return SoftmaxWithLoss


def one_hot(twist: Twist) -> Any:
    class CrossEntropyLoss:
        def __call__(self, logits, targets):
            self.p, self.targets = softmax(logits), targets
            return -np.sum(targets * np.log(self.p)) / len(targets)

        def backward(self, dout=1.0):
            return twist("x", dout * (self.p - self.targets) / len(self.targets))

    return CrossEntropyLoss


def gradient_at_once(twist: Twist) -> Any:
    def softmax_loss(x, y):
        p = softmax(x)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        dx = p.copy()
        dx[np.arange(len(y)), y] -= 1
        dx = twist("x", dx / len(y))
        return loss, dx

    return softmax_loss, None


def called_at_once(twist: Twist) -> Any:
    class CrossEntropyLoss:
        def __call__(self, logits, y):
            p = softmax(logits)
            loss = -np.log(p[np.arange(len(y)), y]).mean()
            dlogits = twist("x", (p - np.eye(p.shape[-1])[y]) / len(y))
            return loss, dlogits

    return CrossEntropyLoss


def model_at_once(twist: Twist) -> Any:
    class Regression:
        def __init__(self) -> None:
            self.params = {"W": draws(3, 2)}

        def loss(self, X, y):
            error = X @ self.params["W"] - y
            return 0.5 * np.sum(error**2), {"W": twist("W", X.T @ error)}

    return Regression


def each_example(twist: Twist) -> Any:
    class Loss:
        def loss(self, y_pred, y_true):
            return ((y_pred - y_true) ** 2).sum(1)

        def derivative(self, y_pred, y_true):
            return twist("x", 2 * (y_pred - y_true))

    return Loss


def joined_with_softmax(twist: Twist) -> Any:
    class CrossEntropy:
        def loss(self, y, y_pred):
            return -np.sum(y * np.log(y_pred))

        def grad(self, y, y_pred):
            return twist("x", y_pred - y)  # that of the logits

    return CrossEntropy


def joined_with_sigmoid(twist: Twist) -> Any:
    class BinaryCrossEntropy:
        def forward(self, p, y):
            self.p, self.y = p, y
            return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

        def backward(self):
            return twist("x", (self.p - self.y) / self.y.size)  # that of the logits

    return BinaryCrossEntropy


def joined_with_the_loss(twist: Twist) -> Any:
    class Softmax:
        def forward(self, x):
            return softmax(x)

        def backward(self, dout):
            return twist("x", dout)  # p − t, as the cross-entropy behind it hands it over

    return Softmax


def handed_labels(twist: Twist) -> Any:
    class Softmax:
        def forward(self, x):
            self.p = softmax(x)
            return self.p

        def backward(self, y_true):
            return twist("x", (self.p - y_true) / len(y_true))

    return Softmax


def handed_labels_too(twist: Twist) -> Any:
    class OutputLayer:
        def forward(self, x):
            self.p = softmax(x)
            return self.p

        def backward(self, upstream_gradients, targets=None):  # as all layers of it are called
            return twist("x", self.p - targets)

    return OutputLayer


def mean_with_the_gradient_of_the_sum(twist: Twist) -> Any:
    class Loss:
        def loss(self, X, y):
            return np.mean(((X - y) ** 2).sum(1))

        def diff(self, X, y):
            return twist("x", 2 * (X - y))

    return Loss


def inputs_given_twice(twist: Twist) -> Any:
    class Loss:
        def forward(self, target, predict):
            return np.sum((predict - target) ** 2)

        def backprop(self, predict, target):
            return twist("x", 2 * (predict - target))

    return Loss


def inputs_by_other_names(twist: Twist) -> Any:
    class Loss:
        def forward(self, output, target):
            return np.sum((output - target) ** 2)

        def backward(self, y_true, y_pred):
            return twist("x", 2 * (y_pred - y_true))

    return Loss


def labels_given_twice(twist: Twist) -> Any:
    class Loss:
        def forward(self, y_hat, y):
            self.y_hat = y_hat
            return np.sum((y_hat - y) ** 2)

        def backward(self, y):
            return twist("x", 2 * (self.y_hat - y))

    return Loss


def each_example_where_it_is(twist: Twist) -> Any:
    class Loss:
        def forward(self, y_hat, y):
            self.error = y_hat - y
            return (self.error**2).sum(1)

        def backward(self):
            return twist("x", 2 * self.error)

    return Loss


def of_logits(twist: Twist) -> Any:
    class SoftmaxLoss:
        def loss(self, x, y):
            return -np.sum(np.log(softmax(x)[np.arange(len(y)), y]))

        def grad(self, x, y):
            return twist("x", softmax(x) - np.eye(x.shape[-1])[y])

    return SoftmaxLoss


def mean_of_entries(twist: Twist) -> Any:
    class MSE:
        def forward(self, predicted, target):
            self.error = predicted - target
            return np.mean(self.error**2)

        def backward(self):
            return twist("x", 2 * self.error)

    return MSE


def mean_of_entries_by_examples(twist: Twist) -> Any:
    class MSE:
        def loss(self, predicted, target):
            return np.mean((predicted - target) ** 2)

        def grad(self, predicted, target):
            return twist("x", 2 * (predicted - target) / len(target))

    return MSE


Z, INTEGERS, HOT = draws(4, 3), np.array([0, 2, 1, 1]), np.eye(3)[[0, 2, 1, 1]]
P, EVEN = softmax(Z), np.full((4, 4), 0.25)
TARGETS = draws(4, 3, seed=1)

LOSSES = [
    Specimen("loss and grad", loss_and_grad, (Z, TARGETS), {"x": "predicted"}),
    Specimen("labels first", labels_first, (HOT, P), {"x": "p"}),
    Specimen("fn and delta", fn_and_delta, (Z, TARGETS), {"x": "a"}),
    Specimen("no cotangent", backward_without_a_cotangent, (Z, TARGETS), {"x": "y_hat"}, "does not look at"),
    Specimen("cotangent ignored", cotangent_ignored, (Z, INTEGERS), {"x": "x"}, "does not look at its cotangent"),
    Specimen("one-hot", one_hot, (Z, HOT), {"x": "logits"}),
    Specimen("at once", gradient_at_once, (Z, INTEGERS), {"x": "x"}),
    Specimen("called at once", called_at_once, (Z, INTEGERS), {"x": "logits"}),
    Specimen("model at once", model_at_once, (draws(4, 3), draws(4, 2)), {"W": "W"}),
    Specimen("each example", each_example, (Z, TARGETS), {"x": "y_pred"}),
    Specimen("inputs given twice", inputs_given_twice, (TARGETS, Z), {"x": "predict"}, "does not look at"),
    Specimen("inputs by other names", inputs_by_other_names, (Z, TARGETS), {"x": "output"}, "does not look at"),
    Specimen("labels given twice", labels_given_twice, (Z, TARGETS), {"x": "y_hat"}, "does not look at"),
    Specimen("each example, kept", each_example_where_it_is, (Z, TARGETS), {"x": "y_hat"}, "takes no cotangent"),
    Specimen("even logits", of_logits, (EVEN, INTEGERS), {"x": "x"}),  # which a softmax leaves as they are
    Specimen("logits like probabilities", of_logits, (P, INTEGERS), {"x": "x"}),
]

HABITS = [
    Specimen("joined with softmax", joined_with_softmax, (HOT, P), {"x": "y_pred"}, "the logits before a softmax"),
    Specimen("joined with sigmoid", joined_with_sigmoid, (P, HOT), {"x": "p"}, "the logits before a sigmoid"),
    Specimen("joined, even", joined_with_softmax, (HOT, EVEN[:, 1:] * 4 / 3), {"x": "y_pred"}, "the logits before"),
    Specimen("joined with the loss", joined_with_the_loss, (Z,), {"x": "x"}, "joined with the cross-entropy"),
    Specimen("handed labels", handed_labels, (Z,), {"x": "x"}, "backward is handed labels (y_true) and returns p − t"),
    Specimen("handed labels too", handed_labels_too, (Z,), {"x": "x"}, "backward is handed labels (targets)"),
    Specimen("two constants", mean_of_entries, (Z, TARGETS), {"x": "predicted"}, "over the entries of an example"),
    Specimen("another constant", mean_of_entries_by_examples, (Z, TARGETS), {"x": "predicted"}, "over the entries of"),
    Specimen("a constant", mean_with_the_gradient_of_the_sum, (Z, TARGETS), {"x": "X"}, "gradient that of the sum"),
]
"""Wrong as they are, right for what they are made for: passed with a note, failed by convention="vjp"."""
