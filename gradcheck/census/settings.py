"""Settings: arguments and inputs with which a layer runs, found by trying; and others like them, worth judging too."""

import inspect
import itertools
import re
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gradcheck.adapters import as_target
from gradcheck.census.arguments import CHANGES, Filled, of_argument
from gradcheck.census.discover import Candidate
from gradcheck.census.inputs import SOFTMAX, Input, answers, data, is_loss, of_input
from gradcheck.target import Target

_MOST_TRIALS = 600
"""Settings tried before giving up: all that the tables offer for four arguments."""

_CHANNELS = re.compile(r"channel|depth|^(?:in_?)?c(?:_?in)?$|features?$|filters?$", re.IGNORECASE)
"""Names of arguments that say how many channels images have."""

_OF_BOTH = re.compile(r"\.ndim|len\([\w.]+\.shape\)|\b4-?D\b|reshape\(-1,", re.IGNORECASE)
"""What the source of a forward has that takes rows and images."""


@dataclass(frozen=True)
class Setting:
    """The arguments of a constructor, what forward is given, which of that is labels, and whether it is in training
    where the layer is made for use.
    """

    arguments: tuple[tuple[str, Any], ...]
    inputs: tuple[Any, ...]
    labels: int | None = None
    training: bool = False

    def __str__(self) -> str:
        made = ", ".join(f"{name}={getattr(value, '__name__', None) or repr(value)}" for name, value in self.arguments)
        given = ", ".join(map(repr, self.inputs))
        given += ", in training" if self.training else ""
        return f"({made}), {given}" if made else given

    def drawn(self, number: int, scale: float = 1.0) -> tuple[Any, ...]:
        """The inputs of the given number; see `Input.drawn`."""
        return tuple(x.drawn(10 * number + n, scale) if isinstance(x, Input) else x for n, x in enumerate(self.inputs))


class UnsettledError(Exception):
    """No setting was found; the message has what the likeliest one raised."""


def made_in(candidate: Candidate, setting: Setting) -> Any:
    """The layer made with the arguments of a setting; raises what making it raises."""
    np.random.seed(0)  # noqa: NPY002 - the stream that layers initialise themselves from
    return candidate.layer(**{n: v.array() if isinstance(v, Filled) else v for n, v in setting.arguments})


def target_of(candidate: Candidate, setting: Setting) -> Target:
    """The target of a layer, made anew with these arguments, its constant parameters moved away from their constant.

    A scale that is 1 and a shift that is 0 hide what depends on them. Raises what making the layer raises.
    """
    made = made_in(candidate, setting)
    frozen = () if setting.labels is None else (setting.labels,)
    target = as_target(made, name=candidate.name, frozen=frozen, **({"training": True} if setting.training else {}))
    convert = _converter(candidate.framework)

    def bind(*inputs: Any) -> tuple[Target, tuple[Any, ...]]:
        bound, flat = target.bound(tuple(map(convert, inputs)))
        moved = {name: _moved(value) for name, value in bound.parameters.items()}
        return replace(bound, parameters=moved), flat

    return Target(target.name, target.value, target.linearize, frozen=target.frozen, bind=bind)


def _converter(framework: str) -> Any:
    if framework == "torch":
        torch: Any = sys.modules["torch"]  # it made the layer
        return lambda x: torch.tensor(x) if isinstance(x, np.ndarray) else x
    return lambda x: x


def _moved(value: Any) -> Any:
    array = np.asarray(value)
    if array.size < 2 or array.dtype.kind != "f" or np.any(array != array.flat[0]):
        return value
    return array + np.random.default_rng(array.shape).uniform(-0.4, 0.4, array.shape).astype(array.dtype)


def working(candidate: Candidate, until: float) -> Iterator[Setting]:
    """The settings of the first kind of input at which the layer runs forward and back, most likely meant first.

    until: by the monotonic clock. Raises UnsettledError where there is none.
    """
    first: Exception | None = None
    back: Exception | None = None
    for setting in itertools.islice(_guessed(candidate), _MOST_TRIALS):
        if time.monotonic() > until:
            break
        error, place = tried(candidate, setting)
        if error is None:
            for better in (_roomier, partial(_in_training, candidate)):
                setting = other if (other := better(setting)) != setting and not tried(candidate, other)[0] else setting
            yield setting
            return
        if isinstance(error, MemoryError):
            raise UnsettledError(f"MemoryError: {error}")  # more of the same would take long, and end alike
        first, back = first or error, back or (error if place == "backward" else None)
    shown = back or first
    words = f"{type(shown).__name__}: {shown}" if shown else "nothing to try"
    raise UnsettledError(("backward raised " if back else "") + " ".join(words.split())[:160])


