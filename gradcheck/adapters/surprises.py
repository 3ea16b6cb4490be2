"""Surprises: what layers do that is no mistake, each found by an experiment, named in a note, and undone.

Undone so that what is left can be judged as a vector-Jacobian product; with convention="vjp" nothing here is done, and
the judge says what it thinks of it.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.adapters.observe import Aftermath, seeded
from gradcheck.adapters.recognise import Recognised
from gradcheck.adapters.walk import Array, Step, read, spelled

_ALIKE = 1e-6
"""Two runs of the same arithmetic in another order: far above rounding, far below a factor of two."""

_SMALL = 2.0**-20
"""A cotangent times this meets no clipping at ±1 or ±5, and being a power of two it changes no digit."""


@dataclass
class Habits:
    """What is undone: gradients of parameters that are batch means, by the axis of the batch in the first input;
    cotangents that are ignored, as the loss at the end has none; cotangents scaled down to pass below a clip.
    """

    batch: int | None = None
    ignores: bool = False
    scale: float = 1.0
    notes: list[str] = field(default_factory=list)


def habits(found: Recognised, inputs: tuple[Any, ...]) -> Habits:
    """Try each of them."""
    seen = Habits()
    with seeded():
        for trial in (_means, _ignores, _clips):
            trial(found, inputs, seen)
        for trial_note in (_mutates, _steps, _enters_once, _by_setting):
            seen.notes.extend(trial_note(found, inputs))
    return seen


def _means(found: Recognised, inputs: tuple[Any, ...], seen: Habits) -> None:
    """The batch given twice leaves a batch mean as it is and doubles a sum.

    Only where all parameters agree: one mean among sums is a mistake.
    """
    if not found.of_parameters or not isinstance(inputs[0], np.ndarray):
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
        kinds = {_growth(np.asarray(origin[n]), np.asarray(later[n])) for n in found.of_parameters} - {"zero"}
        if kinds == {"mean"}:
            seen.batch = axis
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


def _ignores(found: Recognised, inputs: tuple[Any, ...], seen: Habits) -> None:
    """A loss is the end of the line: many take no cotangent, or take one and never look at it."""
    if any(np.size(output) > 1 for output in found.done.outputs) or len(found.done.outputs) != 1:
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
    clipped = [name for name in huge if huge[name] and huge[name] == larger[name] and tiny[name] < huge[name]]
    if clipped:
        seen.scale = _SMALL
        bounds = ", ".join(dict.fromkeys(f"±{huge[name]:g}" for name in clipped))
        seen.notes.append(f"backward clips gradients at {bounds}: judged below that, with cotangents times 2⁻²⁰")


def _mutates(found: Recognised, inputs: tuple[Any, ...]) -> Iterator[str]:
    same = (np.array_equal(a, c, equal_nan=True) for a, c in zip(found.after.given, found.cotangents, strict=True))
    if not all(same):
        yield "backward writes into its cotangent: it is given a copy here, and so should whoever else needs it"
    if not _equal(found.done.inputs, inputs):
        yield "forward writes into its input: it is given a copy here, and so should whoever else needs it"


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return not isinstance(a, np.ndarray) or np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def _steps(found: Recognised, inputs: tuple[Any, ...]) -> Iterator[str]:
    """A parameter that changes during backward: an optimiser steps inside."""
    after = found.after
    moved = [n for n, now in after.now.items() if not np.array_equal(now, after.values[n], equal_nan=True)]
    if moved:
        yield (
            f"MUTATES: backward steps the optimiser inside, {', '.join(moved)} change{'s' * (len(moved) == 1)}; judged "
            f"on copies; set its learning rate to 0 or trainable to False to look at gradients alone"
        )


def _enters_once(found: Recognised, inputs: tuple[Any, ...]) -> Iterator[str]:
    """Backward again on the layer that backward has left: it may add up, answer otherwise, or raise."""
    done, after = found.done, found.after
    try:
        returned = found.observed.passes.pull(
            type(done)(copy.deepcopy(after.layer), done.inputs, done.outcome, done.outputs, done.spare, done.packed),
            copy.deepcopy(found.cotangents),
        )
    except Exception as error:
        yield f"backward can be called once for each forward (the second time {type(error).__name__}); copied before"
        return
    del returned
    again: Aftermath = found.observed.pull(
        type(done)(after.layer, done.inputs, done.outcome, done.outputs, done.spare, done.packed), found.cotangents
    )
    kept = [name for name, path in found.of_parameters.items() if path[0].key == "layer"]
    first, second = found.gradients(after), found.gradients(again)
    added = [n for n in kept if np.allclose(second[n], 2 * np.asarray(first[n]), rtol=_ALIKE) and np.any(first[n])]
    if added:
        yield f"gradients accumulate from one backward to the next ({', '.join(added)}): judged from zero"


_DESIGN: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (("bptt_trunc", "truncate", "bptt_truncate", "trunc"), lambda v: isinstance(v, int) and v > 0,
     "back-propagation through time is cut after {} steps by design: make it as long as the sequence to judge it"),
)  # fmt: skip


def _by_setting(found: Recognised, inputs: tuple[Any, ...]) -> Iterator[str]:
    """Settings under which a gradient is not the derivative, by design."""
    for names, matters, sentence in _DESIGN:
        for name in names:
            value = read(found.observed.layer, (Step("attribute", name),))
            if value is not None and matters(value):
                yield f"{spelled((Step('attribute', name),))}: {sentence.format(value)}"
