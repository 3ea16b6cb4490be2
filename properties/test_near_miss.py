"""The tester is tested: rules that are wrong by 0.1 % are planted in the table, and the comparison must see them."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from gradcheck.backprop import ops
from properties.differences import call_graph, mismatches, random_like

SMOOTH = [
    (name, position)
    for name, row in ops.TABLE.items()
    for position in range(row.arity or 2)
    if position not in row.frozen
]


def caught(name: str) -> bool:
    """Whether the comparison of test_ops.py objects to the present rule of ``name`` on one of its examples."""
    row = ops.TABLE[name]
    for example in row.examples:
        rng = np.random.default_rng(11)
        graph, arrays = call_graph(name, example, ops.draw(row, example, rng))
        if mismatches(graph, arrays, random_like(rng, graph.output.shape)):
            return True
    return False


def plant(monkeypatch: pytest.MonkeyPatch, name: str, position: int, fault: Any) -> None:
    """Replace the row of ``name`` by one whose cotangent for one parent goes through ``fault``."""
    row = ops.TABLE[name]

    def vjp(g: Any, y: Any, *parents: Any, **static: Any) -> Any:
        cotangents = list(row.vjp(g, y, *parents, **static))
        if position < len(cotangents):
            cotangents[position] = fault(cotangents[position])
        return tuple(cotangents)

    monkeypatch.setitem(ops.TABLE, name, dataclasses.replace(row, vjp=vjp))


@pytest.mark.parametrize(("name", "position"), SMOOTH)
def test_a_gradient_wrong_by_a_thousandth_is_caught(name: str, position: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every parent of every rule, scaling its cotangent by 1.001 is noticed, and the right rule is not accused."""
    assert not caught(name)
    plant(monkeypatch, name, position, lambda c: np.asarray(c) * 1.001)
    assert caught(name)


@pytest.mark.parametrize(("name", "position"), SMOOTH)
def test_one_wrong_entry_is_caught(name: str, position: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of 0.1 % in the last entry alone, the others right, is noticed as well."""

    def last(c: Any) -> Any:
        wrong = np.array(c, copy=True)
        if wrong.size:
            wrong[(-1,) * wrong.ndim] = wrong[(-1,) * wrong.ndim] * 1.001 + 1e-3
        return wrong

    plant(monkeypatch, name, position, last)
    assert caught(name)
