"""from_layer: layers in every convention are recognised without code, and no convention hides a fault."""

import numpy as np
import pytest

from gradcheck import Target, Verdict, check, from_functions, from_layer
from properties.zoo import Specimen, planted, right
from properties.zoo.calls import CALLS
from properties.zoo.epsilons import EPSILONS, OTHERS
from properties.zoo.functions import PAIRS
from properties.zoo.kept import KEPT_LOSSES
from properties.zoo.losses import HABITS, LOSSES
from properties.zoo.objects import SPECIMENS, STEPPING
from properties.zoo.optimisers import OPTIMISED, OWN_STEPS, UNJUDGED
from properties.zoo.prepared import PREPARED
from properties.zoo.scalars import SCALARS
from properties.zoo.surprises import SURPRISES

STEPS = [*STEPPING, *OWN_STEPS]
EVERY = [
    *SPECIMENS,
    *STEPS,
    *OPTIMISED,
    *UNJUDGED,
    *CALLS,
    *SCALARS,
    *PAIRS,
    *LOSSES,
    *HABITS,
    *EPSILONS,
    *OTHERS,
    *SURPRISES,
    *PREPARED,
]
FAULTS = {"zero": lambda g: 0 * g, "sign": lambda g: -g, "hundredth": lambda g: 1.01 * g}
PLANTED = [(s, which) for s in EVERY for which in s.gradients]
IN_TURN = [(s, which, list(FAULTS)[i % 3]) for i, (s, which) in enumerate(PLANTED)]


def target(specimen: Specimen, layer: object) -> Target:
    """What a user writes: one call, and no code of their own."""
    if isinstance(layer, tuple):
        return from_functions(*layer, **specimen.options)
    return from_layer(layer, **specimen.options)


@pytest.mark.parametrize("specimen", EVERY, ids=repr)
def test_a_right_layer_passes_and_every_gradient_of_it_is_judged(specimen: Specimen) -> None:
    """Whatever the convention, all inputs and parameters are in the report, and the report says what was recognised."""
    report = check(target(specimen, specimen.make(right)), *specimen.inputs)
    assert report.verdict is Verdict.PASS, str(report)
    assert {block.input for block in report.blocks} == set(specimen.gradients.values())
    assert specimen.note in "\n".join(report.notes)


@pytest.mark.parametrize(
    ("specimen", "which", "fault"),
    [(s, which, "sign" if s in STEPS else fault) for s, which, fault in IN_TURN],
    ids=lambda value: repr(value) if isinstance(value, Specimen) else value,
)
def test_a_fault_in_any_gradient_of_any_convention_is_found_there(specimen: Specimen, which: str, fault: str) -> None:
    """Gradients are paired by name and shape, so a wrong one is still this parameter's, and wrong."""
    layer = specimen.make(planted(which, FAULTS[fault]))
    report = check(target(specimen, layer), *specimen.inputs)
    assert report.verdict is Verdict.FAIL, str(report)
    assert specimen.gradients[which] in {finding.input for finding in report.findings}


@pytest.mark.parametrize("specimen", UNJUDGED, ids=repr)
def test_a_step_that_is_no_plain_descent_accuses_nobody(specimen: Specimen) -> None:
    """Whether the gradient behind it is right or wrong, it is not seen, and the report says who steps."""
    report = check(target(specimen, specimen.make(planted("W", lambda g: 1.5 * g))), *specimen.inputs)
    assert report.verdict is Verdict.PASS
    assert any(note.startswith("MUTATES: backward steps the optimiser inside, W changes") for note in report.notes)


@pytest.mark.parametrize("specimen", STEPPING, ids=repr)
def test_a_parameter_that_a_step_leaves_alone_is_said_to_be_unjudged(specimen: Specimen) -> None:
    """Where a gradient shows only in what it changes, one that is zero does not show; the report says so."""
    report = check(target(specimen, specimen.make(planted("W", lambda g: 0 * g))), *specimen.inputs)
    assert "weights alters the value and no gradient of it was found: held fixed, not judged" in report.notes


@pytest.mark.parametrize("specimen", [*HABITS, *EPSILONS, *KEPT_LOSSES], ids=repr)
def test_a_habit_is_a_failure_where_vector_jacobian_products_are_asked_for(specimen: Specimen) -> None:
    """convention="vjp" undoes nothing."""
    layer = specimen.make(right)
    assert check(from_layer(layer, convention="vjp"), *specimen.inputs).verdict is Verdict.FAIL


@pytest.mark.parametrize("name", ["batch means", "columns are examples", "writes into its cotangent", "clips"])
def test_the_habits_of_layers_are_failures_too_where_products_are_asked_for(name: str) -> None:
    """Batch means, a written cotangent and a clip are what they are."""
    specimen = next(s for s in EVERY if s.name == name)
    inputs = tuple(100 * x for x in specimen.inputs)  # so that a clip is met
    report = check(from_layer(specimen.make(right), convention="vjp"), *inputs)
    assert report.verdict is Verdict.FAIL, str(report)


def test_the_layer_itself_is_never_run() -> None:
    """A layer is copied: what was trained stays as it is, gradients, running means and all."""
    specimen = next(s for s in SURPRISES if s.name == "batch norm")
    layer = specimen.make(right)()
    check(layer, *specimen.inputs)
    assert set(vars(layer)) == {"gamma", "beta", "running_mean", "running_var", "training"}
    assert np.array_equal(layer.running_mean, np.zeros(3))
    assert np.array_equal(layer.gamma, np.ones(3))
