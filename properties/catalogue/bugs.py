"""Bugs met in the wild, written by hand: each takes the right gradients and returns what the layer returned."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special

from .case import Array, Case, Inputs
from .elementwise import sigmoid, tanh_gelu_slope
from .faults import wrong
from .layers import normalise, normalise_back, windows
from .reductions import along, softmax_of
from .right import right_cases

Returned = Sequence[Any]
Bug = Callable[[Inputs, Any, list[Any]], Returned]
BUGS: list[tuple[str, Callable[[Case], Case]]] = []  # the right case's name, and what makes the wrong one


def bug(
    of: str, kind: str, *also: str, input: int | None = 0, sizes: dict[str, tuple[int, int]] | None = None
) -> Callable[[Bug], Bug]:
    """Register a bug of a right case; `sizes` narrows or widens its domain."""

    def register(change: Bug) -> Bug:
        def make(case: Case) -> Case:
            if sizes:
                case = case.renamed(case.name, domain=replace(case.domain, sizes={**case.domain.sizes, **sizes}))

            def vjp(inputs: Inputs, g: Any) -> tuple[Any, ...]:
                return tuple(change(inputs, g, list(case.vjp(inputs, g))))

            return wrong(
                case,
                change.__name__,
                kind,
                vjp,
                also=also,
                input=input,
                note=change.__doc__ or f"{case.name}: {change.__name__}",
            )

        BUGS.append((of, make))
        return change

    return register


def bugs() -> list[Case]:
    """All of them, made."""
    right = {case.name: case for case in right_cases()}
    return [make(right[name]) for name, make in BUGS]


def slope(of: str, name: str, kind: str, wrong_slope: Callable[[Array], Any], *also: str) -> None:
    """Register a wrong slope of an entrywise function."""

    def change(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
        return [np.array(g * wrong_slope(inputs[0]), inputs[0].dtype)]

    change.__name__ = name
    bug(of, kind, *also)(change)


VAGUE = ("OTHER", "APPROXIMATION", "FACTOR", "MISSING_TERM", "BRANCH")

slope("gelu_erf", "backward_of_tanh_gelu", "APPROXIMATION", tanh_gelu_slope, *VAGUE)
slope(
    "gelu_erf",
    "backward_of_sigmoid_gelu",
    "APPROXIMATION",
    lambda x: sigmoid(1.702 * x) * (1 + 1.702 * x * sigmoid(-1.702 * x)),
    *VAGUE,
)
slope("gelu_erf", "density_term_forgotten", "OTHER", lambda x: 0.5 * (1 + special.erf(x / np.sqrt(2))), *VAGUE)
slope("tanh", "one_minus_x_squared", "OTHER", lambda x: 1 - x * x, *VAGUE)
slope("tanh", "not_squared", "OTHER", lambda x: 1 - np.tanh(x), *VAGUE)
slope("sigmoid", "one_minus_forgotten", "OTHER", sigmoid, *VAGUE)
slope("sigmoid", "slope_of_the_value", "OTHER", lambda x: sigmoid(sigmoid(x)) * (1 - sigmoid(sigmoid(x))), *VAGUE)
slope("silu", "product_rule_forgotten", "OTHER", sigmoid, *VAGUE)
slope("softplus", "slope_of_relu", "BRANCH", lambda x: x > 0, *VAGUE, "ZERO")
slope("relu6", "upper_bound_forgotten", "BRANCH", lambda x: x > 0, *VAGUE)
slope("clip_open", "bounds_forgotten", "BRANCH", np.ones_like, *VAGUE)
slope("leaky_relu", "slope_0.1_for_0.01", "BRANCH", lambda x: np.where(x > 0, 1, 0.1), *VAGUE)
slope(
    "elu",
    "value_for_slope_below_zero",
    "BRANCH",
    lambda x: np.where(x > 0, 1, np.expm1(np.minimum(x, 0))),
    *VAGUE,
    "SIGN",
)
slope("huber", "not_clipped", "BRANCH", lambda x: x, *VAGUE)
slope("abs_at_zero_0.0", "one_everywhere", "BRANCH", np.ones_like, "SIGN", *VAGUE)
slope("relu_at_zero_0.0", "passes_negatives", "BRANCH", np.ones_like, *VAGUE)
slope("relu_at_zero_0.0", "two_at_zero", "BRANCH", lambda x: np.where(x == 0, 2, x > 0), *VAGUE)
slope("abs_at_zero_0.0", "two_at_zero", "BRANCH", lambda x: np.where(x == 0, 2, np.sign(x)), *VAGUE)
slope("relu_near_zero", "negated", "SIGN", lambda x: -1.0 * (x > 0), *VAGUE)
slope(
    "hard_swish", "linear_term_halved", "BRANCH", lambda x: np.where(x < -3, 0, np.where(x > 3, 1, x / 6 + 0.5)), *VAGUE
)
slope("sin_1000x", "inner_factor_forgotten", "FACTOR", lambda x: np.cos(1000 * x))
slope("sin_1000x", "negated", "SIGN", lambda x: -1000 * np.cos(1000 * x))
slope("exp_30x", "inner_factor_forgotten", "FACTOR", lambda x: np.exp(30 * x))
slope("ripple", "ripple_forgotten", "OTHER", np.ones_like, *VAGUE)
slope("log_near_zero", "epsilon_in_backward", "APPROXIMATION", lambda x: 1 / (x + 1e-7), *VAGUE)
slope("square_at_1e9", "two_forgotten", "FACTOR", lambda x: x)
slope("tiny_slope", "zero", "ZERO", np.zeros_like)
slope("constant", "one", "OTHER", np.ones_like, "MISSING_TERM", "ZERO", "FACTOR", "IGNORES_COTANGENT")
slope("lgamma", "log_for_digamma", "APPROXIMATION", np.log, *VAGUE)
slope("steep_sigmoid", "inner_factor_forgotten", "FACTOR", lambda x: sigmoid(40 * x) * sigmoid(-40 * x))
slope("arcsin_near_one", "root_forgotten", "OTHER", lambda x: 1 / ((1 - x) * (1 + x)), *VAGUE)
slope("scalar_polynomial", "linear_term_forgotten", "OTHER", lambda x: 3 * x * x, *VAGUE)


@bug("tanh", "SIGN", sizes={"n": (512, 512), "k": (512, 512)})
def negated_on_512_by_512(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """torch's fast mode passes this one."""
    return [-d[0]]


