"""What machine this is: a kernel timed beside every measurement, and the names that go with it."""

import numpy as np

_SQUARE = np.linspace(-1.0, 1.0, 64 * 64).reshape(64, 64)
_LONG = np.zeros(2**18)


def kernel() -> float:
    """A fixed amount of work, some 2 ms: the interpreter, small arrays, products, memory, as a backward pass has them.

    >>> kernel() == kernel()
    True
    """
    total, x = 0.0, _SQUARE
    for number in range(10_000):
        total += number % 7
    for _ in range(100):
        x = np.tanh(_SQUARE[:8] + 1.0)
    for _ in range(10):
        x = _SQUARE @ _SQUARE
    return total + float(x[0, 0]) + float((_LONG + 1.0)[0])
