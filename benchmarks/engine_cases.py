"""The same work for the engine and for its peers: scalar graphs, a tape of small tensors, dense networks.

Everything is single-threaded, and timed by the CPU time of the process, in rounds that take turns: what else the
machine does then costs all of them alike. A peer that is not installed is left out.
"""

import gc
import importlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

# Before jax is imported: one thread, as for everyone else.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop import ScalarTape, ops

Call = Callable[[], Any]
Seconds = NDArray[np.float64]
TURN = 0.004  # seconds


def seconds(calls: Mapping[str, Call], rounds: int = 9) -> dict[str, Seconds]:
    """The CPU time of each call in every round, (rounds,): divide two of them, and take the median of the ratios.

    In a round all take turns of some 4 ms, or one call. What else the machine does changes over tenths of a second, so
    the turns of a round meet the same of it; where they are short, there are up to five times the rounds.
    """
    once = {}
    for name, call in calls.items():
        call()  # plans, caches, compiles
        once[name] = max(_once(call, 1), 1e-7)
    repeats = {name: max(int(TURN / spent), 1) for name, spent in once.items()}
    rounds *= min(max(int(5 * TURN / max(once.values())), 1), 5)
    times = [[_once(call, repeats[name]) for name, call in calls.items()] for _ in range(rounds)]
    return dict(zip(calls, np.array(times).T, strict=True))


