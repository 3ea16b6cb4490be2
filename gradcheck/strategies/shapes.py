"""Shapes: sizes of 1, squares and a few dozen entries are all drawn often, because each hides different mistakes.

A transposed weight is invisible while every matrix is square; a missing sum over the batch is invisible for a batch
of 1; a wrong axis is invisible while all sides are equal, and most visible when none are.
"""

from collections.abc import Sequence

from hypothesis import strategies as st

_MOST_ENTRIES = 64  # a few dozen: enough to tell a row from a column, few enough to check entry by entry


def sizes(largest: int = 8) -> st.SearchStrategy[int]:
    """The length of one axis, 1 … ``largest``, shrinking to 1.

    Raises ValueError where ``largest`` is less than 1.
    """
    if largest < 1:
        raise ValueError(f"largest={largest} leaves no size to draw: it must be at least 1")
    return st.integers(1, largest)


@st.composite
def shapes(draw: st.DrawFn, *, min_dims: int = 0, max_dims: int = 3, entries: int = _MOST_ENTRIES) -> tuple[int, ...]:
    """Shapes of ``min_dims`` … ``max_dims`` axes and at most about ``entries`` entries; squares one time in four.

    Shrinks to fewer axes, then to sides of 1.
    """
    dims = draw(st.integers(min_dims, max_dims))
    return draw(_sides(dims, dims, entries))


def shapes_by_letter(**inputs: Sequence[str | int]) -> st.SearchStrategy[dict[str, tuple[int, ...]]]:
    """Shapes of several arrays at once: equal letters get equal sizes, a number stands for itself.

    Returns a strategy of ``{name: shape}`` in the order given. Every array has at most about 64 entries. All letters
    are equal one time in four, so that squares and batches of 1 are drawn often; every size shrinks to 1.

    Raises TypeError for an axis that is neither a letter nor a number, ValueError for a number below 0.

    >>> from hypothesis import find
    >>> find(shapes_by_letter(x=("n", "k"), w=("k", "m")), lambda s: s["x"][1] > 2)
    {'x': (1, 3), 'w': (3, 1)}
    """
    for name, axes in inputs.items():
        for axis in axes:
            if not isinstance(axis, (str, int)) or isinstance(axis, bool):
                raise TypeError(f"{name}: axis {axis!r} must be a letter such as 'n' or a fixed size such as 3")
            if isinstance(axis, int) and axis < 0:
                raise ValueError(f"{name}: axis {axis!r} is a size and must be at least 0")
    letters = list(dict.fromkeys(axis for axes in inputs.values() for axis in axes if isinstance(axis, str)))
    most_letters = max((sum(isinstance(axis, str) for axis in axes) for axes in inputs.values()), default=0)

    def place(drawn: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        size = dict(zip(letters, drawn, strict=True))
        return {name: tuple(size[a] if isinstance(a, str) else a for a in axes) for name, axes in inputs.items()}

    return _sides(len(letters), most_letters, _MOST_ENTRIES).map(place)


def _largest(dims: int, entries: int) -> int:
    """The longest side for which ``dims`` axes give about ``entries`` entries; at least 3, to tell it from 1 and 2."""
    return max(3, round(entries ** (1 / dims))) if dims > 1 else entries


_LONG = st.tuples(st.sampled_from((False,) * 4 + (True,)), st.integers(0, 7), st.integers(2, 40))
"""One draw in six has one long axis, past the eight or sixteen lanes that a vector instruction has. Its length starts
at 2, so that it shrinks to what other draws shrink to: from 9 there would be no way past 8."""


def _sides(count: int, dims: int, entries: int) -> st.SearchStrategy[tuple[int, ...]]:
    """``count`` sizes, of which ``dims`` at the most make an array of about ``entries``; all equal to the first one
    time in four, which takes the same draws and so shrinks away; where several share the entries, sometimes one of them
    is long and the others make room.
    """
    sides = st.tuples(*[sizes(_largest(dims, entries))] * count)
    square = st.sampled_from((False, False, False, True))
    if count < 2:
        return sides

    def build(drawn: tuple[int, ...], equal: bool, stretched: tuple[bool, int, int]) -> tuple[int, ...]:
        long, which, length = stretched
        if long and length <= entries:
            room = round((entries // length) ** (1 / max(1, dims - 1)) - 0.5)
            return tuple(length if i == which % count else min(n, max(1, room)) for i, n in enumerate(drawn))
        return drawn[:1] * count if equal else drawn

    return st.builds(build, sides, square, _LONG)
