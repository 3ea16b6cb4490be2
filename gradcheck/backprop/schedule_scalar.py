"""A schedule of scalar nodes: flat arrays compiled once, then forward and backward many times.

Backward is two passes over the edges, neither of which knows levels. `_linearise` fills in the partial of every edge: a
partial that is a number met before (1, −1, the other factor of a product, the value of an exp) is gathered, all of them
in one call; the others are asked of the vjp of their row, a block of nodes of one op at a time. `triangular.descend`
then goes through the edges once, children first. Measured at 10⁷ edges: 1 to 2.5 ns an edge for each pass, where one
random access outside the caches costs 5 or more.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.errors import GraphError, ShapeError
from gradcheck.backprop.graph import Graph
from gradcheck.backprop.levels import Replay
from gradcheck.backprop.node import CONSTANT, INPUT
from gradcheck.backprop.op import TABLE
from gradcheck.backprop.sweep import each_cotangent
from gradcheck.backprop.triangular import descend

Array = NDArray[Any]
Rules = Sequence[tuple[str, Mapping[str, Any]]]

LEAF = 0  # the code of a node without parents
FAMILIES = ("elementwise", "activations")  # of the op table: what makes sense of scalars
# Where a partial is found without computing it: the place of a parent, the node itself, or a constant.
ITSELF, ONE, MINUS_ONE = -1, -2, -3
FOUND: Mapping[str, tuple[int, ...]] = {
    "add": (ONE, ONE), "sub": (ONE, MINUS_ONE), "neg": (MINUS_ONE,), "mul": (1, 0), "exp": (ITSELF,),
}  # fmt: skip
# Nodes whose partials are computed at once: the arrays of 2¹³ float64 that a vjp makes, 64 KiB each, stay in the cache.
BLOCK = 2**13


class ScalarGradients:
    """The cotangent of every node, by input name, by node, or by place; belongs to the schedule until its next sweep.

    ``visits`` is the number of edges visited.
    """

    def __init__(self, cotangents: Array, names: Mapping[str | int, int], visits: int) -> None:
        self.cotangents, self.names, self.visits = cotangents, names, visits

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str | int):
            return self.cotangents[self.names[key]]
        return self.cotangents[key.index]


class _Computed(NamedTuple):
    """Nodes of one op whose partials its vjp gives: the nodes, the place of their first edge, their parents."""

    op: str
    static: Mapping[str, Any]
    nodes: Array
    edges: Array
    parents: Array


class ScalarSchedule:
    """Scalar nodes in topological order, compiled for repeated forward and backward passes.

    ``codes`` (N,) says which of the ``rules`` makes each node, ``parents`` (N, arity) has places, −1 for none,
    ``values`` (N,) is the point at which the nodes were recorded; ``inputs`` gives places by name, ``outputs`` are
    places. ``nodes`` and ``edges`` count what the outputs need, and the inputs. One instance serves one thread: results
    live in its workspaces.
    """

    def __init__(
        self,
        codes: Array,
        parents: Array,
        rules: Rules,
        values: Array,
        inputs: Mapping[str | int, int],
        outputs: Sequence[int],
    ) -> None:
        self.inputs, self.outputs, self._rules = dict(inputs), tuple(outputs), list(rules)
        n = len(codes)
        self._ends, self._parents = _columns(parents)
        needed = self._needed(n)
        if not needed.all():
            parents = np.where(needed[:, None], parents, -1)
            codes = np.where(needed, codes, LEAF)
            self._ends, self._parents = _columns(parents)
        self.edges = len(self._parents)
        self.nodes = int(np.count_nonzero(needed))
        self._codes, self._places = codes, parents
        # the values, and behind them the two constants that partials are often equal to
        self.values = np.append(values, [1.0, -1.0])
        self._partials = np.empty(self.edges)
        self._cotangents = np.empty(n)
        self._found, self._computed = self._sources()

    @classmethod
    def from_graph(cls, graph: Graph) -> "ScalarSchedule":
        """Compile a Graph of scalar nodes of elementwise ops; GraphError for any other."""
        for node in graph.nodes:
            if node.shape or (node.parents and TABLE[node.op].family not in FAMILIES):
                raise GraphError(f"{node!r} is no elementwise op of scalars: compile the graph with compile_graph")
        arity = max([len(node.parents) for node in graph.nodes])
        parents = np.full((len(graph), max(arity, 1)), -1, np.int32)
        codes, known = np.zeros(len(graph), np.int32), {}
        rules: list[tuple[str, Mapping[str, Any]]] = [("leaf", {})]
        values = np.zeros(len(graph))
        for i, node in enumerate(graph.nodes):
            parents[i, : len(node.parents)] = [p.index for p in node.parents]
            if node.op == CONSTANT:
                values[i] = node.static["value"]
            elif node.op != INPUT:
                key = node.op, tuple(node.static.items())
                if key not in known:
                    known[key] = len(rules)
                    rules.append((node.op, node.static))
                codes[i] = known[key]
        names: dict[str | int, int] = {name: node.index for name, node in graph.inputs.items()}
        return cls(codes, parents, rules, values, names, [node.index for node in graph.outputs])

    @cached_property
    def replay(self) -> Replay:
        """What computes values of shape (N + 2,), or (N + 2, K) for K points at once, from those of the inputs."""
        return Replay(self._codes, self._places, self._rules)

    @property
    def output(self) -> Array:
        """The value of the one output at the present point; GraphError when there are several."""
        if len(self.outputs) != 1:
            raise GraphError(f"the graph has {len(self.outputs)} outputs, not one: index schedule.values by the node")
        return np.asarray(self.values[self.outputs[0]])

    def forward(self, values: Sequence[float] | Array | None = None, /, **named: Any) -> Any:
        """Move to another point and return the output there, or a tuple of the outputs.

        ``values`` has a number for every input, in order; ``named`` gives some by name, and the others keep theirs.
        Raises GraphError for a name that is no input, ShapeError unless there is one number an input.
        """
        if values is not None:
            given = np.asarray(values)
            if given.shape != (len(self.inputs),):
                raise ShapeError("forward", [given.shape, (len(self.inputs),)], "one number an input", "give all")
            self.values[list(self.inputs.values())] = given
        for name, value in named.items():
            if name not in self.inputs:
                raise GraphError(f"no input is named {name!r}; the schedule has {', '.join(map(str, self.inputs))}")
            if np.shape(value):
                raise ShapeError(f"input {name!r}", [np.shape(value), ()], "an input is one number", "retrace")
            self.values[self.inputs[name]] = value
        self.replay(self.values)
        found = tuple(np.float64(self.values[place]) for place in self.outputs)
        return found[0] if len(found) == 1 else found

    def backward(self, cotangent: Any = None) -> ScalarGradients:
        """Sweep once. ``cotangent`` is a number, or a tuple with one an output, None where it is zero; 1 if left out.

        Raises as ``backprop.backward`` does.
        """
        seeds = each_cotangent([()] * len(self.outputs), cotangent)
        n = len(self._cotangents)
        self._linearise()
        self._cotangents.fill(0)
        for place, seed in zip(self.outputs, seeds, strict=True):
            if seed is not None:
                self._cotangents[n - 1 - place] += seed
        descend(self._ends, self._parents, self._partials, self._cotangents)
        return ScalarGradients(self._cotangents[::-1], self.inputs, self.edges)

    def _linearise(self) -> None:
        """The partial of every edge at the present point."""
        # mode="clip" writes into ``out`` directly; "raise" would go through a copy of it
        np.take(self.values, self._found, out=self._partials, mode="clip")
        for op, static, nodes, edges, parents in self._computed:
            for start in range(0, len(nodes), BLOCK):
                part = slice(start, start + BLOCK)
                y = self.values[nodes[part]]
                primals = [self.values[column[part]] for column in parents]
                for position, d in enumerate(TABLE[op].vjp(np.ones_like(y), y, *primals, **static)):
                    self._partials[edges[part] + position] = 0.0 if d is None else d

    def _needed(self, n: int) -> Array:
        """Which nodes the outputs need: those to which some way leads, found by counting ways (inf is many)."""
        ways = np.zeros(n)
        ways[[n - 1 - place for place in self.outputs]] = 1.0
        descend(self._ends, self._parents, np.ones(len(self._parents)), ways)
        ways[[n - 1 - place for place in self.inputs.values()]] = 1.0  # inputs are kept, as in a Graph
        return ways[::-1] > 0

    def _sources(self) -> tuple[Array, list[_Computed]]:
        """For every edge where its partial is found in ``values``; and the nodes whose partials must be computed."""
        n = len(self._codes)
        place = {ONE: n, MINUS_ONE: n + 1}
        sources = np.full(self._places.shape, n, np.intp)
        computed = []
        for code, (op, static) in enumerate(self._rules):
            nodes = np.flatnonzero(self._codes == code)
            if code == LEAF or not len(nodes):
                continue
            if op in FOUND:
                for position, where in enumerate(FOUND[op]):
                    found = nodes if where == ITSELF else place.get(where)
                    sources[nodes, position] = self._places[nodes, where] if found is None else found
            else:
                arity = int(np.count_nonzero(self._places[nodes[0]] >= 0))
                parents = self._places[nodes, :arity].T.astype(np.intp)
                computed.append(_Computed(op, static, nodes, self._ends[n - 1 - nodes], parents))
        return sources[::-1][self._places[::-1] >= 0], computed


def _columns(parents: Array) -> tuple[Array, Array]:
    """The edges as columns of a triangular matrix, nodes numbered from the last to the first; see `triangular`."""
    mirrored = parents[::-1]
    there = mirrored >= 0
    ends = np.zeros(len(parents) + 1, np.int32)
    np.cumsum(there.view(np.int8) @ np.ones(there.shape[1], np.int8), out=ends[1:])
    return ends, (len(parents) - 1 - mirrored[there]).astype(np.int32)
