"""Does a mistake show at a point? Decided with the truth at hand, without finite differences."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .case import Array, Case, Inputs


def arrays(value: Any) -> Iterator[Array]:
    """The arrays of a value, of a tuple of inputs or of a cotangent."""
    for a in value if isinstance(value, tuple | list) else (value,):
        if a is not None:
            yield np.asarray(a)


def copied(value: Any) -> Any:
    """A deep copy of arrays in tuples; None stays."""
    return None if value is None else tuple(map(copied, value)) if isinstance(value, tuple) else np.array(value)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, NaN included."""
    return all(np.array_equal(p, q, equal_nan=p.dtype.kind in "fc") for p, q in zip(arrays(a), arrays(b), strict=True))


def shows(case: Case, inputs: Inputs, seed: int = 0, least: float = 1e-8) -> str:
    """How a wrong case gives itself away at a point, in a word; empty where it behaves like its right twin.

    A difference counts from `least` of the largest entry in float64 and from 100 roundings in lesser precision: below
    that it is the arithmetic's own. Some mistakes need a second call: at the inputs times 7/8, with the cotangent times
    -64, or with arguments that may not be written to.
    """
    elsewhere = tuple(np.asarray(x * x.dtype.type(0.875)) if x.dtype.kind == "f" else x for x in inputs)
    assert case.truth is not None
    mine, cotangent = copied(inputs), case.cotangent(inputs, seed)
    truth = case.truth(copied(inputs), copied(cotangent))
    g = copied(cotangent)
    try:
        case.f(*mine)
        if not same(mine, inputs):
            return "mutates its inputs in forward"
        case.f(*copied(elsewhere))
        gradients = case.vjp(mine, g)
    except Exception:
        return "raises"
    if len(gradients) != len(truth) or any((a is None) != (b is None) for a, b in zip(gradients, truth, strict=True)):
        return "leaves a gradient out"
    if not same(mine, inputs) or not same(g, cotangent):
        return "mutates its arguments"
    for i, a in enumerate(arrays(gradients)):
        if any(np.shares_memory(a, b) for b in (*arrays(mine), *arrays(g), *list(arrays(gradients))[i + 1 :])):
            return "aliases"
    word = differs(gradients, truth, least)
    if word:
        return word
    loud = scaled(cotangent, -64)
    if differs(case.vjp(mine, copied(loud)), case.truth(copied(inputs), copied(loud)), least):
        return "is not linear"
    try:
        case.vjp(locked(mine), locked(cotangent))
    except ValueError:
        return "writes to its arguments"
    first = copied(gradients)
    again = case.vjp(mine, copied(cotangent))
    case.vjp(copied(elsewhere), case.cotangent(elsewhere, seed + 1))
    return "is not the same twice" if not same(first, gradients) or not same(first, again) else ""


def scaled(cotangent: Any, factor: float) -> Any:
    """A cotangent times a number, in its own dtype; a power of two changes no digit."""
    return (
        tuple(scaled(g, factor) for g in cotangent) if isinstance(cotangent, tuple) else np.asarray(cotangent * factor)
    )


def locked(value: Any) -> Any:
    """A read-only copy."""
    value = copied(value)
    for a in value if isinstance(value, tuple) else (value,):
        a.setflags(write=False)
    return value


def differs(gradients: Any, truth: Any, least: float) -> str:
    """How gradients differ from the right ones."""
    for a, b in zip(arrays(gradients), arrays(truth), strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return "has the wrong shape or dtype"
        small = least if b.dtype == np.float64 else 100 * np.finfo(b.dtype).eps
        with np.errstate(all="ignore"):
            if not np.all((a == b) | (np.abs(a - b) <= small * np.max(np.abs(b), initial=0.0))):
                return "differs"
    return ""


def share(case: Case, points: int = 40, seed: int = 7) -> float:
    """The share of the domain's points at which a mistake shows."""
    return sum(bool(shows(case, inputs)) for inputs in case.points(points, seed)) / points