def tried(candidate: Candidate, setting: Setting) -> tuple[Exception | None, str]:
    """What a layer raised in this setting, and in which pass; None where it runs and its value is finite."""
    place = "making it"
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target, inputs = target_of(candidate, setting), setting.drawn(0)
            place = "forward"
            bound, flat = target.bound(inputs)
            value = bound.value(*flat, *bound.parameters.values())
            for array in value if isinstance(value, tuple) else (value,):
                if np.asarray(array).dtype.kind not in "fc" or not np.all(np.isfinite(array)):
                    raise ValueError("its value is not of finite floating-point numbers")
            if not any(_depends(bound, value, setting.drawn(number)) for number in range(2, 6)):
                raise ValueError("its value does not depend on what it is given")
            if SOFTMAX.search(candidate.name) and _for_one_example(value):
                raise ValueError("its value sums to one over all examples: it is made for one")
            if bound.frozen >= set(range(len(flat))) and not bound.parameters:
                raise ValueError("no gradient of it was recognised")
            place = "backward"
            shapes = tuple(np.ones_like(a) for a in value) if isinstance(value, tuple) else np.ones_like(value)
            bound.linearize(*flat, *bound.parameters.values())(shapes)
    except Exception as error:  # a layer may raise anything
        return error, place
    return None, ""


def _in_training(candidate: Candidate, setting: Setting) -> Setting:
    """The setting in training, where the layer is made for use and computes something else there."""
    bound, _ = target_of(candidate, setting).bound(setting.drawn(0))
    return replace(setting, training=any("training=True judges it in training" in note for note in bound.notes))


def _roomier(setting: Setting) -> Setting:
    """A setting of one array, images, with an axis of four for one of two: what is channels to one layer is the height
    to another, and two rows are less than any window or reflection is meant for. A layer that was told of its channels,
    by a number or in a shape, keeps two of them.
    """
    first, *more = setting.inputs or (None,)
    told = any(_CHANNELS.search(name) or (isinstance(v, tuple) and len(v) > 2) for name, v in setting.arguments)
    if told or more or not isinstance(first, Input) or len(first.shape) != 4:
        return setting
    return replace(setting, inputs=(replace(first, shape=tuple(4 if size == 2 else size for size in first.shape)),))


def _for_one_example(softmax: Any) -> bool:
    """Whether all rows of a softmax together sum to one: what is judged of several then is not what anyone calls."""
    array = np.asarray(softmax)
    return sum(size > 1 for size in array.shape) > 1 and bool(np.isclose(array.sum(), 1))


def _depends(bound: Target, value: Any, others: tuple[Any, ...]) -> bool:
    """Whether a target has another value at other inputs. At one pair of points a right one may not, if all its units
    are off there; at several, it is a base class, or not called as meant.
    """
    arrays = tuple(x for x in others if isinstance(x, np.ndarray))
    if len(arrays) != len(others) or (bound.inputs and len(bound.inputs) != len(others) + len(bound.parameters)):
        return True  # settings among the inputs: not asked
    there = bound.value(*arrays, *bound.parameters.values())
    pairs = zip(*(v if isinstance(v, tuple) else (v,) for v in (value, there)), strict=True)
    return any(not np.array_equal(one, other, equal_nan=True) for one, other in pairs)


def _guessed(candidate: Candidate) -> Iterator[Setting]:
    required = [p for p in candidate.arguments if p.default is p.empty]
    given = [tuple((p.name, value) for value in of_argument(p, candidate.name)) for p in required]
    for arguments, (inputs, labels) in _by_simplicity(list(_by_simplicity_of(given)), list(_inputs(candidate))):
        yield Setting(arguments, inputs, labels)
    changes = [
        (p, value)
        for p in candidate.arguments
        if p not in required and CHANGES.search(p.name.lower())
        for value in of_argument(p)
    ]
    arguments = next(_by_simplicity_of(given), ())
    for p, value in changes:
        for inputs, labels in itertools.islice(_inputs(candidate), 8):
            yield Setting((*arguments, (p.name, value)), inputs, labels)


def _by_simplicity_of(choices: list[tuple[Any, ...]], most: int = 400) -> Iterator[tuple[Any, ...]]:
    """The products of some choices, those first whose places in their lists add up to least."""
    sizes = [range(len(choice)) for choice in choices]
    places = sorted(itertools.islice(itertools.product(*sizes), 20000), key=sum)
    for place in places[:most]:
        yield tuple(choice[n] for choice, n in zip(choices, place, strict=True))


