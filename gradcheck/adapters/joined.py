"""Joined: a softmax and a cross-entropy that are written for each other, each judged with its other half.

The gradient of cross-entropy after softmax is p − t, so many a softmax hands its cotangent through, and many a
cross-entropy returns p − t. Neither is the derivative of its own forward; both are right together.
"""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.adapters.walk import Array
from gradcheck.target import Pullback, Target

SOFTMAX = re.compile(r"soft_?max", re.IGNORECASE)
CROSS_ENTROPY = re.compile(
    r"cross[-_ ]?entropy|softmax|nll|log[-_ ]?likelihood|log_?loss|(?:^|_)c?ce(?:$|_)", re.IGNORECASE
)


def hands_through(name: str, gradient: Any, cotangent: Array, value: Array) -> bool:
    """Whether this is a softmax, by name and by rows that sum to one, whose backward returns its cotangent as it is."""
    rows = bool(value.ndim) and np.allclose(value.sum(-1), 1)
    return bool(SOFTMAX.search(name)) and rows and np.array_equal(np.asarray(gradient), cotangent)


def is_cross_entropy(name: str) -> bool:
    """Whether a loss is a cross-entropy, by name."""
    return bool(CROSS_ENTROPY.search(name))


def uneven_rows(like: Array, seed: int) -> Array:
    """Rows of probabilities that a softmax would change.

    >>> uneven_rows(np.ones((1, 3)), 0).round(2)
    array([[0.56, 0.27, 0.17]])
    """
    rows = softmax(np.random.default_rng(seed).uniform(-1, 1, (*like.shape[:-1], max(like.shape[-1:], default=1))))
    return np.asarray(rows.reshape(like.shape)).astype(like.dtype)


def is_difference(gradient: Array, predicted: Array, labels: Array) -> bool:
    """Whether a gradient is (p − t) times a constant for probabilities p."""
    hot = labels if labels.shape == predicted.shape else None
    if labels.dtype.kind in "iu" and labels.shape == predicted.shape[:-1]:
        hot = np.eye(predicted.shape[-1])[labels]
    if hot is None or gradient.shape != predicted.shape:
        return False
    difference = predicted - hot
    ratio = float(np.vdot(difference, gradient) / max(float(np.vdot(difference, difference)), 1e-300))
    return bool(ratio) and np.allclose(gradient, ratio * difference, rtol=1e-9, atol=1e-12)


def softmax(z: Array) -> Array:
    """Rows of exp(z) over their sum.

    >>> softmax(np.log(np.array([[1.0, 3.0]])))
    array([[0.25, 0.75]])
    """
    raised = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))


def after_softmax(loss: Target, position: int) -> Target:
    """The loss of the logits whose softmax is its input at `position`; its gradient is taken for theirs."""

    def moved(values: tuple[Array, ...]) -> tuple[Array, ...]:
        return (*values[:position], softmax(values[position]), *values[position + 1 :])

    def linearize(*values: Array) -> Pullback:
        return loss.linearize(*moved(values))

    return replace(loss, value=lambda *values: loss.value(*moved(values)), linearize=linearize)


def with_cross_entropy(layer: Target) -> Target:
    """The cross-entropy of a softmax's rows with fixed labels; its backward is handed p − t, as that loss would."""

    def labels(p: Array) -> Array:
        classes = p.shape[-1]
        return np.asarray(np.eye(classes)[np.arange(p.size // classes) % classes].reshape(p.shape))

    def value(*values: Array) -> Any:
        p = layer.value(*values)
        return -np.sum(labels(p) * np.log(p))

    def linearize(*values: Array) -> Pullback:
        p = layer.value(*values)
        pullback = layer.linearize(*values)
        return lambda cotangent: pullback(cotangent * (p - labels(p)))

    return replace(layer, value=value, linearize=linearize)
