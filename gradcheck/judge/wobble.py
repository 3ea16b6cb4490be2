"""Wobble: how much a gradient owes to rounding, as far as one can see from outside: ask again with the inputs moved
by an ulp.
"""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from gradcheck.floats import differentiable, eps_of
from gradcheck.judge.bench import BackwardError, Bench, ForwardError
from gradcheck.judge.hearing import Hearing, ask
from gradcheck.judge.precision import Scale
from gradcheck.judge.reals import Array, as_real, like

_PATTERNS, _CLOSELY = 2, 8
"""Ways to move entries: up or down, and up or not at all. Two entries that move alike are only shifted, which a
normalisation does not feel: one pattern in two has it so. Two that both move leave their sum even or odd as it was:
before a claim is blamed, more ways are tried."""


def wobble_of(
    hearing: Hearing, cotangent: Array, gradients: Sequence[Array], face: float = 0.0, most: float | None = None
) -> list[Array]:
    """How much each gradient moves, entry by entry, when every input and the cotangent move by an ulp; empty where
    backward raises there.

    gradients: what backward says of the cotangent at the point itself.

    face: eps of a lower precision found behind the inputs' dtype; its ulps are moved then. A change of a percent is
    no rounding (0.3 in float32; in half precision anything may be): the move crossed a kink, and is left out. most:
    look more often, at a claim that may be rounding and nothing else, and take a change of up to this for rounding,
    too.
    """
    bench = hearing.bench
    ulp = max(face, *(eps_of(m) for m in bench.models if differentiable(m)))
    largest = max((float(np.max(np.abs(g), initial=0.0)) for g in gradients), default=0.0)
    beside = max(1e-6 * largest, most or 0.0, 1e-300)
    wobbles: list[Array] = []
    for pattern in range(_PATTERNS if most is None else _CLOSELY):
        moved = {i: _nudged(bench.primals[i], face, pattern) for i in bench.blocks if bench.primals[i].size}
        try:  # a linear map that is ill-conditioned rounds its cotangent, whatever the inputs are
            nudged = ask(hearing, _nudged(cotangent, ulp, pattern), moved)
        except BackwardError:
            return []
        changes = [
            _rounding(hearing, b, gradients[b], np.abs(a - gradients[b]), face, beside) for b, a in enumerate(nudged)
        ]
        wobbles = [np.maximum(w, c) for w, c in zip(wobbles, changes, strict=True)] if wobbles else changes
        if sum(g.size for g in gradients) > 100_000:
            break  # so many entries are moved every which way by one pattern
    return wobbles


def _rounding(hearing: Hearing, b: int, gradient: Array, change: Array, face: float, beside: float) -> Array:
    """What of a change is rounding: not a percent and more, but for what is below `beside`, small beside the others."""
    limit = 1e-2 if max(face, hearing.eps(b)) < 1e-10 else np.inf if hearing.bench.twin else 0.3
    own = float(np.max(np.abs(gradient), initial=0.0))
    change[~(change <= max(limit * own, beside))] = 0.0
    return change.astype(np.float32)


def shaken(bench: Bench, origin: Array) -> Array:
    """How far each output moves, at most, when every input moves by an ulp; a half's twin is not rounded to ulps."""
    largest = np.zeros(origin.shape)
    for pattern in range(0 if bench.twin else 4):
        with suppress(ForwardError):
            moved = bench.value({i: _nudged(bench.primals[i], 0, pattern) for i in bench.blocks})
            if moved.shape == origin.shape:
                np.fmax(largest, np.abs(moved - origin), out=largest)
    return largest


def slow_step(bench: Bench, origin: Array) -> float:
    """The longest relative step over which forward is slow: 1 for nearly everything, 0 where an ulp changes it by 1e-3.

    sin(1e8 x) changes by 1e-8 over an ulp; the usual first step is hundreds of its periods long, and flat by luck.
    Noise is as large over one ulp as over sixteen, and does not count.
    """
    eps = max((eps_of(bench.primals[i]) for i in bench.blocks), default=1.0)
    usual = Scale(eps).small
    largest = float(np.max(np.abs(origin), initial=0.0, where=np.isfinite(origin)))
    ulp = _change(bench, origin, eps)
    if ulp <= 100 * eps * largest:
        return 1.0
    far = _change(bench, origin, usual)
    if ulp > 1e-3 * max(largest, far):
        return 0.0
    if ulp * usual / eps <= 10 * far or _change(bench, origin, 16 * eps) < 6 * ulp:
        return 1.0
    return 1e-2 * far * eps / ulp


def _change(bench: Bench, origin: Array, by: float) -> float:
    """The largest change of the value where every input is moved by a relative `by`; 0 where forward is not defined."""
    try:
        moved = bench.value({i: _nudged(bench.primals[i], by, apart=True) for i in bench.blocks})
    except ForwardError:
        return 0.0
    if moved.shape != origin.shape:
        return 0.0
    return float(np.max(np.abs(moved - origin), initial=0.0, where=np.isfinite(moved) & np.isfinite(origin)))


def _nudged(primal: Array, by: float, pattern: int = 0, *, apart: bool = False) -> Array:
    """Every entry moved by an ulp (or a relative `by`) as its own last bits say: up or down in even patterns, up or
    not at all in odd ones.

    Equal entries stay equal and zeros stay zero, so that no tie is broken and no kink crossed that the values sit on;
    unless they are to come `apart`, without which the normalisation of a constant row does not move at all.
    """
    flat = as_real(primal)
    size = flat.dtype.itemsize
    up = np.ones(flat.shape, bool)
    if size in (2, 4, 8):
        bits = flat.view(f"u{size}") >> pattern
        up = ((bits ^ (bits >> 1) ^ (bits >> 3)) & 1).astype(bool)
    if apart:
        up ^= np.arange(flat.size) % 3 == 0
    signs = np.where(up, 1, -1 if pattern % 2 == 0 else 0).astype(flat.dtype)
    ulps = np.spacing(np.where(flat == 0, 1, np.abs(flat))) * flat.dtype.type(max(1.0, by / eps_of(flat)))
    return like(np.where(flat == 0, flat, flat + signs * ulps), primal)
