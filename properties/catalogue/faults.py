"""Fault operators: each turns a right pair into a wrong one, and says what kind of mistake that is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .case import Array, Case, Inputs, Vjp
from .right import each

Change = Callable[[Array, Array], Any]  # a right gradient and its input -> what is returned instead
Condition = Callable[[Case, Inputs, int], bool]


@dataclass(frozen=True)
class Fault:
    """A way to be wrong: `plant` makes a wrong case of a right one, or says None where it does not apply."""

    name: str
    kind: str
    plant: Callable[[Case, int], Case | None]


def floats(case: Case) -> list[int]:
    """The inputs that have a gradient."""
    return [i for i in range(len(case.domain.draws)) if i not in case.frozen]


def wrong(case: Case, name: str, kind: str, vjp: Vjp, **facts: Any) -> Case:
    """A wrong case made from a right one."""
    facts = {
        "truth": case.vjp,
        "base": case.name,
        "fault": name,
        "right": False,
        "note": f"{case.name}: {name}",
    } | facts
    return case.renamed(f"{case.name}/{name}", vjp=vjp, kind=kind, **facts)


def gradient(
    name: str, kind: str, change: Change, *also: str, index: Callable[[int], tuple[int, ...]] | None = None
) -> Fault:
    """A mistake in the gradient of one input."""

    def plant(case: Case, i: int) -> Case | None:
        def vjp(inputs: Inputs, cotangent: Any) -> tuple[Any, ...]:
            gradients = list(case.vjp(inputs, cotangent))
            gradients[i] = change(gradients[i], inputs[i])
            return tuple(gradients)

        rank = len(list(case.domain.draws.values())[i].shape)
        return wrong(case, name, kind, vjp, also=also, input=i, index=index(rank) if index else None)

    return Fault(name, kind, plant)


def cotangent(name: str, kind: str, change: Callable[[Array], Any], *also: str) -> Fault:
    """A mistake in what is made of the cotangent."""

    def plant(case: Case, i: int) -> Case:
        return wrong(
            case,
            name,
            kind,
            lambda inputs, g: case.vjp(inputs, each(lambda a: np.asarray(change(a), a.dtype), g)),
            also=also,
        )

    return Fault(name, kind, plant)


def whole(
    kind: str, *also: str, everywhere: bool = False
) -> Callable[[Callable[[Case, int], Vjp | Case | None]], Fault]:
    """A mistake that needs the whole case; `everywhere` if it is not in one input's gradient alone."""

    def build(make: Callable[[Case, int], Vjp | Case | None]) -> Fault:
        def plant(case: Case, i: int) -> Case | None:
            made = make(case, i)
            if made is None or isinstance(made, Case):
                return made
            return wrong(case, make.__name__, kind, made, also=also, input=None if everywhere else i)

        return Fault(make.__name__, kind, plant)

    return build


def at(d: Array, where: Any, value: Callable[[Array], Any]) -> Array:
    """A copy with some entries changed."""
    d = d.copy()
    d[where] = value(d[where])
    return d


def last(d: Array) -> tuple[int, ...]:
    return (-1,) * d.ndim


def entry(name: str, kind: str, value: Callable[[Array], Any], *also: str) -> Fault:
    """A mistake in the last entry of one input's gradient."""
    return gradient(
        name, kind, lambda d, x: at(d, last(d), value) if d.size else d, *also, index=lambda rank: (-1,) * rank
    )


