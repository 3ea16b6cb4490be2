"""Planted faults: every operator of the catalogue in the ops of the reference is caught, placed and named."""

import os
from functools import cache

import numpy as np
import pytest

from benchmarks.judge_table import Faults, planted_faults
from gradcheck import Kind, Verdict, check, from_pair
from properties.catalogue import FAULTS
from properties.planted import hosts

NIGHTLY = os.environ.get("GRADCHECK_NIGHTLY") == "1"
X = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6]])
W = np.array([[0.5, -0.25, 2.0], [1.5, 0.75, -1.0], [0.3, 0.9, 1.7]])


@cache
def tally() -> Faults:
    """Every fault in a seventh of the ops (in all of them nightly): 66 operators, and every op with some of them."""
    return planted_faults(lambda i, j: NIGHTLY or (i + j) % 7 == 0)


def test_there_are_enough_operators_and_ops() -> None:
    """The sample holds at least 30 fault operators, 20 hosts and 500 planted faults that show."""
    assert len(FAULTS) >= 30
    assert len(hosts()) >= 20
    assert len(tally().kinds) >= 30
    assert tally().total >= 500


def test_right_hosts_pass() -> None:
    """What is right, though hosts for faults, passes."""
    for case in hosts():
        report = check(from_pair(case.f, case.vjp, frozen=case.frozen), *next(case.points(1)))
        assert report.verdict is Verdict.PASS, (case.name, str(report))


def test_every_planted_fault_that_shows_is_caught() -> None:
    """No fault passes at a point where the truth says that it shows."""
    assert not tally().missed


def test_the_right_kind_is_first_in_85_percent() -> None:
    """The first diagnosis is the fault's own kind; nearly always it is one that describes it as well."""
    caught = tally().total - len(tally().missed)
    assert tally().first >= 0.85 * caught
    assert tally().honest >= 0.95 * caught


def test_the_right_input_is_always_named() -> None:
    """A fault in one input's gradient is never blamed on another input."""
    assert not tally().wrong_input


def test_the_right_index_is_named_in_95_percent() -> None:
    """A fault in one entry is placed there."""
    assert tally().indexed >= 30
    assert len(tally().wrong_index) <= 0.05 * tally().indexed


def test_every_kind_of_mistake_can_be_diagnosed() -> None:
    """One hand-made mistake a Kind, and that kind is named first."""
    assert set(MISTAKES) == set(Kind)
    for kind, (f, vjp, inputs) in MISTAKES.items():
        report = check(from_pair(f, vjp), *inputs)
        assert report.verdict is Verdict.FAIL, kind
        finding = report.findings[0]
        assert finding.kind is kind, (kind, str(report))


def _cos(inputs, g):  # type: ignore[no-untyped-def]
    return g * np.cos(inputs[0])


def _softmax(x):  # type: ignore[no-untyped-def]
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _raise(inputs, g):  # type: ignore[no-untyped-def]
    raise IndexError("index 3 is out of bounds")


_ROWS = np.array([0, 2, 0])


def _rows(inputs, g):  # type: ignore[no-untyped-def]
    d = np.zeros_like(inputs[0])
    d[inputs[1]] = g
    return d, None


_TOTAL = [np.zeros_like(X)]


def _accumulate(inputs, g):  # type: ignore[no-untyped-def]
    _TOTAL[0] = _TOTAL[0] + _cos(inputs, g)
    return (_TOTAL[0].copy(),)


_KEPT = [X]


def _keep(x):  # type: ignore[no-untyped-def]
    _KEPT[0] = np.array(x)
    return np.sin(x)


def _noise(inputs, g):  # type: ignore[no-untyped-def]
    return (_cos(inputs, g) * np.random.default_rng().normal(size=g.shape),)


