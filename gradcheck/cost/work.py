"""What is measured: the backward pass of one size, prepared so that nothing else falls into the measurement."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gradcheck
from gradcheck.backprop import Node, Tape
from gradcheck.backprop.sweep import sweep as reference

Array = NDArray[Any]
View = Callable[[Any], Any]


@dataclass(frozen=True)
class Work:
    """The backward pass of one size.

    `prepare(view)` runs what comes before, the forward pass, and returns the call to be measured; `view` is applied to
    the arrays that the call reads, and lets a count of elements see them. `edges` and `elements` say how large it is,
    None where that is not known. `visits` takes what the call returned and says how many edges it visited.
    `compared` are classes whose instances must not be compared more than linearly often.
    """

    name: str
    prepare: Callable[[View], Callable[[], Any]]
    edges: int | None = None
    elements: int | None = None
    nodes: int | None = None
    visits: Callable[[Any], int] | None = None
    compared: tuple[type, ...] = ()

    def size(self, per: str) -> int:
        """The size as it is counted: edges or elements; ValueError where it has none of them."""
        number = {"edge": self.edges, "element": self.elements}.get(per)
        if number is None:
            raise ValueError(
                f"per={per!r}: {self.name} is measured per 'element', or per 'edge' where the factory says how many "
                "edges there are: return (target, inputs, edges)"
            )
        return number


def unit(works: Mapping[int, Work]) -> str:
    """In what works are measured unless somebody says otherwise: edges where they are known."""
    return "element" if any(work.edges is None for work in works.values()) else "edge"


def as_it_is(array: Any) -> Any:
    """The view that changes nothing."""
    return array


def as_work(made: Any) -> Work:
    """What a factory returned, as a Work: a Work, a Tape, (target, inputs) or (target, inputs, edges).

    The target is whatever `gradcheck.as_target` takes, the inputs a tuple of arrays. TypeError for anything else.

    >>> as_work(((np.tanh, lambda inputs, g: (g * (1 - np.tanh(inputs[0]) ** 2),)), (np.zeros((4, 3)),))).elements
    12
    """
    if isinstance(made, Work):
        return made
    if isinstance(made, Tape):
        return of_tape(made)
    if isinstance(made, tuple) and len(made) in (2, 3) and isinstance(made[1], tuple | list):
        return of_target(*made)
    raise TypeError(
        f"the factory of a cost curve returned {type(made).__name__} {made!r:.60}: return (target, inputs), inputs "
        "being a tuple of arrays, or (target, inputs, edges)"
    )


def of_tape(tape: Tape, name: str = "reference", sweep: Callable[..., Any] = reference) -> Work:
    """The reverse sweep of a tape, from a cotangent of ones; ``sweep`` has the signature of the reference's."""

    def prepare(view: View) -> Callable[[], Any]:
        values = [view(value) for value in tape.values]
        seeds = {node: view(np.ones_like(tape.values[node.index])) for node in tape.graph.outputs}
        return partial(sweep, tape.graph, values, seeds)

    elements = sum(node.size for node in tape.graph.nodes)
    return Work(
        name, prepare, tape.graph.edges, elements, len(tape.graph), visits=lambda swept: int(swept[1]), compared=(Node,)
    )


def of_target(obj: Any, inputs: Any, edges: int | None = None) -> Work:
    """The pullback of anything that `gradcheck.as_target` takes, at these inputs, for a random cotangent."""
    target, arrays = gradcheck.as_target(obj).bound(tuple(inputs))
    arrays = (*map(np.asarray, arrays), *map(np.asarray, target.parameters.values()))
    value = target.value(*arrays)
    rng = np.random.default_rng(0)

    def like(y: Any) -> Array:
        return np.asarray(rng.standard_normal(np.shape(y)), np.asarray(y).dtype)

    cotangent = tuple(map(like, value)) if isinstance(value, tuple) else like(value)

    def prepare(view: View) -> Callable[[], Any]:
        pullback = target.linearize(*map(view, arrays))
        return partial(pullback, tuple(map(view, cotangent)) if isinstance(cotangent, tuple) else view(cotangent))

    return Work(target.name, prepare, edges, sum(array.size for array in arrays))


def by_letters(layer: Any, shapes: Mapping[str, Any]) -> Callable[[int], Work]:
    """A factory from a layer and the shapes of its inputs, in which every letter grows: ``{"x": ("n", 64)}``.

    Raises ValueError where no shape has a letter, so that nothing would grow.
    """
    spelled = {name: (shape,) if isinstance(shape, int | str) else tuple(shape) for name, shape in shapes.items()}
    if not any(isinstance(side, str) for shape in spelled.values() for side in shape):
        raise ValueError(f"{dict(shapes)}: nothing grows; write a letter for what does, such as x=('n', 64)")

    def make(n: int) -> Work:
        rng = np.random.default_rng(0)
        sides = [tuple(n if isinstance(side, str) else side for side in shape) for shape in spelled.values()]
        return of_target(layer, tuple(rng.standard_normal(shape) for shape in sides))

    return make
