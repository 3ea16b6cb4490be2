"""Cost curves: is a backward pass linear in its edges, or in its elements? Counted exactly, and timed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.cost.clock import interleaved, seconds
from gradcheck.cost.counts import count, counted
from gradcheck.cost.scaling import CLOCK_GATE, COUNT_GATE, LEAST_SIZES, Fit, fit
from gradcheck.cost.table import describe, headline
from gradcheck.cost.work import Work, as_it_is, as_work, by_letters, unit
from gradcheck.report import Verdict

ROUNDS, LOOKS = 7, 4
# The largest size takes 20 to 40 ms, and a curve of 8 sizes and 7 rounds ends in two seconds or four. The smallest is
# 64 times smaller and takes 0.3 ms: a hundred times what a timing is uncertain by.
LARGEST, SPAN, SIZES = 20e-3, 64, 8
MOST = 2**22


class SuperlinearError(AssertionError):
    """A cost grows faster than it was said to; ``curve`` is the `Curve` that shows it."""

    def __init__(self, curve: "Curve") -> None:
        super().__init__(str(curve))
        self.curve = curve


@dataclass(frozen=True)
class Curve:
    """What a backward pass costs at growing sizes, and whether that is linear.

    ``sizes`` are edges or elements (``per``), ``times`` seconds of shape (rounds, sizes), ``time`` the fit to their
    minima, ``counts`` the fits to exact counts that grow (bytecodes, comparisons, elements), ``visits`` how often an
    edge is visited at each size, which is 1, and () where nobody counts.
    """

    name: str
    per: str
    sizes: tuple[int, ...]
    times: NDArray[np.float64] = field(repr=False)
    time: Fit = field(repr=False)
    counts: Mapping[str, Fit] = field(default_factory=dict, repr=False)
    visits: tuple[float, ...] = ()

    @property
    def seconds(self) -> NDArray[np.float64]:
        """The shortest time at every size."""
        return np.asarray(self.times.min(axis=0))

    @property
    def verdict(self) -> Verdict:
        """FAIL where the time or a count surely grows faster than it should, or an edge is not visited just once.

        INCONCLUSIVE where the time does not grow by more than its noise, so that nothing can be said about how.
        """
        counted_too_often = any(fit.beyond(COUNT_GATE) for fit in self.counts.values())
        if self.time.beyond(CLOCK_GATE) or counted_too_often or any(visits != 1 for visits in self.visits):
            return Verdict.FAIL
        return Verdict.PASS if np.isfinite(self.time.share.high) else Verdict.INCONCLUSIVE

    def assert_linear(self) -> "Curve":
        """The curve itself; SuperlinearError, an AssertionError, where the verdict is FAIL."""
        __tracebackhide__ = True
        if self.verdict is Verdict.FAIL:
            raise SuperlinearError(self)
        return self

    def headline(self) -> str:
        """One sentence, under 90 characters for a name of up to 20."""
        return headline(self)

    def __str__(self) -> str:
        return describe(self)


def cost_curve(
    target_or_factory: Any,
    sizes: Sequence[int] | None = None,
    per: str | None = None,
    order: int = 1,
    **shapes: Any,
) -> Curve:
    """Measure a backward pass over growing sizes.

    With ``shapes``, as in ``cost_curve(layer, x=("n", 64), w=(64, 32))``, a layer that `gradcheck.as_target` takes
    gets random inputs in which the letters grow. Without them it is a factory: ``factory(size)`` returns
    ``(target, inputs)``, ``(target, inputs, edges)`` or a tape of the reference. ``per`` is "edge" or "element", by
    default edges where they are known. ``order`` is the power in which the cost may grow, 1 unless said otherwise.
    ``sizes`` are found by doubling, up to 20 ms a call, unless given: at least five.

    Raises ValueError for settings out of range, TypeError for a factory that returns something else.

    >>> import numpy as np
    >>> def tanh(x):
    ...     y = np.tanh(x)
    ...     return y, lambda dy: (dy * (1 - y * y),)
    >>> curve = cost_curve(tanh, (10, 20, 50, 100, 200), x=("n", 16))
    >>> curve.per, curve.sizes, sorted(curve.counts)
    ('element', (160, 320, 800, 1600, 3200), ['elements'])
    """
    if per not in (None, "edge", "element"):
        raise ValueError(f"per={per!r}: a cost is counted per 'edge' or per 'element'")
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"order={order!r}: the power in which the cost may grow is 1, 2, …")
    if sizes is not None and (len(set(sizes)) < LEAST_SIZES or min(sizes) < 1):
        raise ValueError(f"sizes={list(sizes)}: a curve needs {LEAST_SIZES} different sizes or more, each at least 1")
    make = _factory(by_letters(target_or_factory, shapes) if shapes else target_or_factory)
    works = works_of(make, sizes or grown(make), per)
    return measure(list(works.values()), per or unit(works), order)


def measure(works: Sequence[Work], per: str = "edge", order: int = 1) -> Curve:
    """Count and time the works, from the smallest to the largest; as `cost_curve` does with those it has made.

    Seven rounds are one look. There are up to four, until the upper bound of the super-linear share is below its gate
    or all have been taken, and every look leaves the minima nearer to the truth: noise that looked like a curve for
    once does not stay.
    """
    sizes = tuple(work.size(per) for work in works)
    prepared = [partial(work.prepare, as_it_is) for work in works]
    times = np.empty((0, len(works)))
    for _ in range(LOOKS):
        times = np.concatenate([times, interleaved(prepared, ROUNDS)])
        time = fit(sizes, times.min(axis=0).tolist(), order)
        if time.share.high <= CLOCK_GATE:
            break
    visits = tuple(
        work.visits(prepare()()) / work.edges
        for work, prepare in zip(works, prepared, strict=True)
        if work.visits and work.edges
    )
    return Curve(works[0].name, per, sizes, times, time, _counts(works, sizes, order), visits)


def grown(make: Callable[[int], Work]) -> list[int]:
    """Eight sizes for a factory, the largest taking some 20 ms and the smallest 64 times smaller.

    Below 64 there are up to sixteen, evenly spaced from 1. Doubling gives way to small steps where it made the time
    more than five-fold: exponentials would not come back.
    """
    n, last = 8, 0.0
    while n < MOST:
        prepare = partial(make(n).prepare, as_it_is)
        spent = min(seconds(prepare) for _ in range(2))
        if spent > LARGEST:
            break
        # Above 50 µs, where timings mean something, a step of more than five-fold is a cubic cost or a worse one.
        n, last = (n + max(n // 4, 1) if spent > max(50e-6, 5 * last) else 2 * n), spent
    spaced = np.geomspace(n / SPAN, n, SIZES) if n >= SPAN else np.linspace(1, n, 2 * SIZES)
    return sorted({round(size) for size in spaced})


def works_of(make: Callable[[int], Work], sizes: Sequence[int], per: str | None = None) -> dict[int, Work]:
    """The works of these sizes, from small to large; left out is what has no edges, or no more than the one before."""
    found: dict[int, Work] = {}
    largest = 0
    for n in sorted(set(sizes)):
        work = make(n)
        if (extent := work.size(per or unit({n: work}))) > largest:
            found[n], largest = work, extent
    return found


def _factory(make: Any) -> Callable[[int], Work]:
    if not callable(make):
        raise TypeError(
            "a cost curve needs a factory, a function of the size that returns (target, inputs), or a layer with "
            f"shapes such as x=('n', 64); got {type(make).__name__} {make!r:.60}"
        )
    return lambda n: as_work(make(n))


def _counts(works: Sequence[Work], sizes: Sequence[int], order: int) -> dict[str, Fit]:
    """The fits to the exact counts of the five smallest sizes: tracing is some fifty times slower than running."""
    small = works[:LEAST_SIZES]
    for work in small:
        work.prepare(counted)()  # what is done once and kept, such as an import, is not counted
    totals = [count(work.prepare(counted), work.compared) for work in small]
    found = {name: [getattr(total, name) for total in totals] for name in ("bytecodes", "comparisons", "elements")}
    # A count that does not even double is a constant with a branch or two: its growth has no shape.
    growing = {name: numbers for name, numbers in found.items() if 0 < 2 * min(numbers) <= max(numbers)}
    return {name: fit(sizes[:LEAST_SIZES], numbers, order) for name, numbers in growing.items()}
