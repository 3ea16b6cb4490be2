"""Linearity: the law that a pullback is a linear map, and what a map is that is none."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.floats import differentiable, limits, promoted
from gradcheck.judge.hearing import REORDERED, Hearing, ask
from gradcheck.judge.reals import Array, as_real
from gradcheck.report import Finding, Kind, place

_BIG, _HALF_BIG = -1024.0, -8.0
"""Powers of two commute with rounding, so the scaled answer must be the scaled answer; large enough to meet a clipped
gradient, negative to meet an absolute value. float16 ends at 65504."""

_DIGITS = 1e-2
"""Of an answer's size, what is not another form but only other digits: half precision keeps three."""

_SMALL = {"float32": 2.0**-20, "bfloat16": 2.0**-20, "float16": 2.0**-4}
"""Small enough to meet a threshold on what is passed on; in half precision smaller ones underflow."""


def is_linear(h: Hearing) -> Iterator[Finding]:
    """The pullback of −1024 v, of a small multiple, of 0 and of v + w follow from those of v and w."""
    dtype = promoted(*(m.real.dtype for m in h.bench.models if differentiable(m)))
    factor = _HALF_BIG if dtype == np.float16 else _BIG
    scaled = ask(h, factor * h.cotangent)
    blamed: set[int] = set()
    if all(np.all(np.isfinite(s)) for s in scaled):
        for b in h.disagreements(scaled, [factor * g for g in h.gradients]):
            blamed.add(b)
            yield _nonlinear(h, b, scaled[b], factor)
    yield from _thresholds(h, dtype, blamed)
    nothing = ask(h, 0.0 * h.cotangent)
    for b in h.disagreements(nothing, [0.0 * g for g in h.gradients]):
        if b not in blamed and np.all(np.isfinite(nothing[b])):
            yield h.finding(Kind.NONLINEAR, b, nothing[b], 0 * nothing[b], "is not zero for a zero cotangent")
    if len(h.cotangent) > 1 and not np.array_equal(h.cotangent, h.other):
        h.second = ask(h, h.other)
        both = ask(h, h.cotangent + h.other)
        sums = [a + e for a, e in zip(h.gradients, h.second, strict=True)]
        for b in h.disagreements(both, sums, REORDERED):
            if b not in blamed and np.all(np.isfinite(both[b])):
                terms = max(float(np.max(np.abs(g), initial=0.0)) for g in (h.gradients[b], h.second[b]))
                rounds = float(np.max(np.abs(both[b] - sums[b]))) < _DIGITS * terms  # beside a sum that cancels, too
                kind = Kind.LOW_PRECISION if rounds else Kind.NONLINEAR
                what = "of a sum of cotangents is not the sum of the gradients"
                yield h.finding(kind, b, both[b], sums[b], f"rounds: that {what}" if rounds else what)


def _thresholds(h: Hearing, dtype: "np.dtype[Any]", blamed: set[int]) -> Iterator[Finding]:
    """What is linear passes small cotangents on, too; not asked where they would come back as subnormals."""
    small = _SMALL.get(dtype.name, 2.0**-30)
    least = min((float(np.min(np.abs(g[g != 0]), initial=np.inf)) for g in h.gradients), default=np.inf)
    finest = limits(dtype)
    if h.underflow or small * least * float(finest.eps) < float(finest.tiny):
        return
    shrunk = [g / small for g in ask(h, small * h.cotangent)]
    for b in h.disagreements(shrunk, h.gradients, REORDERED):
        half = h.gradients[b].astype(np.float16)
        if b not in blamed and not np.array_equal(half, h.gradients[b]):  # half precision underflows, and is told so
            blamed.add(b)
            what = f"is not linear: the cotangent times {small:.0e} gives something else"
            yield h.finding(Kind.NONLINEAR, b, shrunk[b], h.gradients[b], what)


def _nonlinear(h: Hearing, b: int, scaled: Array, factor: float) -> Finding:
    """Which way of not scaling: a constant part that is an input's multiple, no dependence at all, or neither."""
    if np.array_equal(scaled, h.gradients[b]):
        return h.finding(Kind.IGNORES_COTANGENT, b, scaled, factor * h.gradients[b], "does not depend on the cotangent")
    constant = ask(h, 0.0 * h.cotangent)[b]
    left, right = scaled - factor * h.gradients[b], (1 - factor) * constant  # affine: c(v) = L v + constant
    rounding = 1e-6 * float(np.max(np.abs(right))) + h.eps(b) * float(np.max(np.abs(scaled)))
    if constant.any() and np.allclose(left, right, rtol=1e-3, atol=rounding):
        x = as_real(h.bench.primals[h.bench.blocks[b]]).astype(float)
        ratio = float(x @ constant) / float(x @ x) if x.any() else 0.0
        if ratio and np.allclose(constant, ratio * x, rtol=1e-3, atol=1e-6 * float(np.max(np.abs(constant)))):
            what = f"adds {ratio:.4g} times {place(h.name(b))} whatever the cotangent (a penalty?)"
            return h.finding(Kind.MISSING_TERM, b, scaled, factor * h.gradients[b], what)
        what = "adds the same term whatever the cotangent"
        return h.finding(Kind.NONLINEAR, b, scaled, factor * h.gradients[b], what)
    what = f"is not linear: the cotangent times {factor:g} gives something else"
    error = float(np.max(np.abs(scaled - factor * h.gradients[b])))
    if error < _DIGITS * float(np.max(np.abs(scaled))):
        what = f"rounds: the cotangent times {factor:g} gives other digits"
        return h.finding(Kind.LOW_PRECISION, b, scaled, factor * h.gradients[b], what)
    return h.finding(Kind.NONLINEAR, b, scaled, factor * h.gradients[b], what)
