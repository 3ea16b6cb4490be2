"""Epsilon: a loss that takes log(p + 1e-7), beside a gradient that knows nothing of the epsilon.

That is the gradient of the loss without it, which is what is meant; how far it is from the gradient of the loss as it
is depends on the point: 1e-7/p for a probability p. The loss without it is the layer's own, its source struck.
"""

import ast
import copy
import inspect
import re
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from gradcheck.adapters.methods import Method, Standing, undecorated
from gradcheck.adapters.walk import Array, copied
from gradcheck.adapters.wording import tree_of
from gradcheck.target import Target

_CALLED = re.compile(r"_*(?:eps\w*|delta|tiny)", re.IGNORECASE)

_LOGS = {"log", "log2", "log10"}

_FADED = 2.0**-40
"""Of an epsilon, to leave 0 · log(0) at 0; of 1e-7 it is 1e-19, which is no digit of a p above a millionth."""

_DEEP = 2
"""Calls from forward to what takes the log: a loss calls its cross-entropy, which calls another."""

_FELT = 0.01
"""What no descent feels: a gradient off by less. At p = 100 epsilons it is a hundredth."""

_GROUPS = 32
"""Groups of examples looked at by themselves, at two values of the loss each."""


def without_epsilon(layer: Any, forward: Method, backward: Callable[..., Any]) -> tuple[Any, str] | None:
    """A copy of a layer whose forward takes log(p) for log(p + epsilon), and the epsilon as it is written.

    None where forward adds none, or backward adds one too, or their source is not there.
    """
    name = forward.method if isinstance(forward, Standing) else forward
    if not isinstance(name, str) or not _takes_logs(getattr(layer, name), layer, _DEEP):
        return None
    called = [one for _, one in _called_by(getattr(layer, name), layer)]
    theirs = [backward, *(one for _, one in _called_by(backward, layer) if one not in called)]
    if any(_is_sum(node) for one in theirs for node in _outside_of_logs(tree_of(one))):
        return None
    struck, found = copied(layer), list[str]()
    try:
        _strike(struck, name, found, _DEEP)
    except (AttributeError, SyntaxError):  # no attribute can be set, or what was read is no whole function
        return None
    return (struck, found[0]) if found else None


def remark(epsilon: str, felt: bool) -> str:
    """What a report says of it."""
    rest = (
        "more than a hundredth here: add it in both or in neither"
        if felt
        else ('less than a hundredth here, so judged without it; convention="vjp" makes it a FAIL')
    )
    return f"epsilon in the loss only: forward takes log(… + {epsilon}), backward does not, which makes {rest}"


def is_felt(loss: Target, bare: Target, values: tuple[Any, ...]) -> bool:
    """Whether the epsilon is more than a hundredth of the gradient of any group of examples at these values.

    bare: the loss without it. Inputs move along their gradient, or up, by a part of themselves: a p stays positive.
    """
    values = tuple(v.astype(np.result_type(v, np.float64)) if v.dtype.kind == "f" else v for v in values)
    with np.errstate(all="ignore"):
        try:
            gradients = bare.linearize(*values)(np.ones_like(bare.value(*values)))
        except Exception:  # which is a finding, and the judge's to make
            return False
        noise = 2.0**-30 * np.sum(np.abs(bare.value(*values)))  # 4 values, 2⁻⁵³ each, over 2⁻¹⁹, and sums
        return any(
            not abs(_part(loss, bare, values, i, way)) <= _FELT * np.sum(np.abs(gradient * way)) + noise
            for i, gradient in enumerate(gradients) if gradient is not None
            for way in _ways(np.where(gradient, np.sign(gradient), 1) * np.abs(values[i]))
        )  # fmt: skip


def _ways(whole: Array) -> Iterator[Array]:
    """A direction by its groups of rows, those that are zero left out."""
    for rows in np.array_split(np.arange(len(np.atleast_1d(whole))), _GROUPS):
        way = np.zeros_like(np.atleast_1d(whole))
        way[rows] = np.atleast_1d(whole)[rows]
        if way.any():
            yield way.reshape(whole.shape)


def _part(loss: Target, bare: Target, values: tuple[Any, ...], i: int, way: Array) -> Any:
    """What the epsilon adds to the slope along a direction: a difference of small numbers, so its step is no matter."""
    ends = [(*values[:i], values[i] + step * way, *values[i + 1 :]) for step in (2.0**-20, -(2.0**-20))]
    above, below = (np.sum(np.subtract(loss.value(*end), bare.value(*end))) for end in ends)
    return (above - below) * 2.0**19


