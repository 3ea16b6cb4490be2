"""Domains: what an input may be, as a map from the numbers that a search draws, which are any floats, into it.

The maps are continuous where the input is judged, and keep dtype, shape, ties and repeated values, which is what the
palette is drawn for. Integers and held floats are read off the same numbers, so that a case is one tuple of floats.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.adapters.flat import Array

Axes = tuple[str | int, ...]


def _bounded(x: Array) -> Array:
    """Into (−1, 1), one to one: x / (1 + |x|)."""
    return np.asarray(x / (1 + np.abs(x)))


def _wrapped(x: Array, n: int) -> Array:
    """Integers 0 … n − 1: eighths of the drawn number, which the palette is made of, counted round."""
    return np.asarray(np.floor(8 * x.astype(np.float64)) % n).astype(np.int64)


def _labels(x: Array, n: int) -> Array:
    """Rows of labels, each once, closed by −1: what multilabel_margin_loss takes."""
    found = np.argsort(-x, axis=-1, kind="stable")
    found[np.arange(x.shape[-1]) > _wrapped(x[..., :1], x.shape[-1])] = -1
    return found


def _dominant(x: Array) -> Array:
    """Square matrices with a diagonal that outweighs the rest: invertible, and far from being singular."""
    return np.asarray(_bounded(x) + x.shape[-1] * np.eye(x.shape[-1], dtype=x.dtype))


def _definite(x: Array) -> Array:
    """Symmetric matrices with eigenvalues of at least ½ that are no ties, whatever was drawn."""
    small = _bounded(x)
    lift = np.diag(np.arange(1, x.shape[-1] + 1)).astype(x.dtype)
    return np.asarray(small @ np.swapaxes(small, -1, -2) / (4 * x.shape[-1]) + lift)


def _full_rank(x: Array) -> Array:
    """Matrices with singular values that are no ties and not near zero."""
    lift = np.zeros(x.shape[-2:], x.dtype)
    np.fill_diagonal(lift, np.arange(1, 1 + min(x.shape[-2:])))
    return np.asarray(_bounded(x) / (4 * max(x.shape[-2:])) + lift)


DOMAINS: dict[str, Callable[[Array], Array]] = {
    "real": lambda x: x,
    "small": lambda x: 4 * _bounded(x),  # exp and its like neither overflow nor vanish
    "positive": lambda x: np.abs(x) + x.dtype.type(1 / 8),
    "sized": lambda x: 4 * np.abs(_bounded(x)) + x.dtype.type(1 / 4),  # positive and small: a scale, a variance
    "nonzero": lambda x: x + np.copysign(x.dtype.type(1 / 4), x),
    "above_one": lambda x: np.abs(x) + x.dtype.type(9 / 8),
    "unit": lambda x: (1 + x.dtype.type(15 / 16) * _bounded(x)) / 2,  # inside of (0, 1)
    "within": lambda x: x.dtype.type(15 / 16) * _bounded(x),  # inside of (−1, 1)
    "complex": lambda x: 4 * (_bounded(x) + 1j * np.roll(_bounded(x), 1)),  # exp of both parts stays a number
    "invertible": _dominant,
    "definite": _definite,
    "ranked": _full_rank,
    "ascending": lambda x: np.cumsum(np.abs(_bounded(x)) + x.dtype.type(1 / 4), axis=-1),
    "spread": lambda x: _bounded(x) / 4 + np.arange(x.size, dtype=x.dtype).reshape(x.shape),  # apart by a half
    "logs": lambda x: _bounded(x) - np.log(np.sum(np.exp(_bounded(x)), axis=-1, keepdims=True)),
}
"""Inputs that are judged. Each maps any finite float to a float of its dtype ("complex": of that precision)."""

HELD: dict[str, Callable[[Array, int], Array]] = {
    "below": _wrapped,
    "labels": _labels,
    "bits": lambda x, _: _wrapped(x, 2).astype(bool),
    "zeroone": lambda x, _: _wrapped(x, 2).astype(x.dtype),
    "sign": lambda x, _: np.where(x < 0, -1, 1).astype(x.dtype),
}
"""Inputs that are not: ids, masks, targets. A number after the name is how many there are: below5 is 0 … 4."""

_INPUT = re.compile(r"(~?)([a-z_]+)(\d*)\(([\w,]*)\)")


class Input:
    """One input of a row, written DOMAIN(AXES): its axes by letter, and the map from what is drawn.

    With ~ before it an input of a domain that would be judged is held, too.

    Raises ValueError for what is written otherwise.

    >>> ids = Input("below5(n,2)")
    >>> ids.axes, ids.held, ids.of(np.array([[0.0, 0.125], [-0.125, 2.0]]))
    (('n', 2), True, array([[0, 1],
           [4, 1]]))
    """

    def __init__(self, text: str) -> None:
        read = _INPUT.fullmatch(text)
        if read is None or read[2] not in {**DOMAINS, **HELD}:
            raise ValueError(
                f"input {text!r} is not understood: write DOMAIN(AXES), such as real(n,4) or below5(n), with one of "
                f"{', '.join([*DOMAINS, *HELD])}"
            )
        domain, self.count = read[2], int(read[3] or 0)
        self.axes: Axes = tuple(int(a) if a.isdigit() else a for a in read[4].split(",") if a)
        self.held = domain in HELD or bool(read[1])
        self._map: Callable[..., Any] = HELD[domain] if domain in HELD else DOMAINS[domain]
        self._arguments = (self.count,) if domain in HELD else ()

    def of(self, drawn: Array) -> Array:
        """What the function is given for the numbers drawn."""
        return np.asarray(self._map(drawn, *self._arguments))
