"""Hold the reference's gradients at one case to finite differences: one input at a time, every bound derived."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop import Graph, Tape, backward, forward, ops
from gradcheck.numeric import Fit, Richardson, directional
from gradcheck.numeric.estimate import Scheme

Arrays = Mapping[str, NDArray[Any]]

# Each estimate covers the truth 99 times in 100. A run makes thousands of comparisons, so a claim outside one estimate
# is only suspected; it is accused when it is outside all three, each read from other points of the line.
SCHEMES: tuple[Scheme, ...] = (Richardson(), Richardson(depth=1), Fit())
# A comparison that could not see a rule that is wrong by 0.1% settles nothing.
RESOLUTION = 1e-3
# Up to this many entries an input is differentiated entry by entry; a larger one along this many random directions.
FEW, DIRECTIONS = 4, 2


class Case(Protocol):
    """A graph with a scalar output and the point at which to look at it; its repr is runnable Python."""

    def graph(self) -> Graph:
        """The graph."""
        ...

    def sample(self) -> dict[str, NDArray[Any]]:
        """Arrays for its inputs."""
        ...


class GradientWrongError(AssertionError):
    """A gradient of the reference is outside the bound of every finite difference."""


@dataclass(frozen=True)
class Comparison:
    """What one case gave. ``worst`` is the largest |error|/bound that was within its bound, or excused."""

    entries: int
    compared: int
    inconclusive: int
    worst: float
    visits: int
    edges: int
    ops: Counter[str]


def compare(case: Case, seed: int = 0) -> Comparison:
    """Compare every input's gradient with finite differences along entries or random directions.

    Raises GradientWrongError, naming the input, for a gradient that is outside the bound of every scheme.
    """
    graph, arrays = case.graph(), case.sample()
    tape = forward(graph, **arrays)
    table = backward(tape)
    rng = np.random.default_rng(seed)
    # The gradient at inputs moved by an ulp: how much rounding alone can change it.
    nudged = backward(forward(graph, **{name: _nudged(array, rng) for name, array in arrays.items()}))
    compared = inconclusive = entries = 0
    worst = 0.0
    for name in sorted(graph.differentiable):
        x, claimed = arrays[name], table[name]
        entries += x.size
        block = float(np.max(np.abs(claimed), initial=0.0))
        for u in _directions(x, rng):
            # Where the claim is zero there is no size to be relative to but that of the function itself.
            reach = block * float(np.abs(u).sum()) or float(np.abs(tape.output) or 1) / float(np.max(np.abs(x)) or 1)
            claim = float(np.sum(claimed * u))
            # Backward stability (Higham 2002, §1.5): each node rounds as if its inputs were off by an ulp.
            eps = float(np.finfo(x.dtype).eps)
            rounding = len(graph) * (
                abs(float(np.sum(nudged[name] * u)) - claim) + eps * float(np.sum(np.abs(claimed * u)))
            )
            ratio, bound = _verdict(graph, arrays, name, u, claim, rounding)
            compared += 1
            if ratio > 1 and kink_distance(tape) > eps ** (1 / 3):
                raise GradientWrongError(_accusation(name, u, claim, ratio, bound))
            if ratio > 1 or bound > RESOLUTION * reach:
                inconclusive += 1
            else:
                worst = max(worst, ratio)
    used = Counter(node.op for node in graph.nodes if node.parents)
    return Comparison(entries, compared, inconclusive, worst, table.visits, graph.edges, used)


def kink_distance(tape: Tape) -> float:
    """How far the values of a forward pass are from the nearest point where an op has no derivative; 0 at a tie.

    Within eps^(1/3), the step at which a central difference is at its best, a kink cannot be told from a slope.
    """
    nearest = np.inf
    for node in tape.graph.nodes:
        if not node.parents:
            continue
        row, values = ops.TABLE[node.op], [tape[parent] for parent in node.parents]
        if row.kinks is not None:
            gaps = row.kinks(*values, **node.static)
        elif len(row.frozen) == row.arity:  # a comparison or a sign decides which value flows on
            gaps = np.abs(np.subtract(*values)) if len(values) == 2 else np.abs(values[0])
        else:
            continue
        nearest = min(nearest, float(np.min(gaps, initial=np.inf)))
    return nearest


def _verdict(
    graph: Graph, arrays: Arrays, name: str, u: NDArray[Any], claim: float, rounding: float
) -> tuple[float, float]:
    """|claim − numeric| over its bound, and the bound, of the first scheme that has the claim within its bound."""
    f = _along(graph, arrays, name)
    ratio, bound = np.inf, np.inf
    for scheme in SCHEMES:
        estimate = directional(f, arrays[name], u, scheme=scheme)
        bound = float(estimate.error) + rounding
        difference = abs(claim - float(estimate.value))
        if np.isnan(difference):  # f is undefined nearby: nothing can be said
            return 0.0, np.inf
        if difference <= bound:
            return difference / bound if bound else 0.0, bound
        ratio = difference / bound if bound else np.inf
    return ratio, bound


def _along(graph: Graph, arrays: Arrays, name: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda moved: forward(graph, **{**arrays, name: moved}).output


def _directions(x: NDArray[Any], rng: np.random.Generator) -> Iterator[NDArray[Any]]:
    """Every unit array where there are few entries, else random signs times the size of each entry.

    Scaled so, a step is a relative change of every entry, and none is moved out of its domain before the others matter.
    """
    if x.size <= FEW:
        for index in np.ndindex(x.shape):
            u = np.zeros_like(x)
            u[index] = 1
            yield u
        return
    size = np.abs(x) + 0.25 * np.max(np.abs(x)) + (not x.any())
    for _ in range(DIRECTIONS):
        yield (size * rng.choice([-1, 1], x.shape)).astype(x.dtype)


def _nudged(x: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    towards = np.where(rng.random(x.shape) < 0.5, -np.inf, np.inf).astype(x.dtype)
    return np.asarray(np.nextafter(x, towards))


def _accusation(name: str, u: NDArray[Any], claim: float, ratio: float, bound: float) -> str:
    place = f"{name}{list(map(int, np.argwhere(u)[0]))}" if np.count_nonzero(u) == 1 else f"{name} along {u.tolist()}"
    return (
        f"{place}: backward says {claim:.6e}, which is {ratio:.1e} times the bound {bound:.1e} away from "
        f"the finite difference, by each of {', '.join(map(repr, SCHEMES))}"
    )
