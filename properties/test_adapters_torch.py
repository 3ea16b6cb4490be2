"""from_torch: what PyTorch's own authors wrote passes, what is planted in an autograd.Function is caught and named."""

import sys
import warnings

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Verdict, from_torch
from gradcheck.adapters import torch_

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def torch(require):
    return require("torch")


def normal(*shape):
    return RNG.normal(size=shape)


def within(*shape):
    """Numbers between 0 and 1, away from both."""
    return RNG.uniform(0.1, 0.9, shape)


def labels(classes, *shape):
    return RNG.integers(0, classes, shape)


# -- what nobody here wrote -------------------------------------------------------------------------------------------
# Each family: inputs, and modules of torch.nn as they are spelled there. Hardsigmoid and MaxUnpool2d stand below: torch
# has them wrong.

VECTORS = (
    "ReLU() ReLU6() ELU() SELU() CELU() GELU() GELU('tanh') SiLU() Mish() Softplus() Softsign() Softshrink() "
    "Hardshrink() Hardtanh() Hardswish() LeakyReLU() LogSigmoid() PReLU(4) RReLU() Sigmoid() Tanh() Tanhshrink() "
    "Threshold(0.1,2.0) Softmax(-1) Softmin(-1) LogSoftmax(0) GLU() Identity() Flatten() Unflatten(1,(2,2)) Dropout() "
    "AlphaDropout() FeatureAlphaDropout() Linear(4,3) LazyLinear(3) LayerNorm(4) RMSNorm(4) BatchNorm1d(4) "
    "BatchNorm1d(4).eval() ReLU(inplace=True) ELU(inplace=True) Dropout(inplace=True)"
)
SEQUENCES = (
    "Conv1d(3,4,3) ConvTranspose1d(3,2,3,stride=2) MaxPool1d(2) AvgPool1d(2) AdaptiveAvgPool1d(3) AdaptiveMaxPool1d(3) "
    "LPPool1d(2,2) InstanceNorm1d(3,affine=True) ReflectionPad1d(2) ReplicationPad1d(2) ConstantPad1d(2,1.0) "
    "ZeroPad1d(1) CircularPad1d(1) Dropout1d() GroupNorm(3,3)"
)
IMAGES = (
    "Conv2d(4,4,3,padding=1,groups=2,dilation=2) ConvTranspose2d(4,2,2) MaxPool2d(2,stride=1) AvgPool2d(2) "
    "AdaptiveAvgPool2d(3) AdaptiveMaxPool2d(2) FractionalMaxPool2d(2,output_size=2) LPPool2d(2,2) BatchNorm2d(4) "
    "GroupNorm(2,4) InstanceNorm2d(4) LocalResponseNorm(2) PixelShuffle(2) PixelUnshuffle(2) "
    "Upsample(scale_factor=2,mode='bilinear') UpsamplingNearest2d(scale_factor=2) UpsamplingBilinear2d(scale_factor=2) "
    "ReflectionPad2d(1) ReplicationPad2d(1) ZeroPad2d(1) Dropout2d() Unfold(2) ChannelShuffle(2) Softmax2d()"
)
VOLUMES = (
    "Conv3d(2,2,2) ConvTranspose3d(2,2,2) MaxPool3d(2) AvgPool3d(2) AdaptiveAvgPool3d(2) BatchNorm3d(2) "
    "InstanceNorm3d(2) Dropout3d()"
)
INDICES = "Embedding(5,3) Embedding(5,3,sparse=True) EmbeddingBag(5,3,mode='sum') EmbeddingBag(5,3,mode='max')"
RECURRENT = "RNN(3,4) LSTM(3,2,2,bidirectional=True) LSTM(3,4,2,dropout=0.3,proj_size=2) GRU(3,4)"
TWO_FLOATS = "L1Loss() MSELoss() SmoothL1Loss() HuberLoss() CosineSimilarity() PairwiseDistance() Bilinear(3,3,2)"
LABELLED = "CrossEntropyLoss(label_smoothing=0.1) CrossEntropyLoss() NLLLoss() MultiMarginLoss()"