def _once(call: Call, repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


@contextmanager
def collector(enabled: bool) -> Iterator[None]:
    """With the garbage collector on, as users have it, or off; afterwards as it was."""
    before = gc.isenabled()
    gc.collect()
    (gc.enable if enabled else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if before else gc.disable)()


def peer(name: str) -> Any:
    """A framework set to one thread and float64; None where it is not installed."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    if name == "torch":
        module.set_num_threads(1)
        module.set_default_dtype(module.float64)
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    return module


# --- scalar graphs -----------------------------------------------------------------------------------------------
def layered(edges: int) -> tuple[Any, ScalarTape]:
    """Random layers of products, of sums, and of halves, in turn: (loss, tape), recorded by whole layers.

    All values are 1, so that neither they nor the gradients leave the floating-point range in hundreds of layers. Nodes
    that no later one happens to read are not part of the loss: about a fifth of all.
    """
    width, tape = _width(edges), ScalarTape()
    layer, half = tape.input(np.ones(width)), tape.input(0.5)
    for kind, a, b in _layers(edges):
        layer = layer[a] * layer[b] if kind == 0 else layer[a] + layer[b] if kind == 1 else layer * half
    return layer.sum(), tape


def layered_one_by_one(edges: int, number: Callable[[float], Any]) -> Any:
    """The same graph of ``number`` objects, one at a time."""
    layer, half = [number(1.0) for _ in range(_width(edges))], number(0.5)
    for kind, a, b in _layers(edges):
        if kind == 2:
            layer = [x * half for x in layer]
            continue
        pairs = zip([layer[i] for i in a], [layer[j] for j in b], strict=True)
        layer = [x * y for x, y in pairs] if kind == 0 else [x + y for x, y in pairs]
    while len(layer) > 1:  # sums in halves, as `Scalars.sum` takes them
        n = len(layer) // 2
        layer = [*(x + y for x, y in zip(layer[:n], layer[n : 2 * n], strict=True)), *layer[2 * n :]]
    return layer[0]


def _width(edges: int) -> int:
    return max(1000, edges // 300)


def _layers(edges: int) -> Iterator[tuple[int, Any, Any]]:
    """Kind and parents of each layer, two edges a node, until with the last sum there are ``edges``."""
    width, rng = _width(edges), np.random.default_rng(0)
    for layer in range(edges // (2 * width) - 1):
        yield layer % 3, *rng.integers(0, width, (2, width))


def perceptron(number: Callable[[float], Any], width: int, batch: int, bend: Callable[[Any], Any]) -> Any:
    """Two layers of neurons as micrograd's own example writes them, and the sum of their outputs."""
    rng = np.random.default_rng(0)
    draw = [
        [[number(v / width) for v in row] for row in rng.normal(size=(width, width + 1)).tolist()] for _ in range(2)
    ]
    total = number(0.0)
    for x in rng.normal(size=(batch, width)).tolist():
        layer = [number(v) for v in x]
        for weights in draw:
            layer = [bend(sum((w * v for w, v in zip(row, layer, strict=False)), row[-1])) for row in weights]
        total = sum(layer, total)
    return total


def mlp_edges(width: int) -> int:
    """Edges of a `perceptron` for each example, nearly: two layers of width² products and sums."""
    return 8 * width**2


def chain(number: Callable[[float], Any], length: int) -> Any:
    """x ← w x + b, over and over: 4 edges a step."""
    x, w, b = number(1.0), number(0.999), number(0.001)
    for _ in range(length):
        x = x * w + b
    return x


# --- a tape of 8-element tensors ---------------------------------------------------------------------------------
STEPS = 200


def small_inputs() -> dict[str, Any]:
    """x and the 200 weights and biases of `small_tensors`, 8 entries each."""
    rng = np.random.default_rng(0)
    names = ["x", *(f"{letter}{i}" for i in range(STEPS) for letter in "wb")]
    return {name: rng.normal(size=8) for name in names}


def small_tensors(tanh: Any, total: Any, arrays: Mapping[str, Any]) -> Any:
    """h ← tanh(w h + b) + h/2, in which h is shared: 1000 nodes of 8 entries."""
    h = arrays["x"]
    for i in range(STEPS):
        h = tanh(h * arrays[f"w{i}"] + arrays[f"b{i}"]) + h * 0.5
    return total(h)


def small_by_hand(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The same and its gradients, written by hand in NumPy."""
    h, kept = arrays["x"], []
    for i in range(STEPS):
        t = np.tanh(h * arrays[f"w{i}"] + arrays[f"b{i}"])
        kept.append((h, t))
        h = t + h * 0.5
    h.sum()
    d, gradients = np.ones(8), {}
    for i in reversed(range(STEPS)):
        h, t = kept[i]
        gradients[f"b{i}"] = z = d * (1 - t * t)
        gradients[f"w{i}"] = z * h
        d = z * arrays[f"w{i}"] + d * 0.5
    gradients["x"] = d
    return gradients


def small_peers(arrays: Mapping[str, Any]) -> dict[str, Call]:
    """Forward and backward of `small_tensors` in torch and MyGrad; autograd would box 401 inputs in a slow dict."""
    calls: dict[str, Call] = {}
    if torch := peer("torch"):
        calls["torch"] = _torch(torch, arrays, lambda p: small_tensors(torch.tanh, torch.sum, p))
    if mygrad := peer("mygrad"):
        calls["mygrad"] = _mygrad(mygrad, arrays, lambda p: small_tensors(mygrad.tanh, mygrad.sum, p))
    return calls


# --- dense networks ----------------------------------------------------------------------------------------------
LAYERS = 3


def dense_floor(width: int, batch: int, dtype: str) -> Call:
    """The products of forward and backward alone, into arrays that are there already."""
    rng = np.random.default_rng(0)
    a = [rng.normal(size=(batch, width)).astype(dtype) for _ in range(LAYERS + 1)]
    d = [rng.normal(size=(batch, width)).astype(dtype) for _ in range(LAYERS + 1)]
    w = [rng.normal(size=(width, width)).astype(dtype) for _ in range(LAYERS)]
    dw = [np.empty_like(one) for one in w]

    def products() -> None:
        for layer in range(LAYERS):
            np.dot(a[layer], w[layer], a[layer + 1])
        for layer in reversed(range(LAYERS)):
            np.dot(a[layer].T, d[layer + 1], dw[layer])
            if layer:
                np.dot(d[layer + 1], w[layer].T, d[layer])

    return products


def dense_cost(numpy: Any, p: Mapping[str, Any], x: Any, y: Any) -> Any:
    """The mean over examples of half the squared error, three tanh layers."""
    a = x
    for layer in range(1, LAYERS + 1):
        a = numpy.tanh(a @ p[f"W{layer}"] + p[f"b{layer}"])
    return 0.5 * numpy.sum((a - y) * (a - y)) / len(x)


def dense_peers(parameters: Mapping[str, Any], x: Any, y: Any) -> dict[str, Call]:
    """Cost and gradients in torch eager, jax.jit, MyGrad and autograd."""
    calls: dict[str, Call] = {}
    if torch := peer("torch"):
        tx, ty = torch.tensor(x), torch.tensor(y)
        calls["torch"] = _torch(torch, parameters, lambda p: dense_cost(torch, p, tx, ty))
    if jax := peer("jax"):
        slope = jax.jit(jax.value_and_grad(lambda p, x, y: dense_cost(jax.numpy, p, x, y)))
        moved = {name: jax.numpy.asarray(p) for name, p in parameters.items()}
        jx, jy = jax.numpy.asarray(x), jax.numpy.asarray(y)
        calls["jax"] = lambda: jax.block_until_ready(slope(moved, jx, jy))
    if mygrad := peer("mygrad"):
        calls["mygrad"] = _mygrad(mygrad, parameters, lambda p: dense_cost(mygrad, p, x, y))
    if autograd := peer("autograd"):
        calls["autograd"] = _autograd(autograd, parameters, lambda p: dense_cost(autograd.numpy, p, x, y))
    return calls


def _torch(torch: Any, arrays: Mapping[str, Any], cost: Callable[[Any], Any]) -> Call:
    leaves = {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}

    def call() -> None:
        for leaf in leaves.values():
            leaf.grad = None
        cost(leaves).backward()

    return call


def _mygrad(mygrad: Any, arrays: Mapping[str, Any], cost: Callable[[Any], Any]) -> Call:
    leaves = {name: mygrad.tensor(a) for name, a in arrays.items()}

    def call() -> None:
        for leaf in leaves.values():
            leaf.null_grad()
        cost(leaves).backward()

    return call


def _autograd(autograd: Any, arrays: Mapping[str, Any], cost: Callable[[Any], Any]) -> Call:
    slope = autograd.value_and_grad(cost)
    return lambda: slope(dict(arrays))


def traced_small() -> Any:
    """`small_tensors` as a Graph."""
    from gradcheck.backprop import trace

    return trace(lambda **p: small_tensors(ops.tanh, ops.sum, p), **{name: (8,) for name in small_inputs()})


def quantities(widths: Sequence[int]) -> int:
    """Parameters of a dense network of these widths, biases included."""
    return sum((n + 1) * k for n, k in pairwise(widths))
