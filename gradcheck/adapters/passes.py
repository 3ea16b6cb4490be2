"""Passes: how a layer's forward and backward are called, read from their signatures.

Forward takes the inputs, and settings besides (a training flag). Backward takes cotangents, and sometimes what forward
returned beside its value, the inputs again, or a learning rate. What forward returns is its value, or values, or a
value with a cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.adapters.caches import empty_cache, is_cache
from gradcheck.adapters.methods import (
    CallError,
    Method,
    arguments,
    bound,
    defaults,
    input_names,
    is_flag,
    signature,
    spell,
    written,
)
from gradcheck.adapters.naming import KEPT, LABELS, PHASES, RATES, TESTING, TRAINING
from gradcheck.adapters.optimisers import Descent, Recorder
from gradcheck.adapters.roles import Role, is_label_of_its_own, is_value, place_of, roles_of
from gradcheck.adapters.walk import Array
from gradcheck.adapters.wording import returned_names


@dataclass
class Performance:
    """One forward pass: the layer after it, the inputs it had, what it returned; its outputs and what came besides."""

    layer: Any
    inputs: tuple[Any, ...]
    outcome: Any
    outputs: list[Any]
    spare: Any = None
    noted: dict[str, Any] = field(default_factory=dict)  # the caches that forward was handed empty
    packed: type | None = None  # outputs, and so cotangents, come in a tuple or list

    def value(self) -> Any:
        """The outputs as a Target has them, none of them the layer's own memory."""
        arrays = [np.array(output, copy=True) for output in self.outputs]
        return arrays[0] if len(arrays) == 1 and self.packed is None else tuple(arrays)


