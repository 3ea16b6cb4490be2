"""Dense networks close to their floor, the matrix products of forward and backward.

Inside, examples are columns, whatever the layout of the network, and a row of ones stands below the units of every
layer: with W and b in one array, one product computes W a + b, one product the gradients of both, and every elementwise
step of a hidden layer runs over contiguous memory. What comes from outside, x and y, keeps its layout; BLAS multiplies
transposes as they are. That is 8 products and 15 other calls a pass for three tanh layers, of which the compiled graph
of the same network has 8 and 27: at width 32 and batch 16 a call costs as much as its arithmetic, and this counts.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.dense import Dense
from gradcheck.backprop.errors import GraphError, ShapeError
from gradcheck.backprop.graph import trace
from gradcheck.backprop.losses import LOSSES, cost
from gradcheck.backprop.schedule import Schedule

Array = NDArray[Any]
Call = Callable[[], Any]


def _sigmoid(z: Array) -> list[Call]:
    """1 / (1 + exp(−z)) in place; scipy's expit takes five times as long. Beyond the bound exp(−z) would overflow."""
    least = np.array(-700 if z.dtype == np.float64 else -80, z.dtype)
    return [
        lambda: np.maximum(z, least, out=z),
        partial(np.negative, z, z),
        partial(np.exp, z, z),
        partial(np.add, z, np.ones((), z.dtype), z),
        partial(np.reciprocal, z, z),
    ]


def _relu(z: Array) -> list[Call]:
    zero = np.zeros((), z.dtype)
    return [lambda: np.maximum(z, zero, out=z)]


def _tanh_slope(y: Array, slope: Array) -> list[Call]:
    return [partial(np.multiply, y, y, slope), partial(np.subtract, np.ones((), y.dtype), slope, slope)]


def _sigmoid_slope(y: Array, slope: Array) -> list[Call]:
    return [partial(np.subtract, np.ones((), y.dtype), y, slope), partial(np.multiply, slope, y, slope)]


# Calls that compute the activation in place, and its slope from its value.
STEPS: Mapping[str, tuple[Callable[[Array], list[Call]], Callable[[Array, Array], list[Call]]]] = {
    "identity": (lambda z: [], lambda y, slope: []),
    "tanh": (lambda z: [partial(np.tanh, z, z)], _tanh_slope),
    "sigmoid": (_sigmoid, _sigmoid_slope),
    "relu": (_relu, lambda y, slope: [partial(np.sign, y, slope)]),
}


class DenseSchedule:
    """A dense network of m examples, compiled for repeated passes; made by `compile_dense`.

    ``inputs`` are the schedule's own arrays by name, which may be written to. One instance serves one thread.
    """

    def __init__(self, net: Dense, m: int, dtype: str = "float64") -> None:
        self.net, rows, ones = net, net.examples == "rows", int(net.bias)

        def own(units: int) -> Array:  # in the layout of the network: x, y, and what is compared with y
            return np.ones((m, units) if rows else (units, m), dtype)

        n = net.widths[0]
        x, target, prediction, residual = own(n + ones), *(own(net.widths[-1]) for _ in range(3))
        self.inputs: dict[str, Array] = {"x": x[:, :n] if rows else x[:n], "y": target}
        if net.reduction == "weighted":
            self.inputs["weights"] = np.empty(m, dtype)
        by_hand = net.loss == "squared" and net.reduction != "weighted"
        self._loss = (_Squared if by_hand else _Compiled)(net, prediction, target, residual, self.inputs.get("weights"))
        self._forward: list[Call] = []
        self._backward: list[Call] = []
        self._gradients: dict[str, Array] = {}
        below, d_below, spare = x.T if rows else x, None, np.empty(max(net.widths) * m, dtype)
        for number, (n, k) in enumerate(pairwise(net.widths), start=1):
            last = number == len(net.activations)
            above = np.ones((k + ones, m), dtype)
            z, d = (prediction, residual) if last else (above[:k], np.empty((k, m), dtype))
            layer = _Layer(below, d_below, z, d, turned=last and rows)
            slope = spare[: z.size].reshape(z.shape)
            self._forward += [layer.forward, *STEPS[net.activations[number - 1]][0](z)]
            back = STEPS[net.activations[number - 1]][1](z, slope)
            back += [partial(np.multiply, d, slope, d)] if back else []
            self._backward = back + layer.backward + self._backward
            below, d_below = above, d
            read_only = layer.dv.view()
            read_only.flags.writeable = False
            for name, part in (("W", slice(n)), ("b", slice(n, None)))[: 1 + ones]:
                self.inputs[f"{name}{number}"] = layer.v[part] if rows else layer.v[part].T
                self._gradients[f"{name}{number}"] = read_only[part] if rows else read_only[part].T
        self._missing, self._fresh = set(self.inputs), False

    def forward(self, **arrays: Any) -> float:
        """The cost. An input left out keeps the entries that it has in ``inputs``; the first call needs all.

        Raises GraphError for a name that is no input or one still missing, ShapeError for an array that does not fit.
        """
        for name, array in arrays.items():
            if name not in self.inputs:
                raise GraphError(f"no input is named {name!r}; the network has {', '.join(self.inputs)}")
            if np.shape(array) != self.inputs[name].shape:
                shapes = [np.shape(array), self.inputs[name].shape]
                raise ShapeError(f"input {name!r}", shapes, f"the schedule is for {self.net!r}", "compile another")
            self.inputs[name][...] = array
            self._missing.discard(name)
        if self._missing:
            unknown = ", ".join(name for name in self.inputs if name in self._missing)
            raise GraphError(f"nothing is known of {unknown} yet: the first forward needs all inputs")
        return self._cost()

    def _cost(self) -> float:
        for call in self._forward:
            call()
        self._fresh = True
        return self._loss.forward()

    def backward(self) -> dict[str, Array]:
        """The gradient of the cost for every parameter, read-only arrays that the next backward overwrites."""
        if not self._fresh:  # a backward before this one has used up the residuals
            self._cost()
        self._fresh = False
        self._loss.backward()
        for call in self._backward:
            call()
        return self._gradients


