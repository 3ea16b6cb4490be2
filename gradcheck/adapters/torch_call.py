"""Torch call: one torch function at inputs of one structure, NumPy arrays in and out: its value, pullback and jvp."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gradcheck.adapters.derivatives import Back, Pushforward
from gradcheck.adapters.flat import Array
from gradcheck.adapters.holdings import held_by
from gradcheck.adapters.tensors import array_of, tensor_of
from gradcheck.adapters.trees import leaves


class Run(Protocol):
    """A function of flat tensors, parameters last."""

    def __call__(self, tensors: Sequence[Any]) -> list[Any]:
        """The tensors among the outputs."""

    def within(self, tensors: Sequence[Any], thunk: Callable[[], list[Any]]) -> list[Any]:
        """What thunk returns while the parameters of the module are those among the tensors.

        A checkpointed layer runs forward again on the way back.
        """


_FORWARD_SEED, _BACKWARD_SEED = 0, 1
"""Not the same: a backward that draws its dropout mask anew, rather than remember it, has to be caught."""


@dataclass
class Call:
    """run: from leaf tensors to output tensors. moving: which of them are differentiated. device: where they live.

    `held`: rows of embeddings that have no gradient by design, with what they hold, by the position of the table.
    `generators`: the function's own, beside torch's. `draws`: random numbers are drawn, which fill memory in its order:
    inputs are laid out in C order, so that the same values get the same mask.
    """

    run: Run
    moving: Sequence[bool]
    device: Any
    held: Mapping[int, tuple[int, Array]]
    generators: Sequence[Any] = ()
    draws: bool = False

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs on the path that backward would follow: in grad mode, the inputs requiring grad."""
        torch: Any = sys.modules["torch"]
        with state(_FORWARD_SEED, self.generators) as watched:
            before = [generator.get_state() for generator in watched]
            outputs = [array_of(o) for o in self.run(self._tensors(arrays))]
            states = zip(before, watched, strict=True)
            self.draws = self.draws or not all(torch.equal(b, generator.get_state()) for b, generator in states)
        return outputs

    def linearize(self, arrays: Sequence[Array]) -> Back:
        """One recorded graph, gone back through as often as asked.

        The cotangent tensor has the memory of the cotangent given: a backward that writes into it is seen to.
        """
        with state(_FORWARD_SEED, self.generators):
            tensors = self._tensors(arrays)
            outputs = self.run(tensors)
        wanted = [t for t, moves in zip(tensors, self.moving, strict=True) if moves]

        def back(cotangents: tuple[Array, ...]) -> list[Array]:
            with state(_BACKWARD_SEED, self.generators):
                given = [tensor_of(c, o.device) for c, o in zip(cotangents, outputs, strict=True)]
                found = self.run.within(tensors, lambda: gradients(outputs, wanted, given, retain_graph=True))
                return [array_of(g) for g in found]

        return back

    def pushforward(self, arrays: Sequence[Array]) -> Pushforward:
        """The jvp: dual numbers sent forward, anew for each tangent; zeros where an output does not move."""
        torch: Any = sys.modules["torch"]
        dual = torch.autograd.forward_ad

        def push(position: int, tangent: Array) -> list[Array]:
            with state(_FORWARD_SEED, self.generators), dual.dual_level():
                tensors = self._tensors(arrays)
                tensors[position] = dual.make_dual(tensors[position], tensor_of(tangent, self.device))
                outputs = [(o, dual.unpack_dual(o).tangent) for o in self.run(tensors)]
                return [array_of(torch.zeros_like(o) if t is None else t) for o, t in outputs]

        return push

    def _tensors(self, arrays: Sequence[Array]) -> list[Any]:
        """Leaves of a new graph with the memory of the arrays."""
        arrays = [np.array(a, order="C") if self.draws or i in self.held else a for i, a in enumerate(arrays)]
        for i, (row, values) in self.held.items():
            arrays[i][row] = values
        return [tensor_of(a, self.device).requires_grad_(m) for a, m in zip(arrays, self.moving, strict=True)]


@dataclass(frozen=True)
class Gradient:
    """The gradient as a function of inputs, cotangents (from `start` on) and parameters: order 2 differentiates it."""

    run: Run
    moving: Sequence[bool]
    start: int

    def __call__(self, tensors: Sequence[Any]) -> list[Any]:
        """The gradients with respect to what moves."""
        primals, cotangents = self._apart(tensors)
        outputs = [o for o in self.run(primals) if floats(o)]
        wanted = [t for t, moves in zip(primals, self.moving, strict=True) if moves]
        found = self.run.within(primals, lambda: gradients(outputs, wanted, cotangents, create_graph=True))
        if any(g.grad_fn is not None and g.grad_fn.name() == "torch::autograd::Error" for g in found):
            raise NotImplementedError("a backward marked once_differentiable implements no double backward")
        return found

    def within(self, tensors: Sequence[Any], thunk: Callable[[], list[Any]]) -> list[Any]:
        """As the function that it is the gradient of has it."""
        return self.run.within(self._apart(tensors)[0], thunk)

    def _apart(self, tensors: Sequence[Any]) -> tuple[list[Any], Sequence[Any]]:
        """Inputs and parameters, cotangents."""
        stop = self.start + len(tensors) - len(self.moving)
        return [*tensors[: self.start], *tensors[stop:]], tensors[self.start : stop]


def gradients(outputs: Sequence[Any], wanted: Sequence[Any], cotangents: Sequence[Any], **options: bool) -> list[Any]:
    """Of outputs with their cotangents with respect to the wanted tensors; zeros where nothing leads back to one."""
    torch: Any = sys.modules["torch"]
    reached = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
    if not reached:
        return [torch.zeros_like(t) for t in wanted]
    return list(
        torch.autograd.grad([o for o, _ in reached], wanted, [c for _, c in reached], materialize_grads=True, **options)
    )


def floats(tensor: Any) -> bool:
    """Whether a tensor can carry a gradient."""
    return bool(tensor.is_floating_point() or tensor.is_complex())


@contextlib.contextmanager
def state(seed: int, generators: Sequence[Any] = ()) -> Iterator[list[Any]]:
    """Grad mode on, torch's generators and these seeded, warnings kept from the caller; afterwards all is as it was.

    Yields the generators of the CPU and those given.
    """
    torch: Any = sys.modules["torch"]
    before = [generator.get_state() for generator in generators]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    random_state = torch.random.fork_rng(devices=devices)
    with torch.inference_mode(False), torch.enable_grad(), random_state, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(seed)  # torch.manual_seed formats the stack for CUDA: 9 ms in a deep one
        if devices:
            torch.cuda.manual_seed_all(seed)
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield [torch.default_generator, *generators]
        finally:
            for generator, known in zip(generators, before, strict=True):
                generator.set_state(known)


def generators_of(function: Any, inputs: Any) -> list[Any]:
    """torch.Generators that a function can be seen to draw from: those of modules and their parts, those that it holds
    itself, and those among the inputs.
    """
    torch: Any = sys.modules["torch"]
    held = held_by(function)
    parts = [part for owner in held if isinstance(owner, torch.nn.Module) for part in owner.modules()]
    owned = [value for owner in (*held, *parts) for value in getattr(owner, "__dict__", {}).values()]
    seen = [*held, *owned, *(leaf for _, leaf in leaves(inputs))]
    return list({id(value): value for value in seen if isinstance(value, torch.Generator)}.values())
