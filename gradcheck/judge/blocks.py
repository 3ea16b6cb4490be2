"""Blocks: probe every input and parameter by itself, so that a small one cannot hide behind a large one.

Along the claimed gradient first, where an error of scale shows best, then at random; kinks by their one-sided slopes;
quiet outputs with a cotangent that lifts them.
"""

import numpy as np

from gradcheck.floats import differentiable, eps_of, is_half, limits, promoted
from gradcheck.judge.doubts import Doubts
from gradcheck.judge.hearing import Hearing, ask
from gradcheck.judge.kinks import Kinks, bad_subgradient
from gradcheck.judge.outcome import Outcome
from gradcheck.judge.probe import Prober
from gradcheck.judge.reals import Array
from gradcheck.judge.sweep import Sweep
from gradcheck.judge.wobble import wobble_of
from gradcheck.report import Finding, Kind, place


class Blocks:
    """The numeric part of a trial: sweeps of every block for the same cotangents, and what they find."""

    def __init__(self, prober: Prober, hearing: Hearing, cotangents: Array, rng: "np.random.Generator") -> None:
        self.bench = hearing.bench
        self.prober = prober
        self.hearing = hearing
        self.cotangents = cotangents
        self.rng = rng
        self.kinks = Kinks(prober, hearing, rng)
        self.doubts = Doubts(prober, hearing, self.kinks, rng)
        self.findings: list[Finding] = []
        self._face = 0.0  # eps of a lower precision found behind the dtype
        moving = [self.bench.primals[position] for position in self.bench.blocks]
        self.coarse = not self.bench.twin and any(is_half(array.dtype) for array in (*moving, *self.bench.models))

    def probe(self) -> list[Outcome]:
        """One outcome a block; `findings` fills up. Raises BudgetError."""
        outcomes = [
            self._told(b, len(self.findings), self._probe_block(b))
            for b, position in enumerate(self.bench.blocks)
            if self.bench.primals[position].size and self.prober.origin.size
        ]
        if len(self.kinks.found) > 1 and not self.findings and not self.coarse:
            self._probe_together()
        return outcomes

    def _told(self, b: int, before: int, outcome: Outcome) -> Outcome:
        """The outcome of a block. Steps of half precision blame nobody: they jump over kinks that noise hides."""
        if outcome.failed and self.coarse:
            del self.findings[before:]
            outcome.failed = False
            outcome.reason = (
                f"{place(outcome.label)}: backward disagrees with differences in half precision, which are too coarse "
                f"to blame it, and forward is another function in float64; judge it in float32"
            )
        return outcome

    # -- one block ----------------------------------------------------------------------------------------------

    def _probe_block(self, b: int) -> Outcome:
        position = self.bench.blocks[b]
        outcome = Outcome(self.bench.target.label(position), max(eps_of(self.bench.primals[position]), self.bench.twin))
        claims = self._claims(b)
        if not all(np.all(np.isfinite(c)) for c in claims):
            self._judge_nonfinite(b, claims[0], outcome)
            return outcome
        size = claims[0].size
        for turn in range(1 if size == 1 else 2):
            signs = self._signs(size) if turn else np.where(claims[0] == 0, self._signs(size), np.sign(claims[0]))
            sweep = self._sweep(b, signs * self.prober.lengths(position, self.rng), claims)
            if not sweep.steps:
                outcome.reason = f"forward is not defined, or far too fast, around {place(outcome.label)}; move it"
                return outcome
            if sweep.has_kinks:
                self._probe_kinked(b, sweep, outcome)
                return outcome
            if self._read(b, sweep, self.cotangents, claims, outcome):
                return outcome
            if outcome.forgiven:
                self._probe_kinked(b, sweep, outcome)  # the moves that keep ties are told strictly
                return outcome
        self._probe_quiet_outputs(b, outcome)
        return outcome

    def _sweep(self, b: int, direction: Array, claims: list[Array]) -> Sweep:
        """A sweep, repeated where it showed that its terms were wrong: a coarser precision inside, a kink that noise
        hid.
        """
        position = self.bench.blocks[b]
        sweep = self.prober.sweep(position, direction, self.cotangents, claims, self._wobble(b))
        if self.prober.face > self._face:  # backward rounds as coarsely as forward was found to
            self._face = self.prober.face
            self.hearing.wobble = wobble_of(self.hearing, self.hearing.cotangent, self.hearing.gradients, self._face)
            sweep = self.prober.sweep(position, direction, self.cotangents, claims, self._wobble(b))
        guilty = [k for k, reading in enumerate(sweep.readings()) if reading.persists]
        self.kinks.start = None if sweep.has_kinks else next((t for k in guilty if (t := sweep.bend(k))), None)
        unlooked = sweep.kinked is None or self.kinks.start or sweep.lean
        if (guilty and unlooked and not sweep.has_kinks) or (sweep.lean and sweep.has_kinks):
            return self.kinks.probe(
                b, direction, self.cotangents, claims
            )  # before blaming, look for a kink this way too
        return sweep

    def _read(self, b: int, sweep: Sweep, cotangents: Array, claims: list[Array], outcome: Outcome) -> bool:
        """Take in one sweep; True when the block needs no other, because it fails."""
        outcome.take(sweep)
        for k, reading in enumerate(sweep.readings()):
            if not reading.persists or self.doubts.settle(b, sweep, k, cotangents, claims, outcome):
                continue
            # only a failure needs these: a third of what the judge's import takes
            from gradcheck.judge.diagnose import diagnose
            from gradcheck.judge.locate import locate

            found = locate(self.prober, self.hearing, b, sweep, k, cotangents[k], claims[k])
            if found is None:  # nothing was left of it entry by entry
                outcome.reason = f"{place(outcome.label)}: a disagreement that no entry confirms; try another seed"
                continue
            self.findings.append(diagnose(self.prober, self.hearing, b, sweep, k, cotangents[k], claims[k], found))
            outcome.failed = True
            return True
        return False

    def _judge_nonfinite(self, b: int, claim: Array, outcome: Outcome) -> None:
        """NaN or inf where the derivative is finite is a fault; where slopes diverge there is nothing to compare."""
        position = self.bench.blocks[b]
        primal = self.bench.primals[position]
        bad = np.flatnonzero(~np.isfinite(claim))
        if not np.all(np.isfinite(self.prober.origin)):  # 0 · inf: the cotangent of an infinite output was left out
            outcome.reason = f"forward is not finite everywhere, and backward of {place(outcome.label)} neither"
            return
        for j in bad[:3]:
            direction = np.zeros(claim.size)
            direction[j] = self.prober.unit(position)[j]
            nothing = [np.zeros(claim.size)]
            sweep = self.prober.sweep(position, direction, self.hearing.cotangent[None, :], nothing)
            if not sweep.steps or sweep.edge:
                continue
            order = np.argsort(sweep.steps)
            slopes = np.array([abs(float(right[0])) + abs(float(left[0])) for right, left in sweep.sides])[order]
            if float(np.max(slopes)) > 2 * float(limits(primal.dtype).max) * direction[j]:
                continue  # no number of this dtype is right
            # log t grows by 5 % a halving; what shrinks is on its way to a finite slope, or to none: an extremum
            settled = len(slopes) > 1 and slopes[0] <= 1.02 * slopes[1]
            if np.all(np.isfinite(slopes)) and (settled or not slopes.any()):
                entry = int(j) // (2 if primal.dtype.kind == "c" else 1)
                index = tuple(int(i) for i in np.unravel_index(entry, primal.shape)) if primal.shape else ()
                message = f"backward of {place(outcome.label, index)} is {claim[j]} where f has a finite slope"
                evidence = (f"{bad.size} of {claim.size} entries are not finite",)
                self.findings.append(Finding(Kind.NONFINITE, message, outcome.label, index, evidence=evidence))
                outcome.failed = True
                return
        outcome.reason = f"backward of {place(outcome.label)} is not finite, nor does f have a finite slope there"

    # -- kinks --------------------------------------------------------------------------------------------------

    def _probe_kinked(self, b: int, sweep: Sweep, outcome: Outcome) -> None:
        """Kinked outputs by their one-sided slopes, the others strictly; then along what keeps ties and zeros as they
        are.
        """
        for words, direction in [("", sweep.direction), *self.kinks.special_directions(b)]:
            cotangents, claims = self.cotangents, self._claims(b)
            if words:
                sweep = self.kinks.probe(b, direction, cotangents, claims)
            if not sweep.steps:
                continue
            if sweep.has_kinks:
                self.kinks.note(b, sweep)
                cotangents = self.cotangents * ~np.asarray(sweep.kinked)
                output = self.kinks.violates(b, sweep)
                if cotangents.any():
                    claims = [ask(self.hearing, row)[b] for row in cotangents]
                    smooth = self.kinks.probe(b, direction, cotangents, claims)
                    if smooth.steps and self._read(b, smooth, cotangents, claims, outcome):
                        return
                narrowed = None if output is None else self.kinks.narrow(b, direction, output)
                if narrowed is not None and output is not None:
                    self.findings.append(bad_subgradient(self.kinks, b, narrowed[1], narrowed[0], output))
                    outcome.failed = True
                    return
            elif self._read(b, sweep, cotangents, claims, outcome):
                if words:
                    self.findings[-1] = self.kinks.blame_ties(b, self.findings[-1], words)
                return

    def _probe_together(self) -> None:
        """Kinks between blocks: each claim may be a subgradient by itself and their sum none (max(x, y) served twice
        at a tie).
        """
        # a block without kinks of its own takes no part, and its slope would drown those of small weights
        kinked = tuple(b for b in range(len(self.bench.blocks)) if self.hearing.name(b) in self.kinks.found)
        for direction in self.kinks.together(kinked):
            sweep = self._swept_together(kinked, direction)
            k = next((k for k, reading in enumerate(sweep.readings()) if reading.persists), None)
            if k is None or self.doubts.claims_a_limit(kinked, sweep, k, sweep.line.cotangents):
                continue
            words = " and ".join(place(name) for name in self.kinks.found[:3])
            claimed = float(sweep.claimed[k])
            self.findings.append(
                Finding(
                    Kind.BRANCH,
                    f"backward of {words} together is wrong where they are tied",
                    self.kinks.found[0],
                    claimed=claimed,
                    numeric=claimed + sweep.readings()[k].value,
                    bound=sweep.readings()[k].error,
                    kinds=(Kind.BRANCH,),
                    evidence=(
                        "each claim is a subgradient by itself, but tied entries moved together show another slope",
                    ),
                )
            )
            return

    def _swept_together(self, blocks: tuple[int, ...], direction: Array) -> Sweep:
        """A sweep of several blocks for the outputs that have no kink this way, not even one that noise hides further
        down.
        """
        cotangents, self.kinks.start = self.cotangents, None
        while True:
            answers = [ask(self.hearing, row) for row in cotangents]
            claims = [np.concatenate([answer[b] for b in blocks]) for answer in answers]
            sweep = self.kinks.probe(blocks, direction, cotangents, claims)
            hidden = (t for k, reading in enumerate(sweep.readings()) if reading.persists and (t := sweep.bend(k)))
            if sweep.kinked is not None and (sweep.kinked & cotangents.any(axis=0)).any():
                cotangents = cotangents * ~sweep.kinked
            elif self.kinks.start is None and (start := next(hidden, None)):
                self.kinks.start = start
            else:
                return sweep

    # -- outputs that answer far less than others ----------------------------------------------------------------

    def _probe_quiet_outputs(self, b: int, outcome: Outcome) -> None:
        """A third cotangent that lifts outputs which answer far less than others, so that none hides behind them."""
        response = outcome.response
        if response is None or response.size < 2 or response.size != self.prober.origin.size or self.bench.twin:
            return  # nothing to hide behind, very many, or a half precision that could not hold the lift
        response = np.where(np.isfinite(response), response, 0.0)  # an output of −inf answers nothing
        loudest = float(response.max())
        if not loudest or loudest < 100 * float(response[response > 0].min()):
            return
        weights = 1 / np.maximum(response, 1e-10 * loudest)
        lifted = np.where(response == 0, 0.0, self._signs(response.size) * weights / weights.max())
        dtype = promoted(*(m.dtype for m in self.bench.models if differentiable(m)))
        lifted = lifted.astype(np.float32 if dtype.itemsize < 8 else np.float64).astype(float)
        claims = [ask(self.hearing, lifted)[b]]
        if not np.all(np.isfinite(claims[0])):
            return
        direction = np.where(claims[0] < 0, -1.0, 1.0) * self.prober.lengths(self.bench.blocks[b], self.rng)
        sweep = self.prober.sweep(self.bench.blocks[b], direction, lifted[None, :], claims)
        if not sweep.has_kinks and any(reading.persists for reading in sweep.readings()):
            self._read(b, sweep, lifted[None, :], claims, outcome)

    # -- what all of them use -----------------------------------------------------------------------------------

    def _claims(self, b: int) -> list[Array]:
        answers = [self.hearing.gradients, self.hearing.second][: len(self.cotangents)]
        return [answer[b] for answer in answers]

    def _wobble(self, b: int) -> Array | None:
        return self.hearing.wobble[b] if self.hearing.wobble else None

    def _signs(self, size: int) -> Array:
        return self.rng.choice([-1.0, 1.0], size)
