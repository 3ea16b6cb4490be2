"""A schedule: a graph compiled once, whose forward and backward passes then run many times at speed.

Compiling writes both passes as one list of calls without arguments, each of which writes into an array that is there
already. Views (transposes, reshapes, broadcasts) cost nothing when it runs; a buffer serves again once its last reader
is done, which makes the accumulation of shared nodes happen in place. What is left a node is one call of NumPy.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.backprop.errors import GraphError
from gradcheck.backprop.graph import Graph
from gradcheck.backprop.inplace import call
from gradcheck.backprop.joint import Joint, find, joint_graph
from gradcheck.backprop.node import Node
from gradcheck.backprop.op import TABLE
from gradcheck.backprop.schedule_scalar import FAMILIES, ScalarSchedule
from gradcheck.backprop.storage import allocate
from gradcheck.backprop.sweep import check_inputs, constants_like, each_cotangent, evaluate

Array = NDArray[Any]


def compile_graph(
    graph: Graph, *, wrt: Iterable[str] | None = None, retain: Iterable[str | Node] = ()
) -> "Schedule | ScalarSchedule":
    """Compile ``graph`` for gradients with respect to the inputs ``wrt`` (all, unless given).

    Gradients of the interior nodes in ``retain``, by name or node, are kept besides. A graph of nothing but scalars and
    elementwise ops becomes a `ScalarSchedule`, which keeps them all and computes in float64. Raises GraphError for a
    name that is not in the graph.

    >>> from gradcheck.backprop import ops, trace
    >>> schedule = compile_graph(trace(lambda x, w: ops.sum(ops.tanh(x @ w)), x=(1, 2), w=(2, 1)))
    >>> print(schedule.forward(x=[[1.0, 0.0]], w=[[0.0], [5.0]]))
    0.0
    >>> gradients = schedule.backward()
    >>> gradients["w"].tolist(), gradients.visits == schedule.edges
    ([[1.0], [0.0]], True)
    """
    wanted = _wanted(graph, wrt, retain)
    if all(not node.shape and (not node.parents or TABLE[node.op].family in FAMILIES) for node in graph.nodes):
        return ScalarSchedule.from_graph(graph)
    return Schedule(graph, wanted)


def _wanted(graph: Graph, wrt: Iterable[str] | None, retain: Iterable[str | Node]) -> list[Node]:
    """The nodes whose cotangents are to be kept."""
    names = list(graph.inputs if wrt is None else wrt)
    if unknown := [name for name in names if name not in graph.inputs]:
        raise GraphError(f"no input is named {unknown[0]!r}; the graph has {', '.join(graph.inputs)}")
    return [*(graph.inputs[name] for name in names), *(find(graph, key) for key in retain)]


class Gradients(dict[Node, Array]):
    """Cotangents by the name of an input or by node: read-only arrays of the schedule, which its next sweep overwrites.

    ``visits`` is the number of edges that the sweep which wrote the program visited.
    """

    def __init__(self, graph: Graph, cotangents: Mapping[Node, Array], visits: int) -> None:
        super().__init__(cotangents)
        self.graph, self.visits = graph, visits

    def __getitem__(self, key: str | Node) -> Array:
        node = find(self.graph, key)
        if node not in self:
            raise KeyError(f"the gradient of {node.label} was not compiled: name it in wrt or retain")
        return super().__getitem__(node)


@dataclass(frozen=True)
class _Plan:
    """A joint graph compiled for inputs of certain dtypes."""

    inputs: dict[str, Array]
    seeds: list[Array]
    forward: list[Callable[[], Any]]
    backward: list[Callable[[], Any]]
    made: list[Node]
    outputs: tuple[Array, ...]
    gradients: Gradients
    nbytes: int

    def run(self, program: list[Callable[[], Any]]) -> None:
        """Make the calls in order; an exception is given a note that names the node."""
        compute: Any = None
        try:
            for compute in program:
                compute()
        except Exception as error:
            place = [*self.forward, *self.backward].index(compute)
            error.add_note(f"while computing {self.made[place]!r}")
            raise


class Schedule:
    """A graph compiled for the cotangents of the nodes ``wanted``; made by `compile_graph`.

    One instance serves one thread: results live in its workspaces.

    ``nodes`` and ``edges`` count those of the graph. ``inputs`` are the schedule's own arrays by name, which may be
    written to: ``schedule.inputs["W"] -= rate * gradients["W"]``. ``nbytes`` is the memory of all its arrays. These two
    are there from the first ``forward`` on, which plans for the dtypes it is given, in the time of a few plain passes.
    """

    def __init__(self, graph: Graph, wanted: Iterable[Node]) -> None:
        self.graph, self.nodes, self.edges = graph, len(graph), graph.edges
        self._joint = joint_graph(graph, dict.fromkeys(wanted))
        self._compiled: _Plan | None = None
        self._fresh = False  # whether the values of the forward pass are there, and not yet overwritten by a backward

    @property
    def inputs(self) -> Mapping[str, Array]:
        """The schedule's own arrays of the inputs; GraphError before the first forward."""
        return self._plan.inputs

    @property
    def nbytes(self) -> int:
        """Memory of all arrays, in bytes; GraphError before the first forward."""
        return self._plan.nbytes

    @property
    def _plan(self) -> _Plan:
        if self._compiled is None:
            raise GraphError("nothing is computed yet: call forward with all inputs first")
        return self._compiled

    def forward(self, **arrays: Any) -> Any:
        """Compute the output, or a tuple of the outputs: read-only arrays, which the next forward overwrites.

        The arrays are copied into `inputs`; an input left out keeps the entries that it has there. Raises GraphError
        for missing or unknown inputs, ShapeError for an array that has not the traced shape, TypeError for a dtype that
        cannot be differentiated. Unlike ``backprop.forward`` it does not search the data for NaN.
        """
        given = {name: np.asarray(array) for name, array in arrays.items()}
        known = self._compiled.inputs if self._compiled else {}
        for name, array in given.items():
            if name not in known or known[name].shape != array.shape or known[name].dtype != array.dtype:
                self._compiled = _plan(self.graph, self._joint, {**known, **given})
                break
        else:
            for name, array in given.items():
                np.copyto(known[name], array)
        plan = self._plan
        plan.run(plan.forward)
        self._fresh = True
        return plan.outputs[0] if len(plan.outputs) == 1 else plan.outputs

    def backward(self, cotangent: Any = None) -> Gradients:
        """Gradients at the present inputs, in workspaces that the next backward overwrites.

        ``cotangent`` has the shape of the output, or is a tuple with one entry an output, None for zeros; left out it
        is 1, which only one output of one entry allows. The values of the forward pass are used up: a second backward
        computes them again. Raises as ``backprop.backward`` does.
        """
        plan = self._plan
        cotangents = each_cotangent([seed.shape for seed in plan.seeds], cotangent)
        for seed, given in zip(plan.seeds, cotangents, strict=True):
            seed[...] = 0 if given is None else given
        if not self._fresh:
            plan.run(plan.forward)
        self._fresh = False
        plan.run(plan.backward)
        return plan.gradients


