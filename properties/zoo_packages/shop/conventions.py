"""Conventions: losses and a softmax right by a convention, and their neighbours, that no convention excuses."""

# ruff: noqa: D102 - written as others write

import numpy as np


class SquaredError:
    """Odd: its gradient leaves out the 2, and the number of entries."""

    def forward(self, p, labels):
        self.u = p - labels
        return np.mean(self.u**2)

    def backward(self):
        return self.u


class HalfEntropy:
    """Wrong: half of the gradient, and there is no square that a 2 could come from."""

    def forward(self, p, labels):
        self.p, self.labels = p, labels
        return -np.sum(labels * np.log(p))

    def backward(self):
        return -self.labels / self.p / 2


class EntropyOfOne:
    """Odd: for the probabilities of one example, its gradient one for changes that keep their sum."""

    def loss(self, p, labels):
        return -np.log(p) @ labels

    def grad(self, p, labels):
        return sum(labels) / sum(p) - labels / p


class SquareEntropy:
    """Wrong: of the same example, and not even along the changes that keep the sum."""

    def loss(self, p, labels):
        return -np.log(p) @ labels

    def grad(self, p, labels):
        return 1 - labels / p**2


class SoftmaxOfOne:
    """Right: made for one example, a row of its own."""

    def forward(self, x):
        raised = np.exp(x)
        self.y = raised / raised.sum()
        return self.y

    def backward(self, dout):
        return self.y * (dout - dout @ self.y.T)


class SoftmaxOfRows:
    """Wrong: of every example, and goes back as if there were one."""

    def forward(self, x):
        raised = np.exp(x)
        self.y = raised / raised.sum(-1, keepdims=True)
        return self.y

    def backward(self, dout):
        return self.y * (dout - np.sum(dout * self.y))


class ReflectionPad:
    """Right, for images with their channels last, at least as large as the padding."""

    def __init__(self, pad_width):
        self.pad = pad_width

    def forward(self, x):
        self.shape = x.shape
        return np.pad(x, ((0, 0), (self.pad, self.pad), (0, 0), (0, 0)), "reflect")

    def backward(self, dout):
        pad, rows = self.pad, self.shape[1]
        dx = dout[:, pad : pad + rows].copy()
        for k in range(1, pad + 1):
            dx[:, k] += dout[:, pad - k]
            dx[:, rows - 1 - k] += dout[:, pad + rows - 1 + k]
        return dx[:, :rows] if pad else dx[:0]


class DistillationLoss:
    """Right, for what a teacher gives: probabilities, whose sum is one."""

    def loss(self, pred, label, teacher_prob):
        raised = np.exp(pred)
        return -np.sum((label + teacher_prob) * np.log(raised / raised.sum(-1, keepdims=True)))

    def grad(self, pred, label, teacher_prob):
        raised = np.exp(pred)
        return 2 * raised / raised.sum(-1, keepdims=True) - label - teacher_prob


class PointSigmoid:
    """Odd: backward takes the point, by the name of its argument."""

    def forward(self, x):
        return 1 / (1 + np.exp(-x))

    def backward(self, x):
        s = self.forward(x)
        return s * (1 - s)


class KeptLoss:
    """Odd: forward returns the predictions again, and keeps the loss."""

    def forward(self, x, t):
        self.x, self.t = x, t
        self.loss = 0.5 * np.square(x - t).sum()
        return x

    def backward(self):
        return self.x - self.t


class SoftmaxOfColumns:
    """Odd: hands its cotangent through, as before a cross-entropy."""

    def forward(self, x):
        raised = np.exp(x)
        return raised / raised.sum(0, keepdims=True)

    def backward(self, grad):
        return grad * 1.0


class L1:
    """Right, where its weight is how much of it there is."""

    def __init__(self, weight):
        self.weight = weight

    def loss(self, W):
        return self.weight * np.sum(np.abs(W))

    def grad(self, W):
        return self.weight * np.sign(W)


def traced(function):
    """A decorator that hides what it decorates."""

    def wrap(*args, **kwargs):
        return function(*args, **kwargs)

    return wrap


class Traced:
    """Right, with passes inside a decorator."""

    @traced
    def forward(self, x):
        self.x = x
        return x**2

    @traced
    def backward(self, dout):
        return 2 * self.x * dout


class Centred:
    """Right in training, which backward is for; it is made for use, where it takes the mean that it has seen."""

    def __init__(self, dim):
        self.training, self.seen = False, np.zeros(dim)

    def forward(self, x):
        return x - (x.mean(0) if self.training else self.seen)

    def backward(self, dout):
        return dout - dout.mean(0)


class L2:
    """Right, for weights that are a vector."""

    def __init__(self, alpha):
        self.alpha = alpha

    def __call__(self, w):
        return self.alpha * 0.5 * w.T.dot(w)

    def grad(self, w):
        return self.alpha * w


def exercise_loss(W, x):
    """Odd: nobody has done it yet."""
    loss = np.sum((x @ W) ** 2)
    dW = np.zeros_like(W)
    # TODO: compute the gradient
    return loss, dW


def forgotten_loss(W, x):
    """Wrong: as zero, and done."""
    loss = np.sum((x @ W) ** 2)
    dW = np.zeros_like(W)
    return loss, dW
