"""Functions: passes that are functions rather than methods, each seen as a layer with a forward and a backward.

A pair `(out, cache) = f_forward(x, …)`, `dx, … = f_backward(dout, cache)`; static methods with a context; a function
beside its derivative at the same point; a loss that returns its gradient at once.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from gradcheck.adapters.caches import is_context
from gradcheck.adapters.closures import returns_pullback, with_pullback
from gradcheck.adapters.methods import CallError, Method, Standing, input_names, signature
from gradcheck.adapters.naming import AT_OUTPUT, CACHES, COTANGENT, GRADIENTS, stems
from gradcheck.adapters.walk import Array
from gradcheck.adapters.wording import returned_names

_BACK = re.compile(r"backward|backprop|bprop|bwd|_back(?![a-z])|_vjp|_pullback", re.IGNORECASE)
_FORTH = re.compile(r"forward|forwardprop|fprop|fwd", re.IGNORECASE)
_DERIVED = re.compile(r"_(?:prime|derivative|deriv|grad|gradient)$|^(?:d_|grad_|deriv_|derivative_|gradient_)")


class Pair(NamedTuple):
    """Two functions of a module that belong together: by name, a forward and its backward."""

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]


def pairs_in(module: ModuleType) -> list[Pair]:
    """The forward and backward functions of a module that belong together by name, in the order of their definition.

    x_forward with x_backward, forward_x with backward_x, x with x_backward or x_vjp; a backward of a further name
    (x_backward_alt) goes with the forward whose name it extends.

    >>> import types
    >>> module = types.ModuleType("layers")
    >>> exec("def f_forward(x): ...\\ndef f_backward(d, cache): ...\\ndef f_backward_alt(d, cache): ...", vars(module))
    >>> [pair.name for pair in pairs_in(module)]
    ['f', 'f_alt']
    """
    functions = {name: f for name, f in vars(module).items() if inspect.isfunction(f)}
    found = []
    for name, backward in functions.items():
        if not _BACK.search(name):
            continue
        forward = next((functions[guess] for guess in _counterparts(name) if guess in functions), None)
        if forward is not None and forward is not backward:
            found.append(Pair(re.sub(r"__+", "_", _BACK.sub("", name)).strip("_") or name, forward, backward))
    return found


def _counterparts(name: str) -> Iterator[str]:
    """What the forward of a backward may be called, the likeliest first."""
    words = {"backward": "forward", "backprop": "forward", "bprop": "fprop", "bwd": "fwd", "_back": "_forward"}
    shorter = name
    while shorter:
        for back, forth in words.items():
            if back in shorter:
                yield shorter.replace(back, forth)
        yield _BACK.sub("", shorter).strip("_")
        shorter = shorter.rpartition("_")[0] if _BACK.search(shorter.rpartition("_")[0]) else ""


def is_pair(forward: Any, backward: Any) -> bool:
    """Whether two functions are a forward and a backward, or a function and its derivative, rather than (f, vjp).

    By name (affine_forward, affine_backward), by a cache among the arguments, or by a single argument where
    vjp(inputs, cotangent) has two (sigmoid, sigmoid_prime).

    >>> def relu_backward(dout, cache): ...
    >>> is_pair(np.tanh, relu_backward), is_pair(np.tanh, lambda inputs, g: g)
    (True, False)
    """
    if not inspect.isfunction(backward):
        return False
    names = list(inspect.signature(backward).parameters)
    if names[:1] == ["inputs"]:
        return False
    both = bool(_FORTH.search(getattr(forward, "__name__", ""))) and bool(_BACK.search(backward.__name__))
    return both or any(name in CACHES for name in names) or (is_derived(backward) and len(names) == 1)


def is_derived(backward: Any) -> bool:
    """Whether a function is called the derivative of something: sigmoid_prime, tanh_derivative, d_relu."""
    return bool(_DERIVED.search(getattr(backward, "__name__", "")))


def as_layer(forward: Callable[..., Any], backward: Callable[..., Any] | None) -> tuple[Any, Method, Method]:
    """A layer of two functions, with its passes: a pair with a cache, a function with its derivative, or a function
    that returns its value and gradients at once (backward None).
    """
    layer = SimpleNamespace(function=forward, back=backward)
    if backward is None:
        return layer, *(with_pullback("function") if returns_pullback(forward) else at_once("function"))
    names = input_names(backward)
    alone = len(names) == 1 and not COTANGENT.match(names[0])  # of x: a cotangent alone would not tell where
    with_cotangent = len(names) > len(input_names(forward)) and any(map(COTANGENT.match, names))  # sigmoid_grad(z, dz)
    if (alone or (is_derived(backward) and not with_cotangent)) and not any(name in CACHES for name in names):
        return layer, *with_derivative("function", "back")
    return layer, "function", "back"


def with_derivative(forward: str, derivative: str) -> tuple[Method, Method]:
    """Passes of an object that has a function and its derivative at the same point.

    The derivative is taken at the inputs, or at the value if its argument is named for one, or without an argument at
    what the function kept. Of each entry, of a loss, or the Jacobian of each row: what a cotangent is multiplied with.
    """

    def run(layer: Any, *inputs: Any) -> Any:
        value = getattr(layer, forward)(*inputs)
        layer.point_of_derivative = (inputs, value)
        return value

    def back(layer: Any, cotangent: Array) -> Any:
        inputs, value = layer.point_of_derivative
        method = getattr(layer, derivative)
        names = input_names(method)
        wanted, _, variadic = signature(method)
        if len(wanted) > max(len(inputs), 1):
            raise CallError(
                f"{derivative} wants {', '.join(wanted[len(inputs) :])} beside the inputs of {forward}; put it in: "
                f"from_layer(…, backward=lambda layer, cotangent: …)"
            )
        taken = input_names(getattr(layer, forward))
        at_value = len(names) == 1 and names[0] in AT_OUTPUT and names != taken
        point = (value,) if at_value else inputs if variadic else _asked(names, taken, inputs)
        rows = any(np.shape(x) == np.shape(value) for x in inputs)
        return times(cotangent, method(*point), jacobian=rows)

    return Standing(run, forward, True), Standing(back, derivative, False)


def _asked(names: list[str], all_names: list[str], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Those of forward's inputs that a derivative takes: by its arguments' names if they are forward's, else the first.

    >>> _asked(["y"], ["x", "y"], (1.0, 2.0)), _asked(["z"], ["x", "y"], (1.0, 2.0)), _asked([], ["x"], (1.0,))
    ((2.0,), (1.0,), ())
    """
    if set(names) <= set(all_names[: len(inputs)]):
        return tuple(inputs[all_names.index(name)] for name in names)
    return inputs[: len(names)]


