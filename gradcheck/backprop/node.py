"""Symbols: a Node stands for a value that is not known yet; an op applied to a Node records a new one.

A Node carries a shape and no dtype: values appear only in ``forward``. Python scalars are kept as they are, so that
they take the dtype of the data (a float32 graph stays float32).
"""


from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck.backprop.errors import GraphError
from gradcheck.backprop.op import NOTHING, TABLE, Shape, Value

INPUT, CONSTANT = "input", "constant"


class Node:
    """One node of a graph: the op that makes it, its parents, and its shape. Compares by identity.

    >>> from gradcheck.backprop import trace
    >>> trace(lambda x, w: (x @ w).sum(), x=(5, 3), w=(3, 2)).outputs[0].op
    'sum'
    """

    __slots__ = ("index", "name", "op", "parents", "shape", "static", "trace")
    __array_ufunc__ = None  # array * node must ask Node.__rmul__, not loop over the entries of the array

    def __init__(
        self,
        trace: "Trace",
        op: str,
        parents: "tuple[Node, ...]",
        shape: Shape,
        static: Mapping[str, Any] = NOTHING,
        name: str | None = None,
    ) -> None:
        self.trace, self.op, self.parents, self.shape, self.static, self.name = trace, op, parents, shape, static, name
        self.index = len(trace.nodes)
        trace.nodes.append(self)

    @property
    def label(self) -> str:
        """The name of the node in print: its own, else ``u`` and its place in the graph."""
        return self.name or f"u{self.index}"

    def __repr__(self) -> str:
        if self.op == INPUT:
            made = "input"
        elif self.op == CONSTANT:
            value = self.static["value"]
            made = f"{value.dtype} constant" if isinstance(value, np.ndarray) else repr(value)
        else:
            arguments = [p.label for p in self.parents] + [f"{k}={v!r}" for k, v in self.static.items()]
            made = f"{self.op}({', '.join(arguments)})"
        return f"{self.label} = {made}  {self.shape}"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def T(self) -> "Node":  # noqa: N802 - the name NumPy gave it
        """All axes reversed, as in NumPy."""
        return apply("transpose", (self,), {"axes": None})  # type: ignore[no-any-return]

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a node of shape () has no length")
        return self.shape[0]

    def __bool__(self) -> bool:
        raise TypeError(f"{self.label} has no truth value: it is a symbol; use ops.where, ops.maximum or ops.minimum")

    __iter__ = None  # without it Python would iterate through __getitem__ and never stop

    def sum(self, axis: Any = None, keepdims: bool = False) -> "Node":
        """Sum over ``axis``; see ``ops.sum``."""
        return apply("sum", (self,), {"axis": axis, "keepdims": keepdims})  # type: ignore[no-any-return]

    def mean(self, axis: Any = None, keepdims: bool = False) -> "Node":
        """Mean over ``axis``; see ``ops.mean``."""
        return apply("mean", (self,), {"axis": axis, "keepdims": keepdims})  # type: ignore[no-any-return]

    def reshape(self, *shape: Any) -> "Node":
        """The same entries in another shape; see ``ops.reshape``."""
        target = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        return apply("reshape", (self,), {"shape": tuple(target)})  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Node):
            return apply("take", (self, index), {"axis": 0})
        return apply("getitem", (self,), {"index": index})

    def __neg__(self) -> Any:
        return apply("neg", (self,))

    def __abs__(self) -> Any:
        return apply("abs", (self,))

    def __add__(self, other: Any) -> Any:
        return apply("add", (self, other))

    def __radd__(self, other: Any) -> Any:
        return apply("add", (other, self))

    def __sub__(self, other: Any) -> Any:
        return apply("sub", (self, other))

    def __rsub__(self, other: Any) -> Any:
        return apply("sub", (other, self))

    def __mul__(self, other: Any) -> Any:
        return apply("mul", (self, other))

    def __rmul__(self, other: Any) -> Any:
        return apply("mul", (other, self))

    def __truediv__(self, other: Any) -> Any:
        return apply("div", (self, other))

    def __rtruediv__(self, other: Any) -> Any:
        return apply("div", (other, self))

    def __matmul__(self, other: Any) -> Any:
        return apply("matmul", (self, other))

    def __rmatmul__(self, other: Any) -> Any:
        return apply("matmul", (other, self))

    def __pow__(self, exponent: Any) -> Any:
        if isinstance(exponent, int | float):
            return apply("scalar_power", (self,), {"exponent": exponent})
        return apply("power", (self, exponent))

    def __rpow__(self, base: Any) -> Any:
        return apply("power", (base, self))

    # == and != stay identity, so that nodes can be keys of a table: write ops.equal and ops.not_equal.
    def __lt__(self, other: Any) -> Any:
        return apply("less", (self, other))

    def __le__(self, other: Any) -> Any:
        return apply("less_equal", (self, other))

    def __gt__(self, other: Any) -> Any:
        return apply("greater", (self, other))

    def __ge__(self, other: Any) -> Any:
        return apply("greater_equal", (self, other))


class Trace:
    """What is being recorded: nodes in the order in which they were made, which is a topological order."""

    __slots__ = ("constants", "nodes", "open")

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.open = True
        self.constants: dict[str, Node] = {}

    def input(self, name: str, shape: Shape) -> Node:
        """Record a new input."""
        return Node(self, INPUT, (), shape, name=name)

    def constant(self, value: Any) -> Node:
        """Record a constant; a Python scalar is recorded once, however often it is used."""
        if not isinstance(value, bool | int | float):
            array = np.asarray(value)
            if array.dtype.kind not in "biufc":
                raise TypeError(f"a constant of a graph must be numeric, got {type(value).__name__}: {value!r}")
            return Node(self, CONSTANT, (), array.shape, {"value": array})
        if repr(value) not in self.constants:
            self.constants[repr(value)] = Node(self, CONSTANT, (), (), {"value": value})
        return self.constants[repr(value)]

    def record(self, op: str, parents: tuple[Value, ...], static: Mapping[str, Any]) -> Node:
        """Record one application of an op, its shape checked."""
        if not self.open:
            raise GraphError(f"{op}: the graph is complete; do everything inside the function that is traced")
        nodes = tuple([p if type(p) is Node else self.constant(p) for p in parents])
        for p in nodes:
            if p.trace is not self:
                raise GraphError(f"{op}: {p.label} belongs to another graph; build both inside one trace")
        return Node(self, op, nodes, TABLE[op].shape(*[p.shape for p in nodes], **static), static)


def apply(op: str, parents: tuple[Value, ...], static: Mapping[str, Any] = NOTHING) -> Value:
    """Apply a row of the table: an array when all parents are arrays, a new Node when one of them is a Node.

    Raises ShapeError, naming the op, when the shapes do not fit.
    """
    for p in parents:
        if type(p) is Node:
            return p.trace.record(op, parents, static)
    row = TABLE[op]
    try:
        return row.value(*parents, **static)
    except (ValueError, IndexError):
        row.shape(*[np.shape(p) for p in parents], **static)  # a ShapeError says more than NumPy does
        raise
