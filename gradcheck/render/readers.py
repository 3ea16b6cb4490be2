"""Readers: what a value in a record has to be, so that whatever was read can be drawn and judged again.

A reader takes a JSON value and returns what it stands for, or raises ValueError saying what it is not; `fields` puts
the name of the field before that. Fields that nobody asks for are left alone: a newer gradcheck may have written them.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

Reader = Callable[[Any], Any]

_SPELLED = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def fields(value: Any, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The fields of an object, each read by its reader.

    >>> fields({"seed": 3, "more": 7}, {"seed": count})
    {'seed': 3}
    >>> fields({"seed": "3"}, {"seed": count})
    Traceback (most recent call last):
    ValueError: seed: '3' is no count
    """
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.60} is no object")
    found = {}
    for name, reader in readers.items():
        if name not in value:
            raise ValueError(f"there is no field {name}")
        try:
            found[name] = reader(value[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return found


def shaped(readers: Mapping[str, Reader]) -> Reader:
    """An object with these fields."""
    return lambda value: fields(value, readers)


def text(value: Any) -> str:
    """A string."""
    return value if isinstance(value, str) else _refuse(value, "text")


def whole(value: Any) -> int:
    """A whole number, however large: seeds have 128 bits and more."""
    return value if isinstance(value, int) and not isinstance(value, bool) else _refuse(value, "whole number")


def count(value: Any) -> int:
    """A whole number from 0 to 2⁶³ − 1."""
    return value if isinstance(value, int) and 0 <= whole(value) < 2**63 else _refuse(value, "count")


def real(value: Any) -> float:
    """A number; those that JSON does not have are strings."""
    if isinstance(value, str) and value in _SPELLED:
        return _SPELLED[value]
    try:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if plain else _refuse(value, "number")
    except OverflowError:
        _refuse(value, "number of 64 bits")


def positive(value: Any) -> float:
    """A finite number above 0."""
    number = real(value)
    return number if 0 < number < math.inf else _refuse(value, "positive number")


def scalar(value: Any) -> float | complex:
    """A number, or a pair that is a complex one."""
    if isinstance(value, list) and len(value) == 2:
        return complex(real(value[0]), real(value[1]))
    return real(value)


def label(value: Any) -> str | int:
    """The name or the position of an input."""
    return value if isinstance(value, str) else count(value)


def choice(named: Mapping[str, Any]) -> Reader:
    """One of these names, as what it stands for."""
    return lambda value: named[value] if isinstance(value, str) and value in named else _refuse(value, "known name")


def maybe(reader: Reader) -> Reader:
    """null, or what the reader takes."""
    return lambda value: None if value is None else reader(value)


def each(reader: Reader) -> Reader:
    """A list of what the reader takes, as a tuple."""
    return lambda value: tuple(map(reader, value)) if isinstance(value, list) else _refuse(value, "list")


def row(*readers: Reader) -> Reader:
    """A list with one value for each reader, as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != len(readers):
            _refuse(value, f"list of {len(readers)}")
        return tuple(reader(part) for reader, part in zip(readers, value, strict=True))

    return read


def table(reader: Reader) -> Reader:
    """An object with names of its own, each with what the reader takes."""
    return lambda value: (
        {name: reader(part) for name, part in value.items()} if isinstance(value, dict) else _refuse(value, "object")
    )


def _refuse(value: Any, what: str) -> NoReturn:
    raise ValueError(f"{value!r:.60} is no {what}")
