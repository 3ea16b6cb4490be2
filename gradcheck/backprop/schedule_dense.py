"""Dense networks close to their floor, the matrix products of forward and backward.

Inside, examples are columns, whatever the layout of the network, and a row of ones stands below the units of every
layer: with W and b in one array, one product computes W a + b, one product the gradients of both, and every elementwise
step of a hidden layer runs over contiguous memory. What comes from outside, x and y, keeps its layout; BLAS multiplies
transposes as they are. That is 8 products and 15 other calls a pass for three tanh layers, of which the compiled graph
of the same network has 8 and 27: at width 32 and batch 16 a call costs as much as its arithmetic, and this counts.
All arrays are cut from one block, which takes 2 to 10 per cent off a pass at width 512 and 2 at width 32.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate, chain, pairwise
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
LINE, PAGE = 64, 2**21  # bytes of a cache line, and of a large page of x86 and ARM


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

        def own(units: int) -> tuple[int, int]:  # in the layout of the network: x, y, and what is compared with y
            return (m, units) if rows else (units, m)

        # of each layer the units over their row of ones, their cotangents, v and dv; the last units are the prediction
        layers = [[(k + ones, m), (k, m), (n + ones, k), (n + ones, k)] for n, k in pairwise(net.widths)]
        n, *_, k = net.widths
        layers[-1][:2] = own(k), own(k)
        shapes = [own(n + ones), own(k), (max(net.widths), m), *chain.from_iterable(layers)]
        x, target, spare, *arrays = _together(shapes, dtype)
        prediction, residual = arrays[-4:-2]
        self.inputs: dict[str, Array] = {"x": x[:, :n] if rows else x[:n], "y": target}
        if net.reduction == "weighted":
            self.inputs["weights"] = np.empty(m, dtype)
        by_hand = net.loss == "squared" and net.reduction != "weighted"
        self._loss = (_Squared if by_hand else _Compiled)(net, prediction, target, residual, self.inputs.get("weights"))
        self._forward: list[Call] = []
        self._backward: list[Call] = []
        self._gradients: dict[str, Array] = {}
        below, d_below = x.T if rows else x, None
        for number, (n, k) in enumerate(pairwise(net.widths), start=1):
            last = number == len(net.activations)
            above, d, v, dv = arrays[4 * number - 4 : 4 * number]
            z = above if last else above[:k]
            affine, back_affine = _affine(below, d_below, z, d, v, dv, turned=last and rows)
            slope = spare.reshape(-1)[: z.size].reshape(z.shape)
            self._forward += [affine, *STEPS[net.activations[number - 1]][0](z)]
            back = STEPS[net.activations[number - 1]][1](z, slope)
            back += [partial(np.multiply, d, slope, d)] if back else []
            self._backward = back + back_affine + self._backward
            below, d_below = above, d
            read_only = dv.view()
            read_only.flags.writeable = False
            for name, part in (("W", slice(n)), ("b", slice(n, None)))[: 1 + ones]:
                self.inputs[f"{name}{number}"] = v[part] if rows else v[part].T
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


def _together(shapes: Sequence[tuple[int, int]], dtype: str) -> list[Array]:
    """Arrays of ones cut from one block, each from the start of a cache line.

    NumPy asks Linux to lay a block of 4 MB or more on pages of 2 MB, which spares the products most of their look-ups
    of addresses; such a block begins and ends where a page does, so that none of it is left out.
    """
    item = np.dtype(dtype).itemsize
    sizes = [math.prod(shape) for shape in shapes]
    *starts, end = accumulate((math.ceil(size * item / LINE) * LINE for size in sizes), initial=0)
    unit = LINE if end < 2 * PAGE else PAGE
    block = np.empty(math.ceil(end / unit) * unit + unit, np.uint8)
    first = -block.ctypes.data % unit
    flat = [block[first + i : first + i + size * item].view(dtype) for i, size in zip(starts, sizes, strict=True)]
    for array in flat:
        array.fill(1)
    return [array.reshape(shape) for array, shape in zip(flat, shapes, strict=True)]


def _affine(
    below: Array, d_below: Array | None, z: Array, d: Array, v: Array, dv: Array, turned: bool
) -> tuple[Call, list[Call]]:
    """The products of a layer, forward and backward: ``v`` is its weights (n, k) over its row of biases.

    ``below`` are the units that it reads, over their row of ones; ``z`` is where the affine map goes, ``d`` where its
    cotangent comes from, both (k, m), or (m, k) if ``turned``. ``dv`` receives the gradient of ``v``, ``d_below``
    (n, m) the cotangent of the units below; it is None for x.
    """
    d = d.T if turned else d
    backward: list[Call] = [partial(np.dot, below, d.T, dv)]
    if d_below is not None:
        backward.append(partial(np.dot, v[: len(d_below)], d, d_below))
    return partial(np.dot, *((below.T, v, z) if turned else (v.T, below, z))), backward


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
