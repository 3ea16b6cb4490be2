"""Find the shapes that a layer takes, by trying; or see whether given ones fit."""

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Any

import numpy as np

from gradcheck.judge.case import Case
from gradcheck.judge.search import maker
from gradcheck.target import Target

Axes = tuple[str | int, ...]
Shapes = Mapping[str, Sequence[str | int]]

# Three sizes a letter, all different within a trial and none in the same order twice, so that no shapes fit by chance:
# broadcasting hides a wrong letter behind a size of 1, and a transposition behind a square.
_TRIALS = tuple(dict(zip("nkmlhw", sizes, strict=True)) for sizes in ((4, 7, 5, 6, 8, 9), (7, 5, 6, 9, 11, 8)))

# What is tried, by number of inputs, the commonest first.
_LETTERED: dict[int, tuple[str, ...]] = {
    1: ("nk", "n", "nkm", "nkhw", "nn", ""),
    2: ("nk km", "nk nk", "n n", "nk k", "nk n", "nkm nkm", "nk nm", "nkm nml", " "),
    3: ("nk km m", "nk k k", "nk nk nk", "nk mk m", "n n n", "nk km nm", "nkm nkm nkm", "nk km k"),
    4: ("nk km m ml", "nk nk nk nk", "nk km mm m", "nk k k k"),
    5: ("nk km m ml l", "nk nm km mm m", "nk k k k k"),
}
_MOST_FEATURES = 64  # a layer that was built for so many features or channels is found by counting up to there


def fit(layer: Any, shapes: Shapes) -> None:
    """Raise ValueError if the layer's forward raises at inputs of these shapes, at all sizes tried.

    Raises TypeError for what is no layer, and for axes that are neither letters nor sizes.

    >>> matmul = lambda x, w: (x @ w, lambda dy: (dy @ w.T, x.T @ dy))
    >>> fit(matmul, {"x": ("n", "k"), "w": ("k", "m")})
    >>> fit(matmul, {"x": ("n", "k"), "w": ("n", "k")})
    Traceback (most recent call last):
    ValueError: inputs of shapes x (4, 7), w (4, 7) do not fit: forward raised ValueError: matmul: Input operand 1 \
has a mismatch in its core dimension 0, with gufunc signature (n?,k),(k,m?)->(n?,m?) (size 4 is different from 7)
    """
    for name, axes in shapes.items():
        if not isinstance(axes, list | tuple) or not all(isinstance(axis, str | int) for axis in axes):
            raise TypeError(f'{name}: {axes!r} must be a tuple of letters and sizes, such as ("n", 3)')
    errors = [_raised(layer, shapes, sizes) for sizes in _TRIALS]
    if (error := errors[0]) is not None and all(errors):
        sized = _sized(shapes, _chosen(shapes, _TRIALS[0]))
        said = ", ".join(f"{name} {shape}" for name, shape in sized.items())
        raise ValueError(
            f"inputs of shapes {said} do not fit: forward raised {type(error).__name__}: {error}"
        ) from error


def found(layer: Any) -> dict[str, Axes]:
    """The first shapes at which the layer's forward runs, whatever the sizes of the letters.

    Raises TypeError for what is no layer, ValueError where none are found.

    >>> found(lambda x, w, b: (x @ w + b, lambda dy: (dy @ w.T, x.T @ dy, dy.sum(0))))
    {'x': ('n', 'k'), 'w': ('k', 'm'), 'b': ('m',)}
    >>> from gradcheck import from_pair
    >>> found(from_pair(np.sin, lambda inputs, dy: (dy * np.cos(inputs[0]),)))  # and not its `out`
    {'x': ('n', 'k')}
    """
    first: Exception | None = None
    for names in _inputs(layer):
        for axes in _candidates(len(names)):
            shapes = dict(zip(names, axes, strict=True))
            errors = [_raised(layer, shapes, sizes) for sizes in _TRIALS]
            if not any(errors):
                return shapes
            first = first or errors[0] or errors[1]
    raise ValueError(
        f"no shapes were found at which its forward runs (the first raised {type(first).__name__}: {first}); say which "
        f'do: --shapes "x: n,k; w: k,m" (for pytest --gradcheck-shapes), or an attribute gradcheck_shapes'
    ) from first


def _candidates(count: int) -> Iterator[tuple[Axes, ...]]:
    for line in _LETTERED.get(count, ()):
        yield tuple(tuple(word) for word in line.split(" "))
    if count == 1:
        for features in (*range(2, _MOST_FEATURES + 1), 1):  # 1 last: it broadcasts against whatever is there
            for axes in (("n", features), ("n", features, "h", "w"), ("n", "l", features), (features,)):
                yield (axes,)


def _inputs(layer: Any) -> Iterator[tuple[str, ...]]:
    """The names of the inputs: those without a default where they are known, else one, two, three … of them."""
    target = maker(layer, ())(layer, Case(()))
    if target.bind is None and target.inputs:
        forward = layer.value if isinstance(layer, Target) else layer[0] if isinstance(layer, Sequence) else layer
        optional = _optional(forward)
        yield tuple(name or f"x{n}" for n, name in enumerate(target.inputs) if name not in optional)
    else:
        yield from (tuple("xyzuv"[:count]) for count in sorted(_LETTERED))


def _optional(f: Any) -> set[str]:
    with suppress(TypeError, ValueError):  # no function, or one of C without a signature
        return {name for name, p in inspect.signature(f).parameters.items() if p.default is not p.empty}
    return set()


def _raised(layer: Any, shapes: Shapes, sizes: Mapping[str, int]) -> Exception | None:
    """What the layer's forward raises at inputs of these sizes, None where it runs. TypeError where it is no layer."""
    chosen = _chosen(shapes, sizes)
    # Between 1/4 and 3/4: in the domain of a logarithm, a square root and an arcsine.
    arrays = [np.random.default_rng(0).uniform(0.25, 0.75, shape) for shape in _sized(shapes, chosen).values()]
    target = maker(layer, list(chosen))(layer, Case(tuple(arrays), chosen))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bound, flat = target.bound(tuple(arrays))
            bound.value(*flat, *bound.parameters.values())
    except Exception as error:  # a layer may raise anything
        if isinstance(error, TypeError) and "(value, pullback)" in str(error):
            raise  # no shape makes a layer of it
        return error
    return None


def _chosen(shapes: Shapes, sizes: Mapping[str, int]) -> dict[str, int]:
    """A size for every letter; one that has none of its own gets that of a letter that is not used."""
    letters = dict.fromkeys(axis for axes in shapes.values() for axis in axes if isinstance(axis, str))
    spare = cycle([size for letter, size in sizes.items() if letter not in letters] or [3])
    return {letter: sizes[letter] if letter in sizes else next(spare) for letter in letters}


def _sized(shapes: Shapes, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(sizes[axis] if isinstance(axis, str) else axis for axis in axes) for name, axes in shapes.items()
    }
