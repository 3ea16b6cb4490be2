"""from_tensorflow: tested where TensorFlow is installed, which this project's own CI has not."""

import sys

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Verdict, from_tensorflow
from gradcheck.adapters import tensorflow_

RNG = np.random.default_rng(0)
X, SEQUENCES, IMAGES = RNG.normal(size=(4, 3)), RNG.normal(size=(2, 6, 3)), RNG.normal(size=(2, 5, 5, 2))


@pytest.fixture(scope="module")
def tensorflow():
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def layers(tensorflow):
    return tensorflow.keras.layers


# -- what nobody here wrote --------------------------------------------------------------------------------------------

VECTORS = (
    "Dense(2,activation='gelu') BatchNormalization() LayerNormalization() RMSNormalization() UnitNormalization() "
    "PReLU() LeakyReLU() ELU() Softmax() Dropout(.5) GaussianDropout(.3) AlphaDropout(.3)"
)
ORDERED = "Conv1D(4,3) LSTM(3) GRU(3,return_sequences=True) SimpleRNN(3,dropout=.3) GlobalAveragePooling1D() Flatten()"
SPATIAL = (
    "Conv2D(3,3,padding='same',strides=2) Conv2DTranspose(3,3) DepthwiseConv2D(3) SeparableConv2D(3,3) MaxPooling2D(2) "
    "AveragePooling2D(2) GlobalMaxPooling2D() GroupNormalization(2) UpSampling2D(2,interpolation='bilinear')"
)
LAYERS = [(name, x) for names, x in ((VECTORS, X), (ORDERED, SEQUENCES), (SPATIAL, IMAGES)) for name in names.split()]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("spelling", "x"), LAYERS, ids=[name for name, _ in LAYERS])
def test_no_layer_of_keras_is_accused(layers, spelling, x, training):
    """With its variables, in inference and in training, where the layer takes a word about that."""
    takes = any(word in spelling for word in ("Norm", "Dropout", "dropout", "LSTM", "GRU")) and "Unit" not in spelling
    layer = eval(f"layers.{spelling[:-1]}{'' if spelling[-2] == '(' else ','}dtype='float64')", {"layers": layers})
    options = {"training": training} if takes and not spelling.startswith(("Layer", "RMS", "Group")) else {}
    report = gradcheck.check(from_tensorflow(layer, **options), x)
    assert report.verdict is Verdict.PASS, str(report)
    assert len(report.resolutions) == 1 + len(layer.trainable_variables)


def test_several_inputs_and_models_are_judged(tensorflow, layers):
    """Attention, embeddings, and models built in any of the three ways, their parts named by their paths."""
    double = {"dtype": "float64"}
    attention = layers.MultiHeadAttention(2, 3, **double)
    assert gradcheck.check(attention, SEQUENCES, SEQUENCES).verdict is Verdict.PASS
    assert gradcheck.check(layers.Concatenate(**double), [X, X + 1]).verdict is Verdict.PASS
    assert gradcheck.check(layers.Embedding(5, 3, **double), np.array([[0, 1], [4, 4]])).verdict is Verdict.PASS
    chain = tensorflow.keras.Sequential([layers.Dense(3, **double), layers.BatchNormalization(**double)])
    assert gradcheck.check(from_tensorflow(chain, training=True), X).verdict is Verdict.PASS
    entry = tensorflow.keras.Input((3,), dtype="float64")
    hidden = layers.Dense(3, activation="tanh", **double)(entry)
    model = tensorflow.keras.Model(entry, [hidden, layers.Dense(2, **double)(hidden)])
    report = gradcheck.check(model, X)
    assert (report.verdict, len(report.resolutions)) == (Verdict.PASS, 5), str(report)


@pytest.mark.parametrize("traced", [False, True])
def test_functions_pass_eager_and_traced(tensorflow, traced):
    """Nested inputs and outputs, integers, complex numbers, loops, outputs without a gradient."""
    tf = tensorflow

    def loop(x):
        for _ in tf.range(3):
            x = tf.sin(x) * x
        return x

    cases = [
        (lambda x, w: {"y": tf.tanh(x @ w), "n": [tf.argmax(x), tf.ones(2)]}, (X, X.T.copy())),
        (lambda d: (d["a"][0] * d["b"], tf.reduce_sum(d["b"])), ({"a": [X], "b": X + 1},)),
        (lambda i, w: tf.gather(w, i), (np.array([0, 0, 2]), X)),
        (lambda z: z * tf.math.conj(z) * z, (X + 1j * X[::-1],)),
        (lambda x: x * 2, (np.broadcast_to(X[0], (2, 3)),)),
        (loop, (X,)),
    ]
    for function, inputs in cases:
        report = gradcheck.check(from_tensorflow(tf.function(function) if traced else function), *inputs)
        assert report.verdict is Verdict.PASS, str(report)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_lower_precisions_are_judged(tensorflow, layers, dtype):
    """TensorFlow's own bfloat16 is NumPy's by ml_dtypes; a Keras layer made in it computes in nothing finer."""
    x = tensorflow.constant(X, dtype=dtype)
    report = gradcheck.check(from_tensorflow(lambda x, w: tensorflow.tanh(x @ w)), x, tensorflow.transpose(x))
    assert (report.verdict, report.dtype) == (Verdict.PASS, dtype), str(report)
    report = gradcheck.check(layers.Dense(2, activation="tanh", dtype=dtype), x)
    assert report.verdict is not Verdict.FAIL, str(report)
    assert report.verdict is Verdict.PASS or dtype != "float32"
    wrong = tensorflow.custom_gradient(lambda x: (tensorflow.sin(x), lambda dy: 1.5 * dy * tensorflow.cos(x)))
    assert gradcheck.check(wrong, tensorflow.constant(X, dtype=dtype)).findings[0].kind is Kind.FACTOR


