"""The ledger of a campaign: a file of JSON lines to which the record of every cell is appended once."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from gradcheck.campaign.cell import Cell
from gradcheck.render import records
from gradcheck.render.records import Record

try:
    import fcntl
except ImportError:  # not on POSIX: nothing keeps two campaigns from writing to one file
    fcntl = None  # type: ignore[assignment]

_CHUNK = 1 << 16


class LedgerError(Exception):
    """The file cannot be used as a ledger; the message names it, and says why and what to do."""


class Ledger:
    """A ledger, open and locked while it is used as a context manager.

    Its last line may have been torn by a machine that went down: a line that is whole gets its missing end, what is
    left of any other is cut off, and its cell will be judged again.

    Raises LedgerError where another campaign is writing to it, or it cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self.path.open("a+b")
        except OSError as error:
            raise LedgerError(f"{self.path}: {error.strerror}; name a file that can be written to") from error
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise LedgerError(f"{self.path}: another campaign is writing to it; wait, or name another file") from error
        self._mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, made: Record) -> None:
        """Add the record of a cell; when this returns, it survives the death of this process."""
        records.append(self.path, made)

    def records(self) -> Iterator[tuple[Cell, Record]]:
        """What is there, cell by cell; lines that are of no cell are passed over, `gradcheck report` names them."""
        with self.path.open("rb") as file:
            for line in file:
                try:
                    made = json.loads(line)
                    yield Cell(**made["cell"]), made
                except (ValueError, TypeError, KeyError):
                    continue

    def _mend(self) -> None:
        end = self._file.seek(0, 2)
        start = end
        tail = b""
        while start and b"\n" not in tail:
            step = min(_CHUNK, start)
            start = self._file.seek(start - step)
            tail = self._file.read(step) + tail
        tail = tail.rpartition(b"\n")[2]
        if not tail:
            return
        try:
            json.loads(tail)  # an object that can be read has its last brace
            self._file.write(b"\n")
            self._file.flush()
        except ValueError:
            self._file.truncate(end - len(tail))
