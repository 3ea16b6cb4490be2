"""Which tests run, and which are expected to fail: shards, the file of known failures."""

from collections.abc import Sequence
from pathlib import Path

import pytest


def parse_shard(text: str) -> tuple[int, int]:
    """The I-th of N parts from "I/N", counted from 1.

    Raises ValueError for anything else.

    >>> parse_shard("2/3")
    (2, 3)
    """
    part, slash, parts = text.partition("/")
    if not (slash and part.strip().isdigit() and parts.strip().isdigit() and 1 <= int(part) <= int(parts)):
        raise ValueError(f"{text!r} must be I/N with I from 1 to N, for example 1/4")
    return int(part), int(parts)


def split(items: Sequence[pytest.Item], part: int, parts: int) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The tests of one part, and those of the others: dealt out by sorted id, so that every test is in just one."""
    order = {nodeid: n for n, nodeid in enumerate(sorted(item.nodeid for item in items))}
    kept = [item for item in items if order[item.nodeid] % parts == part - 1]
    return kept, [item for item in items if order[item.nodeid] % parts != part - 1]


def read_xfails(path: Path | None) -> dict[str, str]:
    """The ids in a file of known failures, one a line with its reason after "  #": {id: reason}. No path, no ids.

    Raises pytest.UsageError for a file that cannot be read.
    """
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise pytest.UsageError(
            f"--gradcheck-xfails {path}: {words}; give a text file with one test id a line, or leave the option out"
        ) from None
    found = {}
    for line in lines:
        nodeid, _, reason = (" " + line).partition(" #")  # a # inside an id has no space before it
        if nodeid.strip():
            found[nodeid.strip()] = reason.strip() or f"listed in {path.name}"
    return found


def expect_failures(xfails: dict[str, str], items: Sequence[pytest.Item]) -> list[str]:
    """Mark the tests listed as expected to fail; return a warning for each id that names no test of its file.

    Of a file that was not collected nothing can be said.
    """
    files = {item.nodeid.partition("::")[0] for item in items}
    for item in items:
        if (reason := xfails.get(item.nodeid)) is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
    stale = set(xfails) - {item.nodeid for item in items}
    gone = [nodeid for nodeid in xfails if nodeid in stale and nodeid.partition("::")[0] in files]
    return [f"{nodeid} is listed as a known failure, but is no test: take it off the list" for nodeid in gone]