FAMILIES = [
    (VECTORS, (normal(5, 4),)),
    (SEQUENCES, (normal(2, 3, 6),)),
    (IMAGES, (normal(2, 4, 4, 4),)),
    (VOLUMES, (normal(2, 2, 2, 2, 2),)),
    (INDICES, (labels(5, 4, 2),)),
    (RECURRENT, (normal(4, 2, 3),)),
    (TWO_FLOATS, (normal(4, 3), normal(4, 3))),
    (LABELLED, (normal(4, 3), labels(3, 4))),
    ("Fold((4,4),(2,2))", (normal(2, 8, 9),)),
    ("MaxUnpool1d(2)", (normal(1, 1, 2), np.array([[[0, 3]]]))),
    ("RNNCell(3,4) GRUCell(3,4)", (normal(2, 3), normal(2, 4))),
    ("LSTMCell(3,4)", (normal(2, 3), (normal(2, 4), normal(2, 4)))),
    ("MultiheadAttention(4,2)", (normal(3, 2, 4), normal(3, 2, 4), normal(3, 2, 4))),
    ("BCELoss()", (within(4, 3), within(4, 3))),
    ("BCEWithLogitsLoss() KLDivLoss(reduction='batchmean') PoissonNLLLoss()", (normal(4, 3), within(4, 3))),
    ("CrossEntropyLoss()", (normal(4, 3), within(4, 3))),
    ("GaussianNLLLoss()", (normal(4, 3), normal(4, 3), within(4, 3))),
    ("MultiLabelMarginLoss()", (normal(2, 3), np.array([[0, -1, 1], [2, 1, -1]]))),
    ("MultiLabelSoftMarginLoss()", (normal(4, 3), labels(2, 4, 3).astype(float))),
    ("HingeEmbeddingLoss()", (normal(4, 3), 2 * labels(2, 4, 3) - 1)),
    ("CosineEmbeddingLoss()", (normal(4, 3), normal(4, 3), np.array([1, -1, 1, -1]))),
    ("MarginRankingLoss()", (normal(4), normal(4), np.array([1, -1, 1, -1]))),
    ("TripletMarginLoss() TripletMarginWithDistanceLoss()", (normal(4, 3), normal(4, 3), normal(4, 3))),
    ("AdaptiveLogSoftmaxWithLoss(4,6,[2,4],div_value=1.0)", (normal(5, 4), labels(6, 5))),
]
MODULES = [(spelling, inputs) for family, inputs in FAMILIES for spelling in family.split()]


@pytest.mark.parametrize(("spelling", "inputs"), MODULES, ids=[spelling for spelling, _ in MODULES])
def test_no_module_of_torch_is_accused(torch, spelling, inputs):
    """Every layer, activation and loss passes with all its parameters, at inputs where a mistake would show."""
    torch.manual_seed(0)
    report = gradcheck.check(from_torch(eval(f"nn.{spelling}", {"nn": torch.nn})), *inputs)
    assert report.verdict is Verdict.PASS, str(report)


def test_at_least_sixty_kinds_of_modules_are_judged():
    """The list above is as long as it is said to be."""
    assert len({spelling.split("(")[0] for spelling, _ in MODULES}) >= 100


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    "spelling", ["Linear(4,3)", "Tanh()", "LayerNorm(4)", "Softmax(-1)", "GELU()", "BatchNorm1d(4)"]
)
def test_lower_precisions_are_judged_for_what_they_resolve(torch, spelling, dtype):
    """Parameters take the dtype of the inputs, and the resolution says what that is worth."""
    torch.manual_seed(0)
    report = gradcheck.check(from_torch(eval(f"nn.{spelling}", {"nn": torch.nn})), normal(5, 4).astype(dtype))
    assert report.verdict is Verdict.PASS, str(report)
    assert report.dtype == dtype
    assert report.resolution < 20 * np.finfo(dtype).eps ** (2 / 3)  # a central difference at its best, in 20 bars


