"""Trial: one point under judgement, from its value through laws and probes to a report."""

import math
from contextlib import suppress

import numpy as np

from gradcheck.floats import differentiable, eps_of, limits
from gradcheck.judge.bench import BackwardError, Bench, BudgetError, ForwardError
from gradcheck.judge.blocks import Blocks
from gradcheck.judge.hearing import Hearing, ask, hear
from gradcheck.judge.laws import FIRST, LAST, LAWS
from gradcheck.judge.outcome import Outcome, usable
from gradcheck.judge.probe import Prober
from gradcheck.judge.reals import Array, as_real, like
from gradcheck.judge.twin import find_twin
from gradcheck.judge.wobble import slow_step, wobble_of
from gradcheck.report import Block, Finding, Kind, Report, Verdict, place

_EXPLAINS = (
    Kind.RAISES, Kind.SHAPE, Kind.NONDETERMINISTIC, Kind.ACCUMULATES, Kind.STALE, Kind.IGNORES_COTANGENT, Kind.MUTATES,
    Kind.ALIASES, Kind.DTYPE, Kind.NONFINITE,
)  # fmt: skip
"""Broken laws, the one that explains most first."""


_FATAL = (Kind.NONDETERMINISTIC, Kind.ACCUMULATES)


class Trial:
    """What is known of one point, and what has been found so far."""

    def __init__(self, bench: Bench, seed: int = 0, *, forbid_kinks: bool = False, slack: float = 1.0) -> None:
        self.bench = bench
        self.seed = seed
        self.forbid_kinks = forbid_kinks
        self.slack = slack
        self.rng = np.random.default_rng(seed)
        self.findings: list[Finding] = []
        self.reasons: list[str] = []
        self.notes: list[str] = []
        self.kinks: list[str] = []
        self.resolutions: dict[str | int, float] = {}
        self.outcomes: list[Outcome] = []
        self.finished = False

    def judge(self, laws: tuple[str, ...] = tuple(LAWS), *, probes: bool = True) -> None:
        """Hear these laws and probe every block. Raises BudgetError, TimeLimitError; whatever the target does wrong
        is a finding.
        """
        origin = self._origin()
        if origin is None:
            return
        cotangents = self._cotangents(origin)
        if probes and find_twin(self.bench, origin):
            origin = self.bench.value()
        prober = Prober(self.bench, origin, self.slack)
        try:
            hearing = hear(self.bench, cotangents[0], cotangents[-1])
            if self.bench.note_randomness():
                hearing = hear(self.bench, cotangents[0], cotangents[-1])
            hearing.largest = float(np.max(np.abs(origin[np.isfinite(origin)]), initial=0.0))
            hearing.underflow = prober.underflow
            hearing.right_at = right_at
            self._hear([name for name in laws if name in FIRST], hearing)
            hearing.wobble = wobble_of(hearing, hearing.cotangent, hearing.gradients)
            self._hear([name for name in laws if name not in FIRST + LAST], hearing)
            if probes and not any(f.kind in (*_FATAL, Kind.IGNORES_COTANGENT) for f in self.findings):
                hearing.raw, hearing.given = [], []  # the laws have seen them, and they may be large
                if len(cotangents) > 1 and not hearing.second:
                    hearing.second = ask(hearing, cotangents[-1])
                self._probe(prober, hearing, cotangents)
            self._call_elsewhere()
            self._hear([name for name in laws if name in LAST], hearing)
        except BackwardError as error:
            label = None if error.position is None else self.bench.target.label(error.position)
            self.findings.append(Finding(Kind[error.kind], error.message, label))
        self.finished = True

    def _origin(self) -> Array | None:
        """The value at the point, asked for twice; None where nothing can be judged from it."""
        bench = self.bench
        try:
            bench.note_randomness()
            first, second = bench.value(), bench.value()
            if bench.note_randomness() or not _alike(first, second, bench):
                bench.reseeds = True  # reseed once before blaming: dropout draws from the global stream
                first, second = bench.value(), bench.value()
        except ForwardError as error:
            self.reasons.append(f"{error}; give inputs at which forward runs")
            return None
        if not _alike(first, second, bench):
            worst = int(np.argmax(np.abs(first - second)))
            message = f"forward gives {first[worst]:.17g} and then {second[worst]:.17g} for the same inputs"
            self.findings.append(Finding(Kind.NONDETERMINISTIC, message))
            return None
        if not any(differentiable(model) for model in bench.models):
            found = ", ".join(str(model.dtype) for model in bench.models) or "nothing"
            self.reasons.append(f"forward returns {found}, which has no gradient; return floats")
            return None
        if first.size and not np.isfinite(first).any():
            self.reasons.append("forward is not finite at this point; move the inputs into its domain")
            return None
        return first

    def _cotangents(self, origin: Array) -> Array:
        """Random signs and sizes away from zero; never all ones, which softmax and normalisation cannot see.

        Numbers of all bits, so that a backward that rounds has something to round, but exact in the outputs' dtype:
        what backward is given is what the judge multiplies with. One row for a single output and for very many, where
        a gradient of its own is dear; two otherwise.
        """
        count = 1 if origin.size <= 1 or origin.size > 100_000 else 2
        rows = self.rng.choice([-1.0, 1.0], (count, origin.size)) * self.rng.uniform(0.5, 1.5, (count, origin.size))
        coarsest = max((m.real.dtype for m in self.bench.models if differentiable(m)), key=lambda d: limits(d).eps)
        rows[:, ~np.isfinite(origin)] = 0.0
        return np.asarray(rows.astype(coarsest).astype(float))

    def _hear(self, names: list[str], hearing: Hearing) -> None:
        for name in names:
            if any(f.kind in _FATAL for f in self.findings):
                return  # whoever answers differently every time breaks every other law too
            if name == "layout_does_not_matter" and any(f.kind is Kind.MUTATES for f in self.findings):
                continue  # what writes into its arguments raises on read-only ones: one mistake, one finding
            self.findings.extend(f for f in LAWS[name](hearing) if f.message not in {g.message for g in self.findings})

    def _call_elsewhere(self) -> None:
        """One forward call with every input moved by a thousandth, or an ulp where that is more.

        For the laws about what other calls leave behind.
        """
        moved = {}
        for i in self.bench.blocks:
            flat = as_real(self.bench.primals[i])
            moved[i] = like(flat * flat.dtype.type(1 + max(2**-10, eps_of(flat))), self.bench.primals[i])
        with suppress(ForwardError):  # outside its domain there; the probes have been elsewhere too
            self.bench.value(moved)

    def _probe(self, prober: Prober, hearing: Hearing, cotangents: Array) -> None:
        prober.slow = 1.0 if self.bench.twin else slow_step(self.bench, prober.origin)
        blocks = Blocks(prober, hearing, cotangents, self.rng)
        try:
            outcomes = blocks.probe()
        finally:
            self.findings.extend(blocks.findings)
            self.notes.extend(blocks.doubts.notes)
            self.kinks = blocks.kinks.names()
        if self.forbid_kinks and self.kinks:
            message = f"f has a kink at {self.kinks[0]}, and kinks are forbidden here"
            self.findings.append(Finding(Kind.BRANCH, message, blocks.kinks.found[0]))
        self._conclude(outcomes)

    def _conclude(self, outcomes: list[Outcome]) -> None:
        """A resolution for each block; a bound too wide to tell becomes a reason."""
        self.outcomes = outcomes
        loudest = max((outcome.scale for outcome in outcomes), default=0.0)
        for outcome in outcomes:
            if outcome.failed:
                continue
            if not outcome.reason:
                resolution = self.resolutions[outcome.label] = outcome.resolution(loudest)
                if resolution <= usable(outcome.eps):
                    continue
                outcome.reason = (
                    f"{place(outcome.label)}: the bound {outcome.bound:.1e} is too wide for a slope of "
                    f"{outcome.scale:.1e}; a wider dtype or other inputs would tell"
                    if math.isfinite(outcome.bound)
                    else f"{place(outcome.label)}: no slope could be read; scale the inputs, or move them"
                )
            self.reasons.append(outcome.reason)

    def _block(self, outcome: Outcome) -> Block:
        """The row of one block: the numbers of its finding where it has one, else those of its probe."""
        label = outcome.label
        primal = next(self.bench.primals[i] for i in self.bench.blocks if self.bench.target.label(i) == label)
        shape, dtype = tuple(primal.shape), str(primal.dtype)
        finding = next((f for f in self.findings if f.input == label), None)
        if finding is not None and finding.claimed is not None:
            numbers = finding.index, finding.claimed, finding.numeric, finding.bound
            return Block(label, shape, dtype, Verdict.FAIL, *numbers)
        verdict = Verdict.FAIL if finding else Verdict.INCONCLUSIVE if outcome.reason else Verdict.PASS
        seen = outcome.judged
        if math.isnan(seen.claimed):
            return Block(label, shape, dtype, verdict)
        return Block(label, shape, dtype, verdict, None, seen.claimed, seen.numeric, seen.error)

    def report(self) -> Report:
        """The Report of what was found."""
        bench = self.bench
        if self.findings:
            verdict = Verdict.FAIL
        elif self.reasons or not self.finished:
            verdict = Verdict.INCONCLUSIVE
        else:
            verdict = Verdict.PASS
        return Report(
            verdict,
            bench.target.name,
            tuple(sorted(self.findings, key=_rank)),
            max(self.resolutions.values(), default=0.0 if verdict is Verdict.PASS else math.nan),
            bench.evaluations,
            bench.pullbacks,
            tuple(self.kinks),
            tuple(self.reasons),
            (*bench.target.notes, *self.notes),
            dtype=" ".join(sorted({str(bench.primals[i].dtype) for i in bench.blocks})),
            seed=self.seed,
            resolutions=dict(self.resolutions),
            blocks=tuple(self._block(outcome) for outcome in self.outcomes),
        )


def right_at(bench: Bench) -> bool:
    """Whether a target passes at a point, within the bench's budget: for a diagnosis that asks the same of a smaller
    batch.
    """
    trial = Trial(bench)
    try:
        trial.judge()
    except BudgetError:
        return False
    return trial.report().verdict is Verdict.PASS


def _rank(finding: Finding) -> tuple[int, float]:
    """Broken laws first, in the order of what explains most; then the numeric findings, worst first."""
    if finding.claimed is None:
        return (_EXPLAINS.index(finding.kind) if finding.kind in _EXPLAINS else len(_EXPLAINS), 0.0)
    return (len(_EXPLAINS) + 1, -finding.severity)


def _alike(a: Array, b: Array, bench: Bench) -> bool:
    """Equal, or within what a threaded sum may differ by from run to run."""
    if np.array_equal(a, b, equal_nan=True):
        return True
    eps = max((eps_of(m) for m in bench.models if differentiable(m)), default=2e-16)
    return bool(np.all(np.abs(a - b) <= 1000 * eps * float(np.max(np.abs(a), initial=0.0))))
