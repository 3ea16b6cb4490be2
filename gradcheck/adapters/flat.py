"""Flat: a call of somebody's function, seen as one of arrays: nested inputs laid out, and put back for each call.

What all the framework adapters share. A framework says which leaves are arrays to it and how to turn them into NumPy's;
every other leaf (a Python number, a string, None, a random key) is a setting and stays what it is.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.adapters.trees import mapped

Array = npt.NDArray[Any]
Walk = Callable[[Any, Callable[[str, Any], Any]], Any]
"""walk(tree, f) -> the same tree with f(path, leaf) in the place of every leaf: `mapped`, or a framework's own."""


def framework(name: str, asked: str, extra: str | None = None) -> Any:
    """Import a framework when its adapter is asked for.

    >>> framework("no_such_framework", "from_torch", "torch")
    Traceback (most recent call last):
    ImportError: from_torch needs no_such_framework, which cannot be imported (No module named 'no_such_framework'); \
install it: pip install "gradcheck[torch]"
    """
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        package = f'"gradcheck[{extra}]"' if extra else name
        raise ImportError(
            f"{asked} needs {name}, which cannot be imported ({missing}); install it: pip install {package}"
        ) from missing


@dataclass(frozen=True)
class Flat:
    """The inputs of one call: `originals` the leaves that are arrays, `names` their labels, `frozen` positions among
    them; `tree` the inputs as given.
    """

    tree: tuple[Any, ...]
    walk: Walk
    is_array: Callable[[Any], bool]
    originals: tuple[Any, ...]
    names: tuple[str | None, ...]
    frozen: frozenset[int]

    def rebuilt(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The inputs again, with these values in the place of the array leaves."""
        rest = iter(values)
        return tuple(self.walk(self.tree, lambda _, leaf: next(rest) if self.is_array(leaf) else leaf))


def flattened(
    inputs: Sequence[Any],
    names: Sequence[str | None],
    is_array: Callable[[Any], bool],
    frozen: Iterable[int | str],
    target: str,
    walk: Walk = mapped,
) -> Flat:
    """Lay out inputs; `frozen` names inputs, leaves ("batch['mask']") or positions of inputs.

    Raises ValueError for a frozen input that is not there.
    """
    frozen = (frozen,) if isinstance(frozen, int | str) else tuple(frozen)
    originals: list[Any] = []
    labels: list[str | None] = []
    held: set[int] = set()
    met: set[int | str] = set()
    for i, value in enumerate(inputs):
        name = names[i] if i < len(names) else None

        def lay(path: str, leaf: Any, i: int = i, name: str | None = name) -> None:
            label = (name or f"inputs[{i}]") + path if name or path else None
            aliases = {alias for alias in (i, name, label) if alias is not None}
            met.update(aliases)
            if is_array(leaf):
                if aliases.intersection(frozen):
                    held.add(len(originals))
                originals.append(leaf)
                labels.append(label)

        walk(value, lay)
    unknown = [item for item in frozen if item not in met]
    if unknown:
        raise ValueError(
            f"{target}: frozen names {unknown[0]!r}, but the inputs are {', '.join(map(str, _in_order(met)))}; "
            f"name one of these or give its position"
        )
    return Flat(tuple(inputs), walk, is_array, tuple(originals), tuple(labels), frozenset(held))


def _in_order(met: set[int | str]) -> list[int | str]:
    return sorted(met, key=lambda item: (isinstance(item, str), str(item)))


def away_from_constants(parameters: Mapping[str, Array]) -> tuple[dict[str, Array], list[str]]:
    """The parameters to judge at (see `varied`), and a note of those that were moved."""
    moved = {name: varied(array, seed) for seed, (name, array) in enumerate(parameters.items())}
    names = [name for name, array in moved.items() if array is not parameters[name]]
    return moved, [f"constant as they start, so judged at values around that: {', '.join(names)}"] if names else []


def varied(array: Array, seed: int) -> Array:
    """A parameter that is the same everywhere, at other values: a normalisation wrong for any scale but 1 is invisible.

    Ones become 0.75 … 1.25, zeros −0.25 … 0.25; sign and size stay, and so does what varies already. A single number is
    the same everywhere at any value, and moved where products and sums do not show it: at 0, 1 and −1.

    >>> varied(np.ones(2), 0).round(2), varied(np.array([1.0, 2.0]), 0), varied(np.array(0.5), 0)
    (array([1.07, 0.88]), array([1., 2.]), array(0.5))
    """
    if not array.size or not np.all(array == array.flat[0]) or (array.size == 1 and array.flat[0] not in (0, 1, -1)):
        return array
    spread = np.random.default_rng(seed).uniform(-0.25, 0.25, array.shape)
    return np.asarray(spread + 0 * array if not array.flat[0] else array * (1 + spread)).astype(array.dtype)
