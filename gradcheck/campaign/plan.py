"""The plan of a campaign: its cells, made one after the other, so that ten million of them take no memory."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gradcheck.campaign.cell import Cell
from gradcheck.campaign.guard import Guard, LostError, RefusedError

EXAMPLES = 100
"""Of a cell: some tenths of a second to a few seconds of work, which is what a crash or a Ctrl-C can cost."""


@dataclass(frozen=True)
class Plan:
    """So many draws of every (target, dtype, block); of the whole, one shard.

    >>> whole = Plan((("layers:dense", "float64", "x: n,k"),), examples=100, draws=10)
    >>> parts = [Plan(whole.groups, 100, 10, shard=(i, 3)) for i in (1, 2, 3)]
    >>> len(whole), [len(part) for part in parts]
    (10, [2, 5, 3])
    """

    groups: tuple[tuple[str, str, str], ...]
    examples: int
    draws: int
    shard: tuple[int, int] = (1, 1)

    def __iter__(self) -> Iterator[Cell]:
        """All groups once before any of them twice: a campaign that is stopped early has seen each."""
        part, parts = self.shard
        for number in range(self.draws):
            for target, dtype, block in self.groups:
                cell = Cell(target, dtype, block, self.examples, number)
                if parts == 1 or cell.shard(parts) == part:
                    yield cell

    def __contains__(self, cell: Cell) -> bool:
        mine = cell.group in self._known and cell.examples == self.examples and 0 <= cell.number < self.draws
        return mine and cell.shard(self.shard[1]) == self.shard[0]

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _known(self) -> frozenset[tuple[str, str, str]]:
        return frozenset(self.groups)

    @cached_property
    def _length(self) -> int:
        return len(self.groups) * self.draws if self.shard[1] == 1 else sum(1 for _ in self)


def plan(
    targets: Sequence[str] = (),
    *,
    dtypes: Sequence[str] = (),
    blocks: Sequence[str] = (),
    budget: int = 10 * EXAMPLES,
    examples: int = EXAMPLES,
    shard: tuple[int, int] = (1, 1),
    home: str | Path = "",
) -> Plan:
    """The plan to judge these targets.

    targets: "module:attr", where attr may hold several; by default the reference. dtypes, blocks: by default those of
    each target, see `gradcheck.campaign.blocks`. budget: examples to draw of every target, dtype and block, in cells
    of so many `examples`. shard: (i, n), the i-th of n parts, counted from 1. home: where modules are looked for too.
    Raises TargetError or ValueError for what cannot be used.

    >>> plan(["gradcheck.suite.dense:dense"], dtypes=["float64 float32"], budget=250)
    Plan(groups=(('gradcheck.suite.dense:dense', 'float64', 'x: n,k; w: k,m; b: m'), \
('gradcheck.suite.dense:dense', 'float32', 'x: n,k; w: k,m; b: m')), examples=100, draws=3, shard=(1, 1))
    """
    from gradcheck.campaign.blocks import dtypes_of
    from gradcheck.campaign.reference import REFERENCE
    from gradcheck.suite.targets import resolve

    for name, number in (("budget", budget), ("examples", examples)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number!r}")
    if not 1 <= shard[0] <= shard[1]:
        raise ValueError(f"shard must be (i, n) with i from 1 to n, got {shard!r}")
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))
    layers = dict(pair for spec in targets or [REFERENCE] for pair in resolve(spec))
    with closing(Guard()) as guard:
        groups = tuple(
            (target, dtype, block)
            for target, layer in layers.items()
            for dtype in dtypes_of(layer, dtypes)
            for block in dict.fromkeys(_blocks_of(target, layer, blocks, guard))
        )
    for target, dtype, block in groups:
        _refuse_undrawable(target, layers[target], dtype, block)
    examples = min(examples, budget)
    return Plan(groups, examples, -(-budget // examples), shard)


def _refuse_undrawable(target: str, layer: Any, dtype: str, block: str) -> None:
    """Raise ValueError where a block says so of a dtype. What it raises else, its cells will tell."""
    from gradcheck.campaign.blocks import inputs_of

    try:
        inputs_of(layer, block, dtype)
    except ValueError as error:
        raise ValueError(f"{target} [{block}] cannot be drawn in {dtype}: {error}") from None
    except Exception:
        return


def _blocks_of(target: str, layer: Any, asked: Sequence[str], guard: Guard) -> list[str]:
    """The blocks of a layer: of its own those asked for, or all; else the shapes asked for, or those found by trying.

    What calls the layer is done in the process of `guard`. Shapes at which that dies are kept: its cells will tell.
    Raises TargetError for a block that the layer does not have, and shapes that its forward does not take.
    """
    from gradcheck.campaign.blocks import written
    from gradcheck.suite.targets import TargetError, read_shapes

    own = getattr(layer, "gradcheck_blocks", None)
    if own is not None:
        if unknown := [block for block in asked if block not in own]:
            raise TargetError(f"{target}: {unknown[0]!r} is none of its blocks, which are {', '.join(own)}")
        return list(asked or own)
    declared = getattr(layer, "gradcheck_shapes", None)
    if not asked and declared is not None:
        asked = [declared if isinstance(declared, str) else written(declared)]
    chosen = []
    for block in asked or [""]:
        try:
            chosen.append(guard.shapes_of(target, block))
        except RefusedError as error:
            raise TargetError(str(error).removeprefix("TargetError: ")) from error
        except LostError as error:
            if not block:
                remedy = 'say which, as in --block "x: n,k; w: k,m"'
                raise TargetError(f"{target}: while shapes were tried, {error}; {remedy}") from error
            chosen.append(written(read_shapes(block)))
    return chosen
