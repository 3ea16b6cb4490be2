"""from_layer: what can be said by name, what is refused and in which words, and how layers are found and searched."""
# ruff: noqa: D102 - the methods of other people's layers

import types

import numpy as np
import pytest

from gradcheck import Kind, Report, Verdict, as_target, check, from_functions, from_layer, search
from gradcheck.adapters.functions import pairs_in
from properties.zoo import planted, right
from properties.zoo.calls import closure_called
from properties.zoo.epsilons import EPSILONS, OTHERS, P
from properties.zoo.functions import pair_with_a_cache
from properties.zoo.losses import called_at_once
from properties.zoo.objects import attributes, created_lazily

X = np.random.default_rng(0).normal(size=(4, 3))


class Odd:
    """A layer in no known convention: nothing is called what it is."""

    def __init__(self, factor: float = 1.0) -> None:
        self.theta, self.result, self.factor = X[:3, :2].copy(), None, factor

    def go(self, x, scale=1.0):
        self.seen, self.scale = x, scale
        return scale * (x @ self.theta)

    def come(self, dout):
        self.result = (self.factor * self.scale * self.seen.T @ dout,)
        return self.scale * dout @ self.theta.T


def judged(report: Report) -> set[str | int]:
    return {block.input for block in report.blocks}


# -- by name ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.0, 1.01])
@pytest.mark.parametrize(
    "options",
    [
        {"forward": "go", "backward": "come", "grads": {"theta": "result[0]"}},
        {"forward": "go", "backward": "come", "params": ["theta"], "grads": lambda layer: {"theta": layer.result[0]}},
        {"forward": lambda layer, x: layer.go(x), "backward": lambda layer, dout: layer.come(dout)},
        {
            "forward": "go",
            "backward": lambda layer, dout: {"x": layer.come(dout), "weight": layer.result[0]},
            "params": lambda layer: {"weight": layer.theta},
        },
    ],
    ids=["names", "functions of gradients", "functions of passes", "all of it"],
)
def test_every_part_of_a_convention_can_be_given(options: dict[str, object], factor: float) -> None:
    """Three to ten lines for a layer in no known convention, and they hide nothing."""
    report = check(from_layer(Odd(factor), **options), X)
    assert report.verdict is (Verdict.PASS if factor == 1.0 else Verdict.FAIL), str(report)
    assert judged(report) in ({"theta", "x"}, {"weight", "x"})


def test_frozen_names_inputs_and_parameters() -> None:
    """What is declared frozen is not judged."""
    make = attributes(planted("W", lambda g: 0 * g))
    assert judged(check(from_layer(make, frozen=["W"]), X)) == {"b", "x"}
    assert judged(check(from_layer(attributes(right), frozen="x"), X)) == {"W", "b"}


def test_settings_are_arguments_of_the_methods_by_name() -> None:
    """scale=3 is given to forward at every call."""
    target = from_layer(Odd(), forward="go", backward="come", grads={"theta": "result[0]"}, scale=3.0)
    bound, arrays = target.bound((X,))
    assert np.allclose(bound.value(*arrays, Odd().theta), 3 * X @ Odd().theta)
    assert check(target, X).verdict is Verdict.PASS


@pytest.mark.parametrize("flag", ["training", "_is_training", "test"])
def test_a_layer_in_use_is_judged_as_it_is_and_the_report_says_how_to_judge_it_in_training(flag: str) -> None:
    """A backward that is written for training only is wrong for a layer in use, and right when it is trained."""

    class Noise:
        def __init__(self) -> None:
            setattr(self, flag, flag == "test")
            self.train_flag = False  # which nothing looks at

        def forward(self, x):
            self.mask = np.arange(3) * 2.0
            return x * self.mask if getattr(self, flag) != (flag == "test") else x

        def backward(self, dout):
            return dout * self.mask

    report = check(Noise, X)
    assert report.verdict is Verdict.FAIL
    assert report.notes[1:] == (
        f"judged as it is, with {flag} = {flag == 'test'}; training=True judges it in training",
    )
    report = check(from_layer(Noise, training=True), X)
    assert (report.verdict, len(report.notes)) == (Verdict.PASS, 1)


