"""Wording: what a function calls the things that it returns, read from its last return statement."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import CodeType
from typing import Any

from gradcheck.adapters.methods import undecorated


def returned_names(function: Callable[..., Any]) -> dict[tuple[int, ...], str]:
    """The words of a function's last return statement, by their place in what it returns.

    For `return dx, [dw, self.db]` that is {(0,): "dx", (1, 0): "dw", (1, 1): "db"}.

    >>> returned_names(len)
    {}
    """
    return _words(getattr(undecorated(function), "__code__", None))  # which the methods of all copies share


@lru_cache(maxsize=1024)
def _words(code: CodeType | None) -> dict[tuple[int, ...], str]:
    last = last_return(_parsed(code))
    return dict(_named(last, ())) if last is not None else {}


def tree_of(function: Callable[..., Any]) -> ast.AST | None:
    """The syntax tree of a function's definition; None without a source: a builtin, a console."""
    return _parsed(getattr(undecorated(function), "__code__", None))


@lru_cache(maxsize=1024)  # reading a source file takes longer than a forward pass
def _parsed(code: CodeType | None) -> ast.AST | None:
    if code is None:
        return None
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(code))).body[0]
    except (OSError, TypeError, SyntaxError):  # a lambda in the middle of a line has none of its own
        return None


def last_return(tree: ast.AST | None) -> ast.expr | None:
    """What the last return statement of a function returns, those of functions inside it left out."""
    returns = sorted(_returns(tree), key=lambda node: node.lineno) if tree is not None else []
    return returns[-1].value if returns else None


def _returns(node: ast.AST) -> Iterator[ast.Return]:
    """The return statements of a function, without those of functions inside it."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.Return):
            yield inner
        elif not isinstance(inner, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _returns(inner)


def _named(node: ast.expr, place: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    if isinstance(node, ast.Tuple | ast.List):
        for i, part in enumerate(node.elts):
            yield from _named(part, (*place, i))
    elif isinstance(node, ast.Name):
        yield place, node.id
    elif isinstance(node, ast.Attribute):
        yield place, node.attr
