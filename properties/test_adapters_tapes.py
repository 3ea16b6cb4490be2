"""from_tape: micrograd, MyGrad and an engine like DeZero pass; what is planted in a value's backward is caught."""

import random
import sys

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Verdict, from_tape
from gradcheck.adapters import tapes
from gradcheck.adapters.values import is_value, parameters_of

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))


@pytest.fixture(scope="module")
def micrograd(require):
    return require("micrograd.engine")


@pytest.fixture(scope="module")
def mygrad(require):
    return require("mygrad")


class Variable:
    """A value after DeZero's: arrays, no cotangent for backward, gradients that add up until they are cleared."""

    def __init__(self, data, parents=()):
        self.data, self.grad, self.parents = np.asarray(data), None, parents

    @property
    def shape(self):
        """Of the array."""
        return self.data.shape

    def cleargrad(self):
        """Forget the gradient."""
        self.grad = None

    def backward(self, retain_grad=False):
        """From here to the leaves, seeded with ones."""
        del retain_grad
        order, seen = [], set()

        def visit(v):
            if id(v) not in seen:
                seen.add(id(v))
                for parent, _ in v.parents:
                    visit(parent)
                order.append(v)

        visit(self)
        self.grad = np.ones_like(self.data)
        for v in reversed(order):
            for parent, vjp in v.parents:
                parent.grad = vjp(v.grad) if parent.grad is None else parent.grad + vjp(v.grad)

    def __mul__(self, other):
        return Variable(self.data * other.data, ((self, lambda g: g * other.data), (other, lambda g: g * self.data)))

    def __add__(self, other):
        return Variable(self.data + other.data, ((self, lambda g: g), (other, lambda g: g)))

    def sum(self):
        """Of all entries."""
        return Variable(self.data.sum(), ((self, lambda g: np.broadcast_to(g, self.shape).copy()),))

    def sin(self, wrong=1.0):
        """Its gradient times `wrong`."""
        return Variable(np.sin(self.data), ((self, lambda g: wrong * g * np.cos(self.data)),))


# -- engines of numbers ------------------------------------------------------------------------------------------------

