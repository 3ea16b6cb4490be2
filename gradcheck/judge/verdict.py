"""The judge: laws first, then probes of every block, then, for what fails, where and what.

`check` judges one point. Its verdict needs no tolerance: every slope carries its own bound, and a pass says what it could have seen.
"""

import math
import warnings
from typing import Any

import numpy as np

from gradcheck.judge.bench import (
    Array,
    BackwardError,
    Bench,
    BudgetError,
    ForwardError,
    as_real,
    differentiable,
    like,
    preserved_randomness,
)
from gradcheck.judge.clock import TimeLimitError, time_limit
from gradcheck.judge.diagnose import diagnose
from gradcheck.judge.kinks import Kinks, bad_subgradient
from gradcheck.judge.laws import LAWS, Hearing, ask, hear
from gradcheck.judge.locate import locate
from gradcheck.judge.probe import Prober, Sweep
from gradcheck.report import Finding, GradientMismatch, InconclusiveError, Kind, Report, Verdict, place
from gradcheck.target import Target, as_target

USABLE = 1e-3
"""The coarsest resolution that is still called a PASS: an error of half a percent has to be seen even in float32. Dtypes
coarser than that are judged for what they can resolve: 64 of their ulps."""

_DIRECTIONS = ("along the claimed gradient", "at random")


