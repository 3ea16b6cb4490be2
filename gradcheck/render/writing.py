"""Writing: the records of a whole run to the path that was asked for, in the form that its ending says."""

from collections.abc import Sequence
from pathlib import Path

from gradcheck.render.records import Record, append


def write(path: str | Path, made: Sequence[Record]) -> bool:
    """Write these records, and nothing else, as JSON lines, or as a page where the path ends in .html.

    False where there is no page, for want of records. What an earlier run wrote is gone in any case.
    """
    path = Path(path)
    path.unlink(missing_ok=True)
    if path.suffix == ".html":
        from gradcheck.render.html import page  # of an extra

        if made:
            path.write_text(page(made), encoding="utf-8")
        return bool(made)
    path.touch()
    for one in made:
        append(path, one)
    return True
