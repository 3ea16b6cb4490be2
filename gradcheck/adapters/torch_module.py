"""Torch module: a module as a function of its inputs and parameters, itself left as it is."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.adapters.flat import Array, away_from_constants
from gradcheck.adapters.tensors import array_of
from gradcheck.adapters.torch_call import floats, state
from gradcheck.adapters.trees import mapped


@dataclass(frozen=True)
class Functional:
    """parameters: what is judged, in the dtype of the inputs; constants: buffers and the other parameters, cloned for
    every call, so that running statistics start from the same; padding: rows of embeddings that have no gradient, by
    the position of the table among the parameters.
    """

    module: Any
    holder: Any
    parameters: Mapping[str, Array]
    constants: Mapping[str, Any]
    padding: Mapping[int, int]
    notes: tuple[str, ...]

    def within(self, parameters: Sequence[Any], casts: Mapping[Any, Any], thunk: Callable[[], list[Any]]) -> list[Any]:
        """What thunk returns while the module has these parameters.

        Floating constants follow `casts`, from the dtype they were bound in to another.
        """
        torch: Any = sys.modules["torch"]
        state = {k: c.clone().to(casts.get(c.dtype, c.dtype)) for k, c in self.constants.items()}
        state.update(zip(self.parameters, parameters, strict=True))
        found: list[Any] = torch.func.functional_call(
            self.holder, {f"module.{k}": t for k, t in state.items()}, (thunk,)
        )
        return found

    def hooked(self, parameters: Sequence[Any]) -> None:
        """Hooks registered on a parameter are kept on the tensor that stands for it."""
        for name, tensor in zip(self.parameters, parameters, strict=True):
            for hook in (self.module.get_parameter(name)._backward_hooks or {}).values():
                tensor.register_hook(hook)


def functional(module: Any, inputs: tuple[Any, ...], dtypes: set[Any]) -> Functional:
    """A module to be called with inputs of these dtypes, the floating ones among them.

    Where module and inputs have one dtype each, the module's parameters and buffers are cast to the inputs'. A module
    has the dtype of its parameters, that of its buffers where it has none.
    """
    torch: Any = sys.modules["torch"]
    _settle(module, inputs)
    own, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    there = {p.dtype for p in own.values() if floats(p)} or {b.dtype for b in buffers.values() if floats(b)}
    alike = len(there) == len(dtypes) == 1 and len({d.is_complex for d in (*there, *dtypes)}) == 1
    casts = dict(zip(there, dtypes, strict=True)) if alike else {}
    judged = {k: array_of(p.to(casts.get(p.dtype, p.dtype))) for k, p in own.items() if p.requires_grad}
    parameters, notes = away_from_constants(judged)
    constants = {k: c.detach() for k, c in (*own.items(), *buffers.items()) if k not in judged}
    constants = {k: c.to(casts.get(c.dtype, c.dtype)) for k, c in constants.items()}
    if casts and there != dtypes:
        notes.append(
            f"parameters and buffers, which are {_word(there)}, are taken as {_word(dtypes)}, as the inputs are"
        )
    if held := [k for k in own if k not in judged]:
        notes.append(f"held, since they do not require grad: {', '.join(held)}")
    embeddings = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    tables = {f"{name}.weight".lstrip("."): m for name, m in module.named_modules() if isinstance(m, embeddings)}
    padding = {k: m.padding_idx for k, m in tables.items() if m.padding_idx is not None and k in parameters}
    if padding:
        notes.append(f"without a gradient by design: {', '.join(f'{k}[{row}]' for k, row in padding.items())}")
    rows = {list(parameters).index(k): row for k, row in padding.items()}
    return Functional(module, _holder(module), parameters, constants, rows, tuple(notes))


def _holder(module: Any) -> Any:
    """A module around another that calls what it is given: functional_call replaces parameters for so long."""
    torch: Any = sys.modules["torch"]

    class Holder(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, thunk: Callable[[], list[Any]]) -> list[Any]:
            return thunk()

    return Holder()


def _settle(module: Any, inputs: tuple[Any, ...]) -> None:
    """A lazy module learns its sizes from its first call, which it is given in its own dtype."""
    torch: Any = sys.modules["torch"]
    lazy = [p for p in (*module.parameters(), *module.buffers()) if torch.nn.parameter.is_lazy(p)]

    def cast(path: str, leaf: Any) -> Any:
        return leaf.to(lazy[0].dtype) if isinstance(leaf, torch.Tensor) and floats(leaf) else leaf

    if lazy:
        with state(0), torch.no_grad():
            module(*mapped(inputs, cast))


def _word(dtypes: set[Any]) -> str:
    return ", ".join(sorted(str(d).removeprefix("torch.") for d in dtypes))
