"""The catalogue: hundreds of right and wrong (f, vjp) pairs, the judge's exam, written without looking at the judge."""

from functools import cache

from .case import Case
from .faults import FAULTS, Fault
from .right import right_cases
from .shows import share, shows
from .wrong import wrong_cases

__all__ = ["FAULTS", "Case", "Fault", "cases", "right_cases", "share", "shows", "wrong_cases"]


@cache
def cases() -> dict[str, Case]:
    """All cases by name."""
    return {case.name: case for case in (*right_cases(), *wrong_cases())}
