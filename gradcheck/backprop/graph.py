"""Graphs: nodes in topological order with their parents, traced from a function or read from a table."""


from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from gradcheck.backprop import ops
from gradcheck.backprop.errors import GraphError
from gradcheck.backprop.node import INPUT, Node, Trace
from gradcheck.backprop.op import TABLE, Shape


class Graph:
    """A static graph: ``nodes`` in topological order, ``inputs`` by name, ``outputs``, and the number of ``edges``.

    Every parent of every node is an edge, a repeated parent as often as it is repeated. ``print(graph)`` shows one
    line a node.

    >>> print(trace(lambda x: ops.sum(x * x), x=(3,)))
    x = input  (3,)
    u1 = mul(x, x)  (3,)
    u2 = sum(u1)  ()
    """

    def __init__(self, nodes: list[Node], outputs: tuple[Node, ...]) -> None:
        self.nodes, self.outputs = nodes, outputs
        self.inputs: dict[str, Node] = {node.label: node for node in nodes if node.op == INPUT}
        self.named: dict[str, Node] = {node.name: node for node in nodes if node.name}
        self.edges = sum([len(node.parents) for node in nodes])

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        return "\n".join(map(repr, self.nodes))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}={node.shape}" for name, node in self.inputs.items())
        return f"<Graph {shapes}: {len(self)} nodes, {self.edges} edges, {len(self.outputs)} output(s)>"

    @property
    def output(self) -> Node:
        """The one output; GraphError when there are several."""
        if len(self.outputs) != 1:
            raise GraphError(f"the graph has {len(self.outputs)} outputs, not one: use graph.outputs")
        return self.outputs[0]

    @cached_property
    def differentiable(self) -> frozenset[str]:
        """Names of the inputs from which a gradient path leads to an output: not indices, masks, or unused ones."""
        reached = [False] * len(self.nodes)
        for output in self.outputs:
            reached[output.index] = True
        for node in reversed(self.nodes):
            if reached[node.index] and node.parents:
                frozen = TABLE[node.op].frozen
                for position, parent in enumerate(node.parents):
                    reached[parent.index] |= position not in frozen
        return frozenset(name for name, node in self.inputs.items() if reached[node.index])

    @classmethod
    def from_table(cls, table: Mapping[str, Any], outputs: str | Iterable[str] | None = None) -> "Graph":
        """Build a graph from ``{name: shape}`` and ``{name: (op, *parents, static arguments)}``, in any order.

        Parents are names or numbers; the static arguments are an optional dict. The outputs are by default the nodes
        that no other node uses. Raises GraphError for an empty table, an unknown op or parent, and a cycle, by name.

        >>> print(Graph.from_table({"y": ("sum", "h", {"axis": 0}), "h": ("mul", "x", 2.0), "x": (3,)}))
        x = input  (3,)
        u1 = 2.0  ()
        h = mul(x, u1)  (3,)
        y = sum(h, axis=0)  ()
        """
        rows = {name: _read_row(name, row) for name, row in table.items()}
        trace, made = Trace(), {}
        for name in _sorted_names(rows):
            op, parents, static, shape = rows[name]
            if op is None:
                made[name] = trace.input(name, shape)
            else:
                node = ops.invoke(op, *[made[p] if isinstance(p, str) else p for p in parents], **static)
                if not isinstance(node, Node):
                    raise GraphError(f"{name!r} depends on no input: give {op!r} the name of a node as a parent")
                node.name, made[name] = name, node
        used = {p for _, parents, _, _ in rows.values() for p in parents if isinstance(p, str)}
        names = [outputs] if isinstance(outputs, str) else list(outputs or [name for name in made if name not in used])
        if missing := [name for name in names if name not in made]:
            raise GraphError(f"output {missing[0]!r} is not in the table; it has {', '.join(made)}")
        return _pruned(trace, tuple(made[name] for name in names))


