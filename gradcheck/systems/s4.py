"""S4 · The computational graph and its grad_table, after Goodfellow, Bengio and Courville, Deep Learning (2016), §6.5.

- the forward graph G: nodes u(1) … u(n), each an operation on its parents, ``u(i) = f(i)(Pa(u(i)))``
- the backward graph B: ``grad_table[u(n)] = 1``, then for j = n−1 … 1
  ``grad_table[u(j)] = Σ over children i of j: grad_table[u(i)] · ∂u(i)/∂u(j)``; each edge costs one product
- a sub-expression is kept, not recomputed, at the price of memory; without the table the products grow exponentially
- B is itself a graph (symbol-to-symbol), so it can be differentiated again
- loss = one example's error; cost = their mean or weighted mean; linear and logistic regression are the smallest cases

The example is ``u = sin(xy) · (xy + eˣ)``, in which x, y and xy are each used twice.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradcheck import numeric
from gradcheck.backprop import Graph, backward, backward_graph, forward, hessian, sensitivity, trace
from gradcheck.backprop.dense import Arrays
from gradcheck.systems import chain_rule, regression
from gradcheck.systems.verify import (
    BEYOND,
    Check,
    Outcome,
    compare,
    counted,
    each_pair,
    rounding_of,
    three_ways,
)

TITLE = "the computational graph and its grad_table"


class Operation(NamedTuple):
    """A node that is not an input: f, the names of its parents, and the partial derivatives of f, one a parent."""

    f: Callable[..., float]
    parents: tuple[str, ...]
    partials: Callable[..., tuple[float, ...]]


Table = dict[str, Operation]

EXAMPLE: Table = {
    "p": Operation(lambda x, y: x * y, ("x", "y"), lambda x, y: (y, x)),
    "e": Operation(math.exp, ("x",), lambda x: (math.exp(x),)),
    "q": Operation(lambda p, e: p + e, ("p", "e"), lambda p, e: (1.0, 1.0)),
    "s": Operation(math.sin, ("p",), lambda p: (math.cos(p),)),
    "u": Operation(lambda s, q: s * q, ("s", "q"), lambda s, q: (q, s)),
}


def evaluate(table: Table, inputs: dict[str, float]) -> dict[str, float]:
    """G: the value of every node, in topological order, all of them kept."""
    u = dict(inputs)
    for name, node in table.items():
        u[name] = node.f(*(u[parent] for parent in node.parents))
    return u


def grad_table(table: Table, inputs: dict[str, float]) -> tuple[dict[str, float], int]:
    """B: the derivative of the last node with respect to every node, and the number of chain-rule products it took."""
    u, products = evaluate(table, inputs), 0
    grad = dict.fromkeys(u, 0.0)
    grad[list(u)[-1]] = 1.0
    for name, node in reversed(table.items()):
        for parent, partial_derivative in zip(node.parents, node.partials(*(u[p] for p in node.parents)), strict=True):
            grad[parent] += grad[name] * partial_derivative
            products += 1
    return grad, products


def without_table(table: Table, inputs: dict[str, float]) -> tuple[float, int]:
    """Derivative of the last node with respect to the first input by the chain rule alone, and its products.

    Nothing is kept of the derivatives: those of a node are computed anew for each path that leads to it.
    """
    u, target = evaluate(table, inputs), next(iter(inputs))

    def derivative(name: str) -> tuple[float, int]:
        if name not in table:
            return float(name == target), 0
        node, total, products = table[name], 0.0, 0
        for parent, partial_derivative in zip(node.parents, node.partials(*(u[p] for p in node.parents)), strict=True):
            inner, spent = derivative(parent)
            total, products = total + partial_derivative * inner, products + spent + 1
        return total, products

    return derivative(list(u)[-1])


def ladder(n: int) -> Table:
    """n squarings one upon the other, ``u(i) = u(i−1) · u(i−1)``: 2n edges, and 2ⁿ paths from the top to the input."""
    square = (lambda a, b: a * b, lambda a, b: (b, a))
    return {f"u{i}": Operation(square[0], (f"u{i - 1}",) * 2, square[1]) for i in range(1, n + 1)}


def u_of(point: Arrays, _: Arrays) -> float:
    """u = sin(xy) · (xy + eˣ); there are no data."""
    x, y = point["x"], point["y"]
    return float(np.sin(x * y) * (x * y + np.exp(x)))


def gradient_of_u(point: Arrays, no_data: Arrays) -> tuple[float, Arrays]:
    """u, with ∂u/∂x and ∂u/∂y from the grad_table."""
    grad, _ = grad_table(EXAMPLE, {name: float(value) for name, value in point.items()})
    return u_of(point, no_data), {name: np.array(grad[name]) for name in point}


def hessian_of_u(x: float, y: float) -> NDArray[np.float64]:
    """Second derivatives of u by hand, with p = xy and q = p + eˣ."""
    p, e = x * y, math.exp(x)
    s, c, q = math.sin(p), math.cos(p), p + e
    xx = -s * y * y * q + 2 * c * y * (y + e) + s * e
    xy = -s * x * y * q + c * q + c * x * y + c * x * (y + e) + s
    yy = -s * x * x * q + 2 * c * x * x
    return np.array([[xx, xy], [xy, yy]])


def graph_of_u() -> Graph:
    """The same example for the engine: 5 operations, 8 edges."""
    names = {"p": "mul", "e": "exp", "q": "add", "s": "sin", "u": "mul"}
    return Graph.from_table({"x": (), "y": ()} | {u: (names[u], *node.parents) for u, node in EXAMPLE.items()})


def verify_table(point: Arrays) -> list[Check]:
    """Compare ∂u three ways and more: numeric = symbolic = both numerical ways, and the work = the number of edges."""
    graph, inputs = graph_of_u(), {name: float(value) for name, value in point.items()}
    table, (_, by_hand) = backward(forward(graph, **point)), gradient_of_u(point, {})
    roundings = 2 * len(EXAMPLE)  # a number passes through each operation at most once, there and back
    rounding = rounding_of(gradient_of_u, point, {}, roundings)
    checks = list(three_ways(point, {}, u_of, gradient_of_u, partial(_slope, graph), roundings))

    symbolic = forward(backward_graph(graph), **point, cotangent=1.0).outputs
    sensitive = sensitivity(graph, point)
    for name, derivative in zip(point, symbolic, strict=True):
        fit = numeric.derivative(partial(_along, point, name), inputs[name], scheme=numeric.Fit())
        bound = BEYOND * fit.error + rounding[name]
        checks += [
            compare(f"∂u/∂{name}", "numeric = symbolic backprop", table[name], derivative, rounding[name]),
            compare(f"∂u/∂{name}", "hand = fitted curve", by_hand[name], fit.value, bound),
            compare(f"∂u/∂{name}", "|hand| = sensitivity", np.abs(by_hand[name]), sensitive[name], rounding[name]),
        ]
    return [
        *checks,
        counted("edges visited by the engine", table.visits, "edges", graph.edges),
        counted("products of the grad_table by hand", grad_table(EXAMPLE, inputs)[1], "edges", graph.edges),
    ]


def verify_second(point: Arrays) -> list[Check]:
    """Compare ∂²u three ways, and with B differentiated again, symbolically."""
    graph, at = graph_of_u(), np.array([float(value) for value in point.values()])

    def by_hand(moved: Arrays, _: Arrays) -> tuple[float, Arrays]:
        return 0.0, {"∂²u": hessian_of_u(float(moved["x"]), float(moved["y"]))}

    rounding = rounding_of(by_hand, point, {}, 4 * len(EXAMPLE))["∂²u"]  # through each operation there and back, twice
    H = hessian(graph, point)
    by_engine = np.array([[H[a, b] for b in point] for a in point])
    BB = backward_graph(backward_graph(graph))  # its cotangent0 and cotangent1 weigh ∂u/∂x and ∂u/∂y
    rows = [forward(BB, **point, cotangent=1.0, cotangent0=a, cotangent1=1.0 - a).outputs[:2] for a in (1.0, 0.0)]
    numerically = numeric.hessian(lambda xy: u_of({"x": xy[0], "y": xy[1]}, {}), at)
    return [
        *each_pair("∂²u", hessian_of_u(*at), by_engine, numerically, rounding),
        compare("∂²u", "numeric = B differentiated again", by_engine, np.array(rows), rounding),
    ]


def verify_work(n: int) -> list[Check]:
    """Count the products on a ladder of n squarings, with the table and without: 2n against 2ⁿ⁺¹ − 2.

    At u0 = 1 every value is 1 and the derivative is 2ⁿ, exactly.
    """
    tape = forward(trace(lambda u0: _climb(u0, n), u0=()), u0=1.0)
    table = backward(tape)
    (kept, few), (recomputed, many) = grad_table(ladder(n), {"u0": 1.0}), without_table(ladder(n), {"u0": 1.0})
    return [
        counted(f"ladder of {n}: products, kept", few, "2n", 2 * n),
        counted(f"ladder of {n}: products, recomputed", many, "2ⁿ⁺¹ − 2", 2 ** (n + 1) - 2),
        counted(f"ladder of {n}: edges visited by the engine", table.visits, "2n", 2 * n),
        counted(f"ladder of {n}: values the engine keeps", tape.kept, "n + 1", n + 1),
        counted(f"ladder of {n}: derivative, kept", kept["u0"], "2ⁿ", 2**n),
        counted(f"ladder of {n}: derivative, recomputed", recomputed, "2ⁿ", 2**n),
        counted(f"ladder of {n}: derivative, engine", float(table["u0"]), "2ⁿ", 2**n),
    ]


def run(*, steps: int = 200, learning_rate: float = 0.2, rungs: int = 10, seed: int = 0) -> Outcome:
    """Verify the example graph at a random point, count the work on a ladder, and fit both regressions by SGD.

    ``rungs`` is the length of the ladder; the work without the table doubles with each.
    """
    rng = np.random.default_rng(seed)
    point = {name: np.array(value) for name, value in zip(("x", "y"), rng.uniform(0.5, 1.5, 2), strict=True)}
    fits = [regression.run(kind, steps=steps, learning_rate=learning_rate, seed=seed) for kind in regression.KINDS]
    checks = [*verify_table(point), *verify_second(point), *chain_rule.verify(seed), *verify_work(rungs)]
    curves = {name: curve for fit in fits for name, curve in fit.curves.items()}
    return Outcome(TITLE, curves, (*checks, *(check for fit in fits for check in fit.checks)))


def _slope(graph: Graph, point: Arrays, _: Arrays) -> tuple[float, Arrays]:
    tape = forward(graph, **point)
    table = backward(tape)
    return float(tape.output), {name: table[name] for name in point}


def _along(point: Arrays, name: str, value: Any) -> float:
    return u_of({**point, name: value}, {})


def _climb(u: Any, n: int) -> Any:
    for _ in range(n):
        u = u * u
    return u
