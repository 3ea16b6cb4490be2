"""Surprises: what layers do that is no mistake, each found by an experiment, named in a note, and undone.

Undone so that what is left can be judged as a vector-Jacobian product; with convention="vjp" nothing here is done, and
the judge says what it thinks of it.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradcheck.adapters.assignment import Leaf
from gradcheck.adapters.epsilon import without_epsilon
from gradcheck.adapters.joined import Half, half
from gradcheck.adapters.methods import written
from gradcheck.adapters.prepare import seeded
from gradcheck.adapters.recognise import Recognised
from gradcheck.adapters.remarks import remarks
from gradcheck.adapters.walk import Array

_ALIKE = 1e-6
"""Two runs of the same arithmetic in another order: far above rounding, far below a factor of two."""

_SMALL = 2.0**-20
"""A cotangent times this meets no clipping at ±1 or ±5, and being a power of two it changes no digit."""


@dataclass
class Habits:
    """What is undone.

    batch: the axis of the batch in the first input, where gradients are batch means; means: which are. loss: by axis
    −1 for a mean whose gradient is the sum's, 1 the other way. ignores: a loss that takes no cotangent. scale:
    cotangents are scaled down to pass below a clip. half: of a softmax and a cross-entropy, the one that it is. bare: a
    loss without the epsilon that its gradient does not have.
    """

    batch: int | None = None
    means: frozenset[str | int] = frozenset()
    loss: dict[int, int] = field(default_factory=dict)
    ignores: bool = False
    scale: float = 1.0
    half: Half | None = None
    bare: Recognised | None = None
    epsilon: str = ""
    notes: list[str] = field(default_factory=list)


def habits(found: Recognised, inputs: tuple[Any, ...], leaves: Sequence[Leaf]) -> Habits:
    """Try each of them. leaves: the arrays among the inputs, each with its position and name."""
    seen = Habits()
    with seeded():
        for trial in (_means, _ignores, _clips, _sums):
            trial(found, inputs, seen)
        seen.half = half(found, inputs, leaves, seen.ignores)
        seen.notes.extend([seen.half.note] if seen.half else [])
        _adds_epsilon(found, seen)
        seen.notes.extend(remarks(found, inputs))
    return seen


def _means(found: Recognised, inputs: tuple[Any, ...], seen: Habits) -> None:
    """The batch given twice leaves a batch mean as it is and doubles a sum.

    Only where all parameters agree: one mean among sums is a mistake. Inputs after the first (w and b of a pair of
    functions) are parameters too, if the value is twice as long with them as they are.
    """
    keys: list[str | int] = [*found.places.of_parameters, *(i for i in found.places.of_inputs if i > 0)]
    if not keys or not isinstance(inputs[0], np.ndarray) or not inputs[0].ndim:
        return
    origin = found.gradients(found.after)
    for axis in dict.fromkeys((0, inputs[0].ndim - 1)):
        try:
            doubled = (np.concatenate([inputs[0]] * 2, axis), *copy.deepcopy(inputs[1:]))
            done = found.observed.perform(doubled, _values(found))
            twice = [_twice(c, np.asarray(o)) for c, o in zip(found.cotangents, done.outputs, strict=True)]
            later = found.gradients(found.observed.pull(done, [c for c in twice if c is not None]))
        except Exception:  # the layer wants this very batch size, or another axis is the batch
            continue
        if any(c is None for c in twice):
            continue
        kinds = {_growth(np.asarray(origin[key]), np.asarray(later[key])) for key in keys} - {"zero"}
        if kinds == {"mean"}:
            seen.batch, seen.means = axis, frozenset(keys)
            seen.notes.append(
                "gradients of the parameters are means over the batch while the cotangent is not: a convention, undone "
                'here; convention="vjp" makes it a FAIL'
            )
        return


def _values(found: Recognised) -> dict[str, Array]:
    """The parameters of the first run, which lazy ones must keep."""
    return {name: found.after.values[name] for name in found.observed.parameters}


def _twice(cotangent: Array, output: Array) -> Array | None:
    """The cotangent for a value that came out twice as long along one axis; None where it did not."""
    longer = [a for a in range(output.ndim) if cotangent.ndim == output.ndim and output.shape[a] != cotangent.shape[a]]
    if len(longer) != 1 or output.shape[longer[0]] != 2 * cotangent.shape[longer[0]]:
        return None
    return np.concatenate([cotangent] * 2, longer[0])


def _growth(once: Array, twice: Array) -> str:
    if once.shape != twice.shape:
        return "other"
    size = float(np.max(np.abs(once), initial=0.0))
    if not size:
        return "zero"
    for word, factor in (("mean", 1), ("sum", 2)):
        if np.allclose(twice, factor * once, rtol=_ALIKE, atol=_ALIKE * size):
            return word
    return "other"


def _sums(found: Recognised, inputs: tuple[Any, ...], seen: Habits) -> None:
    """A loss that is a mean over the batch, or one of each example, beside the gradient of the sum; or a sum, or one of
    each example, beside that of the mean. The same over the entries of an example.

    The batch given twice leaves a mean and doubles a sum; each row's gradient is halved for a mean and left for a sum.
    """
    if found.places.of_parameters or len(found.done.outputs) != 1:
        return
    given = [a for a in inputs if isinstance(a, np.ndarray) and a.ndim]
    value, batch = np.asarray(found.done.outputs[0]), {len(a) for a in given}
    each = value.ndim == 1 and value.size in batch and not found.observed.passes.cotangents(found.done)
    if len(batch) != 1 or len(given) != len(inputs) or not (value.size == 1 or each):
        return
    entries = len({a.shape for a in given}) == 1 and given[0].ndim > 1
    for axis in (0, -1) if entries else (0,):
        value_is, gradient_of = _over(axis, found, inputs)
        value_is = "one of each example" if each and axis == 0 else f"a {value_is} over"
        power = {("a mean over", "sum"): -1, ("a sum over", "mean"): 1, ("one of each example", "mean"): 1}
        if (value_is, gradient_of) in power:
            seen.loss[axis] = power[value_is, gradient_of]
            what = "" if value_is.endswith("example") else " the entries of an example" if axis else " the batch"
            seen.notes.append(
                f"the loss is {value_is}{what} and its gradient that of the {gradient_of}: a constant, undone here; "
                'convention="vjp" makes it a FAIL'
            )


def _over(axis: int, found: Recognised, inputs: tuple[Any, ...]) -> tuple[str, str]:
    """Whether a loss is a mean or a sum over an axis, and which of them its gradient is that of."""
    try:
        done = found.observed.perform(tuple(np.concatenate([a] * 2, axis) for a in inputs))
        later = found.gradients(found.observed.pull(done, found.cotangents))
    except Exception:  # a loss of this very batch
        return "other", "other"
    once = {name: np.asarray(g) for name, g in found.gradients(found.after).items()}
    first = {name: np.take(np.asarray(later[name]), range(g.shape[axis]), axis) for name, g in once.items()}
    rows = {_growth(first[name], g) for name, g in once.items()}
    value = _growth(np.asarray(found.done.outputs[0]), np.asarray(done.outputs[0]))
    return value, {"mean": "sum", "sum": "mean"}.get(rows.pop(), "other") if len(rows) == 1 else "other"


def _ignores(found: Recognised, inputs: tuple[Any, ...], seen: Habits) -> None:
    """A loss is the end of the line: many take no cotangent, or take one and never look at it. What is no loss may give
    the derivative of each entry, and leave the product to others.
    """
    if len(found.done.outputs) != 1:
        return
    if np.ndim(found.done.outputs[0]):
        if found.observed.passes.cotangents(found.done) or found.places.of_parameters:
            return  # a layer with one unit and one example is no loss
        seen.ignores = True
        seen.notes.append("backward takes no cotangent: the derivative of each entry, multiplied by it here")
        return
    later = found.gradients(found.observed.pull(found.done, [3.0 * c for c in found.cotangents]))
    pairs = [(np.asarray(g), np.asarray(later[name])) for name, g in found.gradients(found.after).items()]
    if all(np.array_equal(a, b) for a, b in pairs) and any(a.any() for a, _ in pairs):
        seen.ignores = True
        seen.notes.append("the loss's backward does not look at its cotangent: multiplied by it here")


def _clips(found: Recognised, inputs: tuple[Any, ...], seen: Habits) -> None:
    """Clipped gradients: many entries at the very same ± bound for a huge cotangent, and none for a tiny one."""

    def largest(factor: float) -> dict[str | int, float]:
        after = found.observed.pull(found.done, [factor * c for c in found.cotangents])
        return {name: float(np.max(np.abs(g), initial=0.0)) for name, g in found.gradients(after).items()}

    if seen.ignores:
        return
    huge, larger, tiny = largest(2.0**20), largest(2.0**21), largest(_SMALL)
    bounded = [name for name, g in huge.items() if g and math.isfinite(g)]  # float16 ends at 65504, and is not clipped
    clipped = [name for name in bounded if huge[name] == larger[name] and tiny[name] < huge[name]]
    if clipped:
        seen.scale = _SMALL
        bounds = ", ".join(dict.fromkeys(f"±{huge[name]:g}" for name in clipped))
        seen.notes.append(f"backward clips gradients at {bounds}: judged below that, with cotangents times 2⁻²⁰")


def _adds_epsilon(found: Recognised, seen: Habits) -> None:
    """log(p + 1e-7) in a loss whose gradient knows nothing of it."""
    passes = found.observed.passes
    backward = written(found.done.layer, passes.backward)
    struck = without_epsilon(found.observed.layer, passes.forward, backward)
    if struck is not None and not found.places.of_parameters:
        seen.bare, seen.epsilon = replace(found, observed=replace(found.observed, layer=struck[0])), struck[1]
