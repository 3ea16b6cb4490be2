"""from_tensorflow: tested where TensorFlow is installed, which this project's own CI has not."""

import sys

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Verdict, from_tensorflow
from gradcheck.adapters import tensorflow_

X = np.random.default_rng(0).normal(size=(4, 3))


@pytest.fixture(scope="module")
def tensorflow():
    return pytest.importorskip("tensorflow")


def test_functions_and_keras_layers_pass(tensorflow):
    """Plain functions, nested outputs, and layers with their variables, which are left as they were."""
    report = gradcheck.check(from_tensorflow(lambda x, w: {"y": tensorflow.tanh(x @ w), "n": 3}), X, X.T)
    assert report.verdict is Verdict.PASS, str(report)
    layer = tensorflow.keras.layers.Dense(2, activation="gelu", dtype="float64")
    report = gradcheck.check(layer, X)
    assert report.verdict is Verdict.PASS, str(report)
    assert len(report.resolutions) == 3
    assert np.array_equal(layer.trainable_variables[1].numpy(), np.zeros(2))


def test_a_planted_custom_gradient_is_caught(tensorflow):
    """tf.custom_gradient is recognised and judged."""

    @tensorflow.custom_gradient
    def cube(x):
        return x**3, lambda dy: 6 * x**2 * dy

    assert gradcheck.check(cube, X).findings[0].kind is Kind.FACTOR


def test_a_missing_tensorflow_is_named_with_its_remedy(monkeypatch):
    """from_tensorflow without TensorFlow says how to install it, and recognising an object does not import it."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"from_tensorflow needs tensorflow, .*; install it: pip install tensorflow"):
        from_tensorflow(np.tanh)
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert not tensorflow_.recognises(np.tanh)
    assert "tensorflow" not in sys.modules
