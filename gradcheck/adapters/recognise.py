"""Recognise: what a layer's convention is, found out by looking and trying, and said in notes.

Forward and backward are run once on copies; every parameter and input gets the place where its gradient appears, or
is held fixed with a note that says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.adapters.aftermath import Aftermath
from gradcheck.adapters.assignment import Assignment, Grads, Leaf, Params, Run, assigned, chosen
from gradcheck.adapters.methods import entered, spell, written
from gradcheck.adapters.observe import Observed, observe, start_from_zero, vary_constants
from gradcheck.adapters.pairing import laid_out
from gradcheck.adapters.passes import Passes, Performance
from gradcheck.adapters.prepare import seeded
from gradcheck.adapters.scalars import with_scalars
from gradcheck.adapters.summary import held_fixed, in_words
from gradcheck.adapters.walk import Array
from gradcheck.adapters.wording import returned_names


@dataclass
class Recognised:
    """A layer with the place of every gradient: by parameter name, and by position among the input arrays."""

    label: str
    observed: Observed
    done: Performance  # at the trial inputs
    after: Aftermath
    cotangents: list[Array]
    places: Assignment
    given: Callable[[Any], Mapping[str, Any]] | None  # the caller's own way to gradients
    notes: list[str] = field(default_factory=list)

    def gradients(self, after: Aftermath) -> dict[str | int, Any]:
        """Every gradient of a backward pass, by parameter name and input position."""
        found: dict[str | int, Any] = {i: after.gradient(path) for i, path in self.places.of_inputs.items()}
        if self.given is None:
            found.update({name: after.gradient(path) for name, path in self.places.of_parameters.items()})
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
    leaves: Sequence[Leaf],
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
        observed.parameters = chosen(observed, params)
    run, cotangents = _run(observed, inputs)
    if params is None:
        as_it_was, observed = observed, with_scalars(observed, inputs, run)
        run, cotangents = (run, cotangents) if observed.layer is as_it_was.layer else _run(observed, inputs)
    known = [*observed.parameters, *(name for _, name, _ in leaves)]
    unknown = [item for item in frozen if isinstance(item, str) and item not in known]
    if unknown:
        there = ", ".join(map(str, known)) or "no parameter and no named input"
        raise ValueError(f"frozen names {unknown[0]!r}, and the layer has {there}; name one of these")
    places = assigned(
        {} if callable(grads) else {name: p for name, p in observed.parameters.items() if name not in frozen},
        [(i, name, array) for i, name, array in leaves if i not in frozen and name not in frozen],
        run,
        grads if isinstance(grads, Mapping) else None,
    )
    if not places.of_inputs and not places.of_parameters and not callable(grads):
        raise TypeError(
            f"{spell(passes.backward)} returned {_describe(run.after.returned)} and left no gradient on the layer; say "
            f"where they are: from_layer(…, backward=lambda layer, cotangent: …, grads=lambda layer: {{'W': …}})"
        )
    vary_constants(observed, list(places.of_parameters))
    start_from_zero(observed, [path[1:] for path in places.of_parameters.values() if path[0].key == "layer"])
    with seeded():
        done = observed.perform(inputs)
        after = observed.pull(done, cotangents)
    found = Recognised(label, observed, done, after, cotangents, places, grads if callable(grads) else None)
    found.notes = [in_words(found, leaves), *observed.notes, *places.notes, *held_fixed(found, leaves, frozen)]
    return found


def _run(observed: Observed, inputs: tuple[Any, ...]) -> tuple[Run, list[Array]]:
    """Both passes, backward with generic cotangents."""
    with seeded():
        done = observed.perform(inputs)
        rng = np.random.default_rng(0)
        cotangents = [rng.normal(size=np.shape(o)).astype(np.result_type(np.asarray(o), 1.0)) for o in done.outputs]
        try:
            after = observed.pull(done, cotangents)
        except Exception as error:
            if entered(error):
                raise PassRaisedError(observed, error) from error
            raise
        twice = observed.pull(done, [2 * c for c in cotangents])
        again = observed.pull_again(done, after, cotangents) if after.moved() else None
    names = returned_names(written(done.layer, observed.passes.backward))
    return Run(done, after, laid_out(after.returned, names), twice, again), cotangents


def _describe(returned: Any) -> str:
    return "nothing" if returned is None else f"{type(returned).__name__} {returned!r:.60}"