def test_no_gradient_hides_behind_an_initial_value() -> None:
    """Parameters that start as ones or zeros are moved: a scale left out of dx is invisible at one."""

    class Scale:
        def __init__(self) -> None:
            self.gamma = np.ones(3)

        def forward(self, x):
            self.x = x
            return x * self.gamma

        def backward(self, dout):
            self.dgamma = (dout * self.x).sum(0)
            return dout

    report = check(Scale, X)
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].input == "x"
    assert "gamma: the same number everywhere, moved to random ones" in report.notes


@pytest.mark.parametrize("gain", [1, 1.0, -1.0, np.ones(1), np.array(1.0)], ids=repr)
def test_no_gradient_hides_behind_a_single_one(gain) -> None:
    """Nor behind a number: a gain of one that dx forgets, and a shift of zero that the gain's gradient forgets."""

    class Scale:
        def __init__(self) -> None:
            self.gain = gain

        def forward(self, x):
            self.x = x
            return x * self.gain

        def backward(self, dout):
            self.dgain = np.sum(dout * self.x)
            return dout * np.sign(self.gain)

    report = check(Scale, X)
    assert report.verdict is Verdict.FAIL
    assert {finding.input for finding in report.findings} == {"x"}


# -- refused ----------------------------------------------------------------------------------------------------


class Half:
    """Forward only."""

    def forward(self, x):
        return x

    def train_step(self, x, y): ...


class Mute:
    """A backward that leaves nothing."""

    def forward(self, x):
        return 2 * x

    def backward(self, dout):
        return None


class Sized:
    """A class that must be told its size."""

    def __init__(self, size): ...

    def forward(self, x):
        return x

    def backward(self, dout):
        return dout


class Cacheless:
    """A backward with a cache that forward of two inputs does not return."""

    def forward(self, x, w=1.0):
        return x * w

    def backward(self, dout, cache):
        return dout * cache


class Strange(Mute):
    """A backward with an argument that nobody knows."""

    def backward(self, dout, temperature):
        return dout


