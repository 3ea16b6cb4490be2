"""Methods: the passes of a layer as methods by name or functions of the layer, and which arguments they take."""

import dis
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gradcheck.adapters.naming import PHASES, TESTING, TRAINING

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class CallError(TypeError):
    """A pass cannot be called with what there is; the message says what it wants."""


@dataclass(frozen=True)
class Standing:
    """A function of the layer that stands for one of its methods: it has that one's name and return statement, and as a
    forward its arguments.
    """

    function: Callable[..., Any]
    method: str
    forward: bool

    def __call__(self, layer: Any, *arguments: Any, **settings: Any) -> Any:
        """Call the function."""
        return self.function(layer, *arguments, **settings)


Method = str | Standing | Callable[..., Any]
"""A method by name, or a function of the layer and the method's arguments."""


def bound(layer: Any, method: Method) -> Callable[..., Any]:
    """A method of this copy of the layer."""
    return getattr(layer, method) if isinstance(method, str) else _Given(layer, method)


def written(layer: Any, method: Method) -> Callable[..., Any]:
    """The function whose source tells what is returned."""
    name = method.method if isinstance(method, Standing) else method
    return getattr(layer, name) if isinstance(name, str) else name


@dataclass
class _Given:
    """A function of the layer, with the layer put in."""

    layer: Any
    function: Standing | Callable[..., Any]

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return self.function(self.layer, *arguments, **settings)

    @property
    def __signature__(self) -> inspect.Signature:
        function = self.function
        if isinstance(function, Standing):
            if function.forward:
                return inspect.signature(getattr(self.layer, function.method))
            function = function.function
        signature = inspect.signature(function)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def spell(method: Method) -> str:
    """What a report calls a pass."""
    name = method.method if isinstance(method, Standing) else method
    return name if isinstance(name, str) else getattr(name, "__name__", "the function given")


def input_names(method: Callable[..., Any]) -> list[str]:
    """The names of forward's inputs, settings left out.

    >>> input_names(lambda x, t, training=True: x)
    ['x', 't']
    """
    positional, optional, _ = signature(method)
    return [name for name in (*positional, *optional) if not is_flag(name)]


def arguments(method: Callable[..., Any]) -> list[str]:
    """The names of all arguments that a method takes by position.

    >>> arguments(lambda x, training=True: x)
    ['x', 'training']
    """
    positional, optional, _ = signature(method)
    return [*positional, *optional]


def signature(method: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Positional arguments without and with a default, and whether there are any number of further ones."""
    if inspect.ismethod(method):
        positional, optional, variadic = _read(method.__func__)
        return (positional[1:], optional, variadic) if positional else (positional, optional[1:], variadic)
    return _read(method) if inspect.isfunction(method) else _read.__wrapped__(method)


@lru_cache(maxsize=1024)  # reading a signature takes longer than a small forward pass
def _read(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    try:
        parameters = list(inspect.signature(undecorated(function)).parameters.values())
    except (TypeError, ValueError):  # builtins and ufuncs may have none
        return (), (), True
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    return (
        tuple(p.name for p in positional if p.default is p.empty),
        tuple(p.name for p in positional if p.default is not p.empty),
        any(p.kind is p.VAR_POSITIONAL for p in parameters),
    )


def defaults(method: Callable[..., Any]) -> dict[str, Any]:
    """The defaults of a method's arguments.

    >>> defaults(lambda x, lr=0.1: x)
    {'lr': 0.1}
    """
    function = getattr(method, "__func__", method)
    return _defaults(function) if inspect.isfunction(function) else _defaults.__wrapped__(function)


@lru_cache(maxsize=1024)
def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(undecorated(function)).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def undecorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function inside its decorators: those of functools.wraps, and those that forgot it, `wrap(*args, **kwargs)`
    around the only function in their closure.

    >>> def traced(function):
    ...     def wrap(*args, **kwargs): return function(*args, **kwargs)
    ...     return wrap
    >>> signature(traced(lambda x, training=True: x))
    (('x',), ('training',), False)
    """
    function = inspect.unwrap(function)
    while inspect.isfunction(function):
        code, inner = function.__code__, []
        if code.co_argcount or code.co_kwonlyargcount or not code.co_flags & inspect.CO_VARARGS:
            break
        for cell in function.__closure__ or ():
            try:
                inner += [cell.cell_contents] if inspect.isfunction(cell.cell_contents) else []
            except ValueError:  # an empty cell
                continue
        others = [one for one in inner if one is not function]
        if len(others) != 1:
            break
        function = inspect.unwrap(others[0])
    return function


def keeps_by_call(layer: Any, forward: Method) -> bool:
    """Whether calling a layer keeps something on it, besides running this forward: what backward needs may be that.

    >>> class Base:
    ...     def __call__(self, x): self.seen = x; return self.forward(x)
    >>> keeps_by_call(Base(), "forward"), keeps_by_call(Base(), "__call__"), keeps_by_call(abs, "forward")
    (True, False, False)
    """
    called = next((vars(base)["__call__"] for base in type(layer).__mro__ if "__call__" in vars(base)), None)
    code = getattr(called, "__code__", None)
    if code is None or forward not in code.co_names:
        return False
    return any(step.opname == "STORE_ATTR" for step in dis.get_instructions(code))


def is_flag(name: str) -> bool:
    """Whether an argument is a flag for training or testing, by its name."""
    return name in TRAINING + TESTING + PHASES


def entered(error: BaseException) -> bool:
    """Whether an error comes from inside a method, rather than from how it was called from here."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and Path(trace.tb_frame.f_code.co_filename).parent != Path(__file__).parent
