"""Excuses: what a disagreement is instead of a mistake, each told by an experiment that a mistake would not pass.

A sweep accuses somebody of a mistake in code that nobody asked about. It may do so only where no convention explains
what was seen; what one does explain is odd, and said.
"""

import inspect
import re
from contextlib import suppress
from typing import Any

import numpy as np

from gradcheck.adapters.functions import with_derivative
from gradcheck.adapters.layer import from_layer
from gradcheck.adapters.methods import input_names
from gradcheck.adapters.naming import RATES
from gradcheck.census.dispute import ROUNDED, Dispute, asked
from gradcheck.census.losses import by_a_constant, handed_through, of_another_loss, on_the_simplex
from gradcheck.census.settings import made_in
from gradcheck.report import Kind, Verdict
from gradcheck.target import Pullback, from_pullback

EPSILON = 1e-3
"""What an epsilon in a log may come to, relative to the gradient: 1e-5 added to probabilities of a hundredth."""

_DESIGNED = re.compile(
    r"clip\w*_?grad|grad\w*_?clip|straight_?through|(?:^|_)ste(?:$|_)|grad\w*_?revers", re.IGNORECASE
)
"""Names of functions whose backward is another function on purpose; those of layers are known to the adapters."""

_TODO = re.compile(r"TODO|YOUR CODE|FIXME|to be implemented", re.IGNORECASE)

_DECAY = re.compile(r"regulari[sz]|weight_?decay|(?:^|_)l[12](?:$|_)|penal", re.IGNORECASE)
"""Names of what a layer holds where its backward adds the gradient of a penalty on its weights."""

HABITS = {Kind.STALE, Kind.ACCUMULATES, Kind.MUTATES, Kind.ALIASES, Kind.NONDETERMINISTIC}
"""Surprises to a caller, but no wrong derivative: what a network that calls every layer once, in order, never sees."""


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


def _unfinished(dispute: Dispute) -> str:
    """An exercise that nobody has done yet: zeros for every gradient, beneath a comment that says what to do."""
    target, flat = dispute.bound
    values = (*flat, *target.parameters.values())
    gradients = target.linearize(*values)(_ones(target.value(*values)))
    if any(np.any(g) for g in gradients if g is not None):
        return ""
    with suppress(OSError, TypeError):  # no source
        if any(_TODO.search(inspect.getsource(function)) for function in dispute.candidate.passes):
            return "backward returns zeros only, beneath a TODO: not written yet"
    return ""


def _ones(value: Any) -> Any:
    return tuple(map(np.ones_like, value)) if isinstance(value, tuple) else np.ones_like(value)


def _decay(dispute: Dispute) -> str:
    """The gradient of a penalty on the weights, named in the layer, that backward adds whatever the cotangent: c·W or
    c·sign W. The penalty itself is the loss's, if it is anywhere. A factor of the rest, or a term in dx, stays wrong.
    """
    target, flat = dispute.bound
    weights = tuple(target.parameters.values())
    if not weights or not any(map(_DECAY.search, vars(made_in(dispute.candidate, dispute.setting)))):
        return ""

    def added(pullback: Pullback, value: Any) -> tuple[Any, ...]:
        zeros = tuple(map(np.zeros_like, value)) if isinstance(value, tuple) else np.zeros_like(value)
        return tuple(None if d is None else np.asarray(d) for d in pullback(zeros))

    def without(*arrays: Any) -> tuple[Any, Pullback]:
        value, pullback = target.value(*arrays), target.linearize(*arrays)
        more = added(pullback, value)
        return value, lambda g: tuple(None if d is None else d - m for d, m in zip(pullback(g), more, strict=True))

    more = added(target.linearize(*flat, *weights), target.value(*flat, *weights))
    inputs, decays = more[: len(flat)], more[len(flat) :]
    named = [(d, w) for d, w in zip(decays, weights, strict=True) if d is not None and np.any(d)]
    if not named or any(np.any(d) for d in inputs if d is not None) or not all(_of_a_penalty(d, w) for d, w in named):
        return ""
    right = asked(from_pullback(without, frozen=target.frozen), (*flat, *weights)).verdict is Verdict.PASS
    return "backward adds the gradient of a penalty on the weights, which forward does not compute" if right else ""


def _of_a_penalty(decay: Any, weight: Any) -> bool:
    """Whether a gradient is a positive number times the weight, or its sign."""
    for model in (np.asarray(weight), np.sign(weight)):
        scale = float(np.vdot(model, decay)) / (float(np.vdot(model, model)) or 1.0)
        if scale > 0 and np.allclose(decay, scale * model, rtol=ROUNDED, atol=0):
            return True
    return False


def _rounding(dispute: Dispute) -> str:
    if dispute.error >= ROUNDED:
        return ""
    return f"agrees to {dispute.error:.0e}: an epsilon, a constant of few digits or a lower precision inside"


def _at_the_point(dispute: Dispute) -> str:
    """backward(x) beside forward(x): it takes the point, by the name of its argument, and no cotangent."""
    candidate = dispute.candidate
    if not inspect.isclass(candidate.layer) or len(candidate.passes) != 2 or len(candidate.inputs) != 1:
        return ""
    forward, backward = candidate.passes
    if tuple(name for name in input_names(backward)[1:] if name not in RATES) != candidate.inputs:
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
    _unfinished,
    _decay,
    of_another_loss,
    handed_through,
    _rounding,
    by_a_constant,
    on_the_simplex,
    _at_the_point,
    _at_the_value,
    _unmultiplied,
)