@dataclass(frozen=True)
class Passes:
    """The two passes of a layer. training: the value for every training flag, None to leave defaults as they are.
    leading: of several values only the first has a cotangent. labelled: backward is handed labels for a cotangent.
    """

    forward: Method
    backward: Method
    training: bool | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    leading: bool = False
    labelled: bool = False

    def inputs_of(self, layer: Any, count: int) -> list[str]:
        """The names of forward's inputs when it is given so many: a cache to be filled is none if there is none for it.

        forward(x, cache), forward(ctx, x) of one input.
        """
        method = bound(layer, self.forward)
        wanted = [name for name in signature(method)[0] if not self._is_setting(name)]
        empty = [name for name in wanted if is_cache(name)]
        short = bool(empty) and count == len(wanted) - len(empty)
        return [name for name in input_names(method) if not (short and name in empty)]

    def perform(self, layer: Any, inputs: tuple[Any, ...]) -> Performance:
        """Run forward. Raises CallError where the number of inputs does not fit, and whatever forward raises."""
        method = bound(layer, self.forward)
        positional, optional, variadic = signature(method)
        if len(inputs) > 1 and len(inputs) == len(positional) + len(optional):
            return self._split(layer, inputs, _kept(layer, method(*inputs)))  # settings among them
        slots = [name for name in positional if not self._is_setting(name)]
        noted = {}
        if len(inputs) < len(slots):
            given = self.inputs_of(layer, len(inputs))
            noted = {name: empty_cache(name) for name in slots if name not in given}
            slots = [name for name in slots if name in given]
        named = [name for name in optional if not self._is_setting(name)]
        wanted = len(slots) + len(named)
        if len(inputs) < len(slots) or (len(inputs) > wanted and not variadic):
            raise CallError(
                f"{spell(self.forward)} takes {len(slots)} input{'s' * (len(slots) != 1)} "
                f"({', '.join(slots)}), got {len(inputs)}; give one array for each"
            )
        rest = iter(inputs)
        positioned = [noted[n] if n in noted else next(rest) if n in slots else self._setting(n) for n in positional]
        by_name = dict(zip(named, rest, strict=False)) if not variadic else {}
        flags = {n: self._setting(n) for n in optional if self._is_setting(n) and self._overrides(n)}
        outcome = method(*positioned, *rest, **by_name, **flags)
        return self._split(layer, inputs, _kept(layer, outcome), noted)

    def pull(self, done: Performance, cotangents: Sequence[Array]) -> Any:
        """Run backward on the layer as forward left it; returns what it returns, and raises what it raises."""
        rest: Any = iter([done.packed(cotangents)] if done.packed else cotangents)
        given: list[Any] = []
        named: dict[str, Any] = {}
        for name, role in self._roles(done.layer, done.outcome):
            if role == "cotangent":
                given.append(next(rest))
            elif role == "optional":
                named[name] = next(rest)
            elif role == "cache":
                given.append(done.spare)
            elif role == "input":
                given.append(done.noted[name] if name in done.noted else self._input(done, name))
            elif role == "output":
                given.append(done.outcome)
            elif role == "cotangents":
                given.extend(rest)
            elif role == "predicted":
                given.append(_predicted(done, self._input(done, name)))
            elif role == "nothing":
                given.append(None)
            elif role == "optimiser":
                done.layer.optimiser_that_records = Recorder(Descent())
                given.append(done.layer.optimiser_that_records)
            else:
                given.append(self._setting(name))
        method = bound(done.layer, self.backward)
        _, optional, _ = signature(method)
        return method(*given, **named, **{n: self._setting(n) for n in optional if n in self.settings})

    def _input(self, done: Performance, name: str) -> Any:
        return done.inputs[self.inputs_of(done.layer, len(done.inputs)).index(name)]

    def rate(self, layer: Any) -> float | None:
        """The learning rate of a layer that steps inside: what backward is given or has by default, or the layer's."""
        method = bound(layer, self.backward)
        positional, optional, _ = signature(method)
        given = [self._setting(name) for name in (*positional, *self.settings) if name in RATES]
        by_default = [defaults(method)[name] for name in optional if name in RATES]
        rates = [*given, *by_default, *(getattr(layer, name, None) for name in RATES)]
        return next((float(rate) for rate in rates if isinstance(rate, int | float) and rate), None)

    def labels(self, layer: Any) -> list[str]:
        """The arguments of backward that are labels, by name, which forward is not given."""
        if self.backward == "pullback":
            return []
        inputs = input_names(bound(layer, self.forward))
        return [name for name in arguments(bound(layer, self.backward)) if is_label_of_its_own(name, inputs)]

    def cotangents(self, done: Performance) -> list[str]:
        """The arguments of backward that are handed cotangents."""
        roles = self._roles(done.layer, done.outcome)
        return [name for name, role in roles if role in ("cotangent", "optional", "cotangents")]

    def _split(
        self, layer: Any, inputs: tuple[Any, ...], outcome: Any, noted: dict[str, Any] | None = None
    ) -> Performance:
        """What of the outcome is judged, by the cotangents that backward takes: each goes with the value of its name
        where the return statement has names, with the next one else.
        """
        done = Performance(layer, inputs, outcome, [outcome], noted=noted or {})
        if not isinstance(outcome, tuple | list) or not outcome:
            return done
        roles = self._roles(layer, outcome)
        wanted = [name for name, role in roles if role in ("cotangent", "optional")]
        done.spare = self._spare(layer, outcome) if "cache" in [role for _, role in roles] else None
        values = [part for part in outcome if is_value(part)]
        places = [place_of(name, self._words(layer)) for name in wanted]
        if "cotangents" in [role for _, role in roles]:
            done.outputs = values
        elif len(wanted) == 1 and done.spare is None and not self.leading and len(values) == len(outcome):
            done.outputs, done.packed = values, type(outcome)
        elif len(wanted) > 1 and None not in places and len(set(places)) == len(places):
            done.outputs = [outcome[i] for i in places if i is not None]
        else:
            done.outputs = (values or list(outcome))[: max(len(wanted), 1)]
        return done

    def _spare(self, layer: Any, outcome: Sequence[Any]) -> Any:
        """The cache among what forward returned: by the word of the return statement, else the last."""
        called = [place for place, word in self._words(layer).items() if is_cache(word)]
        return outcome[called[0] if len(called) == 1 else -1]

    def _words(self, layer: Any) -> dict[int, str]:
        """What the return statement of forward calls its values."""
        names = returned_names(written(layer, self.forward))
        return {place[0]: name for place, name in names.items() if len(place) == 1}

    def _roles(self, layer: Any, outcome: Any) -> list[Role]:
        """What each argument of backward is."""
        passes = bound(layer, self.forward), bound(layer, self.backward)
        return roles_of(*passes, outcome, self._words(layer), self.settings, spell(self.backward), self.labelled)

    def _is_setting(self, name: str) -> bool:
        return name in self.settings or is_flag(name)

    def _overrides(self, name: str) -> bool:
        return name in self.settings or self.training is not None

    def _setting(self, name: str) -> Any:
        if name in self.settings:
            return self.settings[name]
        training = self.training is not False
        if name in TRAINING:
            return training
        if name in TESTING:
            return not training
        if name in PHASES:
            return "train" if training else "test"
        return 1.0 if name in RATES else None


def _kept(layer: Any, outcome: Any) -> Any:
    """What forward returned, or what it left on the layer under a name for that where it returns nothing."""
    kept = (getattr(layer, name, None) for name in KEPT) if outcome is None else ()
    return next((value for value in kept if is_value(value)), outcome)


def _predicted(done: Performance, given: Any) -> Any:
    """The prediction that the gradient of a loss is taken at: the layer's own, behind its softmax, or its input."""
    own = _kept(done.layer, None)
    return own if isinstance(own, np.ndarray) and np.shape(own) == np.shape(given) else given


def is_label(name: str | None, others: Sequence[str | None]) -> bool:
    """Whether an input carries labels, by its name: y beside y_pred does, y by itself does not.

    >>> is_label("y", ["y", "y_pred"]), is_label("y", ["y"]), is_label("y_pred", ["y", "y_pred"])
    (True, False, False)
    """
    return name in LABELS and len(others) > 1 and any(other not in LABELS for other in others)
