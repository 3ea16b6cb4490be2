"""Right functions made of rows and blocks of `gradcheck.backprop.ops`: hosts for the catalogue's fault operators."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from gradcheck.backprop import backward, forward, ops, trace
from properties.catalogue.case import Array, Case, Domain, Draw, Inputs
from properties.catalogue.case import _none as shape_only


@dataclass(frozen=True)
class OpDomain(Domain):
    """The domain of one example of an op: its arguments are drawn together, away from the op's kinks."""

    row: ops.Op | ops.Block | None = None
    example: ops.Example | None = None

    def sample(self, seed: int | list[int], sizes: Mapping[str, int], mode: str) -> Inputs:
        """Arguments of fixed shapes."""
        assert self.row is not None
        assert self.example is not None
        return tuple(ops.draw(self.row, self.example, np.random.default_rng(seed), self.dtype))


def host(name: str, which: int = 0) -> Case:
    """The right (f, vjp) pair of an example of an op: fresh arrays in and out, the gradients of the reference."""
    row = ops.TABLE.get(name) or ops.BLOCKS[name]
    example = ops.EXAMPLES[name][which]
    static = dict(example.static)
    parents = ops.draw(row, example, np.random.default_rng(0))
    frozen = tuple(i for i, p in enumerate(parents) if p.dtype.kind in "iub" or i in row.frozen)
    labels = [f"p{i}" for i in range(len(parents))]

    def f(*inputs: Array) -> Array:
        return np.array(ops.invoke(name, *inputs, **static))

    if isinstance(row, ops.Op):

        def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
            returned = row.vjp(g, f(*inputs), *inputs, **static)
            return tuple(None if i in frozen else np.array(d) for i, d in enumerate(returned))

    else:

        def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
            kept = {n: x for n, x in zip(labels, inputs, strict=True)}
            free = {n: np.shape(x) for i, (n, x) in enumerate(kept.items()) if i not in frozen}
            fixed = {n: kept[n] for n in kept if n not in free}
            graph = trace(lambda **nodes: ops.invoke(name, *({**nodes, **fixed}[n] for n in labels), **static), **free)
            table = backward(forward(graph, **{n: kept[n] for n in free}), g)
            return tuple(None if n in fixed else np.array(table[n]) for n in labels)

    draws = {n: Draw(p.shape, shape_only) for n, p in zip(labels, parents, strict=True)}
    label = f"{name}{which}" if which else name
    return Case(label, f, vjp, OpDomain(draws, {}, ("generic",), "float64", row, example), frozen=frozen)


NOT_DIFFERENTIABLE = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "sign", "ones_like")


@cache
def hosts() -> tuple[Case, ...]:
    """One right case a differentiable op or block: the largest of its examples, so that faults have room to show."""
    chosen = []
    for name, examples in ops.EXAMPLES.items():
        if name in NOT_DIFFERENTIABLE:
            continue
        sizes = [sum(int(np.prod(shape)) for shape in example.shapes) for example in examples]
        chosen.append(host(name, int(np.argmax(sizes))))
    return tuple(chosen)


def planted(faults: Any, chosen: Callable[[int, int], bool] = lambda i, j: True) -> Iterator[tuple[Case, Inputs]]:
    """Every fault in every host for which `chosen(fault number, host number)` holds, at one point where it shows."""
    from properties.catalogue import shows
    from properties.catalogue.faults import floats

    for i, fault in enumerate(faults):
        for j, right in enumerate(hosts()):
            if not chosen(i, j):
                continue
            mine = floats(right)
            wrong = fault.plant(right, mine[(i + j) % len(mine)])
            # leaving out a frozen last input's None is as good as returning it
            if wrong is None or (fault.name == "one_gradient_short" and len(right.domain.draws) - 1 in right.frozen):
                continue
            inputs = next(right.points(1))
            if shows(wrong, inputs):
                yield wrong, inputs
