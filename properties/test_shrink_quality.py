"""What Hypothesis shrinks a failure to is small enough to read: bounds on nodes, slots, sides and distinct values."""

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import Phase, find, settings
from hypothesis.errors import NoSuchExample

from gradcheck.backprop import ops
from gradcheck.strategies import architectures, batches, dense_networks, palette_arrays, shapes_by_letter
from gradcheck.suite.compare import GradientWrongError, compare
from properties.test_strategies import TRIGGERS

SEARCH = settings(max_examples=500, database=None, deadline=None, phases=[Phase.generate, Phase.shrink])


@pytest.mark.parametrize("name", TRIGGERS)
@pytest.mark.parametrize("run", range(3))
def test_arrays_shrink_to_three_distinct_values(name, run):
    """Each classic trigger is reported on an array of at most 3 different values, whatever the seed."""
    found = find(palette_arrays((3, 4)), TRIGGERS[name], random=random.Random(run), settings=SEARCH)
    assert len(np.unique(found)) <= 3


def test_a_large_array_shrinks_as_well_as_a_small_one():
    """Of 1024 entries, a negative one is found and all but one or two values are gone."""
    found = find(palette_arrays((32, 32)), lambda x: bool((x < 0).any()), random=random.Random(0), settings=SEARCH)
    assert len(np.unique(found)) <= 2


def test_shapes_shrink_to_ones_but_for_what_matters():
    """A wide w is reported with every other size 1."""
    drawn = shapes_by_letter(x=("n", "k"), w=("k", "m"))
    found = find(drawn, lambda s: s["w"][1] >= 3, random=random.Random(0), settings=SEARCH)
    assert found == {"x": (1, 1), "w": (1, 3)}


@pytest.mark.parametrize("run", range(12))  # one in four would stop at 1×9 if a long axis could not become a short one
def test_a_mistake_found_on_a_long_axis_is_reported_on_a_short_one(run):
    """What a k of 2 shows, and a k above 8 showed first, ends at 1×2."""
    least = 8

    def fails(shape):
        nonlocal least
        if shape["z"][1] <= least:
            return False
        least = 1
        return True

    assert find(shapes_by_letter(z=("n", "k")), fails, random=random.Random(run), settings=SEARCH) == {"z": (1, 2)}


@pytest.mark.parametrize("name", ["exp", "tanh", "mul", "softplus", "maximum", "relu", "gelu"])
def test_an_architecture_with_an_elementwise_op_shrinks_to_three_nodes(name):
    """The op and its parents, all scalars, are left."""
    found = find(architectures(), lambda a: name in [s.op for s in a.slots], random=random.Random(0), settings=SEARCH)
    assert len(found.slots) == 1
    assert len(found.graph()) <= 3


STRUCTURES = {
    "fan-out": (1, lambda a: any(a.slots[i].parents.count(p) > 1 for i in range(len(a.slots)) for p in range(9))),
    "depth 3": (3, lambda a: depth(a) >= 3),
    "residual": (2, lambda a: any(s.op == "add" and residual(a, s) for s in a.slots)),
    "two sinks": (2, lambda a: len(a.slots) >= 2 and len({p for s in a.slots for p in s.parents}) < len(a.slots) + 1),
}


def depth(architecture):
    """The longest path from an input to a slot."""
    levels = [0] * len(architecture.inputs)
    for slot in architecture.slots:
        levels.append(1 + max(levels[p] for p in slot.parents))
    return max(levels)


def residual(architecture, slot):
    """Whether one argument of the slot is computed from the other."""
    first = len(architecture.inputs)
    makers = [architecture.slots[p - first].parents if p >= first else () for p in slot.parents]
    return slot.parents[1] in makers[0] or slot.parents[0] in makers[1]


@pytest.mark.parametrize("name", STRUCTURES)
def test_architectures_shrink_to_within_one_slot_of_the_smallest(name):
    """A structure is reported with at most one slot more than it needs, and with at most 3 distinct numbers."""
    smallest, holds = STRUCTURES[name]
    found = find(architectures(), holds, random=random.Random(0), settings=SEARCH)
    assert len(found.slots) <= smallest + 1
    values = np.concatenate([recipe.array().ravel() for recipe in found.inputs])
    assert len(np.unique(values)) <= 3


def test_dense_networks_shrink_to_the_layers_that_matter():
    """A softplus in a hidden layer is reported with one hidden layer, one unit a layer and one example."""
    found = find(
        dense_networks().flatmap(batches), lambda b: "softplus" in b.network.activations[:-1], settings=SEARCH
    )
    assert len(found.network.activations) == 2
    assert set(found.network.widths) == {1}
    assert found.size == 1


@pytest.mark.parametrize(("name", "factor", "nodes"), [("softplus", 1.001, 3), ("mul", -1.0, 7)])
def test_a_wrong_vjp_shrinks_to_the_op_alone(name, factor, nodes, monkeypatch):
    """A rule planted wrong, by as little as 0.1%, is reported on a graph of the op and its parents.

    A product is used in weighting any output, so every op of several entries shows it: one slot is left, any one.
    """
    row = ops.TABLE[name]

    def wrong(g, y, *parents, **static):
        return tuple(c if c is None else ops.mul(factor, c) for c in row.vjp(g, y, *parents, **static))

    monkeypatch.setitem(ops.TABLE, name, dataclasses.replace(row, vjp=wrong))

    def fails(case):
        try:
            compare(case)
        except GradientWrongError:
            return True
        return False

    found = find(architectures(slots=2), fails, random=random.Random(0), settings=SEARCH)
    assert len(found.graph()) <= nodes
    assert len(found.slots) <= 1
    assert len(np.unique(np.concatenate([recipe.array().ravel() for recipe in found.inputs]))) <= 3
    monkeypatch.undo()
    with pytest.raises(NoSuchExample):
        find(architectures(slots=2), fails, settings=settings(SEARCH, max_examples=5))
