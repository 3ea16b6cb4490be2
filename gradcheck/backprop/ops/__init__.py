"""The ops: one public callable each, for arrays and nodes alike, and the table of their rules.

``TABLE`` holds the rows (value and vjp side by side), ``BLOCKS`` the functions built of them, ``EXAMPLES`` calls of both
and ``draw`` arguments for them; ``invoke(name, *parents, **static)`` calls either by name.

>>> from gradcheck.backprop import ops
>>> float(ops.exp(0.0)), ops.TABLE["exp"].family, ops.TABLE["relu"].kinks is None
(1.0, 'elementwise', False)
"""

from collections.abc import Mapping
from difflib import get_close_matches

from gradcheck.backprop.errors import GraphError
from gradcheck.backprop.node import apply as apply
from gradcheck.backprop.op import BLOCKS as BLOCKS
from gradcheck.backprop.op import TABLE as TABLE
from gradcheck.backprop.op import Block as Block
from gradcheck.backprop.op import Domain as Domain
from gradcheck.backprop.op import Example as Example
from gradcheck.backprop.op import Op as Op
from gradcheck.backprop.op import Value
from gradcheck.backprop.op import draw as draw
from gradcheck.backprop.ops.activations import (
    elu as elu,
)
from gradcheck.backprop.ops.activations import (
    gelu as gelu,
)
from gradcheck.backprop.ops.activations import (
    gelu_tanh as gelu_tanh,
)
from gradcheck.backprop.ops.activations import (
    leaky_relu as leaky_relu,
)
from gradcheck.backprop.ops.activations import (
    relu as relu,
)
from gradcheck.backprop.ops.activations import (
    sigmoid as sigmoid,
)
from gradcheck.backprop.ops.activations import (
    silu as silu,
)
from gradcheck.backprop.ops.activations import (
    softplus as softplus,
)
from gradcheck.backprop.ops.elementwise import (
    abs as abs,
)
from gradcheck.backprop.ops.elementwise import (
    add as add,
)
from gradcheck.backprop.ops.elementwise import (
    arccos as arccos,
)
from gradcheck.backprop.ops.elementwise import (
    arccosh as arccosh,
)
from gradcheck.backprop.ops.elementwise import (
    arcsin as arcsin,
)
from gradcheck.backprop.ops.elementwise import (
    arcsinh as arcsinh,
)
from gradcheck.backprop.ops.elementwise import (
    arctan as arctan,
)
from gradcheck.backprop.ops.elementwise import (
    arctan2 as arctan2,
)
from gradcheck.backprop.ops.elementwise import (
    arctanh as arctanh,
)
from gradcheck.backprop.ops.elementwise import (
    clip as clip,
)
from gradcheck.backprop.ops.elementwise import (
    cos as cos,
)
from gradcheck.backprop.ops.elementwise import (
    cosh as cosh,
)
from gradcheck.backprop.ops.elementwise import (
    div as div,
)
from gradcheck.backprop.ops.elementwise import (
    equal as equal,
)
from gradcheck.backprop.ops.elementwise import (
    erf as erf,
)
from gradcheck.backprop.ops.elementwise import (
    erfc as erfc,
)
from gradcheck.backprop.ops.elementwise import (
    exp as exp,
)
from gradcheck.backprop.ops.elementwise import (
    expm1 as expm1,
)
from gradcheck.backprop.ops.elementwise import (
    greater as greater,
)
from gradcheck.backprop.ops.elementwise import (
    greater_equal as greater_equal,
)
from gradcheck.backprop.ops.elementwise import (
    less as less,
)
from gradcheck.backprop.ops.elementwise import (
    less_equal as less_equal,
)
from gradcheck.backprop.ops.elementwise import (
    log as log,
)
from gradcheck.backprop.ops.elementwise import (
    log1p as log1p,
)
from gradcheck.backprop.ops.elementwise import (
    logaddexp as logaddexp,
)
from gradcheck.backprop.ops.elementwise import (
    maximum as maximum,
)
from gradcheck.backprop.ops.elementwise import (
    minimum as minimum,
)
from gradcheck.backprop.ops.elementwise import (
    mul as mul,
)
from gradcheck.backprop.ops.elementwise import (
    neg as neg,
)
from gradcheck.backprop.ops.elementwise import (
    not_equal as not_equal,
)
from gradcheck.backprop.ops.elementwise import (
    ones_like as ones_like,
)
from gradcheck.backprop.ops.elementwise import (
    power as power,
)
from gradcheck.backprop.ops.elementwise import (
    reciprocal as reciprocal,
)
from gradcheck.backprop.ops.elementwise import (
    scalar_power as scalar_power,
)
from gradcheck.backprop.ops.elementwise import (
    sign as sign,
)
from gradcheck.backprop.ops.elementwise import (
    sin as sin,
)
from gradcheck.backprop.ops.elementwise import (
    sinh as sinh,
)
from gradcheck.backprop.ops.elementwise import (
    sqrt as sqrt,
)
from gradcheck.backprop.ops.elementwise import (
    square as square,
)
from gradcheck.backprop.ops.elementwise import (
    sub as sub,
)
from gradcheck.backprop.ops.elementwise import (
    tan as tan,
)
from gradcheck.backprop.ops.elementwise import (
    tanh as tanh,
)
from gradcheck.backprop.ops.elementwise import (
    where as where,
)
from gradcheck.backprop.ops.linalg import (
    cholesky as cholesky,
)
from gradcheck.backprop.ops.linalg import (
    det as det,
)
from gradcheck.backprop.ops.linalg import (
    einsum as einsum,
)
from gradcheck.backprop.ops.linalg import (
    inv as inv,
)
from gradcheck.backprop.ops.linalg import (
    logdet as logdet,
)
from gradcheck.backprop.ops.linalg import (
    matmul as matmul,
)
from gradcheck.backprop.ops.linalg import (
    solve as solve,
)
from gradcheck.backprop.ops.linalg import (
    tril as tril,
)
from gradcheck.backprop.ops.norms import (
    batch_norm as batch_norm,
)
from gradcheck.backprop.ops.norms import (
    layer_norm as layer_norm,
)
from gradcheck.backprop.ops.reductions import (
    cumsum as cumsum,
)
from gradcheck.backprop.ops.reductions import (
    log_softmax as log_softmax,
)
from gradcheck.backprop.ops.reductions import (
    logsumexp as logsumexp,
)
from gradcheck.backprop.ops.reductions import (
    max as max,
)
from gradcheck.backprop.ops.reductions import (
    mean as mean,
)
from gradcheck.backprop.ops.reductions import (
    min as min,
)
from gradcheck.backprop.ops.reductions import (
    prod as prod,
)
from gradcheck.backprop.ops.reductions import (
    softmax as softmax,
)
from gradcheck.backprop.ops.reductions import (
    std as std,
)
from gradcheck.backprop.ops.reductions import (
    sum as sum,
)
from gradcheck.backprop.ops.reductions import (
    sum_to as sum_to,
)
from gradcheck.backprop.ops.reductions import (
    var as var,
)
from gradcheck.backprop.ops.shaping import (
    broadcast_to as broadcast_to,
)
from gradcheck.backprop.ops.shaping import (
    concatenate as concatenate,
)
from gradcheck.backprop.ops.shaping import (
    embedding as embedding,
)
from gradcheck.backprop.ops.shaping import (
    expand_dims as expand_dims,
)
from gradcheck.backprop.ops.shaping import (
    flip as flip,
)
from gradcheck.backprop.ops.shaping import (
    getitem as getitem,
)
from gradcheck.backprop.ops.shaping import (
    pad as pad,
)
from gradcheck.backprop.ops.shaping import (
    put as put,
)
from gradcheck.backprop.ops.shaping import (
    put_along as put_along,
)
from gradcheck.backprop.ops.shaping import (
    reshape as reshape,
)
from gradcheck.backprop.ops.shaping import (
    stack as stack,
)
from gradcheck.backprop.ops.shaping import (
    swapaxes as swapaxes,
)
from gradcheck.backprop.ops.shaping import (
    take as take,
)
from gradcheck.backprop.ops.shaping import (
    transpose as transpose,
)
from gradcheck.backprop.ops.windows import (
    avg_pool as avg_pool,
)
from gradcheck.backprop.ops.windows import (
    conv1d as conv1d,
)
from gradcheck.backprop.ops.windows import (
    conv2d as conv2d,
)
from gradcheck.backprop.ops.windows import (
    fold as fold,
)
from gradcheck.backprop.ops.windows import (
    max_pool as max_pool,
)
from gradcheck.backprop.ops.windows import (
    windows as windows,
)

EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    **{name: row.examples for name, row in TABLE.items()},
    **{name: block.examples for name, block in BLOCKS.items()},
}


def invoke(name: str, *parents: Value, **static: Value) -> Value:
    """Call an op or a block by name; GraphError, with what is close to it, for a name that is neither."""
    if name in TABLE:
        return apply(name, parents, static)
    if name in BLOCKS:
        return BLOCKS[name].call(*parents, **static)
    close = get_close_matches(name, EXAMPLES, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known ops: {', '.join(sorted(EXAMPLES))}"
    raise GraphError(f"unknown op {name!r}: {hint}")