def trace(function: Callable[..., Any], /, **shapes: Shape | int) -> Graph:
    """Call ``function`` with one Node for each named shape and return the graph of what it returns.

    ``function`` returns one Node or a tuple of Nodes; nodes which these do not need are dropped, inputs are kept.
    Raises GraphError for an empty graph and ShapeError, naming the op, where shapes do not fit.

    >>> graph = trace(lambda x, w: ops.sum(ops.tanh(x @ w)), x=(5, 3), w=(3, 2))
    >>> graph
    <Graph x=(5, 3), w=(3, 2): 5 nodes, 4 edges, 1 output(s)>
    """
    recorder = Trace()
    inputs = {name: recorder.input(name, _shape(name, shape)) for name, shape in shapes.items()}
    result = function(**inputs)
    outputs = tuple(result) if isinstance(result, tuple | list) else (result,)
    for output in outputs:
        if not isinstance(output, Node):
            kind = type(output).__name__
            raise GraphError(f"empty graph: the function returned a {kind} that depends on no input, not a Node")
    return _pruned(recorder, outputs)


def _shape(name: str, shape: Any) -> Shape:
    sizes = (shape,) if isinstance(shape, int) else shape
    if not isinstance(sizes, tuple | list) or not all(isinstance(n, int) and n >= 0 for n in sizes):
        raise TypeError(f"the shape of {name!r} must be a tuple of sizes >= 0, got {shape!r}")
    return tuple(sizes)


def _pruned(recorder: Trace, outputs: tuple[Node, ...]) -> Graph:
    """Keep the inputs and what the outputs need, numbered anew."""
    if not outputs:
        raise GraphError("empty graph: there is no output to differentiate")
    for output in outputs:
        if output.trace is not recorder:
            raise GraphError(f"the output {output.label} belongs to another graph; build it inside this trace")
    needed = bytearray(len(recorder.nodes))
    for output in outputs:
        needed[output.index] = 1
    for node in reversed(recorder.nodes):
        if needed[node.index]:
            for parent in node.parents:
                needed[parent.index] = 1
    nodes = [node for node in recorder.nodes if needed[node.index] or node.op == INPUT]
    for index, node in enumerate(nodes):
        node.index = index
    recorder.nodes, recorder.open = nodes, False
    return Graph(nodes, outputs)


def _read_row(name: str, row: Any) -> tuple[str | None, tuple[Any, ...], dict[str, Any], Shape]:
    if isinstance(row, tuple | list) and row and isinstance(row[0], str):
        op, *parents = row
        static = parents.pop() if parents and isinstance(parents[-1], dict) else {}
        return op, tuple(parents), static, ()
    return None, (), {}, _shape(name, row)


def _sorted_names(rows: Mapping[str, tuple[str | None, tuple[Any, ...], dict[str, Any], Shape]]) -> list[str]:
    """Names in topological order (Kahn's algorithm, no recursion), those listed first staying first where they can."""
    if not rows:
        raise GraphError("empty graph: the table has no rows")
    children: dict[str, list[str]] = {name: [] for name in rows}
    waiting = dict.fromkeys(rows, 0)
    for name, (_, parents, _, _) in rows.items():
        for parent in parents:
            if isinstance(parent, str):
                if parent not in rows:
                    raise GraphError(f"{name!r} has the parent {parent!r}, which is not in the table")
                children[parent].append(name)
                waiting[name] += 1
    ready = [name for name, count in waiting.items() if count == 0]
    for name in ready:  # the list grows while it is read
        for child in children[name]:
            waiting[child] -= 1
            if waiting[child] == 0:
                ready.append(child)
    if len(ready) < len(rows):
        names = _cycle(rows, waiting)
        if len(names) > 10:
            names[4:-4] = [f"... {len(names) - 8} more ..."]
        raise GraphError(f"the table has a cycle: {' -> '.join(names)}; a graph must have none")
    return ready


def _cycle(rows: Mapping[str, Any], waiting: Mapping[str, int]) -> list[str]:
    """Walk from an unsorted node to unsorted parents until a name comes back; listed from parent to child."""
    name = next(name for name, count in waiting.items() if count)
    path: dict[str, None] = {}
    while name not in path:
        path[name] = None
        name = next(p for p in rows[name][1] if isinstance(p, str) and waiting[p])
    walked = list(path)
    return [*walked[walked.index(name) :], name][::-1]
