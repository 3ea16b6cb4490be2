"""Losses: what a disagreement of a loss, or of the softmax before it, is instead of a mistake."""

from typing import Any

import numpy as np

from gradcheck.adapters.joined import softmax
from gradcheck.census.dispute import ROUNDED, Dispute, asked
from gradcheck.census.inputs import SOFTMAX, Input
from gradcheck.report import Verdict
from gradcheck.target import Pullback, from_pullback


def of_another_loss(dispute: Dispute) -> str:
    """A loss that forward does not return: backward takes the labels, or forward returns the predictions again."""
    if dispute.candidate.joined:
        return "backward takes labels, and no cotangent: it may be the gradient of a loss that is not in forward"
    if dispute.setting.labels is not None and len(dispute.inputs) == 2:
        target, flat = dispute.bound
        value = target.value(*flat, *target.parameters.values())
        if np.array_equal(value, dispute.inputs[1 - dispute.setting.labels]):
            return "forward returns the predictions as they are: backward is the gradient of a loss that it keeps"
    return ""


def handed_through(dispute: Dispute) -> str:
    """A softmax whose backward is the identity, whichever axis its value sums to one along."""
    target, flat = dispute.bound
    if not SOFTMAX.search(dispute.candidate.name) or len(flat) != 1 or target.parameters:
        return ""
    value = np.asarray(target.value(*flat))
    cotangent = np.linspace(-1, 1, value.size).reshape(value.shape)
    through = np.array_equal(target.linearize(*flat)(cotangent)[0], cotangent)
    one = any(np.allclose(value.sum(axis), 1, rtol=ROUNDED) for axis in range(value.ndim))
    return (
        "softmax's backward hands its cotangent through, joined with the cross-entropy after it"
        if through and one
        else ""
    )


def by_a_constant(dispute: Dispute) -> str:
    """A loss and its gradient that differ by the number of examples, of classes or of both, or by the 2 of a square.

    A constant leaves the direction of descent as it is, and the learning rate takes it up; so neither is judged, and
    the quotient is told. Half of a gradient passes as a square's only where the loss is a square.
    """
    if dispute.setting.labels is None or not dispute.numbers:
        return ""
    predicted = dispute.inputs[1 - dispute.setting.labels]
    examples, classes = len(predicted), predicted.shape[-1]
    twos = (1, 2) if _squares(dispute) else (1,)
    constants = {float(size * two) for size in (1, examples, classes, predicted.size) for two in (*twos, 1 / twos[-1])}
    for ratio in sorted({*constants, *(1 / constant for constant in constants)} - {1.0}):
        near = all(abs(c - ratio * n) <= ROUNDED * ratio * abs(n) for c, n in dispute.numbers)
        if near and _passes_scaled(dispute, 1 / ratio):
            square = ", and the 2 of a square's derivative" * len(twos[1:])
            return (
                f"the gradient is {ratio:.3g}× the loss's derivative everywhere, a constant made of the numbers of "
                f"examples, {examples}, and of classes, {classes}{square}"
            )
    return ""


def _squares(dispute: Dispute) -> bool:
    """Whether a loss is four times as large for predictions twice as far from the labels."""
    labels, arrays = dispute.setting.labels, list(dispute.inputs)
    if labels is None or len(arrays) != 2 or arrays[0].shape != arrays[1].shape:
        return False
    far = list(arrays)
    far[1 - labels] = 2 * arrays[1 - labels] - arrays[labels]
    target, _ = dispute.bound
    once, twice = (np.asarray(target.value(*pair, *target.parameters.values())) for pair in (arrays, far))
    return bool(np.any(once)) and np.allclose(twice, 4 * once, rtol=ROUNDED, atol=0)


def _passes_scaled(dispute: Dispute, factor: float) -> bool:
    """Whether nothing is wrong with the gradient but this factor."""
    target, flat = dispute.bound

    def scaled(*arrays: Any) -> tuple[Any, Pullback]:
        pullback = target.linearize(*arrays)
        return target.value(*arrays), lambda g: tuple(None if d is None else factor * d for d in pullback(g))

    again = from_pullback(scaled, frozen=target.frozen)
    return asked(again, (*flat, *target.parameters.values())).verdict is Verdict.PASS


def on_the_simplex(dispute: Dispute) -> str:
    """A loss of probabilities, its gradient meant for changes that keep their sum: −t / p and 1 − t / p are one."""
    places = [n for n, x in enumerate(dispute.setting.inputs) if isinstance(x, Input) and x.domain == "rows"]
    target, flat = dispute.bound
    if len(places) != 1 or len(flat) != len(dispute.inputs) or target.parameters:
        return ""
    place = places[0]

    def along(*arrays: Any) -> tuple[Any, Pullback]:
        p = softmax(arrays[place])
        moved = (*arrays[:place], p, *arrays[place + 1 :])
        pullback = target.linearize(*moved)

        def back(g: Any) -> tuple[Any, ...]:
            claimed = list(pullback(g))
            if claimed[place] is not None:
                claimed[place] = p * (claimed[place] - np.sum(p * claimed[place], -1, keepdims=True))
            return tuple(claimed)

        return target.value(*moved), back

    logits = (*flat[:place], np.log(flat[place]), *flat[place + 1 :])
    if asked(from_pullback(along, frozen=target.frozen), logits).verdict is not Verdict.PASS:
        return ""
    return "the gradient is right for every change of the probabilities that keeps their sum, and for no other"
