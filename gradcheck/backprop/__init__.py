"""The reference: ops with their vjps as a table, graphs, one reverse sweep, and the backward graph as a graph.

>>> from gradcheck.backprop import backward, forward, ops, trace
>>> graph = trace(lambda x, w: ops.sum(ops.tanh(x @ w)), x=(1, 2), w=(2, 1))
>>> table = backward(forward(graph, x=[[1.0, 0.0]], w=[[0.0], [5.0]]))
>>> table["w"].tolist(), table.visits == graph.edges
([[1.0], [0.0]], True)
"""

import importlib
from typing import TYPE_CHECKING

from gradcheck.backprop import ops as ops
from gradcheck.backprop.errors import GraphError as GraphError
from gradcheck.backprop.errors import ShapeError as ShapeError
from gradcheck.backprop.graph import Graph as Graph
from gradcheck.backprop.graph import trace as trace
from gradcheck.backprop.node import Node as Node
from gradcheck.backprop.op import Op as Op
from gradcheck.backprop.sweep import GradTable as GradTable
from gradcheck.backprop.sweep import Tape as Tape
from gradcheck.backprop.sweep import backward as backward
from gradcheck.backprop.sweep import forward as forward
from gradcheck.backprop.symbolic import backward_graph as backward_graph
from gradcheck.backprop.symbolic import hessian as hessian
from gradcheck.backprop.symbolic import hvp as hvp
from gradcheck.backprop.symbolic import jacobian as jacobian
from gradcheck.backprop.symbolic import jvp as jvp
from gradcheck.backprop.symbolic import sensitivity as sensitivity

if TYPE_CHECKING:
    from gradcheck.backprop.dense import Dense as Dense
    from gradcheck.backprop.descent import gradient_descent as gradient_descent
    from gradcheck.backprop.descent import sgd as sgd
    from gradcheck.backprop.scalar import Scalar as Scalar
    from gradcheck.backprop.scalar import ScalarTape as ScalarTape
    from gradcheck.backprop.schedule import Schedule as Schedule
    from gradcheck.backprop.schedule import compile_graph as compile_graph
    from gradcheck.backprop.schedule_scalar import ScalarSchedule as ScalarSchedule

# What is built on the ops above is imported when first used: it imports this module.
_HOME = {
    "Dense": "dense",
    "Scalar": "scalar",
    "ScalarSchedule": "schedule_scalar",
    "ScalarTape": "scalar",
    "Schedule": "schedule",
    "compile_graph": "schedule",
    "gradient_descent": "descent",
    "sgd": "descent",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'gradcheck.backprop' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gradcheck.backprop.{_HOME[name]}"), name)
