"""Blocks: what a cell draws its examples from, by the name of a layer and the name of a block of it.

A block is a set of shapes by letter, or an entry of the layer's attribute `gradcheck_blocks`: a mapping of names to
shapes, or to functions that make, of a dtype's name, the strategy for the tuple of inputs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from gradcheck.plugin.settings import CHECK
from gradcheck.plugin.settings import resolve as setting
from gradcheck.suite.targets import Shapes, TargetError, read_shapes, resolve, subject

Block = str | Callable[[str], "st.SearchStrategy[Any]"]


def layer_of(target: str) -> Any:
    """The layer that "module:attr" or "module:attr[name]" names. Raises TargetError where there is none."""
    spec = target.partition("[")[0]
    layers = dict(resolve(spec))
    if target not in layers:
        raise TargetError(f"{target} is not among what {spec} holds now: {', '.join(list(layers)[:5])}")
    return layers[target]


def shapes_of(target: str, block: str) -> str:
    """The shapes of a layer's inputs, in words: those in `block`, or, where that is empty, found by trying.

    Raises TargetError where the layer's forward does not take them, or nothing that was tried.

    >>> shapes_of("gradcheck.suite.dense:dense", "")
    'x: n,k; w: k,m; b: m'
    """
    return written(subject(target, layer_of(target), read_shapes(block) if block else None).shapes)


def inputs_of(layer: Any, block: str, dtype: str) -> "st.SearchStrategy[Any] | Shapes":
    """What `search` draws the inputs from: a strategy for the tuple of them, or their shapes."""
    own: Mapping[str, Block] = getattr(layer, "gradcheck_blocks", {})
    made = own.get(block, block)
    return read_shapes(made) if isinstance(made, str) else made(dtype)


def dtypes_of(layer: Any, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """The dtypes to judge in: those asked for, or what the layer's attribute `gradcheck_dtypes` says, or float64."""
    chosen: tuple[str, ...] = setting(None, None, {"dtypes": list(asked) or None}, layer)["dtypes"]
    return chosen


def options_of(layer: Any) -> dict[str, Any]:
    """The options of `check` that the layer's attributes `gradcheck_kinks` … set."""
    chosen = setting(None, None, {}, layer)
    plain = setting(None, None, {})
    return {name: chosen[name] for name in CHECK if chosen[name] != plain[name]}


def written(shapes: Shapes) -> str:
    """Shapes as one writes them: "x: n,k; w: k,m"."""
    return "; ".join(f"{name}: {','.join(map(str, axes))}".strip() for name, axes in shapes.items())
