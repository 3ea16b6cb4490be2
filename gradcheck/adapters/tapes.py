"""Tapes: engines whose values remember how they were made and have `.backward()` and `.grad`, as targets.

micrograd's Value (a number each), MyGrad's Tensor, tinygrad's Tensor, DeZero's Variable and their many cousins: all
that is asked of a value is data, grad and backward. Every pullback records a tape of its own, since many engines free
theirs, or add up gradients inside it, once it has been gone through.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.adapters.derivatives import Back, Pushforward, bound, unbound
from gradcheck.adapters.flat import Array, Flat, away_from_constants, flattened
from gradcheck.adapters.trees import leaves
from gradcheck.adapters.values import Parameter, array_of, cleared, gradient_of, is_value, parameters_of
from gradcheck.target import Target, name_of, names_of

_SEEDS = {"grad", "gradient", "g", "grad_output", "output_grad", "dout", "dy", "seed", "upstream", "cotangent"}
"""What engines call the cotangent among the arguments of backward, if they take one."""


def recognises(obj: Any) -> bool:
    """Whether an object is a model that holds values of a tape (micrograd's MLP), or a function of MyGrad."""
    if not callable(obj):
        return False
    if "mygrad" in sys.modules and _home(obj) == "mygrad":  # its ufuncs are classes
        return not hasattr(obj, "backward")
    return not isinstance(obj, type) and bool(parameters_of(obj))


def adapt(obj: Any, **options: Any) -> Target:
    """The entry of this adapter for `as_target`: `from_tape`."""
    return from_tape(obj, **options)


def from_tape(
    function: Any, value: Callable[..., Any] | None = None, *, name: str | None = None, frozen: Iterable[int | str] = ()
) -> Target:
    """A target from a function of a tape's values, or from a model that holds some: they are its parameters.

    value makes one from a number or an array: the class, or a function (lambda a: Tensor(a, requires_grad=True)); for a
    model, and for MyGrad's functions, it is known. An engine of numbers is given arrays of its values. The cotangent is
    handed to backward where that takes one; else the product of outputs and cotangent is put on the tape, too.
    Raises TypeError where no class of values is known or the function cannot be called. Source: Karpathy, micrograd,
    2020; Soklaski, MyGrad, 2017.

    >>> import mygrad, numpy as np, gradcheck
    >>> gradcheck.check(gradcheck.from_tape(lambda x: mygrad.exp(x) * x, mygrad.tensor), np.array([0.5, -1.0])).verdict
    <Verdict.PASS: 'pass'>
    """
    if not callable(function):
        raise TypeError(f"from_tape takes a function of values or a model that holds them, got {function!r:.60}")
    label = name or name_of(function)
    parameters = parameters_of(function)
    make = value or (type(parameters[0].values.flat[0]) if parameters else _mygrad(function))
    if make is None:
        raise TypeError(
            f"from_tape cannot see which values {label} works on: give their class, as in from_tape({label}, Value)"
        )
    lazy = _Tape(function, make, _counts(make), parameters)
    names = names_of(function)

    def bind(*inputs: Any) -> tuple[Target, tuple[Any, ...]]:
        flat = flattened(inputs, names, _is_array, frozen, label)
        arrays = [np.array(leaf) for leaf in flat.originals]
        moving = [a.dtype.kind == "f" and i not in flat.frozen for i, a in enumerate(arrays)]
        tape = _settled(lazy, [lazy.wrapped(a) if m else a for a, m in zip(arrays, moving, strict=True)], flat)
        moving += [True] * len(tape.parameters)
        call = Call(tape, flat, moving)
        own, notes = away_from_constants({p.name: p.read() for p in tape.parameters})
        return bound(label, call, moving, (*flat.names, *own), own, notes, "reverse"), tuple(arrays)

    return unbound(label, names, bind)


@dataclass(frozen=True)
class _Tape:
    """make: a value from a number (`counts`) or an array."""

    function: Callable[..., Any]
    make: Callable[..., Any]
    counts: bool
    parameters: Sequence[Parameter]

    def wrapped(self, array: Array) -> Any:
        """A value, or an array of them where the engine knows numbers only."""
        if not self.counts:
            return self.make(array.copy())
        values = np.array([self.make(float(entry)) for entry in array.flat], dtype=object)
        return values.reshape(array.shape) if array.ndim else values[0]

    @contextmanager
    def holding(self, arrays: Sequence[Array]) -> Iterator[None]:
        """The model's parameters at other values, without gradients; afterwards both are as they were."""
        before = [(p, p.read(), [v.grad for v in p.values.flat]) for p in self.parameters]
        try:
            for parameter, array in zip(self.parameters, arrays, strict=True):
                parameter.write(array)
                cleared(parameter.values.flat)
            yield
        finally:
            for parameter, array, gradients in before:
                parameter.write(array)
                for v, gradient in zip(parameter.values.flat, gradients, strict=True):
                    try:
                        v.grad = gradient
                    except AttributeError:  # MyGrad's can only be forgotten
                        cleared([v])


def _settled(tape: _Tape, values: Sequence[Any], flat: Flat) -> _Tape:
    """A lazy model makes its parameters in its first call; those that it still lacks then are left out."""
    if not any(p.lacks_data for p in tape.parameters):
        return tape
    with suppress(Exception):  # the judge meets it again, and says so
        tape.function(*flat.rebuilt(values))
    return replace(tape, parameters=[p for p in parameters_of(tape.function) if not p.lacks_data])


@dataclass(frozen=True)
class Call:
    """A tape at inputs of one structure. moving: which flat inputs are values, parameters last."""

    tape: _Tape
    flat: Flat
    moving: Sequence[bool]

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs: one array for an engine of numbers, one a value else."""
        with self._recorded(arrays) as (_, outputs):
            return [array_of(o) for o in outputs]

    def linearize(self, arrays: Sequence[Array]) -> Back:
        """A tape that is recorded anew whenever it is gone back through."""
        kept = [np.array(a) for a in arrays]

        def back(cotangents: tuple[Array, ...]) -> list[Array]:
            with self._recorded(kept) as (inputs, outputs):
                for root, seed in _roots(outputs, cotangents, self.tape):
                    root.backward(*seed)
                return [gradient_of(v, a) for v, a, moves in zip(inputs, kept, self.moving, strict=True) if moves]

        return back

    def pushforward(self, arrays: Sequence[Array]) -> Pushforward:
        """Tapes go backwards only."""
        raise NotImplementedError("a tape has no forward mode")

    @contextmanager
    def _recorded(self, arrays: Sequence[Array]) -> Iterator[tuple[list[Any], list[Any]]]:
        """The values of the inputs, parameters last, and those of the outputs of one forward pass."""
        count = len(self.flat.originals)
        with self.tape.holding(arrays[count:]):
            values = [self.tape.wrapped(a) if m else a for a, m in zip(arrays[:count], self.moving, strict=False)]
            outputs = [leaf for _, leaf in leaves(self.tape.function(*self.flat.rebuilt(values)))]
            if self.tape.counts and len(outputs) != 1:  # a list of numbers is one output
                outputs = [np.array([o for o in outputs if is_value(o)], dtype=object)]
            found = [o for o in outputs if is_value(o) or isinstance(o, np.ndarray)]
            yield [*values, *(p.values for p in self.tape.parameters)], found


def _roots(outputs: list[Any], cotangents: Sequence[Array], tape: _Tape) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Where to go back from, and with what."""
    alone = len(outputs) == 1 and is_value(outputs[0]) and not tape.counts
    if alone and _SEEDS.intersection(inspect.signature(type(outputs[0]).backward).parameters):
        yield outputs[0], (tape.make(np.array(cotangents[0])),)
        return
    total = None
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if tape.counts:
            entries = zip(np.asarray(output, dtype=object).flat, np.asarray(cotangent).flat, strict=True)
            products = [o * float(v) for o, v in entries if is_value(o)]
        else:
            products = [(output * tape.make(np.array(cotangent))).sum()] if is_value(output) else []
        for product in products:
            total = product if total is None else total + product
    if total is not None:
        yield total, ()


def _counts(make: Callable[..., Any]) -> bool:
    """Whether the engine is one of numbers: its values have no shape, or cannot be made from an array."""
    try:
        return not hasattr(make(np.ones(2)), "shape")
    except (TypeError, ValueError, AssertionError):
        return True


def _mygrad(function: Any) -> Callable[..., Any] | None:
    tensor: Callable[..., Any] | None = getattr(sys.modules.get("mygrad"), "tensor", None)
    return tensor if _home(function) == "mygrad" else None


def _home(obj: Any) -> str:
    """The package that an object comes from."""
    return str(getattr(obj, "__module__", None) or type(obj).__module__).split(".")[0]


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | np.generic)
