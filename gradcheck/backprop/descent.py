"""Descend: follow the negative gradient, with all the data or with mini-batches, and watch the cost fall.

Both descents take a *slope*, ``slope(parameters, data) -> (cost, gradient)``, so that hand-written formulas, the graph
engine (`Dense.slope`) and anybody else's gradient train in the same way.

>>> import numpy as np
>>> def bowl(parameters, data):
...     w = parameters["w"]
...     return float(w @ w), {"w": 2 * w}
>>> end = gradient_descent(bowl, {"w": np.array([1.0, -2.0])}, {}, learning_rate=0.25, steps=3)
>>> end.curve.tolist()
[5.0, 1.25, 0.3125, 0.078125]
>>> end.parameters["w"].tolist()
[0.125, -0.25]
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, repeat

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gradcheck.backprop.dense import Arrays, refuse_unusable

Slope = Callable[[Arrays, Arrays], tuple[float, Arrays]]


@dataclass(frozen=True)
class Descent:
    """Where a descent ended: the parameters, and the curve of the costs it met on the way."""

    parameters: Arrays
    curve: NDArray[np.float64]


def gradient_descent(
    slope: Slope,
    parameters: Arrays,
    data: Arrays,
    *,
    learning_rate: float,
    steps: int,
    title: str = "descent",
) -> Descent:
    """Step ``w ← w − learning_rate · ∂cost/∂w`` with all of the data; the parameters given are left as they are.

    The curve has steps + 1 costs: that of the start, then that after each step. In a terminal a line shows the cost
    live; elsewhere nothing is printed. Raises TypeError for integer parameters, ValueError for NaN in the data or a
    learning rate that is not positive, FloatingPointError when the cost is no longer finite.
    """
    end = _descend(slope, parameters, data, repeat(data, steps), steps, learning_rate, title)
    last, _ = _evaluate(slope, end.parameters, data, steps, learning_rate)
    return Descent(end.parameters, np.append(end.curve, last))


def sgd(
    slope: Slope,
    parameters: Arrays,
    data: Arrays,
    *,
    learning_rate: float,
    steps: int,
    batch: int,
    seed: int = 0,
    examples: str = "rows",
    title: str = "sgd",
) -> Descent:
    """Step with a mini-batch of ``batch`` examples at a time, in an order shuffled anew in each epoch.

    ``steps`` counts mini-batches; the last one of an epoch has what is left over. ``examples`` says whether
    an example is one of the "rows" or of the "columns" of each matrix in ``data``; vectors have one entry an example.
    The curve has the cost of each mini-batch before its step. Raises as `gradient_descent` does, and ValueError for a
    batch size below 1, an unknown layout, and data that disagree on the number of examples or have none.
    """
    if examples not in ("rows", "columns"):
        raise ValueError(f"unknown layout of examples {examples!r}: the known ones are rows, columns")
    if batch < 1:
        raise ValueError(f"batch={batch}: a mini-batch needs at least one example")
    sizes = {name: array.shape[0 if examples == "rows" else -1] for name, array in data.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"examples as {examples}: the data disagree on how many there are, {sizes}")
    m = next(iter(sizes.values()))
    if m < 1:
        raise ValueError("there are no examples to descend on: the data are empty")
    batches = islice(_minibatches(data, m, batch, seed, examples), max(steps, 0))
    return _descend(slope, parameters, data, batches, steps, learning_rate, title)


def _minibatches(data: Arrays, m: int, batch: int, seed: int, examples: str) -> Iterator[Arrays]:
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(m)
        for start in range(0, m, batch):
            chosen = order[start : start + batch]
            yield {name: array[chosen] if examples == "rows" else array[..., chosen] for name, array in data.items()}


def _descend(
    slope: Slope,
    parameters: Arrays,
    data: Arrays,
    batches: Iterable[Arrays],
    steps: int,
    learning_rate: float,
    title: str,
) -> Descent:
    if not learning_rate > 0:
        raise ValueError(f"learning_rate={learning_rate!r}: it must be positive")
    if steps < 0:
        raise ValueError(f"steps={steps}: the number of steps must be 0 or more")
    for name, array in {**data, **parameters}.items():
        refuse_unusable(name, array)
    here, curve = dict(parameters), []
    with _progress(title, steps) as show:
        for step, current in enumerate(batches):
            cost, gradient = _evaluate(slope, here, current, step, learning_rate)
            curve.append(cost)
            here = {name: w - learning_rate * gradient[name] for name, w in here.items()}
            show(cost)
    return Descent(here, np.array(curve, dtype=float))


def _evaluate(slope: Slope, parameters: Arrays, data: Arrays, step: int, learning_rate: float) -> tuple[float, Arrays]:
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # how a descent diverges: told below
        cost, gradient = slope(parameters, data)
    if not np.isfinite(cost):
        raise FloatingPointError(
            f"the cost is {cost} at step {step}: the descent diverges, lower the learning rate ({learning_rate:g})"
        )
    return float(cost), gradient


@contextmanager
def _progress(title: str, steps: int) -> Iterator[Callable[[float], None]]:
    """Show a line with a bar, the step and the cost, on stderr and only if that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("cost {task.fields[cost]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=steps, cost="…")
        yield lambda cost: progress.update(task, advance=1, cost=f"{cost:.3e}")
