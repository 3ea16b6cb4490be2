"""from_layer: every name that the survey of public repositories met, of passes, gradients, containers and flags."""

from typing import Any

import numpy as np
import pytest

from gradcheck import Report, Verdict, check, from_layer
from properties.zoo import draws

X, W, B = draws(4, 3), draws(3, 2), draws(2)

PASSES = [
    ("forward", "backward"), ("forward_pass", "backward_pass"), ("forward_propagate", "back_propagate"),
    ("forward_propagation", "back_propagation"), ("feed_forward", "backprop"), ("fprop", "bprop"),
    ("calculate", "gradient"), ("compute", "vjp"), ("__call__", "backward"), ("fn", "pullback"), ("apply", "grad"),
]  # fmt: skip
PLACES = [
    "d{}", "grad_{}", "{}_grad", "gradient_{}", "{}_gradient", "_d{}", "dLd{}", "dL_d{}", "dJ_d{}", "delta_{}", "d_{}",
    "g{}", "grad{}", "nabla_{}", "_grad_{}",
]  # fmt: skip
CONTAINERS = ["grads", "gradients", "g", "dparams", "param_grads", "_grads", "derivatives"]
FLAGS = [
    "train_flg", "training", "is_training", "is_test", "testing_phase", "phase", "train", "test", "save_cache",
    "retain_grads", "inference",
]  # fmt: skip
RATES = ["lr", "learning_rate", "eta", "alpha"]


class Affine:
    """The parameters of the layers below, and what their passes compute."""

    def __init__(self) -> None:
        self.W, self.b = W.copy(), B.copy()

    def _value(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def _pull(self, dout: Any, factor: float) -> tuple[Any, Any, Any]:
        return dout @ self.W.T, factor * self.x.T @ dout, dout.sum(0)


def judged(report: Report) -> set[str | int]:
    return {block.input for block in report.blocks}


def expect(layer: type, factor: float) -> None:
    """The layer is judged in all its gradients, and fails for the factor in that of W."""
    report = check(from_layer(layer), X)
    assert judged(report) == {"x", "W", "b"}
    assert report.verdict is (Verdict.PASS if factor == 1.0 else Verdict.FAIL), str(report)
    assert {finding.input for finding in report.findings} == (set() if factor == 1.0 else {"W"})


FACTORS = pytest.mark.parametrize("factor", [1.0, 1.01], ids=["right", "wrong"])


@FACTORS
@pytest.mark.parametrize(("forward", "backward"), PASSES)
def test_passes_are_known_by_every_name_met(forward: str, backward: str, factor: float) -> None:
    """Of the survey's list; the gradients are kept."""

    def back(self, dout):
        dx, self.dW, self.db = self._pull(dout, factor)
        return dx

    expect(type("Layer", (Affine,), {forward: lambda self, x: self._value(x), backward: back}), factor)


@FACTORS
@pytest.mark.parametrize("place", PLACES)
def test_gradients_are_found_by_every_name_met(place: str, factor: float) -> None:
    """Attributes of the layer, called after the parameter in one way or another."""

    class Layer(Affine):
        def forward(self, x):
            return self._value(x)

        def backward(self, dout):
            dx, dW, db = self._pull(dout, factor)
            setattr(self, place.format("W"), dW)
            setattr(self, place.format("b"), db)
            return dx

    expect(Layer, factor)


@FACTORS
@pytest.mark.parametrize("key", ["{}", "d{}"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_gradients_are_found_in_every_container_met(container: str, key: str, factor: float) -> None:
    """Dictionaries whose keys are the names of parameters, or these with a d in front."""

    class Layer(Affine):
        def forward(self, x):
            return self._value(x)

        def backward(self, dout):
            dx, dW, db = self._pull(dout, factor)
            setattr(self, container, {key.format("b"): db, key.format("W"): dW})
            return dx

    expect(Layer, factor)


@pytest.mark.parametrize("needed", [True, False], ids=["needed", "by default"])
@pytest.mark.parametrize("flag", FLAGS)
def test_flags_are_given_what_training_wants(flag: str, needed: bool) -> None:
    """An argument that forward cannot do without is told that this is training; a default stays."""
    training = {"phase": "train"}.get(flag, "test" not in flag and flag != "inference")
    source = f"""
class Layer(Affine):
    def forward(self, x, {flag}{"" if needed else f"={training!r}"}):
        assert {flag} == {training!r}
        return self._value(x)

    def backward(self, dout):
        dx, self.dW, self.db = self._pull(dout, 1.0)
        return dx
"""
    room = {"__name__": __name__, "Affine": Affine}
    exec(source, room)
    expect(room["Layer"], 1.0)


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("rate", RATES)
def test_a_rate_beside_a_cotangent_is_a_rate(rate: str, first: bool) -> None:
    """backward(dout, eta) steps inside with a rate of one; backward(eta) has a cotangent (properties/zoo/calls.py)."""
    source = f"""
class Layer(Affine):
    def forward(self, x):
        return self._value(x)

    def backward(self, {f"{rate}, dout" if first else f"dout, {rate}"}):
        dx, dW, db = self._pull(dout, 1.0)
        self.W -= {rate} * dW
        self.b -= {rate} * db
        return dx
"""
    room = {"__name__": __name__, "Affine": Affine}
    exec(source, room)
    expect(room["Layer"], 1.0)


def test_the_step_of_a_layer_is_named_with_what_to_turn_off() -> None:
    """MUTATES, the parameters that change, and two ways to look at gradients alone."""

    class Layer(Affine):
        def forward(self, x):
            return self._value(x)

        def backward(self, dout, lr=0.1):
            dx, dW, _ = self._pull(dout, 1.0)
            self.W = self.W - lr * dW
            return dx

    layer = Layer()
    report = check(layer, X)
    assert np.array_equal(layer.W, W)  # worked around on a copy
    note = next(note for note in report.notes if note.startswith("MUTATES"))
    assert "W changes" in note
    assert "set its learning rate to 0 or trainable to False" in note
