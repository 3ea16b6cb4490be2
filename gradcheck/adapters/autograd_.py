"""HIPS autograd: functions written with autograd.numpy, and primitives with the vjps defined for them, as targets."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.adapters.derivatives import Back, Pushforward, bound_function, derivative, unbound
from gradcheck.adapters.flat import Array, Flat, flattened, framework
from gradcheck.adapters.trees import leaves
from gradcheck.target import Target, name_of, names_of

Run = Callable[[Sequence[Any]], list[Any]]
"""run(arrays) -> the float arrays among the outputs; either may be autograd's boxes."""


def recognises(obj: Any) -> bool:
    """Whether an object is a primitive of autograd, its wrapped NumPy functions among them; does not import autograd.

    A function that calls them looks like any other: give it to `from_autograd`.
    """
    return "autograd" in sys.modules and callable(obj) and getattr(obj, "_is_autograd_primitive", False) is True


def adapt(obj: Any, **options: Any) -> Target:
    """The entry of this adapter for `as_target`: `from_autograd`."""
    return from_autograd(obj, **options)


def from_autograd(
    function: Any, *, name: str | None = None, frozen: Iterable[int | str] = (), order: int = 1, mode: str = "reverse"
) -> Target:
    """A target from a function that HIPS autograd can differentiate, or a primitive with its defvjp.

    Inputs are arrays, also nested in lists, tuples and dictionaries; every float or complex one is judged, Python
    numbers stay what they are. order=2 judges the gradient of the gradient, mode="forward" what defjvp says.
    Raises ValueError for another order or mode, TypeError for what cannot be called. Source: Maclaurin, Duvenaud and
    Adams, Autograd, AutoML workshop at ICML 2015.

    >>> import autograd.numpy as anp, gradcheck
    >>> x = anp.array([[0.5, -1.0], [2.0, 0.3]])
    >>> gradcheck.check(gradcheck.from_autograd(lambda x, w: anp.tanh(anp.dot(x, w))), x, x.T).verdict
    <Verdict.PASS: 'pass'>
    """
    framework("autograd", "from_autograd", "autograd")
    label = derivative(name or name_of(function), order, mode)
    if not callable(function):
        raise TypeError(f"from_autograd takes a function of arrays, got {function!r:.60}")
    names = names_of(getattr(function, "fun", function))  # a primitive keeps what it wraps

    def bind(*inputs: Any) -> tuple[Target, tuple[Any, ...]]:
        flat = flattened(inputs, names, _is_array, frozen, label)
        arrays = [np.array(leaf) for leaf in flat.originals]
        moving = [a.dtype.kind in "fc" and i not in flat.frozen for i, a in enumerate(arrays)]
        return bound_function(label, Call(_run(function, flat), moving), arrays, flat.names, (), order, mode)

    return unbound(label, names, bind)


@dataclass(frozen=True)
class Call:
    """run: from flat arrays, boxed or not, to the float ones among the outputs. moving: which are differentiated."""

    run: Run
    moving: Sequence[bool]

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs, copied."""
        return [np.array(o) for o in self.run([np.array(a) for a in arrays])]

    def linearize(self, arrays: Sequence[Array]) -> Back:
        """make_vjp of the tuple of inputs that move; a tape may be gone back through as often as asked."""
        core: Any = sys.modules["autograd.core"]
        vjp, outputs = core.make_vjp(*self._of_moving([np.array(a) for a in arrays]))

        def back(cotangents: tuple[Array, ...]) -> list[Array]:
            given = tuple(c if np.ndim(o) else c[()] for c, o in zip(cotangents, outputs, strict=True))
            return [np.array(g) for g in vjp(given)]

        return back

    def pushforward(self, arrays: Sequence[Array]) -> Pushforward:
        """make_jvp of the tuple of inputs that move."""
        core: Any = sys.modules["autograd.core"]
        function, primals = self._of_moving([np.array(a) for a in arrays])
        jvp = core.make_jvp(function, primals)

        def push(position: int, tangent: Array) -> list[Array]:
            tangents = [np.zeros_like(p) for p in primals]
            tangents[sum(self.moving[:position])] = tangent
            return [np.array(t) for t in jvp(tuple(tangents))[1]]

        return push

    def gradient(self, values: Sequence[Any]) -> list[Any]:
        """The gradient as a function of the inputs and, after them, the cotangents: what order 2 differentiates."""
        core: Any = sys.modules["autograd.core"]
        builtins: Any = sys.modules["autograd.builtins"]
        function, primals = self._of_moving(values[: len(self.moving)])
        vjp, _ = core.make_vjp(function, builtins.tuple(primals))
        found = vjp(builtins.tuple(values[len(self.moving) :]))
        return [found[i] for i in range(len(primals))]

    def _of_moving(self, values: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
        """The function of the tuple of those inputs that move, and that tuple."""
        builtins: Any = sys.modules["autograd.builtins"]

        def function(primals: Any) -> Any:
            rest = (primals[i] for i in range(len(primals)))
            return builtins.tuple(self.run([next(rest) if m else v for v, m in zip(values, self.moving, strict=True)]))

        return function, tuple(v for v, moves in zip(values, self.moving, strict=True) if moves)


def _run(function: Any, flat: Flat) -> Run:
    """The function on flat arrays; integers and what is no array among the outputs carry no gradient."""
    tracer: Any = sys.modules["autograd.tracer"]

    def run(values: Sequence[Any]) -> list[Any]:
        outputs = []
        for _, leaf in leaves(function(*flat.rebuilt(values))):
            boxed = isinstance(tracer.getval(leaf), tuple | list)  # slogdet returns a tuple in one box
            outputs += [leaf[i] for i in range(len(leaf))] if boxed else [leaf]
        return [o for o in outputs if np.asarray(tracer.getval(o)).dtype.kind in "fc"]

    return run


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | np.generic)
