"""Factors: a claim that is the right gradient times one number."""

from collections.abc import Iterator

import numpy as np

from gradcheck.judge.survey import Guess, Survey
from gradcheck.report import Kind


def ratio(s: Survey) -> float | None:
    """The one factor by which every wrong entry is off, if there is one."""
    wrong = s.wrong & (np.abs(s.numeric) > 4 * s.bound)
    if wrong.sum() < min(2, s.wrong.sum()) or not wrong.any():  # of several entries one alone shows no common factor
        return None
    factor = float(s.claimed[wrong] @ s.numeric[wrong] / (s.numeric[wrong] @ s.numeric[wrong]))
    spread = float(np.max(np.abs(s.claimed[wrong] - factor * s.numeric[wrong]) - 2 * s.bound[wrong]))
    size = float(np.max(np.abs(s.numeric[wrong])))
    return factor if factor and spread <= 0.02 * abs(factor - 1) * size else None


def is_plain(s: Survey, factor: float) -> bool:
    """−1, 2, ½ or a size of the arrays: factors that people make mistakes by."""
    sizes = {float(n) for p in (*s.hearing.bench.primals, *s.hearing.bench.models) for n in p.shape if n > 1}
    plain = {-1.0, 2.0, 0.5, 4.0, 0.25, 3.0, *sizes, *(1 / n for n in sizes)}
    return any(abs(factor / value - 1) < 1e-3 for value in plain)


def scaled(s: Survey) -> Iterator[Guess]:
    """The claim is a multiple of the right gradient."""
    factor = ratio(s)
    if factor is None:
        return
    if abs(factor + 1) < 0.02:
        yield Guess(Kind.SIGN, f"{s.count()} have the opposite sign", -1.0)
        return
    yield Guess(Kind.FACTOR, f"{s.count()} off by the factor {spelled(factor)}{_named_factor(s, factor)}", factor)


def _named_factor(s: Survey, factor: float) -> str:
    sizes = {n for p in (*s.hearing.bench.primals, *s.hearing.bench.models) for n in p.shape if n > 1}
    for n in sorted(sizes):
        for value, name in ((n, f"{n}"), (1 / n, f"1/{n}")):
            if n > 2 and abs(factor / value - 1) < 1e-3:
                return f" = {name}, a size of the arrays (a mean taken twice, or never?)"
    if abs(factor - 2) < 1e-3:
        return " (accumulated twice?)"
    return ""


def spelled(factor: float) -> str:
    """A factor in four digits, or by its distance from 1 where those would hide it."""
    return f"{factor:.4g}" if abs(factor - 1) > 1e-3 else f"(1 {factor - 1:+.1e})"
