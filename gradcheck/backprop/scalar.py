"""Scalar nodes recorded on a flat tape: one number at a time by operator overloading, or by whole layers.

A tape is one buffer of records, one a node: the code of its rule, its two parents, its value. A `Scalar` is only a
place on the tape with its value; drop it, and the tape still knows the node. Nothing refers to anything, so the garbage
collector has nothing to follow: recording costs some 0.3 µs and 24 bytes a node, and 110 more while its Scalar lives.

>>> tape = ScalarTape()
>>> x, w = tape.input(2.0), tape.input(-3.0)
>>> y = (x * w + 1).tanh() + x
>>> gradients = tape.compile(y).backward()
>>> round(float(gradients[x]), 6), gradients.visits == tape.edges
(0.999455, True)
"""

import operator
from collections.abc import Callable, Mapping
from numbers import Real
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.errors import GraphError
from gradcheck.backprop.op import NOTHING, TABLE
from gradcheck.backprop.schedule_scalar import FAMILIES, LEAF, ScalarSchedule

Array = NDArray[Any]
ARITHMETIC = ("add", "sub", "mul", "div", "neg")
ADD, SUB, MUL, DIV, NEG = range(LEAF + 1, LEAF + 1 + len(ARITHMETIC))

# A record, and what packs one: appending it to the buffer takes half as long as four numbers to four arrays.
RECORD = np.dtype([("code", np.int32), ("parents", np.int32, 2), ("value", np.float64)], align=True)
SIZE = RECORD.itemsize
pack = Struct("iiid").pack  # the same layout: native sizes, aligned


class ScalarTape:
    """Where scalars are recorded, in the order in which they are made, which is a topological order."""

    __slots__ = ("_codes", "inputs", "records", "rules")

    def __init__(self) -> None:
        self.records = bytearray()
        # what a code stands for: an op and its static arguments
        self.rules: list[tuple[str, Mapping[str, Any]]] = [(op, NOTHING) for op in ("leaf", *ARITHMETIC)]
        self._codes: dict[tuple[str, tuple[Any, ...]], int] = {(op, ()): i for i, (op, _) in enumerate(self.rules)}
        self.inputs: list[int] = []

    def __len__(self) -> int:
        return len(self.records) // SIZE

    @property
    def edges(self) -> int:
        """The number of parents of all nodes, repeated ones too."""
        return int(np.count_nonzero(self._column("parents") >= 0))

    def input(self, value: Any) -> Any:
        """Record an input: a `Scalar` for a number, `Scalars` for an array of numbers."""
        made = self.constant(value)
        self.inputs.extend(np.ravel(made.index).tolist())
        return made

    def constant(self, value: Any) -> Any:
        """Record what has no parents and is no input: a `Scalar` for a number, `Scalars` for an array."""
        if np.ndim(value):
            values = np.asarray(value, np.float64)
            return self.block(LEAF, np.full(values.shape, -1), np.full(values.shape, -1), values)
        return self.node(LEAF, -1, -1, float(value))

    def code(self, op: str, static: Mapping[str, Any], operands: int) -> int:
        """The code of an elementwise op of one or two arguments with these static arguments; GraphError for others."""
        key = op, tuple(static.items())
        row = TABLE.get(op)
        if row is None or row.family not in FAMILIES or row.arity not in (1, 2):
            raise GraphError(f"a scalar tape records elementwise ops of one or two arguments, and {op!r} is none")
        if row.arity != operands:
            raise GraphError(f"op {op!r} takes {row.arity} parent(s), got {operands}")
        if key not in self._codes:
            self._codes[key] = len(self.rules)
            self.rules.append((op, static))
        return self._codes[key]

    def compile(self, output: "Scalar | Scalars") -> ScalarSchedule:
        """A schedule of what ``output``, one node, needs; its inputs are named 0, 1, … as they were recorded."""
        if output.tape is not self or np.size(output.index) != 1:
            raise GraphError("the output must be one scalar of this tape: sum several, or compile the other tape")
        places = [int(np.ravel(output.index)[0])]
        inputs: dict[str | int, int] = dict(enumerate(self.inputs))
        codes, parents, values = map(self._column, ("code", "parents", "value"))
        return ScalarSchedule(codes, parents, self.rules, values, inputs, places)

    def _column(self, field: str) -> Array:
        """One field of all records: a copy, since nothing could be recorded while a view of the buffer is alive."""
        return np.frombuffer(self.records, RECORD)[field].copy()

    def node(self, code: int, first: int, second: int, value: float) -> "Scalar":
        """Record one node; −1 is no parent."""
        made = Scalar()
        made.tape, made.index, made.value = self, len(self), value
        self.records += pack(code, first, second, value)
        return made

    def block(self, code: int, first: Array, second: Array, values: Array) -> "Scalars":
        """Record a node for each entry of ``values``, in order."""
        start = len(self)
        nodes = np.empty(values.shape, RECORD)
        nodes["code"], nodes["value"] = code, values
        nodes["parents"][..., 0], nodes["parents"][..., 1] = first, second
        self.records += nodes.tobytes()
        return Scalars(self, np.arange(start, len(self)).reshape(values.shape), values)


