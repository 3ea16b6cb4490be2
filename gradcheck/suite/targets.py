"""Resolve "module:attr" to layers, and each layer to what is judged: the layer and the shapes of its inputs."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Shapes = Mapping[str, Sequence[str | int]]
REFERENCE = "gradcheck.suite.dense:dense"


class TargetError(Exception):
    """A target cannot be used; the message names it, says why and what to do, in one line."""


@dataclass(frozen=True)
class Subject:
    """A layer to judge: where it was found, itself, and the inputs to draw."""

    ref: str
    layer: Any
    shapes: Shapes

    def __repr__(self) -> str:
        return self.ref


def subjects(named: Sequence[str], more: Iterable[Any], shapes: Sequence[str], home: Path) -> list[Subject]:
    """What a run judges: the layers named, those of the hook's answers `more`, or the reference where there are none.

    named: as for `resolve`. more: mappings of id to layer, or lists of names. shapes: "x: n,k", for all of them.
    home: a directory from which modules can be imported too. Raises TargetError.
    """
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))
    found = [pair for spec in named for pair in resolve(spec)]
    for answer in more:
        found += answer.items() if isinstance(answer, Mapping) else [pair for spec in answer for pair in resolve(spec)]
    if not found:
        found = resolve(REFERENCE)
    asked = read_shapes("; ".join(shapes)) if shapes else None
    return [subject(ref, layer, asked) for ref, layer in found]


def subject(ref: str, layer: Any, asked: Shapes | None = None) -> Subject:
    """A layer with its shapes: as asked for, as its attribute gradcheck_shapes says, or as trying shows.

    Raises TargetError for what is no layer, and for shapes at which its forward raises.
    """
    from gradcheck.suite import shapes as trying

    given = asked or getattr(layer, "gradcheck_shapes", None)
    try:
        if given is None:
            return Subject(ref, layer, trying.found(layer))
        known = read_shapes(given) if isinstance(given, str) else given
        trying.fit(layer, known)
    except (TypeError, ValueError) as error:
        raise TargetError(f"{ref}: {_needs(layer) or ' '.join(str(error).split())}") from error
    return Subject(ref, layer, known)


def resolve(spec: str) -> list[tuple[str, Any]]:
    """The layers that "module:attr" names, each with an id: one, or those of a mapping or an iterable.

    Raises TargetError for a module that cannot be imported, an attribute that is not there, and an empty iterable.

    >>> resolve("gradcheck.suite.dense:dense")[0][0]
    'gradcheck.suite.dense:dense'
    >>> resolve("math:arctan")
    Traceback (most recent call last):
    gradcheck.suite.targets.TargetError: math:arctan: module math has no attribute arctan; did you mean atan?
    """
    module, colon, path = spec.strip().partition(":")
    if not (colon and module and path):
        raise TargetError(f"{spec!r} is no target: write MODULE:ATTR, for example package.module:Dense")
    layer = _imported(spec, module)
    for name in path.split("."):
        if not hasattr(layer, name):
            raise TargetError(f"{spec}: {_describe(layer)} has no attribute {name}{_guess(name, layer)}")
        layer = getattr(layer, name)
    return list(_several(spec, layer))


def _imported(spec: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module + ".").startswith(error.name + "."):
            raise TargetError(
                f"{spec}: there is no module {error.name} to import; run where it lies, or install its package"
            ) from None
        raise TargetError(f"{spec}: {module} needs {error.name}, which is not installed; install it") from error
    except Exception as error:  # a module may raise anything
        frames = traceback.extract_tb(error.__traceback__)
        where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise TargetError(f"{spec}: importing {module} raised {words}{where}; mend the module first") from error


def _several(spec: str, layer: Any) -> Iterator[tuple[str, Any]]:
    """One layer, or all of a mapping, a list or a generator; a tuple (f, vjp) and anything callable is one layer."""
    pair = isinstance(layer, tuple) and len(layer) == 2 and all(map(callable, layer))
    if pair or callable(layer) or not isinstance(layer, Iterable) or hasattr(layer, "shape"):
        yield spec, layer
        return
    named = layer.items() if isinstance(layer, Mapping) else enumerate(layer)
    several = [(f"{spec}[{name}]", one) for name, one in named]
    if not several:
        raise TargetError(f"{spec} is empty: it must hold at least one layer")
    yield from several


def read_shapes(text: str) -> dict[str, tuple[str | int, ...]]:
    """The inputs that "x: n,k; w: k,m" describes. A number is a fixed size, nothing at all a scalar.

    Raises TargetError for anything else.

    >>> read_shapes("x: n,3; scale:")
    {'x': ('n', 3), 'scale': ()}
    """
    found: dict[str, tuple[str | int, ...]] = {}
    for part in filter(str.strip, text.split(";")):
        name, colon, axes = part.partition(":")
        letters = [axis.strip() for axis in axes.split(",") if axis.strip()]
        if not (colon and name.strip().isidentifier()) or not all(a.isdigit() or a.isidentifier() for a in letters):
            raise TargetError(
                f'shapes {part.strip()!r} are not understood: write "x: n,k; w: k,m", a number for a fixed size'
            )
        found[name.strip()] = tuple(int(axis) if axis.isdigit() else axis for axis in letters)
    if not found:
        raise TargetError(f'shapes {text!r} name no input: write "x: n,k; w: k,m"')
    return found


def _needs(layer: Any) -> str:
    """What a class must be given before there is a layer; nothing where that is not what is wrong."""
    if not isinstance(layer, type):
        return ""
    with suppress(TypeError, ValueError):  # a class of C without a signature
        named = inspect.signature(layer).parameters.values()
        wanted = [p.name for p in named if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if wanted:
            return f"{layer.__name__} must be given {', '.join(wanted)}: name an instance, or a function that makes one"
    return ""


def _describe(layer: Any) -> str:
    return f"module {layer.__name__}" if hasattr(layer, "__path__") or hasattr(layer, "__spec__") else repr(layer)[:60]


def _guess(name: str, layer: Any) -> str:
    import difflib

    close = difflib.get_close_matches(name, dir(layer), n=1)
    return f"; did you mean {close[0]}?" if close else "; see dir() of it for those it has"
