"""A case: a function with a backward pass that is known to be right or known to be wrong, and the inputs it is for."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = tuple[Array, ...]
Vjp = Callable[[Inputs, Any], tuple[Any, ...]]
Pullback = tuple[
    Any, Callable[..., Any]
]  # what a function of the catalogue returns: its value, and cotangent -> gradients
Size = str | int | Callable[[Mapping[str, int]], int]

KINDS = tuple(  # the names of DESIGN §4
    """
    SIGN FACTOR TRANSPOSED PERMUTED ZERO NOT_SUMMED WRONG_AXIS MISSING_TERM DIAGONAL_ONLY IGNORES_COTANGENT NONLINEAR
    STALE ACCUMULATES MUTATES ALIASES NONDETERMINISTIC SHAPE DTYPE NONFINITE BRANCH BATCH REPEATED_INDEX LOW_PRECISION
    APPROXIMATION RAISES OTHER
    """.split()  # noqa: SIM905 - a list of 26 quoted words is harder to read
)
PALETTE = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0])  # dyadic: exact in every dtype, so ties are exact
MODES = ("palette", "generic", "generic", "wide")


class Values:
    """Draws the values of one point: a seeded generator, and the mode that its numbers come in."""

    def __init__(self, seed: int | list[int], mode: str) -> None:
        """Seed the generator."""
        self.rng = np.random.default_rng(seed)
        self.mode = mode

    def real(self, shape: tuple[int, ...]) -> Array:
        """Normal numbers; or small dyadic ones full of ties and zeros; or normal ones of any size from 0.01 to 20."""
        if self.mode == "palette":
            return np.asarray(self.rng.choice(PALETTE, shape))
        size = 10 ** self.rng.uniform(-2, 1.3) if self.mode == "wide" else 1.0
        return np.asarray(self.rng.normal(size=shape) * size)

    def positive(self, shape: tuple[int, ...]) -> Array:
        """Like `real`, above zero: from 0.1 to 10 or, in wide mode, from 1e-4 to 1e4."""
        if self.mode == "palette":
            return np.asarray(np.abs(self.rng.choice(PALETTE[1:], shape)))
        return np.asarray(np.exp(self.rng.normal(size=shape) * (3.0 if self.mode == "wide" else 0.8)))


@dataclass(frozen=True)
class Draw:
    """One input: its shape, by letter, and how its values are made."""

    shape: tuple[Size, ...]
    make: Callable[[Values, tuple[int, ...], Mapping[str, int]], Array]

    def map(self, function: Callable[[Array], Array]) -> "Draw":
        """Apply the function to what is drawn."""
        return Draw(self.shape, lambda values, shape, sizes: function(self.make(values, shape, sizes)))

    def resolve(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape in numbers."""
        return tuple(sizes[n] if isinstance(n, str) else n if isinstance(n, int) else n(sizes) for n in self.shape)


def real(*shape: Size, scale: float = 1.0, shift: float = 0.0) -> Draw:
    """Any number."""
    return Draw(shape, lambda values, shape, sizes: np.asarray(values.real(shape) * scale + shift))


def generic(*shape: Size, scale: float = 1.0, shift: float = 0.0) -> Draw:
    """Normal numbers in every mode: for functions that are not defined, or not smooth, where numbers coincide."""
    return Draw(shape, lambda values, shape, sizes: np.asarray(values.rng.normal(size=shape) * scale + shift))


def positive(*shape: Size, scale: float = 1.0) -> Draw:
    """Numbers above zero."""
    return Draw(shape, lambda values, shape, sizes: np.asarray(values.positive(shape) * scale))


def between(low: float, high: float, *shape: Size) -> Draw:
    """Numbers strictly between two bounds."""
    return Draw(shape, lambda values, shape, sizes: np.asarray(values.rng.uniform(low, high, shape)))


def integers(high: Size, *shape: Size) -> Draw:
    """Indices or labels from 0 to high - 1."""
    return Draw(
        shape, lambda v, shape, sizes: np.asarray(v.rng.integers(0, Draw((high,), _none).resolve(sizes)[0], shape))
    )


def mask(*shape: Size, share: float = 0.5) -> Draw:
    """Booleans."""
    return Draw(shape, lambda values, shape, sizes: np.asarray(values.rng.random(shape) < share))


def definite(n: str) -> Draw:
    """Symmetric positive definite matrices of modest condition."""

    def make(values: Values, shape: tuple[int, ...], sizes: Mapping[str, int]) -> Array:
        root = values.rng.normal(size=shape)
        return root @ root.T + shape[0] * np.eye(shape[0])

    return Draw((n, n), make)


def regular(n: str) -> Draw:
    """Square matrices far from singular."""
    return Draw((n, n), lambda v, shape, sizes: v.rng.normal(size=shape) * 0.3 + 2 * np.eye(shape[0]))


def _none(values: Values, shape: tuple[int, ...], sizes: Mapping[str, int]) -> Array:
    raise NotImplementedError("this draw has a shape only")