def _binary(code: int, of: Callable[[float, float], float]) -> "Callable[[Scalar, Any], Scalar]":
    """The method that records ``of``. It does what `ScalarTape.node` does: calling it would be a tenth of the time."""

    def record(self: "Scalar", other: Any) -> "Scalar":
        tape = self.tape
        if other.__class__ is not Scalar or other.tape is not tape:
            other = self._other(other)
        records, made = tape.records, Scalar()
        made.tape, made.index = tape, len(records) // SIZE
        made.value = value = of(self.value, other.value)
        records += pack(code, self.index, other.index, value)
        return made

    return record


def _quotient(a: float, b: float) -> float:
    return a / b if b else float(np.divide(a, b))  # infinite or NaN with a warning, as everywhere in the reference


class Scalar:
    """A node of a `ScalarTape`: its place there, ``index``, and its ``value``, a float.

    Arithmetic with numbers and other scalars of the same tape records new nodes; `apply` does any other elementwise op
    of the reference. There is no conversion to float, which would lose the gradient: take ``value``.
    """

    __slots__ = ("index", "tape", "value")  # set by `ScalarTape.node`: an __init__ would be a sixth of the time
    index: int
    tape: ScalarTape
    value: float
    __array_ufunc__ = None  # np.tanh(scalar) and array * scalar are TypeErrors, not arrays of objects

    def __repr__(self) -> str:
        return f"Scalar({self.value!r})"

    def _other(self, other: Any) -> "Scalar":
        if other.__class__ is Scalar:
            raise GraphError("two scalars of different tapes meet: record both on one")
        if not isinstance(other, Real):
            raise TypeError(f"a Scalar meets Scalars of its tape and numbers, not a {type(other).__name__}")
        return self.tape.node(LEAF, -1, -1, float(other))

    __add__ = _binary(ADD, operator.add)
    __sub__ = _binary(SUB, operator.sub)
    __mul__ = _binary(MUL, operator.mul)
    __truediv__ = _binary(DIV, _quotient)

    def __radd__(self, other: Any) -> "Scalar":
        return self._other(other) + self

    def __rsub__(self, other: Any) -> "Scalar":
        return self._other(other) - self

    def __rmul__(self, other: Any) -> "Scalar":
        return self._other(other) * self

    def __rtruediv__(self, other: Any) -> "Scalar":
        return self._other(other) / self

    def __neg__(self) -> "Scalar":
        return self.tape.node(NEG, self.index, -1, -self.value)

    def __pow__(self, exponent: Any) -> "Scalar":
        if isinstance(exponent, int | float):
            return self.apply("scalar_power", exponent=exponent)
        return self.apply("power", exponent)

    def __rpow__(self, base: Any) -> "Scalar":
        return self._other(base).apply("power", self)

    def apply(self, op: str, *others: Any, **static: Any) -> "Scalar":
        """Any elementwise op of one or two arguments, by its name in the table: ``x.apply("gelu")``."""
        tape = self.tape
        code = tape.code(op, static, 1 + len(others))
        other = [o if o.__class__ is Scalar and o.tape is tape else self._other(o) for o in others]
        value = TABLE[op].value(*[np.float64(o.value) for o in (self, *other)], **static)
        return tape.node(code, self.index, other[0].index if other else -1, float(value))

    def relu(self) -> "Scalar":
        """The larger of the value and 0."""
        return self.apply("relu")

    def tanh(self) -> "Scalar":
        """Hyperbolic tangent."""
        return self.apply("tanh")

    def exp(self) -> "Scalar":
        """Exponential."""
        return self.apply("exp")

    def log(self) -> "Scalar":
        """Natural logarithm."""
        return self.apply("log")


