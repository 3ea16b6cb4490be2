"""Other people's conventions, each made into a Target.

An adapter is a module, or any object, with two functions: `recognises(obj) -> bool`, which must not import a framework
(one that is not in sys.modules cannot have made the object), and `adapt(obj, *, name, frozen, **options) -> Target`.
Own ones are listed below; others register in the entry point group "gradcheck.adapters".
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol, cast

from gradcheck.target import Target, describe, from_pair, from_pullback


class Adapter(Protocol):
    """What an adapter offers."""

    recognises: Callable[[Any], bool]
    adapt: Callable[..., Target]


ADAPTERS: tuple[str, ...] = ("torch_", "jax_", "autograd_", "tensorflow_", "tapes")
"""Own adapters, by module, asked in this order; then those of other packages; then `layer`, which tells by names."""


def as_target(obj: Any, *, name: str | None = None, frozen: Iterable[int | str] = (), **options: Any) -> Target:
    """Whatever can be recognised as a target.

    A Target; a pair (f, vjp); what an adapter recognises (see `ADAPTERS`); a function that returns (value, pullback).
    `options` are passed on to the adapter. Raises TypeError naming what was given and what is understood.

    >>> as_target((abs, lambda inputs, g: g), name="mine")
    Target('mine')
    """
    if isinstance(obj, Target):
        return obj
    for adapter in _adapters():
        if adapter.recognises(obj):
            return adapter.adapt(obj, name=name, frozen=frozen, **options)
    if options:
        raise TypeError(f"as_target got the options {', '.join(options)}, but no adapter recognises {describe(obj)}")
    if isinstance(obj, Sequence) and len(obj) == 2 and all(map(callable, obj)):
        return from_pair(obj[0], obj[1], name=name, frozen=frozen)
    if callable(obj) and not inspect.isclass(obj):
        return from_pullback(obj, name=name, frozen=frozen)
    raise TypeError(
        f"cannot make a target of {describe(obj)}: give a Target, a pair (f, vjp), or a function that returns "
        f"(value, pullback); from_layer takes an object whose passes have other names"
    )


@cache
def _adapters() -> tuple[Adapter, ...]:
    own = [cast(Adapter, importlib.import_module(f"{__name__}.{module}")) for module in (*ADAPTERS, "layer")]
    return (*own[:-1], *_loaded(), own[-1])


def _loaded() -> Iterator[Adapter]:
    from importlib.metadata import entry_points  # takes as long to import as all of the above together

    for entry in sorted(entry_points(group="gradcheck.adapters"), key=lambda e: e.name):
        adapter = entry.load()
        for function in ("recognises", "adapt"):
            if not callable(getattr(adapter, function, None)):
                raise TypeError(
                    f"the entry point {entry.name!r} of group 'gradcheck.adapters' gives {describe(adapter)}, which "
                    f"has no function {function}; an adapter has recognises(obj) and adapt(obj, *, name, frozen)"
                )
        yield adapter
