"""The tests' own finite difference, written apart from gradcheck.numeric, with a bound instead of a tolerance."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradcheck.backprop import Graph, backward, forward, ops, trace

STEP = 2.0**-10  # exact; the arguments drawn stay 2**-6 from kinks, and the widest stencil below reaches 4 steps
ROUNDINGS = 32  # four values a stencil, each allowed eight roundings


def along(phi: Callable[[float], float], size: float) -> tuple[float, float]:
    """The derivative of ``phi`` at 0 and a bound on its error; ``size`` is the magnitude of what is summed in phi.

    The five-point stencil errs by O(h^4): at 2h by 16 times as much as at h, so the difference of the two is about 15
    times the truncation error at h. Rounding adds a few ulps of ``size`` over h.
    """

    def stencil(h: float) -> float:
        return (8 * (phi(h) - phi(-h)) - (phi(2 * h) - phi(-2 * h))) / (12 * h)

    fine, coarse = stencil(STEP), stencil(2 * STEP)
    return fine, abs(fine - coarse) + ROUNDINGS * np.finfo(float).eps * size / STEP


def call_graph(name: str, example: ops.Example, arguments: list[Any]) -> tuple[Graph, dict[str, Any]]:
    """The graph of one call of an op, its inputs named p0, p1 ..., and the arrays to run it on."""
    arrays = {f"p{i}": a for i, a in enumerate(arguments)}
    graph = trace(
        lambda **nodes: ops.invoke(name, *nodes.values(), **example.static), **{k: a.shape for k, a in arrays.items()}
    )
    return graph, arrays


def random_like(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Cotangents and directions: multiples of 1/8 between 1/2 and 2, of either sign, so none of them hides an entry."""
    return np.asarray(rng.integers(4, 17, shape) / 8 * rng.choice([-1.0, 1.0], shape))


def mismatches(graph: Graph, arrays: Mapping[str, Any], cotangent: Any) -> list[str]:
    """Where the gradients of ``graph`` leave the bound around the finite difference, entry by entry."""
    tape = forward(graph, **arrays)
    table = backward(tape, cotangent)
    size = float(np.sum(np.abs(cotangent) * (1 + np.abs(tape.output))))
    found = []
    for name, x in arrays.items():
        if x.dtype.kind != "f":
            continue
        for i in np.ndindex(x.shape):

            def phi(t: float, name: str = name, i: tuple[int, ...] = i, x: Any = x) -> float:
                moved = x.copy()
                moved[i] += t
                return float(np.sum(cotangent * forward(graph, **{**arrays, name: moved}).output))

            numeric, bound = along(phi, size)
            claimed = float(table[name][i])
            if not abs(claimed - numeric) <= bound:
                found.append(f"{name}{list(i)}: vjp {claimed!r}, finite difference {numeric!r} ± {bound:.1e}")
    return found
