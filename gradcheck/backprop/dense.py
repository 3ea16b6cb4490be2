"""Dense networks: a stack of layers, each an affine map and an activation, under a loss.

The layout is explicit. With ``examples="rows"`` an example is a row of x, W[l] is (n[l−1], n[l]) and a layer computes
``x @ W + b``; with ``examples="columns"`` it is a column, W[l] is (n[l], n[l−1]) and a layer computes ``W @ x + b``.

>>> net = Dense(widths=(2, 3, 1), activations=("tanh", "sigmoid"), loss="binary_cross_entropy")
>>> net.shapes(m=5)
{'x': (5, 2), 'y': (5, 1), 'W1': (2, 3), 'b1': (1, 3), 'W2': (3, 1), 'b2': (1, 1)}
>>> eval(repr(net)) == net
True
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop import ops
from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.graph import Graph, trace
from gradcheck.backprop.losses import LOSSES, REDUCTIONS, cost
from gradcheck.backprop.op import Value
from gradcheck.backprop.sweep import backward, forward

Arrays = dict[str, NDArray[Any]]

# softmax couples the units of a layer, so it alone is told the axis along which they lie
ACTIVATIONS: Mapping[str, Any] = {
    "identity": lambda z: z,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "relu": ops.relu,
    "leaky_relu": ops.leaky_relu,
    "elu": ops.elu,
    "softplus": ops.softplus,
    "gelu": ops.gelu,
    "silu": ops.silu,
    "softmax": ops.softmax,
}


@dataclass(frozen=True)
class Dense:
    """A dense network and its cost; the repr is the Python that makes it again.

    ``widths`` are n[0] … n[L], inputs first; ``activations`` are L names of `ACTIVATIONS`, one a layer; ``loss`` is a
    name of `LOSSES`. The cost is the ``reduction`` ("mean", "sum" or "weighted") of the losses plus the L2 penalty
    λ/(2m) Σ W², without the biases, where λ is ``penalty`` and m the number of examples, or their total weight.

    Raises ValueError for an unknown name, a width below 1, a negative penalty, or a number of activations that is not
    the number of layers.
    """

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str = "squared"
    examples: str = "rows"
    bias: bool = True
    penalty: float = 0.0
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Refuse a description that no network fits."""
        if len(self.widths) < 2 or any(not isinstance(n, int) or n < 1 for n in self.widths):
            raise ValueError(f"widths={self.widths!r}: at least an input and an output width are needed, integers ≥ 1")
        if len(self.activations) != len(self.widths) - 1:
            raise ValueError(
                f"{len(self.activations)} activations {self.activations!r} for {len(self.widths) - 1} layers"
                f" (widths={self.widths!r}): give one a layer"
            )
        for activation in self.activations:
            _known("activation", activation, ACTIVATIONS)
        _known("loss", self.loss, LOSSES)
        _known("layout of examples", self.examples, ("rows", "columns"))
        _known("reduction", self.reduction, REDUCTIONS)
        if not self.penalty >= 0:
            raise ValueError(f"penalty={self.penalty!r}: λ must be 0 (none) or positive")

    def shapes(self, m: int) -> dict[str, tuple[int, ...]]:
        """Name the inputs of the graph for m examples and give their shapes: x, y, weights if weighted, W1, b1, …."""
        rows = self.examples == "rows"
        shapes: dict[str, tuple[int, ...]] = {
            name: (m, n) if rows else (n, m) for name, n in (("x", self.widths[0]), ("y", self.widths[-1]))
        }
        if self.reduction == "weighted":
            shapes["weights"] = (m,)
        for layer, (before, after) in enumerate(pairwise(self.widths), start=1):
            shapes[f"W{layer}"] = (before, after) if rows else (after, before)
            if self.bias:
                shapes[f"b{layer}"] = (1, after) if rows else (after, 1)
        return shapes

    def parameters(self, seed: int = 0, dtype: str = "float64") -> Arrays:
        """Draw parameters: W normal with variance 2/(n[l−1] + n[l]) (Glorot and Bengio 2010), b normal times 0.1.

        The biases do not start at 0, where a gradient check could not tell ``b`` from ``2 b``.
        """
        rng = np.random.default_rng(seed)
        return {
            name: (rng.standard_normal(shape) * (np.sqrt(2 / sum(shape)) if name[0] == "W" else 0.1)).astype(dtype)
            for name, shape in self.shapes(1).items()
            if name not in ("x", "y", "weights")
        }

    def predict(self, x: Value, parameters: Mapping[str, Value]) -> Value:
        """Outputs of the last layer for a batch x, arrays or nodes; the shape is that of y."""
        a, units = x, self._units
        for layer, activation in enumerate(self.activations, start=1):
            W = parameters[f"W{layer}"]
            z = a @ W if self.examples == "rows" else W @ a
            if self.bias:
                z = z + parameters[f"b{layer}"]
            g = ACTIVATIONS[activation]
            a = g(z, axis=units) if activation == "softmax" else g(z)
        return a

    def cost(self, x: Value, y: Value, weights: Value = None, **parameters: Value) -> Value:
        """Cost of a batch: the reduced losses plus the penalty, a scalar array or node."""
        losses = LOSSES[self.loss](self.predict(x, parameters), y, self._units)
        total = cost(losses, self.reduction, weights)
        if self.penalty:
            m = ops.sum(weights) if self.reduction == "weighted" else x.shape[1 - self._units]
            for layer in range(1, len(self.widths)):
                total = total + self.penalty / (2 * m) * ops.sum(parameters[f"W{layer}"] ** 2)
        return total

    def graph(self, m: int) -> Graph:
        """Trace the cost of m examples: a graph of the inputs that `shapes` names."""
        return _graph(self, m)

    def slope(self, parameters: Mapping[str, NDArray[Any]], data: Mapping[str, NDArray[Any]]) -> tuple[float, Arrays]:
        """Cost of the batch ``data`` (x, y and weights if weighted) and its gradient for each parameter, by backprop.

        Raises ShapeError naming the layer, TypeError for integers, ValueError for NaN: see `check`.
        """
        tape = forward(self.graph(self.check(parameters, data)), **parameters, **data)
        table = backward(tape)
        return float(tape.output), {name: table[name] for name in parameters}

    def check(self, parameters: Mapping[str, NDArray[Any]], data: Mapping[str, NDArray[Any]]) -> int:
        """Number of examples m of a batch that fits this network, or the reason why it does not fit.

        Raises ShapeError naming the layer, both shapes and the rule; TypeError for a missing or an integer array;
        ValueError for NaN.
        """
        given = {**data, **parameters}
        if missing := [name for name in self.shapes(1) if name not in given]:
            raise TypeError(f"{', '.join(missing)} missing: {self!r} needs {', '.join(self.shapes(1))}")
        if unknown := [name for name in given if name not in self.shapes(1)]:
            raise TypeError(f"{', '.join(unknown)} not known: {self!r} needs {', '.join(self.shapes(1))}")
        x = given["x"]
        m = x.shape[1 - self._units] if x.ndim == 2 else 1
        for name, shape in self.shapes(m).items():
            _fits(name, given[name], shape, self)
            refuse_unusable(name, given[name])
        return int(m)

    @property
    def _units(self) -> int:
        """Axis of x along which the units of one example lie."""
        return 1 if self.examples == "rows" else 0


