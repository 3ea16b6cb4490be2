"""Values: what a tape's values have in common, and where a model keeps those that are its parameters."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.adapters.flat import Array

Values = npt.NDArray[Any]  # of objects

_DEPTH = 6
"""How deep to look: model, list of layers, layer, list of neurons, neuron, its weights."""


def is_value(obj: Any) -> bool:
    """Whether an object is a value of somebody's tape: backward and grad, and data or numpy().

    Frameworks that have an adapter of their own are left to it.
    """
    kind = type(obj)
    parts = hasattr(kind, "backward") and (hasattr(kind, "data") or hasattr(kind, "numpy") or "data" in _own(obj))
    return parts and hasattr(obj, "grad") and kind.__module__.split(".")[0] not in ("torch", "jax", "jaxlib")


@dataclass(frozen=True)
class Parameter:
    """Values of a model under one name: an array of numbers' values, or one value of an array in an array without
    dimensions.
    """

    name: str
    values: Values

    @property
    def lacks_data(self) -> bool:
        """Whether a lazy model has yet to make it: DeZero's have no data before the first call."""
        return any(getattr(v, "data", v) is None for v in self.values.flat)

    def read(self) -> Array:
        """The numbers, copied."""
        return array_of(self.values) if self.values.ndim else array_of(self.values.flat[0])

    def write(self, array: Array) -> None:
        """Put other numbers in their place, in the dtype that they have."""
        for value, entry in zip(self.values.flat, array.flat if self.values.ndim else [array], strict=True):
            before = array_of(value)
            if callable(getattr(value, "assign", None)):  # tinygrad's data is a method
                value.assign(type(value)(np.array(entry, dtype=before.dtype)))
            else:
                value.data = float(entry) if not hasattr(value, "shape") else np.array(entry, dtype=before.dtype)


def parameters_of(model: Any) -> list[Parameter]:
    """The values a model holds, by the path to them; a list of numbers' values is one parameter.

    >>> from types import SimpleNamespace
    >>> parameters_of(SimpleNamespace(layers=[1, 2])), parameters_of(abs)
    ([], [])
    """
    return list(_found(model, "", set(), _DEPTH))


def _found(obj: Any, path: str, seen: set[int], depth: int) -> Iterator[Parameter]:
    if id(obj) in seen or depth < 0 or isinstance(obj, type | str | np.ndarray):
        return
    seen.add(id(obj))
    if is_value(obj):
        yield Parameter(path or "value", _boxed(obj))
    elif isinstance(obj, list | tuple) and obj and all(is_value(v) and not hasattr(v, "shape") for v in obj):
        seen.update(map(id, obj))
        yield Parameter(path, np.array(obj, dtype=object))
    elif isinstance(obj, list | tuple):
        for i, item in enumerate(obj):
            yield from _found(item, f"{path}[{i}]", seen, depth - 1)
    elif isinstance(obj, dict):
        for key, item in obj.items():
            yield from _found(item, f"{path}[{key!r}]", seen, depth - 1)
    else:
        for key, item in _own(obj).items():
            yield from _found(item, f"{path}.{key}" if path else key, seen, depth - 1)


def _own(obj: Any) -> dict[str, Any]:
    """An object's attributes; a function's and a module's are not looked into."""
    own = {} if callable(obj) and hasattr(obj, "__code__") else getattr(obj, "__dict__", {})
    return own if isinstance(own, dict) and "__loader__" not in own else {}


def _boxed(value: Any) -> Values:
    box: Values = np.empty((), dtype=object)
    box[()] = value
    return box


def array_of(value: Any) -> Array:
    """The numbers in a value, in an array of values, or in what an engine keeps as a gradient; copied."""
    if isinstance(value, np.ndarray):
        if value.dtype != object:
            return value.copy()
        return np.array([array_of(v) for v in value.flat], dtype=np.float64).reshape(value.shape)
    if callable(getattr(value, "numpy", None)):
        return np.array(value.numpy())
    if is_value(value):
        return array_of(value.data)
    return np.array(value, dtype=None if isinstance(value, np.generic) else np.float64)


def gradient_of(value: Any, primal: Array) -> Array:
    """What backward left in a value, or in an array of them, with the shape it has there; zeros where that is None."""
    if isinstance(value, np.ndarray):
        entries = [gradient_of(v, np.zeros(())) for v in value.flat] if value.ndim else [gradient_of(value[()], primal)]
        return np.array(entries).reshape(value.shape) if value.ndim else entries[0]
    return np.zeros_like(primal) if value.grad is None else array_of(value.grad)


def cleared(values: Iterable[Any]) -> None:
    """Forget the gradients, in whichever way the engine has for it."""
    for value in values:
        for method in ("null_grad", "cleargrad", "zero_grad"):
            if callable(getattr(value, method, None)):
                getattr(value, method)()
                break
        else:
            with suppress(AttributeError):
                value.grad = None if value.grad is None else 0 * value.grad