def _by_simplicity(one: list[Any], other: list[Any]) -> Iterator[tuple[Any, Any]]:
    return iter(_by_simplicity_of([tuple(one), tuple(other)], _MOST_TRIALS))


def _inputs(candidate: Candidate) -> Iterator[tuple[tuple[Any, ...], int | None]]:
    """Likely inputs, simplest first, with the position of labels among them."""
    names = candidate.inputs
    if is_loss(candidate.name, names):
        rest = [of_input(name, candidate.name)[:2] for name in names[2:]]
        for pair, place in answers(names):
            for more in _by_simplicity_of(rest):
                yield (*pair, *more), place
        return
    if len(names) == 1:
        yield from (((x,), None) for x in data(candidate.name))
        return
    yield from ((inputs, None) for inputs in _by_simplicity_of([of_input(n, candidate.name) for n in names]))


def others(candidate: Candidate, setting: Setting) -> Iterator[Setting]:
    """Settings near one that works: one argument changed at a time, then two, then the sizes of the inputs."""
    known = dict(setting.arguments)
    changes: list[tuple[str, Any]] = []
    for parameter in candidate.arguments:
        if CHANGES.search(parameter.name.lower()):
            now = known.get(parameter.name, parameter.default)
            same_type = [v for v in of_argument(parameter, candidate.name) if _alike(v, now) and v != now]
            changes += [(parameter.name, value) for value in same_type[:3]]
    for change in changes:
        yield replace(setting, arguments=_with(setting, change))
    for n, (name, value) in enumerate(zip(candidate.inputs, setting.inputs, strict=False)):
        if not isinstance(value, Input):
            for other in of_input(name, candidate.name):
                if other != value and not isinstance(other, Input) and type(other) is type(value):
                    yield replace(setting, inputs=(*setting.inputs[:n], other, *setting.inputs[n + 1 :]))
    yield from _resized(setting)
    yield from _as_images(candidate, setting)
    for one, two in itertools.islice(itertools.combinations(changes, 2), 6):
        if one[0] != two[0]:
            yield replace(setting, arguments=_with(replace(setting, arguments=_with(setting, one)), two))


def _alike(value: Any, now: Any) -> bool:
    return type(value) is type(now) and (not isinstance(value, tuple) or len(value) == len(now))


def _with(setting: Setting, change: tuple[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((dict(setting.arguments) | dict([change])).items())


def _resized(setting: Setting) -> Iterator[Setting]:
    """The inputs with a batch of one or two, with tall and wide images, and with longer sequences."""
    arrays = [x for x in setting.inputs if isinstance(x, Input) and x.domain != "labels"]
    if not arrays or len({x.shape[0] for x in arrays if x.shape}) == 0:
        return
    batch = arrays[0].shape[0] if len(arrays[0].shape) > 1 else 0
    for size in (1, 2):
        if batch == 3:
            yield replace(setting, inputs=tuple(_sized(x, {3: size}, first=True) for x in setting.inputs))
    if len(arrays[0].shape) >= 3:
        for change in ({6: 7, 5: 4}, {6: 4, 5: 9}):
            new = tuple(_sized(x, change) for x in setting.inputs)
            if new != setting.inputs:
                yield replace(setting, inputs=new)
    if len(arrays[0].shape) == 3 and arrays[0].shape[:2] == (3, 2):
        longer = (
            Input(x.domain, (3, 4, *x.shape[2:]), x.below) if isinstance(x, Input) and x.shape[:2] == (3, 2) else x
            for x in setting.inputs
        )
        yield replace(setting, inputs=tuple(longer))


def _as_images(candidate: Candidate, setting: Setting) -> Iterator[Setting]:
    """Images in the place of rows, their channels last, for a normalisation whose forward speaks of both."""
    first, *more = setting.inputs or (None,)
    if more or not isinstance(first, Input) or len(first.shape) != 2 or "norm" not in candidate.name.lower():
        return
    with suppress(OSError, TypeError):  # no source
        if _OF_BOTH.search(inspect.getsource(candidate.passes[0])):
            yield replace(setting, inputs=(replace(first, shape=(first.shape[0], 6, 5, first.shape[1])),))


def _sized(x: Any, sizes: dict[int, int], first: bool = False) -> Any:
    if not isinstance(x, Input) or len(x.shape) == 0:
        return x
    axes = range(1) if first else range(1, len(x.shape))
    shape = tuple(sizes.get(size, size) if n in axes else size for n, size in enumerate(x.shape))
    return replace(x, shape=shape)
