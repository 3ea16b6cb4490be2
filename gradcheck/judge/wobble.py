"""Wobble: how much a gradient owes to rounding, as far as one can see from outside: ask again with the inputs moved
by an ulp.
"""

import numpy as np

from gradcheck.judge.bench import Array, BackwardError, as_real, like
from gradcheck.judge.hearing import Hearing, ask


def wobble_of(hearing: Hearing, face: float = 0.0) -> list[Array]:
    """How much each gradient moves, entry by entry, when every input moves by an ulp; empty where backward raises
    there.

    face: eps of a lower precision found behind the inputs' dtype; its ulps are moved then. A change of a percent is
    no rounding (0.3 in float32 and coarser): the move crossed a kink, and is left out.
    """
    bench = hearing.bench
    moved = {i: _nudged(bench.primals[i], face) for i in bench.blocks if bench.primals[i].size}
    try:
        nudged = ask(hearing, hearing.cotangent, moved)
    except BackwardError:
        return []
    wobbles = []
    for b, (a, g) in enumerate(zip(nudged, hearing.gradients, strict=True)):
        change = np.abs(a - g)
        limit = 1e-2 if max(face, hearing.eps(b)) < 1e-10 else 0.3
        change[~(change <= limit * max(float(np.max(np.abs(g), initial=0.0)), 1e-300))] = 0.0
        wobbles.append(change.astype(np.float32))
    return wobbles


def _nudged(primal: Array, face: float) -> Array:
    """Every entry moved by one ulp, up or down by its own last bits.

    Equal entries stay equal and zeros stay zero, so that no tie is broken and no kink crossed that the values sit on.
    """
    flat = as_real(primal)
    size = flat.dtype.itemsize
    up = np.ones(flat.shape, bool)
    if size in (2, 4, 8):
        bits = flat.view(f"u{size}")
        up = ((bits ^ (bits >> 1) ^ (bits >> 3)) & 1).astype(bool)
    eps = max(face, float(np.finfo(flat.dtype).eps))
    return like(flat * np.where(up, 1 + eps, 1 - eps).astype(flat.dtype), primal)
