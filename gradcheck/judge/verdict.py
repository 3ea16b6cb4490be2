"""The public side of the judge at one point: `check`, `check_laws`, `assert_gradients`.

There is no tolerance to choose: every slope carries its own bound, and a pass says what it could have seen.
"""

import math
from dataclasses import replace
from typing import Any

from gradcheck.adapters import as_target
from gradcheck.report import GradientMismatch, InconclusiveError, Report, Verdict


def check(
    target: Any,
    *inputs: Any,
    seed: int = 0,
    kinks: str = "subgradient",
    budget: int | None = None,
    slack: float = 1.0,
    timeout: float | None = None,
) -> Report:
    """Judge the gradient of `target` at one point.

    target: a Target, or what `as_target` makes one of. inputs: arrays or numbers; integer and frozen ones are held
    fixed. seed: of the random directions and cotangents; the same seed gives the same report. kinks: "subgradient"
    accepts a claim between the one-sided slopes, "forbid" fails at any kink. budget: the most forward calls to spend.
    slack: scales every bound. timeout: seconds for the whole check, on platforms with SIGALRM and in the main thread.
    What is no PASS holds a copy of the inputs as `report.case`.

    A complex gradient is the adjoint's, conj(J)ᵀv, as in ChainRules and torch; the other convention, Jᵀv as in JAX,
    is recognised and noted. Raises ValueError or TypeError for options or inputs that cannot be used; what the target
    does wrong is a verdict.

    >>> import numpy as np
    >>> report = check((np.sin, lambda inputs, g: (g * np.cos(inputs[0]),)), np.array([0.1, 2.0]))
    >>> report.verdict, report.resolution < 1e-8
    (<Verdict.PASS: 'pass'>, True)
    >>> check((np.sin, lambda inputs, g: (-g * np.cos(inputs[0]),)), np.array([0.1, 2.0])).findings[0].kind
    <Kind.SIGN: 'wrong sign'>
    """
    if kinks not in ("subgradient", "forbid"):
        raise ValueError(f"kinks must be 'subgradient' or 'forbid', got {kinks!r}")
    if not (slack > 0 and math.isfinite(slack)):
        raise ValueError(f"slack must be a positive number that scales every bound, got {slack!r}")
    if timeout is not None and timeout <= 0:
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")
    # numpy and the judge itself are imported by the first check, not by whoever names this function
    from gradcheck.judge.case import case_of
    from gradcheck.judge.point import judged

    judgeable, arrays = as_target(target).bound(inputs)
    report = judged(judgeable, arrays, seed, kinks == "forbid", slack, budget, timeout)
    return report if report else replace(report, case=case_of(inputs))


def check_laws(target: Any, *inputs: Any, laws: tuple[str, ...] | None = None, seed: int = 0) -> Report:
    """Hear the laws of a pullback alone, or some of them by name: exact, and without finite differences.

    Raises ValueError for a law that does not exist.

    >>> import numpy as np
    >>> squared = (np.sin, lambda inputs, g: (g**2 * np.cos(inputs[0]),))
    >>> check_laws(squared, np.array([0.1, 2.0]), laws=("is_linear",)).findings[0].kind
    <Kind.NONLINEAR: 'not linear in the cotangent'>
    """
    from gradcheck.judge.point import lawful

    target, inputs = as_target(target).bound(inputs)
    return lawful(target, inputs, laws, seed)


def assert_gradients(target: Any, *inputs: Any, strict: bool = False, **options: Any) -> Report:
    """`check`, raising GradientMismatch for a FAIL, and InconclusiveError for an INCONCLUSIVE with strict=True.

    >>> import numpy as np
    >>> assert_gradients((np.exp, lambda inputs, g: (g * np.exp(inputs[0]),)), 1.0).verdict
    <Verdict.PASS: 'pass'>
    """
    report = check(target, *inputs, **options)
    if report.verdict is Verdict.FAIL:
        raise GradientMismatch(report)
    if strict and report.verdict is Verdict.INCONCLUSIVE:
        raise InconclusiveError(report)
    return report
