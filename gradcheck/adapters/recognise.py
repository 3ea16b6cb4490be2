"""Recognise: what a layer's convention is, found out by looking and trying, and said in notes.

Forward and backward are run once on copies; every parameter and input gets the place where its gradient appears, or
is held fixed with a note that says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradcheck.adapters.methods import bound, entered, input_names, spell, written
from gradcheck.adapters.observe import Aftermath, Observed, Parameter, observe, seeded, vary_constants
from gradcheck.adapters.pairing import Candidate, by_name, by_shape, laid_out, of_inputs
from gradcheck.adapters.passes import Passes, Performance, is_label
from gradcheck.adapters.walk import Array, Path, Step, arrays, places, spelled
from gradcheck.adapters.wording import returned_names

Grads = Callable[[Any], Mapping[str, Any]] | Mapping[str, str] | None
Params = Callable[[Any], Mapping[str, Array]] | Iterable[str] | None


@dataclass
class Recognised:
    """A layer with the place of every gradient: by parameter name, and by position among the input arrays."""

    label: str
    observed: Observed
    done: Performance  # at the trial inputs
    after: Aftermath
    cotangents: list[Array]
    of_parameters: dict[str, Path] = field(default_factory=dict)
    of_inputs: dict[int, Path] = field(default_factory=dict)
    given: Callable[[Any], Mapping[str, Any]] | None = None  # the caller's own way to gradients
    notes: list[str] = field(default_factory=list)

    def gradients(self, after: Aftermath) -> dict[str | int, Any]:
        """Every gradient of a backward pass, by parameter name and input position."""
        found: dict[str | int, Any] = {i: after.gradient(path) for i, path in self.of_inputs.items()}
        if self.given is None:
            found.update({name: after.gradient(path) for name, path in self.of_parameters.items()})
        else:
            told = self.given(after.layer)
            found.update({name: told[name] for name in self.observed.parameters if name in told})
        return found


class PassRaisedError(Exception):
    """Forward or backward raised from inside: a matter for a verdict, not of how they are called."""

    def __init__(self, observed: Observed | None, error: Exception) -> None:
        super().__init__(str(error))
        self.observed = observed  # None where forward raised
        self.error = error


def recognise(
    label: str,
    layer: Any,
    passes: Passes,
    inputs: tuple[Any, ...],
    leaves: Sequence[tuple[int, str | None, Array]],
    *,
    params: Params = None,
    grads: Grads = None,
    frozen: Sequence[int | str] = (),
) -> Recognised:
    """Find out where the gradients appear. inputs: as forward takes them; leaves: the float arrays among them, each
    with its position and name.

    Raises PassRaisedError, CallError, and TypeError where no gradient is found at all.
    """
    try:
        observed = observe(layer, passes, inputs)
    except Exception as error:
        if entered(error):
            raise PassRaisedError(None, error) from error
        raise
    if params is not None:
        observed.parameters = _chosen(observed, params)
    with seeded():
        done = observed.perform(inputs)
        rng = np.random.default_rng(0)
        cotangents = [rng.normal(size=np.shape(o)).astype(np.result_type(np.asarray(o), 1.0)) for o in done.outputs]
        before = arrays(done.layer)
        try:
            after = observed.pull(done, cotangents)
        except Exception as error:
            if entered(error):
                raise PassRaisedError(observed, error) from error
            raise
        twice = observed.pull(done, [2 * c for c in cotangents])
    found = Recognised(label, observed, done, after, cotangents)
    kept = [
        Candidate(path, path, array)
        for path, array in arrays(SimpleNamespace(layer=after.layer), asked=True).items()
        if not (path[1:] in before and np.array_equal(before[path[1:]], array, equal_nan=True))
    ]
    untouched = [
        Candidate((Step("attribute", "layer"), *path), (Step("attribute", "layer"), *path), array)
        for path, array in arrays(after.layer).items()
    ]
    names = returned_names(written(done.layer, passes.backward))
    returned = laid_out(after.returned, names)
    if isinstance(grads, Mapping):
        _take(found, grads, [*returned, *kept, *untouched])
    elif grads is not None:
        found.given = grads
    else:
        _pair(found, returned, kept, untouched, after, twice)
    taken = set(found.of_parameters.values())
    wanted = [(i, name, array.shape) for i, name, array in leaves if not _held(i, name, leaves, frozen)]
    found.of_inputs = {i: c.path for i, c in of_inputs([c for c in returned if c.path not in taken], wanted).items()}
    _drop(found, frozen)
    if not found.of_inputs and not found.of_parameters and found.given is None:
        raise TypeError(
            f"{spell(passes.backward)} returned {_describe(after.returned)} and left no gradient on the layer; say "
            f"where they are: from_layer(…, backward=lambda layer, cotangent: …, grads=lambda layer: {{'W': …}})"
        )
    vary_constants(observed, list(found.of_parameters))
    found.notes = [_sentence(found, leaves, names), *observed.notes, *_held_fixed(found, leaves, frozen)]
    return found


def _pair(
    found: Recognised,
    returned: list[Candidate],
    kept: list[Candidate],
    untouched: list[Candidate],
    after: Aftermath,
    twice: Aftermath,
) -> None:
    """A gradient for every parameter, where there is one: by name, recorded by an optimiser, by shape, or stepped."""
    parameters = found.observed.parameters
    for candidates in (returned, kept):
        for name, parameter in parameters.items():
            chosen = None if name in found.of_parameters else by_name(parameter, candidates)
            if chosen is not None:
                found.of_parameters[name] = chosen.path
    if any(path[0].key == "layer" for path in found.of_parameters.values()):
        for name, parameter in parameters.items():  # one that backward forgot to fill, beside others that it fills
            chosen = None if name in found.of_parameters else by_name(parameter, untouched)
            if chosen is not None:
                found.of_parameters[name] = chosen.path
    for name in after.recorded():
        found.of_parameters.setdefault(name, (Step("attribute", "recorded"), Step("item", name)))
    taken = set(found.of_parameters.values())
    doubling = [c for c in (*returned[1:], *kept) if c.path not in taken and _doubles(c, twice)]
    rest = {name: p for name, p in parameters.items() if name not in found.of_parameters}
    for name, parameter in rest.items():
        chosen = by_shape(parameter, list(rest.values()), doubling)
        if chosen is not None and not any(chosen.path[1:] == path for p in rest.values() for path in p.paths):
            found.of_parameters[name] = chosen.path
            found.observed.notes.append(f"{spelled(chosen.path)} taken for the gradient of {name} by its shape")
    stepped = after.stepped()
    for name in rest:
        if name not in found.of_parameters and name in stepped:
            found.of_parameters[name] = (Step("attribute", "stepped"), Step("item", name))
            found.observed.notes.append(f"the gradient of {name} is what backward's own step changed, over its rate")


def _doubles(candidate: Candidate, twice: Aftermath) -> bool:
    """Whether an array doubles with the cotangent: a gradient does, a cache does not.

    1e-6 is far above the rounding of either precision, and far below the difference between once and twice.
    """
    other = twice.gradient(candidate.path)
    return (
        isinstance(other, np.ndarray)
        and other.shape == candidate.array.shape
        and bool(candidate.array.any())
        and np.allclose(other, 2 * candidate.array, rtol=1e-6, atol=0)
    )


def _chosen(observed: Observed, params: Params) -> dict[str, Parameter]:
    """The parameters that the caller names, by path or by a function of the layer."""
    everywhere = {path: value for path, value in places(observed.layer) if isinstance(value, np.ndarray)}
    wanted: dict[str, Array | None]
    if callable(params):
        wanted = dict(params(observed.layer))
    else:
        wanted = {
            name: next((a for path, a in everywhere.items() if name in (spelled(path), str(path[-1].key))), None)
            for name in params or ()
        }
    found = {}
    for name, array in wanted.items():
        paths = [path for path, value in everywhere.items() if value is array]
        if array is None or not paths:
            known = ", ".join(map(spelled, everywhere)) or "no array"
            raise ValueError(f"params names {name!r}, and the layer has {known}; name one of these")
        found[name] = Parameter(paths, array)
    return found


def _take(found: Recognised, grads: Mapping[str, str], candidates: list[Candidate]) -> None:
    """The gradients that the caller names, by path."""
    for name, place in grads.items():
        if name not in found.observed.parameters:
            known = ", ".join(found.observed.parameters) or "none"
            raise ValueError(f"grads names a parameter {name!r}, and the parameters are {known}; name one of these")
        chosen = next((c for c in candidates if place in (spelled(c.path), spelled(c.path[1:]))), None)
        if chosen is None:
            known = ", ".join(spelled(c.path) for c in candidates) or "nothing"
            raise ValueError(f"grads has the gradient of {name} in {place!r}; after backward there is {known}")
        found.of_parameters[name] = chosen.path


def _held(
    position: int, name: str | None, leaves: Sequence[tuple[int, str | None, Array]], frozen: Sequence[int | str]
) -> bool:
    return position in frozen or name in frozen or is_label(name, [other for _, other, _ in leaves])


def _drop(found: Recognised, frozen: Sequence[int | str]) -> None:
    for name in frozen:
        found.of_parameters.pop(str(name), None)


def _sentence(
    found: Recognised, leaves: Sequence[tuple[int, str | None, Array]], names: Mapping[tuple[int, ...], str]
) -> str:
    """What was recognised, in one sentence."""
    passes, done = found.observed.passes, found.done
    forward = f"{spell(passes.forward)}({', '.join(input_names(bound(done.layer, passes.forward)))})"
    where = ", ".join(
        f"{name} in {spelled(path).replace('layer.', 'self.', 1)}"
        for name, path in found.of_parameters.items()
    )
    inputs = ", ".join(f"d{name or i}" for i, name, _ in leaves if i in found.of_inputs)
    parts = [f"recognised: {forward}", f"{spell(passes.backward)} returns {inputs or 'no gradient of an input'}"]
    if done.spare is not None:
        parts.insert(1, "returns (value, cache)")
    if where:
        parts.append(f"gradients: {where}")
    return "; ".join(parts)


def _held_fixed(
    found: Recognised, leaves: Sequence[tuple[int, str | None, Array]], frozen: Sequence[int | str]
) -> Iterable[str]:
    """What is not judged, and why."""
    if found.given is None:
        for name in found.observed.parameters:
            if name not in found.of_parameters and name not in frozen:
                yield f"{name} alters the value and no gradient of it was found: held fixed, not judged"
    for i, label, _ in leaves:
        if i not in found.of_inputs and not _held(i, label, leaves, frozen):
            yield f"backward returns no gradient of {label or f'input {i}'}: held fixed, not judged"


def _describe(returned: Any) -> str:
    return "nothing" if returned is None else f"{type(returned).__name__} {returned!r:.60}"

