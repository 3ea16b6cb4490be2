"""Catalogue: a table of a framework's functions as targets that draw their own inputs, and the share it covers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gradcheck.catalogues.domains import Axes, Input
from gradcheck.target import Target

Function = Callable[..., Any]


class Args:
    """Settings of a row: arguments after the arrays, or those of a module's constructor."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        self.positional, self.named = positional, named
        self.label = ", ".join([*map(repr, positional), *(f"{k}={v!r}" for k, v in named.items())]).replace("'", "")

    def function(self, f: Function) -> Function:
        """A function of the arrays alone."""
        return lambda *arrays: f(*arrays, *self.positional, **self.named)

    def built(self, cls: Function) -> Function:
        """The module."""
        module: Function = cls(*self.positional, **self.named)
        return module


class By:
    """A call that is no mere list of arguments: `make` takes the public function to a function of the arrays."""

    def __init__(self, label: str, make: Callable[[Any], Function]) -> None:
        self.label, self.function, self.built = label, make, make


@dataclass(frozen=True)
class Entry(Target):
    """A target that a search draws inputs for without being told: `gradcheck_shapes` are floats by letter, and `bind`
    takes them into the domains of the inputs.
    """

    gradcheck_shapes: Mapping[str, Axes] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """The public functions of `place`, a module of a framework.

    rows: (names, inputs, *settings) each: the functions that take these inputs, once for each of the settings.
    adapt(function, name=, frozen=) -> Target. build: how a function, settings being given, is made of what is public.
    public() -> the names there are in the framework installed. constant: those that carry no gradient, by the reason;
    exceptions: those that do and are not covered, by the reason.
    """

    place: str
    public: Callable[[], Iterable[str]]
    find: Callable[[str], Any]
    adapt: Callable[..., Target]
    rows: Sequence[tuple[Any, ...]]
    constant: Mapping[str, str]
    exceptions: Mapping[str, str]
    build: Callable[[Any, Any], Any] = lambda settings, f: settings.function(f)

    def targets(self) -> dict[str, Entry]:
        """Every entry by name and settings; the framework is imported when one of them is first asked.

        Raises ValueError for two of one name.
        """
        found: dict[str, Entry] = {}
        for names, inputs, *several in self.rows:
            for name in names.split():
                for settings in several or [Args()]:
                    label = f"{name}({settings.label})" if settings.label else name
                    label += f" {inputs}" if label in found else ""
                    if label in found:
                        raise ValueError(f"{self.place} has two rows {label!r}: drop one")
                    found[label] = self._entry(name, label, [Input(text) for text in inputs.split()], settings)
        return found

    def _entry(self, name: str, label: str, inputs: Sequence[Input], settings: Args | By) -> Entry:
        frozen = [i for i, one in enumerate(inputs) if one.held]

        @lru_cache(maxsize=1)  # modules keep their parameters from one example to the next
        def target() -> Target:
            return self.adapt(self.build(settings, self.find(name)), name=label, frozen=frozen)

        def bind(*drawn: Any) -> tuple[Target, tuple[Any, ...]]:
            return target().bound(tuple(one.of(x) for one, x in zip(inputs, drawn, strict=True)))

        def refuse(*_: Any) -> Any:
            raise TypeError(f"{label} has to see its inputs first: call the target that bind(*inputs) returns")

        names = tuple(f"x{i}" for i in range(len(inputs)))
        axes = {f"x{i}": one.axes for i, one in enumerate(inputs)}
        return Entry(label, refuse, refuse, names, bind=bind, gradcheck_shapes=axes)

    @cached_property
    def covered(self) -> frozenset[str]:
        """The names that have a row."""
        return frozenset(name for names, *_ in self.rows for name in names.split())

    def coverage(self) -> "Coverage":
        """Every public name of the framework installed, as what it is here."""
        public = {*self.public()}
        constant = {name for names in self.constant.values() for name in names.split()}
        excepted = {name for names in self.exceptions.values() for name in names.split()}
        listed = self.covered | constant | excepted
        twice = (self.covered & constant) | (self.covered & excepted) | (constant & excepted)
        return Coverage(
            len(self.covered & public), len(excepted & public), len(constant & public),
            tuple(sorted(public - listed)), tuple(sorted(listed - public)), tuple(sorted(twice)),
        )  # fmt: skip


@dataclass(frozen=True)
class Coverage:
    """How many public names are covered, differentiable but excepted, and without a gradient; those in no list, those
    listed that the framework does not have, and those in two lists.
    """

    covered: int
    excepted: int
    constant: int
    unlisted: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Covered, of all that are differentiable; what is in no list counts as that.

        >>> Coverage(19, 1, 30).share
        0.95
        """
        return self.covered / ((self.covered + self.excepted + len(self.unlisted)) or 1)
