"""What a point, a direction, an order and a set of offsets must be; every refusal names value, rule and remedy."""

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def point(x: Any, name: str = "x") -> NDArray[Any]:
    """``x`` as a floating-point array; TypeError for another dtype, ValueError for an empty or non-finite one."""
    array = np.asarray(x)
    if array.dtype.kind in "iub":
        raise TypeError(
            f"{name} has dtype {array.dtype}, but a derivative needs floating point: {name} + h would round back to"
            f" {name}; pass {name} as a float, e.g. numpy.asarray({name}, dtype=float)"
        )
    if array.dtype.kind != "f":
        raise TypeError(
            f"{name} has dtype {array.dtype}, but a derivative needs real floating point (float16 to longdouble);"
            f" split {name} into real arrays first"
        )
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: there is nothing to differentiate; pass at least one entry")
    if not np.isfinite(array).all():
        worst = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        where = f"{name}[{', '.join(map(str, worst))}]" if worst else name
        raise ValueError(f"{where} is {array[worst]}: a derivative needs a finite point; replace or drop that entry")
    return array


def scalar_point(x: Any) -> NDArray[Any]:
    """A point without axes; ValueError otherwise."""
    array = point(x)
    if array.ndim:
        raise ValueError(
            f"x has shape {array.shape}, but derivative takes a scalar x; use gradient (scalar f), jacobian (array f)"
            " or directional"
        )
    return array


def direction(u: Any, x: NDArray[Any]) -> NDArray[Any]:
    """A finite direction of x's shape that is not zero; a direction may have integer entries."""
    array = np.asarray(u)
    array = point(array.astype(x.dtype) if array.dtype.kind in "iub" else array, "u")
    if array.shape != x.shape:
        raise ValueError(
            f"u has shape {array.shape} and x has shape {x.shape}: a direction has one entry for each of x;"
            " reshape or broadcast u first"
        )
    if not array.any():
        raise ValueError("u is zero everywhere: a direction must point somewhere; the derivative along it is 0")
    return array


def derivative_order(order: Any) -> int:
    """A whole number from 1 up."""
    try:
        whole = operator.index(order)
    except TypeError:
        raise TypeError(f"order is {order!r}: the order of a derivative is a whole number; pass 1, 2, ...") from None
    if whole < 1:
        raise ValueError(f"order is {whole}: derivatives start at order 1; call f itself for order 0")
    return whole


def stencil(offsets: tuple[Any, ...], order: int) -> None:
    """Distinct finite offsets, more of them than the order."""
    if not all(np.isfinite(float(offset)) for offset in offsets):
        raise ValueError(f"offsets {offsets}: every offset must be finite; they are multiples of the step")
    repeated = sorted({offset for offset in offsets if offsets.count(offset) > 1})
    if repeated:
        raise ValueError(
            f"offsets {offsets} repeat {', '.join(map(str, repeated))}: a stencil's points must differ; name each once"
        )
    if len(offsets) <= order:
        raise ValueError(
            f"{len(offsets)} offsets for order {order}: a derivative of order n needs at least n + 1 points;"
            f" add {order + 1 - len(offsets)} more or lower the order"
        )


def positive(value: float | None, name: str, unset: str) -> None:
    """None, or a finite number above 0."""
    if value is not None and not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}: it must be a finite number above 0; leave it None to {unset}")
