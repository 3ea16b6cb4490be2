"""Target: the neutral form of a layer, whoever wrote it and in whatever framework.

The idea is ChainRules' and jax.vjp's: a function returns its value and a *pullback*, the linear map that takes a
cotangent of the value to cotangents of the inputs. Everything in `gradcheck.judge` speaks of targets only.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Pullback = Callable[[Any], Any]


@dataclass(frozen=True)
class Target:
    """A function with its pullback.

    value(*inputs) -> array | tuple of arrays linearize(*inputs) -> pullback, with pullback(cotangent) -> one
    cotangent an input (None where frozen); the cotangent has the
        structure of the value. `linearizing_evaluates` says whether linearize runs the forward pass too (it is then
        counted).
    inputs: names in order, None where an input has no name; () where the number is not known before the call.
    frozen: positions that carry no gradient: labels, masks, indices.
    parameters: arrays appended to the inputs given to `check`, by name.
    notes: what was recognised or assumed in making the target; a report repeats them.
    bind: for a target that has to see its inputs first (tensors, pytrees, a layer whose convention is found by trying):
        bind(*inputs) -> (target, flat NumPy arrays), where that target has no bind.
    """

    name: str
    value: Callable[..., Any]
    linearize: Callable[..., Pullback]
    inputs: tuple[str | None, ...] = ()
    frozen: frozenset[int] = frozenset()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    linearizing_evaluates: bool = False
    notes: tuple[str, ...] = ()
    bind: Callable[..., tuple["Target", tuple[Any, ...]]] | None = None

    def bound(self, inputs: tuple[Any, ...]) -> tuple["Target", tuple[Any, ...]]:
        """The target and the arrays to judge for these inputs: as they are, or what `bind` makes of them."""
        return (self, inputs) if self.bind is None else self.bind(*inputs)

    def __repr__(self) -> str:
        return f"Target({self.name!r})"

    def label(self, position: int) -> str | int:
        """The name of an input, or its position where it has none."""
        name = self.inputs[position] if position < len(self.inputs) else None
        return position if name is None else name


def from_pair(
    f: Callable[..., Any],
    vjp: Callable[[tuple[Any, ...], Any], Any],
    *,
    name: str | None = None,
    frozen: Iterable[int | str] = (),
) -> Target:
    """A target from a function and its hand-written backward pass.

    f(*inputs) -> array | tuple of arrays; vjp(inputs, cotangent) -> one cotangent an input, None where frozen.
    `frozen` lists positions or names. Raises TypeError if f or vjp cannot be called, ValueError for an unknown frozen
    input.

    >>> import numpy as np, gradcheck
    >>> tanh = gradcheck.from_pair(np.tanh, lambda inputs, g: (g * (1 - np.tanh(inputs[0]) ** 2),), name="tanh")
    >>> gradcheck.check(tanh, np.array([0.5, -2.0])).verdict
    <Verdict.PASS: 'pass'>
    """
    _callable(f, "f", "a function of the inputs")
    _callable(vjp, "vjp", "a function vjp(inputs, cotangent)")
    names = names_of(f)

    def linearize(*inputs: Any) -> Pullback:
        return lambda cotangent: vjp(inputs, cotangent)

    return Target(name or name_of(f), f, linearize, names, _positions(frozen, names))


def from_pullback(
    fn: Callable[..., tuple[Any, Pullback]],
    *,
    name: str | None = None,
    frozen: Iterable[int | str] = (),
) -> Target:
    """A target from one function that returns its value and its pullback: fn(*inputs) -> (value, pullback).

    >>> import numpy as np, gradcheck
    >>> double = gradcheck.from_pullback(lambda x: (2 * x, lambda dy: (2 * dy,)), name="double")
    >>> gradcheck.check(double, np.ones(3)).verdict
    <Verdict.PASS: 'pass'>
    """
    _callable(fn, "fn", "a function that returns (value, pullback)")
    names = names_of(fn)
    label = name or name_of(fn)

    def both(*inputs: Any) -> tuple[Any, Pullback]:
        pair = fn(*inputs)
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[1])):
            raise TypeError(
                f"{label} returned {describe(pair)}, but a function given to from_pullback returns (value, pullback) "
                f"with a callable pullback; use from_pair for a separate vjp"
            )
        return pair

    return Target(
        label,
        lambda *inputs: both(*inputs)[0],
        lambda *inputs: both(*inputs)[1],
        names,
        _positions(frozen, names),
        linearizing_evaluates=True,
    )


def _callable(value: object, role: str, rule: str) -> None:
    if not callable(value):
        raise TypeError(f"{role} must be {rule}, got {describe(value)}")


def describe(value: object) -> str:
    """A value as an error message names it: its type with its shape, or with the beginning of its repr."""
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"{kind} of shape {shape}" if shape is not None else f"{kind} {value!r:.60}"


def name_of(f: Any) -> str:
    """What to call somebody's function in a report.

    >>> name_of(len), name_of(lambda x: x), name_of(slice(3))
    ('len', 'lambda', 'slice')
    """
    name = getattr(f, "__name__", None)
    return "lambda" if name == "<lambda>" else name if isinstance(name, str) else type(f).__name__


def names_of(f: Callable[..., Any], skip: int = 0) -> tuple[str | None, ...]:
    """The names of a function's positional parameters, without the first `skip`; () where there is no signature.

    >>> names_of(lambda ctx, x, *rest: x, skip=1)
    ('x',)
    """
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # builtins and ufuncs may have none
        return ()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind in positional)[skip:]


def _positions(frozen: Iterable[int | str], names: Sequence[str | None]) -> frozenset[int]:
    if isinstance(frozen, int | str):
        frozen = (frozen,)
    positions = set()
    for item in frozen:
        if isinstance(item, str):
            if item not in names:
                known = ", ".join(str(n) for n in names) or "none has a name"
                raise ValueError(
                    f"frozen names an input {item!r} that the function does not have ({known}); give its position"
                )
            positions.add(list(names).index(item))
        else:
            positions.add(int(item))
    return frozenset(positions)