MISTAKES = {
    Kind.STALE: (_keep, lambda i, g: (g * np.cos(_KEPT[0]),), (X,)),
    Kind.ACCUMULATES: (np.sin, _accumulate, (X,)),
    Kind.NONDETERMINISTIC: (np.sin, _noise, (X,)),
    Kind.SIGN: (np.sin, lambda i, g: (-_cos(i, g),), (X,)),
    Kind.FACTOR: (np.sin, lambda i, g: (2 * _cos(i, g),), (X,)),
    Kind.TRANSPOSED: (lambda w: w @ W, lambda i, g: ((g @ W.T).T.copy(),), (W,)),
    Kind.PERMUTED: (np.sin, lambda i, g: (np.roll(_cos(i, g), 1),), (X,)),
    Kind.ZERO: (np.sin, lambda i, g: (np.zeros_like(X),), (X,)),
    Kind.NOT_SUMMED: (lambda x, b: x + b, lambda i, g: (g.copy(), g[0].copy()), (X, X[0])),
    Kind.WRONG_AXIS: (lambda w: W @ w, lambda i, g: (W.T @ g.T,), (W,)),
    Kind.MISSING_TERM: (lambda x: (np.sin(x) + 0.05 * x * x).sum(), lambda i, g: (_cos(i, g),), (X,)),
    Kind.DIAGONAL_ONLY: (_softmax, lambda i, g: (g * _softmax(i[0]) * (1 - _softmax(i[0])),), (X,)),
    Kind.IGNORES_COTANGENT: (np.sin, lambda i, g: (np.cos(i[0]),), (X,)),
    Kind.NONLINEAR: (np.sin, lambda i, g: (_cos(i, g * g),), (X,)),
    Kind.MUTATES: (np.sin, lambda i, g: (_cos(i, g), g.fill(0))[:1], (X,)),
    Kind.ALIASES: (lambda x: x + 0, lambda i, g: (g,), (X,)),
    Kind.SHAPE: (lambda x: x + 0, lambda i, g: (g.ravel(),), (X,)),
    Kind.DTYPE: (np.sin, lambda i, g: (_cos(i, g).astype("f4"),), (X,)),
    Kind.NONFINITE: (np.sin, lambda i, g: (_cos(i, g) / (i[0] > 0.5),), (X,)),
    Kind.BRANCH: (np.sin, lambda i, g: (_cos(i, g) * np.where(i[0] < 0, 2, 1),), (X,)),
    Kind.BATCH: (lambda x: np.sin(x).sum(1), lambda i, g: (g.mean() * np.cos(i[0]),), (X,)),
    Kind.REPEATED_INDEX: (lambda w, i: w[i], _rows, (W, _ROWS)),
    Kind.LOW_PRECISION: (np.sin, lambda i, g: (_cos(i, g).astype("f4").astype("f8"),), (X,)),
    Kind.APPROXIMATION: (np.sin, lambda i, g: (g * (np.sin(i[0] + 1e-3) - np.sin(i[0])) / 1e-3,), (X,)),
    Kind.RAISES: (np.sin, _raise, (X,)),
    Kind.OTHER: (np.sin, lambda i, g: (g * i[0] ** 3,), (X,)),
}


@pytest.mark.parametrize("factor", [2.0, 0.5, -1.0, 3.0, 1 / 6, 6.0, 1.001, 1.3, -2.0])
def test_a_factor_is_named_with_its_value(factor: float) -> None:
    """The evidence carries the factor to four digits, or as 1 plus a little; -1 is a sign."""
    report = check(from_pair(np.sin, lambda i, g: (factor * _cos(i, g),)), X)
    finding = report.findings[0]
    assert finding.kind is (Kind.SIGN if factor == -1 else Kind.FACTOR), report
    assert finding.claimed is not None
    assert finding.numeric is not None
    assert finding.claimed / finding.numeric == pytest.approx(factor, rel=1e-6)
    if factor != -1:
        spelled = (f"{factor:.4g}", f"(1 {factor - 1:+.1e})")
        assert any(words.endswith(spelled) or f"{spelled[0]} " in words for words in finding.evidence), finding.evidence


def test_worse_findings_come_first() -> None:
    """Of two wrong blocks the one further off, in bounds, leads."""
    report = check(from_pair(lambda x, w: x * w, lambda i, g: (1.001 * g * i[1], -g * i[0])), X, X + 2)
    assert [finding.input for finding in report.findings] == ["w", "x"]
    assert report.findings[0].severity > report.findings[1].severity
