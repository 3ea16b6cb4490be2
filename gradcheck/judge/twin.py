"""Twin: the float64 function that a half-precision forward computes as well, found out by trying."""

import numpy as np

from gradcheck.floats import differentiable, eps_of, is_half, limits
from gradcheck.judge.bench import Bench, ForwardError
from gradcheck.judge.reals import Array, as_real, like


def find_twin(bench: Bench, origin: Array) -> bool:
    """Evaluate forward in float64 from now on if an input is in half precision and it computes the same there.

    Central differences of a float16 function cannot see an entry that is wrong by 100 %: its steps are as coarse
    as that, and bfloat16's eight times coarser. The same at the point is not enough: a normalisation with an
    epsilon of its dtype's is 0 at 0 in any dtype, and as steep as that epsilon is small.
    """
    halves = [bench.primals[i] for i in bench.blocks if is_half(bench.primals[i].dtype)]
    if not halves:
        return False
    eps, models = max(map(eps_of, halves)), bench.models
    least = max(float(limits(half.dtype).smallest_subnormal) for half in halves)  # float16 has few below 2⁻¹⁴
    nowhere_zero = all(bench.primals[i].all() for i in bench.blocks)
    try:
        for step in (0.0, 2.0**-3) if nowhere_zero else (0.0, 2.0**-24, 2.0**-12, 2.0**-3):
            moved = {i: _aside(bench.primals[i], step) for i in bench.blocks} if step else None
            coarse = bench.value(moved) if step else origin
            bench.twin, bench.models = eps, []
            fine, seen = bench.value(moved), bench.models
            bench.twin, bench.models = 0.0, models
            largest = float(np.max(np.abs(coarse), initial=0.0, where=np.isfinite(coarse)))
            if fine.shape != coarse.shape or any(m.dtype.itemsize < 4 for m in seen if differentiable(m)):
                return False
            if not np.all((np.abs(fine - coarse) <= 16 * (eps * largest + least)) | ~np.isfinite(coarse)):
                return False
    except ForwardError:
        return False
    finally:
        bench.twin, bench.models = 0.0, models
    bench.twin = eps
    return True


def _aside(primal: Array, step: float) -> Array:
    """An input moved by a step of each entry's size (1 where it is zero), every other way, in the dtype it has."""
    flat = as_real(primal).astype(np.float64)
    signs = np.where(np.arange(flat.size) % 3 == 0, -step, step)
    return like((flat + signs * np.where(flat == 0, 1.0, flat)).astype(as_real(primal).dtype), primal)