def test_what_torch_has_wrong_is_found(torch):
    """torch 2.13 multiplies by float32's 1/6 in hardsigmoid's backward, whatever the dtype: 3e-8 too much."""
    report = gradcheck.check(from_torch(torch.nn.Hardsigmoid()), np.array([0.5, -1.0]))
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.nn.functional.hardsigmoid(x), x)
    if float(slope) == 1 / 6:
        pytest.skip("this torch has it right")
    assert float(slope) == float(np.float32(1 / 6))
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].claimed / report.findings[0].numeric - 1 == pytest.approx(3e-8, rel=0.01)


# -- planted -----------------------------------------------------------------------------------------------------------


def planted(torch, backward, forward=lambda x: x**3):
    """An autograd.Function with this forward, and backward(x, g)."""

    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(*ctx.saved_tensors, g)

    return Planted


FAULTS = {
    Kind.SIGN: lambda x, g: -3 * x**2 * g,
    Kind.FACTOR: lambda x, g: 1.5 * x**2 * g,
    Kind.ZERO: lambda x, g: 0 * g,
    Kind.NONLINEAR: lambda x, g: 3 * x**2 * g.abs(),
    Kind.IGNORES_COTANGENT: lambda x, g: 3 * x**2,
    Kind.MUTATES: lambda x, g: g.mul_(3 * x**2).clone(),
    Kind.ACCUMULATES: lambda x, g: seen.append(3 * x**2 * g) or sum(seen),
    Kind.BRANCH: lambda x, g: 3 * x**2 * g * (x > 0),
    Kind.NONFINITE: lambda x, g: 3 * x**2 * g / 0,
    Kind.LOW_PRECISION: lambda x, g: (3 * x**2 * g).half().to(x.dtype),
}
seen: list = []


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name)
def test_a_planted_fault_is_caught_and_named(torch, kind):
    """Each wrong backward is a FAIL whose first kind is what was planted."""
    seen.clear()
    report = gradcheck.check(from_torch(planted(torch, FAULTS[kind])), np.array([[0.7, -1.3, 2.1], [-0.4, 1.7, 0.9]]))
    assert report.verdict is Verdict.FAIL
    assert kind in {k for f in report.findings for k in (f.kind, *f.kinds)}, str(report)
    assert report.target == "Planted"


def test_a_gradient_not_summed_over_a_batch_of_one_row_is_caught(torch):
    """A bias gradient that takes the first row for the sum of rows is right at batch 1 only."""

    class Dense(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, b):
            ctx.save_for_backward(x, w)
            return x @ w + b

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g @ w.T, x.T @ g, g[0]

    target = from_torch(Dense)
    x, w, b = normal(4, 3), normal(3, 2), normal(2)
    assert gradcheck.check(target, x[:1], w, b).verdict is Verdict.PASS
    finding = gradcheck.check(target, x, w, b).findings[0]
    assert finding.input == "b"
    assert finding.kind in (Kind.BATCH, Kind.NOT_SUMMED)
    found = gradcheck.search(target, x=("n", 1), w=(1, 1), b=(1,), max_examples=10, seed=0)
    assert found.verdict is Verdict.FAIL
    assert found.case.inputs[0].shape == (2, 1)


def test_a_stale_class_level_cache_is_caught(torch):
    """A Function that keeps its input on the class rather than in ctx answers for the last forward."""

    class Stale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            Stale.x = x
            return x**3

        @staticmethod
        def backward(ctx, g):
            return 3 * Stale.x**2 * g

    assert Kind.STALE in {f.kind for f in gradcheck.check(from_torch(Stale), normal(3)).findings}


def test_a_backward_that_draws_its_mask_anew_is_caught(torch):
    """Seeding does not hide a dropout whose backward draws another mask than its forward did."""

    def mask(x):
        return (torch.rand(x.shape) < 0.5).to(x.dtype) * 2

    wrong = planted(torch, lambda x, g: g * mask(x), forward=lambda x: x * mask(x))
    assert gradcheck.check(from_torch(wrong), normal(4, 5)).verdict is Verdict.FAIL


