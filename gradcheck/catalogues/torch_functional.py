"""torch.nn.functional as targets: `gradcheck run gradcheck.catalogues.torch_functional:TARGETS`."""

import importlib
import inspect
from collections.abc import Iterable
from typing import Any

from gradcheck.adapters.flat import framework
from gradcheck.adapters.torch_ import from_torch
from gradcheck.catalogues.catalogue import Args, By, Catalogue

_REDUCTIONS = (Args(), Args(reduction="sum"), Args(reduction="none"))


def _ids(count: int, *rest: Any) -> Any:
    """An int64 tensor of 0 … count − 1, reshaped."""
    return framework("torch", "this catalogue", "torch").arange(count).reshape(rest)


def _where(*sizes: int) -> Any:
    """max_unpool of windows of 2 to these sizes, where the maxima lay at every other position."""

    def places(x: Any) -> Any:
        return (2 * _ids(x[0, 0].numel(), *x.shape[2:])).expand(x.shape)

    return lambda f: lambda x: f(x, places(x), 2, 2, 0, [*sizes])


def _ctc(reduction: str, zero_infinity: bool) -> Any:
    def of(f: Any) -> Any:
        return lambda x, labels: f(
            x, labels + 1, _ids(2, 2) * 0 + 5, _ids(2, 2) + 1, reduction=reduction, zero_infinity=zero_infinity
        )

    return of


def _attention(**settings: Any) -> Any:
    """multi_head_attention_forward with one matrix for queries, keys and values: 4 features, 2 heads."""
    return lambda f: (
        lambda q, k, v, w, b, ow, ob: f(q, k, v, 4, 2, w, b, None, None, False, 0.0, ow, ob, training=False, **settings)
    )


