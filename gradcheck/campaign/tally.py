"""The tally of a campaign: what its cells add up to."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gradcheck.campaign.cell import Cell
from gradcheck.render.records import Record

Group = tuple[str, str, str]
OK, WRONG, INTERRUPTED, NOTHING = 0, 1, 2, 5


@dataclass
class Line:
    """The cells of one target, dtype and block: how many came to which end, and the worst of them.

    resolution: the largest of those that passed. margin: the worst error/bound. failure: the record of the smallest
    failing case; loss: that of the first lost cell.
    """

    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    lost: int = 0
    examples: int = 0
    resolution: float = 0.0
    margin: float = 0.0
    failure: Record | None = None
    loss: Record | None = None

    @property
    def cells(self) -> int:
        """How many there are."""
        return self.passed + self.failed + self.inconclusive + self.lost


@dataclass
class Tally:
    """All lines, by (target, dtype, block); `interrupted` where the campaign was stopped before its end."""

    lines: dict[Group, Line] = field(default_factory=dict)
    interrupted: bool = False

    def take(self, cell: Cell, made: Record) -> None:
        """Count the record of a cell."""
        line = self.lines.setdefault(cell.group, Line())
        told: dict[str, Any] = made["report"]
        line.examples += told["examples"]
        line.margin = max([line.margin, *_margins(told)])
        if made["verdict"] == "pass":
            line.passed += 1
            line.resolution = max(line.resolution, float(told["resolution"]))
        elif made["verdict"] == "fail":
            line.failed += 1
            if line.failure is None or _size(made) < _size(line.failure):
                line.failure = made
        elif is_lost(made):
            line.lost += 1
            line.loss = line.loss or made
        else:
            line.inconclusive += 1

    def total(self, name: str) -> int:
        """A count over all lines: `tally.total("cells")`."""
        return sum(getattr(line, name) for line in self.lines.values())

    @property
    def resolution(self) -> float:
        """The worst of all cells that passed, nan where none has."""
        return max((line.resolution for line in self.lines.values() if line.passed), default=math.nan)

    @property
    def margin(self) -> float:
        """The worst error/bound of all cells."""
        return max((line.margin for line in self.lines.values()), default=0.0)

    @property
    def exit_code(self) -> int:
        """Pytest's: 0 where all is well, 1 with a cell that failed or was lost, 2 interrupted, 5 nothing judged."""
        if self.interrupted:
            return INTERRUPTED
        if self.total("failed") or self.total("lost"):
            return WRONG
        return OK if self.total("passed") else NOTHING


def is_lost(made: Record) -> bool:
    """Whether a record is of a cell that came to no end, twice."""
    return bool(made["losses"]) and made["report"]["examples"] == 0


def _margins(told: dict[str, Any]) -> Iterator[float]:
    """error/bound of the blocks of a record, as they are: a ledger may have millions, and is read when it goes on."""
    for row in told["blocks"]:
        if row["claimed"] is not None and row["numeric"] is not None and row["bound"]:
            margin = abs(_number(row["claimed"]) - _number(row["numeric"])) / float(row["bound"])
            if not math.isnan(margin):
                yield margin


def _number(told: Any) -> complex:
    """A number of a record: JSON's own, a word such as "inf", or a pair that is complex."""
    return complex(*map(float, told)) if isinstance(told, list) else float(told)


def _size(made: Record) -> int:
    return len(str((made["case"] or {}).get("python", "")))
