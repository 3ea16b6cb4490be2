"""Everything that is wrong: faults planted in right functions, bugs from the wild, bugs that show now and then."""

import zlib
from collections.abc import Iterator
from functools import cache

from .bugs import bugs
from .case import Case
from .faults import FAULTS, Fault, floats
from .rare import rare_cases
from .right import functions, right_cases
from .shows import shows

HOSTS = (
    "tanh", "sigmoid", "exp", "gelu_erf", "log", "sqrt", "softplus", "multiply", "divide", "arctan2",
    "sum_of_squares", "variance", "softmax", "log_softmax", "logsumexp", "dense", "dense_tanh", "two_layers",
    "ridge", "layer_norm", "batch_norm", "rms_norm", "attention", "conv1d", "conv2d", "lstm_cell", "recurrent",
    "cross_entropy", "squared_error", "logistic_loss", "embedding", "solve", "inverse", "rbf_kernel", "distances",
    "cosine_similarity", "circular_convolution", "power_spectrum", "max_pool", "relu_at_zero_0.0", "square_map",
)  # fmt: skip
HOSTS_A_FAULT = 4


def planted(fault: Fault, count: int = HOSTS_A_FAULT) -> Iterator[Case]:
    """The fault in some hosts, always the same ones, wherever it applies and shows."""
    offset = zlib.crc32(fault.name.encode())
    found = 0
    for k in range(len(HOSTS)):
        host = functions()[HOSTS[(offset + 7 * k) % len(HOSTS)]]
        mine = floats(host)
        case = fault.plant(host, mine[(offset + k) % len(mine)])
        if case is not None and shows_somewhere(case):
            yield case
            found += 1
        if found == count:
            return


# At these scales, offsets and precisions the mistake must be told from noise; half a per cent is above float32's own.
EXTREME_FAULTS = ("negated", "zero", "off_by_0.01", "entry_negated")
EXTREMES = (
    "tanh[x*1e-6]", "tanh[x*1e6]", "tanh[f*1e-8]", "tanh[f*1e8]", "tanh[f+1e8]", "gelu_erf[x*1e-3]",
    "gelu_erf[f*1e-4]", "sum_of_squares[x*1e-6]", "sum_of_squares[x*1e6]", "sum_of_squares[x*1e6, f*1e-8]",
    "softmax[x*1e-3]", "softmax[f*1e8]", "dense_tanh[x*1e3]", "dense_tanh[f*1e-8]", "layer_norm[f*1e8]",
    "layer_norm[x*1e-6]", "logsumexp[f+1e8]", "cross_entropy[f+1e4]", "attention[f+1e8]", "tanh[float32]",
    "dense[float32]", "layer_norm[float32]", "conv2d[float32]", "tanh[float32 inside]", "dense[float32 inside]",
    "softmax[float32 inside]", "matmul[float32 inside]", "tanh[float16]", "dense[float16]", "softmax[longdouble]",
    "log_near_zero", "sqrt_near_zero", "batch_norm_at_1e6", "logsumexp_at_1e6", "generalised_mean",
)  # fmt: skip


def at_extremes() -> Iterator[Case]:
    """Plain mistakes in hard surroundings: two faults a surrounding."""
    right = {case.name: case for case in right_cases()}
    by_name = {fault.name: fault for fault in FAULTS}
    for k, name in enumerate(EXTREMES):
        for fault in (EXTREME_FAULTS[k % 4], EXTREME_FAULTS[(k + 1) % 4]):
            case = by_name[fault].plant(right[name], floats(right[name])[0])
            if case is not None:
                yield case


def shows_somewhere(case: Case, points: int = 12) -> bool:
    """Whether the mistake shows at any of the first points."""
    return any(shows(case, inputs) for inputs in case.points(points, 5))


@cache
def wrong_cases() -> tuple[Case, ...]:
    """All wrong cases."""
    by_operator = [case for fault in FAULTS for case in planted(fault)]
    return (*by_operator, *at_extremes(), *bugs(), *rare_cases())