@pytest.mark.parametrize(
    ("layer", "options", "error", "words"),
    [
        (Half, {}, TypeError, r"Half has no method known as a backward pass \(its methods: forward, train_step\); say "
         r"which: from_layer\(…, backward='its name'\)"),
        (Sized, {}, TypeError, r"Sized cannot be made without arguments \(missing a required argument: 'size'\); give "
         r"a function that makes one: from_layer\(lambda: Sized\(…\)\)"),
        (Mute, {}, TypeError, r"backward returned nothing and left no gradient on the layer; say where they are"),
        (Strange, {}, TypeError, r"backward wants temperature beside its cotangent, and forward returned one value"),
        (Cacheless, {}, TypeError, r"backward wants cache beside its cotangent, and forward returned one value"),
        (Odd, {"backward": "come"}, TypeError, r"Odd has no method known as a forward pass \(its methods: come, go\)"),
        (attributes(right), {"convention": "torch"}, ValueError, r"convention must be 'auto' or 'vjp', got 'torch'"),
        (attributes(right), {"frozn": "x"}, TypeError, r"from_layer got an argument 'frozn', which neither forward nor "
         r"backward takes \(dout, x\)"),
        (attributes(right), {"params": ["V"]}, ValueError, r"params names 'V', and the layer has W, b; name"),
        (attributes(right), {"grads": {"V": "dV"}}, ValueError, r"grads names a parameter 'V', and the par.* W, b"),
        (attributes(right), {"grads": {"W": "dV"}}, ValueError, r"grads has the gradient of W in 'dV'; after backward"),
        (attributes(right), {"frozen": "V"}, ValueError, r"frozen names 'V', and the layer has W, b, x"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_a_remedy(layer, options, error, words) -> None:
    """An error names the value, the rule and what to do."""
    with pytest.raises(error, match=words):
        check(from_layer(layer, **options), X)


def test_the_gradient_of_a_loss_that_is_not_there_is_refused_and_its_loss_asked_for() -> None:
    """A backward that is handed labels which forward never saw is nobody's pullback; with its loss it can be judged."""

    class Output:
        def __init__(self) -> None:
            self.W = X[:3, :2].copy()

        def forward(self, x):
            self.x, self.out = x, x @ self.W
            return self.out

        def backward(self, y):
            self.dW = self.x.T @ (self.out - y)
            return (self.out - y) @ self.W.T

    class Beside(Output):
        def backward(self, upstream, y=None):
            return super().backward(y)

    y = np.ones((4, 2))
    words = r"backward takes labels \(y\) that forward does not: it is the gradient of a loss behind it\. Put"

    class Network(Output):  # as in Nielsen's book
        def backprop(self, x, y):
            return {"W": x.T @ (x @ self.W - y)}

        feedforward, forward, backward = Output.forward, None, None

    for layer in (Output, Beside):
        with pytest.raises(TypeError, match=words):
            check(layer, X)
    with pytest.raises(TypeError, match=r"backprop takes labels \(y\) that feedforward does not"):
        check(Network, X)
    target = from_layer(
        Output,
        forward=lambda layer, x: 0.5 * np.sum((layer.forward(x) - y) ** 2),
        backward=lambda layer, cotangent: layer.backward(y),
    )
    report = check(target, X)
    assert (report.verdict, judged(report)) == (Verdict.PASS, {"x", "W"})


def test_a_wrong_number_of_inputs_is_refused() -> None:
    """As many as forward takes."""
    with pytest.raises(TypeError, match=r"forward takes 1 input \(x\), got 2; give one array for each"):
        check(from_layer(attributes(right)), X, X)
    with pytest.raises(TypeError, match=r"forward takes 2 inputs \(q, k\), got 1"):
        check(from_layer(type("Two", (Mute,), {"forward": lambda self, q, k: q})), X)


def test_a_forward_that_raises_is_inconclusive_and_a_backward_that_raises_is_a_finding() -> None:
    """Neither is an error of the one who asks."""
    report = check(from_layer(attributes(right)), X[:, :2])
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].startswith("forward raised ValueError: matmul")

    class Broken(Mute):
        def backward(self, dout):
            raise IndexError("axis 3")

    report = check(Broken, X)
    assert report.findings[0].kind is Kind.RAISES
    assert "IndexError: axis 3" in report.findings[0].message


# -- found ------------------------------------------------------------------------------------------------------


def test_classes_objects_and_pairs_need_no_adapter_named() -> None:
    """check(layer, x) is enough."""
    assert check(attributes(right), X).verdict is Verdict.PASS
    assert check(attributes(right)(), X).verdict is Verdict.PASS
    assert check(pair_with_a_cache(right), X, X.T[:, :2].copy(), X[0, :2]).verdict is Verdict.PASS
    assert as_target(attributes(right)).name == "Dense"
    assert as_target((np.tanh, lambda inputs, g: g)).bind is None  # a pair (f, vjp) stays what it was


def test_a_layer_that_returns_its_pullback_needs_no_adapter_named() -> None:
    """Told by the words of its return statement, before it is run; what it returns after all is said when it is not."""

    class Two:
        def forward(self, x):
            return 2 * x, 3 * x

    class Straight:
        def forward(self, x):
            return 2 * x, lambda dy: 2 * dy

    class Broken:
        def forward(self, x):
            pullback = lambda dy: 2 * dy  # noqa: E731
            if x.size > 1:
                return 2 * x
            return 2 * x, pullback

    assert judged(check(Straight, X)) == judged(check(Straight(), X)) == {"x"}
    with pytest.raises(TypeError, match="cannot make a target of"):
        as_target(Two)
    with pytest.raises(TypeError, match=r"forward was to return \(value, pullback\), and returned ndarray"):
        check(Broken, X)


@pytest.mark.parametrize("name", ["literal", "attribute", "variable", "of each entry", "in a method"])
def test_an_epsilon_is_a_mistake_where_probabilities_come_near_it(name: str) -> None:
    """At p = 1e-8 the loss is flat and its gradient is not, in one example of four: wrong, and the report says why."""
    specimen = next(s for s in EPSILONS if s.name == name)
    near = np.array([[1e-8, 0.5, 0.5 - 1e-8], *P[1:].tolist()])
    report = check(specimen.make(right), *(near if x is P else x for x in specimen.inputs))
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].index == (0, 0)
    assert any(n.startswith("epsilon in the loss only") and "more than a hundredth here" in n for n in report.notes)


def test_an_epsilon_in_both_or_in_neither_is_not_spoken_of() -> None:
    """Nor one that stands elsewhere than in a log, nor one whose source cannot be taken apart."""

    class Neither:
        def loss(self, y, p):
            return -np.sum(y * np.log(p)) + 1e-7 * np.sum(p + 1e-7)

        def grad(self, y, p):
            return -y / p + 1e-7

    class Private:
        def __init__(self) -> None:
            self.__eps = 1e-3

        def loss(self, y, p):
            return -np.sum(y * np.log(p + self.__eps))

        def grad(self, y, p):
            return -y / (p + self.__eps)

    specimen = next(s for s in OTHERS if s.name == "epsilon in both")
    for layer in (Neither, Private, specimen.make(right)):
        report = check(layer, *specimen.inputs)
        assert report.verdict is Verdict.PASS
        assert len(report.notes) == 1


def test_a_number_that_cannot_be_an_array_is_said_to_be_unjudged() -> None:
    """Where a layer insists on its number, or keeps it where nothing can be put."""

    class Insisting:
        def __init__(self) -> None:
            self.alpha = 0.25

        def forward(self, x):
            if not isinstance(self.alpha, float):
                raise TypeError("alpha must be a float")
            return self.alpha * x

        def backward(self, dout):
            self.dalpha = 7.0
            return dout / 4

    class Fixed:
        def __init__(self) -> None:
            self.params = (0.25,)

        def forward(self, x):
            self.x = x
            return self.params[0] * x

        def backward(self, dout):
            self.grads = ((dout * self.x).sum(),)
            return dout * self.params[0]

    report = check(Insisting, X)
    assert report.verdict is Verdict.PASS
    assert "alpha is a number, with a gradient dalpha: not judged; an array would be" in report.notes
    assert "params[0] is a number, with a gradient grads[0]: not judged; an array would be" in check(Fixed, X).notes


def test_a_gradient_of_zero_is_not_said_to_accumulate() -> None:
    """A bias before a normalisation has none, but for rounding."""

    class Centred:
        def __init__(self) -> None:
            self.b = np.array([0.5, -1.0, 2.0])

        def forward(self, x):
            z = x + self.b
            return z - z.mean(0)

        def backward(self, dout):
            dz = dout - dout.mean(0)
            self.db = dz.sum(0)
            return dz

    report = check(Centred, X)
    assert report.verdict is Verdict.PASS
    assert judged(report) == {"x", "b"}
    assert len(report.notes) == 1


@pytest.mark.parametrize(
    ("forward", "backward"),
    [("forwardProp", "backProp"), ("Forward", "Backward"), ("feedForward", "backPropagate"), ("fprop", "BackwardPass")],
)
def test_passes_are_known_however_their_names_are_written(forward: str, backward: str) -> None:
    """In capitals, in camel case, with underscores or without."""
    layer = type("Double", (), {forward: lambda self, x: 2 * x, backward: lambda self, dout: 2 * dout})
    report = check(layer, X)
    assert report.verdict is Verdict.PASS
    assert report.notes == (f"recognised: {forward}(x); {backward} returns dx",)


def test_classes_whose_objects_are_called_need_no_adapter_named() -> None:
    """Every class can be called; one that says what calling its objects does has a forward."""

    class Called:
        def __call__(self, x):
            return 2 * x

        def backward(self, dout):
            return 2 * dout

    for layer in (Called, closure_called(right), called_at_once(right)):
        inputs = (X,) if layer.__name__ != "CrossEntropyLoss" else (X, np.array([0, 2, 1, 1]))
        assert check(layer, *inputs).verdict is check(layer(), *inputs).verdict is Verdict.PASS
    with pytest.raises(TypeError, match="cannot make a target of"):
        as_target(type("Backwards", (), {"backward": lambda self, dout: dout}))


def test_search_judges_a_layer_at_many_shapes() -> None:
    """A layer whose parameters are made by its first forward fits them all."""
    report = search(from_layer(created_lazily(right)), x=("n", "k"), max_examples=20, seed=1)
    assert report.verdict is Verdict.PASS
    assert report.examples == 20
    assert not report.inconclusive


def test_search_finds_what_shows_in_some_batches_only() -> None:
    """A bias gradient that is not summed is right for a batch of one."""

    class Shift:
        def __init__(self) -> None:
            self.b = np.array([0.5, -1.0])

        def forward(self, x):
            return x + self.b

        def backward(self, dout):
            self.db = dout[0]
            return dout

    assert check(Shift, X[:1, :2]).verdict is Verdict.PASS
    report = search(from_layer(Shift), x=("n", 2), max_examples=40, seed=0)
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].input == "b"
    assert report.case.sizes == {"n": 2}