def test_a_forward_that_writes_behind_autograds_back_is_caught(torch):
    """Writing into an input without mark_dirty is a fault; an op that tells autograd is given a copy."""

    class Writes(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            return 1 * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    assert Kind.MUTATES in {f.kind for f in gradcheck.check(from_torch(Writes), normal(3)).findings}
    told = gradcheck.check(from_torch(lambda x: x.mul_(2)), normal(3))
    assert told.verdict is Verdict.PASS
    assert "forward writes into its inputs, as autograd lets it: it is given copies" in told.notes


# -- structures --------------------------------------------------------------------------------------------------------


def test_nested_inputs_and_outputs_are_judged_leaf_by_leaf(torch):
    """Lists, tuples and mappings of tensors are taken apart, named as one would reach them, and put together again."""

    def function(batch, pair, scale):
        return {"a": batch["x"] * pair[0] * scale, "b": [batch["y"].sum(), "not a tensor"], "c": batch["x"].argmax()}

    report = gradcheck.check(
        from_torch(function), {"x": normal(3), "y": normal(2, 2)}, (normal(3), torch.tensor([1, 2])), 2.0
    )
    assert report.verdict is Verdict.PASS, str(report)
    assert sorted(report.resolutions) == ["batch['x']", "batch['y']", "pair[0]"]


def test_expanded_and_strided_inputs_reach_the_function_as_they_are(torch):
    """A function sees the strides of the arrays, zero ones too, so that a view that it cannot take is found out."""
    seen = set()

    def strides(x):
        seen.add(x.stride())
        return x * x

    gradcheck.adapters.as_target(from_torch(strides)).bind(normal(2, 3))
    target, _ = from_torch(strides).bind(normal(2, 3))
    expanded = np.broadcast_to(normal(3), (2, 3))
    target.linearize(expanded)(np.ones((2, 3)))
    assert (0, 1) in seen
    assert target.value(normal(2, 6)[:, ::2]).flags.owndata
    assert (6, 2) in seen
    assert not np.shares_memory(target.value(expanded), expanded)
    assert np.array_equal(target.value(expanded[:, ::-1]), expanded[:, ::-1] ** 2)


def test_a_function_that_needs_contiguous_tensors_is_caught(torch):
    """`view` on a tensor that is not contiguous raises, in some batch on some day."""
    viewed = planted(torch, lambda x, g: (g.reshape(-1) * 3 * x.view(-1) ** 2).view(x.shape))
    report = gradcheck.check(from_torch(viewed), normal(2, 3))
    assert report.findings[0].kind is Kind.RAISES
    assert "view size is not compatible" in report.findings[0].message


def test_a_forward_that_wants_its_inputs_in_order_is_not_accused(torch):
    """x.view(-1) refuses a transposed x by itself; a backward that refuses a transposed cotangent is caught, after
    either forward.
    """
    assert gradcheck.check(from_torch(lambda x: x.view(-1)), normal(4, 3)).verdict is Verdict.PASS

    class Particular(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g.view(-1).view(g.shape)

    class Twice(Particular):
        @staticmethod
        def forward(ctx, x):
            return 2 * x.view(-1).view(x.shape)

    for function in (Particular, Twice):
        assert gradcheck.check(function, normal(4, 3)).findings[0].kind is Kind.RAISES


def test_buffers_follow_the_inputs_where_there_are_no_parameters(torch):
    """A normalisation without scale and shift is judged in the dtype of its inputs, as one that has them is."""
    for module in (torch.nn.BatchNorm1d(3, affine=False), torch.nn.BatchNorm1d(3, affine=False).eval()):
        for dtype, resolution in (("float64", 1e-8), ("float32", 1e-3)):
            report = gradcheck.check(module, normal(4, 3).astype(dtype))
            assert (report.verdict, report.dtype) == (Verdict.PASS, dtype), str(report)
            assert report.resolution < resolution
        assert module.running_mean.dtype is torch.float32


@pytest.mark.parametrize("options", [{}, {"order": 2}, {"mode": "forward"}], ids=str)
def test_generators_of_ones_own_are_seeded_and_put_back(torch, options):
    """Held by a module or its part, closed over, bound to, or given: every call draws the same numbers."""
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()

    class Noisy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.own = generator

        def forward(self, x):
            return x**2 * torch.rand(x.shape, generator=self.own, dtype=x.dtype)

    def given(x, generator):
        return x**2 * torch.rand(x.shape, generator=generator, dtype=x.dtype)

    for function in (Noisy(), torch.nn.Sequential(Noisy()), Noisy().forward, lambda x: given(x, generator)):
        report = gradcheck.check(from_torch(function, **options), normal(4, 3))
        assert report.verdict is Verdict.PASS, str(report)
        assert any("random numbers are drawn" in note for note in report.notes)
    assert gradcheck.check(from_torch(given, **options), normal(4, 3), generator).verdict is Verdict.PASS
    assert torch.equal(generator.get_state(), before)


def test_tensors_that_require_grad_are_judged_alone(torch):
    """As in torch.autograd.gradcheck: where some tensors require grad the others are held."""
    x, y = torch.randn(3, dtype=torch.float64, requires_grad=True), torch.randn(3, dtype=torch.float64)
    assert list(gradcheck.check(from_torch(torch.mul), x, y).resolutions) == [0]
    assert list(gradcheck.check(from_torch(torch.mul), x.detach(), y).resolutions) == [0, 1]
    assert list(gradcheck.check(from_torch(lambda a, b: a * b, frozen="a"), x.detach(), y).resolutions) == ["b"]


def test_one_parameter_under_two_names_is_one_block(torch):
    """Tied weights are moved together, and their gradient is the sum over both uses."""
    first, second = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    second.weight = first.weight
    report = gradcheck.check(from_torch(torch.nn.Sequential(first, torch.nn.Tanh(), second)), normal(4, 3))
    assert report.verdict is Verdict.PASS
    assert set(report.resolutions) == {"input", "0.weight", "0.bias", "2.bias"}


def test_parametrised_weights_are_judged_by_what_they_are_made_of(torch):
    """weight_norm, old and new, spectral_norm and orthogonal keep their reparametrisation."""
    from torch.nn.utils import parametrizations

    made = [parametrizations.weight_norm(torch.nn.Linear(3, 2)), parametrizations.orthogonal(torch.nn.Linear(3, 3))]
    made.append(parametrizations.spectral_norm(torch.nn.Linear(3, 2)).eval())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the old one
        made.append(torch.nn.utils.weight_norm(torch.nn.Linear(3, 2)))
    for module in made:
        report = gradcheck.check(from_torch(module), normal(4, 3))
        assert report.verdict is Verdict.PASS, str(report)
        assert len(report.resolutions) >= 3


def test_a_checkpointed_layer_passes(torch):
    """It runs forward again on the way back, with the parameters and the mask it had the first time."""

    class Checkpointed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Dropout())

        def forward(self, x):
            return torch.utils.checkpoint.checkpoint(self.inner, x, use_reentrant=False)

    report = gradcheck.check(from_torch(Checkpointed()), normal(4, 3))
    assert report.verdict is Verdict.PASS, str(report)
    assert len(report.resolutions) == 3


def test_the_padding_row_of_an_embedding_is_held(torch):
    """It has no gradient by design, which the report says; a row that is missing without being declared is found."""
    for options, order in (({}, 1), ({"sparse": True}, 1), ({}, 2)):
        padded = torch.nn.Sequential(torch.nn.Embedding(5, 3, padding_idx=1, **options), torch.nn.Tanh())
        report = gradcheck.check(from_torch(padded, order=order), np.array([[0, 1], [1, 4]]))
        assert report.verdict is Verdict.PASS, str(report)
        assert "without a gradient by design: 0.weight[1]" in report.notes
    lacking = from_torch(lambda i, w: torch.nn.functional.embedding(i, w, padding_idx=1))
    assert gradcheck.check(lacking, np.array([[0, 1], [1, 4]]), normal(5, 3)).verdict is Verdict.FAIL


def test_a_scripted_modules_parameters_are_held_and_the_report_says_so(torch):
    """torch cannot put others in their place; the inputs are judged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates tracing
        traced = torch.jit.trace(torch.nn.Linear(3, 2).double(), torch.ones(1, 3, dtype=torch.float64))
    report = gradcheck.check(traced, normal(4, 3))
    assert report.verdict is Verdict.PASS
    assert len(report.resolutions) == 1
    assert any(note.startswith("its parameters are not judged") for note in report.notes)


def test_bfloat16_arrays_go_there_and_back(torch):
    """As ml_dtypes' NumPy dtype, bit for bit; given float64 arrays the same target computes in float64."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = normal(4, 3).astype(ml_dtypes.bfloat16)
    target, arrays = from_torch(torch.nn.Linear(3, 2)).bind(x)
    parameters = [*target.parameters.values()]
    assert {a.dtype.name for a in (*arrays, *parameters)} == {"bfloat16"}
    value = target.value(*arrays, *parameters)
    assert value.dtype.name == "bfloat16"
    gradients = target.linearize(*arrays, *parameters)(np.ones((4, 2), ml_dtypes.bfloat16))
    assert [g.dtype.name for g in gradients] == ["bfloat16"] * 3
    assert np.array_equal(gradients[2], np.full(2, 4, ml_dtypes.bfloat16))
    wide = target.value(*(a.astype(np.float64) for a in (*arrays, *parameters)))
    assert wide.dtype == np.float64
    assert np.allclose(wide, value.astype(float), rtol=2**-7, atol=2**-7)  # eps of bfloat16


# -- nothing is changed ------------------------------------------------------------------------------------------------


def test_the_module_is_left_as_it_is(torch):
    """Parameters, gradients, running statistics and flags of the module are untouched, its hooks are called."""
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout())
    calls = []
    module.register_forward_hook(lambda *_: calls.append("forward"))
    module[0].register_full_backward_hook(lambda *_: calls.append("backward"))
    module[0].weight.register_hook(lambda g: calls.append("weight"))
    before = {k: (v.clone(), v.data_ptr(), v.dtype) for k, v in module.state_dict().items()}
    assert gradcheck.check(from_torch(module), normal(5, 3)).verdict is Verdict.PASS
    for key, value in module.state_dict().items():
        clone, place, dtype = before[key]
        assert torch.equal(value, clone)
        assert (value.data_ptr(), value.dtype) == (place, dtype)
    assert all(p.grad is None for p in module.parameters())
    assert {"forward", "backward", "weight"} <= set(calls)


