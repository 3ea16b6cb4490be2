"""Forward and backward as one graph, so that one compiler serves both.

The backward part is written by the same `sweep` that computes numbers, from the same rules; every row of the op table
can therefore be compiled, and none needs a second derivative rule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradcheck.backprop.errors import GraphError
from gradcheck.backprop.graph import Graph, trace
from gradcheck.backprop.node import CONSTANT, Node
from gradcheck.backprop.sweep import evaluate, sweep


@dataclass(frozen=True)
class Joint:
    """A graph whose inputs are those of the original, its constants and its cotangents, in one numbering of nodes.

    ``inputs`` and ``constants`` (their values) by place, ``cotangents`` and ``outputs`` places in the order of the
    original's outputs, ``gradients`` the place that holds each wanted cotangent, None where nothing flows; the nodes in
    ``forward`` belong to the forward pass. ``visits`` counts the edges that the sweep visited while it wrote.
    """

    graph: Graph
    inputs: Mapping[str, int]
    constants: Mapping[int, Any]
    cotangents: tuple[int, ...]
    outputs: tuple[int, ...]
    gradients: Mapping[Node, int | None]
    forward: frozenset[int]
    visits: int


def joint_graph(graph: Graph, wanted: Iterable[Node]) -> Joint:
    """Write the backward pass of ``graph`` behind its forward pass; only what ``wanted`` cotangents need is kept."""
    constants = [node for node in graph.nodes if node.op == CONSTANT]
    # Positions are names that no input can have. A constant becomes an input because it takes the dtype of the data,
    # which is not known yet; a number in a rule stays a number, which takes the dtype of what it meets.
    names = [f"input {i}" for i in range(len(graph.inputs))]
    constant_names = [f"constant {i}" for i in range(len(constants))]
    seed_names = [f"cotangent {i}" for i in range(len(graph.outputs))]
    made: dict[str, Any] = {}

    def both_passes(**nodes: Node) -> tuple[Node, ...]:
        typed = iter(constant_names)
        inputs = {own: nodes[name] for own, name in zip(graph.inputs, names, strict=True)}
        values = evaluate(graph, inputs, lambda _: nodes[next(typed)])
        seeds: dict[Node, Any] = {}
        for output, name in zip(graph.outputs, seed_names, strict=True):
            seeds[output] = nodes[name] if output not in seeds else seeds[output] + nodes[name]
        table, visits = sweep(graph, values, seeds)
        made.update(nodes=nodes, visits=visits, forward=values)
        made["outputs"] = [values[node.index] for node in graph.outputs]
        made["wanted"] = {node: table[node.index] for node in wanted}
        return (*made["outputs"], *(g for g in made["wanted"].values() if g is not None))

    shapes = {name: node.shape for name, node in zip(names, graph.inputs.values(), strict=True)}
    shapes |= {name: node.shape for name, node in zip(constant_names, constants, strict=True)}
    shapes |= {name: node.shape for name, node in zip(seed_names, graph.outputs, strict=True)}
    joint = trace(both_passes, **shapes)
    place = {node: node.index for node in joint.nodes}
    nodes = made["nodes"]
    return Joint(
        graph=joint,
        inputs={own: place[nodes[name]] for own, name in zip(graph.inputs, names, strict=True)},
        constants={place[nodes[n]]: c.static["value"] for n, c in zip(constant_names, constants, strict=True)},
        cotangents=tuple(place[nodes[name]] for name in seed_names),
        outputs=tuple(place[node] for node in made["outputs"]),
        gradients={node: None if g is None else place[g] for node, g in made["wanted"].items()},
        forward=frozenset(place[node] for node in made["forward"] if node in place),
        visits=made["visits"],
    )


def find(graph: Graph, key: str | Node) -> Node:
    """The node of ``graph`` that has this name, or the node itself; GraphError when it is not in the graph."""
    node = graph.named.get(key) if isinstance(key, str) else key
    if node is None or not (node.index < len(graph) and graph.nodes[node.index] is node):
        raise GraphError(f"no node {key!r} in the graph; by name it has {', '.join(graph.named)}")
    return node
