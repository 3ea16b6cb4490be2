"""Everything that is wrong: faults planted in right functions; by-hand bugs from the wild; bugs that show only now and then."""

import zlib
from collections.abc import Iterator
from functools import cache

from .case import Case
from .faults import FAULTS, Fault, floats
from .right import functions
from .shows import shows

HOSTS = (
    "tanh", "sigmoid", "exp", "gelu_erf", "log", "sqrt", "softplus", "multiply", "divide", "arctan2", "sum_of_squares", "variance",
    "softmax", "log_softmax", "logsumexp", "dense", "dense_tanh", "two_layers", "ridge", "layer_norm", "batch_norm", "rms_norm", "attention",
    "conv1d", "conv2d", "lstm_cell", "recurrent", "cross_entropy", "squared_error", "logistic_loss", "embedding", "solve", "inverse",
    "rbf_kernel", "distances", "cosine_similarity", "circular_convolution", "power_spectrum", "max_pool", "relu_at_zero_0.0", "square_map",
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


def shows_somewhere(case: Case, points: int = 12) -> bool:
    """Whether the mistake shows at any of the first points."""
    return any(shows(case, inputs) for inputs in case.points(points, 5))


@cache
def wrong_cases() -> tuple[Case, ...]:
    """All wrong cases."""
    return tuple(case for fault in FAULTS for case in planted(fault))