ROWS: list[tuple[Any, ...]] = [
    ("relu relu6 selu silu mish softsign tanhshrink sigmoid tanh logsigmoid hardsigmoid hardswish", "real(n,k)"),
    ("relu_ selu_", "real(n,k)"),
    ("elu celu elu_ celu_", "real(n,k)", Args(), Args(alpha=0.5)),
    ("leaky_relu leaky_relu_", "real(n,k)", Args(), Args(0.3)),
    ("gelu", "real(n,k)", Args(), Args(approximate="tanh")),
    ("softplus", "real(n,k)", Args(), Args(2.0, 3.0)),
    ("softshrink hardshrink", "real(n,k)", Args(), Args(0.25)),
    ("hardtanh hardtanh_", "real(n,k)", Args(), Args(-0.5, 2.0)),
    ("threshold threshold_", "real(n,k)", Args(0.1, 2.0)),
    ("rrelu rrelu_", "real(n,k)", Args(), Args(0.1, 0.4, training=True)),
    ("prelu", "real(n,4,3) real(4)"),
    ("prelu", "real(n,k) real(1)"),
    ("glu", "real(n,4)", Args(), Args(-1)),
    ("glu", "real(4,n,2)", Args(0)),
    ("softmax log_softmax softmin", "real(n,k)", Args(-1), Args(0)),
    ("softmax log_softmax softmin", "real(2,3,2)", Args(1)),
    ("gumbel_softmax", "real(n,k)", Args(), Args(2.0)),
    ("normalize", "nonzero(n,k)", Args(), Args(p=1.0), Args(p=3.0, dim=0)),
    ("dropout alpha_dropout feature_alpha_dropout", "real(n,k)", Args(), Args(0.2), Args(training=False)),
    ("dropout1d", "real(n,3,2)", Args(), Args(0.2)),
    ("dropout2d", "real(n,3,2,2)", Args(), Args(0.2)),
    ("dropout3d", "real(n,2,2,2,1)", Args(), Args(0.2)),
    ("linear", "real(n,k) real(m,k) real(m)"),
    ("linear", "real(n,l,3) real(m,3)"),
    ("linear", "real(3) real(m,3)"),
    ("bilinear", "real(n,3) real(n,2) real(4,3,2) real(4)"),
    ("bilinear", "real(n,3) real(n,2) real(4,3,2)"),
    ("conv1d", "real(n,4,7) real(6,4,3) real(6)", Args(), Args(2, 1), Args(1, 2, 2)),
    ("conv1d", "real(n,4,6) real(4,2,2)", Args(groups=2), Args(padding="same", groups=2)),
    ("conv2d", "real(n,2,5,4) real(3,2,3,2) real(3)", Args(), Args(2, 1), Args((2, 1), (1, 0)), Args(padding="same")),
    ("conv2d", "real(n,4,5,4) real(4,1,2,2)", Args(groups=4), Args(padding=1, dilation=2, groups=4)),
    ("conv3d", "real(n,2,3,4,3) real(2,2,2,3,2) real(2)", Args(), Args(2, 1), Args(1, 1, 2)),
    ("conv_transpose1d", "real(n,3,4) real(3,2,3) real(2)", Args(), Args(2, 1, 1), Args(1, 1, 0, 1, 2)),
    ("conv_transpose2d", "real(n,2,3,2) real(2,3,2,3) real(3)", Args(), Args(2, 1, 1), Args(1, 1, 0, 1, 2)),
    (
        "conv_transpose2d",
        "real(n,4,3,2) real(4,1,2,2)",
        Args(groups=2),
        Args(stride=(3, 1), output_padding=(2, 0), groups=2),
    ),
    ("conv_transpose3d", "real(1,2,2,3,2) real(2,2,2,1,2) real(2)", Args(), Args(2, 1, 1)),
    ("conv_tbc", "real(5,n,2) real(3,2,4) real(4)", Args(), Args(2)),
    ("avg_pool1d", "real(n,2,7)", Args(2), Args(3, 2, 1), Args(3, 2, 1, True, False)),
    (
        "avg_pool2d",
        "real(n,2,5,4)",
        Args(2),
        Args((3, 2), 1, 1),
        Args(3, 2, 1, True, False),
        Args(2, divisor_override=3),
    ),
    ("avg_pool3d", "real(1,2,4,3,5)", Args(2), Args(3, 2, 1, True, False)),
    (
        "max_pool1d max_pool1d_with_indices",
        "real(n,2,7)",
        Args(2),
        Args(3, 2, 1),
        Args(3, 1, 0, 2),
        Args(2, ceil_mode=True),
    ),
    (
        "max_pool2d max_pool2d_with_indices",
        "real(n,2,5,4)",
        Args(2),
        Args((3, 2), 1, 1),
        Args(2, 1, 0, 2),
        Args(2, ceil_mode=True),
    ),
    ("max_pool3d max_pool3d_with_indices", "real(1,2,4,3,5)", Args(2), Args(3, 2, 1), Args(2, ceil_mode=True)),
    ("lp_pool1d", "positive(n,2,7)", Args(2, 2), Args(3, 3, 2), Args(2, 2, ceil_mode=True)),
    ("lp_pool2d", "positive(n,2,5,4)", Args(2, 2), Args(3, (3, 2), 1)),
    ("lp_pool3d", "positive(1,2,4,3,5)", Args(2, 2), Args(3, 2, 1)),
    ("adaptive_avg_pool1d adaptive_max_pool1d adaptive_max_pool1d_with_indices", "real(n,2,7)", Args(3), Args(1)),
    (
        "adaptive_avg_pool2d adaptive_max_pool2d adaptive_max_pool2d_with_indices",
        "real(n,2,5,4)",
        Args(3),
        Args((2, 4)),
    ),
    (
        "adaptive_avg_pool3d adaptive_max_pool3d adaptive_max_pool3d_with_indices",
        "real(1,2,4,3,5)",
        Args(2),
        Args((2, 1, 3)),
    ),
    (
        "fractional_max_pool2d fractional_max_pool2d_with_indices",
        "real(n,2,5,6)",
        Args(2, 3),
        Args((2, 3), output_ratio=(0.6, 0.5)),
    ),
    ("fractional_max_pool3d fractional_max_pool3d_with_indices", "real(1,2,4,5,4)", Args(2, 2)),
    ("max_unpool1d", "real(n,2,3)", By("2", _where(6))),
    ("max_unpool2d", "real(n,2,2,3)", By("2", _where(4, 6))),
    ("max_unpool3d", "real(1,2,2,1,3)", By("2", _where(4, 2, 6))),
    ("unfold", "real(n,2,5,4)", Args(2), Args((3, 2), 1, 1, 2), Args(2, 2, 1)),
    ("fold", "real(n,8,9)", Args((4, 4), 2), Args((4, 4), 2, 1, 0, 1)),
    ("fold", "real(n,8,12)", Args((5, 7), 2, stride=2, padding=1)),
    (
        "pad",
        "real(n,3,4)",
        Args((1, 2)),
        Args((1, -1), value=2.0),
        Args((2, 1), "reflect"),
        Args((2, 1), "replicate"),
        Args((2, 1), "circular"),
    ),
    (
        "pad",
        "real(n,2,3,4)",
        Args((1, 2, 2, 1), "reflect"),
        Args((3, 2, 1, 4), "replicate"),
        Args((2, 1, 1, 0), "circular"),
    ),
    ("pixel_shuffle", "real(n,8,2,3)", Args(2)),
    ("pixel_unshuffle", "real(n,2,4,6)", Args(2)),
    ("channel_shuffle", "real(n,4,2,3)", Args(2)),
    (
        "interpolate upsample",
        "real(n,2,5)",
        Args(scale_factor=2),
        Args(7, mode="linear"),
        Args(7, mode="linear", align_corners=True),
    ),
    (
        "interpolate upsample",
        "real(n,2,3,4)",
        Args((5, 3)),
        Args((5, 3), mode="bilinear"),
        Args((5, 7), mode="bicubic"),
        Args((5, 7), mode="bicubic", align_corners=True),
    ),
    (
        "interpolate",
        "real(n,2,3,4)",
        Args((2, 3), mode="area"),
        Args((2, 3), mode="nearest-exact"),
        Args((2, 3), mode="bilinear", antialias=True),
        Args((2, 3), mode="bicubic", antialias=True),
    ),
    ("interpolate", "real(1,2,3,2,3)", Args((2, 3, 4), mode="trilinear")),
    ("upsample_nearest", "real(n,2,3,4)", Args(scale_factor=2), Args((5, 3))),
    ("upsample_bilinear", "real(n,2,3,4)", Args(scale_factor=2), Args((5, 3))),
    (
        "affine_grid",
        "real(n,2,3)",
        By("align_corners=False", lambda f: lambda x: f(x, [len(x), 1, 3, 4], align_corners=False)),
        By("align_corners=True", lambda f: lambda x: f(x, [len(x), 1, 3, 4], align_corners=True)),
    ),
    ("affine_grid", "real(n,3,4)", By("3d", lambda f: lambda x: f(x, [len(x), 1, 2, 3, 2], align_corners=False))),
    (
        "grid_sample",
        "real(n,2,4,3) within(n,3,2,2)",
        *(
            Args(mode=m, padding_mode=p, align_corners=a)
            for m, p, a in (
                ("bilinear", "zeros", False),
                ("bilinear", "border", True),
                ("bilinear", "reflection", False),
                ("bicubic", "zeros", True),
                ("bicubic", "border", False),
                ("nearest", "zeros", False),
            )
        ),
    ),
    (
        "grid_sample",
        "real(1,2,2,3,2) within(1,2,1,2,3)",
        Args(align_corners=False),
        Args(padding_mode="border", align_corners=True),
    ),
    ("embedding", "below5(n,2) real(5,3)", Args(), Args(scale_grad_by_freq=False, sparse=True)),
    ("embedding_bag", "below5(n,2) real(5,3)", Args(), Args(mode="sum"), Args(mode="max")),
    (
        "embedding_bag",
        "below5(n,2) real(5,3) real(n,2)",
        By("weighted sum", lambda f: lambda i, w, s: f(i, w, mode="sum", per_sample_weights=s)),
    ),
    (
        "batch_norm",
        "real(n,3,4) real(3) real(3)",
        By("training", lambda f: lambda x, w, b: f(x, None, None, w, b, training=True)),
        By("momentum=0.3", lambda f: lambda x, w, b: f(x, None, None, w, b, True, 0.3, 1e-3)),
    ),
    ("batch_norm", "real(n,3) ~real(3) ~sized(3) real(3) real(3)"),
    ("instance_norm", "real(n,3,4) real(3) real(3)", By("weighted", lambda f: lambda x, w, b: f(x, weight=w, bias=b))),
    ("instance_norm", "real(n,2,3,2)"),
    ("layer_norm", "real(n,4) real(4) real(4)", By("4", lambda f: lambda x, w, b: f(x, (4,), w, b))),
    ("layer_norm", "real(n,3,2)", Args((3, 2)), Args((2,), eps=1e-3)),
    ("rms_norm", "nonzero(n,4) real(4)", By("4", lambda f: lambda x, w: f(x, (4,), w))),
    ("rms_norm", "nonzero(n,3,2)", Args((3, 2))),
    ("rms_norm", "real(n,3,2)", Args((2,), eps=1e-3)),
    ("group_norm", "real(n,4,3) real(4) real(4)", By("2", lambda f: lambda x, w, b: f(x, 2, w, b))),
    ("group_norm", "real(n,4,3)", Args(1), Args(4)),
    ("local_response_norm", "real(n,4,3)", Args(2), Args(3, 0.1, 0.5, 2.0)),
    ("mse_loss l1_loss smooth_l1_loss huber_loss", "real(n,k) real(n,k)", *_REDUCTIONS),
    ("smooth_l1_loss", "real(n,k) real(n,k)", Args(beta=0.25), Args(beta=0.0)),
    ("huber_loss", "real(n,k) real(n,k)", Args(delta=2.5)),
    ("binary_cross_entropy", "unit(n,k) unit(n,k)", *_REDUCTIONS),
    ("binary_cross_entropy", "unit(n,k) zeroone(n,k) ~sized(k)"),
    ("binary_cross_entropy_with_logits", "real(n,k) unit(n,k)", *_REDUCTIONS),
    (
        "binary_cross_entropy_with_logits",
        "real(n,k) zeroone(n,k) ~sized(k) ~sized(k)",
        By("pos_weight", lambda f: lambda x, y, w, p: f(x, y, w, pos_weight=p)),
    ),
    ("kl_div", "logs(n,k) unit(n,k)", *_REDUCTIONS, Args(reduction="batchmean")),
    ("kl_div", "logs(n,k) logs(n,k)", Args(log_target=True)),
    ("poisson_nll_loss", "small(n,k) positive(n,k)", *_REDUCTIONS, Args(full=True)),
    ("poisson_nll_loss", "positive(n,k) positive(n,k)", Args(log_input=False)),
    ("gaussian_nll_loss", "real(n,k) real(n,k) sized(n,k)", *_REDUCTIONS, Args(full=True)),
    ("gaussian_nll_loss", "real(n,k) real(n,k) sized(n,1)"),
    ("nll_loss", "real(n,4) below4(n)", *_REDUCTIONS, Args(ignore_index=1)),
    ("nll_loss", "real(n,3,2,2) below3(n,2,2) ~sized(3)"),
    ("cross_entropy", "real(n,4) below4(n)", *_REDUCTIONS, Args(ignore_index=1), Args(label_smoothing=0.1)),
    ("cross_entropy", "real(n,3) unit(n,3)", *_REDUCTIONS, Args(label_smoothing=0.2)),
    ("cross_entropy", "real(n,3,2) below3(n,2) ~sized(3)", Args(label_smoothing=0.1)),
    ("linear_cross_entropy", "real(n,3) real(4,3) below4(n)", *_REDUCTIONS),
    ("multi_margin_loss", "real(n,4) below4(n)", *_REDUCTIONS, Args(p=2), Args(margin=0.5)),
    ("multilabel_margin_loss", "real(n,4) labels(n,4)", *_REDUCTIONS),
    ("multilabel_soft_margin_loss", "real(n,4) zeroone(n,4)", *_REDUCTIONS),
    ("soft_margin_loss", "real(n,k) sign(n,k)", *_REDUCTIONS),
    ("hinge_embedding_loss", "real(n,k) sign(n,k)", *_REDUCTIONS, Args(margin=2.0)),
    ("margin_ranking_loss", "real(n) real(n) sign(n)", *_REDUCTIONS, Args(margin=0.5)),
    ("cosine_embedding_loss", "nonzero(n,3) nonzero(n,3) sign(n)", *_REDUCTIONS, Args(margin=0.25)),
    ("cosine_similarity", "nonzero(n,3) nonzero(n,3)", Args(), Args(0)),
    ("pairwise_distance", "real(n,3) real(n,3)", Args(), Args(1.0), Args(3.0, keepdim=True)),
    ("pdist", "spread(4,3)", Args(), Args(1.0), Args(3.0)),
    ("triplet_margin_loss", "real(n,3) real(n,3) real(n,3)", *_REDUCTIONS, Args(0.5, 1), Args(swap=True)),
    ("triplet_margin_with_distance_loss", "real(n,3) real(n,3) real(n,3)", *_REDUCTIONS, Args(swap=True)),
    (
        "ctc_loss",
        "logs(5,2,4) below3(2,2)",
        By("mean", _ctc("mean", False)),
        By("sum", _ctc("sum", True)),
        By("none", _ctc("none", False)),
    ),
    (
        "ctc_loss",
        "small(5,2,4) below3(2,2)",
        By("of log_softmax", lambda f: lambda x, y: _ctc("sum", True)(f)(x.log_softmax(-1), y)),
    ),
    (
        "scaled_dot_product_attention",
        "small(n,3,2) small(n,4,2) real(n,4,3)",
        Args(),
        Args(is_causal=True),
        Args(scale=0.3),
    ),
    ("scaled_dot_product_attention", "small(n,3,2) small(n,4,2) real(n,4,3) real(3,4)"),
    (
        "multi_head_attention_forward",
        "real(3,n,4) real(2,n,4) real(2,n,4) within(12,4) within(12) within(4,4) within(4)",
        By("mean weights", _attention()),
        By("weights", _attention(average_attn_weights=False)),
        By("no weights", _attention(need_weights=False)),
    ),
]

CONSTANT = {
    "integers": "one_hot",
    "torch defines no derivative of it, and says so": "native_channel_shuffle",
    "helpers of the module that compute nothing": "assert_int_or_pair boolean_dispatch handle_torch_function "
    "has_torch_function has_torch_function_unary has_torch_function_variadic",
}
EXCEPTIONS = {
    "needs bfloat16 matrices in blocks, not float64": "grouped_mm",
    "needs float8 and, for its gradient, a GPU": "scaled_grouped_mm scaled_mm",
}


def public() -> Iterable[str]:
    """The functions of torch.nn.functional."""
    module = framework("torch", "this catalogue", "torch").nn.functional
    return [name for name, value in vars(module).items() if not name.startswith("_") and inspect.isroutine(value)]


CATALOGUE = Catalogue(
    "torch.nn.functional",
    public,
    lambda name: getattr(importlib.import_module("torch.nn.functional"), name),
    from_torch,
    ROWS,
    CONSTANT,
    EXCEPTIONS,
)
TARGETS = CATALOGUE.targets()
"""Every entry by name and settings."""
