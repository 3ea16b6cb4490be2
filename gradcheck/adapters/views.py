"""Views: arrays of a layer that are views of others, which a copy of the layer has to have as views again."""

from typing import Any, NamedTuple

import numpy as np

from gradcheck.adapters.walk import Array, Path, arrays


class View(NamedTuple):
    """An array that is a view of another: self.WT = self.W.T. A copy of the layer has to have it as one again."""

    path: Path
    of: Path
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def seen_in(self, array: Array) -> Array:
        """The same view of another array."""
        return np.ndarray(self.shape, array.dtype, np.ascontiguousarray(array), self.offset, self.strides)


def views_in(layer: Any) -> list[View]:
    """The arrays of a layer that are views of other, contiguous ones of it.

    >>> from types import SimpleNamespace
    >>> W = np.arange(6.0).reshape(2, 3)
    >>> [(v.path[-1].key, v.of[-1].key) for v in views_in(SimpleNamespace(W=W, WT=W.T))]
    [('WT', 'W')]
    """
    there = arrays(layer)
    found = []
    for path, view in there.items():
        for of, array in there.items() if view.base is not None else ():
            inside = view is not array and array.flags.c_contiguous and np.may_share_memory(view, array)
            if inside and view.size <= array.size and not (view.flags.c_contiguous and view.size == array.size):
                offset = view.__array_interface__["data"][0] - array.__array_interface__["data"][0]
                if 0 <= offset < array.nbytes and view.dtype == array.dtype and np.shares_memory(view, array):
                    found.append(View(path, of, offset, view.shape, view.strides))
    return found