def test_nothing_global_is_changed(torch):
    """Grad mode, random state, default dtype, threads and deterministic flags are as they were, whatever they were."""

    def picture():
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_rng_state().tolist(),
            torch.is_anomaly_enabled(),
        )

    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            before = picture()
            report = gradcheck.check(from_torch(torch.nn.Dropout()), normal(3, 4))
            assert report.verdict is Verdict.PASS
            assert picture() == before


def test_train_and_eval_are_respected(torch):
    """A batch norm couples the batch in training, and not in evaluation."""
    module = torch.nn.BatchNorm1d(3)
    x = normal(4, 3)

    def coupled():
        target, arrays = from_torch(module).bind(x)
        parameters = target.parameters.values()
        v = np.zeros((4, 3))
        v[0, 0] = 1.0
        return bool(np.any(target.linearize(*arrays, *parameters)(v)[0][1:]))

    assert coupled()
    module.eval()
    assert not coupled()


def test_constant_parameters_are_judged_away_from_their_constant(torch):
    """A normalisation that forgets its scale in backward is right for a scale of one, and found out all the same."""

    class Forgetful(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, g):
            return g, (g * ctx.saved_tensors[0]).sum(0)  # wrong: g * w it should be

    class Scale(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(3))

        def forward(self, x):
            return Forgetful.apply(x, self.w)

    module = Scale()
    report = gradcheck.check(from_torch(module), normal(4, 3))
    assert report.findings[0].input == "x"
    assert "constant as they start, so judged at values around that: w" in report.notes
    assert torch.equal(module.w.detach(), torch.ones(3))