class Scalars:
    """An array of scalar nodes: arithmetic, products and sums record one scalar node an entry, a layer at a time.

    >>> tape = ScalarTape()
    >>> x, w = tape.input(np.ones((2, 3))), tape.input(np.full((3, 4), 0.5))
    >>> loss = (x @ w).apply("tanh").sum()
    >>> tape.compile(loss).backward()[x].shape, tape.edges  # 24 products, 16 + 8 - 1 sums, 8 tanh
    ((2, 3), 102)
    """

    __slots__ = ("index", "tape", "value")
    __array_ufunc__ = None

    def __init__(self, tape: ScalarTape, index: Array, value: Array) -> None:
        self.tape, self.index, self.value = tape, index, value

    def __getitem__(self, key: Any) -> "Scalars":
        return Scalars(self.tape, np.asarray(self.index[key]), np.asarray(self.value[key]))

    def __add__(self, other: Any) -> "Scalars":
        return self.apply("add", other)

    def __radd__(self, other: Any) -> "Scalars":
        return self._operand(other).apply("add", self)

    def __sub__(self, other: Any) -> "Scalars":
        return self.apply("sub", other)

    def __rsub__(self, other: Any) -> "Scalars":
        return self._operand(other).apply("sub", self)

    def __mul__(self, other: Any) -> "Scalars":
        return self.apply("mul", other)

    def __rmul__(self, other: Any) -> "Scalars":
        return self._operand(other).apply("mul", self)

    def __truediv__(self, other: Any) -> "Scalars":
        return self.apply("div", other)

    def __matmul__(self, other: "Scalars") -> "Scalars":
        """``(m, k) @ (k, n)``: m·k·n products, then sums of two at a time."""
        return (self[:, :, None] * other[None, :, :]).sum(1)

    def sum(self, axis: int | None = None) -> "Scalars":
        """Sum along ``axis``, or of all entries, in halves: n − 1 nodes and about log₂ n levels a sum."""
        parts = self.index, self.value
        total = Scalars(self.tape, *[p.reshape(-1) if axis is None else np.moveaxis(p, axis, -1) for p in parts])
        if total.index.shape[-1] == 0:
            raise GraphError("a sum of no scalars is no node: give at least one")
        while (n := total.index.shape[-1]) > 1:
            halves = total[..., : n // 2] + total[..., n // 2 : n // 2 * 2]
            odd = [total[..., n - n % 2 :]] if n % 2 else []
            total = Scalars(
                self.tape,
                np.concatenate([part.index for part in (halves, *odd)], axis=-1),
                np.concatenate([part.value for part in (halves, *odd)], axis=-1),
            )
        return total[..., 0]

    def apply(self, op: str, *others: Any, **static: Any) -> "Scalars":
        """An elementwise op with NumPy's broadcasting; ``others`` are Scalars, a Scalar, an array or a number."""
        code = self.tape.code(op, static, 1 + len(others))
        operands = [self, *map(self._operand, others)]
        places = np.broadcast_arrays(*[o.index for o in operands])
        second = places[1] if others else np.broadcast_to(-1, places[0].shape)
        return self.tape.block(code, places[0], second, TABLE[op].value(*[o.value for o in operands], **static))

    def _operand(self, other: Any) -> "Scalars":
        if isinstance(other, Scalars | Scalar):
            if other.tape is not self.tape:
                raise GraphError("scalars of different tapes meet: record both on one")
            if isinstance(other, Scalar):
                return Scalars(self.tape, np.array(other.index), np.array(other.value))
            return other
        return self._operand(self.tape.constant(other))
