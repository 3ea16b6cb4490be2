"""Discover: what of a module has a gradient that somebody wrote by hand, found by looking at it."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from gradcheck.adapters.entry import methods_of
from gradcheck.adapters.functions import pairs_in, takes_context
from gradcheck.adapters.layer import from_functions
from gradcheck.adapters.methods import undecorated
from gradcheck.adapters.naming import BACKWARD, DERIVATIVE, FORWARD, LABELS
from gradcheck.adapters.wording import returned_names

_GRADIENT = re.compile(r"^_*(?:d[A-Z_a-z]{1,2}$|d_?(?:out|scores|logits|pred|input)|grads?(?:$|_)|.*_grads?$)")
_RELATIVE = re.compile(r"^\s*from (\.+)[\w ]", re.MULTILINE)
_PASSES = re.compile(r"def \w*(?:back|bprop|grad|deriv|prime|vjp|loss)\w*\(|custom_[vj][jv]p|autograd\.Function")


@dataclass(frozen=True)
class Candidate:
    """Something to check: a class to make with arguments, or a function or context with nothing to make.

    `layer` makes what `from_layer` or `as_target` takes; `arguments` are those of the constructor, `inputs` the names
    of what forward takes. `framework` is "torch" or "jax" where inputs must be its own arrays.
    """

    name: str
    layer: Callable[..., Any]
    arguments: tuple[inspect.Parameter, ...]
    inputs: tuple[str, ...]
    framework: str = ""
    passes: tuple[Callable[..., Any], ...] = field(default=(), compare=False)
    at_point: bool = False  # backward is a derivative at a point, maybe at the value: σ' = a (1 − a)
    joined: bool = False  # backward takes labels that forward has not: the gradient of a loss that it does not compute


class UnreadableError(Exception):
    """A module cannot be imported; the message says what it raised."""


def modules_of(place: str, home: Path) -> list[tuple[str, str]]:
    """The modules that a name, a file or a folder stands for, each with the directory to import it from.

    A file of a package is imported from where the outermost package lies, any other from its own folder.

    >>> modules_of("json.decoder", Path("."))
    [('json.decoder', '.')]
    """
    path = Path(place)
    if not (path.suffix == ".py" or path.is_dir()):
        return [(place, str(home))]
    files = filter(_tells, sorted(path.rglob("*.py"))) if path.is_dir() else [path]
    return [_importable(file.resolve()) for file in files]


def _tells(file: Path) -> bool:
    """Whether a file of a folder defines anything that sounds like a gradient; others are not even imported."""
    test = file.name.startswith(("setup.", "test_", "conftest.")) or any(part.startswith(".") for part in file.parts)
    return not test and bool(_PASSES.search(file.read_text(encoding="utf-8", errors="replace")))


def _importable(file: Path) -> tuple[str, str]:
    root, source = file.parent, file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    # `from . import` works in a folder without __init__.py, too
    upwards = max(map(len, _RELATIVE.findall(source)), default=0)
    while root.name.isidentifier() and ((root / "__init__.py").exists() or upwards > 0):  # another name is no package
        root, upwards = root.parent, upwards - 1
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts), str(root)


def places_of(root: str, home: str) -> list[str]:
    """Where modules of `root` are imported from before `home`: there, and the folders between the two.

    >>> places_of("/clone/src/nets", "/clone"), places_of("/clone", "/clone")
    (['/clone/src/nets', '/clone/src'], [])
    """
    between = [str(path) for path in Path(root).parents if path.is_relative_to(home)]
    return [place for place in (root, *between) if place != home]


def imported(name: str, root: str, home: str) -> ModuleType:
    """Import a module from `root`, with `home` as the second place to look for what it needs.

    Raises UnreadableError for anything that importing raises.
    """
    sys.path[:0] = [*places_of(root, home), home]
    absent = Absent()
    sys.meta_path.append(absent)
    while True:
        try:
            return importlib.import_module(name)
        except BaseException as error:  # a script may call exit()
            lacks = (getattr(error, "name", None) or "").partition(".")[0]
            own = lacks == name.partition(".")[0]
            if not isinstance(error, ModuleNotFoundError) or not lacks or own or lacks in absent.packages:
                raise UnreadableError(" ".join(f"{type(error).__name__}: {error}".split())[:200]) from error
            absent.packages.add(lacks)


class Absent(MetaPathFinder, Loader):
    """Stands in for what is not installed: layers seldom need the plots and data sets that their module imports.

    What is taken from such a module can be named and inherited from; called, it raises ImportError.
    """

    def __init__(self) -> None:
        self.packages: set[str] = set()

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """A spec for what was missed before; what is installed is found by others, who are asked first."""
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in self.packages else None

    def exec_module(self, module: ModuleType) -> None:
        """Let the module have every public name."""

        def missing(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)

            def called(*_: object, **__: object) -> None:
                raise ImportError(f"{module.__name__} is not installed, and {name} of it was called")

            return type(name, (), {"__init__": called, "__module__": module.__name__})

        vars(module)["__getattr__"] = missing


def found_in(module: ModuleType) -> list[Candidate]:
    """The candidates of a module, in the order of their definition; what it imports from elsewhere is not its own.

    >>> import types
    >>> module = types.ModuleType("layers")
    >>> exec("def f_forward(x): ...\\ndef f_backward(d, cache): ...\\ndef other(x): ...", vars(module))
    >>> [candidate.name for candidate in found_in(module)]
    ['f_forward']
    """
    own = [(name, one) for name, one in vars(module).items() if getattr(one, "__module__", None) == module.__name__]
    classes = [found for name, one in own if inspect.isclass(one) for found in _of_class(name, one)]
    derived = [_of_derived(name, one) for name, one in own if _framework(one) == "jax"]
    rules = {f"{found.name}_{word}" for found in derived for word in ("fwd", "forward")}
    pairs = [
        _of_pair(pair)
        for pair in pairs_in(module)
        if pair.forward.__module__ == module.__name__ and pair.forward.__name__.lstrip("_") not in rules
    ]
    points = [_of_point(name, module) for name, one in own if inspect.isfunction(one) and _derivative_of(name, module)]
    losses = [_of_pair((name, one)) for name, one in own if inspect.isfunction(one) and _answers_at_once(one)]
    return list(_under_own_names([*classes, *pairs, *points, *losses, *derived]))


def _under_own_names(found: list[Candidate]) -> Iterator[Candidate]:
    """Each once, by its name; a further backward of one forward, batchnorm_backward_alt, goes under its own name."""
    names: set[str] = set()
    for candidate in found:
        back = candidate.passes[-1].__name__ if candidate.passes else candidate.name
        name = candidate.name if candidate.name not in names else back
        if name not in names:
            names.add(name)
            yield replace(candidate, name=name)


def _of_class(name: str, kind: type[Any]) -> Iterator[Candidate]:
    if inspect.isabstract(kind):
        return
    framework = _framework(kind)
    if framework or takes_context(kind):
        if inspect.isfunction(getattr(kind, "forward", None)):
            taken = list(inspect.signature(kind.forward).parameters)[1:]
            yield Candidate(name, lambda: kind, (), tuple(taken), framework)
    elif _forward(kind) and methods_of(kind, BACKWARD + DERIVATIVE) and not _only_promises(kind):
        forward = undecorated(getattr(kind, _forward(kind)))
        backs = [getattr(kind, method) for method in methods_of(kind, BACKWARD) if method not in DERIVATIVE][:1]
        given = set(_required(forward))
        joined = any(name in LABELS and name not in given for back in backs for name in _required(back))
        at_point = not set(methods_of(kind, BACKWARD)) - set(DERIVATIVE)
        yield Candidate(
            name,
            kind,
            _parameters(kind),
            tuple(_required(forward)),
            passes=(forward, *backs),
            at_point=at_point,
            joined=joined,
        )


def _forward(kind: type[Any]) -> str:
    """The name of the forward pass of a class, "" where it has none; every class can be called, few define it."""
    called = next((vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None)
    names = set(getattr(getattr(called, "__code__", None), "co_names", BACKWARD))
    returns_gradient = bool(names & set(BACKWARD + DERIVATIVE))  # __call__ that asks for the gradient is no forward
    return next(iter(methods_of(kind, FORWARD)), "" if returns_gradient else "__call__")


def _only_promises(kind: type[Any]) -> bool:
    """Whether a pass does nothing but raise or return nothing: a base class."""
    for name in (_forward(kind), methods_of(kind, BACKWARD + DERIVATIVE)[0]):
        code = getattr(getattr(kind, name), "__code__", None)
        empty = code is not None and not code.co_names and set(code.co_consts) <= {None, code.co_consts[0]}
        if (
            code is None
            or {"NotImplementedError", "NotImplemented"} & set(code.co_names)
            or (empty and len(code.co_code) <= 8)
        ):
            return True
    return False


def _of_pair(passes: Any) -> Candidate:
    name, forward, *backward = passes
    taken = tuple(_required(forward))
    return Candidate(
        forward.__name__ if backward else name,
        lambda: from_functions(forward, *backward),
        (),
        taken,
        passes=(forward, *backward),
    )


def _of_point(name: str, module: ModuleType) -> Candidate:
    passes = getattr(module, _derivative_of(name, module)), getattr(module, name)
    found = _of_pair((name, *passes))
    return replace(found, at_point=True)


def _derivative_of(name: str, module: ModuleType) -> str:
    """The function that one is the derivative of by its name, and by its only argument; "" where it is none."""
    of = re.sub(r"_(?:prime|derivative|deriv|grad|gradient|der)$|^(?:d|grad|deriv|derivative|gradient)_", "", name)
    forward, backward = getattr(module, of, None), getattr(module, name)
    if of == name or not inspect.isfunction(forward) or len(list(_required(backward))) != 1:
        return ""
    return of if len(list(_required(forward))) == 1 and forward.__module__ == module.__name__ else ""


def _of_derived(name: str, function: Any) -> Candidate:
    return Candidate(name, lambda: function, (), tuple(_required(function)), "jax")


def _answers_at_once(function: Callable[..., Any]) -> bool:
    """Whether a function is a loss that returns its gradient too, by its name and its return statement."""
    names = returned_names(function)
    return "loss" in function.__name__.lower() and bool(_GRADIENT.match(names.get((1,), ""))) and len(names) >= 2


def _framework(one: Any) -> str:
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and inspect.isclass(one) and issubclass(one, torch.autograd.Function):
        return "torch"
    return "jax" if jax is not None and isinstance(one, jax.custom_vjp | jax.custom_jvp) else ""


def _parameters(kind: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    try:
        taken = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(p for p in taken if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))


def _required(function: Callable[..., Any]) -> Iterator[str]:
    """The names of the arguments that a function, or a method seen from its class, cannot do without."""
    for parameter in _parameters(function):
        if parameter.name != "self" and parameter.default is parameter.empty:
            yield parameter.name
