"""Layers for campaigns: right, wrong, and such as no campaign should die of."""

import os
import signal
import sys
import time

import numpy as np
from hypothesis import strategies as st

_eaten = []


def double(x):
    """Right."""
    return 2 * x, lambda g: 2 * g


heard = []


def hearing(x):
    """Right; remembers what it was asked. Its inputs are twenty whole numbers."""
    heard.append(x.tobytes())
    return double(x)


numbers = st.lists(st.integers(0, 65535), min_size=20, max_size=20)
hearing.gradcheck_blocks = {"numbers": lambda dtype: st.tuples(numbers.map(lambda drawn: np.array(drawn, dtype)))}


def negated(x):
    """Wrong everywhere."""
    return 2 * x, lambda g: -2 * g


def crashing(x):
    """Like a bug in C."""
    os.kill(os.getpid(), signal.SIGSEGV)


def leaving(x):
    """Takes its process with it."""
    os._exit(3)


def hanging(x):
    """Never comes back."""
    while True:
        time.sleep(1)


def stopped(x):
    """Hangs so that it cannot even say where."""
    os.kill(os.getpid(), signal.SIGSTOP)


def hungry(x):
    """Eats all memory."""
    while True:
        _eaten.append(np.ones(10**6))


def noisy(x):
    """Prints, and reads."""
    print("half a line", end="", flush=True)
    assert sys.stdin.read() == ""
    return double(x)


def threaded(x):
    """Right where BLAS has one thread."""
    from threadpoolctl import threadpool_info

    assert all(library["num_threads"] == 1 for library in threadpool_info())
    return double(x)


def once(x):
    """Kills its process the first time it is called, and leaves a mark."""
    try:
        os.close(os.open(os.environ["CAMPAIGN_MARK"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return double(x)
    os.kill(os.getpid(), signal.SIGKILL)


for layer in (double, negated, crashing, leaving, hanging, stopped, hungry, noisy, threaded, once):
    layer.gradcheck_shapes = {"x": ("n",)}

ranks = {"vector": double, "matrix": negated}


def blocked(x):
    """Right; drawn from blocks of its own."""
    return double(x)


blocked.gradcheck_blocks = {"vectors": "x: n", "matrices": "x: n,k"}
