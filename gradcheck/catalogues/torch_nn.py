"""torch.nn as targets, parameters judged too: `gradcheck run gradcheck.catalogues.torch_nn:TARGETS`."""

import importlib
import inspect
from collections.abc import Iterable
from typing import Any

from gradcheck.adapters.flat import framework
from gradcheck.adapters.torch_ import from_torch
from gradcheck.catalogues.catalogue import Args, By, Catalogue, Function

_REDUCTIONS = (Args(), Args(reduction="sum"), Args(reduction="none"))


def _in_eval(*arguments: Any, **settings: Any) -> By:
    return By("eval", lambda cls: cls(*arguments, **settings).eval())


def _unpooled(cls: Any) -> Function:
    """Where the maxima of windows of 2 lay is an input that is held: every other position."""
    torch = framework("torch", "this catalogue", "torch")
    layer = cls(2)
    return lambda x: layer(x, (2 * torch.arange(x[0, 0].numel())).reshape(x.shape[2:]).expand(x.shape))


def _ctc(cls: Any) -> Function:
    torch = framework("torch", "this catalogue", "torch")
    return lambda x, labels: cls()(x, labels + 1, torch.tensor([5, 5]), torch.tensor([1, 2]))


def _ctc_of_softmax(cls: Any) -> Function:
    return lambda x, labels: _ctc(cls)(x.log_softmax(-1), labels)


def _stacked(kind: str, layers: int) -> By:
    """TransformerEncoder or TransformerDecoder, of layers of 4 features and 2 heads."""
    nn: Any = lambda: framework("torch", "this catalogue", "torch").nn  # noqa: E731
    return By(f"{layers} layers", lambda cls: cls(getattr(nn(), kind)(4, 2, 6, dropout=0.0, batch_first=True), layers))


