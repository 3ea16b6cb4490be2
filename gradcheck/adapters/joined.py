"""Joined: a softmax and a cross-entropy that are written for each other, each judged with its other half.

For two classes the first of them is a sigmoid.

The gradient of cross-entropy after softmax is p − t, so many a softmax hands its cotangent through, and many a
cross-entropy returns p − t. Neither is the derivative of its own forward; both are right together.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gradcheck.adapters.assignment import Leaf
from gradcheck.adapters.methods import CallError, spell
from gradcheck.adapters.recognise import Recognised
from gradcheck.adapters.walk import Array
from gradcheck.target import Pullback, Target

_SOFTMAX = re.compile(r"soft_?max", re.IGNORECASE)
_CROSS_ENTROPY = re.compile(
    r"cross[-_ ]?entropy|softmax|nll|log[-_ ]?likelihood|log_?loss|bce|binary|(?:^|_)c?ce(?:$|_)", re.IGNORECASE
)


_BINARY = re.compile(r"binary|bce|sigmoid|logistic", re.IGNORECASE)


class Half(NamedTuple):
    """One of the two: the input of a loss whose gradient is that of its logits, None for a softmax; for a softmax that
    is handed labels t the constant of its p − t, 0 for one that hands its cotangent through; for a loss of two classes
    the other half is a sigmoid.
    """

    position: int | None
    constant: float
    note: str
    binary: bool = False


def half(found: Recognised, inputs: tuple[Any, ...], leaves: Sequence[Leaf], ignores: bool) -> Half | None:
    """Which half a layer is, if it is one. leaves: the arrays among the inputs, each with its position and name;
    ignores: it does not look at its cotangent.

    Raises CallError for a layer whose backward is that of a loss behind it, and which is no softmax.
    """
    outputs, places = found.done.outputs, found.places
    if len(outputs) != 1 or not np.size(outputs[0]):
        return None
    gradients, value = found.gradients(found.after), np.asarray(outputs[0])
    position = next(iter(places.of_inputs)) if len(places.of_inputs) == len(gradients) == 1 else None
    gradient = np.zeros(0) if position is None else np.asarray(gradients[position])
    rows = value.ndim > 0 and gradient.shape == value.shape and np.allclose(value.sum(-1), 1)
    labels = _labels(found)
    if labels:
        constant = difference(gradient, value, found.cotangents[0]) if rows else 0.0
        if not constant:
            back, forward = spell(found.observed.passes.backward), spell(found.observed.passes.forward)
            raise CallError(
                f"{back} takes labels ({labels}) that {forward} does not: it is the gradient of a loss behind it. "
                f"Put that in: from_layer(…, forward=lambda layer, x: loss(layer.{forward}(x), {labels}), "
                f"backward=lambda layer, cotangent: layer.{back}({labels}))"
            )
        note = f"backward is handed labels ({labels}) and returns p − t, joined with the cross-entropy that follows it"
        sizes = [1.0, float(len(value)), float(value.size)]  # of a sum, or a mean over examples or entries
        constant = 1 / min(sizes, key=lambda size: abs(np.log(abs(constant) * size)))
        return Half(None, constant, f"{note}: judged together with one")
    if rows and _SOFTMAX.search(found.label) and np.array_equal(gradient, found.cotangents[0]):
        note = "softmax's backward hands its cotangent through, joined with the cross-entropy that follows it"
        return Half(None, 0.0, f"{note}: judged together with one")
    if position is not None and value.size == 1 and _of_logits(found, inputs, leaves, position, ignores):
        binary = bool(_BINARY.search(found.label))
        other = "sigmoid" if binary else "softmax"
        note = f"the gradient is p − t, that of the logits before a {other}, joined with this cross-entropy"
        return Half(position, 0.0, f"{note}: judged together with one", binary)
    return None


def _labels(found: Recognised) -> str:
    """What a backward calls the labels that it is handed in place of a cotangent: at zero it is not zero."""
    passes, done = found.observed.passes, found.done
    labels, handed = passes.labels(done.layer), passes.cotangents(done)
    if not handed or not set(handed) <= set(labels):
        return ""
    at_zero = found.gradients(found.observed.pull(done, [0 * c for c in found.cotangents]))
    return labels[0] if any(np.any(g) for g in at_zero.values()) else ""


def _of_logits(
    found: Recognised, inputs: tuple[Any, ...], leaves: Sequence[Leaf], position: int, ignores: bool
) -> bool:
    """Whether it is a cross-entropy, by name, whose gradient is p − t times a constant wherever its input is rows p.

    Tried at two draws of rows, whatever was given: a loss of logits has softmax(p) − t there, and for even rows, which
    a softmax leaves as they are, nobody can tell.
    """
    given = next(array for i, _, array in leaves if i == position)
    labels = [array for i, _, array in leaves if i != position]
    if not _CROSS_ENTROPY.search(found.label):
        return False
    for seed in (0, 1):
        rows = uneven_rows(given, seed)
        try:
            done = found.observed.perform(tuple(rows if x is given else x for x in inputs))
            gradient = found.gradients(found.observed.pull(done, found.cotangents))[position]
        except Exception:  # a loss of these very numbers
            return False
        scale = 1.0 if ignores else float(np.ravel(found.cotangents[0])[0]) or 1.0
        if not any(difference(np.asarray(gradient) / scale, rows, t) for t in labels):
            return False
    return True


def whole(layer: Target, this: Half, arrays: tuple[Array, ...]) -> tuple[Target, tuple[Array, ...]]:
    """A half together with the other one, and its inputs."""
    if this.position is None:
        return with_cross_entropy(layer, this.constant), arrays
    p = arrays[this.position]
    if not np.all((p >= 0) & (p < 1 if this.binary else True)):  # no probabilities, and no logarithms
        return layer, arrays
    logits = np.log(np.maximum(p, np.finfo(p.dtype).tiny)) - (np.log1p(-p) if this.binary else 0)
    activation = sigmoid if this.binary else softmax
    return after(activation, layer, this.position), (*arrays[: this.position], logits, *arrays[this.position + 1 :])


def uneven_rows(like: Array, seed: int) -> Array:
    """Rows of probabilities that a softmax would change.

    >>> uneven_rows(np.ones((1, 3)), 0).round(2)
    array([[0.56, 0.27, 0.17]])
    """
    rows = softmax(np.random.default_rng(seed).uniform(-1, 1, (*like.shape[:-1], max(like.shape[-1:], default=1))))
    return np.asarray(rows.reshape(like.shape)).astype(like.dtype)


def difference(gradient: Array, predicted: Array, labels: Array) -> float:
    """The constant by which a gradient is (p − t) for probabilities p; 0 where it is not."""
    hot = labels if labels.shape == predicted.shape else None
    if labels.dtype.kind in "iu" and labels.shape == predicted.shape[:-1]:
        hot = np.eye(predicted.shape[-1])[labels]
    if hot is None or gradient.shape != predicted.shape:
        return 0.0
    apart = predicted - hot
    ratio = float(np.vdot(apart, gradient) / max(float(np.vdot(apart, apart)), 1e-300))
    return ratio if np.allclose(gradient, ratio * apart, rtol=1e-9, atol=1e-12) else 0.0


def softmax(z: Array) -> Array:
    """Rows of exp(z) over their sum.

    >>> softmax(np.log(np.array([[1.0, 3.0]])))
    array([[0.25, 0.75]])
    """
    raised = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(−z)), which no z makes overflow.

    >>> sigmoid(np.array([0.0, -1e4]))
    array([0.5, 0. ])
    """
    return np.asarray(np.exp(-np.logaddexp(0, -z)))


