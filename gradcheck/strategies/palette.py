"""Arrays that find bugs and shrink: a few bytes decoded through a palette of simple values.

A random float is never zero, never ties with its neighbour and never shrinks to anything a person would write; the
mistakes in hand-written gradients sit exactly at zeros, ties, repeats and constant rows. So an array is drawn as a
short string of bytes, each byte naming an entry of :data:`SIMPLEST_FIRST`; Hypothesis shrinks bytes very well. The cost
of a draw does not depend on the size of the array.

============  ======================================================  ============================================
mode          how the bytes fill the array                            what it is for
============  ======================================================  ============================================
``pad``       once, then the simplest value                           smallest failing cases
``tile``      repeated to the end                                     ties, repeats, all equal
``rows``      one byte a row, repeated                                constant rows (softmax, normalisation)
``jitter``    repeated, plus seeded noise                             generic points, away from every tie
``extreme``   repeated, through the edge values of the dtype          subnormal and huge values (only if asked for)
============  ======================================================  ============================================
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

from gradcheck.floats import limits

T = TypeVar("T")
Mode = Literal["pad", "tile", "rows", "jitter", "extreme"]
Bounds = tuple[float | None, float | None]

MODES: tuple[Mode, ...] = ("pad", "tile", "rows", "jitter")

REAL: Bounds = (None, None)
POSITIVE: Bounds = (0, None)
UNIT: Bounds = (-1, 1)

_MAGNITUDES = (1.0, 2.0, 0.5, 3.0, 1.5, 0.25, 4.0, 0.75, 2.5, 0.125, 5.0, 1.25, 8.0, 0.375, 3.5, 0.0625)
#: Dyadic, with at most 3 significant bits: exact in every dtype down to bfloat16 (8 bits). There are 32 of them, a
#: power of two: a byte's highest bits mean nothing, and Hypothesis's first shrink, masking them away, always succeeds.
SIMPLEST_FIRST = (0.0, *(sign * magnitude for magnitude in _MAGNITUDES for sign in (1, -1)))[:32]

_SPECIAL = 8
"""So many of the simplest get half of all codes between them: mistakes sit at 0, 1 and −1 more than at 0.375."""

# Beyond a few dozen bytes a longer string finds nothing more (it is tiled), but takes longer to draw and to shrink.
_MOST_BYTES = 32


@dataclass(frozen=True, repr=False)
class Palette:
    r"""The recipe of an array: hashable, comparable, and its repr is runnable Python.

    >>> recipe = Palette(b"\x01\x02", (2, 2), mode="tile")
    >>> recipe
    Palette(b'\x01\x02', (2, 2), mode='tile')
    >>> recipe.expression
    "palette(b'\\x01\\x02', (2, 2), mode='tile')"
    >>> recipe.array()
    array([[ 1., -1.],
           [ 1., -1.]])
    """

    data: bytes
    shape: tuple[int, ...]
    mode: Mode = "pad"
    seed: int = 0
    dtype: str = "float64"
    bounds: Bounds = REAL

    def array(self) -> NDArray[Any]:
        """Decode the recipe: a new, writable, C-ordered array of ``shape`` and ``dtype``."""
        return palette(
            self.data, self.shape, mode=self.mode, seed=self.seed, dtype=self.dtype, bounds=self.bounds
        )

    @property
    def expression(self) -> str:
        """The Python expression that makes the array itself, for reports: ``palette(b'...', (1, 3))``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        options = [f"{f.name}={values[f.name]!r}" for f in fields(self)[2:] if values[f.name] != f.default]
        return f"palette({', '.join([repr(self.data), repr(self.shape), *options])})"

    def __repr__(self) -> str:
        """Runnable Python that makes an equal recipe."""
        return "P" + self.expression[1:]