EXPRESSIONS = {
    "add": lambda a, b: a + b,
    "radd": lambda a, b: 2.0 + a + b,
    "mul": lambda a, b: a * b,
    "pow": lambda a, b: a**3 + b**-2,
    "relu": lambda a, b: (a * b).relu() + a.relu(),
    "neg": lambda a, b: -a - b,
    "sub": lambda a, b: 1.0 - a - b,
    "div": lambda a, b: a / b + 3.0 / a,
    "reused": lambda a, b: (a + a) * (a * b) + b * b,
    "two outputs": lambda a, b: [a * b, a + b],
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_no_op_of_micrograd_is_accused(micrograd, name):
    """Every operator of Value, repeated parents and constants among them."""
    report = gradcheck.check(from_tape(EXPRESSIONS[name], micrograd.Value), np.array(0.7), np.array(-1.3))
    assert report.verdict is Verdict.PASS, str(report)
    assert set(report.resolutions) == {"a", "b"}


def test_micrograds_network_is_recognised_with_its_parameters(micrograd, require):
    """The MLP is judged without a word about it, its weights grouped by neuron, and is left as it was."""
    random.seed(0)
    model = require("micrograd.nn").MLP(3, [2, 2])
    before = [(p.data, p.grad) for p in model.parameters()]
    report = gradcheck.check(model, X[0, :3])
    assert report.verdict is Verdict.PASS, str(report)
    names = {f"layers[{i}].neurons[{j}].{k}" for i in range(2) for j in range(2) for k in "wb"}
    assert set(report.resolutions) == {"x", *names}
    assert [(p.data, p.grad) for p in model.parameters()] == before


def test_arrays_of_numbers_values_are_judged(micrograd):
    """An engine of numbers is given arrays of its values, so NumPy's own operators apply."""
    report = gradcheck.check(from_tape(lambda x, w: (x @ w) * 2.0, micrograd.Value), X, Y[0])
    assert report.verdict is Verdict.PASS, str(report)


def test_a_gradient_that_is_set_rather_than_added_is_caught(micrograd):
    """`self.grad = …` for `+=` is right until a value is used twice."""

    class Value(micrograd.Value):
        def square(self):
            out = Value(self.data**2, (self,), "square")

            def backward():
                self.grad = 2 * self.data * out.grad

            out._backward = backward
            return out

    once, twice = from_tape(lambda a: a.square(), Value), from_tape(lambda a: a.square() + a.square() * a, Value)
    assert gradcheck.check(once, np.array(0.7)).verdict is Verdict.PASS
    assert gradcheck.check(twice, np.array(0.7)).verdict is Verdict.FAIL


# -- engines of arrays -------------------------------------------------------------------------------------------------

UNARY = (
    "abs absolute amax amin arccot arccsch arctan arcsinh atleast_1d atleast_2d atleast_3d cbrt cos cosh cot coth "
    "csc csch cumprod cumsum exp exp2 expm1 max mean min negative positive prod ravel sec sech sin sinc sinh "
    "square squeeze std sum tan tanh transpose var nnet.sigmoid nnet.relu nnet.elu:1.0 nnet.selu nnet.softmax "
    "nnet.logsoftmax nnet.leaky_relu:0.1 nnet.hard_tanh nnet.glu nnet.soft_sign nnet.tanh linalg.norm reshape:-1 "
    "expand_dims:1 repeat:2 roll:1 moveaxis:0:1 swapaxes:0:1 clip:-0.5:0.5"
)
ELSEWHERE = {
    "log log2 log10 log1p sqrt reciprocal": np.exp(X),
    "arccos arcsin arctanh": np.tanh(X),
    "arccosh arccoth arccsc arcsec": np.exp(X) + 1,
}
UNARY_AT = {name: X for name in UNARY.split()} | {name: x for names, x in ELSEWHERE.items() for name in names.split()}
BINARY = "add subtract multiply divide true_divide maximum minimum arctan2 logaddexp logaddexp2"
LABELS, IMAGES = np.array([0, 3, 1]), RNG.normal(size=(2, 2, 5, 5))
OTHERS = {  # what asks for more than tensors: called with mygrad, then with the inputs
    "matmul": (lambda mg, x, y: mg.matmul(x, y), X, Y.T),
    "einsum": (lambda mg, x, y: mg.einsum("ij,kj->ik", x, y), X, Y),
    "multi_matmul": (lambda mg, x, y: mg.multi_matmul([x, y, x]), X, Y.T),
    "multiply_sequence": (lambda mg, x, y: mg.multiply_sequence(x, y, x), X, Y),
    "add_sequence": (lambda mg, x, y: mg.add_sequence(x, y, x), X, Y[0]),
    "power": (lambda mg, x, y: mg.power(x, y), np.exp(X), Y),
    "where": (lambda mg, c, x, y: mg.where(c, x, y), X > 0, X, Y),
    "broadcast_to": (lambda mg, x: mg.broadcast_to(x, (2, 3, 4)), X),
    "concatenate": (lambda mg, x, y: mg.concatenate([x, y], axis=1), X, Y),
    "stack": (lambda mg, x, y: mg.stack([x, y]), X, Y),
    "nnet.conv_nd": (
        lambda mg, x, w: mg.nnet.conv_nd(x, w, stride=2, padding=1), IMAGES, RNG.normal(size=(3, 2, 3, 3))
    ),
    "nnet.max_pool": (lambda mg, x: mg.nnet.max_pool(x, (2, 2), 1), IMAGES),
    "nnet.batchnorm": (
        lambda mg, x, g, b: mg.nnet.batchnorm(x, gamma=g, beta=b, eps=1e-5), IMAGES, RNG.normal(size=2), Y[0, :2]
    ),
    "nnet.softmax_crossentropy": (lambda mg, x, y: mg.nnet.softmax_crossentropy(x, y), X, LABELS),
    "nnet.softmax_focal_loss": (lambda mg, x, y: mg.nnet.softmax_focal_loss(x, y, alpha=0.7, gamma=2.0), X, LABELS),
    "nnet.focal_loss": (lambda mg, x, y: mg.nnet.focal_loss(mg.nnet.softmax(x), y, gamma=2.0), X, LABELS),
    "nnet.negative_log_likelihood": (
        lambda mg, x, y: mg.nnet.negative_log_likelihood(mg.nnet.logsoftmax(x), y), X, LABELS
    ),
    "nnet.multiclass_hinge": (lambda mg, x, y: mg.nnet.multiclass_hinge(x, y), X, LABELS),
    "nnet.margin_ranking_loss": (lambda mg, x, y: mg.nnet.margin_ranking_loss(x, y, 1, 0.5), X, Y),
    "x[1:, ::2]": (lambda mg, x: x[1:, ::2], X),
    "x[i]": (lambda mg, x, i: x[i], X, np.array([0, 0, 2])),
    "x[1] = y": (lambda mg, x, y: assigned(x, y), X, Y[0]),
    "x += y": (lambda mg, x, y: added(x, y), X, Y),
    "x.T @ x": (lambda mg, x: x.T @ x, X),
}  # fmt: skip
NO_GRADIENT = (
    "all allclose any arange argmax argmin asarray astensor bincount bool_ can_cast ceil copyto divmod double "
    "empty empty_like equal execute_op eye float16 float32 float64 floor floor_divide fmod full full_like "
    "geomspace greater greater_equal half identity int16 int32 int64 int8 intp isclose isfinite isinf isnan isnat "
    "less less_equal linspace load logical_and logical_not logical_or logical_xor logspace longdouble "
    "may_share_memory mem_guard_active mem_guard_off mem_guard_on min_scalar_type mod no_autodiff not_equal ones "
    "ones_like remainder result_type rint save shape shares_memory sign signbit single sliding_window_view tensor "
    "Tensor trunc turn_memory_guarding_off turn_memory_guarding_on ufunc uint16 uint32 uint64 uint8 uintp zeros "
    "zeros_like"
)


def assigned(x, y):
    """Into a part of what was computed, on the tape."""
    z = +x
    z[1] = y
    return z * x


def added(x, y):
    """In place, on the tape."""
    z = x * 2
    z += y
    z *= x
    return z


@pytest.mark.parametrize("spelling", UNARY_AT)
def test_no_op_of_mygrad_is_accused(mygrad, require, spelling):
    """Functions of one tensor, with the settings that follow the colons."""
    require("mygrad.nnet")
    name, *settings = spelling.split(":")
    given = [float(s) if "." in s else int(s) for s in settings]
    function = mygrad
    for part in name.split("."):
        function = getattr(function, part)
    target = from_tape(lambda x: function(x, *given), mygrad.tensor, name=name)
    report = gradcheck.check(target, UNARY_AT[spelling])
    assert report.verdict is Verdict.PASS, str(report)


@pytest.mark.parametrize("name", BINARY.split())
def test_no_op_of_two_tensors_is_accused(mygrad, name):
    """Both arguments, one broadcast against the other."""
    report = gradcheck.check(from_tape(getattr(mygrad, name)), X, Y[0])
    assert report.verdict is Verdict.PASS, str(report)


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_else_of_mygrad_is_accused(mygrad, require, name):
    """Sequences, indices, assignments, convolutions, pools, losses."""
    require("mygrad.nnet")
    function, *inputs = OTHERS[name]
    report = gradcheck.check(from_tape(lambda *x: function(mygrad, *x), mygrad.tensor, name=name), *inputs)
    assert report.verdict is Verdict.PASS, str(report)


def test_every_op_of_mygrad_is_judged(mygrad, require):
    """What MyGrad exports is in the lists above, or has no gradient."""
    nnet = require("mygrad.nnet")
    judged = {s.split(":")[0] for s in (*UNARY_AT, *BINARY.split(), *OTHERS)}
    exported = {name for name, f in vars(mygrad).items() if callable(f) and not name.startswith("_")}
    exported |= {f"nnet.{n}" for part in ("activations", "layers", "losses") for n in getattr(nnet, part).__all__}
    assert exported - judged - set(NO_GRADIENT.split()) == set()
    assert len([*UNARY_AT, *BINARY.split(), *OTHERS]) == 109


def test_mygrads_functions_and_models_are_recognised(mygrad):
    """Its functions by their module, an object by the tensors it holds; which are left as they were."""

    class Dense:
        def __init__(self):
            self.w, self.b = mygrad.tensor(RNG.normal(size=(4, 2))), mygrad.tensor(np.zeros(2))

        def __call__(self, x):
            return mygrad.tanh(x @ self.w + self.b)

    model = Dense()
    before = model.w.data.copy()
    report = gradcheck.check(model, X)
    assert report.verdict is Verdict.PASS, str(report)
    assert set(report.resolutions) == {"x", "w", "b"}
    assert report.notes == ("constant as they start, so judged at values around that: b",)
    assert np.array_equal(model.w.data, before)
    assert np.array_equal(model.b.data, np.zeros(2))
    assert model.w.grad is None
    assert gradcheck.check(mygrad.exp, X).verdict is Verdict.PASS


def test_several_and_nested_inputs_and_outputs_are_judged(mygrad):
    """Trees of arrays become trees of values; integers and frozen arrays stay arrays."""

    def function(batch, pick, held):
        return {"a": batch["x"] * held, "b": [batch["y"][pick].sum()]}

    target = from_tape(function, mygrad.tensor, frozen="held")
    report = gradcheck.check(target, {"x": X, "y": Y}, np.array([0, 2, 0]), X + 1)
    assert report.verdict is Verdict.PASS, str(report)
    assert set(report.resolutions) == {"batch['x']", "batch['y']"}


def test_an_engine_whose_backward_takes_no_cotangent_is_judged():
    """The product with the cotangent is put on its tape; a planted factor is found."""
    report = gradcheck.check(from_tape(lambda x, y: (x * y).sin() + x, Variable), X, Y)
    assert report.verdict is Verdict.PASS, str(report)
    finding = gradcheck.check(from_tape(lambda x: x.sin(wrong=2.0), Variable), X).findings[0]
    assert finding.kind is Kind.FACTOR
    assert finding.claimed == pytest.approx(2 * finding.numeric)


def test_parameters_that_the_first_call_makes_are_judged():
    """As DeZero's, whose data is None before; those that stay so are left out."""

    class Lazy:
        def __init__(self, wrong=1.0):
            self.w, self.never, self.wrong = Variable(0.0), Variable(0.0), wrong
            self.w.data = self.never.data = None

        def __call__(self, x):
            if self.w.data is None:
                self.w.data = np.cos(x.data)
            return x + (self.w * x).sin(self.wrong)

    report = gradcheck.check(Lazy(), X)
    assert report.verdict is Verdict.PASS, str(report)
    assert set(report.resolutions) == {"x", "w"}
    assert {f.input for f in gradcheck.check(Lazy(wrong=2.0), X).findings} == {"x", "w"}


# -- recognised, and refused -------------------------------------------------------------------------------------------


def test_values_are_told_from_what_only_looks_like_them(require):
    """A layer with forward and backward is no value, nor is a tensor of a framework with an adapter of its own."""

    class Layer:
        grad = None

        def backward(self, dy):
            return dy

    assert is_value(Variable(1.0))
    assert not any(map(is_value, (Layer(), X, 3.0, Variable, np.tanh)))
    torch = require("torch")
    assert not is_value(torch.ones(2))
    assert parameters_of(torch.nn.Linear(2, 2)) == []
    assert not tapes.recognises(np.tanh)
    assert not tapes.recognises(lambda x: x)


def test_a_model_that_holds_itself_is_walked_once():
    """Cycles end, and one value under two names is one parameter."""

    class Model:
        def __init__(self):
            self.me, self.w = self, Variable(X)
            self.same = [self.w]

        def __call__(self, x):
            return x * self.w

    assert [p.name for p in parameters_of(Model())] == ["w"]
    assert gradcheck.check(Model(), Y).verdict is Verdict.PASS


def test_an_unknown_class_of_values_is_asked_for():
    """A plain function says nothing of the values it works on; what cannot be called is refused."""
    with pytest.raises(TypeError, match=r"cannot see which values lambda works on: .* from_tape\(lambda, Value\)"):
        from_tape(lambda x: x)
    with pytest.raises(TypeError, match="takes a function of values or a model that holds them, got 3"):
        from_tape(3)


def test_recognising_does_not_import_mygrad(monkeypatch):
    """Whatever is asked about, MyGrad is looked up, not imported."""
    monkeypatch.delitem(sys.modules, "mygrad", raising=False)
    tapes.recognises(np.tanh)
    assert "mygrad" not in sys.modules
