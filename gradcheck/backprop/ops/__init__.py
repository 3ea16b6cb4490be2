"""The ops: one public callable each, for arrays and nodes alike, and the table of their rules.

``TABLE`` holds the rows (value and vjp side by side), ``BLOCKS`` the functions built of them, ``EXAMPLES`` calls of
both, and ``draw`` draws arguments for them; ``invoke(name, *parents, **static)`` calls either by name.

>>> from gradcheck.backprop import ops
>>> float(ops.exp(0.0)), ops.TABLE["exp"].family, ops.TABLE["relu"].kinks is None
(1.0, 'elementwise', False)
"""

# Star imports (F403): each family lists its public ops in __all__, and this module is their union.
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
from gradcheck.backprop.ops.activations import *  # noqa: F403
from gradcheck.backprop.ops.elementwise import *  # noqa: F403
from gradcheck.backprop.ops.indexing import *  # noqa: F403
from gradcheck.backprop.ops.linalg import *  # noqa: F403
from gradcheck.backprop.ops.norms import *  # noqa: F403
from gradcheck.backprop.ops.products import *  # noqa: F403
from gradcheck.backprop.ops.reductions import *  # noqa: F403
from gradcheck.backprop.ops.shaping import *  # noqa: F403
from gradcheck.backprop.ops.windows import *  # noqa: F403

EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    **{name: row.examples for name, row in TABLE.items()},
    **{name: block.examples for name, block in BLOCKS.items()},
}


def invoke(name: str, /, *parents: Value, **static: Value) -> Value:
    """Call an op or a block by name; GraphError, with what is close to it, for a name that is neither."""
    if name in TABLE:
        arity = TABLE[name].arity
        if arity not in (None, len(parents)):
            raise GraphError(f"op {name!r} takes {arity} parent(s), got {len(parents)}")
        return apply(name, parents, static)
    if name in BLOCKS:
        return BLOCKS[name].call(*parents, **static)
    close = get_close_matches(name, EXAMPLES, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known ops: {', '.join(sorted(EXAMPLES))}"
    raise GraphError(f"unknown op {name!r}: {hint}")