def _plan(graph: Graph, joint: Joint, arrays: Mapping[str, Array]) -> _Plan:
    """Run the joint graph once on these inputs to learn the dtype and layout of every value; write the program."""
    check_inputs(graph, arrays)
    inputs = {name: np.array(arrays[name]) for name in graph.inputs}
    if imaginary := [name for name, x in inputs.items() if x.dtype.kind == "c"]:
        raise TypeError(f"input {imaginary[0]!r} is complex: a schedule is for real data; use backprop.forward")
    typed, nodes = constants_like(inputs), joint.graph.nodes
    with np.errstate(all="ignore"):  # the run that counts comes after, and warns
        values = evaluate(graph, inputs, typed)
        seeds = [np.ones(node.shape, _float(values[node.index])) for node in graph.outputs]
        leaves: dict[str, Any] = {nodes[place].label: inputs[name] for name, place in joint.inputs.items()}
        leaves |= {nodes[place].label: typed(value) for place, value in joint.constants.items()}
        leaves |= {nodes[place].label: seed for place, seed in zip(joint.cotangents, seeds, strict=True)}
        samples = evaluate(joint.graph, leaves, lambda c: c)
    pinned = [*joint.outputs, *(place for place in joint.gradients.values() if place is not None)]
    storage = allocate(joint.graph, samples, pinned)
    programs: dict[bool, list[Callable[[], Any]]] = {True: [], False: []}
    made: list[Node] = []
    for i, node in enumerate(nodes):
        if node.parents and i not in storage.views:
            operands = [storage.arrays[p.index] for p in node.parents]
            programs[i in joint.forward].append(call(node.op, node.static, operands, storage.arrays[i]))
            made.append(node)
    cotangents = {}
    for node, place in joint.gradients.items():
        wanted = _float(values[node.index])
        g = np.zeros(node.shape, wanted) if place is None else np.asarray(storage.arrays[place])
        if place is not None and g.dtype != wanted:
            cast = np.empty(g.shape, wanted)
            programs[False].append(partial(np.copyto, cast, g))
            made.append(nodes[place])
            g = cast
        cotangents[node] = _read_only(g)
    results = tuple(_read_only(np.asarray(storage.arrays[place])) for place in joint.outputs)
    gradients = Gradients(graph, cotangents, joint.visits)
    return _Plan(inputs, seeds, programs[True], programs[False], made, results, gradients, storage.nbytes)


def _float(value: Any) -> np.dtype[Any]:
    """The dtype of the cotangent of this value: its own, or float64 for integers and booleans."""
    dtype = np.asarray(value).dtype
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
