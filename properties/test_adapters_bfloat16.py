"""bfloat16: eight bits are judged for what they can resolve; what is right is not accused, what is wrong fails."""

import subprocess
import sys

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Verdict, from_jax, from_pair, from_torch, search
from gradcheck.judge.case import Case

POINT = np.random.default_rng(1).normal(size=(4, 3))


@pytest.fixture(scope="module")
def bfloat16(require):
    return require("ml_dtypes").bfloat16


@pytest.fixture(scope="module")
def torch(require):
    return require("torch")


@pytest.fixture(scope="module")
def jax(require):
    return require("jax")


# -- what is right -----------------------------------------------------------------------------------------------------

MODULES = (
    "Linear(3,4) Tanh() GELU() SiLU() ReLU() Softplus() Hardtanh() Softmax(-1) LogSoftmax(0) LayerNorm(3) RMSNorm(3) "
    "BatchNorm1d(3) BatchNorm1d(3).eval() BatchNorm1d(3,affine=False) PReLU(3) Dropout() Identity() Sigmoid() "
    "Bilinear(3,3,2) GRUCell(3,3) CosineSimilarity() MSELoss() HuberLoss() Conv1d(4,3,2) MaxPool1d(2)"
)


@pytest.mark.parametrize("spelling", MODULES.split())
def test_no_module_of_torch_is_accused_in_bfloat16(torch, bfloat16, spelling):
    """Parameters are taken as bfloat16, and a pass says what it could have seen: a factor of 1.5 at the worst."""
    torch.manual_seed(0)
    module = eval(f"nn.{spelling}", {"nn": torch.nn})
    count = 2 if spelling.startswith(("Bilinear", "GRUCell", "Cosine", "MSE", "Huber")) else 1
    inputs = [POINT[::sign].astype(bfloat16) for sign in (1, -1)][:count]
    report = gradcheck.check(from_torch(module), *inputs)
    assert report.verdict is Verdict.PASS, str(report)
    assert report.dtype == "bfloat16"
    assert report.resolution <= 0.25
    for size in (1 / 16, 8.0):
        report = gradcheck.check(from_torch(module), *((size * x).astype(bfloat16) for x in inputs))
        assert report.verdict is not Verdict.FAIL, str(report)


@pytest.mark.parametrize("name", ["relu", "gelu", "softmax", "logsumexp", "standardize"])
def test_no_function_of_jax_nn_is_accused_in_bfloat16(jax, bfloat16, name):
    """JAX's own arrays of bfloat16 are judged like NumPy's."""
    report = gradcheck.check(from_jax(getattr(jax.nn, name)), jax.numpy.asarray(POINT, dtype=bfloat16))
    assert report.verdict is Verdict.PASS, str(report)
    assert report.dtype == "bfloat16"


def test_functions_of_numpy_are_judged_in_bfloat16(bfloat16):
    """Differences are taken of forward in float64, where its value does not quantise; backward is asked in bfloat16."""
    seen = set()

    def f(x, w):
        seen.add(f"forward in {x.dtype}")
        return np.tanh(x @ w).astype(x.dtype)

    def vjp(inputs, g):
        x, w = inputs
        dz = g * (1 - np.tanh(x @ w) ** 2)
        seen.add(f"backward in {g.dtype}")
        return (dz @ w.T).astype(x.dtype), (x.T @ dz).astype(w.dtype)

    report = gradcheck.check(from_pair(f, vjp), POINT.astype(bfloat16), POINT.T.astype(bfloat16))
    assert report.verdict is Verdict.PASS, str(report)
    assert seen == {"forward in bfloat16", "forward in float64", "backward in bfloat16"}


# -- what is wrong -----------------------------------------------------------------------------------------------------

