"""PyTorch: modules, functions, autograd.Functions and custom ops as targets.

A module is called through `torch.func.functional_call`, hooks and all, with parameters and buffers of ours in the place
of its own, which stay what they are. Nothing global is changed: the grad mode and the random state are put back, the
default dtype, the threads and the deterministic flags are not touched.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.adapters.derivatives import bound, cotangents_like, defined, derivative, unbound
from gradcheck.adapters.flat import Array, Flat, flattened, framework
from gradcheck.adapters.tensors import array_of, tensor_of
from gradcheck.adapters.torch_call import Call, Gradient, floats, generators_of
from gradcheck.adapters.torch_module import Functional, functional
from gradcheck.adapters.trees import leaves
from gradcheck.target import Target, name_of, names_of


def recognises(obj: Any) -> bool:
    """Whether an object is torch's: a module, an autograd.Function, a scripted function, an op or a function of torch.

    Does not import torch. A plain function of tensors looks like any other: give it to `from_torch`.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return False
    if inspect.isclass(obj):
        return _is_function_class(obj, torch)
    kinds = (torch.nn.Module, torch.jit.ScriptFunction, torch.library.CustomOpDef)
    home = str(getattr(obj, "__module__", None) or type(obj).__module__)
    return isinstance(obj, kinds) or (callable(obj) and home.split(".")[0] == "torch")


def adapt(obj: Any, **options: Any) -> Target:
    """The entry of this adapter for `as_target`: `from_torch`."""
    return from_torch(obj, **options)


def from_torch(
    function: Any, *, name: str | None = None, frozen: Iterable[int | str] = (), order: int = 1, mode: str = "reverse"
) -> Target:
    """A target from a torch module, a function of tensors, an autograd.Function (the class) or a custom op.

    Inputs are tensors or NumPy arrays, also nested in lists, tuples and mappings; every float or complex one is judged,
    but where some of the tensors require grad, those alone. Outputs may be nested, too. Parameters that require grad
    are judged under their names; buffers are held. All is computed in the dtype of the inputs: a float32 module given
    float64 arrays is judged in float64. train() and eval() are respected; torch's generator is seeded before every
    call, so that dropout draws the same mask.

    order=2 judges double backward: the target is the gradient, as a function of the inputs and the cotangent.
    mode="forward" judges forward mode by the pullback that it implies, at the price of one jvp an entry.
    Raises ValueError for another order or mode, TypeError for what cannot be called. Source: Paszke et al., PyTorch,
    NeurIPS 2019, for the semantics of backward.

    >>> import torch, gradcheck
    >>> layer = gradcheck.from_torch(torch.nn.Linear(3, 2))
    >>> report = gradcheck.check(layer, torch.randn(4, 3, dtype=torch.float64))
    >>> report.verdict, sorted(report.resolutions)
    (<Verdict.PASS: 'pass'>, ['bias', 'input', 'weight'])
    """
    torch = framework("torch", "from_torch", "torch")
    label = derivative(name or name_of(function), order, mode)
    called, names = _called(function, torch)

    def bind(*inputs: Any) -> tuple[Target, tuple[Any, ...]]:
        return _bound(called, flattened(inputs, names, _is_array, frozen, label), label, order, mode)

    return unbound(label, names, bind)


def _called(function: Any, torch: Any) -> tuple[Callable[..., Any], tuple[str | None, ...]]:
    """What to call, and the names of its arguments."""
    if _is_function_class(function, torch):
        separate = function.setup_context is not torch.autograd.Function.setup_context  # then forward has no ctx
        return function.apply, names_of(function.forward, skip=0 if separate else 1)
    if isinstance(function, torch.nn.Module):
        return function, names_of(function.forward)
    if callable(function) and not inspect.isclass(function):
        return function, names_of(function)
    remedy = "; give an instance of it" if inspect.isclass(function) else ""
    raise TypeError(
        f"from_torch takes a module, a function of tensors or an autograd.Function, got {function!r:.60}{remedy}"
    )


def _is_function_class(obj: Any, torch: Any) -> bool:
    return inspect.isclass(obj) and issubclass(obj, torch.autograd.Function)


