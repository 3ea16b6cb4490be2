"""Excuses: what a disagreement is instead of a mistake, each told by an experiment that a mistake would not pass.

A sweep accuses somebody of a mistake in code that nobody asked about. It may do so only where no convention explains
what was seen; what one does explain is odd, and said.
"""

import inspect
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.adapters.functions import with_derivative
from gradcheck.adapters.joined import softmax
from gradcheck.adapters.layer import from_layer
from gradcheck.adapters.methods import input_names
from gradcheck.census.discover import Candidate
from gradcheck.census.inputs import SOFTMAX, Input
from gradcheck.census.settings import Setting, made_in, target_of
from gradcheck.judge.verdict import check
from gradcheck.report import Kind, Report, Verdict
from gradcheck.target import Pullback, Target, from_pullback

EPSILON = 1e-3
"""What an epsilon in a log may come to, relative to the gradient: 1e-5 added to probabilities of a hundredth."""

ROUNDED = 1e-5
"""A relative error below this is what float32 inside, 1e-7 beside a probability, or six digits of a constant make."""

_DESIGNED = re.compile(
    r"clip\w*_?grad|grad\w*_?clip|straight_?through|(?:^|_)ste(?:$|_)|grad\w*_?revers", re.IGNORECASE
)
"""Names of functions whose backward is another function on purpose; those of layers are known to the adapters."""

HABITS = {Kind.STALE, Kind.ACCUMULATES, Kind.MUTATES, Kind.ALIASES, Kind.NONDETERMINISTIC}
"""Surprises to a caller, but no wrong derivative: what a network that calls every layer once, in order, never sees."""


@dataclass(frozen=True)
class Dispute:
    """A layer in a setting, the inputs at which backward and finite differences disagree, and the report of that."""

    candidate: Candidate
    setting: Setting
    inputs: tuple[Any, ...]
    report: Report

    @property
    def bound(self) -> tuple[Target, tuple[Any, ...]]:
        """The target, made anew, and its flat arrays."""
        return target_of(self.candidate, self.setting).bound(self.inputs)

    @property
    def numbers(self) -> list[tuple[Any, Any]]:
        """What backward and the finite difference say at the worst entry of each finding; [] if one has no numbers."""
        found = [(f.claimed, f.numeric) for f in self.report.findings]
        return [] if any(c is None or n is None for c, n in found) else found

    @property
    def error(self) -> float:
        """The largest relative error; infinite where there are no numbers."""
        return max((abs(c - n) / (abs(n) or 1) for c, n in self.numbers), default=np.inf)

    @property
    def kinds(self) -> set[Kind]:
        """The kinds of what was found."""
        return {finding.kind for finding in self.report.findings}


def asked(target: Target, inputs: tuple[Any, ...]) -> Report:
    """What `check` says, whatever the layer warns of."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return check(target, *inputs, seed=0)


def excused(dispute: Dispute) -> str:
    """What the disagreement is, in words; "" where it is a mistake."""
    return next((words for trial in _TRIALS if (words := trial(dispute))), "")


def _declared(dispute: Dispute) -> str:
    """An epsilon in the loss only, or a name that says that backward is no derivative of forward."""
    if _DESIGNED.search(dispute.candidate.name):
        return (
            f"by design? what is called {dispute.candidate.name} may have a backward that is no derivative of forward"
        )
    for note in dispute.report.notes:
        if note.startswith("by design?") or (note.startswith("epsilon in the loss only") and dispute.error < EPSILON):
            return note
    return ""


def _habit(dispute: Dispute) -> str:
    return dispute.report.findings[0].message if dispute.kinds <= HABITS else ""


def _of_another_loss(dispute: Dispute) -> str:
    """A loss that forward does not return: backward takes the labels, or forward returns the predictions again."""
    if dispute.candidate.joined:
        return "backward takes labels, and no cotangent: it may be the gradient of a loss that is not in forward"
    if dispute.setting.labels is not None and len(dispute.inputs) == 2:
        target, flat = dispute.bound
        value = target.value(*flat, *target.parameters.values())
        if np.array_equal(value, dispute.inputs[1 - dispute.setting.labels]):
            return "forward returns the predictions as they are: backward is the gradient of a loss that it keeps"
    return ""


def _handed_through(dispute: Dispute) -> str:
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


def _rounding(dispute: Dispute) -> str:
    if dispute.error >= ROUNDED:
        return ""
    return f"agrees to {dispute.error:.0e}: an epsilon, a constant of few digits or a lower precision inside"


def _constant(dispute: Dispute) -> str:
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


def _on_the_simplex(dispute: Dispute) -> str:
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


def _at_the_point(dispute: Dispute) -> str:
    """backward(x) beside forward(x): it takes the point, by the name of its argument, and no cotangent."""
    candidate = dispute.candidate
    if not inspect.isclass(candidate.layer) or len(candidate.passes) != 2 or len(candidate.inputs) != 1:
        return ""
    forward, backward = candidate.passes
    if tuple(input_names(backward))[1:] != candidate.inputs:
        return ""
    passes = with_derivative(forward.__name__, backward.__name__)
    target = from_layer(made_in(candidate, dispute.setting), forward=passes[0], backward=passes[1])
    right = asked(target, dispute.inputs).verdict is Verdict.PASS
    return (
        "backward takes the point, not a cotangent: it is the derivative there, for its caller to multiply"
        if right
        else ""
    )


def _at_the_value(dispute: Dispute) -> str:
    """σ' = a (1 − a): a derivative that wants what the function returned."""
    if not dispute.candidate.at_point or len(dispute.inputs) != 1:
        return ""
    target, flat = dispute.bound
    value = target.value(*flat, *target.parameters.values())
    if np.shape(value) != np.shape(flat[0]):
        return ""
    at_value = from_pullback(lambda x: (target.value(x), target.linearize(np.asarray(target.value(x)))))
    right = asked(at_value, flat).verdict is Verdict.PASS
    return "its derivative is written in terms of the value, f(x)" if right else ""


def _unmultiplied(dispute: Dispute) -> str:
    """backward(dout) that returns f'(x) whatever dout is."""
    target, flat = dispute.bound
    if Kind.IGNORES_COTANGENT not in dispute.kinds or target.parameters:
        return ""

    def times(*arrays: Any) -> tuple[Any, Pullback]:
        value, pullback = target.value(*arrays), target.linearize(*arrays)
        return value, lambda g: tuple(None if d is None else _rows(g, d) * d for d in pullback(np.ones_like(value)))

    right = asked(from_pullback(times, frozen=target.frozen), flat).verdict is Verdict.PASS
    return "backward returns f'(x): its caller is to multiply" if right else ""


def _rows(g: Any, d: Any) -> Any:
    """A cotangent of examples, or of all at once, in as many axes as the derivative has."""
    return np.reshape(g, np.shape(g) + (1,) * max(np.ndim(d) - np.ndim(g), 0))


_TRIALS = (
    _declared,
    _habit,
    _of_another_loss,
    _handed_through,
    _rounding,
    _constant,
    _on_the_simplex,
    _at_the_point,
    _at_the_value,
    _unmultiplied,
)