# -- planted -----------------------------------------------------------------------------------------------------------

FAULTS = {
    Kind.FACTOR: lambda x, dy: 6 * x**2 * dy,
    Kind.SIGN: lambda x, dy: -3 * x**2 * dy,
    Kind.ZERO: lambda x, dy: 0 * dy,
    Kind.BRANCH: lambda x, dy: (3 * x**2 + abs(x) - x) * dy,
}


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("traced", [False, True])
def test_a_planted_custom_gradient_is_caught_and_named(tensorflow, kind, traced):
    """tf.custom_gradient is recognised, alone, in a tf.function and in a layer; the right one passes."""

    def cube(backward):
        made = tensorflow.custom_gradient(lambda x: (x**3, lambda dy: backward(x, dy)))
        return tensorflow.function(made) if traced else made

    report = gradcheck.check(cube(FAULTS[kind]), X)
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, kind), str(report)
    assert gradcheck.check(cube(lambda x, dy: 3 * x**2 * dy), X).verdict is Verdict.PASS

    class Cube(tensorflow.keras.layers.Layer):
        def call(self, x):
            return cube(FAULTS[kind])(x)

    assert gradcheck.check(Cube(dtype="float64"), X).verdict is Verdict.FAIL


def test_a_backward_that_draws_its_mask_anew_is_caught(tensorflow):
    """Forward and backward are seeded differently."""

    @tensorflow.custom_gradient
    def dropped(x):
        def mask():
            return tensorflow.cast(tensorflow.random.uniform(x.shape) > 0.5, x.dtype)

        return x * mask(), lambda dy: dy * mask()

    assert gradcheck.check(dropped, np.ones((8, 8))).verdict is Verdict.FAIL


# -- nothing is changed ------------------------------------------------------------------------------------------------


def test_random_numbers_are_the_same_for_every_call_and_put_back(tensorflow, layers):
    """TensorFlow's own stream, a generator's, a layer's; eager, traced, and in a layer that a function closes over."""
    tf, generator, dropout = tensorflow, tensorflow.random.Generator.from_seed(1), layers.Dropout(0.5, dtype="float64")
    before = generator.state.numpy().tolist()
    functions = [
        lambda x: tf.nn.dropout(x, 0.5),
        tf.function(lambda x: x * tf.random.uniform(x.shape, dtype=x.dtype)),
        lambda x: x * generator.uniform(x.shape, dtype=x.dtype),
        lambda x: dropout(x, training=True),
    ]
    tf.random.set_seed(5)
    expected = [tf.random.uniform((2,)).numpy().tolist() for _ in range(2)]
    tf.random.set_seed(5)
    found = [tf.random.uniform((2,)).numpy().tolist()]
    for function in functions:
        report = gradcheck.check(from_tensorflow(function), X)
        assert report.verdict is Verdict.PASS, str(report)
    assert [*found, tf.random.uniform((2,)).numpy().tolist()] == expected
    assert generator.state.numpy().tolist() == before


def test_a_layer_is_left_as_it_is(tensorflow, layers):
    """Its variables, statistics too, and those of a layer that a function holds; even where forward writes to them."""
    norm = layers.BatchNormalization(dtype="float64")
    assert gradcheck.check(from_tensorflow(norm, training=True), X).verdict is Verdict.PASS
    assert gradcheck.check(from_tensorflow(lambda x: norm(x, training=True)), X).verdict is Verdict.PASS
    assert np.array_equal(norm.moving_mean.numpy(), np.zeros(3))
    assert np.array_equal(norm.gamma.numpy(), np.ones(3))

    class Counter(tensorflow.Module):
        def __init__(self):
            super().__init__()
            self.w, self.calls = tensorflow.Variable(X.T), tensorflow.Variable(0, trainable=False)

        def __call__(self, x):
            self.calls.assign_add(1)
            return tensorflow.tanh(x @ self.w)

    counter = Counter()
    report = gradcheck.check(counter, X)
    assert (report.verdict, len(report.resolutions)) == (Verdict.PASS, 2)
    assert counter.calls.numpy() == 0
    assert np.array_equal(counter.w.numpy(), X.T)


def test_what_raises_is_told_by_the_judge(tensorflow, layers):
    """A forward that raises is INCONCLUSIVE with its words, also where a layer is not built before."""

    class Broken(layers.Layer):
        def call(self, x):
            raise ValueError("not today")

    for function in (Broken(), from_tensorflow(lambda x: 1 / 0)):
        report = gradcheck.check(function, X)
        assert report.verdict is Verdict.INCONCLUSIVE
        assert "forward raised" in report.reasons[0]


# -- recognised, and refused -------------------------------------------------------------------------------------------


def test_tensorflows_own_are_recognised(tensorflow, layers):
    """Layers, traced functions, custom gradients and modules; plain functions look like any other."""
    own = [layers.Dense(2), tensorflow.function(np.tanh), tensorflow.tanh, tensorflow.keras.Sequential()]
    assert all(map(tensorflow_.recognises, own))
    assert not any(map(tensorflow_.recognises, (np.tanh, lambda x: x, layers.Dense, 3)))


def test_a_missing_tensorflow_is_named_with_its_remedy(monkeypatch):
    """from_tensorflow without TensorFlow says how to install it, and recognising an object does not import it."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"from_tensorflow needs tensorflow, .*; install it: pip install tensorflow"):
        from_tensorflow(np.tanh)
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert not tensorflow_.recognises(np.tanh)
    assert "tensorflow" not in sys.modules
