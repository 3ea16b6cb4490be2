"""What other gradient checkers say of a case: each is called the way its documentation shows, with its own tolerances.

torch      torch.autograd.gradcheck, slow and fast, on a torch.autograd.Function around (f, vjp)
jax        jax.test_util.check_vjp, given the NumPy pair directly: the algorithm is jax's own code, nothing is traced
autograd   autograd.test_util.check_grads, first order, reverse mode, on a primitive with defvjp
scipy      scipy.optimize._numdiff.check_derivative of ⟨v, f⟩ for a random cotangent v; accused above 1e-5, because its
           documentation calls a result "on the order of 1e-6 or lower" likely correct

An exception while the tool works on a case counts as accused: its user sees a red test either way.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from properties.catalogue.case import Array, Case, Inputs
from properties.catalogue.shows import arrays


@dataclass(frozen=True)
class Outcome:
    """What a tool said of a point: "accused", "passed", "inconclusive" or "error" (it cannot take the case at all)."""

    verdict: str
    evaluations: int = 0
    message: str = ""


class UnsupportedError(Exception):
    """The tool cannot take this case at all."""


class Counted:
    """A case's pair with its frozen inputs bound, so that a tool sees float arrays only; counts the forward calls."""

    def __init__(self, case: Case, inputs: Inputs) -> None:
        """Copy the inputs: tools may do with theirs what they like."""
        self.case = case
        self.all = tuple(np.array(x) for x in inputs)
        self.places = [i for i in range(len(inputs)) if i not in case.frozen]
        self.floats = [self.all[i] for i in self.places]
        self.evaluations = 0

    def _whole(self, floats: Any) -> Inputs:
        given = dict(zip(self.places, floats, strict=True))
        return tuple(given.get(i, x) for i, x in enumerate(self.all))

    def f(self, *floats: Array) -> Any:
        """The value, counted."""
        self.evaluations += 1
        return self.case.f(*self._whole(floats))

    def vjp(self, floats: Any, cotangent: Any) -> list[Any]:
        """The gradients of the float inputs."""
        gradients = self.case.vjp(self._whole(floats), cotangent)
        return [gradients[i] for i in self.places]


MOST_ENTRIES = 10**7  # of the Jacobian that torch's slow mode builds, twice: 160 MB


def torch_slow(pair: Counted, seed: int) -> bool:
    """The slow mode, unless its two Jacobians would not fit: 512 × 512 entries need a terabyte."""
    outputs = sum(y.size for y in arrays(pair.f(*pair.floats)))
    if outputs * sum(x.size for x in pair.floats) > MOST_ENTRIES:
        raise UnsupportedError("the Jacobian is too large")
    return torch_gradcheck(pair, seed, fast=False)


Judge = Callable[[Counted, int], bool]


def judge(tool: str, case: Case, inputs: Inputs, seed: int = 0) -> Outcome:
    """The tool's verdict on one point of a case."""
    pair = Counted(case, inputs)
    try:
        passed = PEERS[tool](pair, seed)
    except UnsupportedError as reason:
        return Outcome("error", pair.evaluations, str(reason))
    except Exception as reason:  # whatever it is, the tool's user sees it
        return Outcome("accused", pair.evaluations, f"{type(reason).__name__}: {reason}"[:200])
    return Outcome("passed" if passed else "accused", pair.evaluations)


def missing(tool: str) -> str | None:
    """Why a tool cannot be run here, or None."""
    module = tool.split("-")[0]
    return None if importlib.util.find_spec(module) else f"{module} is not installed"


def torch_gradcheck(pair: Counted, seed: int, fast: bool) -> bool:
    """torch.autograd.gradcheck with its defaults."""
    import torch

    if any(x.dtype == np.longdouble for x in pair.floats):
        raise UnsupportedError("torch has no longdouble")
    torch.set_num_threads(1)
    torch.manual_seed(seed)

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            value = pair.f(*(t.detach().numpy() for t in tensors))
            ctx.multiple = isinstance(value, tuple)
            return tuple(map(torch.from_numpy, value)) if ctx.multiple else torch.from_numpy(value)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            g = tuple(c.detach().numpy() for c in cotangents)
            gradients = pair.vjp([t.detach().numpy() for t in ctx.saved_tensors], g if ctx.multiple else g[0])
            found = tuple(None if d is None else torch.from_numpy(np.asarray(d)) for d in gradients)
            return found if len(found) > 1 else found[0]

    tensors = tuple(torch.from_numpy(np.array(x)).requires_grad_() for x in pair.floats)
    return bool(torch.autograd.gradcheck(Wrapped.apply, tensors, fast_mode=fast))


