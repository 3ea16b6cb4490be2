"""Layers written by hand over torch's tensors, without its autograd, are recognised as those over arrays are."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gradcheck import Verdict, check, from_layer
from gradcheck.census.discover import Candidate, found_in
from gradcheck.census.judge import judged

SOURCE = """
import torch

class Linear:
    def __init__(self, n_in, n_out):
        self.w, self.b = torch.empty(n_in, n_out).normal_(), torch.zeros(n_out)
        self.pairs = [(self.w, torch.zeros(n_in, n_out))]
        self.dw, self.db = self.pairs[0][1], torch.zeros(n_out)
    def forward(self, x):
        self.x = x
        return x.mm(self.w) + self.b
    def backward(self, gradwrtoutput):
        self.dw += self.x.t().mm(gradwrtoutput)
        self.db += {bias} * gradwrtoutput.sum(0)
        return gradwrtoutput.mm(self.w.t())

class Tanh:
    def forward(self, x):
        self.a = x.tanh()
        return self.a
    def backward(self, gradwrtoutput, scale=1.0):
        return scale * gradwrtoutput * (1 - {value} ** 2)

class Mask:
    def forward(self, x):
        self.on = x > 0
        return torch.where(self.on, x, torch.zeros(()))
    def backward(self, gradwrtoutput):
        return gradwrtoutput * self.on

class Error:
    def forward(self, prediction, target):
        self.u = prediction - target
        return torch.mean(self.u ** 4)
    def backward(self):
        return 4 * self.u ** 3 / self.u.numel()
"""


def module_with(torch: ModuleType, bias: str = "1", value: str = "self.a") -> ModuleType:
    """A module of such layers."""
    module = ModuleType("hand_written")
    exec(SOURCE.format(bias=bias, value=value), vars(module))
    return module


def word_of(candidate: Candidate) -> str:
    """What a sweep calls it."""
    words = {seen.word for seen in judged(candidate, 4.0)}
    return "wrong" if "wrong" in words else ", ".join(sorted(words))


@pytest.mark.parametrize(
    ("planted", "names", "word"),
    [
        ({}, ("Linear", "Tanh", "Mask", "Error"), "right"),
        ({"bias": "0.5"}, ("Linear",), "wrong"),
        ({"value": "self.a.tanh()"}, ("Tanh",), "wrong"),
    ],
)
def test_a_sweep_gives_tensors_where_arrays_raise(
    require: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    planted: dict[str, str],
    names: tuple[str, ...],
    word: str,
) -> None:
    """No line of code for them, and no mistake hidden: parameters are judged under their names too."""
    module = module_with(require("torch"), **planted)
    monkeypatch.setitem(sys.modules, "hand_written", module)
    words = {candidate.name: word_of(candidate) for candidate in found_in(module) if candidate.name in names}
    assert words == dict.fromkeys(names, word)


def test_tensors_given_to_a_layer_are_what_it_gets(require: Callable[[str], ModuleType]) -> None:
    """Judged in float64 whatever its precision; the layer, its tensors and torch's default dtype stay as they were."""
    torch: Any = require("torch")
    layer = module_with(torch).Linear(4, 3)
    before = layer.w.clone()
    report = check(from_layer(layer), torch.ones(2, 4))
    assert report.verdict is Verdict.PASS, str(report)
    assert {block.input for block in report.blocks} == {"x", "w", "b"}
    assert torch.equal(layer.w, before)
    assert layer.w.dtype == torch.float32 == torch.get_default_dtype()
    assert not hasattr(layer, "x")
    assert layer.pairs[0][0] is layer.w


def test_a_default_dtype_is_put_back_where_a_pass_raises(require: Callable[[str], ModuleType]) -> None:
    """What is torch's own is nobody's to leave changed."""
    torch: Any = require("torch")
    report = check(from_layer(module_with(torch).Linear(4, 3)), torch.ones(2, 5))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: a[::-1], lambda a: a[:, ::-1]])
def test_arrays_in_any_layout_become_tensors(require: Callable[[str], ModuleType], layout: Any) -> None:
    """Torch takes no negative strides; the tensor has the numbers in their places."""
    from gradcheck.adapters.tensored import tensored

    torch: Any = require("torch")
    layer, forward, _ = tensored(module_with(torch).Tanh(), "forward", "backward")
    x = layout(np.random.default_rng(0).normal(size=(3, 4)))
    value = forward(layer, x)  # type: ignore[operator]
    assert isinstance(value, np.ndarray)
    assert np.allclose(value, np.tanh(x), rtol=1e-14)  # a few roundings of float64
