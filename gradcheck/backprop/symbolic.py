"""The backward graph B, and what follows from differentiating it again: jvp, hvp, Jacobian, Hessian, sensitivity.

B is a graph like any other: evaluate it with ``forward``, print it, differentiate it with ``backward`` or
``backward_graph``.
"""


from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.graph import Graph, trace
from gradcheck.backprop.node import Node
from gradcheck.backprop.op import Array
from gradcheck.backprop.ops import broadcast_to
from gradcheck.backprop.sweep import backward, evaluate, forward, sweep


def cotangent_names(graph: Graph) -> list[str]:
    """Names of the inputs that B adds: ``cotangent``, or ``cotangent0`` ... for several outputs; ``_`` if taken."""
    many = len(graph.outputs) > 1
    names = [f"cotangent{i if many else ''}" for i in range(len(graph.outputs))]
    while any(name in graph.inputs for name in names):
        names = [name + "_" for name in names]
    return names


def backward_graph(graph: Graph) -> Graph:
    """The graph of the gradients: inputs are those of ``graph`` and the cotangents, outputs one gradient an input.

    It is written by the same sweep that computes numbers. An input that no gradient reaches has zeros as its gradient.

    >>> from gradcheck.backprop import ops
    >>> print(backward_graph(trace(lambda x: ops.sum(ops.exp(x)), x=(2,))))
    x = input  (2,)
    cotangent = input  ()
    u2 = exp(x)  (2,)
    u3 = reshape(cotangent, shape=(1,))  (1,)
    u4 = broadcast_to(u3, shape=(2,))  (2,)
    u5 = mul(u4, u2)  (2,)
    """
    names = cotangent_names(graph)

    def gradients(**nodes: Node) -> tuple[Node, ...]:
        recorder = nodes[names[0]].trace
        values = evaluate(graph, nodes, recorder.constant)
        seeds: dict[Node, Any] = {}
        for output, name in zip(graph.outputs, names, strict=True):
            seeds[output] = nodes[name] if output not in seeds else seeds[output] + nodes[name]
        table, _ = sweep(graph, values, seeds)
        rows = [(table[node.index], node.shape) for node in graph.inputs.values()]
        return tuple(broadcast_to(recorder.constant(0.0), shape) if g is None else g for g, shape in rows)

    shapes = {name: node.shape for name, node in graph.inputs.items()}
    shapes |= {name: output.shape for name, output in zip(names, graph.outputs, strict=True)}
    return trace(gradients, **shapes)


def jvp(graph: Graph, arrays: Mapping[str, Any], tangents: Mapping[str, Any]) -> Array:
    """The derivative of the one output along ``tangents`` (an input left out does not move), of the output's shape.

    The gradient is linear in the cotangent; its own vjp by the cotangent is the Jacobian times the tangents.

    >>> from gradcheck.backprop import ops
    >>> print(jvp(trace(lambda x: ops.sin(x), x=(2,)), {"x": [0.0, 0.0]}, {"x": [1.0, 2.0]}))
    [1. 2.]
    """
    output = graph.output
    B = backward_graph(graph)
    (name,) = cotangent_names(graph)
    tape = forward(B, **arrays, **{name: np.zeros(output.shape, _dtype(arrays))})
    return backward(tape, _directions(graph, tangents))[name]


def hvp(graph: Graph, arrays: Mapping[str, Any], vectors: Mapping[str, Any]) -> dict[str, Array]:
    """The Hessian of the scalar output times ``vectors`` (an input left out counts as zero), one array an input.

    >>> from gradcheck.backprop import ops
    >>> print(hvp(trace(lambda x: ops.sum(x**3), x=(2,)), {"x": [1.0, 2.0]}, {"x": [1.0, 1.0]})["x"])
    [ 6. 12.]
    """
    table = backward(_gradient_tape(graph, arrays), _directions(graph, vectors))
    return {name: table[name] for name in graph.inputs}


