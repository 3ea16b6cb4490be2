"""The reference's own curves: three families of graphs whose backward pass must cost the same per edge at any size."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradcheck.backprop import forward, ops, trace
from gradcheck.cost.work import Work, of_tape

WIDTH, BATCH = 32, 16  # of the dense network: small products, so that what an edge costs is seen beside them


def scalar(nodes: int) -> Work:
    """A graph of scalars in which every other node has two or three readers: five edges every three nodes.

    >>> work = scalar(300)
    >>> work.nodes, work.edges
    (301, 500)
    """
    return _shared("scalar graph", nodes, ())


def tensor(nodes: int) -> Work:
    """The same graph, every node a vector of 8 elements."""
    return _shared("tensor graph", nodes, (8,))


def dense(nodes: int) -> Work:
    """A network of layers of 32 units for a batch of 16: tanh(h W + b), three nodes and two parameters a layer."""
    depth = max(nodes // 5, 1)
    names = [(f"W{layer}", f"b{layer}") for layer in range(depth)]

    def network(x: Any, **parameters: Any) -> Any:
        for weight, bias in names:
            x = ops.tanh(x @ parameters[weight] + parameters[bias])
        return x

    shapes: dict[str, tuple[int, ...]] = {"x": (BATCH, WIDTH)}
    shapes |= {name: (WIDTH,) * (name[0] == "W") + (WIDTH,) for pair in names for name in pair}
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape) / np.sqrt(WIDTH) for name, shape in shapes.items()}
    return of_tape(forward(trace(network, **shapes), **arrays), "dense network")


def _shared(name: str, nodes: int, shape: tuple[int, ...]) -> Work:
    def layers(x: Any) -> Any:
        near = far = x
        for _ in range(nodes // 3):
            product = near * far
            near, far = ops.tanh(product + near), product
        return near

    return of_tape(forward(trace(layers, x=shape), x=np.full(shape, 0.5)), name)


FAMILIES: Mapping[str, Callable[[int], Work]] = {"scalar": scalar, "tensor": tensor, "dense": dense}