class _Layer:
    """The affine map of a layer: ``v``, weights (n, k) over their row of biases, the gradient ``dv``, the calls.

    ``below`` are the units that it reads, over their row of ones; ``z`` is where the affine map goes, ``d`` where its
    cotangent comes from, both (k, m), or (m, k) if ``turned``. ``d_below`` (n, m) receives the cotangent of the units
    below; it is None for x.
    """

    def __init__(self, below: Array, d_below: Array | None, z: Array, d: Array, turned: bool) -> None:
        d_units = d.T if turned else d
        self.v, self.dv = (np.zeros((len(below), len(d_units)), z.dtype) for _ in range(2))
        self.forward = partial(np.dot, *((below.T, self.v, z) if turned else (self.v.T, below, z)))
        self.backward: list[Call] = [partial(np.dot, below, d_units.T, self.dv)]
        if d_below is not None:
            self.backward.append(partial(np.dot, self.v[: len(d_below)], d_units, d_below))


class _Squared:
    """Half the summed squares of the residuals, by hand: three calls. ``out`` receives the gradient."""

    def __init__(self, net: Dense, prediction: Array, target: Array, out: Array, weights: Array | None) -> None:
        m = out.shape[0 if net.examples == "rows" else 1]
        self._factor = np.array(1 / m if net.reduction == "mean" else 1, out.dtype)
        self._subtract = partial(np.subtract, prediction, target, out)
        self._square = partial(np.dot, out.reshape(-1), out.reshape(-1))
        self.backward = partial(np.multiply, out, self._factor, out)

    def forward(self) -> float:
        self._subtract()
        return 0.5 * float(self._factor) * float(self._square())


class _Compiled:
    """Any other loss: the graph of the reference, compiled for the gradient of the prediction."""

    def __init__(self, net: Dense, prediction: Array, target: Array, out: Array, weights: Array | None) -> None:
        self._arrays = {"prediction": prediction, "target": target}
        if weights is not None:
            self._arrays["weights"] = weights
        self._out = out

        def loss(prediction: Any, target: Any, weights: Any = None) -> Any:
            units = 1 if net.examples == "rows" else 0
            return cost(LOSSES[net.loss](prediction, target, units), net.reduction, weights)

        graph = trace(loss, **{name: array.shape for name, array in self._arrays.items()})
        self._schedule = Schedule(graph, [graph.inputs["prediction"]])

    def forward(self) -> float:
        return float(self._schedule.forward(**self._arrays))

    def backward(self) -> None:
        np.copyto(self._out, self._schedule.backward()["prediction"])


def compile_dense(net: Dense, m: int, dtype: str = "float64") -> "DenseSchedule":
    """A schedule of the cost of ``m`` examples through ``net`` and its gradients for every parameter.

    Raises GraphError for a network with a penalty or an activation whose slope is not a function of its value:
    ``compile_graph(net.graph(m))`` compiles every network.

    >>> net = Dense((1, 1), ("identity",))
    >>> schedule = compile_dense(net, m=1)
    >>> schedule.forward(x=[[3.0]], y=[[1.0]], W1=[[1.0]], b1=[[0.0]])  # ½ (3 − 1)²
    2.0
    >>> print(schedule.backward()["W1"])
    [[6.]]
    """
    if m < 1:
        raise ValueError(f"m={m}: a batch needs at least one example")
    odd = [name for name in net.activations if name not in STEPS]
    if odd or net.penalty:
        what = f"the activation {odd[0]!r}" if odd else f"a penalty of {net.penalty}"
        raise GraphError(f"compile_dense knows {', '.join(STEPS)} and no penalty, not {what}: use compile_graph")
    return DenseSchedule(net, m, dtype)