def test_pairs_in_a_module_are_found_by_name() -> None:
    """x_forward with x_backward, its variants with it, and nothing that has no partner."""
    module = types.ModuleType("layers")
    code = """
def affine_forward(x, w): ...
def affine_backward(dout, cache): ...
def conv_forward_naive(x): ...
def conv_backward_naive(dout, cache): ...
def batchnorm_forward(x): ...
def batchnorm_backward(dout, cache): ...
def batchnorm_backward_alt(dout, cache): ...
def forward_tanh(x): ...
def backward_tanh(dy, cache): ...
def gelu(x): ...
def gelu_vjp(x, g): ...
def lonely_backward(dout, cache): ...
def helper(x): ...
"""
    exec(code, vars(module))
    found = {pair.name: (pair.forward.__name__, pair.backward.__name__) for pair in pairs_in(module)}
    assert found == {
        "affine": ("affine_forward", "affine_backward"),
        "conv_naive": ("conv_forward_naive", "conv_backward_naive"),
        "batchnorm": ("batchnorm_forward", "batchnorm_backward"),
        "batchnorm_alt": ("batchnorm_forward", "batchnorm_backward_alt"),
        "tanh": ("forward_tanh", "backward_tanh"),
        "gelu": ("gelu", "gelu_vjp"),
    }


