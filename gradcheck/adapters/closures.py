"""Closures: a forward that returns its value and its pullback, `y, backward`, which becomes the layer's backward."""

import ast
import copy
from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

from gradcheck.adapters.methods import Method, Standing
from gradcheck.adapters.walk import Array
from gradcheck.adapters.wording import last_return, tree_of


class Pullback:
    """A function that forward returned, as a part of the layer: a copy of the layer has one of its own, in which the
    layer and the arrays that it closes over are copies too.

    >>> def forward(x):
    ...     seen = [x]
    ...     return 2 * x, lambda dy: seen.append(dy) or seen
    >>> pullback = Pullback(forward(1.0)[1])
    >>> copy.deepcopy(pullback)(3.0), pullback(4.0)
    ([1.0, 3.0], [1.0, 4.0])
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function  # whose arguments and return statement are read

    def __call__(self, *cotangents: Array) -> Any:
        """Go back."""
        return self.__wrapped__(*cotangents)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Pullback":
        return Pullback(_copied(self.__wrapped__, memo))


def _copied(function: Callable[..., Any], memo: dict[int, Any]) -> Callable[..., Any]:
    """A function over copies of what it closes over, functions inside included; deepcopy would share all of it."""
    if not isinstance(function, FunctionType) or not function.__closure__:
        return copy.deepcopy(function, memo)  # of a method, with its object
    if id(function) not in memo:
        cells = tuple(CellType() for _ in function.__closure__)
        memo[id(function)] = new = FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, cells
        )
        new.__kwdefaults__ = function.__kwdefaults__
        for cell, old in zip(cells, function.__closure__, strict=True):
            try:
                inside = old.cell_contents
            except ValueError:  # empty
                continue
            cell.cell_contents = _copied(inside, memo) if callable(inside) else copy.deepcopy(inside, memo)
    found: Callable[..., Any] = memo[id(function)]
    return found


def with_pullback(forward: str) -> tuple[Method, Method]:
    """Passes of an object whose method returns (value, pullback)."""

    def run(layer: Any, *inputs: Any) -> Any:
        outcome = getattr(layer, forward)(*inputs)
        if not (isinstance(outcome, tuple) and len(outcome) == 2 and callable(outcome[1])):
            raise TypeError(f"{forward} was to return (value, pullback), and returned {type(outcome).__name__}")
        layer.pullback = Pullback(outcome[1])
        return outcome[0]

    return Standing(run, forward, True), "pullback"


def returns_pullback(forward: Callable[..., Any], owner: Any = None) -> bool:
    """Whether a function, or a method of `owner`, returns a value and a function, by the words of its return statement.

    >>> returns_pullback(with_pullback), returns_pullback(len)
    (False, False)
    """
    tree = tree_of(forward)
    last = last_return(tree)
    if tree is None or not isinstance(last, ast.Tuple) or len(last.elts) != 2:
        return False
    inside = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node is not tree}
    inside |= {
        name.id
        for node in ast.walk(tree) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
        for name in node.targets if isinstance(name, ast.Name)
    }  # fmt: skip
    second = last.elts[1]
    if isinstance(second, ast.Attribute):  # y, self.back
        return callable(getattr(owner, second.attr, None))
    return isinstance(second, ast.Lambda) or (isinstance(second, ast.Name) and second.id in inside)
