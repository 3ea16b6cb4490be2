"""by_design: the mistake that is wanted passes and is noted, any other is found."""

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Verdict, by_design, from_pair, from_torch

X = np.random.default_rng(0).normal(size=(3, 4))
IDENTITY = from_pair(lambda x: x, lambda inputs, dy: (dy,), name="identity")


def rounding(factor=1.0):
    return from_pair(np.round, lambda inputs, dy: (factor * dy,), name="rounding")


def test_a_straight_through_gradient_passes_and_the_report_says_by_what_rule():
    """Judged as it stands it is wrong; judged by the identity it is right, and the note names both."""
    assert gradcheck.check(rounding(), X).verdict is Verdict.FAIL
    report = gradcheck.check(by_design(rounding(), IDENTITY), X)
    assert report.verdict is Verdict.PASS
    assert report.notes == ("by design the gradient of rounding is that of identity",)


def test_another_mistake_is_still_found():
    """A straight-through gradient with a factor too many is not what was meant."""
    report = gradcheck.check(by_design(rounding(2.0), IDENTITY), X)
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.FACTOR)
    assert gradcheck.search(by_design(rounding(2.0), IDENTITY), x=("n",), max_examples=5).verdict is Verdict.FAIL


def test_layers_of_a_framework_have_designs_too(require):
    """Gradient reversal is judged by −λx, a rounding module with a scale by the identity; its parameter is held."""
    torch = require("torch")

    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return -0.3 * g

    class Quantise(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(0.5))

        def forward(self, x):
            return x + ((x / self.scale).round() * self.scale - x).detach()

    reversal = by_design(Reverse, from_torch(lambda x: -0.3 * x, name="-0.3 x"))
    report = gradcheck.check(reversal, X)
    assert report.verdict is Verdict.PASS, str(report)
    assert "by design the gradient of Reverse is that of -0.3 x" in report.notes
    assert gradcheck.check(by_design(Reverse, from_torch(lambda x: -x)), X).findings[0].kind is Kind.FACTOR
    report = gradcheck.check(by_design(Quantise(), from_torch(lambda x: x)), X)
    assert report.verdict is Verdict.PASS, str(report)
    assert set(report.resolutions) == {"x"}


def test_a_design_of_another_shape_is_refused():
    """The surrogate has to have the shape of the layer's value."""
    total = from_pair(np.sum, lambda inputs, dy: (dy * np.ones_like(inputs[0]),), name="total")
    words = r"rounding returns shape \(3, 4\), but total, whose gradient it has by design, returns shape \(\); give a"
    with pytest.raises(ValueError, match=words):
        gradcheck.check(by_design(rounding(), total), X)
