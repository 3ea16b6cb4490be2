"""from_tape on engines that this project's own CI has not: tinygrad and DeZero, tested where they are installed."""

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Verdict, from_tape

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 3)).astype("float32"), RNG.normal(size=(2, 3)).astype("float32")
IMAGES, KERNELS = RNG.normal(size=(1, 2, 4, 4)).astype("float32"), RNG.normal(size=(2, 2, 3, 3)).astype("float32")

# -- tinygrad; without a compiler for its CPU set DEV=PYTHON -----------------------------------------------------------

METHODS = (
    "abs celu cumsum elu exp exp2 floor gelu hardswish leaky_relu log_softmax max mean min mish neg quick_gelu "
    "relu relu6 selu sigmoid sign silu sin softmax softplus softsign square std sum tanh var layernorm"
)
POSITIVE = "log log2 reciprocal sqrt"
OTHERS = {
    "add": (lambda a, b: a + b, X, Y),
    "sub": (lambda a, b: a - b, X, Y),
    "mul": (lambda a, b: a * b, X, Y),
    "div": (lambda a, b: a / b, X, Y),
    "pow": (lambda a, b: (a.abs() + 0.5) ** b, X, Y),
    "maximum": (lambda a, b: a.maximum(b), X, Y),
    "where": (lambda a, b: (a > 0).where(a, b), X, Y),
    "matmul": (lambda a, b: a @ b.T, X, Y),
    "cat": (lambda a, b: a.cat(b, dim=1), X, Y),
    "stack": (lambda a, b: a.stack(b), X, Y),
    "reshape": (lambda a: a.reshape(3, 2), X),
    "permute": (lambda a: a.permute(1, 0), X),
    "expand": (lambda a: a.reshape(2, 3, 1).expand(2, 3, 2), X),
    "pad": (lambda a: a.pad(((1, 1), (0, 2))), X),
    "shrink": (lambda a: a[:, 1:], X),
    "flip": (lambda a: a.flip(1), X),
    "gather": (lambda a: a[[0, 0, 1]], X),
    "sort": (lambda a: a.sort()[0], X),
    "conv2d": (lambda a, w: a.conv2d(w, padding=1), IMAGES, KERNELS),
    "max_pool2d": (lambda a: a.max_pool2d(), IMAGES),
    "avg_pool2d": (lambda a: a.avg_pool2d(), IMAGES),
    "float64": (lambda a, b: (a @ b).tanh(), X.astype(float), Y.T.astype(float)),
}
LAYERS = dict.fromkeys(("Linear(3,2)", "LayerNorm(3)", "RMSNorm(3)"), X) | dict.fromkeys(
    ("Conv2d(2,2,3)", "GroupNorm(1,2)", "BatchNorm(2)", "InstanceNorm(2)"), IMAGES
)


@pytest.fixture(scope="module")
def tinygrad():
    return pytest.importorskip("tinygrad")


@pytest.mark.parametrize("name", [*METHODS.split(), *POSITIVE.split(), *OTHERS])
def test_no_op_of_tinygrad_is_accused(tinygrad, name):
    """Values with data as a method, gradients of arrays, a cotangent that backward takes."""
    function, *inputs = OTHERS.get(
        name, (lambda a: getattr(a, name)(), abs(X) + 0.5 if name in POSITIVE.split() else X)
    )
    report = gradcheck.check(from_tape(function, tinygrad.Tensor, name=name), *inputs)
    assert report.verdict is Verdict.PASS, str(report)


@pytest.mark.parametrize("spelling", LAYERS)
def test_no_layer_of_tinygrad_is_accused_nor_changed(tinygrad, spelling):
    """Recognised by the tensors that they hold, which are put back."""
    layer = eval(f"nn.{spelling}", {"nn": tinygrad.nn})
    state = tinygrad.nn.state.get_state_dict(layer)
    before = {name: value.numpy().copy() for name, value in state.items()}
    report = gradcheck.check(layer, LAYERS[spelling])
    assert report.verdict is Verdict.PASS, str(report)
    assert all(np.array_equal(before[name], value.numpy()) for name, value in state.items())