@dataclass(frozen=True)
class Domain:
    """The inputs that a function is for: one draw an input, the range of each letter, the modes and the dtype."""

    draws: Mapping[str, Draw]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    modes: tuple[str, ...] = MODES
    dtype: str = "float64"

    def letters(self) -> dict[str, tuple[int, int]]:
        """The smallest and the largest value of each letter; 1 to 4 where nothing else is said."""
        named = {n: (1, 4) for draw in self.draws.values() for n in draw.shape if isinstance(n, str)}
        return named | dict(self.sizes)

    def sample(self, seed: int | list[int], sizes: Mapping[str, int], mode: str) -> Inputs:
        """The inputs for these sizes; the same ones whenever asked."""
        values = Values(seed, mode)
        arrays = (draw.make(values, draw.resolve(sizes), sizes) for draw in self.draws.values())
        return tuple(a.astype(self.dtype) if a.dtype.kind == "f" else a for a in arrays)

    def strategy(self) -> st.SearchStrategy[Inputs]:
        """Hypothesis: sizes, a mode and a seed are drawn, and shrink."""
        sizes = st.fixed_dictionaries({n: st.integers(*span) for n, span in self.letters().items()})
        return st.builds(self.sample, st.integers(0, 2**32 - 1), sizes, st.sampled_from(self.modes))

    def points(self, n: int, seed: list[int], modes: tuple[str, ...] | None = None) -> Iterator[Inputs]:
        """The first n points of a fixed sequence, with numpy alone."""
        for i in range(n):
            rng = np.random.default_rng([*seed, i])
            sizes = {name: int(rng.integers(low, high + 1)) for name, (low, high) in self.letters().items()}
            yield self.sample([*seed, i, 1], sizes, str(rng.choice(modes or self.modes)))


@dataclass(frozen=True)
class Case:
    """A pair (f, vjp), the domain it is meant for, and the truth about it.

    `f(*inputs)` returns an array or a tuple of arrays, `vjp(inputs, cotangent)` one gradient an input, None where
    `frozen`. Of a wrong one, `kind` is the `Kind` that names the mistake best and `also` are names that are honest too;
    `input` and `index` say where it is, if it is in one place (negative indices count from the end); `truth` is the
    right vjp, `base` the right case it was made from and `fault` what was done to it.
    """

    name: str
    f: Callable[..., Any]
    vjp: Vjp
    domain: Domain
    right: bool = True
    kind: str | None = None
    also: tuple[str, ...] = ()
    input: int | None = None
    index: tuple[int, ...] | None = None
    frozen: tuple[int, ...] = ()
    note: str = ""
    truth: Vjp | None = None
    base: str = ""
    fault: str = ""

    @property
    def inputs(self) -> st.SearchStrategy[Inputs]:
        """A Hypothesis strategy for the tuple of inputs; it states the domain: nothing outside it may be judged."""
        return self.domain.strategy()

    def points(self, n: int, seed: int = 0, modes: tuple[str, ...] | None = None) -> Iterator[Inputs]:
        """n fixed points of the domain, shapes varied too; wrong cases share the points of their `base`."""
        return self.domain.points(n, [seed, zlib.crc32((self.base or self.name).encode())], modes)

    def cotangent(self, inputs: Inputs, seed: int = 0) -> Any:
        """A random cotangent for the value at these inputs."""
        rng = np.random.default_rng(seed)
        value = self.f(*(x.copy() for x in inputs))
        draws = [
            np.asarray(rng.normal(size=y.shape)).astype(y.dtype)
            for y in (value if isinstance(value, tuple) else (value,))
        ]
        return tuple(draws) if isinstance(value, tuple) else draws[0]

    def renamed(self, name: str, **changes: Any) -> "Case":
        """A copy under another name."""
        return replace(self, name=name, **changes)


def case(
    *, sizes: Mapping[str, tuple[int, int]] | None = None, modes: tuple[str, ...] = MODES, note: str = "", **draws: Draw
) -> Callable[[Callable[..., Pullback]], Case]:
    """Make a right case of a function that returns its value and its pullback.

    The pair made from it abides by the laws: value and gradients are fresh arrays of the inputs' dtype. Integer and
    boolean inputs are frozen; the pullback leaves them out, and returns the bare gradient if only one input is left.
    """

    def build(function: Callable[..., Pullback]) -> Case:
        domain = Domain(draws, sizes or {}, modes)
        smallest = {n: low for n, (low, _) in domain.letters().items()}
        frozen = tuple(i for i, x in enumerate(domain.sample(0, smallest, modes[0])) if x.dtype.kind in "bi")
        return Case(
            function.__name__, *pair(function, frozen), domain, frozen=frozen, note=note or function.__doc__ or ""
        )

    return build


def pair(function: Callable[..., Pullback], frozen: tuple[int, ...]) -> tuple[Callable[..., Any], Vjp]:
    """The law-abiding (f, vjp) of a function that returns its value and its pullback."""

    def f(*inputs: Array) -> Any:
        dtype = np.result_type(*(x for x in inputs if x.dtype.kind == "f"))
        value = function(*inputs)[0]
        return tuple(np.array(y, dtype) for y in value) if isinstance(value, tuple) else np.array(value, dtype)

    def vjp(inputs: Inputs, cotangent: Any) -> tuple[Any, ...]:
        returned = function(*inputs)[1](cotangent)
        gradients = iter(returned if isinstance(returned, tuple) else (returned,))
        return tuple(None if i in frozen else np.array(next(gradients), x.dtype) for i, x in enumerate(inputs))

    return f, vjp


def elementwise(
    name: str, value: Callable[[Array], Array], slope: Callable[[Array], Any], draw: Draw, note: str = ""
) -> Case:
    """The case of a function that works entry by entry, from its value and its slope."""

    def function(x: Array) -> Pullback:
        return value(x), lambda g: g * slope(x)

    function.__name__ = name
    sizes = {n: (1, 6) for n in draw.shape if isinstance(n, str)}
    return case(x=draw, sizes=sizes, note=note)(function)
