"""Layer: somebody's object with a forward and a backward, in whatever convention, as a Target.

These are the names; what tries the passes is imported by the first layer, since naming them should cost nothing.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gradcheck.target import Target, name_of

if TYPE_CHECKING:
    from gradcheck.adapters.assignment import Grads, Params
    from gradcheck.adapters.methods import Method


def recognises(obj: Any) -> bool:
    """Whether an object or a class has a forward and a backward, or two functions are such a pair."""
    from gradcheck.adapters.entry import is_whole
    from gradcheck.adapters.functions import is_pair

    if isinstance(obj, Sequence) and len(obj) == 2 and all(map(callable, obj)):
        return is_pair(*obj)
    if inspect.ismodule(obj) or inspect.isroutine(obj):
        return False
    return is_whole(obj)


def adapt(obj: Any, *, name: str | None = None, frozen: Iterable[int | str] = (), **options: Any) -> Target:
    """The Target of it; see `from_layer` and `from_functions`."""
    make: Callable[..., Target] = from_functions if isinstance(obj, Sequence) else from_layer
    return make(*(obj if isinstance(obj, Sequence) else (obj,)), name=name, frozen=frozen, **options)


def from_functions(
    forward: Callable[..., Any], backward: Callable[..., Any] | None = None, *, name: str | None = None, **options: Any
) -> Target:
    """A target from two functions: (out, cache) = forward(x, …) and backward(dout, cache); f and its derivative f′(x);
    or one function that returns (loss, gradients).

    What forward returns beside its value is handed to backward; the i-th gradient belongs to the i-th array, unless
    the return statement or a dict gives names. Options, notes and errors are those of `from_layer`.

    >>> import gradcheck, numpy as np
    >>> def scale_forward(x, w): return x * w, (x, w)
    >>> def scale_backward(dout, cache): return dout * cache[1], (dout * cache[0]).sum(0)
    >>> gradcheck.check(from_functions(scale_forward, scale_backward), np.ones((3, 2)), np.ones(2)).verdict
    <Verdict.PASS: 'pass'>
    """
    from gradcheck.adapters.functions import as_layer

    layer, run, back = as_layer(forward, backward)
    return from_layer(layer, forward=run, backward=back, name=name or name_of(forward), **options)


def from_layer(
    layer: Any,
    *,
    forward: "Method | None" = None,
    backward: "Method | None" = None,
    params: "Params" = None,
    grads: "Grads" = None,
    frozen: Iterable[int | str] = (),
    training: bool | None = None,
    convention: str = "auto",
    name: str | None = None,
    **settings: Any,
) -> Target:
    """A target from an object with a forward and a backward, whatever they are called and wherever gradients appear.

    layer: an object, or a class or function without arguments that makes one. It is copied, and never run itself.
    forward, backward: the names of the methods, or functions forward(layer, *inputs) and backward(layer, cotangent).
    params: the names of the parameters, or a function of the layer that returns them by name.
    grads: for each parameter the place of its gradient ({"W": "dW"}), or a function of the layer after backward that
    returns gradients by name. frozen: inputs (name or position) and parameters to hold fixed. training: the value of
    every training flag; None leaves defaults. settings: further arguments of the methods, by name.
    convention: "auto" undoes habits that are no mistakes (batch means, a clip, a written cotangent) and says so in the
    notes; "vjp" leaves them to the judge.

    The convention is found by looking and trying when inputs are first seen, and said in `Report.notes`. Raises
    TypeError where there is no forward or no backward, or backward leaves no gradient; ValueError for names that are
    not there.

    >>> import gradcheck, numpy as np
    >>> class Scale:
    ...     def __init__(self): self.gain = np.array([2.0, 3.0])
    ...     def forward(self, x): self.x = x; return x * self.gain
    ...     def backward(self, dout): self.dgain = (dout * self.x).sum(0); return dout * self.gain
    >>> report = gradcheck.check(from_layer(Scale), np.ones((4, 2)))
    >>> report.verdict, report.notes
    (<Verdict.PASS: 'pass'>, ('recognised: forward(x); backward returns dx; gradients: gain in self.dgain',))
    """
    if convention not in ("auto", "vjp"):
        raise ValueError(f"convention must be 'auto' or 'vjp', got {convention!r}")
    from gradcheck.adapters.binding import layer_target
    from gradcheck.adapters.entry import entered_by
    from gradcheck.adapters.functions import takes_context
    from gradcheck.adapters.passes import Passes

    made, forward, backward = entered_by(layer, forward, backward)
    label = name or (layer.__name__ if takes_context(layer) else type(made).__name__)
    held = (frozen,) if isinstance(frozen, str | int) else tuple(frozen)
    return layer_target(made, Passes(forward, backward, training, settings), label, params, grads, held, convention)
