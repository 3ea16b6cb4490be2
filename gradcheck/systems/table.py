"""Print what a system's run gave: its costs, each array compared three ways, and the other claims."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradcheck.systems.verify import ENGINE_NUMERIC, HAND_ENGINE, HAND_NUMERIC, Check, Outcome

HEADINGS = {HAND_ENGINE: "hand = engine", HAND_NUMERIC: "hand = f. diff.", ENGINE_NUMERIC: "engine = f. diff."}


def show(console: Console, name: str, outcome: Outcome) -> None:
    """Print one system: the largest difference of each pair, the bound it is held to, and OK or WRONG."""
    console.print(Text(f"{name} · {outcome.title}", style="bold"))
    for curve, costs in outcome.curves.items():
        console.print(Text(f"   {curve}: {costs[0]:.3e} → {costs[-1]:.3e} in {len(costs)} evaluations"))
    three: dict[str, dict[str, Check]] = {c.quantity: {} for c in outcome.checks if c.pair == HAND_NUMERIC}
    others = []
    for check in outcome.checks:
        if check.quantity in three and check.pair in HEADINGS:
            three[check.quantity][check.pair] = check
        else:
            others.append(check)
    table = _table("", *HEADINGS.values())
    for quantity, pairs in three.items():
        table.add_row(quantity, *(_cell(pairs[pair]) for pair in HEADINGS), _verdict(all(c.ok for c in pairs.values())))
    console.print(table)
    claims = _table("", "difference")
    for check in others:
        claims.add_row(f"{check.quantity}: {check.pair}", _cell(check), _verdict(check.ok))
    console.print(claims)
    console.print()


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 1), header_style="dim")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    table.add_column("")
    return table


def _cell(check: Check) -> Text:
    sign = "≤" if check.ok else ">"
    return Text(f"{_short(check.difference)} {sign} {_short(check.bound)}", style="" if check.ok else "bold red")


def _short(number: float) -> str:
    return f"{number:.1e}" if number else "0"


def _verdict(ok: bool) -> Text:
    return Text("OK", style="green") if ok else Text("WRONG", style="bold red")
