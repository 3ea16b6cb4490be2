"""The reference backprop as a target: what a campaign judges where none is named, block by block of architectures."""

import functools
from typing import Any, ClassVar

from hypothesis import strategies as st

from gradcheck.backprop import backward, forward
from gradcheck.campaign.blocks import Block
from gradcheck.strategies import Architecture, Batch, architectures, batches, dense_networks
from gradcheck.target import Pullback, Target

REFERENCE = f"{__name__}:reference"


class _Reference(Target):
    gradcheck_blocks: ClassVar[dict[str, Block]] = {
        "graphs": lambda dtype: st.tuples(architectures(dtype=_computed(dtype))),
        "deep graphs": lambda dtype: st.tuples(architectures(slots=16, dtype=_computed(dtype))),
        "dense networks": lambda dtype: st.tuples(
            dense_networks().flatmap(functools.partial(batches, dtype=_computed(dtype)))
        ),
    }


def _computed(dtype: str) -> str:
    if dtype == "bfloat16":
        raise ValueError("the reference computes in NumPy's own dtypes; leave it out, or name a layer that takes it")
    return dtype


def _bind(case: Architecture | Batch) -> tuple[Target, tuple[Any, ...]]:
    """The graph of a case as a target of its arrays."""
    graph, arrays = case.graph(), case.sample()
    names = tuple(arrays)

    def value(*values: Any) -> Any:
        return forward(graph, **dict(zip(names, values, strict=True))).output

    def linearize(*values: Any) -> Pullback:
        tape = forward(graph, **dict(zip(names, values, strict=True)))

        def pullback(cotangent: Any) -> list[Any]:
            table = backward(tape, cotangent)
            return [table[name] if name in graph.differentiable else None for name in names]

        return pullback

    frozen = frozenset(i for i, name in enumerate(names) if name not in graph.differentiable)
    target = Target("reference", value, linearize, names, frozen, linearizing_evaluates=True)
    return target, tuple(arrays.values())


def _unbound(*_: Any) -> Any:
    raise TypeError("the reference takes one Architecture or Batch of gradcheck.strategies")


reference = _Reference("reference", _unbound, _unbound, ("case",), bind=_bind)
"""A target of one input: an Architecture or a Batch."""
