"""Normalisation, built of ops. Sources: batch, Ioffe and Szegedy 2015 (arXiv:1502.03167); layer, Ba, Kiros and Hinton
2016 (arXiv:1607.06450).
"""

from typing import Any

import numpy as np

from gradcheck.backprop.errors import ShapeError
from gradcheck.backprop.op import Example, Value
from gradcheck.backprop.ops.elementwise import add, div, mul, sqrt, sub
from gradcheck.backprop.ops.reductions import mean, var
from gradcheck.backprop.ops.rows import block
from gradcheck.backprop.ops.shaping import reshape

# fmt: off
__all__ = [
    "batch_norm", "layer_norm",
]
# fmt: on


def _standardise(x: Value, axis: Any, eps: float) -> Value:
    return div(sub(x, mean(x, axis, True)), sqrt(add(var(x, axis, True), eps)))


@block(examples=(Example(((2, 4),)), Example(((3, 4), (4,), (4,))), Example(((2, 3, 4), (3, 4)), {"axis": (-2, -1)})))
def layer_norm(x: Value, scale: Value = None, offset: Value = None, axis: Any = -1, eps: float = 1e-5) -> Any:
    """Each example standardised over ``axis`` (its features), then scaled and offset if asked.

    ``eps`` is added to the variance; ``scale`` and ``offset`` broadcast against x.
    """
    y = _standardise(x, axis, eps)
    y = y if scale is None else mul(y, scale)
    return y if offset is None else add(y, offset)


@block(examples=(Example(((4, 2),)), Example(((4, 3), (3,), (3,))), Example(((2, 2, 3), (2,), (2,)))))
def batch_norm(x: Value, scale: Value = None, offset: Value = None, eps: float = 1e-5) -> Any:
    """Each channel of x (batch, channels, space...) standardised over the batch and space of this very batch.

    ``scale`` and ``offset`` have shape (channels,). Raises ShapeError when they have not.
    """
    shape = np.shape(x)
    if len(shape) < 2:
        raise ShapeError("batch_norm", [shape], "x is (batch, channels, space...)", "add the axis of channels")
    y = _standardise(x, (0, *range(2, len(shape))), eps)
    for parameter, combine in ((scale, mul), (offset, add)):
        if parameter is not None:
            if np.shape(parameter) != shape[1:2]:
                raise ShapeError(
                    "batch_norm", [shape, np.shape(parameter)], f"scale and offset are {shape[1:2]}", "one a channel"
                )
            y = combine(y, reshape(parameter, (*shape[1:2], *[1] * (len(shape) - 2))))
    return y
