"""Binding: a layer whose passes are known, and the inputs it is given, as a Target of plain arrays.

The convention is found when inputs of a shape are first seen, and kept for that shape.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from gradcheck.adapters.assignment import Grads, Params
from gradcheck.adapters.entry import in_mode
from gradcheck.adapters.epsilon import is_felt, remark
from gradcheck.adapters.flat import flattened
from gradcheck.adapters.functions import times
from gradcheck.adapters.joined import whole
from gradcheck.adapters.pairing import same_shape
from gradcheck.adapters.passes import Passes
from gradcheck.adapters.recognise import PassRaisedError, Recognised
from gradcheck.adapters.surprises import Habits
from gradcheck.adapters.tensored import array_of, is_tensor, tensored
from gradcheck.adapters.trees import leaves
from gradcheck.adapters.trials import recognised, trials_of
from gradcheck.adapters.walk import Array
from gradcheck.floats import is_real
from gradcheck.target import Pullback, Target, describe

_TINY = 2.0**-10
"""Cotangents below this are tiny to a step: a clip of gradients, which is not linear, still shows in larger ones."""

_REMEMBERED = 256
"""Shapes of inputs whose recognition is kept: more than a search draws."""


def layer_target(
    made: Any,
    passes: Passes,
    label: str,
    params: Params,
    grads: Grads,
    frozen: Sequence[int | str],
    convention: str,
) -> Target:
    """The Target of an object with these passes; the other arguments are those of `from_layer`."""
    made = in_mode(made, passes)
    known: dict[Any, tuple[Recognised, Habits]] = {}

    @cache
    def over_tensors() -> Target:
        over, forward, backward = tensored(made, passes.forward, passes.backward)
        ways = replace(passes, forward=forward, backward=backward)
        return layer_target(over, ways, label, params, grads, frozen, convention)

    def bind(*inputs: Any) -> tuple[Target, tuple[Any, ...]]:
        if any(map(is_tensor, inputs)):
            return over_tensors().bound(tuple(map(array_of, inputs)))
        inputs = tuple(_array_of(x) for x in inputs)
        names = passes.inputs_of(made, len(inputs))
        own = [item for item in frozen if isinstance(item, int) or item in names]
        numbers = not any(isinstance(x, np.ndarray) for x in inputs)
        flat = flattened(
            inputs,
            names,
            lambda leaf: isinstance(leaf, np.ndarray | np.generic) or (numbers and isinstance(leaf, float)),
            own,
            label,
        )
        arrays = tuple(np.asarray(leaf) for leaf in flat.originals)
        key = tuple((a.shape, a.dtype.str) for a in arrays)
        if key not in known:
            if len(known) >= _REMEMBERED:
                known.clear()
            leaves_of = [list(zip(range(len(a)), flat.names, a, strict=True)) for a in trials_of(arrays)]
            trials = [(flat.rebuilt([a for _, _, a in leaf]), leaf) for leaf in leaves_of]
            held = [*flat.frozen, *(item for item in frozen if item not in own)]
            found, seen = recognised(label, made, passes, trials, params, grads, held, convention)
            if isinstance(found, PassRaisedError):  # at these values; others of the same shape may be welcome
                return _raising(label, found, flat.rebuilt, flat.names, flat.frozen), arrays
            known[key] = found, seen
        found, seen = known[key]
        fixed = flat.frozen | {i for i in range(len(arrays)) if i not in found.places.of_inputs}
        target = _target(label, found, seen, flat.rebuilt, flat.names, fixed, convention == "vjp")
        if seen.bare is not None:
            bare = _target(label, seen.bare, seen, flat.rebuilt, flat.names, fixed, plain=False)
            felt = is_felt(target, bare, (*arrays, *target.parameters.values()))
            target = replace(target if felt else bare, notes=(*target.notes, remark(seen.epsilon, felt)))
        return (target, arrays) if seen.half is None else whole(target, seen.half, arrays)

    return Target(label, _unbound, _unbound, bind=bind)


def _target(
    label: str,
    found: Recognised,
    seen: Habits,
    rebuilt: Callable[[Sequence[Any]], tuple[Any, ...]],
    names: Sequence[str | None],
    held: frozenset[int] | set[int],
    plain: bool,
) -> Target:
    observed = found.observed
    judged = list(found.places.of_parameters) if found.given is None else list(observed.parameters)
    stepped = [name for name, path in found.places.of_parameters.items() if path[0].key == "stepped"]
    count = len(names)

    def perform(values: Sequence[Array]) -> Any:
        return observed.perform(rebuilt(values[:count]), dict(zip(judged, values[count:], strict=True)))

    def value(*values: Array) -> Any:
        return perform(values).value()

    def linearize(*values: Array) -> Pullback:
        done = perform(values)
        mean = 1 if seen.batch is None else np.shape(rebuilt(values[:count])[0])[seen.batch]
        constant = math.prod(float(max(values[0].shape[axis], 1)) ** power for axis, power in seen.loss.items())

        def pullback(cotangent: Any) -> tuple[Any, ...]:
            given = list(cotangent) if isinstance(cotangent, tuple) else [cotangent]
            after = observed.pull(done, [seen.scale * c for c in given] if seen.scale != 1 else given, own=not plain)
            gradients = found.gradients(after)
            if stepped and (louder := _louder(given)) != 1:
                again = found.gradients(observed.pull(done, [seen.scale * louder * c for c in given]))
                gradients.update({name: again[name] / louder for name in stepped})
            answers: list[Any] = []
            for key, model in zip((*range(count), *judged), values, strict=True):
                gradient = gradients.get(key)
                if gradient is None or key in held:
                    answers.append(None)
                    continue
                array = np.array(gradient) if plain else _fitted(np.array(gradient), model)
                factor = constant * (mean if key in seen.means else 1) / seen.scale
                array = array if factor == 1 else array * factor
                answers.append(times(given[0], array, jacobian=True) if seen.ignores else array)
            return tuple(answers)

        return pullback

    return Target(
        label,
        value,
        linearize,
        (*names, *judged),
        frozenset(held),
        {key: observed.parameters[key].array for key in judged},
        linearizing_evaluates=True,
        notes=(*found.notes, *seen.notes),
    )


def _louder(cotangents: Sequence[Any]) -> float:
    """The power of two that takes tiny cotangents to about one, 1 for others: a gradient read off a step of a parameter
    has the digits that are left of it there, none where rate × gradient is 10⁻¹⁶ of the parameter.
    """
    size = max((float(np.max(np.abs(c), initial=0.0)) for c in cotangents), default=0.0)
    return 2.0 ** -math.frexp(size)[1] if 0 < size < _TINY else 1.0


def _raising(
    label: str,
    found: PassRaisedError,
    rebuilt: Callable[[Sequence[Any]], tuple[Any, ...]],
    names: Sequence[str | None],
    held: frozenset[int],
) -> Target:
    """A target that raises what a pass of the layer raised: INCONCLUSIVE for a forward, a finding for a backward."""

    def raised(*_: Any) -> Any:
        raise found.error

    def value(*values: Array) -> Any:
        return raised() if found.observed is None else found.observed.perform(rebuilt(values)).value()

    note = "forward raised, so nothing was recognised" if found.observed is None else "backward raised"
    return Target(label, value, lambda *values: raised, tuple(names), held, notes=(note,))


def _array_of(value: Any) -> Any:
    """A nested list of floats as the array that it stands for; anything else as it is."""
    if not isinstance(value, list) or not any(isinstance(leaf, float) for _, leaf in leaves(value)):
        return value
    plain = all(isinstance(leaf, int | float) for _, leaf in leaves(value))
    try:
        return np.array(value) if plain else value
    except ValueError:  # rows of several lengths
        return value


def _fitted(gradient: Array, model: Array) -> Array:
    """A gradient in the shape and the precision of what it belongs to, where axes of length one are between them."""
    if gradient.shape != model.shape and same_shape(gradient, model.shape):
        gradient = gradient.reshape(model.shape)
    return gradient.astype(model.dtype) if is_real(gradient.dtype) and is_real(model.dtype) else gradient


def _unbound(*inputs: Any) -> Any:
    raise TypeError(f"this target sees its inputs first: target.bind({', '.join(map(describe, inputs))})")