# -- other derivatives -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"order": 2}, {"mode": "forward"}, {"order": 2, "mode": "forward"}], ids=str)
@pytest.mark.parametrize("spelling", ["Tanh()", "Linear(3,2)", "Softmax(-1)", "L1Loss()"])
def test_double_backward_and_forward_mode_of_torch_pass(torch, spelling, options):
    """The other derivatives of torch's modules are judged by the same finite differences."""
    torch.manual_seed(0)
    inputs = (normal(2, 3), normal(2, 3)) if "Loss" in spelling else (normal(2, 3),)
    report = gradcheck.check(from_torch(eval(f"nn.{spelling}", {"nn": torch.nn}), **options), *inputs)
    assert report.verdict is Verdict.PASS, str(report)


def test_complex_functions_pass_forwards_and_backwards(torch):
    """Gradients of complex inputs are adjoints, conj(J)ᵀv, and forward mode implies the same."""
    z = normal(3) + 1j * normal(3)
    for options in ({}, {"mode": "forward"}, {"order": 2}):
        assert gradcheck.check(from_torch(lambda z: z * z.conj() * z, **options), z).verdict is Verdict.PASS


def test_complex_weights_of_real_inputs_stay_complex(torch):
    """A dtype is taken from the inputs only where both are real, or both complex."""

    class Rotated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor([1 + 2j, 0.5 - 1j], dtype=torch.complex128))

        def forward(self, x):
            return x * self.w

    report = gradcheck.check(from_torch(Rotated()), normal(2))
    assert report.verdict is Verdict.PASS, str(report)
    assert set(report.resolutions) == {"x", "w"}


