"""Arrangements: right values in wrong places, or put together along the wrong axes."""

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from gradcheck.floats import differentiable
from gradcheck.judge.factors import ratio
from gradcheck.judge.hearing import ask_output
from gradcheck.judge.survey import Guess, Survey
from gradcheck.report import Kind


def moved(s: Survey) -> Iterator[Guess]:
    """The right values stand in the wrong places."""
    if not s.whole or s.wrong.size < 2:
        return
    shape, numeric = s.primal.shape, s.numeric
    if s.primal.dtype.kind != "c" and len(shape) > 1:
        grid = numeric.reshape(shape)
        for axes in permutations(range(len(shape))):
            turned = grid.transpose(axes)
            if axes != tuple(range(len(shape))) and turned.shape == shape and s.matches(turned.reshape(-1)):
                yield Guess(Kind.TRANSPOSED, f"backward is the right gradient with its axes in the order {axes}")
                break
            if axes != tuple(range(len(shape))) and s.matches(turned.reshape(-1)):
                yield Guess(Kind.TRANSPOSED, "backward is the right gradient transposed and reshaped")
                break
    if ratio(s) is not None:
        return  # −1 turns a symmetric set of values into itself, and is the simpler reason
    order = np.argsort(numeric)
    expected = np.empty_like(numeric)
    expected[np.argsort(s.claimed)] = numeric[order]
    if s.matches(expected):
        yield Guess(Kind.PERMUTED, f"backward has the right values in another order ({s.share()} misplaced)")


def diagonal(s: Survey) -> Iterator[Guess]:
    """Each output is connected to its own input only, where the numeric Jacobian couples them."""
    if not s.whole or s.jacobian.shape[0] != s.jacobian.shape[1] or s.jacobian.shape[0] < 2:
        return
    diagonal = np.diag(s.jacobian)
    if s.matches(s.cotangent * diagonal):
        yield Guess(
            Kind.DIAGONAL_ONLY,
            "backward is the cotangent times the diagonal of the Jacobian, whose other entries are not zero",
        )
        return
    off = s.jacobian - np.diag(diagonal)
    if not off.any():
        return
    row = ask_output(s.hearing, 0)[s.b]
    if row[0] and not row[1:].any() and off[0].any():
        yield Guess(
            Kind.DIAGONAL_ONLY,
            "backward has output 0 depend on entry 0 only, the finite difference sees the others too",
        )


def other_axes(s: Survey) -> Iterator[Guess]:
    """A sum over a broadcast axis was left out, or taken along another axis."""
    models = [m for m in s.hearing.bench.models if differentiable(m)]
    if len(models) != 1 or not s.whole or models[0].dtype.kind == "c":
        return
    shape = models[0].shape
    v = s.cotangent.reshape(shape)
    for axis, n in enumerate(shape):
        if n < 2 or not np.any(np.count_nonzero(s.jacobian.reshape(*shape, -1), axis=axis) > 1):
            continue  # no entry has more than one output along this axis: there is nothing to sum
        for row in (0, n - 1):
            masked = np.zeros_like(v)
            where = (slice(None),) * axis + (row,)
            masked[where] = v[where]
            if s.matches(masked.reshape(-1) @ s.jacobian):
                yield Guess(
                    Kind.NOT_SUMMED,
                    f"backward is what entry {row} of output axis {axis} contributes; the rest is not summed",
                )
                return
        mean = s.numeric / n
        if s.matches(mean):
            yield Guess(Kind.NOT_SUMMED, f"backward is the mean, not the sum, over output axis {axis}")
            return
    if v.ndim > 1 and s.matches(v.reshape(-1)[::-1] @ s.jacobian):
        yield Guess(Kind.PERMUTED, "backward is right for a cotangent in reversed order")
        return
    for axis, n in enumerate(shape):
        for words, turned in (
            ("reversed", np.flip(v, axis)),
            ("shifted", np.roll(v, 1, axis)),
            ("shifted", np.roll(v, -1, axis)),
        ):
            if n > 1 and s.matches(turned.reshape(-1) @ s.jacobian):
                yield Guess(Kind.PERMUTED, f"backward is right for a cotangent {words} along axis {axis}")
                return
    for axes in permutations(range(len(shape))):
        fits = axes != tuple(range(len(shape))) and v.transpose(axes).shape == shape
        if fits and s.matches(v.transpose(axes).reshape(-1) @ s.jacobian):
            yield Guess(Kind.WRONG_AXIS, f"backward is right for a cotangent with its axes in the order {axes}")
            return