def _called_by(function: Callable[..., Any], layer: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """What a function calls, by name: functions of its module, methods of the layer."""
    plain = undecorated(function)
    for name in getattr(getattr(plain, "__code__", None), "co_names", ()):
        own = inspect.getattr_static(layer, name, None)  # no property is asked
        one = getattr(layer, name) if callable(own) else getattr(plain, "__globals__", {}).get(name)
        if inspect.isfunction(one) or inspect.ismethod(one):
            yield name, one


def _takes_logs(function: Callable[..., Any], layer: Any, depth: int) -> bool:
    """Whether a function, or one that it calls, takes any log: most layers need no more looking at."""
    names = getattr(getattr(undecorated(function), "__code__", None), "co_names", ())
    if not _LOGS.isdisjoint(names):
        return True
    return depth > 0 and any(_takes_logs(one, layer, depth - 1) for _, one in _called_by(function, layer))


def _strike(layer: Any, name: str, found: list[str], depth: int) -> None:
    """Put a method without epsilons in the place of a method, if it adds any; `found` has them."""
    method, before = getattr(layer, name), len(found)
    new = _struck(getattr(method, "__func__", method), layer, found, depth)
    if len(found) > before:
        setattr(layer, name, MethodType(new, layer) if inspect.ismethod(method) else new)


def _struck(function: Callable[..., Any], layer: Any, found: list[str], depth: int) -> Callable[..., Any]:
    """A function without the epsilons in its logs, and in those of the functions that it calls."""
    tree = tree_of(function)
    if not isinstance(function, FunctionType) or not isinstance(tree, ast.FunctionDef):
        return function
    if undecorated(function) is not function:
        return function
    names = function.__globals__
    for name, one in _called_by(function, layer) if depth else ():
        if inspect.ismethod(one) or hasattr(layer, name):
            _strike(layer, name, found, depth - 1)
            continue
        before = len(found)
        other = _struck(one, layer, found, depth - 1)
        names = {**names, name: other} if len(found) > before else names
    tree = _Strike(found).visit(copy.deepcopy(tree))
    code = _compiled(tree, function.__code__)
    if not set(code.co_names) <= set(function.__code__.co_names):  # self.__eps, which only a class spells out
        raise SyntaxError(f"{function.__name__} has private names")
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    closure = tuple(cells.get(name, CellType()) for name in code.co_freevars)
    new = FunctionType(code, names, function.__name__, function.__defaults__, closure)
    new.__kwdefaults__ = function.__kwdefaults__
    return new


def _compiled(tree: ast.FunctionDef, old: CodeType) -> CodeType:
    """The code of a function, at the lines where it was, with the variables around it that it had."""
    tree.decorator_list = []
    ast.increment_lineno(tree, old.co_firstlineno - 1)
    around = ast.parse(f"def around({', '.join(old.co_freevars)}): pass")
    around.body[0].body = [tree]  # type: ignore[attr-defined]
    codes = list(compile(ast.fix_missing_locations(around), old.co_filename, "exec").co_consts)
    while codes:
        code = codes.pop(0)
        if isinstance(code, CodeType):
            if code.co_name == tree.name:
                return code
            codes += code.co_consts
    raise SyntaxError(f"no function {tree.name}")


class _Strike(ast.NodeTransformer):
    """Takes log(p + next to nothing) for log(p + epsilon)."""

    def __init__(self, found: list[str]) -> None:
        self.found = found
        self.logs = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.logs += _is_log(node)
        self.generic_visit(node)
        self.logs -= _is_log(node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not (self.logs and _is_sum(node)):
            return node
        epsilon, rest = (node.right, node.left) if _is_epsilon(node.right) else (node.left, node.right)
        self.found.append(ast.unparse(epsilon))
        return ast.BinOp(rest, ast.Add(), ast.BinOp(epsilon, ast.Mult(), ast.Constant(_FADED)))


def _outside_of_logs(tree: ast.AST | None) -> Iterator[ast.AST]:
    for node in [tree] if tree is not None else []:
        yield node
        for inner in ast.iter_child_nodes(node):
            if not _is_log(inner):
                yield from _outside_of_logs(inner)


def _is_log(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return getattr(called, "attr", getattr(called, "id", "")) in _LOGS


def _is_sum(node: ast.AST) -> bool:
    """Whether this is something plus an epsilon."""
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)):
        return False
    return _is_epsilon(node.left) or _is_epsilon(node.right)


def _is_epsilon(node: ast.expr) -> bool:
    """Whether this is a tiny number, or called one: 1e-7, self.eps."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float) and 0 < node.value <= 1e-3
    return bool(_CALLED.fullmatch(getattr(node, "attr", getattr(node, "id", ""))))
