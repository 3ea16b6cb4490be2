"""Case: the inputs behind a verdict, written so that they can be run again."""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.judge.reals import Array


@dataclass(frozen=True)
class Case:
    """The inputs behind a verdict, and the sizes that its layer was built with, if it was built for them.

    >>> import numpy as np
    >>> Case((np.array([0.5, 2.0]), np.array([1], dtype=np.int64)), {"n": 2})
    Case((np.array([0.5, 2.0]), np.array([1], dtype='int64')), {'n': 2})
    """

    inputs: tuple[Any, ...]
    sizes: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        inputs = ", ".join(_spelled(value) for value in self.inputs) + ("," if len(self.inputs) == 1 else "")
        return f"Case(({inputs}), {dict(self.sizes)!r})" if self.sizes else f"Case(({inputs}))"


def case_of(inputs: Sequence[Any]) -> Case:
    """The case of these inputs, its NumPy arrays being copies: whoever gave them may go on writing there.

    >>> x = np.zeros(2)
    >>> case = case_of([x])
    >>> x += 1
    >>> case
    Case((np.array([0.0, 0.0]),))
    """
    return Case(tuple(map(_copied, inputs)))


def _copied(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (tuple, list):
        return type(value)(map(_copied, value))
    return {key: _copied(part) for key, part in value.items()} if type(value) is dict else value


def telling_case(shapes: Mapping[str, Sequence[str | int]], dtype: str = "float64") -> Case:
    """Sizes 3, 4, 5, … by letter and numbers without zeros, ties or patterns: where mistakes differ from one another.

    >>> case = telling_case({"x": ("n", "k"), "w": ("k", 2)})
    >>> case.sizes, [x.shape for x in case.inputs]
    ({'n': 3, 'k': 4}, [(3, 4), (4, 2)])
    """
    letters = dict.fromkeys(axis for axes in shapes.values() for axis in axes if isinstance(axis, str))
    sizes = {letter: 3 + n for n, letter in enumerate(letters)}
    rng = np.random.default_rng(0)
    arrays = []
    for axes in shapes.values():
        shape = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in axes)
        arrays.append((rng.choice([-1.0, 1.0], shape) * rng.uniform(0.25, 1.75, shape)).astype(dtype))
    return Case(tuple(arrays), sizes)


def seed_of(case: Case) -> int:
    """A seed from the inputs themselves, so that a case gets the same verdict wherever it is judged again."""
    parts = [np.ascontiguousarray(np.asarray(value)) for value in case.inputs]
    # the bytes of an extended number hold padding, which is not the same every time
    parts = [
        part.astype(np.complex128 if part.dtype.kind == "c" else np.float64) if part.dtype.char in "gG" else part
        for part in parts
    ]
    return zlib.crc32(b"".join(part.tobytes() + str(part.shape).encode() for part in parts if part.dtype != object))


def size_of(case: Case) -> tuple[int, int]:
    """How many entries a case has, and how many of them are not zero: the smaller, the simpler."""
    arrays = [np.asarray(value) for value in case.inputs]
    return sum(a.size for a in arrays), sum(int(np.count_nonzero(a)) for a in arrays)


def _spelled(value: Any) -> str:
    """An input as a Python expression that evaluates to it, np being numpy, and jnp that of JAX."""
    if type(value) is dict:
        return f"{{{', '.join(f'{key!r}: {_spelled(part)}' for key, part in value.items())}}}"
    if type(value) in (tuple, list):
        parts = ", ".join(map(_spelled, value)) + ("," if type(value) is tuple and len(value) == 1 else "")
        return f"({parts})" if type(value) is tuple else f"[{parts}]"
    if (make := _MAKERS.get(type(value).__module__.partition(".")[0])) is not None and hasattr(value, "tolist"):
        return _tensor(value, make)
    if not isinstance(value, np.ndarray | np.generic):
        return repr(value)
    array = np.asarray(value)
    dtype = "" if array.dtype == np.float64 else f", dtype={array.dtype.name!r}"
    if array.dtype == bool:
        dtype = ""
    if not array.size:
        return f"np.zeros({array.shape}{dtype})"
    return f"np.array({_listed(array)}{dtype})"


_MAKERS = {"torch": "torch.tensor", "jaxlib": "jnp.array"}


def _tensor(value: Any, make: str) -> str:
    """A framework's array, exact: what it prints itself is rounded, and names neither framework nor, always, dtype."""
    room, dtype = make.partition(".")[0], value.dtype if make.startswith("torch") else repr(value.dtype.name)
    if not all(value.shape):
        return f"{room}.zeros({tuple(value.shape)}, dtype={dtype})"
    numbers = re.sub(r"\b(nan|inf)\b", rf"{room}.\1", repr(value.tolist()))
    return f"{make}({numbers}, dtype={dtype})"


def _listed(array: Array) -> str:
    if array.ndim:
        return f"[{', '.join(_listed(part) for part in array)}]"
    value = array.item()
    if array.dtype in (np.longdouble, np.clongdouble):
        return repr(str(value))
    text = repr(value)
    return (
        text
        if array.dtype.kind in "iub" or np.isfinite(array)
        else text.replace("nan", "np.nan").replace("inf", "np.inf")
    )
