"""Where the values of a program live: views share, a buffer serves again once its last reader is done."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.graph import Graph
from gradcheck.backprop.inplace import is_identity, may_overwrite
from gradcheck.backprop.op import TABLE

Array = NDArray[Any]


@dataclass(frozen=True)
class Storage:
    """``arrays`` has room for every node's value, ``views`` the nodes that need no computing, ``nbytes`` all memory."""

    arrays: list[Any]
    views: frozenset[int]
    nbytes: int


def allocate(graph: Graph, samples: Sequence[Any], pinned: Collection[int]) -> Storage:
    """Give every node of ``graph`` an array of the dtype, shape and memory layout of its sample.

    ``samples`` are the values of one run, parallel to the nodes; nodes without parents keep theirs. A node whose sample
    lies in the memory of a parent's is a view of that parent's array. ``pinned`` nodes are never overwritten.
    """
    root = list(range(len(graph)))
    for i, node in enumerate(graph.nodes):
        for p in node.parents:
            if is_identity(node.op, node.static) or _shares(samples[i], samples[p.index]):
                root[i] = root[p.index]
    last = list(range(len(graph)))
    for i, node in enumerate(graph.nodes):
        for p in node.parents:
            last[root[p.index]] = max(last[root[p.index]], i)
    kept = {root[i] for i in pinned} | {i for i, node in enumerate(graph.nodes) if not node.parents}
    arrays: list[Any] = list(samples)
    memory: dict[int, Array] = {}  # the bytes that a root occupies
    free: defaultdict[int, list[Array]] = defaultdict(list)
    total = sum([np.asarray(samples[i]).nbytes for i, node in enumerate(graph.nodes) if not node.parents])
    for i, node in enumerate(graph.nodes):
        if not node.parents:
            continue
        if root[i] != i:
            operands = [arrays[p.index] for p in node.parents]
            same = is_identity(node.op, node.static)
            arrays[i] = operands[0] if same else TABLE[node.op].value(*operands, **node.static)
        else:
            like = np.asarray(samples[i])
            ending = [p.index for p in node.parents if last[root[p.index]] == i and root[p.index] not in kept]
            heirs = [p for p in ending if memory[root[p]].nbytes == like.nbytes and _same(arrays[p], like)]
            heir = heirs[0] if heirs and may_overwrite(node.op) else None
            if heir is not None:
                memory[i] = memory.pop(root[heir])
            elif free[like.nbytes]:
                memory[i] = free[like.nbytes].pop()
            else:
                memory[i] = np.empty(like.nbytes, np.uint8)
                total += like.nbytes
            arrays[i] = np.ndarray(like.shape, like.dtype, memory[i], strides=np.empty_like(like).strides)
        for r in {root[p.index] for p in node.parents} | {root[i]}:
            if last[r] == i and r not in kept and r in memory:
                block = memory.pop(r)
                free[block.nbytes].append(block)
    views = frozenset(i for i, node in enumerate(graph.nodes) if node.parents and root[i] != i)
    return Storage(arrays, views, total)


def _shares(value: Any, parent: Any) -> bool:
    both = isinstance(value, np.ndarray) and isinstance(parent, np.ndarray)
    return both and value.size > 0 and np.may_share_memory(value, parent)


def _same(array: Array, like: Array) -> bool:
    """Whether a result like this one fits exactly over the array, entry on entry."""
    layout = np.empty_like(like).strides
    return (array.shape, array.dtype, array.strides) == (like.shape, like.dtype, layout)