def jacobian(graph: Graph, arrays: Mapping[str, Any]) -> dict[str, Array]:
    """One array an input, of the output's shape followed by the input's: the vector chain rule, a sweep a row.

    >>> from gradcheck.backprop import ops
    >>> print(jacobian(trace(lambda x: x**2, x=(2,)), {"x": [1.0, 2.0]})["x"])
    [[2. 0.]
     [0. 4.]]
    """
    shape = graph.output.shape
    tape = forward(graph, **arrays)
    rows = [backward(tape, unit).gradients for unit in _units(shape)]
    return {
        name: np.array([row[name] for row in rows], tape[name].dtype).reshape((*shape, *node.shape))
        for name, node in graph.inputs.items()
    }


def hessian(graph: Graph, arrays: Mapping[str, Any]) -> dict[tuple[str, str], Array]:
    """Second derivatives of the scalar output: ``h["a", "b"]`` has the shape of a followed by that of b.

    >>> from gradcheck.backprop import ops
    >>> h = hessian(trace(lambda a, b: ops.sum(a * b), a=(2,), b=(2,)), {"a": [1.0, 2.0], "b": [3.0, 4.0]})
    >>> print(h["a", "b"])
    [[1. 0.]
     [0. 1.]]
    """
    tape = _gradient_tape(graph, arrays)
    found = {}
    for b, node in graph.inputs.items():
        columns = [backward(tape, _directions(graph, {b: unit})) for unit in _units(node.shape)]
        for a, row in graph.inputs.items():
            entries = np.array([column[a] for column in columns], tape[a].dtype).reshape((*node.shape, *row.shape))
            found[a, b] = np.moveaxis(entries, range(node.ndim), range(-node.ndim, 0))
    return found


class Sensitivity(dict[str, Array]):
    """How much the output answers to a small change of each entry of each input; prints largest first."""

    def ranked(self) -> list[tuple[str, tuple[int, ...], float]]:
        """``(input, index, sensitivity)`` of every entry, largest first."""
        entries = [(name, i, float(s)) for name, array in self.items() for i, s in np.ndenumerate(array)]
        return sorted(entries, key=lambda entry: -entry[2])

    def __str__(self) -> str:
        return "\n".join(f"{name}{list(i) if i else ''}  {s:.3g}" for name, i, s in self.ranked())


def sensitivity(graph: Graph, arrays: Mapping[str, Any]) -> Sensitivity:
    """The absolute derivative of the output by each entry of each input; for many outputs, the shape of the Jacobian.

    >>> from gradcheck.backprop import ops
    >>> print(sensitivity(trace(lambda a, b: ops.sum(a - 3 * b), a=(2,), b=()), {"a": [1.0, 2.0], "b": 1.0}))
    b  6
    a[0]  1
    a[1]  1
    """
    return Sensitivity({name: np.abs(J) for name, J in jacobian(graph, arrays).items()})


def _gradient_tape(graph: Graph, arrays: Mapping[str, Any]) -> Any:
    if graph.output.size != 1:
        raise ValueError(f"second derivatives need an output of one number, this one is {graph.output.shape}: sum it")
    (name,) = cotangent_names(graph)
    return forward(backward_graph(graph), **arrays, **{name: np.ones(graph.output.shape, _dtype(arrays))})


def _dtype(arrays: Mapping[str, Any]) -> np.dtype[Any]:
    floats = [a.dtype for a in map(np.asarray, arrays.values()) if a.dtype.kind == "f"]
    return np.result_type(*floats) if floats else np.dtype(np.float64)


def _directions(graph: Graph, vectors: Mapping[str, Any]) -> tuple[Any, ...]:
    """One direction an input in order, None where it does not move; ShapeError or KeyError for one that fits none."""
    for name, v in vectors.items():
        if name not in graph.inputs:
            raise KeyError(f"no input is named {name!r}; the graph has {', '.join(graph.inputs)}")
        if np.shape(v) != graph.inputs[name].shape:
            shapes = [np.shape(v), graph.inputs[name].shape]
            raise ShapeError(f"direction of {name!r}", shapes, "it has the shape of its input", "reshape it")
    return tuple(vectors.get(name) for name in graph.inputs)


def _units(shape: tuple[int, ...]) -> Any:
    """The unit arrays of ``shape``, one an entry, in order."""
    for i in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[i] = 1.0
        yield unit
