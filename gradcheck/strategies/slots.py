"""Random graphs of ops: fan-out, shared weights, residual sums, normalisation, every op of the reference.

An architecture is drawn as a fixed number of slots. Each slot has an op, the absolute ids of its parents and a variant;
op 0 is the identity, which means that this slot does not exist, and is elided. So removing a node changes one number
and moves no other, which is what lets Hypothesis shrink a graph of dozens of nodes to the two or three that matter.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from gradcheck.backprop import Graph, ops, trace
from gradcheck.strategies import wiring
from gradcheck.strategies.palette import REAL, Bounds, Mode, Palette

IDENTITY = "identity"
_INPUTS, _SLOTS, _PARENTS = 3, 6, 3
_HEADER = _INPUTS + 5  # axes of the inputs, three sizes, whether square, how the arrays are filled
# The axes of an input, by letter: scalars, rows, columns, matrices that fit each other, and a batch of matrices.
_MENU: tuple[tuple[str | int, ...], ...] = ((), ("k",), ("n", "k"), ("k", "m"), ("n", 1), ("n", "m"), (2, "n", "k"))

_MODES: tuple[Mode, ...] = ("pad", "tile", "rows", "jitter", "jitter")


@dataclass(frozen=True)
class Slot:
    """One op of an architecture: its name, the ids of its parents (inputs first, then slots), and its variant."""

    op: str
    parents: tuple[int, ...]
    variant: int = 0


@dataclass(frozen=True)
class Architecture:
    r"""A graph of ops together with the point at which to look at it; the repr is the Python that makes it again.

    The output is a scalar: every value that no slot reads is weighted entry by entry and summed. The weights are inputs
    too (``v0``, ``v1``, …), so no op can hide behind a plain sum, under which the gradient of a softmax is zero.

    >>> residual = Architecture((Palette(b"\x01", (2,)),), (Slot("tanh", (0,)), Slot("add", (1, 0))))
    >>> print(residual.graph())
    x0 = input  (2,)
    v0 = input  (2,)
    u2 = tanh(x0)  (2,)
    u3 = add(u2, x0)  (2,)
    u4 = mul(u3, v0)  (2,)
    u5 = sum(u4)  ()
    """

    inputs: tuple[Palette, ...]
    slots: tuple[Slot, ...] = ()

    def __call__(self, **values: Any) -> Any:
        """The scalar output, from arrays or from nodes named as in `shapes`."""
        total: Any = None
        for position, sink in enumerate(self._sinks(values)):
            term = sink * values[f"v{position}"] if f"v{position}" in values else sink
            term = ops.sum(term) if np.shape(term) else term
            total = term if total is None else total + term
        return total

    def graph(self) -> Graph:
        """The graph of the scalar output; its inputs are those of `shapes`."""
        return _graph(self)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the inputs: ``x0``, ``x1``, …, then ``v0``, …, the weights of what is read out."""
        return dict(_shapes(self))

    def sample(self, seed: int | None = None) -> dict[str, NDArray[Any]]:
        """Arrays for `shapes`: the stored point, or with a seed a generic point of the same shapes and bounds."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, shape in self.shapes.items():
            recipe = self.inputs[int(name[1:])] if name[0] == "x" else self._weights(int(name[1:]), shape)
            if seed is not None:
                recipe = Palette(recipe.data, shape, "jitter", seed + len(arrays), recipe.dtype, recipe.bounds)
            arrays[name] = recipe.array()
        return arrays

    @property
    def kinked(self) -> bool:
        """Whether some op has points without a derivative."""
        return any(wiring.has_kinks(slot.op) for slot in self.slots)

    def _weights(self, position: int, shape: tuple[int, ...]) -> Palette:
        return Palette(b"\x01", shape, "jitter", position, self.inputs[0].dtype)

    def _sinks(self, values: Mapping[str, Any]) -> list[Any]:
        """The values that no slot reads."""
        made = [values[f"x{i}"] for i in range(len(self.inputs))]
        known: list[Bounds | None] = [recipe.bounds for recipe in self.inputs]
        for slot in self.slots:
            parents = [made[i] for i in slot.parents]
            made.append(wiring.wire(slot.op, parents, [known[i] for i in slot.parents], slot.variant))
            known.append(None)
        read = {parent for slot in self.slots for parent in slot.parents}
        return [value for i, value in enumerate(made) if i not in read]


@lru_cache(maxsize=32)
def _shapes(architecture: Architecture) -> tuple[tuple[str, tuple[int, ...]], ...]:
    own = {f"x{i}": recipe.shape for i, recipe in enumerate(architecture.inputs)}
    body = trace(lambda **nodes: tuple(architecture._sinks(nodes)), **own)
    weights = {f"v{i}": sink.shape for i, sink in enumerate(body.outputs) if math.prod(sink.shape) > 1}
    return tuple({**own, **weights}.items())


@lru_cache(maxsize=32)
def _graph(architecture: Architecture) -> Graph:
    return trace(architecture, **architecture.shapes)


@st.composite
def architectures(
    draw: st.DrawFn, *, slots: int = _SLOTS, names: Sequence[str] | None = None, dtype: str = "float64"
) -> Architecture:
    """Architectures of at most 3 inputs and ``slots`` slots, of the ops ``names`` (all, unless given).

    An architecture with kinks is drawn at a generic point, any other at zeros, ties and repeats too. Shrinks to fewer
    slots, to earlier ops, to scalars, to zeros and ones. Raises ValueError for a name that is no op of the reference.
    """
    known = wiring.names()
    if unknown := [name for name in names or () if name not in known]:
        raise ValueError(f"names: {', '.join(unknown)} not in the op table; known are {', '.join(sorted(known))}")
    # One string of bytes is the whole plan: of 250 examples 246 are different. Drawn number by number it was 140, for
    # Hypothesis repeats draws that look alike in search of duplicates, and here all of them would look alike.
    width = 2 + _PARENTS
    end = _HEADER + slots * width
    drawn_bytes = draw(st.binary(min_size=end, max_size=end + 8 * _INPUTS))
    seed = draw(st.integers(0, 2**16 - 1))
    plan, data = drawn_bytes[:end], drawn_bytes[end:]
    rows = [plan[start : start + width] for start in range(_HEADER, end, width)]
    drawn = [_slot(place, row, (IDENTITY, *(known if names is None else names))) for place, row in enumerate(rows)]
    wired, read = _elided(drawn)
    shapes = _input_shapes(plan)
    mode = _MODES[plan[_INPUTS + 4] % len(_MODES)]
    generic = mode == "jitter" or any(wiring.has_kinks(slot.op) for slot in wired)
    inputs = tuple(
        Palette(
            data[new :: len(read)],
            shapes[old],
            "jitter" if generic else mode,
            seed + new if generic else 0,
            dtype,
            _bounds(new, wired),
        )
        for new, old in enumerate(read)
    )
    return Architecture(inputs, wired)


def _input_shapes(plan: bytes) -> list[tuple[int, ...]]:
    """Shapes of the inputs from the head of the plan: axes, the sizes 1 … 4 of the letters, whether these are equal."""
    codes = plan[_INPUTS : _INPUTS + 3]
    square = plan[_INPUTS + 3] % 4 == 3
    size = {letter: 1 + (codes[0] if square else code) % 4 for letter, code in zip("nkm", codes, strict=True)}
    return [tuple(size[a] if isinstance(a, str) else a for a in _MENU[c % len(_MENU)]) for c in plan[:_INPUTS]]


def _slot(place: int, row: bytes, menu: Sequence[str]) -> Slot:
    """A row of the plan, read as a slot: op, variant, parents. Bytes from some 192 up are identities, one in four."""
    rounds = max(192 // len(menu), 1) * len(menu)
    op = menu[row[0] % len(menu)] if row[0] < rounds else IDENTITY
    return Slot(op, tuple(byte % (_INPUTS + place) for byte in row[2:]), row[1] % 8)


def _elided(drawn: Sequence[Slot]) -> tuple[tuple[Slot, ...], list[int]]:
    """The slots that exist, ids renumbered, and the inputs that they read; who read an identity reads its parent."""
    ids = list(range(_INPUTS))
    chosen: list[Slot] = []
    for slot in drawn:
        if slot.op == IDENTITY:
            ids.append(ids[slot.parents[0]])
            continue
        ids.append(_INPUTS + len(chosen))
        takes = min(wiring.arity(slot.op, slot.variant), _PARENTS)
        chosen.append(Slot(slot.op, tuple(ids[parent] for parent in slot.parents[:takes]), slot.variant))
    read = sorted({parent for slot in chosen for parent in slot.parents if parent < _INPUTS}) or [0]
    place = {old: new for new, old in enumerate([*read, *range(_INPUTS, _INPUTS + len(chosen))])}
    return tuple(Slot(slot.op, tuple(place[p] for p in slot.parents), slot.variant) for slot in chosen), read


def _bounds(own: int, slots: Sequence[Slot]) -> Bounds:
    """The interval in which every reader of input ``own`` is defined; `REAL` where there is none such."""
    low, high = -math.inf, math.inf
    for slot in slots:
        for position, parent in enumerate(slot.parents):
            if parent == own:
                least, most = wiring.bounds(slot.op, position)
                low = low if least is None else max(low, least)
                high = high if most is None else min(high, most)
    return (low, high) if -math.inf < low < high < math.inf else REAL
