"""Diagnose: what kind of mistake a wrong gradient looks like, from the structure of claim against finite difference.

A survey gives claimed and numeric entries of the failing block; hypotheses are tried on it one after the other, and
every one that fits is kept, best first. A diagnosis is evidence and is worded as such.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

import numpy as np

from gradcheck.judge.bench import Array, BackwardError, Bench, as_real, differentiable
from gradcheck.judge.laws import Hearing, ask
from gradcheck.judge.locate import Place, numeric_column
from gradcheck.judge.probe import Prober
from gradcheck.judge.sweep import Sweep
from gradcheck.report import Finding, Kind, place

_SURVEY = 64
"""Entries surveyed one by one (two forward calls each) when the error is not in one entry alone."""


class Guess(NamedTuple):
    """One diagnosis that fits, with its evidence in words."""

    kind: Kind
    evidence: str
    factor: float | None = None


@dataclass
class Survey:
    """Claimed and numeric gradient of some entries of one block for one cotangent.

    entries: flat positions; jacobian: numeric derivative of every output by each of them, (M, entries); bound: what
    an entry's difference may owe to rounding. whole: every entry of the block is there.
    """

    hearing: Hearing
    b: int
    cotangent: Array
    entries: Array
    claimed: Array
    numeric: Array
    jacobian: Array
    bound: Array
    whole: bool

    @property
    def primal(self) -> Array:
        """The block itself."""
        return self.hearing.bench.primals[self.hearing.bench.blocks[self.b]]

    @property
    def wrong(self) -> Array:
        """Which surveyed entries disagree."""
        return np.asarray(np.abs(self.claimed - self.numeric) > self.bound)

    def matches(self, expected: Array) -> bool:
        """Whether the claim is what a hypothesis says: ten times closer to it than to the right gradient."""
        error = float(np.max(np.abs(self.claimed - self.numeric), initial=0.0))
        return bool(
            np.all(np.abs(self.claimed - expected) <= 0.1 * error + self.bound) and error > float(np.max(self.bound))
        )


def diagnose(
    prober: Prober, hearing: Hearing, b: int, sweep: Sweep, k: int, cotangent: Array, claim: Array, at: Place
) -> Finding:
    """The finding for a located error, every fitting diagnosis ranked. Raises BudgetError."""
    survey = _survey(prober, hearing, b, sweep, sweep.reading(k).step, cotangent, claim, at)
    guesses = list(_guesses(survey, at))
    best = guesses[0]
    label = hearing.name(b)
    shape = survey.primal.shape
    entry = at.entry
    claimed, numeric, bound, output = at.claimed, at.numeric, at.bound, at.output
    if entry is None and survey.wrong.any():
        worst = int(np.argmax(np.abs(survey.claimed - survey.numeric)))
        entry = int(survey.entries[worst])
        claimed, numeric, bound = float(survey.claimed[worst]), float(survey.numeric[worst]), float(survey.bound[worst])
        output = None
    index = None
    if entry is not None:
        flat = entry // (2 if survey.primal.dtype.kind == "c" else 1)
        index = tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()
    where = place(label, index if at.alone else None)
    message = f"backward of {where} is {_phrase(best, survey)}"
    return Finding(
        best.kind,
        message,
        label,
        index,
        output=None if output is None else _output_index(hearing.bench, output),
        claimed=claimed,
        numeric=numeric,
        bound=bound,
        kinds=tuple(dict.fromkeys(g.kind for g in guesses)),
        evidence=tuple(f"{g.kind.name}: {g.evidence}" for g in guesses[:3]),
        sweep=tuple((r.step, r.slope, r.noise) for r in sorted(sweep.rungs(k), key=lambda r: r.step)),
    )


def _phrase(best: Guess, survey: Survey) -> str:
    if best.factor is None:
        return f"wrong: {best.kind.value}"
    everywhere = survey.whole and survey.wrong.all() and survey.wrong.size > 1
    return f"{_spelled(best.factor)}× the finite difference{', everywhere' if everywhere else ''}"


def _spelled(factor: float) -> str:
    """A factor in four digits, or by its distance from 1 where those would hide it."""
    return f"{factor:.4g}" if abs(factor - 1) > 1e-3 else f"(1 {factor - 1:+.1e})"


def _survey(
    prober: Prober, hearing: Hearing, b: int, sweep: Sweep, step: float, cotangent: Array, claim: Array, at: Place
) -> Survey:
    """Entry by entry: all of a small block, a sample of a large one, only the guilty entry where it is alone."""
    size = claim.size
    if at.alone and at.entry is not None and size > 1:
        entries = np.array([at.entry])
    elif size <= _SURVEY:
        entries = np.arange(size)
    else:
        sample = np.random.default_rng(0).choice(size, _SURVEY // 4, replace=False)
        entries = np.unique(sample if at.entry is None else np.append(sample, at.entry))
    columns, kept = [], []
    for entry in entries:
        column = numeric_column(prober, sweep, step, int(entry))
        if column is not None:
            columns.append(column)
            kept.append(int(entry))
    if not kept:
        kept, columns = [at.entry or 0], [np.zeros_like(prober.origin)]
    jacobian = np.stack(columns, axis=1)
    numeric = cotangent @ jacobian
    claimed = claim[kept]
    reading = sweep.reading(k=0) if len(sweep.claimed) == 1 else min(sweep.readings(), key=lambda r: r.error)
    noise = 8 * float(
        np.sqrt((cotangent**2) @ (sweep.spread if sweep.spread is not None else np.zeros_like(cotangent)) ** 2)
    )
    units = np.abs(sweep.direction[kept])
    units = np.where(units > 0, units, prober.unit(sweep.position)[kept])
    bound = 2 * noise / (step * units) + reading.error / max(float(np.max(np.abs(sweep.direction))), 1e-300)
    bound += 8 * sweep.eps * np.abs(numeric)
    if at.alone and size > 1:  # the other entries are right: their sum said so
        everything = np.zeros(size), claim.copy()
        for array, value in zip(everything, (bound, numeric), strict=True):
            array[kept] = value
        return Survey(hearing, b, cotangent, np.arange(size), claim, everything[1], jacobian, everything[0], False)
    return Survey(hearing, b, cotangent, np.array(kept), claimed, numeric, jacobian, bound, len(kept) == size)


def _guesses(s: Survey, at: Place) -> Iterator[Guess]:
    """Every diagnosis that fits, best first; OTHER at the end, so that there is always one."""
    hypotheses: list[Callable[[Survey], Iterator[Guess]]] = [
        _missing,
        _repeated,
        _moved,
        _term,
        _branch,
        _diagonal,
        _axes,
        _scaled,
        _rounded,
        _batch,
        _close,
    ]
    ratio = _ratio(s)
    everywhere = s.wrong.all() and s.wrong.size > 1
    if ratio is not None and (everywhere or (s.wrong.size < 4 and _is_plain(s, ratio))):
        hypotheses.remove(_scaled)  # one factor explains everything, or there is too little to see more in
        hypotheses.insert(0, _scaled)
    seen = False
    for hypothesis in hypotheses:
        if hypothesis is _batch and seen:
            continue  # a check of its own, and dear: only where nothing simpler fits
        with suppress(BackwardError):
            for guess in hypothesis(s):
                seen = True
                yield guess
    if not seen:
        wrong = int(s.wrong.sum())
        yield Guess(Kind.OTHER, f"{wrong} of {s.wrong.size} entries looked at are wrong, in no pattern known here")


def _count(s: Survey) -> str:
    total = s.primal.size * (2 if s.primal.dtype.kind == "c" else 1)
    looked_at = "" if s.wrong.size == total else f" looked at (of {total})"
    return f"{int(s.wrong.sum())} of {s.wrong.size} entries{looked_at}"


def _missing(s: Survey) -> Iterator[Guess]:
    """Nothing arrives where something should."""
    missing = s.wrong.any() and not s.claimed[s.wrong].any()
    if missing and (s.wrong.all() or s.wrong.sum() == np.count_nonzero(np.abs(s.numeric) > s.bound)):
        yield Guess(Kind.ZERO, f"{_count(s)} are zero where the finite difference is not")


def _branch(s: Survey) -> Iterator[Guess]:
    """The wrong entries are just those on one side of a condition on the input itself."""
    x = as_real(s.primal).astype(float)[s.entries]
    wrong = s.wrong
    if wrong.all() or not wrong.any():
        return
    sizes = np.maximum(np.abs(s.numeric), np.abs(s.claimed))
    share = float(np.median(np.abs(s.claimed - s.numeric)[wrong] / sizes[wrong]))
    relevant = wrong | (share * sizes > 3 * s.bound)  # a right entry counts where the same mistake would have shown
    counts = dict(zip(*np.unique(as_real(s.primal), return_counts=True), strict=True))
    tied = np.array([counts.get(value, 1) > 1 for value in x])
    conditions = {
        "negative": x < 0,
        "positive": x > 0,
        "exactly zero": x == 0,
        "tied with another": tied,
    }
    for words, side in conditions.items():
        side = side & relevant
        if np.array_equal(wrong, side) and (~side & relevant).any():
            yield Guess(Kind.BRANCH, f"the wrong entries ({_count(s)}) are just those that are {words}")
            return
    right = ~wrong & relevant
    errors = np.abs(s.claimed - s.numeric)[wrong] / sizes[wrong]
    if errors.min() < 0.05 * np.median(errors):
        return  # a branch jumps; this error grows from nothing
    if right.any():
        for words, values in (
            ("above", x),
            ("below", -x),
            ("in absolute value above", np.abs(x)),
            ("in absolute value below", -np.abs(x)),
        ):
            if (
                right.any()
                and values[wrong].min() > values[right].max()
                and wrong.sum() + right.sum() >= 5
                and wrong.sum() > 1
            ):
                edge = abs(float(values[wrong].min()))
                yield Guess(Kind.BRANCH, f"the wrong entries ({_count(s)}) are just those {words} {edge:.3g}")
                return


def _repeated(s: Survey) -> Iterator[Guess]:
    """The wrong rows are those that an integer input names more than once."""
    if not s.primal.ndim or (s.wrong.all() and s.primal.shape[0] > 1 and s.wrong.size == 1):
        return
    width = s.primal.size // max(s.primal.shape[0], 1) * (2 if s.primal.dtype.kind == "c" else 1)
    rows = set((s.entries[s.wrong] // max(width, 1)).tolist())
    for other in s.hearing.bench.primals:
        if other.dtype.kind not in "iu" or not other.size:
            continue
        values, counts = np.unique(other % max(s.primal.shape[0], 1), return_counts=True)
        repeats = {int(v) for v in values[counts > 1]}
        right = s.entries[~s.wrong & (np.abs(s.numeric) > s.bound)] // max(width, 1)
        if (
            rows and rows <= repeats and not set(right.tolist()) <= repeats
        ):  # something named once, and right, to compare with
            yield Guess(
                Kind.REPEATED_INDEX, f"the wrong rows {sorted(rows)[:6]} are all named more than once by an index"
            )
            return


def _ratio(s: Survey) -> float | None:
    """The one factor by which every wrong entry is off, if there is one."""
    wrong = s.wrong & (np.abs(s.numeric) > 4 * s.bound)
    if not wrong.any():
        return None
    factor = float(s.claimed[wrong] @ s.numeric[wrong] / (s.numeric[wrong] @ s.numeric[wrong]))
    spread = float(np.max(np.abs(s.claimed[wrong] - factor * s.numeric[wrong]) - 2 * s.bound[wrong]))
    size = float(np.max(np.abs(s.numeric[wrong])))
    return factor if factor and spread <= 0.02 * abs(factor - 1) * size else None


def _is_plain(s: Survey, factor: float) -> bool:
    """−1, 2, ½ or a size of the arrays: factors that people make mistakes by."""
    sizes = {float(n) for p in (*s.hearing.bench.primals, *s.hearing.bench.models) for n in p.shape if n > 1}
    plain = {-1.0, 2.0, 0.5, 4.0, 0.25, 3.0, *sizes, *(1 / n for n in sizes)}
    return any(abs(factor / value - 1) < 1e-3 for value in plain)


def _scaled(s: Survey) -> Iterator[Guess]:
    """The claim is a multiple of the right gradient."""
    factor = _ratio(s)
    if factor is None:
        return
    if abs(factor + 1) < 0.02:
        yield Guess(Kind.SIGN, f"{_count(s)} have the opposite sign", -1.0)
        return
    yield Guess(Kind.FACTOR, f"{_count(s)} off by the factor {_spelled(factor)}{_named_factor(s, factor)}", factor)


def _named_factor(s: Survey, factor: float) -> str:
    sizes = {n for p in (*s.hearing.bench.primals, *s.hearing.bench.models) for n in p.shape if n > 1}
    for n in sorted(sizes):
        for value, name in ((n, f"{n}"), (1 / n, f"1/{n}")):
            if n > 2 and abs(factor / value - 1) < 1e-3:
                return f" = {name}, a size of the arrays (a mean taken twice, or never?)"
    if abs(factor - 2) < 1e-3:
        return " (accumulated twice?)"
    return ""


def _moved(s: Survey) -> Iterator[Guess]:
    """The right values stand in the wrong places."""
    if not s.whole or s.wrong.size < 2:
        return
    shape, numeric = s.primal.shape, s.numeric
    if s.primal.dtype.kind != "c" and len(shape) > 1:
        grid = numeric.reshape(shape)
        for axes in permutations(range(len(shape))):
            turned = grid.transpose(axes)
            if axes != tuple(range(len(shape))) and turned.shape == shape and s.matches(turned.reshape(-1)):
                yield Guess(Kind.TRANSPOSED, f"the claim is the right gradient with its axes in the order {axes}")
                break
            if axes != tuple(range(len(shape))) and s.matches(turned.reshape(-1)):
                yield Guess(Kind.TRANSPOSED, "the claim is the right gradient transposed and reshaped")
                break
    order = np.argsort(numeric)
    expected = np.empty_like(numeric)
    expected[np.argsort(s.claimed)] = numeric[order]
    if s.matches(expected):
        yield Guess(Kind.PERMUTED, f"the claim holds the right values in another order ({_count(s)} misplaced)")


def _diagonal(s: Survey) -> Iterator[Guess]:
    """Each output is connected to its own input only, where the numeric Jacobian couples them."""
    if not s.whole or s.jacobian.shape[0] != s.jacobian.shape[1] or s.jacobian.shape[0] < 2:
        return
    diagonal = np.diag(s.jacobian)
    if s.matches(s.cotangent * diagonal):
        yield Guess(
            Kind.DIAGONAL_ONLY,
            "the claim is the cotangent times the diagonal of the Jacobian, whose other entries are not zero",
        )
        return
    off = s.jacobian - np.diag(diagonal)
    if not off.any():
        return
    one_hot = np.zeros_like(s.cotangent)
    one_hot[0] = 1.0
    row = ask(s.hearing, one_hot)[s.b]
    if row[0] and not row[1:].any() and off[0].any():
        yield Guess(
            Kind.DIAGONAL_ONLY,
            "output 0 is claimed to depend on entry 0 only, the finite difference sees the others too",
        )


def _axes(s: Survey) -> Iterator[Guess]:
    """A sum over a broadcast axis was left out, or taken along another axis."""
    models = [m for m in s.hearing.bench.models if differentiable(m)]
    if len(models) != 1 or not s.whole or models[0].dtype.kind == "c":
        return
    shape = models[0].shape
    v = s.cotangent.reshape(shape)
    for axis, n in enumerate(shape):
        if n < 2 or not np.any(np.count_nonzero(s.jacobian.reshape(*shape, -1), axis=axis) > 1):
            continue  # no entry has more than one output along this axis: there is nothing to sum
        for row in (0, n - 1):
            masked = np.zeros_like(v)
            where = (slice(None),) * axis + (row,)
            masked[where] = v[where]
            if s.matches(masked.reshape(-1) @ s.jacobian):
                yield Guess(
                    Kind.NOT_SUMMED,
                    f"the claim is what entry {row} of output axis {axis} contributes; the rest is not summed",
                )
                return
        mean = s.numeric / n
        if s.matches(mean):
            yield Guess(Kind.NOT_SUMMED, f"the claim is the mean, not the sum, over output axis {axis}")
            return
    if v.ndim > 1 and s.matches(v.reshape(-1)[::-1] @ s.jacobian):
        yield Guess(Kind.PERMUTED, "the claim is right for a cotangent in reversed order")
        return
    for axis, n in enumerate(shape):
        for words, turned in (
            ("reversed", np.flip(v, axis)),
            ("shifted", np.roll(v, 1, axis)),
            ("shifted", np.roll(v, -1, axis)),
        ):
            if n > 1 and s.matches(turned.reshape(-1) @ s.jacobian):
                yield Guess(Kind.PERMUTED, f"the claim is right for a cotangent {words} along axis {axis}")
                return
    for axes in permutations(range(len(shape))):
        fits = axes != tuple(range(len(shape))) and v.transpose(axes).shape == shape
        if fits and s.matches(v.transpose(axes).reshape(-1) @ s.jacobian):
            yield Guess(Kind.WRONG_AXIS, f"the claim is right for a cotangent with its axes in the order {axes}")
            return


def _term(s: Survey) -> Iterator[Guess]:
    """The difference is a multiple of an input, or the same everywhere: a penalty, a mean that was not taken off."""
    difference = s.claimed - s.numeric
    if difference.size < 2:
        return
    loose = 0.02 * float(np.max(np.abs(difference)))
    if loose < 0.1 * float(np.max(s.bound)):
        return
    candidates = [
        (place(s.hearing.bench.target.label(i)), p)
        for i, p in enumerate(s.hearing.bench.primals)
        if p.shape == s.primal.shape
    ]
    for name, primal in candidates:
        if primal.dtype.kind not in "f" or s.primal.dtype.kind != "f":
            continue
        x = primal.reshape(-1).astype(float)[s.entries]
        if not x.any() or np.ptp(x) == 0:
            continue
        ratio = float(difference @ x / (x @ x))
        if np.all(np.abs(difference - ratio * x) <= loose):
            yield Guess(Kind.MISSING_TERM, f"claim − finite difference is {ratio:.4g} times {name} ({_count(s)})")
            return
    if s.whole and s.primal.ndim and s.wrong.size > 2:
        grid = difference.reshape(s.primal.shape) if s.primal.dtype.kind != "c" else difference
        for axis in range(grid.ndim):
            if grid.shape[axis] > 1 and np.all(np.ptp(grid, axis=axis) <= loose):
                yield Guess(
                    Kind.MISSING_TERM, f"claim − finite difference is the same all along axis {axis}: a mean left out?"
                )
                return


def _rounded(s: Survey) -> Iterator[Guess]:
    """The claim looks like a number of fewer bits."""
    size = float(np.max(np.abs(s.numeric), initial=0.0))
    error = float(np.max(np.abs(s.claimed - s.numeric), initial=0.0))
    eps = float(np.finfo(s.primal.dtype).eps)
    for lower in (np.float16, np.float32):
        coarse = float(np.finfo(lower).eps)
        with np.errstate(over="ignore"):
            representable = np.array_equal(s.claimed.astype(lower).astype(s.claimed.dtype), s.claimed)
        if coarse > 100 * eps and representable and s.claimed.any() and error <= 64 * coarse * size:
            yield Guess(
                Kind.LOW_PRECISION,
                f"every claimed entry is a {np.dtype(lower).name} number, and the error is of that size",
            )
            return
    if eps < 1e-10 and s.wrong.sum() > 1 and error <= 2e-6 * size:
        yield Guess(
            Kind.LOW_PRECISION,
            f"errors of {error / size:.0e} of the largest entry, of either sign: the size of float32 rounding",
        )


def _batch(s: Survey) -> Iterator[Guess]:
    """The same backward is right for the first example alone."""
    bench = s.hearing.bench
    if len(bench.models) != 1 or not bench.models[0].ndim or bench.models[0].shape[0] < 2:
        return
    n = bench.models[0].shape[0]
    if not any(p.ndim and p.shape[0] == n for p in bench.primals):
        return
    single = [p[:1] if p.ndim and p.shape[0] == n else p for p in bench.primals]
    spare = 60 if bench.budget is None else min(60, bench.budget - bench.evaluations)
    if spare < 1:
        return
    alone = Bench(bench.target, single, budget=spare)
    right = s.hearing.right_at(alone)
    bench.evaluations += alone.evaluations
    bench.pullbacks += alone.pullbacks
    if right:
        yield Guess(Kind.BATCH, f"with the first of the {n} examples alone the gradient is right")


def _close(s: Survey) -> Iterator[Guess]:
    """A little off everywhere."""
    size = float(np.max(np.abs(s.numeric), initial=0.0))
    error = float(np.max(np.abs(s.claimed - s.numeric), initial=0.0))
    if size and error <= 0.25 * size and s.wrong.mean() > 0.5:
        yield Guess(
            Kind.APPROXIMATION, f"{_count(s)} are off by up to {error / size:.1e} of the largest: another formula?"
        )


def _output_index(bench: Bench, flat: int) -> tuple[int, ...]:
    """The place of a flat output: its index, led by its position where the value is a tuple."""
    start = 0
    for n, model in enumerate(bench.models):
        if not differentiable(model):
            continue
        width = 2 if model.dtype.kind == "c" else 1
        if flat < start + model.size * width:
            index = tuple(int(i) for i in np.unravel_index((flat - start) // width, model.shape)) if model.shape else ()
            return index if bench.single else (n, *index)
        start += model.size * width
    return (flat,)
