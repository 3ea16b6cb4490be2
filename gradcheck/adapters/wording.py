"""Wording: what a function calls the things that it returns, read from its last return statement."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1024)  # reading a source file takes longer than a forward pass
def returned_names(backward: Callable[..., Any]) -> dict[tuple[int, ...], str]:
    """The words of a function's last return statement, by their place in what it returns.

    For `return dx, [dw, self.db]` that is {(0,): "dx", (1, 0): "dw", (1, 1): "db"}.

    >>> returned_names(len)
    {}
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(backward))))
    except (OSError, TypeError, SyntaxError):  # no source: a builtin, a lambda in the middle of a line, a console
        return {}
    statements = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value is not None]
    return dict(_named(statements[-1], ())) if statements else {}


def _named(node: ast.expr, place: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    if isinstance(node, ast.Tuple | ast.List):
        for i, part in enumerate(node.elts):
            yield from _named(part, (*place, i))
    elif isinstance(node, ast.Name):
        yield place, node.id
    elif isinstance(node, ast.Attribute):
        yield place, node.attr
