"""Derivatives: which one a target is judged by, and forward mode seen as the pullback that it implies."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from gradcheck.adapters.flat import Array
from gradcheck.target import Pullback, Target

Back = Callable[[tuple[Array, ...]], Iterable[Array]]
"""back(cotangents, one an output) -> one gradient for each input that moves."""

Pushforward = Callable[[int, Array], Sequence[Array]]
"""pushforward(position, tangent) -> one tangent an output, while the other inputs are held."""

_SUFFIX = {
    (1, "reverse"): "",
    (1, "forward"): ", forward mode",
    (2, "reverse"): ", double backward",
    (2, "forward"): ", forward mode of backward",
}


def derivative(label: str, order: int, mode: str) -> str:
    """The name of a target that is judged by this derivative; raises ValueError where there is none such.

    >>> derivative("gelu", 1, "reverse"), derivative("gelu", 2, "forward")
    ('gelu', 'gelu, forward mode of backward')
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1, the gradient, or 2, the gradient of the gradient; got {order!r}")
    if mode not in ("reverse", "forward"):
        raise ValueError(f"mode must be 'reverse', the backward pass, or 'forward', the jvp; got {mode!r}")
    return label + _SUFFIX[order, mode]


def unbound(label: str, names: tuple[str | None, ...], bind: Callable[..., tuple[Target, tuple[Any, ...]]]) -> Target:
    """A target that has to see its inputs before it can be called; what it warns of then is not the caller's.

    >>> unbound("layer", (), lambda *inputs: None).value(1.0)
    Traceback (most recent call last):
    TypeError: layer has to see its inputs first: call the target that bind(*inputs) returns
    """

    def refuse(*inputs: Any) -> Any:
        raise TypeError(f"{label} has to see its inputs first: call the target that bind(*inputs) returns")

    def quietly(*inputs: Any) -> tuple[Target, tuple[Any, ...]]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):  # as the judge has it for every other call
            warnings.simplefilter("ignore")
            return bind(*inputs)

    return Target(label, refuse, refuse, names, bind=quietly)


class Differentiable(Protocol):
    """What a framework offers for flat arrays, parameters among them."""

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs, as arrays that are the caller's to keep."""

    def linearize(self, arrays: Sequence[Array]) -> Back:
        """The way back at these inputs."""

    def pushforward(self, arrays: Sequence[Array]) -> Pushforward:
        """The jvp at these inputs."""


def bound(
    label: str,
    call: Differentiable,
    moving: Sequence[bool],
    names: Sequence[str | None],
    parameters: Mapping[str, Array],
    notes: Sequence[str],
    mode: str,
) -> Target:
    """The target that a framework's call is, `parameters` being its last inputs; what does not move is frozen."""

    def value(*arrays: Array) -> Any:
        outputs = call.outputs(arrays)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def linearize(*arrays: Array) -> Pullback:
        reverse = mode == "reverse"
        back = call.linearize(arrays) if reverse else implied_back(call.pushforward(arrays), moving, arrays)

        def pullback(cotangent: Any) -> tuple[Array | None, ...]:
            found = iter(back(cotangent if isinstance(cotangent, tuple) else (cotangent,)))
            return tuple(next(found) if moves else None for moves in moving)

        return pullback

    frozen = frozenset(i for i, moves in enumerate(moving) if not moves)
    return Target(
        label, value, linearize, tuple(names), frozen, parameters, linearizing_evaluates=True, notes=tuple(notes)
    )


def bound_function(
    label: str,
    call: Any,
    arrays: Sequence[Array],
    names: Sequence[str | None],
    notes: Sequence[str],
    order: int,
    mode: str,
) -> tuple[Target, tuple[Array, ...]]:
    """The target and arrays for a call without parameters: a dataclass with `run`, `moving`, and `gradient` to run
    instead where order is 2, with the cotangents as its last inputs.
    """
    if order == 2:
        cotangents = cotangents_like(call.outputs(arrays))
        call = replace(call, run=call.gradient, moving=[*call.moving, *[True] * len(cotangents)])
        arrays, names = [*arrays, *cotangents.values()], [*names, *cotangents]
    target = bound(label, call, call.moving, names, {}, notes, mode)
    if (order, mode) != (1, "reverse"):
        defined(target, arrays)
    return target, tuple(arrays)


def defined(target: Target, arrays: Sequence[Array]) -> None:
    """Raises ValueError where the framework has no such derivative: no fault of whoever wrote the layer."""
    try:
        target.linearize(*arrays)(target.value(*arrays))
    except (RuntimeError, NotImplementedError, TypeError) as error:
        # "… is not implemented", "You must implement the jvp …", "can't apply forward-mode differentiation (jvp) to …"
        if any(words in str(error) for words in ("implement", "forward-mode", "not defined")):
            raise ValueError(
                f"{target.name} is not defined: {error!s:.160}; judge it with order=1 and mode='reverse'"
            ) from error


def cotangents_like(outputs: Sequence[Array]) -> dict[str, Array]:
    """A fixed cotangent for every output, of its shape and dtype, by name: signs at random, sizes 0.5 … 1.5.

    The gradient is a function of the inputs and of these, and linear in them; all ones would hide a softmax.
    """
    rng = np.random.default_rng(0)
    names = ["cotangent"] if len(outputs) == 1 else [f"cotangent[{i}]" for i in range(len(outputs))]
    draws = [rng.choice([-1.0, 1.0], o.shape) * rng.uniform(0.5, 1.5, o.shape) for o in outputs]
    return {name: np.asarray(v).astype(o.dtype) for name, v, o in zip(names, draws, outputs, strict=True)}


def implied_back(push: Pushforward, moving: Sequence[bool], inputs: Sequence[Array]) -> Back:
    """The way back that forward mode implies: Jᵀv has the entries ⟨v, J eᵢ⟩, one jvp for each entry that moves.

    The Jacobian is computed when a cotangent is first given, and kept.

    >>> back = implied_back(lambda position, tangent: [3 * tangent], [True], [np.zeros(2)])
    >>> back((np.array([1.0, 2.0]),))
    [array([3., 6.])]
    """
    positions = [i for i, moves in enumerate(moving) if moves]
    columns: list[list[Sequence[Array]]] = []

    def back(cotangents: tuple[Array, ...]) -> list[Array]:
        if not columns:
            columns.extend([push(i, e) for e in _basis(inputs[i])] for i in positions)
        return [
            _gathered([[_inner(v, u) for v, u in zip(cotangents, us, strict=True)] for us in column], inputs[i])
            for i, column in zip(positions, columns, strict=True)
        ]

    return back


def _basis(x: Array) -> Iterator[Array]:
    for entry in range(x.size):
        for unit in (1, 1j) if x.dtype.kind == "c" else (1,):
            e = np.zeros(x.shape, x.dtype)
            e.reshape(-1)[entry] = unit
            yield e


def _inner(v: Array, u: Array) -> float:
    """Re ⟨v, u⟩ in double precision, so that it owes nothing to the order of summation."""
    wide = np.complex128 if np.iscomplexobj(v) or np.iscomplexobj(u) else np.float64
    return float(np.real(np.vdot(np.asarray(v).astype(wide), np.asarray(u).astype(wide))))


def _gathered(entries: list[list[float]], x: Array) -> Array:
    """The gradient of x from what each of its entries answered, summed over the outputs."""
    flat: Array = np.array([sum(row) for row in entries], dtype=np.float64)
    if x.dtype.kind == "c":  # an entry answered along 1 and along i
        flat = flat[0::2] + 1j * flat[1::2]
    return flat.astype(x.dtype).reshape(x.shape)
