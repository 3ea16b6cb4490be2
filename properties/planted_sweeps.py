"""Reverse sweeps with a planted fault of cost: each returns the right cotangents and costs too much.

Their signature is that of `gradcheck.backprop.sweep.sweep`; the factories make a `Work` of a graph of scalars for a
size, and can be named on a command line.
"""

from functools import partial

import numpy as np

from gradcheck.backprop import forward, ops, trace
from gradcheck.backprop.op import TABLE
from gradcheck.backprop.sweep import sweep
from gradcheck.cost import of_tape


def copies(graph, values, seeds):
    """O(E²) accumulation: every part of a gradient is added by way of an array as long as the graph."""
    table = np.zeros_like(values[0], shape=(len(graph.nodes),))
    for output, seed in seeds.items():
        table[output.index] = seed
    visits = 0
    for node in reversed(graph.nodes):
        if node.parents:
            primals = [values[p.index] for p in node.parents]
            parts = TABLE[node.op].vjp(table[node.index], values[node.index], *primals)
            for parent, part in zip(node.parents, parts, strict=True):
                visits += 1
                one = np.zeros_like(table)
                one[parent.index] = part
                table = table + one
    return list(table), visits


def scans(graph, values, seeds):
    """A hidden list scan: what was visited is kept in a list and searched with ``in``."""
    table = [None] * len(graph.nodes)
    for output, seed in seeds.items():
        table[output.index] = seed
    visits, done = 0, []
    for node in reversed(graph.nodes):
        if node in done:
            continue
        done.append(node)
        if node.parents:
            primals = [values[p.index] for p in node.parents]
            parts = TABLE[node.op].vjp(table[node.index], values[node.index], *primals)
            for parent, part in zip(node.parents, parts, strict=True):
                visits += 1
                row = table[parent.index]
                table[parent.index] = part if row is None else row + part
    return table, visits


def revisits(graph, values, seeds):
    """Exponential: a gradient is passed on before all of its parts have arrived, so a node is visited once a path."""
    table = [0.0] * len(graph.nodes)
    waiting = list(seeds.items())
    visits = 0
    while waiting:
        node, g = waiting.pop()
        table[node.index] = table[node.index] + g
        if node.parents:
            primals = [values[p.index] for p in node.parents]
            parts = TABLE[node.op].vjp(g, values[node.index], *primals)
            visits += len(node.parents)
            waiting += zip(node.parents, parts, strict=True)
    return table, visits


def work(nodes, sweep):
    def layers(x):
        near = far = x
        for _ in range(nodes // 3):
            near, far = ops.tanh(near * far + near), near
        return near

    return of_tape(forward(trace(layers, x=()), x=0.5), sweep.__name__, sweep)


PLANTED = (copies, scans, revisits)
linear, copying, scanning, revisiting = (partial(work, sweep=rule) for rule in (sweep, *PLANTED))
