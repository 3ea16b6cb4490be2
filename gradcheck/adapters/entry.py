"""Entry: an object, a class, or a function that makes one, as a layer with its two passes found by name."""

import inspect
from typing import Any

from gradcheck.adapters.caches import Context
from gradcheck.adapters.closures import returns_pullback, with_pullback
from gradcheck.adapters.functions import answers_at_once, at_once, is_derivative, takes_context, with_derivative
from gradcheck.adapters.methods import Method, arguments, bound, defaults, is_flag, spell
from gradcheck.adapters.naming import BACKWARD, DERIVATIVE, FORWARD, OPTIMISERS, RATES, TESTING, TRAINING
from gradcheck.adapters.passes import Passes
from gradcheck.adapters.walk import copied


def entered_by(layer: Any, forward: Method | None, backward: Method | None) -> tuple[Any, Method, Method]:
    """The object with its two passes, those that are not given found by name."""
    if takes_context(layer):
        return Context(), forward or layer.forward, backward or layer.backward
    if inspect.isclass(layer) or inspect.isfunction(layer):
        try:
            inspect.signature(layer).bind()
        except TypeError as error:
            name = layer.__name__
            raise TypeError(
                f"{name} cannot be made without arguments ({error}); give a function that makes one: "
                f"from_layer(lambda: {name}(…))"
            ) from error
        layer = layer()
    forward = forward or _first(layer, FORWARD, "forward")
    if backward is None and isinstance(forward, str):
        derivatives = methods_of(layer, DERIVATIVE)
        pulls = [n for n in methods_of(layer, BACKWARD) if n not in derivatives or not is_derivative(layer, n)]
        if pulls:
            return layer, forward, next((n for n in pulls if _takes_cotangent(layer, n)), pulls[0])
        if derivatives:
            return layer, *with_derivative(forward, derivatives[0])
        if returns_pullback(getattr(layer, forward), layer):
            return layer, *with_pullback(forward)
        if forward == "loss" or answers_at_once(getattr(layer, forward)):
            return layer, *at_once(forward)
    return layer, forward, backward or _first(layer, BACKWARD, "backward")


def _takes_cotangent(layer: Any, method: str) -> bool:
    """Whether a method takes more than settings: backward(learning_rate) is the step, and gradient(dout) the pass."""
    names = arguments(getattr(layer, method))
    return not names or any(name not in RATES + OPTIMISERS and not is_flag(name) for name in names)


def in_mode(layer: Any, passes: Passes) -> Any:
    """A copy of the layer in the mode asked for; settings that no method takes go to a context, or are refused."""
    there = [
        method for method in (passes.forward, passes.backward) if not isinstance(method, str) or hasattr(layer, method)
    ]
    taken = {name for method in there for name in arguments(bound(layer, method))}
    for name in passes.settings:
        if name not in taken and not isinstance(layer, Context):
            raise TypeError(
                f"from_layer got an argument {name!r}, which neither {spell(passes.forward)} nor "
                f"{spell(passes.backward)} takes ({', '.join(sorted(taken))})"
            )
    if passes.training is None and not isinstance(layer, Context):
        return layer
    layer = copied(layer)
    if isinstance(layer, Context):
        # engines put the defaults of forward's arguments on the context, where backward finds them
        vars(layer).update(defaults(bound(layer, passes.forward)) | passes.settings)
    for name in modes_of(layer) if passes.training is not None else ():
        setattr(layer, name, passes.training == (name.strip("_") in TRAINING))
    mode = getattr(layer, "train" if passes.training else "eval", None)
    if passes.training is not None and inspect.ismethod(mode) and not arguments(mode):
        mode()
    return layer


def modes_of(layer: Any) -> list[str]:
    """The flags for training or testing that are attributes of a layer, by themselves or private.

    >>> from types import SimpleNamespace
    >>> modes_of(SimpleNamespace(training=True, _is_test=False, train=3))
    ['training', '_is_test']
    """
    names = [f"{private}{name}" for name in TRAINING + TESTING for private in ("", "_")]
    return [name for name in names if isinstance(getattr(layer, name, None), bool)]


def _first(layer: Any, names: tuple[str, ...], role: str) -> str:
    found = methods_of(layer, names)
    if not found:
        public = ", ".join(n for n in dir(layer) if not n.startswith("_") and callable(getattr(layer, n, None)))
        raise TypeError(
            f"{type(layer).__name__} has no method known as a {role} pass (its methods: {public or 'none'}); say "
            f"which: from_layer(…, {role}='its name')"
        )
    return found[0]


def is_whole(obj: Any) -> bool:
    """Whether an object, or a class, has a forward and what goes back: a backward, or what forward returns."""
    called = inspect.isclass(obj) and any("__call__" in vars(base) for base in obj.__mro__)
    forward = methods_of(obj, FORWARD) or ["__call__"] * called
    if not forward or methods_of(obj, BACKWARD + DERIVATIVE):
        return bool(forward)
    return returns_pullback(getattr(obj, forward[0]), obj) or answers_at_once(getattr(obj, forward[0]))


def methods_of(obj: Any, names: tuple[str, ...]) -> list[str]:
    """The methods of an object, or of a class, that go under these names, long ones however they are written.

    >>> from types import SimpleNamespace
    >>> methods_of(SimpleNamespace(forwardProp=abs, Fn=abs), ("forward", "forward_prop", "fn"))
    ['forwardProp']
    """
    made = not inspect.isclass(obj)
    long = {_plain(name): name for name in dir(obj) if len(name) >= _LONG and not name.startswith("_")}
    there = [name if hasattr(obj, name) else long.get(_plain(name), name) for name in names]
    return [name for name in there if (made or name != "__call__") and callable(getattr(obj, name, None))]


_LONG = 6
"""Letters of a name that means a pass in any spelling: Forward, backProp; D and Grad may be anything."""


def _plain(name: str) -> str:
    return name.lower().replace("_", "") if not name.startswith("_") else name
