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
from gradcheck.backprop import Graph, backward, backward_graph, forward, hessian, jacobian, ops, sensitivity, trace
from gradcheck.systems import regression
from gradcheck.systems.verify import (
    BEYOND,
    HAND_ENGINE,
    Arrays,
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


def u_of(point: Arrays) -> float:
    """u = sin(xy) · (xy + eˣ)."""
    x, y = point["x"], point["y"]
    return float(np.sin(x * y) * (x * y + np.exp(x)))


def gradient_of_u(point: Arrays) -> tuple[float, Arrays]:
    """u, with ∂u/∂x and ∂u/∂y from the grad_table."""
    grad, _ = grad_table(EXAMPLE, {name: float(value) for name, value in point.items()})
    return u_of(point), {name: np.array(grad[name]) for name in point}


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
    table = backward(forward(graph, **point))
    slope = partial(_slope, graph)
    roundings = 2 * len(EXAMPLE)  # a number passes through each operation at most once, there and back
    checks = list(three_ways(point, u_of, gradient_of_u, slope, roundings))
    rounding = rounding_of(gradient_of_u, point, roundings)

    B = backward_graph(graph)
    symbolic = forward(B, **point, cotangent=1.0).outputs
    by_hand = gradient_of_u(point)[1]
    for name, derivative in zip(point, symbolic, strict=True):
        checks.append(compare(name, "engine = symbolic graph B", table[name], derivative, rounding[name]))
        fit = numeric.derivative(lambda t, name=name: u_of({**point, name: t}), inputs[name], scheme=numeric.Fit())
        checks.append(
            compare(name, "hand = fitted curve", by_hand[name], fit.value, BEYOND * fit.error + rounding[name])
        )
        size = sensitivity(graph, point)[name]
        checks.append(compare(name, "sensitivity = |hand|", np.abs(by_hand[name]), size, rounding[name]))

    edges = sum(len(node.parents) for node in EXAMPLE.values())
    checks.append(counted("visits of B", "engine = edges", table.visits, graph.edges))
    checks.append(counted("products", "hand = edges", grad_table(EXAMPLE, inputs)[1], edges))
    checks.append(counted("edges", HAND_ENGINE, edges, graph.edges))

    second = rounding_of(lambda p: (0.0, {"H": hessian_of_u(float(p["x"]), float(p["y"]))}), point, 4 * len(EXAMPLE))
    H = hessian(graph, point)
    by_engine = np.array([[H[a, b] for b in point] for a in point])
    BB = backward_graph(B)  # with the gradients of x and y weighted by cotangent0 and cotangent1
    rows = [forward(BB, **point, cotangent=1.0, cotangent0=a, cotangent1=1.0 - a).outputs[:2] for a in (1.0, 0.0)]
    checks.append(compare("∂²u", "engine = B of B", by_engine, np.array(rows), second["H"]))
    by_points = numeric.hessian(lambda xy: u_of({"x": xy[0], "y": xy[1]}), np.array(list(inputs.values())))
    return [*checks, *each_pair("∂²u", hessian_of_u(*inputs.values()), by_engine, by_points, second["H"])]


def verify_work(n: int) -> list[Check]:
    """Count the products on a ladder of n squarings, with the table and without: 2n against 2ⁿ⁺¹ − 2.

    At u0 = 1 every value is 1 and the derivative is 2ⁿ, exactly.
    """
    graph = trace(lambda u0: _climb(u0, n), u0=())
    tape = forward(graph, u0=np.array(1.0))
    table = backward(tape)
    (kept, few), (recomputed, many) = grad_table(ladder(n), {"u0": 1.0}), without_table(ladder(n), {"u0": 1.0})
    return [
        counted("ladder, kept", "products = 2n", few, 2 * n),
        counted("ladder, recomputed", "products = 2ⁿ⁺¹ − 2", many, 2 ** (n + 1) - 2),
        counted("ladder, engine", "visits = 2n", table.visits, 2 * n),
        counted("ladder, engine", "values kept = nodes", tape.kept, n + 1),
        counted("ladder", "kept = recomputed = 2ⁿ", abs(kept["u0"] - 2**n) + abs(recomputed - 2**n), 0),
        counted("ladder", "engine = 2ⁿ", float(table["u0"]), 2**n),
    ]


def verify_jacobians(seed: int) -> list[Check]:
    """Compare the chain rule for vectors, a product of Jacobians, and for tensors, a contraction, three ways."""
    rng = np.random.default_rng(seed)
    W, V, A = rng.standard_normal((4, 3)), rng.standard_normal((2, 4)), rng.standard_normal((2, 2, 3))
    x, X = rng.standard_normal(3), rng.standard_normal((2, 3))

    def vector(x: Any) -> Any:
        """z = exp(V y), y = tanh(W x): ∂z/∂x = ∂z/∂y · ∂y/∂x = diag(z) V · diag(1 − y²) W."""
        return ops.exp(ops.matmul(V, ops.tanh(ops.matmul(W, x))))

    def vector_by_hand(x: NDArray[Any]) -> NDArray[Any]:
        y = np.tanh(W @ x)
        return (np.exp(V @ y)[:, None] * V) @ ((1 - y**2)[:, None] * W)

    def tensor(X: Any) -> Any:
        """T[i, j, k] = sin(Σ_l X[i, l] A[j, k, l]): ∂T[i, j, k]/∂X[a, b] = cos(…) · [i = a] · A[j, k, b]."""
        return ops.sin(ops.einsum("il,jkl->ijk", X, A))

    def tensor_by_hand(X: NDArray[Any]) -> NDArray[Any]:
        cosine = np.cos(np.einsum("il,jkl->ijk", X, A))
        return np.einsum("ijk,ia,jkb->ijkab", cosine, np.eye(len(X)), A)

    checks: list[Check] = []
    for quantity, function, by_hand, at in (
        ("∂z/∂x, vectors", vector, vector_by_hand, x),
        ("∂T/∂X, tensors", tensor, tensor_by_hand, X),
    ):
        by_engine = jacobian(trace(function, x=at.shape), {"x": at})["x"]
        # sums of 3 and 4 terms and two functions, there and back
        rounding = rounding_of(lambda p, by_hand=by_hand: (0.0, {"J": by_hand(p["x"])}), {"x": at}, 20)["J"]
        checks += each_pair(quantity, by_hand(at), by_engine, numeric.jacobian(function, at), rounding)
    return checks


def run(*, steps: int = 200, learning_rate: float = 0.2, rungs: int = 10, seed: int = 0) -> Outcome:
    """Verify the example graph at a random point, count the work on a ladder, and fit both regressions by SGD."""
    rng = np.random.default_rng(seed)
    point = {name: np.array(value) for name, value in zip(("x", "y"), rng.uniform(0.5, 1.5, 2), strict=True)}
    fits = [regression.run(kind, steps=steps, learning_rate=learning_rate, seed=seed) for kind in regression.KINDS]
    checks = [*verify_table(point), *verify_work(rungs), *verify_jacobians(seed)]
    curves = {kind: curve for fit in fits for kind, curve in fit.curves.items()}
    return Outcome(TITLE, curves, (*checks, *(check for fit in fits for check in fit.checks)))


def _slope(graph: Graph, point: Arrays) -> tuple[float, Arrays]:
    tape = forward(graph, **point)
    table = backward(tape)
    return float(tape.output), {name: table[name] for name in point}


def _climb(u: Any, n: int) -> Any:
    for _ in range(n):
        u = u * u
    return u
