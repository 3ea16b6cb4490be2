"""Naming: what people call the parts of a layer. Tables from a survey of 84 public repositories, and how names match.

Pairing is by name and shape, never by numerical agreement: that would hide the bug.
"""

import re
from collections.abc import Iterator

FORWARD = (
    "forward", "forward_pass", "forward_propagate", "forward_propagation", "forward_prop", "forwardpass",
    "feed_forward", "feedforward", "fprop", "propagate", "calculate", "compute", "activate", "activation", "loss",
    "fn", "f", "func", "function", "call", "apply", "__call__",
)  # fmt: skip
"""Methods that compute the value, the most telling name first."""

BACKWARD = (
    "backward", "backward_pass", "back_propagate", "back_propagation", "backward_propagate", "backward_propagation",
    "backpropagate", "backpropagation", "backprop", "back_prop", "backward_prop", "backwardpass", "bprop", "vjp",
    "pullback", "gradient", "grad",
)  # fmt: skip
"""Methods that take a cotangent."""

DERIVATIVE = (
    "derivative", "deriv", "derive", "prime", "f_prime", "fn_prime", "df", "d", "diff", "delta", "gradient", "grad",
)  # fmt: skip
"""Methods that take the inputs and return the derivative there: of each entry, or of a loss."""

GRADIENTS = (
    "grads", "gradients", "grad", "gradient", "g", "d", "dparams", "dparam", "param_grads", "parameter_gradients",
    "params_grad", "parameters_grad", "weight_grads", "weights_grad", "get_grads", "get_gradients", "get_grad",
    "derivatives", "dweights", "_grads", "_gradients", "_grad",
)  # fmt: skip
"""Containers of gradients, whose keys are the names of parameters (or these with a d in front)."""

PARAMETERS = (
    "params", "parameters", "param", "weights", "p", "_params", "_parameters", "trainable", "trainable_params",
    "trainable_weights", "variables", "coefs", "theta",
)  # fmt: skip
"""Containers of parameters."""

ARRAYS = ("data", "value", "val", "values", "array", "tensor")
"""The array inside an object that is a parameter, by a word that says no more than that."""

VALUES = (*ARRAYS, "w", "v", "x", "param", "theta", "weight")
"""Inside an object that is a parameter: its array, beside .grad."""

LABELS = (
    "y", "t", "target", "targets", "label", "labels", "y_true", "ytrue", "true", "truth", "actual", "actuals",
    "gold", "expected", "ground_truth", "y_t", "mask", "one_hot", "onehot", "desired", "Y", "T",
    "label_tensor", "labels_tensor", "target_tensor", "targets_tensor",
)  # fmt: skip
"""Inputs of a loss that carry no gradient."""

COTANGENT = re.compile(
    r"^_*(?:d(?=[A-Z_]|[a-z]{1,2}(?:$|_|\d)|out|loss)|grad|g$|g_|up|delta|err|accum|adjoint|bar|cotangent|v$|ct$|next_?grad|"
    r".*_(?:grad|gradient|delta|error|bar)$|back)"
)
"""Names of the argument of backward that is a cotangent, told from the argument of a derivative."""

CACHES = ("cache", "caches", "ctx", "context", "memory", "saved", "state", "tape", "residuals", "res", "bp", "mem")

OUTPUTS = ("out", "output", "outputs", "ans")
"""Arguments of backward that are what forward returned."""

KEPT = ("output", "outputs", "out", "activations", "A", "a", "value")
"""The attribute that holds the value of a forward that returns nothing."""

AT_OUTPUT = (*OUTPUTS, "a", "A", "y", "s", "activation", "activated")
"""The argument of a derivative that is written in terms of the value: σ' = a (1 − a)."""

AT_INPUT = ("x", "X", "z", "Z", "input", "inputs", "inp", "x_in")
"""The argument of backward that is forward's only input, whatever it was called there."""

TRAINING = (
    "training", "train", "is_training", "is_train", "train_flg", "train_flag", "training_phase", "train_mode",
    "retain_derived", "retain_grads", "save_cache", "keep_cache",
)  # fmt: skip
"""Flags that are true where gradients are wanted; the ones below are false there."""

TESTING = ("test", "testing", "is_test", "is_testing", "testing_phase", "eval", "evaluate", "inference")

PHASES = ("phase",)
"""Arguments that are "train" or "test"."""

RATES = ("lr", "learning_rate", "learning_rates", "alpha", "eta", "step_size", "rate", "l_rate", "learn_rate")

OPTIMISERS = ("optimizer", "optimiser", "opt", "optim")

_SYNONYMS = (
    (re.compile(r"^(weights?|kernels?|filters?|w)(?=\d|_|$)"), "w"),
    (re.compile(r"^(bias|biases|b)(?=\d|_|$)"), "b"),
)

_MARKERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"^_*d(?:elta)?_?[lLjJ]_?d_?(?P<stem>.+)$",  # dLdW, dL_dW, dJdW
        r"^_*(?:grads?|gradients?|delta|nabla|deriv)_*(?:of_|wrt_)?(?P<stem>.+)$",  # grad_W, gradient_weights
        r"^_*(?P<stem>.+?)_*(?:grads?|gradients?|Grads?|Gradients?|delta|bar|_d)$",  # W_grad, weightsGradient
        r"^_*d_?(?P<stem>.+)$",  # dW, d_W, dweights
        r"^_*(?:g_|g(?=[A-Z]))(?P<stem>.+)$",  # g_W, gW
    )
)


def stems(name: str) -> list[str]:
    """What a name may be the gradient of.

    >>> stems("dW"), stems("grad_weights"), stems("dLdb"), stems("W")
    (['W'], ['weights'], ['b', 'Ldb'], [])
    """
    matches = (marker.match(name) for marker in _MARKERS)
    return list(dict.fromkeys(m["stem"] for m in matches if m))


def likeness(name: str, other: str) -> int:
    """How well two names agree: 3 the same, 2 but for case, 1 but for spelling (weights, W, kernel), 0 not at all.

    >>> likeness("W", "W"), likeness("W", "w"), likeness("W1", "weights_1"), likeness("W", "b")
    (3, 2, 1, 0)
    """
    if name == other:
        return 3
    if name.lower() == other.lower():
        return 2
    return int(_plain(name) == _plain(other))


def _plain(name: str) -> str:
    plain = name.lower().strip("_")
    for pattern, word in _SYNONYMS:
        plain = pattern.sub(word, plain)
    return plain.replace("_", "")


def named(names: tuple[str, ...], methods: Iterator[str]) -> list[str]:
    """Those of `methods` that a table lists, in the table's order."""
    there = set(methods)
    return [name for name in names if name in there]