def test_a_gradient_that_cannot_be_differentiated_again_is_caught(torch):
    """A backward that detaches what it saved is right once, and silently wrong for a gradient penalty."""
    detached = planted(torch, lambda x, g: 3 * x.detach() ** 2 * g)
    assert gradcheck.check(from_torch(detached), normal(3)).verdict is Verdict.PASS
    twice = gradcheck.check(from_torch(detached, order=2), normal(3))
    assert twice.target == "Planted, double backward"
    assert {f.input: f.kind for f in twice.findings} == {"x": Kind.ZERO}


def test_torch_has_the_double_backward_of_its_weight_norm_wrong(torch):
    """torch.autograd.gradgradcheck agrees, on torch 2.13."""
    v, g = (torch.tensor(a, requires_grad=True) for a in (normal(2, 3), within(2, 1)))
    right = torch.autograd.gradgradcheck(lambda v, g: torch._weight_norm(v, g, 0), (v, g), raise_exception=False)
    report = gradcheck.check(from_torch(lambda v, g: torch._weight_norm(v, g, 0), order=2), v, g)
    assert (report.verdict is Verdict.PASS) == right


def test_a_wrong_jvp_is_caught_where_the_backward_is_right(torch):
    """Forward mode is judged by itself."""

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.x = x
            return x**3

        @staticmethod
        def backward(ctx, g):
            return 3 * ctx.saved_tensors[0] ** 2 * g

        @staticmethod
        def jvp(ctx, t):
            return 6 * ctx.x**2 * t

    assert gradcheck.check(from_torch(Cube), normal(3)).verdict is Verdict.PASS
    report = gradcheck.check(from_torch(Cube, mode="forward"), normal(3))
    assert report.findings[0].kind is Kind.FACTOR
    assert report.target == "Cube, forward mode"


