"""Seen: a record beside what it holds, and the failures that look alike, as a page tells of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from shlex import quote

from markupsafe import Markup

from gradcheck.render.block import block
from gradcheck.render.schema import Cost, Record
from gradcheck.report import Report


@dataclass(frozen=True)
class Seen:
    """A record beside the Report that it holds."""

    made: Record
    report: Report

    @cached_property
    def worst(self) -> float:
        """error/bound, the worst of its blocks; infinite for a broken law."""
        return self.report.margin

    def worst_in(self, dtype: str) -> float:
        """error/bound of its examples in one dtype of several."""
        if len(self.report.dtypes) == 1:
            return self.worst
        margins = [row.margin for row in self.report.blocks if row.dtype in dtype.split() and row.margin is not None]
        return max(margins, default=float("nan"))

    @property
    def replay(self) -> str:
        """The command that judges it again; empty where it has not been read from a file."""
        return f"gradcheck replay {quote(str(self.made['source']))}" if "source" in self.made else ""

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """What it was reached with, in a form that can be compared."""
        return _environment(self.made)

    @property
    def card(self) -> dict[str, str]:
        """What it adds to the account of the run."""
        return {"profile": str(self.made["profile"]), "dtype": self.report.dtype, "seed": str(self.report.seed)}


@dataclass(frozen=True)
class Growth:
    """A record beside the cost that it holds, where the page has it, and its picture."""

    made: Record
    cost: Cost
    anchor: str
    picture: Markup | str
    card: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """What it was measured with."""
        return _environment(self.made)


def _environment(made: Record) -> tuple[tuple[str, str], ...]:
    told = made.get("environment") or {}
    return tuple((str(name), str(value)) for name, value in told.items() if value not in ("", None))


@dataclass(frozen=True)
class Failure:
    """What one section tells of: every record that failed in the same way, the worst first."""

    anchor: str
    seen: Sequence[Seen]
    told: bool
    pictures: Sequence[tuple[str, Markup]]

    @property
    def worst(self) -> Seen:
        """The one whose block is shown."""
        return self.seen[0]

    @property
    def block(self) -> str:
        """The block of text, as a terminal shows it."""
        return block(self.worst.report, width=96)
