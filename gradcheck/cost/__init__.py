"""Cost: is a backward pass linear in its edges, and did it become slower? Counts, instruction counts, wall clock.

>>> from gradcheck.cost import as_it_is, scalar
>>> work = scalar(300)  # a graph of the reference, and its reverse sweep
>>> sweep = work.prepare(as_it_is)
>>> work.edges, work.visits(sweep())
(500, 500)
"""

from gradcheck.cost.curve import Curve, SuperlinearError, cost_curve, measure
from gradcheck.cost.reference import FAMILIES, dense, scalar, tensor
from gradcheck.cost.scaling import Fit, Interval, fit
from gradcheck.cost.spec import Spec
from gradcheck.cost.work import Work, as_it_is, as_work, of_tape, of_target

__all__ = [
    "FAMILIES",
    "Curve",
    "Fit",
    "Interval",
    "Spec",
    "SuperlinearError",
    "Work",
    "as_it_is",
    "as_work",
    "cost_curve",
    "dense",
    "fit",
    "measure",
    "of_tape",
    "of_target",
    "scalar",
    "tensor",
]
