"""A factory by name, so that another process, or another version of the code, can make the same works."""

import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradcheck.cost.work import Work, as_work, by_letters

REFERENCE = "gradcheck.cost.reference:"


@dataclass(frozen=True)
class Spec:
    """``module:attribute`` of a factory, or of a layer together with the shapes of its inputs."""

    name: str
    shapes: dict[str, tuple[str | int, ...]] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The name of the module."""
        return self.name.partition(":")[0]

    def factory(self) -> Callable[[int], Work]:
        """Import it. Raises ValueError, naming the part that is wrong, where there is no such thing."""
        module, _, attribute = self.name.partition(":")
        if not (module and attribute):
            raise ValueError(f"{self.name!r}: name a factory as MODULE:ATTR, such as package.layers:make_dense")
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())  # as `python -m` has it
        try:
            found: Any = importlib.import_module(module)
        except ImportError as error:
            raise ValueError(f"{self.name!r}: {module} cannot be imported: {error}") from error
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise ValueError(f"{self.name!r}: {module} has no {attribute}")
            found = getattr(found, part)
        if self.shapes:
            return by_letters(found, self.shapes)
        if not callable(found):
            kind = type(found).__name__
            raise ValueError(f"{self.name!r} is a {kind}: name a factory, or give the shapes of its inputs")
        return lambda n: as_work(found(n))

    def __str__(self) -> str:
        return json.dumps([self.name, self.shapes])

    @classmethod
    def read(cls, text: str) -> "Spec":
        """The inverse of ``str``.

        >>> Spec.read(str(Spec("a.b:c", {"x": ("n", 3)})))
        Spec(name='a.b:c', shapes={'x': ('n', 3)})
        """
        name, shapes = json.loads(text)
        return cls(name, {key: tuple(shape) for key, shape in shapes.items()})


def read_shapes(text: str) -> dict[str, tuple[str | int, ...]]:
    """Shapes as written on a command line.

    >>> read_shapes("x: n,64; w: 64,32")
    {'x': ('n', 64), 'w': (64, 32)}
    """
    shapes: dict[str, tuple[str | int, ...]] = {}
    for part in filter(str.strip, text.split(";")):
        name, colon, sides = part.partition(":")
        words = [word.strip() for word in sides.split(",")]
        if not (colon and name.strip() and all(word.isdecimal() or word.isidentifier() for word in words)):
            raise ValueError(f"{part.strip()!r} is not a shape: write them as in 'x: n,64; w: 64,32'")
        shapes[name.strip()] = tuple(int(word) if word.isdecimal() else word for word in words)
    return shapes
