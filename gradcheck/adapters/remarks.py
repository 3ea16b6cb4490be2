"""Remarks: what is worth saying of a layer's passes, and needs nothing undone because every call is made on a copy."""

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.adapters.aftermath import Aftermath
from gradcheck.adapters.entry import modes_of
from gradcheck.adapters.methods import undecorated, written
from gradcheck.adapters.naming import TRAINING
from gradcheck.adapters.prepare import seeded
from gradcheck.adapters.recognise import Recognised
from gradcheck.adapters.walk import Array, Step, read

_ALIKE = 1e-6
"""Two runs of the same arithmetic in another order: far above rounding, far below a factor of two."""


def remarks(found: Recognised, inputs: tuple[Any, ...]) -> Iterator[str]:
    """Everything that is to be said, a sentence each."""
    for remark in (_mutates, _steps, _enters_once, _by_design, _tests, _seeds, _rounds):
        yield from remark(found, inputs)


def _tests(found: Recognised, inputs: tuple[Any, ...]) -> Iterator[str]:
    """A layer made for use, which computes something else in training: backward may be meant for that alone."""
    observed = found.observed
    for name in modes_of(observed.layer) if observed.passes.training is None else ():
        mode, trained = getattr(observed.layer, name), name.strip("_") in TRAINING
        other = observed.fork()
        setattr(other, name, trained)
        try:
            outputs = observed.passes.perform(other, copy.deepcopy(inputs)).outputs
        except Exception:
            continue
        if mode != trained and not _equal(outputs, found.done.outputs):
            yield f"judged as it is, with {name} = {mode}; training=True judges it in training"


def _seeds(found: Recognised, inputs: tuple[Any, ...]) -> Iterator[str]:
    """np.random.seed inside forward: the stream is at the same place after it, wherever it was before."""
    passes, layer = found.observed.passes, found.observed.layer
    if "seed" not in getattr(undecorated(written(layer, passes.forward)), "__code__", _rounds.__code__).co_names:
        return
    places = []
    for start in (0, 1):
        with seeded(start):
            try:
                passes.perform(found.observed.fork(), copy.deepcopy(inputs))
            except Exception:
                return
            places.append(np.random.get_state(legacy=False)["state"]["key"])  # noqa: NPY002 - the stream that it sets
    if np.array_equal(*places):
        yield "forward sets NumPy's global seed: whatever else draws from that stream repeats itself"


def _rounds(found: Recognised, inputs: tuple[Any, ...]) -> Iterator[str]:
    """Single precision inside double: arrays made with dtype='f', say."""
    gradients = [np.asarray(g).dtype for g in found.gradients(found.after).values() if g is not None]
    values = [np.asarray(output).dtype for output in found.done.outputs]
    given = [a.dtype for a in inputs if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    if np.dtype(np.float64) in given and np.dtype(np.float32) in (*gradients, *values):
        yield "computes in float32 inside for inputs of float64: judged for what that can resolve"


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
    moved = found.after.moved()
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
            replace(done, layer=copy.deepcopy(after.layer)),
            copy.deepcopy(found.cotangents),
        )
    except Exception as error:
        yield f"backward can be called once for each forward (the second time {type(error).__name__}); copied before"
        return
    del returned
    again: Aftermath = found.observed.pull(replace(done, layer=after.layer), found.cotangents)
    kept = [name for name, path in found.places.of_parameters.items() if path[0].key == "layer"]
    first, second = found.gradients(after), found.gradients(again)
    added = [n for n in kept if _doubled(np.asarray(first[n]), np.asarray(second[n]))]
    if added:
        yield f"gradients accumulate from one backward to the next ({', '.join(added)}): judged from zero"


def _doubled(once: Array, twice: Array) -> bool:
    return bool(once.any()) and once.shape == twice.shape and np.allclose(twice, 2 * once, rtol=_ALIKE, atol=0)


_BY_DESIGN = re.compile(
    r"(?:grad\w*_?)?revers(?:al|e)|straight_?through|(?:^|_)ste(?:$|_)|stop_?grad|quanti[sz]|binari[sz]|detach",
    re.IGNORECASE,
)
"""Names of functions whose backward is not the derivative of their forward, and is not meant to be."""

_TRUNCATED = ("bptt_trunc", "truncate", "bptt_truncate", "trunc", "truncation")


def _by_design(found: Recognised, inputs: tuple[Any, ...]) -> Iterator[str]:
    """Names and settings under which a gradient is not the derivative, on purpose."""
    if _BY_DESIGN.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found.label)):
        yield (
            f"by design? a layer called {found.label} may have a backward that is no derivative of its forward; "
            f"declare its input frozen, or list it in the file of expected failures"
        )
    for name in _TRUNCATED:
        steps = read(found.observed.layer, (Step("attribute", name),))
        if isinstance(steps, int) and steps > 0:
            yield (
                f"by design? {name} cuts back-propagation through time after {steps} steps: make it as long as the "
                f"sequence to judge the rest"
            )