@bug("square", "PERMUTED", "TRANSPOSED", "WRONG_AXIS", "OTHER", sizes={"n": (100, 100), "k": (100, 100)})
def shuffled_at_10000(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """torch's fast mode passes this one, 40 times of 40."""
    return [np.random.default_rng(0).permutation(d[0].ravel()).reshape(d[0].shape)]


@bug("square", "ZERO", sizes={"n": (256, 256), "k": (256, 256)})
def zero_at_65536(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [0 * d[0]]


@bug("softmax", "DIAGONAL_ONLY", *VAGUE)
def slope_of_sigmoid(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    p = softmax_of(inputs[0])
    return [g * p * (1 - p)]


@bug("softmax", "OTHER", "DIAGONAL_ONLY", *VAGUE)
def coupling_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g * softmax_of(inputs[0])]


@bug("softmax", "ZERO")
def zeroed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """Invisible to cotangents of ones."""
    return [np.zeros_like(g)]


@bug("softmax", "WRONG_AXIS", *VAGUE, "DIAGONAL_ONLY")
def coupled_over_the_batch(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    p = softmax_of(inputs[0])
    return [p * (g - (g * p).sum(0))]


@bug("softmax_saturated", "ZERO", *VAGUE)
def zeroed_when_saturated(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [np.zeros_like(g)]


@bug("log_softmax", "NONLINEAR", "IGNORES_COTANGENT", *VAGUE)
def cotangent_assumed_to_sum_to_one(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g - softmax_of(inputs[0])]


@bug("log_softmax", "WRONG_AXIS", *VAGUE)
def summed_over_the_batch(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g - softmax_of(inputs[0]) * g.sum(0)]


@bug("layer_norm", "APPROXIMATION", *VAGUE, "LOW_PRECISION")
def eps_1e_4_for_1e_5(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    z, r = normalise(inputs[0], -1, 1e-4)
    return [normalise_back(g * inputs[1], z, r, -1), *d[1:]]


@bug("layer_norm", "DIAGONAL_ONLY", "MISSING_TERM", *VAGUE)
def statistics_taken_as_constants(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g * inputs[1] * normalise(inputs[0], -1, 1e-5)[1], *d[1:]]


@bug("layer_norm", "WRONG_AXIS", *VAGUE)
def means_over_the_batch(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    z, r = normalise(inputs[0], -1, 1e-5)
    return [normalise_back(g * inputs[1], z, r, 0), *d[1:]]


@bug("layer_norm", "OTHER", *VAGUE, "DIAGONAL_ONLY")
def variance_term_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    r = normalise(inputs[0], -1, 1e-5)[1]
    e = g * inputs[1]
    return [r * (e - e.mean(-1, keepdims=True)), *d[1:]]


@bug("layer_norm", "OTHER", *VAGUE, "SIGN")
def scale_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """Invisible while gamma is at its initial ones."""
    z, r = normalise(inputs[0], -1, 1e-5)
    return [normalise_back(g, z, r, -1), *d[1:]]


@bug("batch_norm", "DIAGONAL_ONLY", "MISSING_TERM", *VAGUE)
def statistics_detached(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g * inputs[1] * normalise(inputs[0], 0, 1e-5)[1], *d[1:]]


@bug("batch_norm", "ZERO")
def all_of_x_zero(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """Invisible to cotangents of ones."""
    return [0 * d[0], *d[1:]]


@bug("batch_norm", "OTHER", *VAGUE, "SIGN", input=1)
def gamma_gets_x_instead_of_normalised_x(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0], (g * inputs[0]).sum(0), d[2]]


@bug("batch_norm_at_1e6", "DIAGONAL_ONLY", "MISSING_TERM", *VAGUE)
def statistics_detached_at_1e6(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g * inputs[1] * normalise(inputs[0], 0, 1e-5)[1], *d[1:]]


@bug("rms_norm", "DIAGONAL_ONLY", "MISSING_TERM", *VAGUE)
def rms_taken_as_constant(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    x, gamma = inputs
    return [g * gamma / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6), d[1]]


@bug("dense", "NOT_SUMMED", "SHAPE", input=2)
def bias_not_summed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [*d[:2], g.copy()]


@bug("dense", "NOT_SUMMED", "SHAPE", input=2)
def bias_not_summed_at_batch_1(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """Right but for the shape, and at batch 1 only."""
    return [*d[:2], g.copy() if len(g) == 1 else d[2]]


@bug("dense", "NOT_SUMMED", "BATCH", "OTHER", "ZERO", "MISSING_TERM", input=2)
def bias_from_first_example_only(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [*d[:2], g[0].copy()]


@bug("dense", "FACTOR", "BATCH", input=2)
def bias_averaged(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [*d[:2], g.mean(0)]


@bug("dense", "WRONG_AXIS", "PERMUTED", "NOT_SUMMED", "OTHER", input=2)
def bias_summed_over_features_if_square(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [*d[:2], g.sum(1) if g.shape[0] == g.shape[1] else d[2]]


@bug("square_map", "TRANSPOSED", "PERMUTED", "OTHER", "APPROXIMATION")
def weight_not_transposed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g @ inputs[1], d[1]]


@bug("square_map", "TRANSPOSED", "PERMUTED", input=1)
def weight_gradient_transposed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0], g.T @ inputs[0]]


@bug("quadratic_form", "OTHER", *VAGUE, "TRANSPOSED")
def matrix_assumed_symmetric(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    x, a = inputs
    return [2 * g * (a @ x), d[1]]


@bug("inverse", "TRANSPOSED", "PERMUTED", *VAGUE)
def inverse_not_transposed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    y = np.linalg.inv(inputs[0])
    return [-y @ g @ y]


@bug("determinant", "TRANSPOSED", "PERMUTED", "OTHER")
def cofactors_not_transposed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0].T.copy()]


@bug("solve", "SIGN")
def minus_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [-d[0], d[1]]


@bug("cholesky", "FACTOR", *VAGUE, "DIAGONAL_ONLY")
def diagonal_not_halved(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0] + np.diag(np.diag(d[0]))]


@bug("matrix_cube", "OTHER", *VAGUE)
def middle_term_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    t = inputs[0].T
    return [g @ t @ t + t @ t @ g]


@bug("embedding", "REPEATED_INDEX", "BRANCH", "ZERO", "OTHER", "FACTOR")
def repeated_rows_overwritten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    gradient = np.zeros_like(inputs[0])
    gradient[inputs[1]] = g
    return [gradient, None]


@bug("embedding", "REPEATED_INDEX", "FACTOR", "BRANCH", "OTHER")
def repeated_rows_averaged(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0] / np.maximum(np.bincount(inputs[1], minlength=len(d[0])), 1)[:, None], None]


@bug("max_pool", "REPEATED_INDEX", "BRANCH", "ZERO", "OTHER", sizes={"t": (5, 8)})
def overlap_overwritten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    at = windows(inputs[0].shape[1], 3, 2)
    gradient = np.zeros_like(inputs[0])
    for row, value in enumerate(inputs[0]):
        gradient[row, at[np.arange(len(at)), value[at].argmax(-1)]] = g[row]
    return [gradient]


@bug("average_pool", "REPEATED_INDEX", "BRANCH", "ZERO", "OTHER", "FACTOR", sizes={"t": (5, 8)})
def overlap_of_means_overwritten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    gradient = np.zeros_like(inputs[0])
    gradient[:, windows(inputs[0].shape[1], 3, 2)] = g[..., None] / 3
    return [gradient]


@bug("average_pool", "FACTOR")
def divided_by_the_stride(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0] * 1.5]


@bug("max_shared", "BRANCH", "FACTOR", "REPEATED_INDEX", "OTHER", sizes={"k": (3, 6)})
def ties_all_get_everything(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    x = inputs[0]
    return [along(g, x) * (x == x.max(-1, keepdims=True))]


@bug("maximum_half", "BRANCH", "FACTOR", "OTHER", input=None)
def both_get_everything_at_a_tie(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    a, b = inputs
    return [g * (a >= b), g * (b >= a)]


@bug("maximum_half", "BRANCH", "ZERO", "OTHER", input=None)
def neither_gets_anything_at_a_tie(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    a, b = inputs
    return [g * (a > b), g * (b > a)]


@bug("sort", "PERMUTED", "TRANSPOSED", "OTHER", sizes={"k": (3, 5)})
def permutation_not_inverted(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [np.take_along_axis(g, np.argsort(inputs[0], -1, kind="stable"), -1)]


@bug("sort", "PERMUTED", "OTHER")
def not_permuted_back(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g.copy()]


@bug("median", "BRANCH", *VAGUE, "ZERO")
def even_counts_take_the_upper_one(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    x = inputs[0]
    rank = np.argsort(np.argsort(x, -1, kind="stable"), -1)
    return [along(g, x) * (rank == x.shape[-1] // 2)]


@bug("product", "NONFINITE", "BRANCH")
def value_over_entry(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """NaN where an entry is zero."""
    x = inputs[0]
    with np.errstate(all="ignore"):
        return [along(g * x.prod(-1), x) / x]


@bug("product", "BRANCH", "ZERO", "OTHER")
def value_over_entry_plus_epsilon(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """Zero where one entry is zero: there the truth is the product of the others."""
    x = inputs[0]
    return [np.where((x == 0).any(-1, keepdims=True), 0, d[0])]


@bug("norm_2", "NONFINITE", "BRANCH", sizes={"n": (3, 5), "k": (1, 1)})
def nan_at_zero(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    x = inputs[0]
    with np.errstate(all="ignore"):
        return [along(g / np.sqrt((x * x).sum(-1)), x) * x]


@bug("norm_2", "OTHER", *VAGUE)
def not_divided_by_the_norm(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [along(g, inputs[0]) * inputs[0]]


@bug("variance", "FACTOR", *VAGUE, sizes={"k": (2, 4)})
def unbiased_in_backward(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    k = inputs[0].shape[-1]
    return [d[0] * k / (k - 1)]


@bug("variance", "OTHER", *VAGUE)
def mean_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [along(g, inputs[0]) * 2 * inputs[0] / inputs[0].shape[-1]]


@bug("logsumexp[x*1e3]", "NONFINITE", "RAISES")
def overflows(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    with np.errstate(all="ignore"):
        e = np.exp(inputs[0])
        return [along(g, e) * e / e.sum(-1, keepdims=True)]


@bug("cumsum", "OTHER", "PERMUTED", "TRANSPOSED")
def not_reversed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [np.cumsum(g, -1)]


@bug("where", "BRANCH", "OTHER", "MISSING_TERM", "ZERO", input=0)
def condition_ignored(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g.copy(), d[1], None]


@bug("dropout", "FACTOR")
def not_rescaled(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g * inputs[1], None]


@bug("dropout", "OTHER", "BRANCH", "MISSING_TERM", "ZERO", "APPROXIMATION")
def mask_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g / 0.7, None]


@bug("max_and_mean", "OTHER", *VAGUE, "ZERO")
def second_output_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    x = inputs[0]
    return [along(g[0], x) * (np.arange(x.shape[-1]) == x.argmax(-1)[:, None])]


@bug("power_spectrum", "FACTOR")
def two_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0] / 2]


@bug("circular_convolution", "REPEATED_INDEX", "BRANCH", "ZERO", "OTHER", input=0)
def wrapped_windows_overwritten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    x, w = inputs
    gradient = np.zeros_like(x)
    gradient[(np.arange(x.size)[:, None] - np.arange(w.size)) % x.size] = np.outer(g, w)
    return [gradient, d[1]]


@bug("attention", "FACTOR", input=0)
def scale_left_out(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0] * inputs[0].shape[1] ** 0.5, *d[1:]]


@bug("attention", "DIAGONAL_ONLY", "MISSING_TERM", *VAGUE, input=None)
def attention_softmax_uncoupled(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    q, k, v = inputs
    p = softmax_of(q @ k.T * q.shape[1] ** -0.5)
    e = p * (1 - p) * (g @ v.T) * q.shape[1] ** -0.5
    return [e @ k, e.T @ q, d[2]]


@bug("attention", "TRANSPOSED", "PERMUTED", "OTHER", input=2)
def weights_transposed_if_square(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    q, k, _ = inputs
    p = softmax_of(q @ k.T * q.shape[1] ** -0.5)
    return [*d[:2], p @ g if p.shape[0] == p.shape[1] else d[2]]


@bug("causal_attention", "OTHER", *VAGUE, "SIGN", input=None)
def mask_left_out_of_backward(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    q, k, v = inputs
    p = softmax_of(q @ k.T)
    dp = g @ v.T
    e = p * (dp - (dp * p).sum(-1, keepdims=True))
    return [e @ k, e.T @ q, p.T @ g]


@bug("conv1d", "PERMUTED", "OTHER", input=1, sizes={"p": (2, 3)})
def kernel_gradient_flipped(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0], d[1][..., ::-1].copy()]


@bug("conv1d", "PERMUTED", "OTHER", "BRANCH")
def padding_cropped_on_one_side(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [np.roll(d[0], 1, -1), d[1]]


@bug("conv2d", "FACTOR", "BATCH", input=1)
def kernel_gradient_averaged(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0], d[1] / len(g), d[2]]


@bug("conv2d", "TRANSPOSED", "PERMUTED", "BRANCH", input=1)
def square_kernels_transposed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    square = d[1].shape[2] == d[1].shape[3]
    return [d[0], d[1].swapaxes(2, 3).copy() if square else d[1], d[2]]


@bug("conv2d", "NOT_SUMMED", "BATCH", "OTHER", "ZERO", "MISSING_TERM", input=2)
def bias_from_first_image_only(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [*d[:2], g[0].sum((1, 2))]


@bug("recurrent", "OTHER", *VAGUE, "ZERO", input=2)
def truncated_to_one_step(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    x, w, u = inputs
    states = [np.zeros(w.shape[1])]
    for row in x:
        states.append(np.tanh(row @ w + states[-1] @ u))
    return [*d[:2], np.outer(states[-2], g * (1 - states[-1] ** 2))]


@bug("recurrent", "TRANSPOSED", "PERMUTED", input=2, sizes={"h": (2, 4)})
def recurrent_weight_transposed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [*d[:2], d[2].T.copy()]


@bug("recurrent", "PERMUTED", "OTHER", input=0)
def time_reversed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0][::-1].copy(), *d[1:]]


@bug("lstm_cell", "SIGN", "OTHER", "BRANCH", input=2)
def cell_gradient_negated(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [*d[:2], -d[2], d[3]]


@bug("lstm_cell", "PERMUTED", "OTHER", input=3)
def gates_in_another_order(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    a, i, f, o = np.split(d[3], 4, 1)
    return [*d[:3], np.concatenate([a, f, i, o], 1)]


@bug("cross_entropy", "FACTOR", "BATCH")
def mean_forgotten_in_backward(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0] * len(d[0]), None]


@bug("cross_entropy", "IGNORES_COTANGENT", "NONLINEAR")
def incoming_gradient_ignored(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    p = softmax_of(inputs[0])
    p[np.arange(len(p)), inputs[1]] -= 1
    return [p / len(p), None]


@bug("cross_entropy", "OTHER", "OTHER", "BRANCH", "SIGN", "APPROXIMATION")
def label_not_subtracted(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [softmax_of(inputs[0]) * g / len(inputs[0]), None]


@bug("logistic_loss", "BRANCH", *VAGUE)
def labels_rounded(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """Right for hard labels; these are soft."""
    z, y = inputs
    return [g * (sigmoid(z) - np.round(y)) / z.size, d[1]]


@bug("focal_loss", "OTHER", *VAGUE)
def modulating_factor_detached(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    p = sigmoid(inputs[0])
    return [-g * (1 - p) ** 3]


@bug("kl_divergence", "SIGN", *VAGUE, input=1)
def second_argument_negated(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0], -d[1]]


@bug("multiclass_hinge", "OTHER", "ZERO", "OTHER", "BRANCH")
def label_column_left_zero(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [np.maximum(d[0] * np.sign(g), 0) * np.sign(g), None]


@bug("triplet_loss", "ZERO", "OTHER", input=0)
def anchor_detached(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [0 * d[0], *d[1:]]


@bug("cosine_similarity", "OTHER", *VAGUE)
def norm_taken_as_constant(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    a, b = inputs
    return [g[:, None] * b / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))[:, None], d[1]]


@bug("rbf_kernel", "FACTOR", input=2)
def width_off_by_two(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [*d[:2], 2 * d[2]]


@bug("generalised_mean", "OTHER", *VAGUE, input=1)
def exponent_half_done(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    x, p = inputs
    m = (x**p).mean(-1)
    return [d[0], np.asarray((g * m ** (1 / p) * (x**p * np.log(x)).mean(-1) / m / p).sum())]


@bug("ridge", "MISSING_TERM", "OTHER", input=1)
def penalty_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0], d[1] - g * 0.5 * inputs[1], d[2]]


@bug("ridge", "FACTOR", "MISSING_TERM", "OTHER", input=1)
def penalty_counted_twice(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0], d[1] + g * 0.5 * inputs[1], d[2]]


@bug("tiny_penalty", "MISSING_TERM", "ZERO", *VAGUE, input=1)
def tiny_penalty_zeroed(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    """Half of 1e-5 ΣW²: torch's slow mode passes zeros."""
    return [d[0], inputs[0].T @ g[0]]


@bug("broadcast_both", "SHAPE", input=0)
def keepdims_forgotten(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0][:, 0], d[1]]


@bug("scalar_times_array", "NOT_SUMMED", "SHAPE", input=0)
def scalar_gets_an_array(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g * inputs[1], d[1]]


@bug("scalar_times_array", "FACTOR", "BATCH", "NOT_SUMMED", input=0)
def scalar_gets_the_mean(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [np.asarray((g * inputs[1]).mean()), d[1]]


@bug("broadcast_product", "NOT_SUMMED", "BATCH", "OTHER", "ZERO", "MISSING_TERM", input=1)
def last_row_only(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0], (g * inputs[0])[-1].copy()]


@bug("sum_rows", "FACTOR", "NOT_SUMMED", "BATCH")
def divided_by_rows(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0] / len(d[0])]


@bug("mean_all", "FACTOR", "BATCH")
def not_divided(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0] * d[0].size]


@bug("long_sum_of_squares", "FACTOR", "OTHER", "BRANCH", sizes={"n": (10_000, 10_000)})
def one_entry_of_10000_off_by_0_3(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    d[0][4321] *= 1.3
    return d


@bug("identity", "ALIASES")
def cotangent_returned(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g]


@bug("transpose", "ALIASES")
def view_of_the_cotangent(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g.T]


@bug("add", "ALIASES", input=None)
def one_array_for_both(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [d[0], d[0]]


@bug("scatter_add", "ALIASES", input=0)
def base_gets_the_cotangent_itself(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    return [g, d[1], None]


@bug("relu_at_zero_0.0", "MUTATES", input=None)
def cotangent_masked_in_place(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    g[inputs[0] <= 0] = 0
    return [g.copy()]


@bug("sigmoid", "MUTATES", input=None)
def cotangent_multiplied_in_place(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    g *= sigmoid(inputs[0]) * sigmoid(-inputs[0])
    return [g.copy()]


@bug("batch_norm", "MUTATES", input=None)
def input_normalised_in_place(inputs: Inputs, g: Any, d: list[Any]) -> Returned:
    inputs[0][...] -= inputs[0].mean(0) + 1
    return d
