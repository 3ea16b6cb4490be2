"""Backpropagation: a forward pass that keeps every value, and one reverse sweep that fills the grad_table.

``evaluate`` and ``sweep`` know nothing of NumPy: given arrays they compute numbers (symbol-to-number), given Nodes they
write the backward graph (symbol-to-symbol). Source: Goodfellow, Bengio and Courville, "Deep Learning" (2016), 6.5.
"""


from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.backprop.errors import GraphError, ShapeError
from gradcheck.backprop.graph import Graph
from gradcheck.backprop.node import CONSTANT, INPUT, Node, apply
from gradcheck.backprop.op import TABLE, Array, Shape, Value


def evaluate(graph: Graph, inputs: Mapping[str, Value], constant: Any) -> list[Value]:
    """The value of every node, parallel to ``graph.nodes``; ``constant`` turns the value of a constant into a Value."""
    values: list[Value] = []
    try:
        for node in graph.nodes:
            if node.op == INPUT:
                values.append(inputs[node.label])
            elif node.op == CONSTANT:
                values.append(constant(node.static["value"]))
            else:
                values.append(apply(node.op, tuple([values[p.index] for p in node.parents]), node.static))
    except Exception as error:
        error.add_note(f"while computing {graph.nodes[len(values)]!r}")
        raise
    return values


def sweep(graph: Graph, values: Sequence[Value], seeds: Mapping[Node, Value]) -> tuple[list[Value], int]:
    """The cotangent of every node (None where nothing flows), and the number of edges visited.

    Each node once, children before parents; each edge once, with one chain-rule product: the vjp of the child gives
    what this edge carries, and it is added to the row of the parent. The edges of a node that no cotangent reaches
    carry nothing, and are visited and counted all the same.
    """
    table: list[Value] = [None] * len(graph.nodes)
    for output, seed in seeds.items():
        table[output.index] = seed
    visits = 0
    for node in reversed(graph.nodes):
        g = table[node.index]
        if not node.parents:
            continue
        if g is None:
            visits += len(node.parents)
            continue
        primals = [values[p.index] for p in node.parents]
        carried = TABLE[node.op].vjp(g, values[node.index], *primals, **node.static)
        for parent, part in zip(node.parents, carried, strict=True):
            visits += 1
            if part is not None:
                row = table[parent.index]
                table[parent.index] = part if row is None else apply("add", (row, part))
    return table, visits


class Tape:
    """What a forward pass keeps: ``values``, parallel to the nodes of ``graph``."""

    def __init__(self, graph: Graph, values: list[Value]) -> None:
        self.graph, self.values = graph, values

    def __getitem__(self, key: str | Node) -> Array:
        node = _find(self.graph, key)
        return np.asarray(self.values[node.index])

    @property
    def outputs(self) -> tuple[Array, ...]:
        """The values of the outputs."""
        return tuple(np.asarray(self.values[node.index]) for node in self.graph.outputs)

    @property
    def output(self) -> Array:
        """The value of the one output; GraphError when there are several."""
        return np.asarray(self.values[self.graph.output.index])

    @property
    def kept(self) -> int:
        """How many values are kept: one a node, so that none is computed twice."""
        return len(self.values)

    @property
    def peak_bytes(self) -> int:
        """Bytes held when the pass ends, which is when most are; views of one buffer count once."""
        return held_bytes(self.values)


@dataclass(frozen=True)
class GradTable:
    """The grad_table: ``table["w"]`` or ``table[node]`` is the gradient, of the shape and dtype of the value.

    ``visits`` is the number of edges visited, ``peak_bytes`` the memory of values and cotangents together at the end.
    """

    tape: Tape
    cotangents: list[Value]
    visits: int

    def __getitem__(self, key: str | Node) -> Array:
        node = _find(self.tape.graph, key)
        value, g = self.tape.values[node.index], self.cotangents[node.index]
        dtype = getattr(value, "dtype", np.dtype(np.float64))
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        return np.zeros(node.shape, dtype) if g is None else np.array(g, dtype)  # a copy: rows may share memory

    @property
    def gradients(self) -> dict[str, Array]:
        """The gradients of all inputs, by name, in order."""
        return {name: self[name] for name in self.tape.graph.inputs}

    @property
    def peak_bytes(self) -> int:
        """Bytes held when the sweep ends, which is when most are; views of one buffer count once."""
        return held_bytes([*self.tape.values, *self.cotangents])


def held_bytes(values: Sequence[Value]) -> int:
    """Memory behind ``values``, each buffer once: a transposed or broadcast view costs nothing more."""
    buffers: dict[int, int] = {}
    for value in values:
        while getattr(value, "base", None) is not None and hasattr(value.base, "nbytes"):
            value = value.base
        if hasattr(value, "nbytes"):
            buffers[id(value)] = value.nbytes
    return sum(buffers.values())


