"""The vocabulary of a verdict: Verdict, Kind, Finding, Report, and the two exceptions that carry a report.

Nothing here computes: `gradcheck.check` fills these in, and the terminal, pytest and CI read them. The names are a
contract.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


class Verdict(enum.Enum):
    """What a check says. INCONCLUSIVE is never a pass: the bound was too wide to tell, and the report says why.

    >>> Verdict.PASS.value
    'pass'
    """

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Kind(enum.Enum):
    """What a mistake looks like. A diagnosis is evidence, not proof; the value is the phrase used in messages.

    >>> Kind.TRANSPOSED.value
    'transposed'
    """

    SIGN = "wrong sign"
    FACTOR = "off by a factor"
    TRANSPOSED = "transposed"
    PERMUTED = "values in the wrong places"
    ZERO = "zero where it should not be"
    NOT_SUMMED = "not summed over an axis"
    WRONG_AXIS = "taken along the wrong axis"
    MISSING_TERM = "a term is missing or left over"
    DIAGONAL_ONLY = "coupling between entries dropped"
    IGNORES_COTANGENT = "does not depend on the cotangent"
    NONLINEAR = "not linear in the cotangent"
    STALE = "left behind by another call"
    ACCUMULATES = "grows from call to call"
    MUTATES = "changes its arguments"
    ALIASES = "returned gradients share memory"
    NONDETERMINISTIC = "differs from call to call"
    SHAPE = "wrong shape"
    DTYPE = "wrong dtype"
    NONFINITE = "not finite where the derivative is"
    BRANCH = "wrong on one side of a condition"
    BATCH = "right for a batch of one only"
    REPEATED_INDEX = "wrong where an index repeats"
    LOW_PRECISION = "rounded to a lower precision"
    APPROXIMATION = "close everywhere, exact nowhere"
    RAISES = "raises an error of its own"
    OTHER = "in no pattern known here"

    @property
    def wrong(self) -> str:
        """What a gradient with this mistake is, as a sentence goes on.

        >>> Kind.TRANSPOSED.wrong, Kind.BRANCH.wrong
        ('wrong: transposed', 'wrong on one side of a condition')
        """
        return self.value if self.value.startswith("wrong ") else f"wrong: {self.value}"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with its evidence.

    `input` is the name of the input or parameter, or its position where it has no name, or None for the whole target;
    `index` is the worst entry of it, `output` the entry of the output whose derivative is quoted, both None where the
    fault has no place. `claimed` is what backward returned there, `numeric` the finite difference and `bound` the
    largest |claimed − numeric| that rounding and truncation could explain. `kinds` ranks every diagnosis that fits,
    best first.
    """

    kind: Kind
    message: str
    input: str | int | None = None
    index: tuple[int, ...] | None = None
    output: tuple[int, ...] | None = None
    claimed: float | complex | None = None
    numeric: float | complex | None = None
    bound: float | None = None
    kinds: tuple[Kind, ...] = ()
    evidence: tuple[str, ...] = ()
    sweep: tuple[tuple[float, float, float], ...] = ()  # (step, residual slope, noise bar), small steps first

    @property
    def severity(self) -> float:
        """How many bounds the claim is away from the numeric value; infinite for a broken law."""
        if self.claimed is None or self.numeric is None or not self.bound:
            return float("inf")
        return abs(self.claimed - self.numeric) / self.bound


@dataclass(frozen=True)
class Block:
    """What was seen of one input or parameter, right or wrong: a row of the table in a report.

    Where it is wrong, `index` is the worst entry and the numbers are those of its finding. Else the numbers are slopes
    along the direction that was probed, and `index` is None. `claimed` and `numeric` are None where neither was read.
    """

    input: str | int
    shape: tuple[int, ...]
    dtype: str
    verdict: Verdict
    index: tuple[int, ...] | None = None
    claimed: float | complex | None = None
    numeric: float | complex | None = None
    bound: float | None = None

    @property
    def error(self) -> float | None:
        """|claimed − numeric|, None where neither was read."""
        return None if self.claimed is None or self.numeric is None else abs(self.claimed - self.numeric)

    @property
    def margin(self) -> float | None:
        """How many of its bounds the error is: below 1 it is explained. None where there is nothing to say it by."""
        return None if self.error is None or not self.bound else self.error / self.bound