def palette(
    data: bytes,
    shape: tuple[int, ...],
    *,
    mode: Mode = "pad",
    seed: int = 0,
    dtype: DTypeLike = "float64",
    bounds: Bounds = REAL,
) -> NDArray[Any]:
    r"""Decode ``data`` into an array of ``shape`` and ``dtype`` with entries strictly inside ``bounds``.

    A pure function: the same arguments give the same array, bit for bit. ``seed`` matters in mode ``jitter`` only.
    A side of ``bounds`` that is None is open.

    Raises ValueError for an unknown mode or empty bounds, TypeError for a dtype that is not floating-point.

    >>> palette(b"\x01\x02", (1, 3))
    array([[ 1., -1.,  0.]])
    >>> palette(b"\x01\x02", (4,), mode="tile", bounds=POSITIVE)  # the palette itself changes with the bounds
    array([2. , 0.5, 2. , 0.5])
    >>> abs(palette(b"", (3,), mode="jitter") - palette(b"", (3,))).max() < 1
    np.True_
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode {mode!r} is unknown: use one of {', '.join(get_args(Mode))}")
    kind = np.dtype(dtype)
    if kind.kind != "f" and "float" not in kind.name:  # bfloat16 of ml_dtypes is of kind "V"
        raise TypeError(f"dtype {kind.name} has no derivatives: use a floating-point dtype such as 'float64'")
    values = _values(bounds, kind.name if mode == "extreme" else None)
    codes = np.frombuffer(data, dtype=np.uint8)
    size = math.prod(shape)
    if mode == "pad":
        filled = np.zeros(size, dtype=np.intp)
        filled[: len(codes)] = codes[:size]
    else:
        across = shape[-1] if mode == "rows" and shape else 1
        filled = np.repeat(np.resize(codes, size // max(across, 1)), across)
    filled %= 64
    entries = values[np.where(filled < len(values), filled, filled % _SPECIAL) % len(values)].reshape(shape)
    if mode == "jitter":
        entries = entries + _noise(entries, bounds, seed)
    return np.asarray(entries, dtype=kind)


def palettes(
    shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]],
    dtype: str = "float64",
    *,
    bounds: Bounds = REAL,
    modes: Sequence[Mode] = MODES,
    extremes: bool = False,
) -> st.SearchStrategy[Palette]:
    """Recipes of arrays of ``shape`` (or of shapes drawn from a strategy): what a printable case is made of.

    ``modes`` restricts how arrays are filled, the simplest mode first; ``modes=("jitter",)`` draws generic points only.
    ``extremes=True`` adds a branch of subnormal and huge values: for layers that promise to survive them.
    """
    return _built(Palette, shape, dtype, bounds, modes, extremes)


def palette_arrays(
    shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]],
    dtype: str = "float64",
    *,
    bounds: Bounds = REAL,
    modes: Sequence[Mode] = MODES,
    extremes: bool = False,
) -> st.SearchStrategy[NDArray[Any]]:
    """Arrays of ``shape`` and ``dtype`` inside ``bounds``; the options are those of :func:`palettes`.

    Hypothesis prints a failing array as the call of :func:`palette` that makes it.

    >>> from hypothesis import find
    >>> find(palette_arrays((2, 2)), lambda x: x[0, 0] < 0)
    array([[-1.,  0.],
           [ 0.,  0.]])
    """
    return _built(palette, shape, dtype, bounds, modes, extremes)


def _built(
    make: Callable[..., T],
    shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]],
    dtype: str,
    bounds: Bounds,
    modes: Sequence[Mode],
    extremes: bool,
) -> st.SearchStrategy[T]:
    if isinstance(shape, st.SearchStrategy):
        return shape.flatmap(lambda drawn: _built(make, drawn, dtype, bounds, modes, extremes))
    data = st.binary(max_size=min(math.prod(shape), _MOST_BYTES))
    defaults = {"dtype": "float64", "bounds": REAL, "mode": "pad"}
    branches = []
    for mode in (*modes, "extreme") if extremes else modes:
        # Only what differs from the defaults is passed, because Hypothesis prints what is passed.
        options = {"dtype": dtype, "bounds": bounds, "mode": mode}
        passed: dict[str, st.SearchStrategy[Any]] = {
            name: st.just(value) for name, value in options.items() if value != defaults[name]
        }
        if mode == "jitter":
            passed["seed"] = st.integers(0, 2**16 - 1)
        branches.append(st.builds(make, data, st.just(shape), **passed))
    return st.one_of(branches)


@lru_cache(maxsize=256)
def _values(bounds: Bounds, dtype: str | None) -> NDArray[np.float64]:
    """The palette for ``bounds``, simplest first; the edge values of ``dtype`` where one is given."""
    low, high = _interval(bounds)
    if dtype is None:
        candidates: Sequence[float] = SIMPLEST_FIRST
    else:
        info = limits(np.dtype(dtype))
        ends = [info.tiny, info.smallest_subnormal, info.max, info.max**0.5, info.tiny**0.5, info.eps, 1 + info.eps]
        candidates = [0.0, -0.0, *(sign * float(end) for end in ends for sign in (1, -1))]
    inside = [value for value in candidates if low < value < high]
    if len(inside) < 4 and math.isfinite(high - low):  # a narrow interval: its middle, its quarters, its eighths
        inside += [low + (high - low) * part for part in (0.5, 0.25, 0.75, 0.125, 0.375, 0.625, 0.875)]
    elif len(inside) < 4:  # a half-line far from zero
        end, sign = (low, 1) if math.isfinite(low) else (high, -1)
        inside += [end + sign * magnitude for magnitude in _MAGNITUDES]
    return np.array(inside)


def _noise(entries: NDArray[np.float64], bounds: Bounds, seed: int) -> NDArray[np.float64]:
    """Uniform noise up to ±1, less near a bound: at most 3/4 of the way, so that no rounding reaches the bound."""
    low, high = _interval(bounds)
    reach = np.minimum(1.0, 0.75 * np.minimum(entries - low, high - entries))
    return np.asarray(reach * np.random.default_rng(seed).uniform(-1, 1, entries.shape))


def _interval(bounds: Bounds) -> tuple[float, float]:
    low = -math.inf if bounds[0] is None else bounds[0]
    high = math.inf if bounds[1] is None else bounds[1]
    if not low < high:
        raise ValueError(f"bounds {bounds!r} are empty: the first must be less than the second")
    return low, high