def after(activation: Callable[[Array], Array], loss: Target, position: int) -> Target:
    """The loss of the logits whose softmax or sigmoid is its input at `position`; its gradient is taken for theirs."""

    def moved(values: tuple[Array, ...]) -> tuple[Array, ...]:
        return (*values[:position], activation(values[position]), *values[position + 1 :])

    def linearize(*values: Array) -> Pullback:
        return loss.linearize(*moved(values))

    return replace(loss, value=lambda *values: loss.value(*moved(values)), linearize=linearize)


def with_cross_entropy(layer: Target, labelled: float = 0.0) -> Target:
    """The cross-entropy of a softmax's rows with fixed labels; its backward is handed p − t, as that loss would.

    labelled: the constant of a backward that is handed the labels t themselves, and makes that constant times p − t.
    """

    def labels(p: Array) -> Array:
        classes = p.shape[-1]
        return np.asarray(np.eye(classes)[np.arange(p.size // classes) % classes].reshape(p.shape))

    def value(*values: Array) -> Any:
        p = layer.value(*values)
        return -(labelled or 1.0) * np.sum(labels(p) * np.log(p))

    def linearize(*values: Array) -> Pullback:
        p = layer.value(*values)
        pullback = layer.linearize(*values)

        def handed_labels(cotangent: Any) -> tuple[Any, ...]:
            return tuple(None if g is None else cotangent * np.asarray(g) for g in pullback(labels(p)))

        return handed_labels if labelled else lambda cotangent: pullback(cotangent * (p - labels(p)))

    return replace(layer, value=value, linearize=linearize)
