"""Losses: the error of one example. The cost of a network is their mean, their weighted mean or their sum.

A loss takes the predictions and the targets of a whole batch and the axis along which an example's units lie, and
returns one number an example: shape (m,). It is written in terms of `ops`, so it works on arrays and on graph nodes.

The three usual conventions of the squared error are a loss and a reduction each:

=================  ==================  =========
½ Σ (p − y)²       ``squared``         ``sum``
1/(2m) Σ (p − y)²  ``squared``         ``mean``
mean of (p − y)²   ``mean_squared``    ``mean``
=================  ==================  =========

The cross-entropies from probabilities are infinite where a target is given probability 0, as a saturated sigmoid
does at about 37 (1 − 2⁻⁵³ rounds to 1); those from logits have no such edge (Goodfellow et al., Deep Learning, §6.2.2).

>>> import numpy as np
>>> prediction, target = np.array([[0.0, 2.0], [1.0, 1.0]]), np.zeros((2, 2))
>>> LOSSES["squared"](prediction, target, 1).tolist()
[2.0, 1.0]
>>> cost(LOSSES["squared"](prediction, target, 1), "mean").item()
1.5
"""

from collections.abc import Callable, Mapping

from gradcheck.backprop import ops
from gradcheck.backprop.op import Value

Loss = Callable[[Value, Value, int], Value]


def squared(prediction: Value, target: Value, axis: int) -> Value:
    """½ Σ over units of (prediction − target)²."""
    return 0.5 * ops.sum((prediction - target) ** 2, axis=axis)


def mean_squared(prediction: Value, target: Value, axis: int) -> Value:
    """Mean over units of (prediction − target)²."""
    return ops.mean((prediction - target) ** 2, axis=axis)


def binary_cross_entropy(probability: Value, target: Value, axis: int) -> Value:
    """−Σ over units of target·log(probability) + (1 − target)·log(1 − probability)."""
    return -ops.sum(target * ops.log(probability) + (1.0 - target) * ops.log1p(-probability), axis=axis)


def binary_cross_entropy_logits(logit: Value, target: Value, axis: int) -> Value:
    """The binary cross-entropy of sigmoid(logit): Σ over units of softplus(logit) − target·logit."""
    return ops.sum(ops.softplus(logit) - target * logit, axis=axis)


def cross_entropy(probability: Value, target: Value, axis: int) -> Value:
    """−Σ over classes of target·log(probability); the target is one-hot, or soft."""
    return -ops.sum(target * ops.log(probability), axis=axis)


def cross_entropy_logits(logit: Value, target: Value, axis: int) -> Value:
    """The cross-entropy of softmax(logit) over the classes."""
    return -ops.sum(target * ops.log_softmax(logit, axis=axis), axis=axis)


LOSSES: Mapping[str, Loss] = {
    loss.__name__: loss
    for loss in (
        squared,
        mean_squared,
        binary_cross_entropy,
        binary_cross_entropy_logits,
        cross_entropy,
        cross_entropy_logits,
    )
}

REDUCTIONS = ("mean", "sum", "weighted")


def cost(losses: Value, reduction: str, weights: Value = None) -> Value:
    """One number from the losses of m examples: their mean, their sum, or Σ wᵢ lossᵢ / Σ wᵢ.

    >>> import numpy as np
    >>> cost(np.array([1.0, 3.0]), "weighted", np.array([3.0, 1.0])).item()
    1.5
    """
    if reduction == "mean":
        return ops.mean(losses)
    if reduction == "sum":
        return ops.sum(losses)
    if reduction == "weighted":
        return ops.sum(weights * losses) / ops.sum(weights)
    raise ValueError(f"unknown reduction {reduction!r}: the known ones are {', '.join(REDUCTIONS)}")