def at_once(forward: str) -> tuple[Method, Method]:
    """Passes of an object whose one method returns (value, gradients…)."""

    def run(layer: Any, *inputs: Any) -> Any:
        outcome = getattr(layer, forward)(*inputs)
        if not isinstance(outcome, tuple) or len(outcome) < 2:
            raise TypeError(
                f"{forward} returned {type(outcome).__name__}, and there is no backward pass: a function by itself "
                f"returns (value, pullback), or (loss, gradients)"
            )
        layer.returned_at_once = (..., *outcome[1:])  # no gradient, and the places of the return statement
        return outcome[0]

    def back(layer: Any, cotangent: Array) -> Any:
        return times(cotangent, layer.returned_at_once)

    return Standing(run, forward, True), Standing(back, forward, False)


def answers_at_once(forward: Callable[..., Any]) -> bool:
    """Whether a function returns its value and gradients, by the words of its return statement: loss, dx.

    >>> answers_at_once(at_once), answers_at_once(len)
    (False, False)
    """
    words = {place: word for place, word in returned_names(forward).items() if len(place) == 1}
    further = [word for (place,), word in words.items() if place]
    return (0,) in words and bool(further) and all(word in GRADIENTS or stems(word) for word in further)


def times(cotangent: Array, derivative: Any, jacobian: bool = False) -> Any:
    """Cotangent times derivative, whatever containers the derivatives are in; a Jacobian of each row, if one can be.

    >>> times(np.array([2.0, 3.0]), (np.ones((2, 1)), None))
    (array([[2.],
           [3.]]), None)
    """
    if derivative is None or derivative is ...:
        return derivative
    if isinstance(derivative, dict):
        return {key: times(cotangent, part, jacobian) for key, part in derivative.items()}
    if isinstance(derivative, list | tuple):
        return tuple(times(cotangent, part, jacobian) for part in derivative)
    array, g = np.asarray(derivative), np.asarray(cotangent)
    if jacobian and g.ndim and array.shape == g.shape + g.shape[-1:]:
        return np.einsum("...i,...ij->...j", g, array)
    return g.reshape(g.shape + (1,) * (array.ndim - g.ndim)) * array if g.ndim < array.ndim else g * array


def takes_context(layer: Any) -> bool:
    """Whether a class has a forward(ctx, …) and backward(ctx, …) that are static, or methods of the class."""
    if not inspect.isclass(layer):
        return False
    passes = [getattr(layer, role, None) for role in ("forward", "backward")]
    return all(callable(one) and is_context(*signature(one)[0][:1]) for one in passes)


def is_derivative(layer: Any, method: str) -> bool:
    """Whether a method called gradient, grad, … takes inputs, by the names of its arguments, and no cotangent."""
    names = input_names(getattr(layer, method))
    return bool(names) and not any(COTANGENT.match(name) for name in names)
