"""What a run may set, and where from: one table, and one rule of precedence for all of it.

The command line, then the marker nearest to the test (or the arguments of the call itself), then the ini file, then an
attribute on the target (`gradcheck_strict = True`), then the default.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

FLOATS = ("float64", "float32", "float16", "bfloat16", "longdouble")


def dtypes_of(value: object) -> tuple[str, ...]:
    """Names of dtypes from "float64 float32", "float64,float32" or a sequence of them.

    Raises ValueError for none, and for one that is no floating-point dtype.

    >>> dtypes_of("float64, float32")
    ('float64', 'float32')
    """
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"{value!r} must name dtypes, for example 'float64 float32'")
    names = tuple(name for part in parts for name in part.replace(",", " ").split())
    if not names:
        raise ValueError(f"no dtype is named; give one or several of {', '.join(FLOATS)}")
    for name in names:
        if name not in FLOATS:
            raise ValueError(f"{name!r} is no floating-point dtype; give one or several of {', '.join(FLOATS)}")
    return tuple(dict.fromkeys(names))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} must be True or False")
    return value


def _kinks(value: object) -> object:
    if value not in ("subgradient", "forbid"):
        raise ValueError(f"{value!r} must be 'subgradient' or 'forbid'")
    return value


def _examples(value: object) -> object:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{value!r} must be a whole number of at least 1")
    return value


def _positive(value: object) -> object:
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or not value > 0):
        raise ValueError(f"{value!r} must be a number above 0")
    return value


class Setting(NamedTuple):  # made on every run of pytest: a frozen dataclass takes five times as long to define
    """One thing to set: its default, the test of a value, and the option and ini key that name it, if any do."""

    default: Any
    valid: Callable[[Any], Any]
    option: str = ""
    ini: str = ""


SETTINGS: dict[str, Setting] = {
    "dtypes": Setting(("float64",), dtypes_of, "--gradcheck-dtype", "gradcheck_dtypes"),
    "strict": Setting(False, _flag, "--gradcheck-strict", "gradcheck_strict"),
    "kinks": Setting("subgradient", _kinks),
    "slack": Setting(1.0, _positive),
    "budget": Setting(None, _examples),
    "timeout": Setting(None, _positive),
    "max_examples": Setting(None, _examples),  # None: what the Hypothesis profile says
}
CHECK = ("kinks", "slack", "budget", "timeout")
"""The settings that `gradcheck.check` takes."""


def resolve(
    config: pytest.Config | None, item: pytest.Item | None, given: Mapping[str, Any], target: object = None
) -> dict[str, Any]:
    """The value of every setting for one call: `given` are the call's own arguments, on a level with the marker.

    Raises TypeError for an argument that is no setting, ValueError for a value that does not fit; both say what would.
    """
    __tracebackhide__ = True
    refuse_unknown(given, "gradcheck(...)")
    chosen = {}
    for name in SETTINGS:  # a comprehension would be a frame of its own in the traceback
        chosen[name] = _first(name, config, item, given, target)
    return chosen


def _first(
    name: str, config: pytest.Config | None, item: pytest.Item | None, given: Mapping[str, Any], target: object
) -> Any:
    __tracebackhide__ = True
    setting = SETTINGS[name]
    for source, value in _sources(name, setting, config, item, given, target):
        if value is not None and value != []:
            try:
                return setting.valid(value)
            except ValueError as error:
                raise ValueError(f"{source}: {error}") from None
    return setting.default


def _sources(
    name: str,
    setting: Setting,
    config: pytest.Config | None,
    item: pytest.Item | None,
    given: Mapping[str, Any],
    target: object,
) -> Iterator[tuple[str, Any]]:
    """Where a setting may come from, first the one that wins."""
    if config is not None and setting.option:
        yield setting.option, config.getoption(setting.option)
    yield f"gradcheck({name}=…)", given.get(name)
    for marker in () if item is None else item.iter_markers("gradcheck"):  # the nearest first
        yield f"the marker gradcheck({name}=…)", marker.kwargs.get(name)
    if config is not None and setting.ini:
        yield f"ini key {setting.ini}", config.getini(setting.ini)
    yield f"the attribute gradcheck_{name} of the target", getattr(target, f"gradcheck_{name}", None)


def refuse_unknown(arguments: Mapping[str, Any], where: str) -> None:
    """Raise TypeError for an argument that is no setting, naming it and what there is.

    >>> refuse_unknown({"rtol": 1e-3}, "the marker gradcheck")
    Traceback (most recent call last):
    TypeError: the marker gradcheck has no argument rtol; it takes dtypes, strict, kinks, slack, budget, timeout, \
max_examples
    """
    __tracebackhide__ = True
    if unknown := [name for name in arguments if name not in SETTINGS]:
        raise TypeError(f"{where} has no argument {', '.join(unknown)}; it takes {', '.join(SETTINGS)}")