FAULTS = {
    "factor 1.5": (Kind.FACTOR, lambda x, w, g: (1.5 * g @ w.T, x.T @ g, g.sum(0))),
    "half": (Kind.FACTOR, lambda x, w, g: (g @ w.T, 0.5 * x.T @ g, g.sum(0))),
    "sign": (Kind.SIGN, lambda x, w, g: (g @ w.T, -x.T @ g, g.sum(0))),
    "zero": (Kind.ZERO, lambda x, w, g: (g @ w.T, x.T @ g, 0 * g.sum(0))),
    "mean for a sum": (Kind.FACTOR, lambda x, w, g: (g @ w.T, x.T @ g, g.mean(0))),
    "penalty": (Kind.MISSING_TERM, lambda x, w, g: (g @ w.T, x.T @ g + w, g.sum(0))),
    "cotangent unused": (Kind.IGNORES_COTANGENT, lambda x, w, g: (g @ w.T, x.T @ (0 * g + 1), g.sum(0))),
    "nonlinear": (Kind.NONLINEAR, lambda x, w, g: (g @ w.T, x.T @ abs(g), g.sum(0))),
    "not finite": (Kind.NONFINITE, lambda x, w, g: (g @ w.T + float("nan"), x.T @ g, g.sum(0))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_function_is_caught_and_named_in_bfloat16(torch, bfloat16, fault):
    """A dense layer as an autograd.Function, one gradient of it wrong."""
    kind, backward_of = FAULTS[fault]

    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, b):
            ctx.save_for_backward(x, w)
            return x @ w + b

        @staticmethod
        def backward(ctx, g):
            return backward_of(*ctx.saved_tensors, g)

    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=shape).astype(bfloat16) for shape in ((4, 3), (3, 2), (2,))]
    report = gradcheck.check(from_torch(Planted), *inputs)
    assert report.verdict is Verdict.FAIL, str(report)
    assert kind in report.findings[0].kinds or report.findings[0].kind is kind, str(report)


def test_a_dropped_term_is_caught_in_bfloat16(jax, bfloat16):
    """A softmax whose backward is its diagonal, by custom_vjp."""
    softmax = jax.custom_vjp(lambda x: jax.nn.softmax(x))
    softmax.defvjp(lambda x: (jax.nn.softmax(x),) * 2, lambda y, g: (g * y * (1 - y),))
    report = gradcheck.check(softmax, POINT.astype(bfloat16))
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.DIAGONAL_ONLY), str(report)


def test_search_shrinks_in_bfloat16(bfloat16):
    """Shapes by letter are drawn in bfloat16, too, and the case found is a bfloat16 one that runs again."""
    cube = from_pair(lambda x: x * x * x, lambda inputs, g: (2 * inputs[0] * inputs[0] * g,))
    report = search(cube, x=("n",), dtypes="bfloat16", seed=0, max_examples=40)
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.FACTOR)
    (x,) = report.case.inputs
    assert (x.dtype, x.shape) == (bfloat16, (1,))
    again = eval(repr(report.case), {"np": np, "Case": Case})
    assert gradcheck.check(cube, *again.inputs).verdict is Verdict.FAIL
    right = from_pair(np.sin, lambda inputs, g: (g * np.cos(inputs[0]),))
    assert search(right, x=("n",), dtypes="bfloat16 float16", seed=0, max_examples=40).verdict is Verdict.PASS


# -- what cannot be told -----------------------------------------------------------------------------------------------


def test_what_eight_bits_cannot_tell_is_left_open_with_the_reason(bfloat16):
    """A factor of 1.02 is within rounding; a gradient that cancels to nothing but rounding accuses nobody."""
    x = np.array([0.5, -1.25, 2.0], bfloat16)
    close = gradcheck.check((np.sin, lambda i, g: (bfloat16(1.02) * g * np.cos(i[0]),)), x)
    assert close.verdict is Verdict.PASS
    assert 0.02 < close.resolution <= 0.25

    def centred(x):
        return (x - x.mean(dtype=np.float64)).astype(x.dtype)

    far = gradcheck.check((centred, lambda i, g: (centred(g),)), np.array([300.0, 302.0, 304.0], bfloat16))
    assert far.verdict is not Verdict.FAIL, str(far)


