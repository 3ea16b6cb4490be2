"""Walk: the arrays inside an object, by the path on which Python would reach them.

A layer is a tree of attributes, dicts, lists and further plain objects. Nothing is known of it beforehand; everything
that these adapters learn of a layer they learn by reading arrays before and after a call.
"""

import copy
import inspect
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradcheck.floats import differentiable

Array = npt.NDArray[Any]

_DEEP = 8
"""Levels of attributes and containers: a module of modules has its arrays at layers[0].cell.parameters['W'], six."""

_MANY = 10_000
"""Places looked at before a walk gives up: what holds more than that is a data set, not a layer."""


class Step(NamedTuple):
    """One step of a path: an attribute, an item of a container, or what a method without arguments returns."""

    kind: str  # "attribute", "item" or "call"
    key: Any


Path = tuple[Step, ...]


def spelled(path: Path) -> str:
    """A path as Python spells it.

    >>> spelled((Step("attribute", "cell"), Step("attribute", "params"), Step("item", "W"), Step("call", "grad")))
    "cell.params['W'].grad()"
    """
    text = {"attribute": ".{}", "item": "[{!r}]", "call": ".{}()"}
    return "".join(text[kind].format(key) for kind, key in path).removeprefix(".")


def read(root: Any, path: Path) -> Any:
    """What lies at the end of a path; None where the path ends early."""
    here = root
    for kind, key in path:
        try:
            here = here[key] if kind == "item" else getattr(here, key)
            if kind == "call":
                here = here()
        except (LookupError, AttributeError, TypeError):
            return None
    return here


def places(root: Any, *, asked: Sequence[str] = ()) -> Iterator[tuple[Path, Any]]:
    """Every place of an object, nearest first, each object once: arrays, lists, dicts, further objects.

    asked: names ("gradients", "param_grads") under which properties and methods without arguments are read too, last.
    """
    queue: list[tuple[Path, Any]] = [((), root)]
    seen = {id(root)}
    alive = [root]  # an id is only an object's own while it lives

    def enter(path: Path, inner: Iterator[tuple[Step, Any]]) -> None:
        for step, value in inner:
            if id(value) in seen and not isinstance(value, np.ndarray):
                continue  # an array under two names keeps both
            if _is_place(value):
                seen.add(id(value))
                alive.append(value)
                queue.append(((*path, step), value))

    for path, here in queue:
        yield path, here
        if len(path) < _DEEP and len(queue) < _MANY:
            enter(path, _inside(here))
    known, queue[:] = list(queue), []
    for path, here in known if asked else ():
        enter(path, _answers(here, asked))
    for path, here in queue:
        yield path, here
        if len(path) < _DEEP:
            enter(path, _inside(here))


def arrays(root: Any, *, asked: Sequence[str] = ()) -> dict[Path, Array]:
    """The floating-point arrays of an object, by path.

    >>> from types import SimpleNamespace
    >>> layer = SimpleNamespace(params={"W": np.eye(2)}, steps=3, index=np.arange(4))
    >>> [spelled(path) for path in arrays(layer)]
    ["params['W']"]
    """
    found = places(root, asked=asked)
    return {path: value for path, value in found if isinstance(value, np.ndarray) and differentiable(value)}


def numbers(root: Any) -> dict[Path, float]:
    """The numbers of an object that are no arrays, by path.

    >>> from types import SimpleNamespace
    >>> {spelled(path): value for path, value in numbers(SimpleNamespace(dalpha=0.5, steps=3)).items()}
    {'dalpha': 0.5, 'steps': 3.0}
    """
    return {
        (*path, step): float(value)
        for path, here in places(root)
        for step, value in _inside(here)
        if isinstance(value, int | float | np.floating) and not isinstance(value, bool)
    }


def copied(root: Any, instead: Mapping[int, Any] | None = None) -> Any:
    """A deep copy; `instead` maps the id of an object inside to what takes its place, under all its names.

    What cannot be copied (a module, a lock, a generator, a file) is shared. Raises TypeError for an object that
    refuses to be copied as a whole.

    >>> shared = np.zeros(2)
    >>> new = copied([shared, {"again": shared}], {id(shared): np.ones(2)})
    >>> new[0] is new[1]["again"], new[0]
    (True, array([1., 1.]))
    """
    memo: dict[int, Any] = dict(instead or {})
    for _ in range(_DEEP):
        try:
            return copy.deepcopy(root, dict(memo))
        except TypeError:
            stubborn = {id(v): v for _, v in _uncopied(root) if id(v) not in memo}
            if not stubborn:
                raise
            memo.update(stubborn)
    raise TypeError(f"{type(root).__name__} cannot be copied: give a class or a function that makes one instead")


def _uncopied(root: Any) -> Iterator[tuple[Path, Any]]:
    """Places whose copy fails by themselves: modules, locks, generators, open files."""
    for path, value in places(root):
        for step, inner in _inside(value):
            if not _is_place(inner) and not callable(inner):
                try:
                    copy.deepcopy(inner)
                except TypeError:
                    yield (*path, step), inner


def _inside(here: Any) -> Iterator[tuple[Step, Any]]:
    if isinstance(here, Mapping):
        for key, value in list(here.items()):
            yield Step("item", key), value
        return
    if isinstance(here, list | tuple):
        for i, value in enumerate(here):
            yield Step("item", i), value
        return
    if isinstance(here, np.ndarray):
        return
    for name, value in list(getattr(here, "__dict__", {}).items()):
        yield Step("attribute", name), value
    for base in type(here).__mro__:
        for name in getattr(base, "__slots__", ()):
            if hasattr(here, name):
                yield Step("attribute", name), getattr(here, name)


def _answers(here: Any, names: Sequence[str]) -> Iterator[tuple[Step, Any]]:
    """What properties and methods without arguments of these names return."""
    for name in names:
        member = inspect.getattr_static(type(here), name, None)
        if isinstance(member, property):
            yield Step("attribute", name), read(here, (Step("attribute", name),))
        elif isinstance(member, types.FunctionType) and member.__code__.co_argcount == 1:
            yield Step("call", name), read(here, (Step("call", name),))


def _is_place(value: Any) -> bool:
    """Whether to look inside: arrays, containers, and objects of classes that are nobody's library's."""
    if isinstance(value, np.ndarray | Mapping | list | tuple):
        return True
    if isinstance(value, type | types.ModuleType | types.FunctionType | types.MethodType):
        return False
    if not hasattr(value, "__dict__") and not hasattr(type(value), "__slots__"):
        return False
    home = type(value).__module__.partition(".")[0]
    return (home not in sys.stdlib_module_names and home not in ("numpy", "scipy")) or home in ("__main__", "types")