ROWS: list[tuple[Any, ...]] = [
    ("ReLU ReLU6 SELU SiLU Mish Softsign Tanhshrink Sigmoid Tanh LogSigmoid Hardsigmoid Hardswish", "real(n,k)"),
    ("ELU CELU", "real(n,k)", Args(), Args(0.5)),
    ("LeakyReLU", "real(n,k)", Args(), Args(0.3)),
    ("GELU", "real(n,k)", Args(), Args("tanh")),
    ("Softplus", "real(n,k)", Args(), Args(2.0, 3.0)),
    ("Softshrink Hardshrink", "real(n,k)", Args(), Args(0.25)),
    ("Hardtanh", "real(n,k)", Args(), Args(-0.5, 2.0)),
    ("Threshold", "real(n,k)", Args(0.1, 2.0)),
    ("RReLU", "real(n,k)", Args(), _in_eval()),
    ("PReLU", "real(n,4)", Args(), Args(4)),
    ("GLU", "real(n,4)", Args()),
    ("GLU", "real(4,n,2)", Args(0)),
    ("Softmax LogSoftmax Softmin", "real(n,k)", Args(-1), Args(0)),
    ("Softmax2d", "real(n,3,2,2)"),
    ("Identity", "real(n,k)"),
    ("Flatten", "real(n,2,3)", Args(), Args(0)),
    ("Unflatten", "real(n,4)", Args(1, (2, 2))),
    ("Dropout AlphaDropout FeatureAlphaDropout", "real(n,k)", Args(), Args(0.2), _in_eval()),
    ("Dropout1d", "real(n,3,2)"),
    ("Dropout2d", "real(n,3,2,2)"),
    ("Dropout3d", "real(n,2,2,2,1)"),
    ("Linear", "real(n,4)", Args(4, 3), Args(4, 3, bias=False)),
    ("Linear", "real(n,2,4)", Args(4, 3)),
    ("LazyLinear", "real(n,4)", Args(3)),
    ("Bilinear", "real(n,3) real(n,2)", Args(3, 2, 4), Args(3, 2, 4, bias=False)),
    (
        "Conv1d",
        "real(n,4,7)",
        Args(4, 6, 3),
        Args(4, 6, 2, 2, 1),
        Args(4, 6, 3, 1, 2, 2, 2),
        Args(4, 4, 3, padding=1, padding_mode="reflect"),
    ),
    (
        "Conv2d",
        "real(n,4,5,4)",
        Args(4, 3, (3, 2)),
        Args(4, 4, 2, (2, 1), (1, 0), groups=4),
        Args(4, 2, 3, padding="same", bias=False),
        Args(4, 2, 3, padding=1, dilation=2),
        Args(4, 2, 2, padding=1, padding_mode="circular"),
        Args(4, 2, 2, padding=1, padding_mode="replicate"),
    ),
    ("Conv3d", "real(1,2,3,4,3)", Args(2, 2, 2), Args(2, 2, (2, 3, 2), 2, 1)),
    ("LazyConv1d LazyConvTranspose1d", "real(n,4,7)", Args(2, 3)),
    ("LazyConv2d LazyConvTranspose2d", "real(n,2,5,4)", Args(2, (3, 2))),
    ("LazyConv3d LazyConvTranspose3d", "real(1,2,3,2,2)", Args(1, 2)),
    ("ConvTranspose1d", "real(n,4,3)", Args(4, 2, 3), Args(4, 2, 3, 2, 1, 1), Args(4, 4, 2, groups=2, dilation=2)),
    (
        "ConvTranspose2d",
        "real(n,2,3,2)",
        Args(2, 3, 2),
        Args(2, 2, (3, 2), (2, 1), 1, (1, 0), 2),
        Args(2, 2, 2, dilation=2, bias=False),
    ),
    ("ConvTranspose3d", "real(1,2,2,3,2)", Args(2, 2, 2), Args(2, 2, 2, 2, 1, 1)),
    ("MaxPool1d", "real(n,2,7)", Args(2), Args(3, 2, 1), Args(3, 1, 0, 2), Args(2, ceil_mode=True)),
    ("MaxPool2d", "real(n,2,5,4)", Args(2), Args((3, 2), 1, 1), Args(2, 1, 0, 2), Args(2, ceil_mode=True)),
    ("MaxPool3d", "real(1,2,4,3,5)", Args(2), Args(3, 2, 1), Args(2, ceil_mode=True)),
    ("AvgPool1d", "real(n,2,7)", Args(2), Args(3, 2, 1), Args(3, 2, 1, True, False)),
    (
        "AvgPool2d",
        "real(n,2,5,4)",
        Args(2),
        Args((3, 2), 1, 1),
        Args(3, 2, 1, True, False),
        Args(2, divisor_override=3),
    ),
    ("AvgPool3d", "real(1,2,4,3,5)", Args(2), Args(3, 2, 1, True, False)),
    ("LPPool1d", "positive(n,2,7)", Args(2, 2), Args(3, 3, 2)),
    ("LPPool2d", "positive(n,2,5,4)", Args(2, 2), Args(3, (3, 2), 1)),
    ("LPPool3d", "positive(1,2,4,3,5)", Args(2, 2)),
    ("AdaptiveAvgPool1d AdaptiveMaxPool1d", "real(n,2,7)", Args(3), Args(1)),
    ("AdaptiveAvgPool2d AdaptiveMaxPool2d", "real(n,2,5,4)", Args(3), Args((2, 4))),
    ("AdaptiveAvgPool3d AdaptiveMaxPool3d", "real(1,2,4,3,5)", Args(2), Args((2, 1, 3))),
    ("FractionalMaxPool2d", "real(n,2,5,6)", Args(2, 3), Args((2, 3), output_ratio=(0.6, 0.5))),
    ("FractionalMaxPool3d", "real(1,2,4,5,4)", Args(2, 2)),
    ("MaxUnpool1d", "real(n,2,3)", By("2", _unpooled)),
    ("MaxUnpool2d", "real(n,2,2,3)", By("2", _unpooled)),
    ("MaxUnpool3d", "real(1,2,2,1,3)", By("2", _unpooled)),
    ("Unfold", "real(n,2,5,4)", Args(2), Args((3, 2), 1, 1, 2)),
    ("Fold", "real(n,8,9)", Args((4, 4), 2)),
    ("Fold", "real(n,8,12)", Args((5, 7), 2, stride=2, padding=1)),
    ("ConstantPad1d", "real(n,3,4)", Args((1, 2), 1.5)),
    ("ConstantPad2d", "real(n,2,3,4)", Args((1, 2, 0, 1), 1.5)),
    ("ConstantPad3d", "real(1,2,2,2,3)", Args(1, 1.5)),
    ("ZeroPad1d ReflectionPad1d ReplicationPad1d CircularPad1d", "real(n,3,4)", Args((1, 2))),
    ("ZeroPad2d ReflectionPad2d ReplicationPad2d CircularPad2d", "real(n,2,3,4)", Args((1, 2, 2, 1))),
    ("ZeroPad3d ReflectionPad3d ReplicationPad3d CircularPad3d", "real(1,2,2,2,3)", Args((1, 2, 1, 0, 0, 1))),
    ("PixelShuffle", "real(n,8,2,3)", Args(2)),
    ("PixelUnshuffle", "real(n,2,4,6)", Args(2)),
    ("ChannelShuffle", "real(n,4,2,3)", Args(2)),
    (
        "Upsample",
        "real(n,2,3,4)",
        Args(scale_factor=2),
        Args((5, 3)),
        Args((5, 3), mode="bilinear"),
        Args((5, 7), mode="bicubic", align_corners=True),
    ),
    ("Upsample", "real(n,2,5)", Args(7, mode="linear")),
    ("UpsamplingNearest2d UpsamplingBilinear2d", "real(n,2,3,4)", Args(scale_factor=2), Args((5, 3))),
    ("Embedding", "below5(n,2)", Args(5, 3), Args(5, 3, padding_idx=0), Args(5, 3, sparse=True)),
    ("EmbeddingBag", "below5(n,2)", Args(5, 3), Args(5, 3, mode="sum"), Args(5, 3, mode="max")),
    ("BatchNorm1d", "real(n,3)", Args(3), _in_eval(3)),
    (
        "BatchNorm1d",
        "real(n,3,4)",
        Args(3),
        Args(3, 1e-3, affine=False, track_running_stats=False),
        Args(3, momentum=None),
    ),
    ("BatchNorm2d", "real(n,3,2,2)", Args(3), _in_eval(3), Args(3, track_running_stats=False)),
    ("BatchNorm3d", "real(n,2,2,1,2)", Args(2), _in_eval(2)),
    ("LazyBatchNorm1d LazyInstanceNorm1d", "real(n,3,4)"),
    ("LazyBatchNorm2d LazyInstanceNorm2d", "real(n,2,3,2)"),
    ("LazyBatchNorm3d LazyInstanceNorm3d", "real(2,2,2,1,2)"),
    ("InstanceNorm1d", "real(n,3,4)", Args(3), Args(3, affine=True)),
    ("InstanceNorm2d", "real(n,2,3,2)", Args(2, 1e-3, affine=True)),
    ("InstanceNorm3d", "real(n,2,2,1,2)", Args(2), Args(2, affine=True, track_running_stats=True)),
    ("LayerNorm", "real(n,3,2)", Args((3, 2)), Args(2, elementwise_affine=False)),
    ("LayerNorm RMSNorm", "real(n,3,2)", Args(2, 1e-3)),
    # its eps is the dtype's own: at zero the slope is 1 / sqrt(eps), and gone a step of 1e-8 away
    ("RMSNorm", "nonzero(n,3,2)", Args((3, 2)), Args(2, elementwise_affine=False)),
    ("LayerNorm", "real(n,4)", Args(4, bias=False)),
    ("GroupNorm", "real(n,4,3)", Args(2, 4), Args(1, 4), Args(4, 4, affine=False)),
    ("LocalResponseNorm", "real(n,4,3)", Args(2), Args(3, 0.1, 0.5, 2.0)),
    ("CrossMapLRN2d", "real(n,4,2,3)", Args(3, 0.1, 0.5, 2.0)),
    (
        "RNN",
        "small(4,n,3)",
        Args(3, 2),
        Args(3, 2, nonlinearity="relu"),
        Args(3, 2, 2, bidirectional=True),
        Args(3, 2, bias=False, batch_first=True),
    ),
    ("LSTM", "small(3,n,3)", Args(3, 2), Args(3, 3, proj_size=2), Args(3, 2, 2, bidirectional=True, dropout=0.3)),
    ("GRU", "small(3,n,3)", Args(3, 2), Args(3, 2, 2, bidirectional=True), Args(3, 2, bias=False, batch_first=True)),
    ("RNN GRU", "small(3,n,3) small(1,n,2)", Args(3, 2)),
    ("LSTM", "small(3,n,3) small(1,n,2) small(1,n,2)", By("state", lambda cls: _of_state(cls(3, 2)))),
    ("RNNCell", "small(n,3) small(n,2)", Args(3, 2), Args(3, 2, nonlinearity="relu")),
    ("GRUCell", "small(n,3) small(n,2)", Args(3, 2)),
    ("LSTMCell", "small(n,3)", Args(3, 2)),
    ("LSTMCell", "small(n,3) small(n,2) small(n,2)", By("state", lambda cls: _of_state(cls(3, 2)))),
    (
        "MultiheadAttention",
        "small(3,n,4) small(2,n,4) small(2,n,4)",
        Args(4, 2),
        Args(4, 2, bias=False, add_bias_kv=True),
        Args(4, 2, add_zero_attn=True),
        _in_eval(4, 2),
    ),
    ("MultiheadAttention", "small(n,3,4) small(n,2,3) small(n,2,2)", Args(4, 2, kdim=3, vdim=2, batch_first=True)),
    (
        "TransformerEncoderLayer",
        "small(3,n,4)",
        Args(4, 2, 6, dropout=0.0),
        Args(4, 2, 6, activation="gelu", norm_first=True),
        _in_eval(4, 2, 6),
    ),
    (
        "TransformerDecoderLayer",
        "small(3,n,4) small(2,n,4)",
        Args(4, 2, 6, dropout=0.0),
        Args(4, 2, 6, norm_first=True),
    ),
    ("TransformerEncoder", "small(n,3,4)", _stacked("TransformerEncoderLayer", 2)),
    ("TransformerDecoder", "small(n,3,4) small(n,2,4)", _stacked("TransformerDecoderLayer", 1)),
    ("Transformer", "small(n,2,4) small(n,3,4)", Args(4, 2, 1, 1, 4, dropout=0.0, batch_first=True)),
    ("CosineSimilarity", "nonzero(n,3) nonzero(n,3)", Args(), Args(0)),
    ("PairwiseDistance", "real(n,3) real(n,3)", Args(), Args(1.0), Args(3.0, keepdim=True)),
    ("MSELoss L1Loss SmoothL1Loss HuberLoss", "real(n,k) real(n,k)", *_REDUCTIONS),
    ("SmoothL1Loss", "real(n,k) real(n,k)", Args(beta=0.25)),
    ("HuberLoss", "real(n,k) real(n,k)", Args(delta=2.5)),
    ("BCELoss", "unit(n,k) unit(n,k)", *_REDUCTIONS),
    ("BCEWithLogitsLoss", "real(n,k) unit(n,k)", *_REDUCTIONS),
    ("KLDivLoss", "logs(n,k) unit(n,k)", Args(reduction="batchmean"), Args(reduction="sum")),
    ("KLDivLoss", "logs(n,k) logs(n,k)", Args(reduction="batchmean", log_target=True)),
    ("PoissonNLLLoss", "small(n,k) positive(n,k)", *_REDUCTIONS, Args(full=True)),
    ("GaussianNLLLoss", "real(n,k) real(n,k) sized(n,k)", *_REDUCTIONS, Args(full=True)),
    ("NLLLoss", "real(n,4) below4(n)", *_REDUCTIONS, Args(ignore_index=1)),
    ("NLLLoss2d", "real(n,3,2,2) below3(n,2,2)"),
    ("CrossEntropyLoss", "real(n,4) below4(n)", *_REDUCTIONS, Args(ignore_index=1), Args(label_smoothing=0.1)),
    ("CrossEntropyLoss", "real(n,3) unit(n,3)", Args(), Args(label_smoothing=0.2)),
    ("LinearCrossEntropyLoss", "real(n,3) below4(n)", Args(3, 4), Args(3, 4, reduction="sum")),
    ("MultiMarginLoss", "real(n,4) below4(n)", *_REDUCTIONS, Args(2), Args(margin=0.5)),
    ("MultiLabelMarginLoss", "real(n,4) labels(n,4)", *_REDUCTIONS),
    ("MultiLabelSoftMarginLoss", "real(n,4) zeroone(n,4)", *_REDUCTIONS),
    ("SoftMarginLoss HingeEmbeddingLoss", "real(n,k) sign(n,k)", *_REDUCTIONS),
    ("HingeEmbeddingLoss", "real(n,k) sign(n,k)", Args(2.0)),
    ("MarginRankingLoss", "real(n) real(n) sign(n)", *_REDUCTIONS, Args(0.5)),
    ("CosineEmbeddingLoss", "nonzero(n,3) nonzero(n,3) sign(n)", *_REDUCTIONS, Args(0.25)),
    ("TripletMarginLoss", "real(n,3) real(n,3) real(n,3)", *_REDUCTIONS, Args(0.5, 1), Args(swap=True)),
    ("TripletMarginWithDistanceLoss", "real(n,3) real(n,3) real(n,3)", *_REDUCTIONS, Args(swap=True)),
    (
        "AdaptiveLogSoftmaxWithLoss",
        "real(n,4) below6(n)",
        Args(4, 6, [2, 4], div_value=2.0),
        Args(4, 6, [2], 2.0, True),
    ),
    ("CTCLoss", "logs(5,2,4) below3(2,2)", By("mean", _ctc)),
    ("CTCLoss", "small(5,2,4) below3(2,2)", By("of log_softmax", _ctc_of_softmax)),
    (
        "Sequential",
        "real(n,3)",
        By("of two", lambda cls: cls(*(framework("torch", "this catalogue", "torch").nn.Linear(3, 3) for _ in "ab"))),
    ),
]

