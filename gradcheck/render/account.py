"""Account: what the records of a page add up to: the run, the matrix, what could not be told, margins and calls."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from gradcheck.render.scale import decades
from gradcheck.render.seen import Failure, Growth, Seen
from gradcheck.report import Verdict


def card(seen: Sequence[Seen | Growth]) -> list[tuple[str, str]]:
    """What the run was, as far as its records agree; otherwise how many values there are."""
    told = [dict(one.environment) | one.card for one in seen]
    days = sorted(str(one.made.get("at", "")) for one in seen)
    card = [("when", days[0] if days[0] == days[-1] else f"{days[0]} … {days[-1]}")]
    for name in ("gradcheck", "python", "numpy", "blas", "commit", "profile", "dtype", "seed"):
        found = dict.fromkeys(value for one in told for value in one.get(name, "").split(", "))  # several dtypes in one
        several = [value for value in found if value not in ("", "None")]
        if several:
            card.append((name, ", ".join(several) if len(several) <= 3 else f"{len(several)} different ones"))
    return card


@dataclass(frozen=True)
class Cell:
    """What is known of one target in one dtype."""

    counts: Counter[str]
    worst: float
    anchor: str

    @property
    def shade(self) -> int:
        """A number from −3, far within the bound, to 3, far beyond it, for the colour."""
        return round(decades(self.worst) / 2)


def matrix(seen: Sequence[Seen], failures: Sequence[Failure]) -> list[tuple[str, dict[str, Cell]]]:
    """Targets by dtypes, those with the worst cell first."""
    cells: dict[str, dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    for one in seen:
        for dtype in one.report.dtypes:
            cells[one.report.target][dtype or "–"].append(one)
    anchors: dict[tuple[str, str], str] = {}
    for failure in failures:
        anchors.setdefault((failure.worst.report.target, failure.worst.report.dtype or "–"), failure.anchor)
    rows = [
        (
            target,
            {
                dtype: Cell(
                    Counter(one.report.verdict.value for one in group),
                    max((worst for one in group if (worst := one.worst_in(dtype)) == worst), default=float("nan")),
                    anchors.get((target, dtype), ""),
                )
                for dtype, group in by_dtype.items()
            },
        )
        for target, by_dtype in cells.items()
    ]
    return sorted(rows, key=lambda row: -max(decades(c.worst) if c.worst == c.worst else -9 for c in row[1].values()))


def unclear(seen: Sequence[Seen]) -> list[tuple[str, str, int]]:
    """(target, reason, how often) of what could not be told."""
    reasons = Counter(
        (one.report.target, one.report.reasons[0] if one.report.reasons else one.report.headline())
        for one in seen
        if one.report.verdict is Verdict.INCONCLUSIVE
    )
    return [(target, reason, count) for (target, reason), count in reasons.most_common(200)]


def margins(seen: Sequence[Seen]) -> list[tuple[str, float]]:
    """(verdict, error/bound) of every block that was judged."""
    return [
        (row.verdict.value, row.margin) for one in seen for row in one.report.blocks if row.margin is not None
    ]


def calls(seen: Sequence[Seen]) -> list[tuple[int, float]]:
    """(entries, forward calls an example), where both are known."""
    pairs = [(sum(prod(row.shape) for row in one.report.blocks), one.report) for one in seen]
    return [(size, report.evaluations / report.examples) for size, report in pairs if size and report.evaluations]