def test_a_function_alone_that_is_no_loss_is_refused() -> None:
    """from_functions with one function wants (loss, gradients)."""
    with pytest.raises(TypeError, match=r"function returned ndarray, and there is no backward pass"):
        check(from_functions(lambda x: x * 2), X)


@pytest.mark.parametrize("name", ["GradientReversal", "StraightThrough", "Quantizer"])
def test_what_is_wrong_by_design_is_named_as_such(name: str) -> None:
    """The finding stays, and the report says what it may be."""
    layer = type(name, (Mute,), {"forward": lambda self, x: np.round(x) + x, "backward": lambda self, dout: -dout})
    report = check(layer, X)
    assert report.verdict is Verdict.FAIL
    assert any(note.startswith(f"by design? a layer called {name}") for note in report.notes)


def test_a_value_that_raises_does_not_stand_for_others_of_its_shape() -> None:
    """What is remembered is how a layer was recognised, never that it raised."""

    class Log(Mute):
        def forward(self, x):
            if np.any(x <= 0):
                raise ValueError("not positive")
            self.x = x
            return np.log(x)

        def backward(self, dout):
            return dout / self.x

    target = from_layer(Log)
    assert check(target, -np.ones((2, 2))).verdict is Verdict.INCONCLUSIVE
    assert check(target, np.ones((2, 2))).verdict is Verdict.PASS