CONSTANT = {
    "abstract, or a container that computes nothing":
        "Container Module ModuleDict ModuleList ParameterDict ParameterList RNNBase RNNCellBase",
}
EXCEPTIONS = {"needs a GPU and a process group": "SyncBatchNorm", "needs GPUs": "DataParallel"}


def _of_state(layer: Any) -> Function:
    """An LSTM takes its two states in a tuple; a module's parameters are found where the module is what is called."""
    Module = framework("torch", "this catalogue", "torch").nn.Module

    class OfState(Module):  # type: ignore[misc,valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any, h: Any, c: Any) -> Any:
            return self.layer(x, (h, c))

    module: Function = OfState()
    return module


def _built(settings: Args | By, cls: Any) -> Function:
    """The module, with the same weights whenever it is made; torch's own random state stays what it was."""
    torch = framework("torch", "this catalogue", "torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return settings.built(cls)


def public() -> Iterable[str]:
    """The modules of torch.nn."""
    nn = framework("torch", "this catalogue", "torch").nn
    return [name for name, value in vars(nn).items() if inspect.isclass(value) and issubclass(value, nn.Module)]


CATALOGUE = Catalogue(
    "torch.nn",
    public,
    lambda name: getattr(importlib.import_module("torch.nn"), name),
    from_torch,
    ROWS,
    CONSTANT,
    EXCEPTIONS,
    _built,
)
TARGETS = CATALOGUE.targets()
"""Every entry by name and settings."""
