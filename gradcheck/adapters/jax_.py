"""JAX: functions of arrays and pytrees as targets: plain, jitted, with a custom_vjp or a custom_jvp.

Where 64-bit inputs are given JAX runs with x64 enabled, for the length of the call and on this thread alone; the
caller's config is not touched.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.adapters.derivatives import Back, Pushforward, bound_function, derivative, unbound
from gradcheck.adapters.flat import Array, flattened, framework
from gradcheck.target import Target, name_of, names_of

Run = Callable[[Sequence[Any]], list[Any]]
"""run(arrays) -> the float arrays among the outputs."""


def recognises(obj: Any) -> bool:
    """Whether an object is JAX's: a custom_vjp, a custom_jvp, a jitted function or a function of jax itself.

    Does not import jax. A plain function of arrays looks like any other: give it to `from_jax`.
    """
    jax: Any = sys.modules.get("jax")
    if jax is None or isinstance(obj, type) or not callable(obj):
        return False
    home = str(getattr(obj, "__module__", ""))
    kinds = (jax.custom_vjp, jax.custom_jvp)
    return isinstance(obj, kinds) or type(obj).__name__ == "PjitFunction" or home.split(".")[0] in ("jax", "jaxlib")


def adapt(obj: Any, **options: Any) -> Target:
    """The entry of this adapter for `as_target`: `from_jax`."""
    return from_jax(obj, **options)


def from_jax(
    function: Any, *, name: str | None = None, frozen: Iterable[int | str] = (), order: int = 1, mode: str = "reverse"
) -> Target:
    """A target from a function that JAX can differentiate, with jax.vjp.

    Inputs are NumPy or JAX arrays or pytrees of them; every float or complex leaf is judged under its path. Random
    keys, Python numbers and other leaves stay what they are. NumPy float64 arrays are judged in float64, whatever
    jax_enable_x64 says; JAX's own arrays are float32 by default, and judged as such.

    order=2 judges the gradient of the gradient: the target is the gradient, as a function of inputs and cotangent.
    mode="forward" judges jax.jvp by the pullback that it implies, at the price of one jvp an entry: for a custom_jvp.
    Raises ValueError for another order or mode, TypeError for what cannot be called. Source: Bradbury et al., JAX,
    2018, "Custom derivative rules".

    >>> import jax, numpy as np, gradcheck
    >>> dense = gradcheck.from_jax(lambda p, x: jax.numpy.tanh(x @ p["w"] + p["b"]), name="dense")
    >>> report = gradcheck.check(dense, {"w": np.eye(3, 2), "b": np.ones(2)}, np.ones((4, 3)))
    >>> report.verdict, sorted(report.resolutions)
    (<Verdict.PASS: 'pass'>, ["p['b']", "p['w']", 'x'])
    """
    jax = framework("jax", "from_jax", "jax")
    label = derivative(name or name_of(function), order, mode)
    if not callable(function):
        raise TypeError(f"from_jax takes a function of arrays or pytrees, got {function!r:.60}")
    names = names_of(function)

    def bind(*inputs: Any) -> tuple[Target, tuple[Any, ...]]:
        flat = flattened(inputs, names, _is_array, frozen, label, _walk)
        arrays = [np.array(leaf, dtype=leaf.dtype.newbyteorder("=")) for leaf in flat.originals]  # JAX knows no other
        moving = [_floats(a) and i not in flat.frozen for i, a in enumerate(arrays)]
        floats = [leaf for leaf, moves in zip(flat.originals, moving, strict=True) if moves]
        notes = []
        if any(isinstance(leaf, jax.Array) and leaf.dtype == np.float32 for leaf in floats):
            notes.append("float32, as JAX made the inputs: give NumPy float64 arrays to see smaller errors")

        def run(values: Sequence[Any]) -> list[Any]:
            outputs = jax.tree_util.tree_leaves(function(*flat.rebuilt(values)))
            return [o for o in outputs if hasattr(o, "dtype") and _floats(o)]

        return bound_function(label, Call(run, moving), arrays, flat.names, notes, order, mode)

    return unbound(label, names, bind)


@dataclass(frozen=True)
class Call:
    """run: from flat JAX arrays to the float ones among the outputs. moving: which inputs are differentiated."""

    run: Run
    moving: Sequence[bool]

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs, copied."""
        with _precision(arrays):
            return [np.array(o) for o in self.run(_given(arrays))]

    def linearize(self, arrays: Sequence[Array]) -> Back:
        """jax.vjp with respect to what moves."""
        jax: Any = sys.modules["jax"]
        with _precision(arrays):
            function, primals = self._of_moving(_given(arrays))
            outputs, vjp = jax.vjp(function, *primals)

        def back(cotangents: tuple[Array, ...]) -> list[Array]:
            with _precision(arrays):
                given = [jax.numpy.array(c, dtype=o.dtype) for c, o in zip(cotangents, outputs, strict=True)]
                return [np.array(g) for g in vjp(given)]

        return back

    def pushforward(self, arrays: Sequence[Array]) -> Pushforward:
        """jax.linearize with respect to what moves."""
        jax: Any = sys.modules["jax"]
        with _precision(arrays):
            function, primals = self._of_moving(_given(arrays))
            _, linear = jax.linearize(function, *primals)

        def push(position: int, tangent: Array) -> list[Array]:
            place = sum(self.moving[:position])
            with _precision(arrays):
                tangents = [jax.numpy.zeros_like(p) for p in primals]
                tangents[place] = jax.numpy.array(tangent, dtype=primals[place].dtype)
                return [np.array(t) for t in linear(*tangents)]

        return push

    def gradient(self, values: Sequence[Any]) -> list[Any]:
        """The gradient as a function of the inputs and, after them, the cotangents: what order 2 differentiates."""
        jax: Any = sys.modules["jax"]
        function, primals = self._of_moving(values[: len(self.moving)])
        _, vjp = jax.vjp(function, *primals)
        return list(vjp([*values[len(self.moving) :]]))

    def _of_moving(self, values: Sequence[Any]) -> tuple[Callable[..., list[Any]], list[Any]]:
        """The function of those inputs that move, and their values."""

        def function(*primals: Any) -> list[Any]:
            rest = iter(primals)
            return self.run([next(rest) if moves else v for v, moves in zip(values, self.moving, strict=True)])

        return function, [v for v, moves in zip(values, self.moving, strict=True) if moves]


def _given(arrays: Sequence[Array]) -> list[Any]:
    """Copies: on a CPU JAX may share an array's memory, which is the caller's to write into."""
    jax: Any = sys.modules["jax"]
    return [jax.numpy.array(a, copy=True) for a in arrays]


def _precision(arrays: Sequence[Array]) -> contextlib.AbstractContextManager[Any]:
    """x64 where an input is of 64-bit floats; else what the caller has."""
    jax: Any = sys.modules["jax"]
    wide = any(a.dtype in (np.float64, np.complex128) for a in arrays)
    return jax.enable_x64(True) if wide else contextlib.nullcontext()


def _walk(tree: Any, f: Callable[[str, Any], Any]) -> Any:
    tree_util: Any = sys.modules["jax"].tree_util
    return tree_util.tree_map_with_path(lambda path, leaf: f(tree_util.keystr(path), leaf), tree)


def _is_array(leaf: Any) -> bool:
    jax: Any = sys.modules["jax"]
    if isinstance(leaf, jax.Array):
        return not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return isinstance(leaf, np.ndarray | np.generic)


def _floats(array: Any) -> bool:
    jax: Any = sys.modules["jax"]
    return bool(jax.numpy.issubdtype(array.dtype, jax.numpy.inexact))
