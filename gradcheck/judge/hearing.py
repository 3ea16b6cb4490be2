"""Hearing: backward's first answer at a point, and how further answers are compared with it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.floats import differentiable, limits, promoted
from gradcheck.judge.bench import Bench
from gradcheck.judge.reals import Array, as_real
from gradcheck.report import Finding, Kind, place

REORDERED = 1e-3
"""What float32 hidden inside float64 may owe to another order of its sums; a mistake of form is not so small."""


@dataclass
class Hearing:
    """One bench with a cotangent and what backward first said of it.

    raw: gradients as backward returned them, one a block; gradients: the same, flat, real and copied. wobble: how
    much each gradient moves when the inputs move by an ulp: its rounding, as far as one can see from outside.
    right_at: asks the whole question again at another bench, for a diagnosis that compares batch sizes.
    """

    bench: Bench
    cotangent: Array
    other: Array
    raw: list[Any]
    given: list[Array]
    gradients: list[Array]
    largest: float = 0.0  # the largest entry of the value
    underflow: float = 0.0  # how coarsely its smallest entries are rounded
    second: list[Array] = field(default_factory=list)  # gradients for `other`
    wobble: list[Array] = field(default_factory=list)
    right_at: Callable[[Bench], bool] = lambda bench: False

    def name(self, b: int) -> str | int:
        """The label of block b."""
        return self.bench.target.label(self.bench.blocks[b])

    def finding(self, kind: Kind, b: int, found: Array, expected: Array, what: str) -> Finding:
        """A finding against block b, placed at its largest disagreement."""
        shape = self.bench.primals[self.bench.blocks[b]].shape
        worst = int(np.argmax(np.where(np.isfinite(found - expected), np.abs(found - expected), np.inf)))
        entry = worst // (2 if self.bench.primals[self.bench.blocks[b]].dtype.kind == "c" else 1)
        index = tuple(int(i) for i in np.unravel_index(entry, shape)) if shape else ()
        was, due = found[worst] + 0.0, expected[worst] + 0.0  # + 0.0: a zero of either sign is 0 to the reader
        evidence = (f"at {list(index)}: {was:.6g}, expected {due:.6g}",) if shape else ()
        return Finding(kind, f"backward of {place(self.name(b))} {what}", self.name(b), index, evidence=evidence)

    def disagreements(self, found: Sequence[Array], expected: Sequence[Array], relative: float = 0.0) -> Iterator[int]:
        """Blocks where two answers that should be equal differ by more than rounding.

        √eps relative to the block is far above rounding and far below any mistake of this kind; what is below 1000
        eps of the largest gradient, or of ⟨v, y⟩ over the extent of x, is rounding of a gradient that is really zero.
        In half precision that would be all there is: 2 eps there, and 64, or an eighth, for the following.
        `relative` widens √eps for answers reached in another order of operations, which may also differ by 100 times
        what an ulp's move of the inputs changes.
        """
        if all(np.array_equal(a, e) for a, e in zip(found, expected, strict=True)):
            return  # nearly always, to the last bit
        everything = max((float(np.max(np.abs(g), initial=0.0)) for g in self.gradients), default=0.0)
        value = float(np.max(np.abs(self.cotangent), initial=0.0)) * self.largest
        for b, (a, e) in enumerate(zip(found, expected, strict=True)):
            if not np.all(np.isfinite(self.gradients[b])):
                continue  # 0 · ∞ and ∞ − ∞ say nothing of a law
            eps = self.eps(b)
            few = 1000 * eps if eps < 1e-4 else min(64 * eps, 0.125) if relative else 2 * eps
            ratio = max(
                1.0,
                float(np.max(np.abs(e), initial=0.0))
                / max(float(np.max(np.abs(self.gradients[b]), initial=0.0)), 1e-300),
            )
            wobble = float(np.max(self.wobble[b], initial=0.0)) if self.wobble and relative else 0.0
            size = float(np.max(np.abs(e), initial=0.0))
            allowed = max(np.sqrt(eps), relative, 4 * self.underflow) * size + ratio * (
                100 * wobble + few * max(everything, value / self.extent(b))
            )
            allowed += ratio * (1.2e-38 if eps > 1e-8 else 2.3e-308)  # subnormals round coarsely
            if not np.array_equal(a, e, equal_nan=True) and not bool(np.all(np.abs(a - e) <= allowed)):
                yield b

    def eps(self, b: int) -> float:
        """The coarsest precision that plays a part in the gradient of block b."""
        dtypes = [
            self.bench.primals[self.bench.blocks[b]].dtype,
            *(m.dtype for m in self.bench.models if differentiable(m)),
        ]
        gradient = self.gradients[b]
        if np.array_equal(gradient, gradient.astype(np.float32)):  # float32 inside
            dtypes.append(np.dtype(np.float32))
        return float(max(limits(d).eps for d in dtypes))

    def extent(self, b: int) -> float:
        """The typical size of the entries of block b, 1 where they are all zero."""
        x = np.abs(as_real(self.bench.primals[self.bench.blocks[b]]))
        return float(np.max(x, initial=0.0)) or 1.0


def hear(bench: Bench, cotangent: Array, other: Array) -> Hearing:
    """Ask backward once. Raises BackwardError where the answer cannot be aligned with the inputs."""
    given = bench.cotangents(cotangent)
    raw = bench.gradients(bench.pull_structured(given))
    return Hearing(bench, cotangent, other, raw, given, flattened(bench, raw))


def ask(
    hearing: Hearing, cotangent: Array, moved: dict[int, Array] | None = None, *, fresh: bool = False
) -> list[Array]:
    """The gradients for another cotangent (or at moved inputs), flat; zeros for None. Raises BackwardError."""
    bench = hearing.bench
    return flattened(bench, bench.gradients(bench.pull_structured(bench.cotangents(cotangent), moved, fresh=fresh)))


def ask_output(hearing: Hearing, output: int) -> list[Array]:
    """The gradients of one output by itself: one row of the Jacobian, a block each. Raises BackwardError."""
    one_hot = np.zeros(len(hearing.cotangent))
    one_hot[output] = 1.0
    return ask(hearing, one_hot)


def flattened(bench: Bench, gradients: Sequence[Any]) -> list[Array]:
    """What backward returned, one a block, as flat real vectors of their own; zeros for None."""
    return [
        np.zeros(as_real(bench.primals[p]).shape) if g is None else bench.flat(as_gradient(g, bench.primals[p]))
        for g, p in zip(gradients, bench.blocks, strict=True)
    ]


def as_gradient(gradient: Any, model: Array) -> Array:
    """A gradient in the real or complex kind of its input, as wide as it came."""
    array = np.asarray(gradient)
    if model.dtype.kind == "c":
        return array.astype(np.result_type(array.dtype, np.complex64))
    if array.dtype.kind == "c":
        return array.real
    return array.astype(promoted(array.dtype, np.dtype(np.float16)), copy=False)