def check(
    target: Any,
    *inputs: Any,
    seed: int = 0,
    kinks: str = "subgradient",
    budget: int | None = None,
    slack: float = 1.0,
    timeout: float | None = None,
) -> Report:
    """Judge the gradient of `target` at one point.

    target: a Target, or what `as_target` makes one of. inputs: arrays or numbers; integer and frozen ones are held fixed.
    seed: of the random directions and cotangents; the same seed gives the same report.
    kinks: "subgradient" accepts a claim between the one-sided slopes, "forbid" fails at any kink.
    budget: the most forward calls to spend. slack: scales every bound. timeout: seconds for the whole check, on
    platforms with SIGALRM and in the main thread. Raises ValueError or TypeError for options or inputs that cannot be used;
    what the target does wrong is a verdict.

    >>> import numpy as np
    >>> report = check((np.sin, lambda inputs, g: (g * np.cos(inputs[0]),)), np.array([0.1, 2.0]))
    >>> report.verdict, report.resolution < 1e-8
    (<Verdict.PASS: 'pass'>, True)
    >>> check((np.sin, lambda inputs, g: (-g * np.cos(inputs[0]),)), np.array([0.1, 2.0])).findings[0].kind
    <Kind.SIGN: 'wrong sign'>
    """
    _validate(kinks, budget, slack, timeout)
    judged = as_target(target)
    bench = Bench(judged, inputs, budget=budget)
    if not bench.blocks:
        raise ValueError(
            f"{judged.name} has no input to differentiate: {len(bench.primals)} inputs, all of them integers or frozen; "
            f"give at least one array of floats"
        )
    case = _Case(bench, seed, kinks, slack)
    with preserved_randomness(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            with time_limit(timeout):
                case.judge()
        except (BudgetError, TimeLimitError) as spent:
            case.reasons.append(str(spent))
    return case.report()


def assert_gradients(target: Any, *inputs: Any, strict: bool = False, **options: Any) -> Report:
    """`check`, raising GradientMismatch for a FAIL, and InconclusiveError for an INCONCLUSIVE with strict=True.

    >>> import numpy as np
    >>> assert_gradients((np.exp, lambda inputs, g: (g * np.exp(inputs[0]),)), 1.0).verdict
    <Verdict.PASS: 'pass'>
    """
    report = check(target, *inputs, **options)
    if report.verdict is Verdict.FAIL:
        raise GradientMismatch(report)
    if strict and report.verdict is Verdict.INCONCLUSIVE:
        raise InconclusiveError(report)
    return report


def _validate(kinks: str, budget: int | None, slack: float, timeout: float | None) -> None:
    if kinks not in ("subgradient", "forbid"):
        raise ValueError(f"kinks must be 'subgradient' or 'forbid', got {kinks!r}")
    if budget is not None and budget < 1:
        raise ValueError(f"budget must be at least 1 forward call, got {budget!r}; leave it out for no limit")
    if not (slack > 0 and math.isfinite(slack)):
        raise ValueError(f"slack must be a positive number that scales every bound, got {slack!r}")
    if timeout is not None and timeout <= 0:
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")


def right_at(bench: Bench) -> bool:
    """Whether a target passes at a point, in a few calls: for a diagnosis that asks the same of a smaller batch."""
    case = _Case(bench, 0, "subgradient", 1.0)
    try:
        case.judge()
    except BudgetError:
        return False
    return case.report().verdict is Verdict.PASS


class _Case:
    """One point under judgement, and what has been found so far."""

    def __init__(self, bench: Bench, seed: int, kinks: str, slack: float) -> None:
        self.bench = bench
        self.seed = seed
        self.forbid_kinks = kinks == "forbid"
        self.slack = slack
        self.rng = np.random.default_rng(seed)
        self.findings: list[Finding] = []
        self.reasons: list[str] = []
        self.kinks: list[str] = []
        self.resolutions: dict[str | int, float] = {}
        self.finished = False
        self.face = 0.0  # eps of a lower precision found behind the dtype

    def judge(self) -> None:
        """Fill in findings, reasons, kinks and resolutions. Raises BudgetError, TimeLimitError."""
        origin = self._origin()
        if origin is None:
            return
        cotangents = self._cotangents(origin)
        if self.bench.try_twin(origin):
            origin = self.bench.value()
        if not cotangents.size:
            self.finished = True  # an empty output has nothing to be wrong about but its gradients' shapes
        try:
            hearing = hear(self.bench, cotangents[0], cotangents[-1])
            hearing.largest = float(np.max(np.abs(origin[np.isfinite(origin)]), initial=0.0))
            self._hear_laws(hearing)
            if len(cotangents) > 1 and not hearing.second:
                hearing.second = ask(hearing, cotangents[-1])
        except BackwardError as error:
            self._refuse(error)
            return
        if not self._fatal():
            self._probe(hearing, origin, cotangents)
            self._hear_last_law(hearing)
        self.finished = True

    # -- the point ----------------------------------------------------------------------------------------------

    def _origin(self) -> Array | None:
        """The value at the point, asked for twice; None where nothing can be judged from it."""
        bench = self.bench
        try:
            first = bench.value()
            second = bench.value()
            if not _alike(first, second, bench):
                bench.reseeds = True
                first, second = bench.value(), bench.value()
        except ForwardError as error:
            self.reasons.append(f"{error}; give inputs at which forward runs")
            return None
        if not _alike(first, second, bench):
            worst = int(np.argmax(np.abs(first - second)))
            message = f"forward gives {first[worst]:.6g} and then {second[worst]:.6g} for the same inputs"
            self.findings.append(Finding(Kind.NONDETERMINISTIC, message))
            return None
        if not any(differentiable(model) for model in bench.models):
            self.reasons.append(f"forward returns {bench.models[0].dtype}, which has no gradient; return floats")
            return None
        if first.size and not np.isfinite(first).any():
            self.reasons.append("forward is not finite at this point; move the inputs into its domain")
            return None
        return first

    def _cotangents(self, origin: Array) -> Array:
        """Random signs and sizes away from zero; never all ones, which softmax and normalisation cannot see.

        Rounded to the outputs' dtype, so that what backward is given is what the judge multiplies with.
        """
        count = 1 if origin.size <= 1 or origin.size > 100_000 else 2
        rows = self.rng.choice([-1.0, 1.0], (count, origin.size)) * self.rng.integers(32, 97, (count, origin.size)) / 64
        if origin.size == 1:
            rows = np.ones((1, 1))
        rows[:, ~np.isfinite(origin)] = 0.0
        return rows

    # -- laws ---------------------------------------------------------------------------------------------------

    def _hear_laws(self, hearing: Hearing) -> None:
        hearing.wobble = self._wobble(hearing)
        for name, law in LAWS.items():
            if name == "other_calls_leave_no_trace":
                continue  # heard last, when forward has been called elsewhere
            if name == "layout_does_not_matter" and any(f.kind is Kind.MUTATES for f in self.findings):
                continue  # what writes into its arguments raises on read-only ones: one mistake, one finding
            self.findings.extend(law(hearing))

    def _hear_last_law(self, hearing: Hearing) -> None:
        moved = {i: like(as_real(p) * as_real(p).dtype.type(1.0009765625), p) for i, p in enumerate(self.bench.primals) if i in self.bench.blocks}
        try:
            self.bench.value(moved)
        except ForwardError:
            pass  # outside its domain there; the probes have been elsewhere too
        try:
            self.findings.extend(LAWS["other_calls_leave_no_trace"](hearing))
            for finding in LAWS["arguments_are_left_alone"](hearing):
                if all(f.kind is not Kind.MUTATES for f in self.findings):
                    self.findings.append(finding)
        except BackwardError as error:
            self._refuse(error)

    def _wobble(self, hearing: Hearing) -> list[Array]:
        """How much each gradient moves when every input moves by an ulp, up or down by its last bit: ties stay tied.

        A change of a percent is no rounding (0.3 in float32 and coarser): the move crossed a kink, and is left out.
        """
        bench = self.bench
        moved = {i: _nudged(bench.primals[i], self.face) for i in bench.blocks if bench.primals[i].size}
        try:
            nudged = ask(hearing, hearing.cotangent, moved)
        except BackwardError:
            return []
        wobbles = []
        for b, (a, g) in enumerate(zip(nudged, hearing.gradients, strict=True)):
            change = np.abs(a - g)
            limit = 1e-2 if max(self.face, hearing.eps(b)) < 1e-10 else 0.3
            change[~(change <= limit * max(float(np.max(np.abs(g), initial=0.0)), 1e-300))] = 0.0
            wobbles.append(change)
        return wobbles

    def _refuse(self, error: BackwardError) -> None:
        label = None if error.position is None else self.bench.target.label(error.position)
        self.findings.append(Finding(Kind[error.kind], error.message, label))

    def _fatal(self) -> bool:
        """Whether a broken law leaves nothing that finite differences could be compared with."""
        return any(f.kind in (Kind.NONDETERMINISTIC, Kind.ACCUMULATES, Kind.IGNORES_COTANGENT) for f in self.findings)

    # -- probes -------------------------------------------------------------------------------------------------

    def _probe(self, hearing: Hearing, origin: Array, cotangents: Array) -> None:
        prober = Prober(self.bench, origin, self.slack)
        kinks = Kinks(prober, hearing, self.rng)
        outcomes: list[_Outcome] = []
        for b, position in enumerate(self.bench.blocks):
            if self.bench.primals[position].size and origin.size:
                outcomes.append(self._probe_block(prober, kinks, hearing, b, cotangents))
        self.kinks = kinks.names()
        if len(kinks.found) > 1 and not self.findings:
            self._probe_together(prober, kinks, hearing, cotangents)
        if self.forbid_kinks and self.kinks:
            message = f"f has a kink at {self.kinks[0]}, and kinks are forbidden here"
            self.findings.append(Finding(Kind.BRANCH, message, kinks.found[0]))
        self._conclude(outcomes)

    def _probe_block(self, prober: Prober, kinks: Kinks, hearing: Hearing, b: int, cotangents: Array) -> "_Outcome":
        position = self.bench.blocks[b]
        outcome = _Outcome(self.bench.target.label(position), float(np.finfo(self.bench.primals[position].dtype).eps))
        claims = [answer[b] for answer in self._answers(hearing, cotangents)]
        if not all(np.all(np.isfinite(c)) for c in claims):
            self._judge_nonfinite(prober, hearing, b, claims[0], outcome)
            return outcome
        wobble = hearing.wobble[b] if hearing.wobble else None
        unit = prober.unit(position)
        for turn in range(1 if unit.size == 1 else 2):
            signs = self.rng.choice([-1.0, 1.0], unit.size)
            if turn == 0:
                signs = np.where(claims[0] == 0, signs, np.sign(claims[0]))
            direction = signs * unit * self.rng.integers(32, 97, unit.size) / 64
            sweep = prober.sweep(position, direction, cotangents, claims, wobble)
            if prober.face > self.face:  # backward rounds as coarsely as forward was found to
                self.face = prober.face
                hearing.wobble = self._wobble(hearing)
                wobble = hearing.wobble[b] if hearing.wobble else None
                sweep = prober.sweep(position, direction, cotangents, claims, wobble)
            if not sweep.steps:
                outcome.reason = f"forward is not defined around {place(outcome.label)}; move it into the domain"
                return outcome
            guilty = [k for k, reading in enumerate(sweep.readings()) if reading.persists]
            kinks.start = next((t for k in guilty if (t := sweep.bend(k))), None)
            if guilty and (sweep.kinked is None or kinks.start):
                sweep = kinks.probe(b, direction, cotangents, claims)  # before blaming, look for a kink this way too
            if sweep.kinked is not None and sweep.kinked.any():
                self._probe_kinked(prober, kinks, hearing, b, sweep, cotangents, outcome)
                return outcome
            if self._read(prober, kinks, hearing, b, sweep, cotangents, claims, outcome):
                return outcome
        self._probe_quiet_outputs(prober, kinks, hearing, b, outcome)
        return outcome

    def _read(
        self,
        prober: Prober,
        kinks: Kinks,
        hearing: Hearing,
        b: int,
        sweep: Sweep,
        cotangents: Array,
        claims: list[Array],
        outcome: "_Outcome",
    ) -> bool:
        """Take in one sweep; True when the block needs no other (it fails, or cannot be told)."""
        outcome.take(sweep)
        for k, reading in enumerate(sweep.readings()):
            if reading.persists:
                place_found = locate(prober, hearing, b, sweep, k, cotangents[k], claims[k])
                if place_found is None:  # nothing was left of it entry by entry
                    outcome.reason = f"{place(outcome.label)}: a disagreement that no entry confirms; try another seed"
                    continue
                self.findings.append(diagnose(prober, hearing, b, sweep, k, cotangents[k], claims[k], place_found))
                outcome.failed = True
                return True
        return False

    def _probe_kinked(
        self, prober: Prober, kinks: Kinks, hearing: Hearing, b: int, sweep: Sweep, cotangents: Array, outcome: "_Outcome"
    ) -> None:
        """Kinked outputs by their one-sided slopes, the others strictly; then along what keeps ties and zeros as they are."""
        directions = [("", sweep.direction), *kinks.special_directions(b)]
        for words, direction in directions:
            if words:
                sweep = kinks.probe(b, direction, cotangents, [a[b] for a in self._answers(hearing, cotangents)])
            if not sweep.steps:
                continue
            kinked = sweep.kinked if sweep.kinked is not None else np.zeros(len(prober.origin), bool)
            if kinked.any():
                kinks.note(b, sweep)
                output = kinks.violates(b, sweep)
                found = None if output is None else kinks.narrow(b, direction, output)
                if found is not None and output is not None:
                    self.findings.append(bad_subgradient(kinks, b, found[1], found[0], output))
                    outcome.failed = True
                    return
                smooth = cotangents * ~kinked
                if not smooth.any():
                    continue
                claims = [ask(hearing, row)[b] for row in smooth]
                sweep = kinks.probe(b, direction, smooth, claims)
            else:
                smooth, claims = cotangents, [a[b] for a in self._answers(hearing, cotangents)]
            if self._read(prober, kinks, hearing, b, sweep, smooth, claims, outcome):
                return

    @staticmethod
    def _answers(hearing: Hearing, cotangents: Array) -> list[list[Array]]:
        return [hearing.gradients, hearing.second][: len(cotangents)]

    def _probe_together(self, prober: Prober, kinks: Kinks, hearing: Hearing, cotangents: Array) -> None:
        """Kinks between blocks: each claim may be a subgradient by itself and their sum none (max(x, y) served twice at a tie)."""
        positions, directions = kinks.together()
        for direction in directions:
            prober.forget(positions)
            claims = [np.concatenate(answer) for answer in self._answers(hearing, cotangents)]
            sweep = prober.sweep(positions, direction, cotangents, claims, None, rungs=8)
            if sweep.kinked is not None and sweep.kinked.any():
                smooth = cotangents * ~sweep.kinked
                if not smooth.any():
                    continue
                claims = [np.concatenate(ask(hearing, row)) for row in smooth]
                prober.forget(positions)
                sweep = prober.sweep(positions, direction, smooth, claims, None, rungs=8)
            for k, reading in enumerate(sweep.readings()):
                if reading.persists:
                    claimed = float(sweep.claimed[k])
                    label = kinks.found[0]
                    words = " and ".join(place(name) for name in kinks.found[:3])
                    message = f"backward of {words} together is wrong where they are tied"
                    evidence = ("each claim lies between its one-sided slopes, but moving the tied entries together shows another slope",)
                    self.findings.append(
                        Finding(
                            Kind.BRANCH, message, label, claimed=claimed, numeric=claimed + reading.value,
                            bound=reading.error, kinds=(Kind.BRANCH,), evidence=evidence,
                        )
                    )  # fmt: skip
                    return

    def _probe_quiet_outputs(self, prober: Prober, kinks: Kinks, hearing: Hearing, b: int, outcome: "_Outcome") -> None:
        """A third cotangent that lifts outputs which answer far less than others, so that none hides behind them."""
        response = outcome.response
        if response is None or response.size < 2 or response.size > 100_000:
            return
        loudest = float(response.max())
        if not loudest or loudest < 100 * float(response[response > 0].min()):
            return
        weights = 1 / np.maximum(response, 1e-10 * loudest)
        lifted = self.rng.choice([-1.0, 1.0], response.size) * weights / weights.max()
        lifted[response == 0] = 0.0
        dtype = np.result_type(*(m.dtype for m in self.bench.models if differentiable(m)))
        lifted = lifted.astype(np.float32 if dtype.itemsize < 8 else np.float64).astype(float)
        try:
            claim = ask(hearing, lifted)[b]
        except BackwardError as error:
            self._refuse(error)
            return
        if not np.all(np.isfinite(claim)):
            return
        position = self.bench.blocks[b]
        unit = prober.unit(position)
        direction = np.where(claim < 0, -1.0, 1.0) * unit * self.rng.integers(32, 97, unit.size) / 64
        rows = lifted[None, :]
        sweep = prober.sweep(position, direction, rows, [claim], None)
        if sweep.steps and not (sweep.kinked is not None and sweep.kinked.any()):
            for reading in sweep.readings():
                if reading.persists:
                    found = locate(prober, hearing, b, sweep, 0, lifted, claim)
                    if found is not None:
                        self.findings.append(diagnose(prober, hearing, b, sweep, 0, lifted, claim, found))
                        outcome.failed = True
                        return

    def _judge_nonfinite(self, prober: Prober, hearing: Hearing, b: int, claim: Array, outcome: "_Outcome") -> None:
        """NaN or inf where the derivative is finite is a fault; where the slopes diverge there is nothing to compare."""
        position = self.bench.blocks[b]
        bad = np.flatnonzero(~np.isfinite(claim))
        for j in bad[:3]:
            direction = np.zeros(claim.size)
            direction[j] = prober.unit(position)[j]
            sweep = prober.sweep(position, direction, hearing.cotangent[None, :], [np.zeros(claim.size)])
            if not sweep.steps or sweep.edge:
                continue
            slopes = np.array([abs(float(right[0])) + abs(float(left[0])) for right, left in sweep.sides])
            small, large = slopes[int(np.argmin(sweep.steps))], slopes[int(np.argmax(sweep.steps))]
            if np.all(np.isfinite(slopes)) and small <= 3 * large + 1e-300:
                entry = int(j) // (2 if self.bench.primals[position].dtype.kind == "c" else 1)
                shape = self.bench.primals[position].shape
                index = tuple(int(i) for i in np.unravel_index(entry, shape)) if shape else ()
                message = f"backward of {place(outcome.label, index)} is {claim[j]} where f has a finite slope"
                self.findings.append(Finding(Kind.NONFINITE, message, outcome.label, index, evidence=(
                    f"{bad.size} of {claim.size} entries not finite",)))
                outcome.failed = True
                return
        outcome.reason = f"backward of {place(outcome.label)} is not finite, nor does f have a finite slope there"

    # -- the verdict --------------------------------------------------------------------------------------------

    def _conclude(self, outcomes: list["_Outcome"]) -> None:
        """A resolution for each block; a bound too wide to tell becomes a reason."""
        loudest = max((o.scale for o in outcomes), default=0.0)
        for outcome in outcomes:
            if outcome.failed:
                continue
            if outcome.reason:
                self.reasons.append(outcome.reason)
                continue
            resolution = outcome.resolution(loudest)
            self.resolutions[outcome.label] = resolution
            if not resolution <= max(USABLE, 64 * outcome.eps):
                self.reasons.append(
                    f"{place(outcome.label)}: the bound {outcome.bound:.1e} is too wide for a slope of {outcome.scale:.1e}; "
                    f"a wider dtype or other inputs would tell"
                )

    def report(self) -> Report:
        """The Report of what was found."""
        bench = self.bench
        findings = tuple(sorted(self.findings, key=_rank))
        if findings:
            verdict = Verdict.FAIL
        elif self.reasons or not self.finished:
            verdict = Verdict.INCONCLUSIVE
        else:
            verdict = Verdict.PASS
        return Report(
            verdict,
            bench.target.name,
            findings,
            max(self.resolutions.values(), default=0.0 if verdict is Verdict.PASS else math.nan),
            bench.evaluations,
            bench.pullbacks,
            tuple(self.kinks),
            tuple(self.reasons),
            " ".join(sorted({str(bench.primals[i].dtype) for i in bench.blocks})),
            self.seed,
            resolutions=dict(self.resolutions),
        )


class _Outcome:
    """What the sweeps of one block add up to."""

    def __init__(self, label: str | int, eps: float) -> None:
        self.label = label
        self.failed = False
        self.reason = ""
        self.best: tuple[float, float, float] | None = None  # relative bound, bound, scale
        self.doubtful: tuple[float, float, float] | None = None
        self.rounding = 0.0
        self.eps = eps
        self.moved = False
        self.response: Array | None = None

    def take(self, sweep: Sweep) -> None:
        """Add a sweep. The clearest of its cotangents speaks for it, unless one disagrees without being able to persist."""
        clean: list[tuple[float, float, float]] = []
        doubtful: list[tuple[float, float, float]] = []
        for k, reading in enumerate(sweep.readings()):
            seen = float(sweep.weight[k])
            if not all(sweep.dead):
                seen = max(seen, abs(float(sweep.claimed[k]) + reading.value))
            bound = reading.error if reading.is_zero else abs(reading.value) + reading.error
            row = (bound / seen if seen else math.inf, bound, seen)
            (clean if reading.is_zero else doubtful).append(row)
            self.rounding = max(self.rounding, float(sweep.claim_noise[k]))
        self.moved |= not all(sweep.dead)
        self.eps = max(self.eps, sweep.eps)
        if sweep.response is not None and self.response is None:
            self.response = sweep.response
        if doubtful:
            self.doubtful = max([*doubtful, *([self.doubtful] if self.doubtful else [])])
        elif self.best is None or min(clean) < self.best:
            self.best = min(clean)

    @property
    def judged(self) -> tuple[float, float, float]:
        """Relative bound, bound and scale that count."""
        return self.doubtful or self.best or (math.inf, math.inf, 0.0)

    @property
    def scale(self) -> float:
        """The size of slope that was seen."""
        return self.judged[2]

    @property
    def bound(self) -> float:
        """The slope that could have gone unseen."""
        return self.judged[1]

    def resolution(self, loudest: float) -> float:
        """The smallest relative error that would have been seen.

        A gradient that is zero as far as can be seen (a bias before batch norm, a dead unit) is measured against the block that
        answers most: its own scale is rounding.
        """
        relative, bound, scale = self.judged
        if relative <= max(USABLE, 64 * self.eps):
            return relative
        if not self.moved and not scale:
            return 0.0  # f does not change at all, and the claim is exactly zero
        if scale <= max(20 * self.rounding, 2 * bound) and loudest > 0 and bound <= 1e-6 * loudest:
            return bound / loudest
        return relative


def _rank(finding: Finding) -> tuple[int, float]:
    """Broken laws first, in the order of what explains most; then the numeric findings, worst first."""
    order = [
        Kind.RAISES, Kind.SHAPE, Kind.NONDETERMINISTIC, Kind.ACCUMULATES, Kind.STALE, Kind.IGNORES_COTANGENT, Kind.MUTATES,
        Kind.ALIASES, Kind.DTYPE, Kind.NONFINITE,
    ]  # fmt: skip
    if finding.claimed is None:
        return (order.index(finding.kind) if finding.kind in order else len(order), 0.0)
    return (len(order) + 1, -finding.severity)


def _nudged(primal: Array, face: float) -> Array:
    """Every entry moved by one ulp (of the precision `face`, where that is coarser), up or down by its own last bits.

    Equal entries stay equal and zeros stay zero, so that no tie is broken and no kink crossed that the values sit on.
    """
    flat = as_real(primal)
    size = flat.dtype.itemsize
    up = np.ones(flat.shape, bool)
    if size in (2, 4, 8):
        bits = flat.view(f"u{size}")
        up = ((bits ^ (bits >> 1) ^ (bits >> 3)) & 1).astype(bool)
    eps = max(face, float(np.finfo(flat.dtype).eps))
    return like(flat * np.where(up, 1 + eps, 1 - eps).astype(flat.dtype), primal)


def _alike(a: Array, b: Array, bench: Bench) -> bool:
    """Equal, or within what a threaded sum may differ by from run to run."""
    if np.array_equal(a, b, equal_nan=True):
        return True
    eps = max((float(np.finfo(m.dtype).eps) for m in bench.models if differentiable(m)), default=2e-16)
    return bool(np.all(np.abs(a - b) <= 1000 * eps * float(np.max(np.abs(a), initial=0.0))))

