"""Holdings: what a function can be seen to hold on to, where its generators and other state are looked for."""

from types import CellType, ModuleType
from typing import Any

_EMPTY = CellType()


def held_by(function: Any) -> list[Any]:
    """The function, what it is bound to, what it closes over, and the globals that it names.

    >>> numbers = [1, 2]
    >>> def outer(x): return lambda y: x.index(y)
    >>> numbers in held_by(outer(numbers)), held_by(numbers.index)[1] is numbers
    (True, True)
    """
    bound = [function.__self__] if hasattr(function, "__self__") else []
    cells = getattr(function, "__closure__", None) or ()
    code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    named = [scope[name] for name in code.co_names if name in scope] if code is not None else []
    held = [function, *bound, *(cell.cell_contents for cell in cells if cell != _EMPTY), *named]
    return [value for value in held if not isinstance(value, ModuleType)]