def test_a_detached_term_of_tinygrad_is_caught(tinygrad):
    """Half of the square's gradient is missing."""
    report = gradcheck.check(from_tape(lambda a: a * a.detach(), tinygrad.Tensor), X)
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.FACTOR)


# -- DeZero ------------------------------------------------------------------------------------------------------------

FUNCTIONS = "sin cos tanh exp sigmoid relu softmax log_softmax leaky_relu sum flatten max min"
LABELS = np.array([0, 2])
DEZERO = {
    "log": (lambda F, a: F.log(a), abs(X) + 0.5),
    "clip": (lambda F, a: F.clip(a, -0.5, 0.5), X),
    "add": (lambda F, a, b: a + b, X, Y),
    "sub": (lambda F, a, b: a - b, X, Y),
    "mul": (lambda F, a, b: -a * b, X, Y),
    "div": (lambda F, a, b: a / b, X, Y),
    "pow": (lambda F, a, b: a**3 + b, X, Y),
    "broadcast": (lambda F, a, b: a + F.sum(b, axis=0), X, Y),
    "matmul": (lambda F, a, b: F.matmul(a, b.T), X, Y),
    "mean_squared_error": (lambda F, a, b: F.mean_squared_error(a, b), X, Y),
    "get_item": (lambda F, a: F.get_item(a, np.array([0, 0, 1])), X),
    "reshape": (lambda F, a, b: F.reshape(a, (3, 2)).T * b, X, Y),
    "expand_dims": (lambda F, a, b: F.expand_dims(a, 1) + b, X, Y),
    "linear": (lambda F, a, w, b: F.linear(a, w, b), X, Y.T, Y[0, :2]),
    "softmax_cross_entropy": (lambda F, a: F.softmax_cross_entropy(a, LABELS), X),
    "binary_cross_entropy": (lambda F, a: F.binary_cross_entropy(F.sigmoid(a), (X > 0).astype(int)), X),
    "conv2d": (lambda F, a, w: F.conv2d(a, w, None, 1, 1), IMAGES, KERNELS),
    "deconv2d": (lambda F, a, w: F.deconv2d(a, w), IMAGES, KERNELS),
    "pooling": (lambda F, a: F.pooling(a, 2, 1), IMAGES),
    "average_pooling": (lambda F, a: F.average_pooling(a, 2, 2), IMAGES),
    "dropout": (lambda F, a: F.dropout(a, 0.5), X),
}


@pytest.fixture(scope="module")
def dezero():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "int", int, raising=False)  # DeZero 0.0.13 is older than NumPy 1.24
        yield pytest.importorskip("dezero")


@pytest.mark.parametrize("name", [*FUNCTIONS.split(), *DEZERO])
def test_no_function_of_dezero_is_accused(dezero, name):
    """In float64, which it computes in where that is given."""
    functions = pytest.importorskip("dezero.functions")
    function, *inputs = DEZERO.get(name, (lambda F, a: getattr(F, name)(a), X))
    target = from_tape(lambda *values: function(functions, *values), dezero.Variable, name=name)
    report = gradcheck.check(target, *(x.astype(float) for x in inputs))
    assert report.verdict is Verdict.PASS, str(report)


def test_no_layer_of_dezero_is_accused(dezero):
    """Recognised by their parameters, those of the first call among them."""
    layers = pytest.importorskip("dezero.layers")
    for layer in (layers.Linear(2, in_size=3), layers.Linear(2), dezero.models.MLP((3, 2)), layers.BatchNorm()):
        x = X.astype(float) if isinstance(layer, layers.BatchNorm) else X
        report = gradcheck.check(layer, x)
        assert report.verdict is Verdict.PASS, str(report)
        assert len(report.resolutions) > 2


def test_dezeros_batch_norm_widens_its_gradients(dezero):
    """It divides by a count that is an int64 array: the gradient of float32 is float64, in DeZero 0.0.13."""
    report = gradcheck.check(pytest.importorskip("dezero.layers").BatchNorm(), X)
    assert {finding.kind for finding in report.findings} == {Kind.DTYPE}