def test_a_derivative_that_wants_more_than_the_inputs_says_what_to_do() -> None:
    """numpy-ml's squared error wants the activation before it."""

    class Squared:
        def loss(self, y, y_pred):
            return 0.5 * np.sum((y - y_pred) ** 2)

        def grad(self, y, y_pred, z, act_fn):
            return (y_pred - y) * act_fn.grad(z)

    with pytest.raises(TypeError, match=r"grad wants z, act_fn beside the inputs of loss; put it in: from_layer"):
        check(Squared, X, 2 * X)
    put_in = from_layer(Squared, forward="loss", backward=lambda layer, g: (None, g * (2 * X - X)))
    assert check(put_in, X, 2 * X).verdict is Verdict.PASS


def test_inputs_at_the_edge_of_a_domain_are_recognised_as_they_are() -> None:
    """The inputs are moved to look at a layer, and not moved where it has no value there."""

    class Root:
        def __init__(self) -> None:
            self.w = np.array([1.5, 2.5])

        def forward(self, x):
            if not np.all(np.abs(x) <= 1):
                return np.full(x.shape, np.nan)
            self.x = x
            return self.w * np.arccos(x)

        def backward(self, dout):
            self.dw = (dout * np.arccos(self.x)).sum(0)
            return -dout * self.w / np.sqrt(1 - self.x**2)

    x = np.array([[0.99, -0.99], [0.5, 0.0]])
    report = check(Root, x)
    assert report.verdict is Verdict.PASS
    assert judged(report) == {"x", "w"}


@pytest.mark.parametrize("cropped", [False, True])
def test_a_gradient_left_under_an_inputs_own_name_is_its_gradient_whatever_its_shape(cropped: bool) -> None:
    """A slice that ends at −0 is empty: self.dx then has another shape than x, which is the mistake, and no reason to
    hold x fixed.
    """

    class Pad:
        def forward(self, x):
            self.x = x
            return 2 * x

        def backward(self, dout):
            self.dx = 2 * dout[:, 0:-0] if cropped else 2 * dout

    report = check(from_layer(Pad), X)
    assert judged(report) == (set() if cropped else {"x"})
    assert {(finding.input, finding.kind) for finding in report.findings} == ({("x", Kind.SHAPE)} if cropped else set())


@pytest.mark.parametrize("bias", ["right", "wrong"])
@pytest.mark.parametrize("eta", [1.0, 1e-3, 1e-5])
def test_a_small_learning_rate_accuses_nobody(eta: float, bias: str) -> None:
    """A gradient read off a step has few digits left in the parameter where rate and cotangent are small; a tiny
    cotangent is asked about at another size.
    """

    class Dense:
        def __init__(self) -> None:
            self.W, self.b, self.eta = X[:3, :2].copy(), X[0, :2].copy(), eta

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dout):
            dx = dout @ self.W.T
            self.W -= self.eta * self.x.T @ dout
            self.b -= self.eta * (dout.sum(0) if bias == "right" else dout.sum())
            return dx

    for seed in range(3):
        report = check(from_layer(Dense), np.random.default_rng(seed).normal(size=(3, 3)), seed=seed)
        assert judged(report) == {"x", "W", "b"}
        assert {f.input for f in report.findings if f.kind is not Kind.MUTATES} == ({"b"} if bias == "wrong" else set())