# -- recognised, and refused -------------------------------------------------------------------------------------------


def test_torchs_own_are_recognised_without_naming_the_adapter(torch):
    """as_target and check take a module, a Function and torch's functions; a plain function is left to others."""
    assert gradcheck.check(torch.nn.Tanh(), normal(3)).verdict is Verdict.PASS
    assert gradcheck.check(torch.nn.functional.gelu, normal(3)).verdict is Verdict.PASS
    assert gradcheck.check(torch.sin, normal(3)).target == "sin"
    assert gradcheck.check(planted(torch, FAULTS[Kind.SIGN]), normal(3)).verdict is Verdict.FAIL
    assert not any(map(torch_.recognises, (np.tanh, lambda x: x, torch.nn.Tanh, 3, torch.zeros(1))))


def test_custom_ops_are_judged(torch):
    """torch.library's custom ops, with the backward registered for them."""

    @torch.library.custom_op("gradcheck_properties::cube", mutates_args=())
    def cube(x: torch.Tensor) -> torch.Tensor:
        return x**3

    cube.register_autograd(
        lambda ctx, g: 2 * ctx.saved_tensors[0] ** 2 * g,
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )
    assert gradcheck.check(cube, normal(3)).findings[0].kind is Kind.FACTOR


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (
            lambda torch: from_torch(torch.nn.Linear),
            "got <class 'torch.nn.modules.linear.Linear'>; give an instance of it",
        ),
        (lambda torch: from_torch(3), "takes a module, a function of tensors or an autograd.Function, got 3"),
        (lambda torch: from_torch(torch.sin, order=3), "order must be 1, the gradient, or 2, .* got 3"),
        (lambda torch: from_torch(torch.sin, mode="fwd"), "mode must be 'reverse', the backward pass, or .* got 'fwd'"),
        (lambda torch: from_torch(torch.sin).value(1.0), "sin has to see its inputs first: call the target that bind"),
        (
            lambda torch: gradcheck.check(from_torch(torch.nn.Linear(3, 2), frozen="X"), normal(2, 3)),
            "Linear: frozen names 'X', but the inputs are 0, input; name one of these or give its position",
        ),
        (
            lambda torch: gradcheck.check(from_torch(torch.nn.SoftMarginLoss()), normal(2), np.ones(2)),
            "not differentiable with respect to argument 'target'.* Name it in frozen=, by name or position",
        ),
        (
            lambda torch: gradcheck.check(from_torch(torch.nn.Hardsigmoid(), order=2), normal(2)),
            "Hardsigmoid, double backward is not defined: .* judge it with order=1 and mode='reverse'",
        ),
        (
            lambda torch: gradcheck.check(from_torch(planted(torch, FAULTS[Kind.SIGN]), mode="forward"), normal(2)),
            "Planted, forward mode is not defined: You must implement the jvp",
        ),
    ],
)
def test_bad_input_is_refused_by_name_rule_and_remedy(torch, ask, words):
    """Each error says what was given, what is understood and what to do."""
    with pytest.raises((TypeError, ValueError), match=words):
        ask(torch)


def test_a_backward_marked_once_differentiable_has_no_double_backward(torch):
    """It is refused as undefined, rather than called zero."""
    once = torch.autograd.function.once_differentiable(lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g)
    function = type("Once", (planted(torch, None),), {"backward": staticmethod(once)})
    assert gradcheck.check(from_torch(function), normal(3)).verdict is Verdict.PASS
    with pytest.raises(ValueError, match=r"Once, double backward is not defined: .* marked once_differentiable"):
        gradcheck.check(from_torch(function, order=2), normal(3))


def test_a_missing_torch_is_named_with_its_remedy(monkeypatch):
    """from_torch without torch says how to install it, and recognising an object does not import it."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert not torch_.recognises(np.tanh)
    with pytest.raises(ImportError, match=r'from_torch needs torch, .*; install it: pip install "gradcheck\[torch\]"'):
        from_torch(np.tanh)
