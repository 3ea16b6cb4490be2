"""Exact counts: what a call does in bytecodes, comparisons and array elements, the same at every run.

Counts have no noise, so they can be held to 3% in any test, on any machine, under any load. They do not see the inside
of a C function, a scan of a list of numbers for one: instruction counts and the clock see that.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from types import CodeType, FrameType
from typing import Any

import numpy as np

from gradcheck.cost.clock import no_collections


@dataclass(frozen=True)
class Counts:
    """What a call did: ``bytecodes`` executed, ``comparisons`` of guarded objects, ``elements`` read or written."""

    bytecodes: int
    comparisons: int
    elements: int


class Counted(np.ndarray[Any, Any]):
    """An array that adds up the elements which NumPy reads and writes on its behalf.

    >>> before, x = Counted.elements, counted(np.ones((2, 3)))
    >>> _ = x + x  # reads twelve, writes six
    >>> Counted.elements - before
    18
    """

    elements = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        """Run the ufunc on plain arrays and count what it touched."""
        if out is not None:
            options["out"] = tuple(map(_plain, out))
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        # ufunc.at(array, indices, values) touches what it is told to, not all of the array
        Counted.elements += _size(inputs[1:] if method == "at" else inputs) + _size(result)
        return out[0] if out is not None and len(out) == 1 else _again(result)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        """Run any other function of NumPy on plain arrays and count what went in and came out."""
        result = function(*map(_plain, arguments), **{name: _plain(value) for name, value in options.items()})
        read = _size(result)
        Counted.elements += read + _size(arguments) if read else 0  # np.shape and the like touch no element
        return _again(result)


def counted(value: Any) -> Any:
    """A view of an array whose elements are counted; other values as they are."""
    return np.asarray(value).view(Counted) if isinstance(value, np.ndarray | np.generic) else value


def count(call: Callable[[], Any], compared: Sequence[type] = ()) -> Counts:
    """Run a call and count. ``compared`` are classes that compare by identity and whose comparisons are counted.

    A trace function of a debugger or a coverage tool rests meanwhile and is put back.

    >>> def squares(n):
    ...     return [i * i for i in range(n)]
    >>> once, twice, thrice = (count(lambda n=n: squares(n)).bytecodes for n in (100, 200, 300))
    >>> twice - once == thrice - twice
    True
    """
    before = Counted.elements
    with no_collections(), _comparisons_counted(compared) as comparisons:  # a collection may call back into Python
        others = sys.gettrace()
        sys.settrace(None)
        try:
            bytecodes = _bytecodes(call)
        finally:
            sys.settrace(others)
    return Counts(bytecodes, len(comparisons), Counted.elements - before)


if sys.version_info >= (3, 12):

    def _bytecodes(call: Callable[[], Any]) -> int:
        """Those executed in this thread. By sys.monitoring: from 3.13 on, a trace function that asks for opcodes hears
        none of a function's first call.
        """
        monitoring, instruction = sys.monitoring, sys.monitoring.events.INSTRUCTION
        thread, executed = get_ident(), 0

        def saw(code: CodeType, offset: int) -> None:
            nonlocal executed
            executed += code.co_filename != __file__ and get_ident() == thread  # the counting is not counted

        tool = next(number for number in range(6) if monitoring.get_tool(number) is None)
        monitoring.use_tool_id(tool, "gradcheck")
        monitoring.register_callback(tool, instruction, saw)
        monitoring.set_events(tool, instruction)
        try:
            call()
        finally:
            monitoring.set_events(tool, 0)
            monitoring.register_callback(tool, instruction, None)
            monitoring.free_tool_id(tool)
        return executed

else:

    def _bytecodes(call: Callable[[], Any]) -> int:
        """Those executed in this thread."""
        executed = 0

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal executed
            if frame.f_code.co_filename == __file__:
                return None  # the counting is not counted
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            executed += event == "opcode"
            return trace

        sys.settrace(trace)
        try:
            call()
        finally:
            sys.settrace(None)
        return executed


@contextmanager
def _comparisons_counted(classes: Sequence[type]) -> Iterator[list[None]]:
    """Give classes that compare by identity an ``__eq__`` that is counted, as ``in`` and ``list.index`` call it."""
    seen: list[None] = []

    def equal(self: object, other: object) -> Any:
        seen.append(None)
        return NotImplemented if self is not other else True

    guarded = [cls for cls in classes if "__eq__" not in vars(cls)]
    for cls in guarded:
        setattr(cls, "__eq__", equal)  # noqa: B010 - mypy knows no class whose __eq__ may be set
    try:
        yield seen
    finally:
        for cls in guarded:
            delattr(cls, "__eq__")


def _plain(value: Any) -> Any:
    if isinstance(value, Counted):
        return value.view(np.ndarray)
    return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value


def _again(result: Any) -> Any:
    if isinstance(result, tuple | list):
        return type(result)(map(_again, result))
    return counted(result) if isinstance(result, np.ndarray) else result


def _size(value: Any) -> int:
    if isinstance(value, tuple | list):
        return sum(map(_size, value))
    return int(value.size) if isinstance(value, np.ndarray | np.generic) else int(isinstance(value, float))
