"""from_layer on numpy-ml, which nobody here wrote: layers recognised without code, and its genuine mistakes found."""

import collections
import collections.abc
import inspect
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck import Kind, Verdict, check, from_layer
from properties.zoo import draws

X, IMAGES, SERIES, IDS = draws(4, 5), draws(2, 5, 6, 3), draws(3, 4, 5), np.array([[0, 3], [3, 1], [5, 5]])
P, HOT = np.full((3, 4), 0.25) + 0.05 * np.tanh(draws(3, 4)), np.eye(4)[[0, 2, 1]]
P /= P.sum(1, keepdims=True)


@pytest.fixture(scope="module")
def numpy_ml(require):
    """Its layers, activations and losses; it was written for Python 3.6, where collections still had Hashable."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # about gym, which its agents want
        patch.setattr(collections, "Hashable", collections.abc.Hashable, raising=False)
        require("numpy_ml")
        return SimpleNamespace(
            **vars(require("numpy_ml.neural_nets.layers")) | vars(require("numpy_ml.neural_nets.modules")),
            activations=require("numpy_ml.neural_nets.activations"),
            losses=require("numpy_ml.neural_nets.losses"),
            base=require("numpy_ml.neural_nets.layers.layers").LayerBase,
        )


RIGHT = {
    "DotProductAttention": (lambda m: m.DotProductAttention(), (draws(4, 5), draws(6, 5), draws(6, 3))),
    "Add": (lambda m: m.Add(act_fn="Tanh"), ([X, 2 * X, X**2],)),
    "Multiply": (lambda m: m.Multiply(), ([X, 2 * X, X**2],)),
    "Flatten": (lambda m: m.Flatten(), (IMAGES,)),
    "BatchNorm2D": (lambda m: m.BatchNorm2D(), (IMAGES,)),
    "BatchNorm1D": (lambda m: m.BatchNorm1D(), (X,)),
    "LayerNorm2D": (lambda m: m.LayerNorm2D(), (IMAGES,)),
    "LayerNorm1D": (lambda m: m.LayerNorm1D(), (X,)),
    "Embedding": (lambda m: m.Embedding(4, vocab_size=7), (IDS,)),
    "FullyConnected": (lambda m: m.FullyConnected(3, act_fn="Tanh"), (X,)),
    "Softmax": (lambda m: m.Softmax(), (X,)),
    "Conv1D": (lambda m: m.Conv1D(3, 2, stride=2, pad=1), (SERIES,)),
    "Conv2D": (lambda m: m.Conv2D(2, (3, 2), stride=2, pad=1, act_fn="Tanh"), (IMAGES,)),
    "Pool2D": (lambda m: m.Pool2D((2, 2), stride=1, mode="average"), (IMAGES,)),
    "Deconv2D": (lambda m: m.Deconv2D(2, (3, 3), stride=2, pad=1), (draws(2, 3, 4, 3),)),
    "RNNCell": (lambda m: m.RNNCell(3), (X,)),
    "LSTMCell": (lambda m: m.LSTMCell(3), (X,)),
    "MultiHeadedAttentionModule": (lambda m: m.MultiHeadedAttentionModule(2), (draws(3, 4),) * 3),
    "WavenetResidualModule": (lambda m: m.WavenetResidualModule(3, 2, 1, 2), (draws(2, 6, 3), draws(2, 6, 3, seed=1))),
    "cross-entropy": (lambda m: m.losses.CrossEntropy(), (HOT, P)),
    "Sigmoid": (lambda m: m.activations.Sigmoid(), (X,)),
    "ELU": (lambda m: m.activations.ELU(), (X,)),
}

WRONG = {
    # backward multiplies by 1/(1 − p), and never by the mask of the entries that were dropped
    "Dropout": (lambda m: m.Dropout(m.FullyConnected(3), 0.5), (X,), "X"),
    # backward takes the Jacobian of each row, whatever `dim` forward summed over
    "Softmax over columns": (lambda m: m.Softmax(dim=0), (X,), "X"),
    # dW[ids] += … counts an index that occurs twice in one bag once
    "Embedding of bags": (lambda m: m.Embedding(4, vocab_size=7, pool="mean"), (IDS,), "W"),
}

UNUSABLE = {"RBM", "SparseEvolution", "RNN", "LSTM"}
"""Layers that this version cannot make or run at all: sizes of None, an argument that NumPy does not have, a property
without a setter assigned to."""


@pytest.mark.parametrize("name", RIGHT)
def test_a_layer_of_numpy_ml_needs_no_code(numpy_ml, name: str) -> None:
    """One call, and every gradient that it returns or keeps is judged right."""
    make, inputs = RIGHT[name]
    report = check(from_layer(make(numpy_ml), name=name), *inputs)
    assert report.verdict is Verdict.PASS, str(report)
    assert report.blocks


def test_four_of_five_layers_of_numpy_ml_are_recognised(numpy_ml) -> None:
    """All but those that cannot be made at all."""
    there = {name for name, c in vars(numpy_ml).items() if inspect.isclass(c) and issubclass(c, numpy_ml.base)}
    layers = there - {"LayerBase", "base"}
    assert layers - set(RIGHT) == UNUSABLE
    assert len(layers & set(RIGHT)) >= 0.8 * len(layers)


@pytest.mark.parametrize("name", WRONG)
def test_a_genuine_mistake_of_numpy_ml_is_found(numpy_ml, name: str) -> None:
    """Read in its source, each of them; see docs/adapters.md."""
    make, inputs, where = WRONG[name]
    with np.errstate(all="ignore"):
        report = check(from_layer(lambda: make(numpy_ml), name=name), *inputs)
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].input == where
    assert report.findings[0].kind is not Kind.RAISES


def test_a_backward_of_numpy_ml_that_breaks_is_a_finding(numpy_ml) -> None:
    """Its max pooling cannot be padded: backward looks for the maximum in the unpadded image."""
    report = check(numpy_ml.Pool2D((2, 3), stride=1, pad=1), draws(2, 4, 6, 2))
    assert report.findings[0].kind is Kind.RAISES
