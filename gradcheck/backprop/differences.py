"""Full numeric gradients, every entry, of networks and scalar graphs too large for a loop over coordinates.

A cost is a sum over examples, and an example reaches it through its own units only. So the input of one unit is moved
in all examples at once, and the central differences of their losses are δ, column by column: Σ n[l] movements rather
than Σ n[l−1] n[l]. Since z = x W + b, the differences by W and b then follow exactly, xᵀ δ and Σ δ. Moving a single
weight moves the input of one unit too, by a multiple of x; what lies before the unit is never computed again.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.dense import ACTIVATIONS, Arrays, Dense
from gradcheck.backprop.losses import LOSSES
from gradcheck.backprop.schedule_scalar import ScalarSchedule

Array = NDArray[Any]
# Entries of a layer that are computed at once, half a MiB: what NumPy's calls cost is spread, and caches serve.
ENTRIES = 2**16


def dense_differences(
    net: Dense, parameters: Mapping[str, Array], data: Mapping[str, Array], by: str = "unit"
) -> Arrays:
    """The central difference of the cost by every entry of every parameter, in the shapes of ``parameters``.

    ``by="unit"`` moves one unit's input at a time, ``by="weight"`` every weight by itself, which takes n[l−1] times as
    long and trusts less: not that a layer is affine in its weights. ``data`` has x, y, and weights if weighted. The
    error is that of a central difference, about ε^⅔ of the size of the cost's derivatives.

    Raises what `Dense.check` raises, and ValueError for another ``by``.

    >>> net = Dense((1, 1), ("identity",))
    >>> data = {"x": np.array([[3.0]]), "y": np.array([[1.0]])}
    >>> g = dense_differences(net, {"W1": np.array([[1.0]]), "b1": np.array([[0.0]])}, data)
    >>> round(g["W1"].item(), 6), round(g["b1"].item(), 6)
    (6.0, 2.0)
    """
    if by not in ("unit", "weight"):
        raise ValueError(f"by={by!r}: move one 'unit' or one 'weight' at a time")
    net.check(parameters, data)
    point = _Point(net, parameters, data)
    found: Arrays = {}
    for layer in range(1, len(net.widths)):
        w, b = point.w[layer], point.b[layer]
        delta = _by_unit(point, layer)
        g = point.a[layer - 1].T @ delta if by == "unit" else _by_weight(point, layer)
        if net.penalty:
            h = _step(w)
            up, down = w + h, w - h
            g = g + net.penalty / (2 * point.examples) * (up**2 - down**2) / (up - down)
        bias = delta.sum(0, keepdims=True)
        found[f"W{layer}"] = g if net.examples == "rows" else g.T
        if b is not None:
            found[f"b{layer}"] = bias if net.examples == "rows" else bias.T
    return {name: found[name] for name in parameters}


def coordinate_difference(
    net: Dense, parameters: Mapping[str, Array], data: Mapping[str, Array], name: str, index: tuple[int, ...]
) -> tuple[float, float]:
    """The plain central difference of the cost by one entry, and its error as the difference from twice the step shows.

    >>> net = Dense((1, 1), ("identity",))
    >>> data = {"x": np.array([[3.0]]), "y": np.array([[1.0]])}
    >>> point = {"W1": np.array([[1.0]]), "b1": np.array([[0.0]])}
    >>> slope, error = coordinate_difference(net, point, data, "W1", (0, 0))
    >>> abs(slope - 6) <= error < 1e-7
    True
    """
    moved = {key: np.array(array) for key, array in parameters.items()}
    entry = moved[name]
    at, h = entry[index], _step(entry[index])

    def cost(t: Any) -> float:
        entry[index] = t
        return float(net.cost(**data, **moved))

    costs = {t: cost(t) for t in (at - 2 * h, at - h, at + h, at + 2 * h)}
    one, two = [(costs[at + k * h] - costs[at - k * h]) / float((at + k * h) - (at - k * h)) for k in (1, 2)]
    # truncation at h is a third of the difference; a cost of some hundred operations is off by some ten roundings
    noise = 10 * float(np.finfo(entry.dtype).eps) * max(map(abs, costs.values())) / float(h)
    return one, abs(two - one) + noise


def scalar_differences(schedule: ScalarSchedule, at_once: int = 256) -> Array:
    """The central difference of the one output by every input, in order, at most ``at_once`` inputs at a time.

    A block of points is one matrix, a row a node: the schedule's forward pass is the same calls on rows.

    >>> from gradcheck.backprop import ScalarTape
    >>> tape = ScalarTape()
    >>> x, y = tape.input(2.0), tape.input(3.0)
    >>> scalar_differences(tape.compile(x * y)).round(6).tolist()
    [3.0, 2.0]
    """
    if at_once < 1:
        raise ValueError(f"at_once={at_once}: at least one input is moved at a time")
    places = np.array(list(schedule.inputs.values()), int)
    found = np.empty(len(places))
    (output,) = schedule.outputs
    at_once = -(-len(places) // -(-len(places) // at_once)) if len(places) else 1  # blocks of equal size
    values = np.repeat(schedule.values[:, None], 2 * at_once, axis=1)  # once: new memory costs more than the arithmetic
    for start in range(0, len(places), at_once):
        rows = places[start : start + at_once]
        k = np.arange(len(rows))
        h = _step(schedule.values[rows])
        values[rows, k] += h
        values[rows, at_once + k] -= h
        realised = values[rows, k] - values[rows, at_once + k]
        schedule.replay(values)
        found[start : start + at_once] = (values[output, k] - values[output, at_once + k]) / realised
        values[rows] = schedule.values[rows][:, None]
    return found


def _step(x: Any) -> Any:
    """The step of a central difference at ``x``: ε^⅓ of its size, where truncation h² and rounding ε/h balance."""
    return np.cbrt(np.finfo(x.dtype).eps) * np.maximum(np.abs(x), 1)


class _Point:
    """A network at a point: inputs ``z`` and values ``a`` of every layer, examples as rows; a[0] is x."""

    def __init__(self, net: Dense, parameters: Mapping[str, Array], data: Mapping[str, Array]) -> None:
        self.net, rows = net, net.examples == "rows"
        turned = {name: p if rows else p.T for name, p in {**parameters, **data}.items()}
        layers = range(1, len(net.widths))
        self.y = turned["y"]
        self.w: list[Any] = [None, *(turned[f"W{layer}"] for layer in layers)]
        self.b: list[Any] = [None, *(turned.get(f"b{layer}") for layer in layers)]
        self.z: list[Any] = [None]
        self.a: list[Any] = [turned["x"]]
        for layer in layers:
            self.z.append(self.affine(layer, self.a[-1]))
            self.a.append(self.activation(layer, self.z[-1]))
        m = len(self.y)
        weights = data["weights"] if net.reduction == "weighted" else np.ones(m, self.y.dtype)
        self.examples = weights.sum()
        # what an example's loss counts for in the cost
        self.share = weights if net.reduction == "sum" else weights / self.examples

    def affine(self, layer: int, a: Array) -> Any:
        # one product of all rows: matmul would make one a movement, of some 16 rows each
        z = (a.reshape(-1, a.shape[-1]) @ self.w[layer]).reshape(*a.shape[:-1], -1)
        return z if self.b[layer] is None else z + self.b[layer]

    def activation(self, layer: int, z: Array) -> Any:
        name = self.net.activations[layer - 1]
        return ACTIVATIONS[name](z, axis=-1) if name == "softmax" else ACTIVATIONS[name](z)

    def losses(self, layer: int, units: Array, shifts: Array) -> Array:
        """The losses (K, m) when the input of units[k] alone is moved by shifts[k] (m,), for each k by itself."""
        last = layer == len(self.net.widths) - 1
        k = np.arange(len(units))
        if last or self.net.activations[layer - 1] == "softmax":  # the units meet: the layer is computed whole
            z = np.repeat(self.z[layer][None], len(units), axis=0)
            z[k, :, units] += shifts
            a = self.activation(layer, z)
        else:
            change = self.activation(layer, self.z[layer].T[units] + shifts) - self.a[layer].T[units]
            layer += 1
            # of the next layer's product only one term has changed, an outer product of rank 1
            z = self.z[layer] + change[:, :, None] * self.w[layer][units][:, None, :]
            a = self.activation(layer, z)
        for later in range(layer + 1, len(self.net.widths)):
            a = self.activation(later, self.affine(later, a))
        return np.asarray(LOSSES[self.net.loss](a, self.y, -1))


def _blocks(point: _Point, count: int) -> Iterator[slice]:
    """Cut ``count`` movements into blocks whose widest layer has about ``ENTRIES`` entries."""
    size = max(ENTRIES // (len(point.y) * max(point.net.widths[1:])), 1)
    return (slice(start, start + size) for start in range(0, count, size))


def _by_unit(point: _Point, layer: int) -> Array:
    """The central difference of the cost by the input of every unit of a layer in every example: δ, (m, n[l])."""
    z = point.z[layer].T
    delta = np.empty(z.shape, z.dtype)
    for block in _blocks(point, len(z)):
        units = np.arange(len(z))[block]
        h = _step(z[block])
        up, down = (z[block] + h) - z[block], (z[block] - h) - z[block]
        delta[block] = (point.losses(layer, units, up) - point.losses(layer, units, down)) / (up - down)
    return delta.T * point.share[:, None]


def _by_weight(point: _Point, layer: int) -> Array:
    """The central difference of the cost, penalty apart, by every weight of a layer by itself: (n[l−1], n[l])."""
    w, x = point.w[layer], point.a[layer - 1].T
    found = np.empty(w.size, w.dtype)
    for block in _blocks(point, w.size):
        before, units = np.divmod(np.arange(w.size)[block], w.shape[1])
        at = w[before, units]
        h = _step(at)
        up, down = (at + h) - at, (at - h) - at
        high, low = (point.losses(layer, units, t[:, None] * x[before]) for t in (up, down))
        found[block] = (high - low) @ point.share / (up - down)
    return found.reshape(w.shape)
