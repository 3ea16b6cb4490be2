"""Five worked systems: each tutorial's own formulas, held to the graph engine and to finite differences.

>>> outcome = SYSTEMS["S3"](steps=20)
>>> outcome.title, outcome.ok
('the two-layer mini-batch example', True)
"""

from collections.abc import Callable, Mapping

from gradcheck.systems import s1, s2, s3, s4, s5
from gradcheck.systems.verify import Check, Outcome

SYSTEMS: Mapping[str, Callable[..., Outcome]] = {"S1": s1.run, "S2": s2.run, "S3": s3.run, "S4": s4.run, "S5": s5.run}

__all__ = ["SYSTEMS", "Check", "Outcome"]
