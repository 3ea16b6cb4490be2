"""Streams: the global random numbers of Python, NumPy and torch: where they stand, seeded, and left as they were found.

A target may draw from them; the caller's are not the judge's to use up.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def standing() -> object:
    """Where Python's and NumPy's global streams stand, in a few numbers."""
    _, words, gauss = random.getstate()
    _, key, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return words[-1], words[0], gauss, int(key[0]), *rest


def reseed() -> None:
    """Seed every stream that is loaded, with the same number each time."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the target's own global stream, not ours
    if "torch" in sys.modules:  # not torch.manual_seed, which formats the stack for each lazy device: 9 ms a call
        sys.modules["torch"].default_generator.manual_seed(0)


@contextmanager
def preserved() -> Iterator[None]:
    """Leave the global random streams of Python, NumPy and torch as they were found."""
    torch = sys.modules.get("torch")
    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch_state = torch.get_rng_state() if torch is not None else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(torch_state)
