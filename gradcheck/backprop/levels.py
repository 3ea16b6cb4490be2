"""The forward pass of flat scalar nodes: levels, each op of a level at once; where levels are narrow, node by node."""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.op import TABLE

Array = NDArray[Any]
Value = Callable[..., Any]

# A group of one op costs about 4 µs in NumPy calls, a node alone 0.25 µs.
NARROW = 16
# Entries of a group's operands that are computed at once, so that they are still in the cache when they are used.
BLOCK = 2**15
# On Python floats these are five times as fast as the ufuncs of the table, and on rows of an array they are the same.
PLAIN: Mapping[str, Value] = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg}


def levels(parents: Array) -> Array:
    """How many edges the longest way from a node (N, arity; −1 for no parent) up to a node without parents has."""
    level = [0] * len(parents) + [-1]  # the last entry is what the parent −1 stands for
    of = level.__getitem__
    for i, row in enumerate(zip(*parents.T.tolist(), strict=True)):
        level[i] = 1 + max(map(of, row))
    return np.array(level[:-1])


class Replay:
    """Compute the values of all nodes with parents, in place, from those without.

    The values have shape (N,) or (N, K), K points at once. ``codes`` (N,) names the rule of each node, 0 for none.
    """

    def __init__(self, codes: Array, parents: Array, rules: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        group = levels(parents) * len(rules) + codes
        made = np.flatnonzero(codes)
        made = made[np.argsort(group[made], kind="stable")]
        arity = np.count_nonzero(parents >= 0, axis=1)
        values = {code: _value(*rules[code]) for code in np.unique(codes[made]).tolist()}
        plain = {code: PLAIN.get(rules[code][0]) or _of_floats(value) for code, value in values.items()}
        bounds = np.flatnonzero(np.diff(group[made], prepend=-1, append=-1))
        wide = np.flatnonzero(np.diff(bounds) >= NARROW).tolist()
        self._steps: list[tuple[Value, Array, list[Array]] | list[tuple[Value, int, list[int]]]] = []
        done = 0
        for start, stop in [*zip(bounds[wide].tolist(), bounds[1:][wide].tolist(), strict=True), (len(made),) * 2]:
            narrow, nodes, done = made[done:start], made[start:stop], stop
            if len(narrow):
                alone = [plain[code] for code in codes[narrow].tolist()]
                rows = zip(parents[narrow].tolist(), arity[narrow].tolist(), strict=True)
                self._steps.append(list(zip(alone, narrow.tolist(), [row[:n] for row, n in rows], strict=True)))
            if len(nodes):
                columns = parents[nodes, : arity[nodes[0]]].T.astype(np.intp)
                self._steps.append((values[codes[nodes[0]]], nodes, list(columns)))

    def __call__(self, values: Array) -> None:
        """Fill in the values of the nodes with parents."""
        cells: Any = values if values.ndim == 2 else values.data  # a memoryview: one entry of an array costs far more
        block = max(BLOCK // (values.size // max(len(values), 1)), 1)
        for step in self._steps:
            if isinstance(step, list):
                for value, i, operands in step:
                    cells[i] = value(*[cells[p] for p in operands])
                continue
            value, nodes, columns = step
            for start in range(0, len(nodes), block):
                part = slice(start, start + block)
                values[nodes[part]] = value(*[values[column[part]] for column in columns])


def _value(op: str, static: Mapping[str, Any]) -> Value:
    return partial(TABLE[op].value, **static) if static else TABLE[op].value


def _of_floats(value: Value) -> Value:
    """The rule for Python floats, whose own x ** y is complex for some and raises for others."""
    return lambda *operands: value(*map(np.float64, operands)) if type(operands[0]) is float else value(*operands)