def test_bfloat16_beside_other_floats_is_judged_too(bfloat16):
    """bfloat16 and float16 have no common dtype for NumPy; a gradient that is either of them is no crash."""
    x, y = np.array([0.5, 2.0], bfloat16), np.array([1.5, -1.0], np.float16)

    def f(x, y):
        return x.astype(np.float32) * y.astype(np.float32)

    def vjp(inputs, g):
        x, y = inputs
        return (g * y.astype(g.dtype)).astype(x.dtype), (g * x.astype(g.dtype)).astype(y.dtype)

    assert gradcheck.check((f, vjp), x, y).verdict is not Verdict.FAIL
    swapped = (f, lambda inputs, g: vjp(inputs, -g))
    assert gradcheck.check(swapped, x, y).findings[0].kind is Kind.SIGN


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_what_computes_in_halves_whatever_it_is_given_is_not_blamed_by_differences(bfloat16, dtype):
    """Their steps jump over kinks that noise hides, as SELU's at 0; laws, which need no difference, still blame."""

    def selu(x):
        x = x.astype(dtype).astype(np.float32)
        return np.where(x > 0, 1.05 * x, 1.75 * np.expm1(np.minimum(x, 0))).astype(dtype)

    def vjp(inputs, g, wrong=1):
        x = inputs[0].astype(np.float32)
        return ((wrong * g.astype(np.float32) * np.where(x > 0, 1.05, 1.75 * np.exp(np.minimum(x, 0)))).astype(dtype),)

    report = search(from_pair(selu, vjp), x=("n", "m"), dtypes=dtype, seed=3, max_examples=60)
    assert report.verdict is Verdict.PASS, str(report)
    x = POINT.astype(dtype)
    report = gradcheck.check((selu, lambda inputs, g: vjp(inputs, g, wrong=-4)), x)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "too coarse to blame it" in report.reasons[0]
    assert report.reasons[0].endswith("judge it in float32")
    clipped = gradcheck.check((selu, lambda inputs, g: vjp(inputs, abs(g))), x)
    assert (clipped.verdict, clipped.findings[0].kind) == (Verdict.FAIL, Kind.NONLINEAR)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_an_epsilon_of_the_dtypes_own_is_no_mistake(torch, bfloat16, dtype):
    """torch's RMSNorm is as steep at zero as the epsilon of its dtype is small: in float64 it is another function."""
    x = POINT.astype(dtype)
    x[1] = 0
    report = gradcheck.check(torch.nn.RMSNorm(3), x)
    assert report.verdict is not Verdict.FAIL, str(report)
    assert gradcheck.check(torch.nn.RMSNorm(3, eps=0.01), x).verdict is Verdict.PASS


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_gradient_that_is_rounding_and_nothing_else_accuses_nobody(torch, bfloat16, dtype):
    """The cosine of equal vectors is 1 whatever they are; what backward says of it is what its terms leave over."""
    x = np.repeat(np.array([[0.0, 0.0, 0.5, 8.0]], dtype), 35, axis=0)
    for seed in range(4):
        report = gradcheck.check(from_torch(torch.nn.CosineSimilarity()), x, x, seed=seed)
        assert report.verdict is not Verdict.FAIL, str(report)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_wider_than_the_inputs_are_judged_for_what_those_resolve(torch, bfloat16, dtype):
    """Mixed precision: torch's layer norm takes float32 weights for halves, and so does a dense layer of NumPy's."""
    x, w, b = POINT.astype(dtype), POINT[0].astype("float32"), POINT[1].astype("float32")
    normal = from_torch(lambda x, w, b: torch.nn.functional.layer_norm(x, (3,), w, b))
    report = gradcheck.check(normal, x, w, b)
    assert report.verdict is Verdict.PASS, str(report)

    def vjp(inputs, g, wrong=1.0):
        x, w = inputs
        g = g.astype(w.dtype)
        return (g @ w.T).astype(x.dtype), wrong * (x.astype(w.dtype).T @ g)

    def f(x, w):
        return x.astype(w.dtype) @ w

    w = POINT.T.copy()
    assert gradcheck.check((f, vjp), x, w).verdict is Verdict.PASS
    report = gradcheck.check((f, lambda inputs, g: vjp(inputs, g, 1.5)), x, w)
    assert (report.findings[0].kind, report.findings[0].input) == (Kind.FACTOR, "w")


def test_a_layer_of_numpys_is_recognised_in_half_precision(bfloat16):
    """What returns halves is a gradient, and what overflows in float16 is not clipped."""

    class Cube:
        def __init__(self, factor=3):
            self.factor = factor

        def forward(self, x):
            self.x = x
            return x * x * x

        def backward(self, dy):
            return (self.factor * self.x * self.x * dy).astype(self.x.dtype)

    for dtype in (bfloat16, np.float16):
        x = POINT.astype(dtype)
        report = gradcheck.check(Cube(), x)
        assert report.verdict is Verdict.PASS, str(report)
        assert not any("clips" in note for note in report.notes)
        assert gradcheck.check(Cube(2), x).findings[0].kind is Kind.FACTOR


def test_nothing_imports_ml_dtypes_that_is_not_asked_for_bfloat16():
    """It is optional: a check, and a search in float16, leave it alone; asking for it without it names the remedy."""
    script = """if True:
        import sys
        sys.modules["ml_dtypes"] = None
        import numpy as np, gradcheck
        square = (lambda x: x * x, lambda inputs, g: (2 * inputs[0] * g,))
        assert gradcheck.search(square, x=("n",), dtypes="float16", max_examples=5).verdict.name == "PASS"
        try:
            gradcheck.search(square, x=("n",), dtypes="bfloat16")
        except ImportError as error:
            print(error)
    """
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.startswith("bfloat16 needs ml_dtypes, which cannot be imported")
    assert told.strip().endswith("install it: pip install ml_dtypes")
