"""Html: records as one page in one file, which asks nobody for anything and needs no script to be read.

Failures of one look are told once: those of the same target, dtype, kind and input share a section, whose block and
plots are those of the worst. A page of 10,000 records has to stay below 5 MB, which the limits below see to.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gradcheck.render import account, plots
from gradcheck.render.schema import Record, cost_of, is_cost, look_of, report_of
from gradcheck.render.seen import Failure, Growth, Seen
from gradcheck.report import Verdict, place

PLOTTED = 16
"""Failures with plots: at most three of some 20 kB and 0.1 s each, 1 MB in all."""
TOLD = 400
"""Failures with a section of their own, some 4 kB each; of others there is a row of 250 bytes."""
LISTED = 4000
"""Rows of single records, some 250 bytes each; beyond them a number."""


def page(records: Iterable[Record], complaints: Sequence[str] = ()) -> str:
    """A page of these records, as `gradcheck.render.records.read` gives them with its complaints.

    Everything that a record says is escaped. Raises ValueError where there is no record.
    """
    read = list(records)
    if not read:
        raise ValueError("there is no record to make a page of: none of the lines could be read")
    seen = [Seen(made, report_of(made)) for made in read if not is_cost(made)]
    grown = list(_growths([made for made in read if is_cost(made)]))
    both: list[Seen | Growth] = [*seen, *grown]
    failures = list(_failures([one for one in seen if one.report.verdict is Verdict.FAIL]))
    environment = Environment(
        loader=PackageLoader("gradcheck.render", ""), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"short": _short, "place": place}
    return environment.get_template("report.html.j2").render(
        seen=seen,
        counts=Counter([*(one.report.verdict.value for one in seen), *(one.cost.verdict.value for one in grown)]),
        costs=grown,
        card=account.card(both),
        complaints=complaints,
        matrix=account.matrix(seen, failures),
        dtypes=[dtype for dtype, _ in Counter(d or "–" for one in seen for d in one.report.dtypes).most_common()],
        failures=failures,
        unclear=account.unclear(seen),
        margins=Markup(_scoped(plots.margins(account.margins(seen)), "m")),
        calls=Markup(_scoped(plots.calls(cost), "c")) if (cost := account.calls(seen)) else "",
        environments=Counter(one.environment for one in both).most_common(),
        told=TOLD,
        listed=LISTED // max(1, len(failures)) + 1,
    )


def _failures(failing: Sequence[Seen]) -> Iterable[Failure]:
    """The groups, broken laws first and then by how many bounds they are off."""
    groups: dict[tuple[Any, ...], list[Seen]] = defaultdict(list)
    for one in failing:
        first = one.report.findings[0]
        groups[one.made.get("ref"), one.report.target, one.report.dtype, first.kind, first.input].append(one)
    for group in groups.values():
        group.sort(key=lambda one: -one.worst)
    ordered = sorted(groups.values(), key=lambda group: -group[0].worst)
    plotted = 0
    for n, group in enumerate(ordered):
        group.sort(key=lambda one: one.made.get("look") is None)  # one that can be drawn speaks for the group
        pictures = _pictures(group[0], f"f{n}") if plotted < PLOTTED else []
        plotted += bool(pictures)
        yield Failure(f"f{n}", group, n < TOLD, pictures)


def _pictures(one: Seen, scope: str) -> list[tuple[str, Markup]]:
    """(caption, picture) of the closer look: the V-curve, then of the accused block its entries twice."""
    look = look_of(one.made)
    if look is None:
        return []
    drawn: list[tuple[str, str]] = []
    if (curve := look.curve) is not None:
        drawn.append((f"V-curve of {place(curve.input, curve.index)}", plots.v_curve(curve)))
    for entries in look.entries[:1]:
        whole = len(entries.position) == prod(entries.shape)
        which = "every entry" if whole else f"{len(entries.position)} of {prod(entries.shape)} entries"
        index = look.curve.index if look.curve is not None and look.curve.input == entries.input else None
        if picture := plots.heat_map(entries, index):
            drawn.append((f"|error|/bound of {place(entries.input)}, the worst ringed", picture))
        drawn.append((f"{place(entries.input)}: backward against finite difference, {which}", plots.against(entries)))
    return [(caption, Markup(_scoped(svg, f"{scope}{n}"))) for n, (caption, svg) in enumerate(drawn)]


def _scoped(svg: str, scope: str) -> str:
    """A picture whose ids are its own: a page has many, and matplotlib calls all of them figure_1."""
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{scope}-", svg)


def _growths(costs: Sequence[Record]) -> Iterable[Growth]:
    """The costs, those that grow too fast first; pictures of as many as a page can bear."""
    read = [(made, cost_of(made)) for made in costs]
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    for n, (made, cost) in enumerate(sorted(read, key=lambda pair: order.index(pair[1].verdict))):
        drawn = n < PLOTTED and len(cost.fit) > 1 and len(cost.sizes) > 1
        yield Growth(made, cost, f"c{n}", Markup(_scoped(plots.growth(cost), f"c{n}")) if drawn else "")


def _short(value: float) -> str:
    """error/bound in few characters."""
    if value != value:
        return "–"
    return "∞" if value == float("inf") else f"{value:.0e}"