@dataclass
class _Run:
    """The function on flat tensors: inputs as `flat` has them, then parameters. `dtypes`: of the floats it is bound to.

    `writes`: forward writes into its inputs, which autograd allows on what is no leaf: they are cloned for it.
    """

    function: Any
    flat: Flat
    dtypes: Sequence[Any]
    writes: bool = False

    def __call__(self, tensors: Sequence[Any]) -> list[Any]:
        try:
            return self._outputs([t.clone() for t in tensors] if self.writes else tensors)
        except RuntimeError as error:
            if self.writes or "in-place operation" not in str(error):
                raise
            self.writes = True
            return self._outputs([t.clone() for t in tensors])

    def within(self, tensors: Sequence[Any], thunk: Callable[[], list[Any]]) -> list[Any]:
        """What thunk returns while the module has the parameters among the tensors."""
        if not isinstance(self.function, Functional):
            return thunk()
        casts = {old: t.dtype for old, t in zip(self.dtypes, tensors, strict=True) if floats(t)}
        return self.function.within(tensors[len(self.flat.originals) :], casts, thunk)

    def _outputs(self, tensors: Sequence[Any]) -> list[Any]:
        count = len(self.flat.originals)
        inputs = self.flat.rebuilt(tensors[:count])
        if not isinstance(self.function, Functional):
            return _tensors_in(self.function(*inputs))
        self.function.hooked(tensors[count:])
        return self.within(tensors, lambda: _tensors_in(self.function.module(*inputs)))


def _bound(function: Any, flat: Flat, label: str, order: int, mode: str) -> tuple[Target, tuple[Array, ...]]:
    """The target at these inputs, after one forward pass that shows if it writes, if it draws, and what it returns."""
    torch: Any = sys.modules["torch"]
    given = [_tensor(leaf) for leaf in flat.originals]
    asked = any(t.requires_grad for t in given)
    moving = [floats(t) and i not in flat.frozen and (t.requires_grad or not asked) for i, t in enumerate(given)]
    generators = generators_of(function, flat.tree)
    homes = [leaf for leaf in flat.originals if isinstance(leaf, torch.Tensor)]
    parameters: dict[str, Array] = {}
    padding: dict[int, tuple[int, Array]] = {}
    notes: list[str] = []
    if isinstance(function, torch.jit.ScriptModule):
        notes.append("its parameters are not judged: torch lets nobody put others in the place of a scripted module's")
    elif isinstance(function, torch.nn.Module):
        homes += function.parameters()
        function = functional(function, flat.rebuilt(given), {t.dtype for t in given if floats(t)})
        parameters = {k if k not in flat.names else f"self.{k}": a for k, a in function.parameters.items()}
        padding = {i: (row, [*parameters.values()][i][row]) for i, row in function.padding.items()}
        notes += function.notes
    device = homes[0].device if homes else torch.device("cpu")
    arrays, names = [array_of(t) for t in given], [*flat.names]
    moving += [True] * len(parameters)
    run = _Run(function, flat, [tensor_of(a, "cpu").dtype for a in (*arrays, *parameters.values())])
    call = Call(run, moving, device, {len(arrays) + i: row for i, row in padding.items()}, generators)
    outputs: list[Array] = []
    try:
        outputs = call.outputs([*arrays, *parameters.values()])
    except Exception as error:
        if "not differentiable with respect to argument" in str(error):
            raise ValueError(f"{label}: torch says {error!s:.160} Name it in frozen=, by name or position") from error
        if order == 2:
            raise  # no cotangent can be given a shape; else the judge meets it again, and says so
    if run.writes:
        notes.append("forward writes into its inputs, as autograd lets it: it is given copies")
    if call.draws:
        notes.append("random numbers are drawn: torch's generator is seeded before every call")
    if order == 2:
        cotangents = cotangents_like([o for o in outputs if o.dtype.kind not in "iub"])
        moving = [*moving[: len(arrays)], *[True] * len(cotangents), *moving[len(arrays) :]]
        gradient = Gradient(run, call.moving, len(arrays))
        held = {i + len(cotangents): row for i, row in call.held.items()}
        call = Call(gradient, moving, device, held, generators, call.draws)
        arrays, names = [*arrays, *cotangents.values()], [*names, *cotangents]
    target = bound(label, call, moving, (*names, *parameters), parameters, notes, mode)
    if (order, mode) != (1, "reverse"):
        defined(target, (*arrays, *parameters.values()))
    return target, tuple(arrays)


def _tensors_in(outputs: Any) -> list[Any]:
    return [leaf for _, leaf in leaves(outputs) if isinstance(leaf, sys.modules["torch"].Tensor)]


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, sys.modules["torch"].Tensor | np.ndarray | np.generic)


def _tensor(leaf: Any) -> Any:
    return leaf if isinstance(leaf, sys.modules["torch"].Tensor) else tensor_of(np.asarray(leaf), "cpu")
