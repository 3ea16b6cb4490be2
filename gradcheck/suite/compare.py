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
# is only suspected; it is accused when it is outside two or more, read from other points of the line, and inside none.
SCHEMES: tuple[Scheme, ...] = (Richardson(), Fit(), Fit(degree=6, nodes="equispaced"))
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

    Raises GradientWrongError, naming the input, for a gradient that finite differences exclude.
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
            ratio = _excess(_along(graph, arrays, name), x, u, claim, rounding, RESOLUTION * reach)
            compared += 1
            if ratio > 1 and kink_distance(tape) > eps ** (1 / 3):
                raise GradientWrongError(_accusation(name, u, claim, ratio))
            if ratio <= 1:
                worst = max(worst, ratio)
            else:
                inconclusive += 1
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


def _excess(
    f: Callable[[NDArray[Any]], NDArray[Any]],
    x: NDArray[Any],
    u: NDArray[Any],
    claim: float,
    rounding: float,
    widest: float,
) -> float:
    """|claim − numeric| over its bound: at most 1 where a scheme agrees, more where two exclude the claim, else NaN.

    A scheme whose bound is above ``widest`` is not heard.
    """
    excess = []
    for scheme in SCHEMES:
        estimate = directional(f, x, u, scheme=scheme)
        difference, bound = abs(claim - float(estimate.value)), float(estimate.error) + rounding
        if not bound <= widest or np.isnan(difference):
            continue
        if difference <= bound:
            return difference / bound if bound else 0.0
        excess.append(difference / bound if bound else np.inf)
    return min(excess) if len(excess) > 1 else np.nan


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


def _accusation(name: str, u: NDArray[Any], claim: float, ratio: float) -> str:
    entry = list(map(int, np.argwhere(u)[0])) if u.ndim else ""
    place = f"{name}{entry}" if np.count_nonzero(u) == 1 else f"{name} along {u.tolist()}"
    return (
        f"{place}: backward says {claim:.6e}, and differs from every finite difference by {ratio:.1e} times the bound "
        "or more"
    )