def forward(graph: Graph, /, **arrays: Any) -> Tape:
    """Evaluate the graph on one array an input and keep every value.

    Raises GraphError for missing or unexpected inputs, ShapeError for an array that has not the traced shape,
    ValueError for NaN in the data, and TypeError for integers where a gradient flows.

    >>> from gradcheck.backprop import ops, trace
    >>> tape = forward(trace(lambda x: ops.sum(x * x), x=(2,)), x=[1.0, 2.0])
    >>> float(tape.output), tape.kept
    (5.0, 3)
    """
    # copies: changing an array between forward and backward must not change what the tape remembers
    inputs = {name: np.array(array) for name, array in arrays.items()}
    check_inputs(graph, inputs)
    for name, x in inputs.items():
        _refuse_nan(name, x)
    return Tape(graph, evaluate(graph, inputs, constants_like(inputs)))


def backward(tape: Tape, cotangent: Any = None) -> GradTable:
    """Sweep the tape once and return the grad_table.

    ``cotangent`` has the shape of the output, or is a tuple with one entry an output, None where it is zero. Left out
    it is 1, which only an output of one entry allows: ValueError otherwise. ShapeError for one of another shape.

    >>> from gradcheck.backprop import ops, trace
    >>> table = backward(forward(trace(lambda x: ops.sum(x * x), x=(2,)), x=[1.0, 2.0]))
    >>> print(table["x"], table.visits)
    [2. 4.] 3
    """
    outputs = tape.graph.outputs
    for name, node in tape.graph.inputs.items():
        if tape.values[node.index].dtype.kind == "c":
            raise TypeError(f"input {name!r} is complex: backward is for real data; a complex step needs forward only")
    seeds: dict[Node, Value] = {}
    for node, c in zip(outputs, each_cotangent([node.shape for node in outputs], cotangent), strict=True):
        if c is None:
            continue
        dtype = np.asarray(tape.values[node.index]).dtype
        g = np.asarray(c, dtype if dtype.kind == "f" else np.float64)
        seeds[node] = g if node not in seeds else seeds[node] + g
    return GradTable(tape, *sweep(tape.graph, tape.values, seeds))


def each_cotangent(shapes: Sequence[Shape], cotangent: Any) -> tuple[Any, ...]:
    """One cotangent an output, None where it is zero; raises what `backward` raises for one that does not fit."""
    if cotangent is None:
        if len(shapes) != 1 or np.prod(shapes[0]) != 1:
            listed = ", ".join(map(str, shapes))
            raise ValueError(f"a cotangent is needed: the output is {listed}, and only a single number defaults to 1")
        return (np.ones(shapes[0]),)
    cotangents = cotangent if isinstance(cotangent, tuple) else (cotangent,)
    if len(cotangents) != len(shapes):
        raise GraphError(f"the graph has {len(shapes)} outputs and got {len(cotangents)} cotangents; give one each")
    for c, shape in zip(cotangents, shapes, strict=True):
        if c is not None and np.shape(c) != shape:
            raise ShapeError("backward", [np.shape(c), shape], "a cotangent has the shape of its output", "reshape it")
    return cotangents


def _find(graph: Graph, key: str | Node) -> Node:
    node = graph.named.get(key) if isinstance(key, str) else key
    if node is None:
        raise KeyError(f"no node is named {key!r}; the graph has {', '.join(graph.named)}")
    if not 0 <= node.index < len(graph.nodes) or graph.nodes[node.index] is not node:
        raise KeyError(f"{node.label} is not in this graph: no output needs it, or it belongs to another")
    return node


def constants_like(inputs: Mapping[str, Array]) -> Callable[[Any], Any]:
    """How a constant enters: a Python float takes the dtype of the data; an int stays weak, since it may count."""
    floats = [x.dtype for x in inputs.values() if x.dtype.kind in "fc"]
    dtype = np.result_type(*floats) if floats else np.dtype(np.float64)
    return lambda c: dtype.type(c) if isinstance(c, float) else c


def check_inputs(graph: Graph, arrays: Mapping[str, Array]) -> None:
    """Refuse arrays that are no inputs of ``graph``: other names or shapes, no numbers, integers to differentiate."""
    if arrays.keys() != graph.inputs.keys():
        raise GraphError(f"the graph needs the inputs {', '.join(graph.inputs)}; got {', '.join(arrays) or 'none'}")
    for name, x in arrays.items():
        _check_input(name, x, graph.inputs[name], name in graph.differentiable)


def _check_input(name: str, x: Array, node: Node, smooth: bool) -> None:
    if x.dtype.kind not in "biufc":
        raise TypeError(f"input {name!r} has dtype {x.dtype}: only numbers can be differentiated")
    if smooth and x.dtype.kind in "biu":
        raise TypeError(
            f"input {name!r} has dtype {x.dtype}, and gradients of integers do not exist: pass {name}.astype(float), "
            "or use it only where no gradient flows (as an index or a condition)"
        )
    if x.shape != node.shape:
        raise ShapeError(
            f"input {name!r}", [x.shape, node.shape], "an array has the shape it was traced with", "retrace"
        )


def _refuse_nan(name: str, x: Array) -> None:
    if x.dtype.kind in "fc" and np.isnan(x).any():
        where = tuple(int(i) for i in np.argwhere(np.isnan(x))[0])
        raise ValueError(f"input {name!r} has {int(np.isnan(x).sum())} NaN, the first at {list(where)}: clean the data")
