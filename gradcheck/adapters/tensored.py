"""Tensored: a layer that somebody wrote by hand over torch's tensors, seen as one over arrays.

Its tensors lie in it as arrays of the same memory, where recognition finds them like any others; around every pass
they are tensors again, in float64, with gradients of torch's own switched off.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.adapters.methods import Method, Standing, bound
from gradcheck.adapters.walk import copied, places


def tensored(layer: Any, forward: Method, backward: Method) -> tuple[Any, Method, Method]:
    """A copy of the layer that holds arrays for tensors, with passes that take and return arrays."""
    made = copied(layer)
    _exchange(made, is_tensor, array_of)
    return made, _over_arrays(made, forward, is_forward=True), _over_arrays(made, backward, is_forward=False)


def is_tensor(value: Any) -> bool:
    """Whether a value is one of torch's tensors; torch is not imported to tell.

    >>> is_tensor(np.ones(2))
    False
    """
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def array_of(tensor: Any) -> Any:
    """The array in a tensor, in float64 where that is of floats; anything else as it is."""
    if not is_tensor(tensor):
        return tensor
    array = tensor.detach().cpu().numpy()
    return array.astype(np.float64) if array.dtype == np.float32 else array


def _over_arrays(layer: Any, method: Method, is_forward: bool) -> Method:
    """A pass that takes and returns arrays, with the signature and the return statement that it has over tensors."""

    def run(layer: Any, *given: Any, **settings: Any) -> Any:
        with _in_tensors(layer):
            box = [bound(layer, method)(*map(_tensor, given), **settings)]
            _exchange(box, is_tensor, array_of)
        return box[0]

    taken = inspect.signature(bound(layer, method)).parameters.values()
    own = inspect.Parameter("layer_itself", inspect.Parameter.POSITIONAL_ONLY)
    vars(run)["__signature__"] = inspect.Signature([own, *taken])
    if not isinstance(method, str | Standing):
        return run
    return Standing(run, method if isinstance(method, str) else method.method, is_forward)


@contextmanager
def _in_tensors(layer: Any) -> Iterator[None]:
    torch: Any = importlib.import_module("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    _exchange(layer, lambda value: isinstance(value, np.ndarray), _tensor)
    try:
        with torch.no_grad():
            yield
    finally:
        _exchange(layer, is_tensor, array_of)
        torch.set_default_dtype(before)


def _tensor(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    torch: Any = importlib.import_module("torch")
    return torch.from_numpy(np.require(value, requirements=("C", "W")))  # as torch makes them: view() asks for it


def _exchange(root: Any, which: Callable[[Any], bool], made: Callable[[Any], Any]) -> None:
    """Put something made of it in the place of every such value inside an object; one under two names stays one."""
    known: dict[int, tuple[Any, Any]] = {}

    def new(value: Any) -> Any:
        if type(value) is tuple:
            parts = tuple(map(new, value))
            return parts if any(one is not other for one, other in zip(parts, value, strict=True)) else value
        if not which(value):
            return value
        return known.setdefault(id(value), (value, made(value)))[1]  # kept, so that no other takes its id

    for _, place in list(places(root)):
        if isinstance(place, dict):
            items: Any = list(place.items())
        elif isinstance(place, list):
            items = list(enumerate(place))
        else:
            place, items = getattr(place, "__dict__", {}), list(getattr(place, "__dict__", {}).items())
        for key, value in items:
            other = new(value)
            if other is not value:
                place[key] = other
