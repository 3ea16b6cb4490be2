"""A cell: one search of a campaign, which can be run again anywhere, alone, from its name."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from gradcheck.render import records
from gradcheck.render.records import Record
from gradcheck.report import Report, Verdict

if TYPE_CHECKING:
    from gradcheck.judge.closer import Look


@dataclass(frozen=True)
class Cell:
    """A target, as "module:attr" or "module:attr[name]", in a dtype and a block; how many examples, and which draw.

    block: the shapes of the inputs, "x: n,k; w: k,m", or a name among the target's `gradcheck_blocks`.

    >>> cell = Cell("gradcheck.suite.dense:dense", "float64", "x: n,k; w: k,m; b: m", examples=5, number=0)
    >>> cell.name
    'gradcheck.suite.dense:dense float64 [x: n,k; w: k,m; b: m] 5 examples, draw 0'
    >>> cell.seed, cell.judge()["verdict"]
    (226680615825089, 'pass')
    """

    target: str
    dtype: str
    block: str
    examples: int
    number: int

    @cached_property
    def name(self) -> str:
        """All that it takes to judge this cell, in words."""
        return f"{self.target} {self.dtype} [{self.block}] {self.examples} examples, draw {self.number}"

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(self.name.encode()).digest()

    @property
    def group(self) -> tuple[str, str, str]:
        """What it is a draw of: target, dtype and block."""
        return self.target, self.dtype, self.block

    @property
    def seed(self) -> int:
        """Of its draws: 48 bits of the hash of its name, since JSON keeps whole numbers up to 2⁵³ only."""
        return int.from_bytes(self._digest[:6])

    def shard(self, parts: int) -> int:
        """Which of so many parts it belongs to, counted from 1: the same on every machine and in every version."""
        return 1 + int.from_bytes(self._digest[6:14]) % parts

    def judge(self) -> Record:
        """Search, and make a record of what was found, with this cell in it.

        Raises what comes of a target that cannot be imported, made or given inputs.
        """
        from gradcheck.campaign.blocks import inputs_of, layer_of, options_of
        from gradcheck.judge.search import search

        layer = _remembered(layer_of, self.target)
        options = options_of(layer)
        with _draws_by_seed_alone():
            report = search(
                layer,
                inputs_of(layer, self.block, self.dtype),
                max_examples=self.examples,
                seed=self.seed,
                dtypes=self.dtype,
                options=options,
            )
        seen = _look(layer, report)
        made = records.record(report, target_ref=self.target, options=options, look=seen)
        return made | {"cell": asdict(self), "losses": []}

    def lost(self, losses: tuple[str, ...]) -> Record:
        """The record of this cell where no search of it came to an end: INCONCLUSIVE, for these reasons."""
        report = Report(Verdict.INCONCLUSIVE, self.target, reasons=losses, dtype=self.dtype, seed=self.seed, examples=0)
        return records.record(report, target_ref=self.target) | {"cell": asdict(self), "losses": list(losses)}


def _look(layer: Any, report: Report) -> "Look | None":
    """A closer look at the smallest failure, for the plots of a page: some 2 kB, since what was shrunk has few entries.

    None for what is no failure, and where the layer, which is asked once more, does not bear it: the verdict stands.
    """
    from gradcheck.judge.closer import look_again

    if report.verdict is Verdict.FAIL:
        with suppress(Exception):
            return look_again(layer, report)
    return None


_remembered = lru_cache(maxsize=64)(lambda find, target: find(target))


@contextmanager
def _draws_by_seed_alone() -> Iterator[None]:
    """Keep Hypothesis from drawing numbers that it reads in the source of whatever local modules are loaded.

    It has done so since 6.131, and so the same seed draws other examples in a process that has judged another cell
    before. `test_a_cell_draws_the_same_whatever_is_loaded` fails where this private name is no longer the place.
    """
    from hypothesis.internal.conjecture import providers

    place: Any = providers
    found = place._get_local_constants
    nothing = place.Constants()
    place._get_local_constants = lambda: nothing
    place.CONSTANTS_CACHE.cache.clear()
    try:
        yield
    finally:
        place._get_local_constants = found
        place.CONSTANTS_CACHE.cache.clear()