def first_half(d: Array) -> Array:
    """True for the first half of the entries, rounded down."""
    return (np.arange(d.size) < d.size // 2).reshape(d.shape)


def batch(case: Case, inputs: Inputs) -> int:
    """The length of the first axis of the first input that has one."""
    return next((len(x) for x in inputs if x.ndim), 1)


VAGUE = ("APPROXIMATION", "OTHER", "FACTOR")
ENTRYWISE = ("FACTOR", "OTHER", "BRANCH")


def off_by(error: float) -> Fault:
    """One input's gradient times 1 + error."""
    return gradient(f"off_by_{error:g}", "FACTOR", lambda d, x: d * (1 + error), *VAGUE, "LOW_PRECISION")


COARSE = ("IGNORES_COTANGENT", "NOT_SUMMED", "WRONG_AXIS", "PERMUTED", "APPROXIMATION", "FACTOR", "BATCH", "BRANCH")

PLAIN = [
    gradient("negated", "SIGN", lambda d, x: -d),
    gradient("doubled", "FACTOR", lambda d, x: 2 * d),
    gradient("halved", "FACTOR", lambda d, x: d / 2),
    *(off_by(e) for e in (0.1, 1e-2, 1e-3, 1e-4, 1e-5, 4e-7)),
    gradient("reversed", "PERMUTED", lambda d, x: d.ravel()[::-1].reshape(d.shape).copy(), "TRANSPOSED", "WRONG_AXIS"),
    gradient("rolled", "PERMUTED", lambda d, x: np.roll(d, 1), "TRANSPOSED", "WRONG_AXIS"),
    gradient(
        "transposed_if_square",
        "TRANSPOSED",
        lambda d, x: d.T.copy() if d.ndim == 2 and d.shape[0] == d.shape[1] else d,
        "PERMUTED",
    ),
    gradient("zero", "ZERO", lambda d, x: np.zeros_like(d)),
    gradient("half_zero", "ZERO", lambda d, x: np.where(first_half(d), d, 0), "BRANCH", "OTHER"),
    gradient("missing", "ZERO", lambda d, x: None, "SHAPE", "DTYPE", "RAISES"),
    entry("entry_zero", "ZERO", lambda d: 0 * d, *ENTRYWISE),
    entry("entry_1.3", "FACTOR", lambda d: 1.3 * d, *ENTRYWISE),
    entry("entry_1.001", "FACTOR", lambda d: 1.001 * d, *ENTRYWISE, "APPROXIMATION"),
    entry("entry_nan", "NONFINITE", lambda d: np.nan * d),
    entry("entry_inf", "NONFINITE", lambda d: d + np.inf),
    entry("entry_negated", "SIGN", lambda d: -d, *ENTRYWISE),
    gradient(
        "averaged", "OTHER", lambda d, x: np.full_like(d, d.mean()), "WRONG_AXIS", "NOT_SUMMED", "PERMUTED", "FACTOR"
    ),
    gradient("extra_axis", "SHAPE", lambda d, x: d[None]),
    gradient("flattened", "SHAPE", lambda d, x: d.ravel()),
    gradient("summed_away", "SHAPE", lambda d, x: d.sum(0) if d.ndim else d[None]),
    gradient("integer", "DTYPE", lambda d, x: d.astype(int)),
    gradient("returned_float32", "DTYPE", lambda d, x: d.astype("float32"), "LOW_PRECISION"),
    gradient("returned_complex", "DTYPE", lambda d, x: d.astype(complex)),
    gradient("through_float32", "LOW_PRECISION", lambda d, x: d.astype("float32").astype(d.dtype), *VAGUE),
    gradient("through_float16", "LOW_PRECISION", lambda d, x: d.astype("float16").astype(d.dtype), *VAGUE, "NONFINITE"),
    gradient("truncated_4_digits", "LOW_PRECISION", lambda d, x: np.round(d, 4), *VAGUE, "ZERO"),
    gradient("plus_input", "MISSING_TERM", lambda d, x: d + 1e-3 * x, "NONLINEAR"),
    gradient("plus_constant", "NONLINEAR", lambda d, x: d + 1e-3, "MISSING_TERM", "OTHER"),
    gradient("clipped", "NONLINEAR", lambda d, x: np.clip(d, -0.5, 0.5), "BRANCH", "OTHER"),
    gradient("normalised", "NONLINEAR", lambda d, x: d / (1e-12 + np.sqrt((d * d).sum())), "FACTOR"),
    gradient("negatives_zero", "BRANCH", lambda d, x: np.where(x < 0, 0, d), "ZERO"),
    gradient("negatives_doubled", "BRANCH", lambda d, x: np.where(x < 0, 2 * d, d), "FACTOR"),
    gradient("large_zero", "BRANCH", lambda d, x: np.where(np.abs(x) > 1, 0, d), "ZERO"),
    gradient(
        "noisy",
        "NONDETERMINISTIC",
        lambda d, x: d * (1 + 1e-3 * np.random.default_rng().normal(size=d.shape)),
        "APPROXIMATION",
    ),
    cotangent("ones_for_cotangent", "IGNORES_COTANGENT", np.ones_like, "NONLINEAR"),
    cotangent("mean_of_cotangent", "OTHER", lambda g: np.full_like(g, g.mean()), *COARSE),
    cotangent("squared_cotangent", "NONLINEAR", lambda g: g * g),
    cotangent("absolute_cotangent", "NONLINEAR", np.abs, "SIGN"),
    cotangent("clipped_cotangent", "NONLINEAR", lambda g: np.clip(g, -1, 1)),
    cotangent(
        "first_row_of_cotangent",
        "NOT_SUMMED",
        lambda g: at(np.zeros_like(g), 0, lambda z: g[0]) if g.ndim else g,
        "BATCH",
        "ZERO",
        "OTHER",
        "BRANCH",
    ),
    cotangent(
        "reversed_cotangent",
        "PERMUTED",
        lambda g: g.ravel()[::-1].reshape(g.shape),
        "TRANSPOSED",
        "WRONG_AXIS",
        "OTHER",
    ),
]


@whole("FACTOR", "BATCH", everywhere=True)
def divided_by_batch(case: Case, i: int) -> Vjp:
    return lambda inputs, g: tuple(None if d is None else d / max(batch(case, inputs), 1) for d in case.vjp(inputs, g))


@whole("FACTOR", "BATCH", everywhere=True)
def times_batch(case: Case, i: int) -> Vjp:
    return lambda inputs, g: tuple(None if d is None else d * batch(case, inputs) for d in case.vjp(inputs, g))


@whole("PERMUTED", "TRANSPOSED", "OTHER", "SIGN", "FACTOR", everywhere=True)
def swapped_inputs(case: Case, i: int) -> Vjp | None:
    """The gradients of the first two inputs change places where their shapes agree."""
    if len(floats(case)) < 2 or floats(case)[:2] != [0, 1]:
        return None

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        a, b, *rest = case.vjp(inputs, g)
        return (b, a, *rest) if a.shape == b.shape else (a, b, *rest)

    return vjp


def penalised(strength: float) -> Fault:
    """A penalty in the value that the gradient has not heard of."""
    name = f"penalty_{strength:g}_missing"

    def plant(case: Case, i: int) -> Case | None:
        sample = case.f(*next(case.points(1)))
        if isinstance(sample, tuple) or sample.shape:
            return None

        def f(*inputs: Array) -> Array:
            return np.asarray(case.f(*inputs) + strength / 2 * (inputs[i] ** 2).sum())

        def truth(inputs: Inputs, g: Any) -> tuple[Any, ...]:
            gradients = list(case.vjp(inputs, g))
            gradients[i] = gradients[i] + g * strength * inputs[i]
            return tuple(gradients)

        return wrong(case, name, "MISSING_TERM", case.vjp, f=f, truth=truth, input=i, also=("APPROXIMATION", "OTHER"))

    return Fault(name, "MISSING_TERM", plant)


@whole("DIAGONAL_ONLY", "OTHER")
def diagonal_only(case: Case, i: int) -> Vjp | None:
    """Each output's own entry only, where value and input have one shape."""
    inputs = next(case.points(1))
    y = case.f(*inputs)
    if isinstance(y, tuple) or y.shape != inputs[i].shape or y.size < 2:
        return None

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = list(case.vjp(inputs, g))
        if gradients[i].shape == g.shape:
            for k in np.ndindex(g.shape):
                unit = np.zeros_like(g)
                unit[k] = g[k]
                gradients[i][k] = case.vjp(inputs, unit)[i][k]
        return tuple(gradients)

    return vjp


@whole("APPROXIMATION", "OTHER", "LOW_PRECISION", "FACTOR")
def forward_difference(case: Case, i: int) -> Vjp:
    """A one-sided difference with step 1e-4 in place of the gradient."""

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = list(case.vjp(inputs, g))

        def value(x: Array) -> float:
            y = case.f(*inputs[:i], x, *inputs[i + 1 :])
            return float(
                sum((a * b).sum() for a, b in zip(y, g, strict=True)) if isinstance(y, tuple) else (y * g).sum()
            )

        for k in np.ndindex(inputs[i].shape):
            moved = inputs[i].copy()
            moved[k] += 1e-4
            gradients[i][k] = (value(moved) - value(inputs[i])) / 1e-4
        return tuple(gradients)

    return vjp


@whole("APPROXIMATION", "OTHER", "LOW_PRECISION", "FACTOR", everywhere=True)
def taken_nearby(case: Case, i: int) -> Vjp:
    """The gradient at inputs 0.1% away."""
    return lambda inputs, g: case.vjp(tuple(x * 1.001 if x.dtype.kind == "f" else x for x in inputs), g)


@whole("STALE", "NONDETERMINISTIC", "OTHER")
def single_slot_cache(case: Case, i: int) -> Case:
    """Backward uses whatever forward saw last, if its shapes fit."""
    slot: list[Inputs] = []

    def f(*inputs: Array) -> Any:
        slot[:] = [tuple(np.array(x) for x in inputs)]
        return case.f(*inputs)

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        fits = slot and [x.shape for x in slot[0]] == [x.shape for x in inputs]
        return case.vjp(slot[0] if fits else inputs, g)

    return wrong(case, "single_slot_cache", "STALE", vjp, f=f, also=("NONDETERMINISTIC", "OTHER"))


@whole("ALIASES", "STALE", "NONDETERMINISTIC")
def same_buffer_every_time(case: Case, i: int) -> Vjp:
    """One gradient array a shape, overwritten by the next call while the caller still holds it."""
    buffers: dict[tuple[int, ...], Array] = {}

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = list(case.vjp(inputs, g))
        buffer = buffers.setdefault(inputs[i].shape, np.zeros_like(gradients[i]))
        buffer[...] = gradients[i]
        gradients[i] = buffer
        return tuple(gradients)

    return vjp


@whole("ACCUMULATES", "NONDETERMINISTIC", "NONLINEAR", "STALE")
def accumulates(case: Case, i: int) -> Vjp:
    """Gradients pile up over calls of one shape."""
    totals: dict[tuple[int, ...], Array] = {}

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = list(case.vjp(inputs, g))
        gradients[i] = totals[inputs[i].shape] = totals.get(inputs[i].shape, 0) + gradients[i]
        return (*gradients[:i], gradients[i].copy(), *gradients[i + 1 :])

    return vjp


@whole("MUTATES")
def mutates_input(case: Case, i: int) -> Vjp:
    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = case.vjp(inputs, g)
        inputs[i][...] = 1.5 * inputs[i] + 0.25
        return gradients

    return vjp


@whole("MUTATES", everywhere=True)
def mutates_cotangent(case: Case, i: int) -> Vjp:
    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = case.vjp(inputs, g)
        for a in g if isinstance(g, tuple) else (g,):
            a *= 0.5
        return gradients

    return vjp


@whole("MUTATES")
def mutates_in_forward(case: Case, i: int) -> Case:
    """Right values and gradients; the caller's array is spoilt on the way."""

    def f(*inputs: Array) -> Any:
        y = case.f(*inputs)
        inputs[i][...] += 1.0
        return y

    return wrong(case, "mutates_in_forward", "MUTATES", case.vjp, f=f, input=i)


@whole("MUTATES", "ALIASES")
def gradient_is_the_input(case: Case, i: int) -> Vjp:
    """The input's own memory is used for its gradient, and so is overwritten."""

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = list(case.vjp(inputs, g))
        inputs[i][...] = gradients[i]
        gradients[i] = inputs[i]
        return tuple(gradients)

    return vjp


@whole("RAISES", everywhere=True)
def raises(case: Case, i: int) -> Vjp:
    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        raise IndexError("index 3 is out of bounds for axis 0 with size 3")

    return vjp


@whole("RAISES", everywhere=True)
def raises_for_larger_batches(case: Case, i: int) -> Vjp:
    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        if batch(case, inputs) > 2:
            raise ValueError("operands could not be broadcast together")
        return case.vjp(inputs, g)

    return vjp


@whole("OTHER", "SHAPE", "RAISES", "ZERO", everywhere=True)
def one_gradient_short(case: Case, i: int) -> Vjp:
    """The tuple of gradients has one too few."""
    return lambda inputs, g: case.vjp(inputs, g)[:-1]


@whole("OTHER", "APPROXIMATION", "MISSING_TERM", "IGNORES_COTANGENT", "FACTOR", "BRANCH", "DIAGONAL_ONLY")
def straight_through(case: Case, i: int) -> Vjp | None:
    """The cotangent is handed on as it is."""
    inputs = next(case.points(1))
    y = case.f(*inputs)
    if isinstance(y, tuple) or y.shape != inputs[i].shape:
        return None

    def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
        gradients = list(case.vjp(inputs, g))
        gradients[i] = g.copy() if g.shape == inputs[i].shape else gradients[i]
        return tuple(gradients)

    return vjp


FAULTS = (
    *PLAIN, divided_by_batch, times_batch, swapped_inputs, *(penalised(s) for s in (0.1, 1e-3, 1e-5)),
    diagonal_only, forward_difference, taken_nearby, single_slot_cache, same_buffer_every_time, accumulates,
    mutates_input, mutates_cotangent, mutates_in_forward, gradient_is_the_input, raises,
    raises_for_larger_batches, one_gradient_short, straight_through,
)  # fmt: skip