def refuse_unusable(name: str, array: NDArray[Any]) -> None:
    """Raise TypeError for an array that is not of floating point, ValueError for NaN in it."""
    if not np.issubdtype(array.dtype, np.inexact):
        raise TypeError(f"{name} is {array.dtype}: gradients need floating point; pass {name}.astype(float)")
    if np.isnan(array).any():
        where = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
        raise ValueError(f"{name} has NaN, first at {list(where)}: drop or impute the examples that have it")


@lru_cache(maxsize=64)  # sgd asks for two sizes of batch, thousands of times
def _graph(net: Dense, m: int) -> Graph:
    if m < 1:
        raise ValueError(f"m={m}: a batch needs at least one example")
    return trace(net.cost, **net.shapes(m))


def _known(what: str, name: str, table: Mapping[str, Any] | tuple[str, ...]) -> None:
    if name not in table:
        raise ValueError(f"unknown {what} {name!r}: the known ones are {', '.join(table)}")


def _fits(name: str, array: NDArray[Any], shape: tuple[int, ...], net: Dense) -> None:
    if array.shape == shape:
        return
    rows = net.examples == "rows"
    if name in ("x", "y", "weights"):
        layer = 1 if name == "x" else len(net.activations)
        width = "n[0]" if name == "x" else f"n[{layer}]"
        rule = "(m,), one an example" if name == "weights" else f"(m, {width})" if rows else f"({width}, m)"
    else:
        layer = int(name[1:])
        sides = (f"n[{layer - 1}]" if name[0] == "W" else "1", f"n[{layer}]")
        rule = f"({', '.join(sides if rows else sides[::-1])})"
    transposed = array.ndim == 2 and array.shape[::-1] == shape
    remedy = f"pass {name}.T" if transposed else f"reshape {name}, or change widths={net.widths!r}"
    raise ShapeError(
        f"layer {layer}, {name}", (array.shape, shape), f"{name} must be {rule} with examples as {net.examples}", remedy
    )