def jax_check(pair: Counted, seed: int) -> bool:
    """jax.test_util.check_vjp with its defaults; its directions are seeded inside, with 0."""
    import jax
    from jax.test_util import check_vjp

    if any(x.dtype == np.longdouble for x in pair.floats):
        raise UnsupportedError("jax has no longdouble")
    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

    def linearized(*floats: Array) -> tuple[Any, Callable[[Any], Any]]:
        return pair.f(*floats), lambda g: tuple(pair.vjp(floats, g))

    check_vjp(pair.f, linearized, tuple(pair.floats))  # type: ignore[no-untyped-call]
    return True


def autograd_check(pair: Counted, seed: int) -> bool:
    """autograd.test_util.check_grads, reverse mode, first order."""
    from autograd.builtins import tuple as boxed  # type: ignore[import-untyped]
    from autograd.extend import defvjp, primitive  # type: ignore[import-untyped]
    from autograd.test_util import check_grads  # type: ignore[import-untyped]

    if any(x.dtype in (np.longdouble, np.float16) for x in pair.floats):
        raise UnsupportedError("autograd has no vector space for this dtype")
    value = pair.f(*pair.floats)
    outputs = len(value) if isinstance(value, tuple) else 0
    pieces = []  # autograd's own structures are boxes: one primitive an output is the plain way to return a tuple
    for k in range(outputs or 1):
        f = primitive(lambda *floats, k=k: pair.f(*floats)[k] if outputs else pair.f(*floats))
        defvjp(f, *(_maker(pair, i, k, value) for i in range(len(pair.floats))))
        pieces.append(f)
    np.random.seed(seed)  # noqa: NPY002 - autograd draws from the global generator
    together = (lambda *floats: boxed([f(*floats) for f in pieces])) if outputs else pieces[0]
    check_grads(together, modes=["rev"], order=1)(*pair.floats)
    return True


def _maker(pair: Counted, i: int, k: int, value: Any) -> Callable[..., Callable[[Any], Any]]:
    def make(answer: Any, *floats: Any) -> Callable[[Any], Any]:
        def pull(g: Any) -> Any:
            if not isinstance(value, tuple):
                return pair.vjp(floats, g)[i]
            return pair.vjp(floats, tuple(g if j == k else np.zeros_like(y) for j, y in enumerate(value)))[i]

        return pull

    return make


def scipy_check(pair: Counted, seed: int) -> bool:
    """scipy's check_derivative on the flattened inputs."""
    from scipy.optimize._numdiff import check_derivative

    if any(x.dtype == np.longdouble for x in pair.floats):
        raise UnsupportedError("scipy works in float64")
    if sum(x.size for x in pair.floats) > 20_000:
        raise UnsupportedError("two forward calls an entry are too many")
    rng = np.random.default_rng(seed)
    value = pair.f(*pair.floats)
    draws = tuple(np.asarray(rng.normal(size=y.shape)).astype(y.dtype) for y in arrays(value))
    v = draws if isinstance(value, tuple) else draws[0]

    def unpack(z: Array) -> list[Array]:
        ends = np.cumsum([x.size for x in pair.floats])[:-1]
        return [part.reshape(x.shape).astype(x.dtype) for part, x in zip(np.split(z, ends), pair.floats, strict=True)]

    def function(z: Array) -> Array:
        return np.array([sum((a * b).sum() for a, b in zip(arrays(pair.f(*unpack(z))), draws, strict=True))], float)

    def jacobian(z: Array) -> Array:
        floats = unpack(z)
        gradients = pair.vjp(floats, v)
        missing_or_odd = [
            i for i, (d, x) in enumerate(zip(gradients, floats, strict=True)) if d is None or np.shape(d) != x.shape
        ]
        if missing_or_odd:
            raise ValueError(f"no gradient of the right shape for inputs {missing_or_odd}")
        return np.concatenate([np.ravel(d) for d in gradients])[None]

    start = np.concatenate([x.ravel() for x in pair.floats]).astype(float)
    return start.size == 0 or bool(check_derivative(function, jacobian, start) <= 1e-5)


PEERS: dict[str, Judge] = {
    "torch-slow": torch_slow,
    "torch-fast": lambda pair, seed: torch_gradcheck(pair, seed, fast=True),
    "jax": jax_check,
    "autograd": autograd_check,
    "scipy": scipy_check,
}