def nearest(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Of every input in every dtype the block that came nearest to its bound, or went furthest beyond it."""
    worst: dict[tuple[str | int, str], Block] = {}
    for row in blocks:
        known = worst.setdefault((row.input, row.dtype), row)
        if (row.margin or 0.0) > (known.margin or 0.0):
            worst[row.input, row.dtype] = row
    return tuple(worst.values())


@dataclass(frozen=True)
class Report:
    """The outcome of `check` or `search`: a verdict, what is wrong (worst first), and how sure that is.

    `resolution` is the smallest relative error that could have been seen, the worst over inputs and parameters: a
    PASS with resolution 1e-9 says that a block wrong by more than one part in 10⁹ would have failed. `evaluations`
    and `pullbacks` count calls of the target. `kinks` names the kinks at the point whose subgradients were accepted;
    `reasons` say why nothing could be told, `notes` which convention was recognised. `blocks` has a row for every
    input and parameter that was judged, in their order; of a search that passes, the one nearest to its bound.
    `dtype`: of the inputs, "float32 float64" where they differ, "float32, float64" of a search that drew both.
    """

    verdict: Verdict
    target: str
    findings: tuple[Finding, ...] = ()
    resolution: float = float("nan")
    evaluations: int = 0
    pullbacks: int = 0
    kinks: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    dtype: str = ""
    seed: int | None = None
    case: object | None = None
    examples: int = 1
    inconclusive: int = 0
    resolutions: dict[str | int, float] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()

    def __bool__(self) -> bool:
        """True for a PASS only, so that `assert check(...)` is not fooled by an INCONCLUSIVE."""
        return self.verdict is Verdict.PASS

    def __str__(self) -> str:
        from gradcheck.render.block import block  # upwards, by design: the text of a report is not its vocabulary

        return block(self)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """One dtype, or one mixture of them, for each kind of example that was judged."""
        return tuple(self.dtype.split(", "))

    @property
    def margin(self) -> float:
        """error/bound of its worst block or finding: infinite for a broken law, nan where nothing was measured."""
        seen = [finding.severity for finding in self.findings]
        return max([*seen, *(row.margin for row in self.blocks if row.margin is not None)], default=float("nan"))

    def headline(self) -> str:
        """One sentence, under 90 characters: pytest's short summary, the JUnit message."""
        if self.verdict is Verdict.FAIL:
            sentence = self.findings[0].message
        elif self.verdict is Verdict.PASS:
            sentence = f"backward agrees with the finite differences to {self.resolution:.1e}"
        else:
            sentence = f"inconclusive: {self.reasons[0] if self.reasons else 'nothing could be judged'}"
        sentence = " ".join(sentence.split())
        rest = sentence.removeprefix(self.target)
        named = not self.target or (rest != sentence and not rest[:1].isalnum())  # "backward of …" names no layer b
        whole = sentence if named else f"{self.target}: {sentence}"
        if len(whole) < 90:
            return whole
        clause = whole[:90].rpartition("; ")[0]  # a reason without its remedy, which the lines below repeat
        return clause or f"{whole[:88].rpartition(' ')[0].rstrip(' :,;.(')} …"


def place(name: str | int | None, index: Sequence[int] | None = None) -> str:
    """Spell an input, or an entry of it, as a person would.

    >>> place("W", (2, 1)), place(0, None), place(None)
    ('W[2, 1]', 'input 0', 'the target')
    """
    if name is None:
        return "the target"
    label = name if isinstance(name, str) else f"input {name}"
    return f"{label}[{', '.join(map(str, index))}]" if index else label


class _ReportedError(Exception):
    """Carries a report, whose text is drawn when somebody reads it: Hypothesis raises hundreds that nobody does."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        return str(self.args[0])


class GradientMismatch(_ReportedError, AssertionError):  # noqa: N818 - a contract name; it reads as what happened
    """Raised by `assert_gradients` for a FAIL; `.report` is the whole story."""

    __module__ = "gradcheck"  # where users import it from, and shorter in pytest's one-line summary


class InconclusiveError(_ReportedError):
    """Raised by `assert_gradients(..., strict=True)` when the verdict is INCONCLUSIVE; `.report` says why."""

    __module__ = "gradcheck"
