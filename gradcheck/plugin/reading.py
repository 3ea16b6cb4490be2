"""Read the options and ini keys, and refuse in one line what cannot be used."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gradcheck.plugin.options import SUFFIXES
from gradcheck.plugin.selection import parse_shard, read_xfails
from gradcheck.plugin.settings import SETTINGS

PAGE = ("jinja2", "matplotlib")
"""What the extra `report` installs; looked for before a run whose page could not be written after it."""


class Options(NamedTuple):
    """What the command line and the ini file say about a run as a whole; `settings` has what a test may say too."""

    named: tuple[str, ...]  # targets of the command line
    listed: tuple[str, ...]  # targets of the ini file
    shapes: tuple[str, ...]
    report: Path | None
    xfails: dict[str, str]
    shard: tuple[int, int]
    plot: bool


def read(config: pytest.Config) -> Options:
    """Read and check all of them; raises pytest.UsageError for the first that cannot be used."""
    for setting in SETTINGS.values():
        if setting.option and (value := config.getoption(setting.option)) is not None:
            usable(setting.option, setting.valid, value)
        if setting.ini and (value := config.getini(setting.ini)) is not None:
            usable(f"ini key {setting.ini}", setting.valid, value)
    return Options(
        _targets("--gradcheck-target", config.getoption("--gradcheck-target")),
        _targets("ini key gradcheck_targets", config.getini("gradcheck_targets")),
        tuple(config.getoption("--gradcheck-shapes") or ()),
        usable("--gradcheck-report", writable, _path(config, "report")),
        read_xfails(_path(config, "xfails")),
        usable("--gradcheck-shard", parse_shard, config.getoption("--gradcheck-shard") or "1/1"),
        config.getoption("--gradcheck-plot"),
    )


def usable(source: str, check: Callable[[Any], Any], value: object) -> Any:
    """What `check` makes of a value; its TypeError or ValueError becomes pytest's usage error, of one line."""
    try:
        return check(value)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"{source}: {error}" if source else str(error)) from None


def _targets(source: str, value: list[str] | None) -> tuple[str, ...]:
    if value is not None and not (value and all(spec.strip() for spec in value)):
        raise pytest.UsageError(f"{source} is empty: name a layer, for example package.module:Dense")
    return tuple(value or ())


def _path(config: pytest.Config, name: str) -> Path | None:
    """A path of the command line is relative to where pytest was started, one of the ini file to that file."""
    if (given := config.getoption(f"--gradcheck-{name}")) is not None:
        return Path(config.invocation_params.dir, given)
    if written := config.getini(f"gradcheck_{name}"):
        return Path(config.inipath.parent if config.inipath else config.rootpath, written)
    return None


def writable(path: Path | None) -> Path | None:
    """A path that a report can be written to; raises ValueError for one that it cannot."""
    if path is not None and path.suffix not in SUFFIXES:
        raise ValueError(f"{path.name!r} must end in {' or '.join(SUFFIXES)}, which says how the verdicts are written")
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        wrong = f"{path} is a directory" if path.is_dir() else f"there is no directory {path.parent}"
        raise ValueError(f"{wrong}; name a file in one that is there")
    if path is not None and path.suffix == ".html" and (missing := [name for name in PAGE if find_spec(name) is None]):
        raise ValueError(f"a page needs {missing[0]}: pip install 'gradcheck[report]', or write a .jsonl file")
    return path
