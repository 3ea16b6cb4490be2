"""Trials: recognition tried in several ways, the likeliest first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.adapters.assignment import Grads, Leaf, Params
from gradcheck.adapters.methods import CallError, keeps_by_call
from gradcheck.adapters.passes import Passes
from gradcheck.adapters.recognise import PassRaisedError, Recognised, recognise
from gradcheck.adapters.surprises import Habits, habits
from gradcheck.adapters.walk import Array
from gradcheck.floats import differentiable


def recognised(
    label: str,
    layer: Any,
    passes: Passes,
    trials: Sequence[tuple[tuple[Any, ...], Sequence[Leaf]]],
    params: Params,
    grads: Grads,
    frozen: Sequence[int | str],
    convention: str,
) -> tuple[Recognised | PassRaisedError, Habits]:
    """Recognised at generic values of the inputs, or at the inputs themselves where the layer does not like those; with
    a cotangent for each of several values, or for the first where backward does not like that; with flags as they are,
    or set (save_cache=False) where backward does not like that; with labels in the place of a cotangent; by __call__.

    Raises what the layer raised the first time, or what a backward that is handed labels wants.
    """
    raised: list[Exception] = []
    set_flags = [replace(passes, training=True)] if passes.training is None else []
    with_labels = [replace(passes, labelled=True)] if passes.labels(layer) else []
    by_call = [replace(passes, forward="__call__")] if keeps_by_call(layer, passes.forward) else []
    for way in (passes, replace(passes, leading=True), *set_flags, *with_labels, *by_call):
        for inputs, arrays in trials:
            floats = [leaf for leaf in arrays if differentiable(leaf[2])]
            try:
                found = recognise(label, layer, way, inputs, floats, params=params, grads=grads, frozen=frozen)
                if inputs is not trials[-1][0] and not all(np.all(np.isfinite(o)) for o in found.done.outputs):
                    continue  # out of its domain, where nothing can be seen to depend on anything
                return found, habits(found, inputs, arrays) if convention == "auto" else Habits()
            except Exception as error:
                raised.append(error)
    told = raised[-1] if with_labels and isinstance(raised[-1], CallError) else raised[0]
    if isinstance(told, PassRaisedError):
        return told, Habits()
    raise told


def trials_of(arrays: tuple[Array, ...]) -> list[tuple[Array, ...]]:
    """The inputs with their floats moved by a tenth, then as they are: zeros and repeated values hide what depends on
    what. Rows of probabilities stay, which labels are too.
    """
    rng = np.random.default_rng(0)
    moved = []
    for array in arrays:
        rows = array.ndim and np.all(array >= 0) and np.allclose(array.sum(-1), 1) if array.dtype.kind == "f" else True
        beyond = 0.0 if np.all(array > 0) else 0.5 * float(np.max(np.abs(array), initial=0.0)) or 1.0
        size = np.abs(array) + beyond  # what is positive stays so: it may be under a root
        other = array if rows else array + 0.1 * size * rng.uniform(-1, 1, array.shape)
        moved.append(np.asarray(other).astype(array.dtype))
    return [tuple(moved), arrays]
