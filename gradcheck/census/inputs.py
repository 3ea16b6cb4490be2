"""Inputs: what an input of a forward pass may be, by its name and the layer's. Tables, the likeliest first.

The sizes differ from each other, so that what does not belong together raises: 3 examples, 4 features in, 5 out, 2
channels, images of 6×5, sequences of 2.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.adapters.naming import LABELS
from gradcheck.census.arguments import ACTIVATIONS, PENALTY, WINDOW, gates_of
from gradcheck.strategies import palette
from gradcheck.strategies.palette import MODES


@dataclass(frozen=True)
class Input:
    """An array to be drawn: of what domain, and of what shape. `below`: of whole numbers and one-hot rows.

    >>> Input("labels", (3,), 4)
    labels below 4 of shape (3,)
    >>> Input("rows", (2, 2)).drawn(0).sum(-1)
    array([1., 1.])
    """

    domain: str  # real, logits, positive, rows (of probabilities), unit (one probability), binary, onehot, labels
    shape: tuple[int, ...]
    below: int = 0

    def __repr__(self) -> str:
        return f"{self.domain}{f' below {self.below}' if self.below else ''} of shape {self.shape}"

    def drawn(self, number: int, scale: float = 1.0) -> NDArray[Any]:
        """The array of the given number: 0 is generic, later ones have ties, repeats, zeros and small variance."""
        rng = np.random.default_rng((number, *self.shape))
        mode = ("jitter", "jitter", "tile", *MODES)[number % 7]
        filled = palette(rng.bytes(1 + 31 * (number < 2)), self.shape, mode=mode, seed=number)
        return self.of(filled * scale)

    def of(self, filled: NDArray[Any]) -> NDArray[Any]:
        """An array of any real numbers made into one of this domain, the same each time."""
        if self.domain == "real":
            return filled
        if self.domain == "logits":
            return np.asarray(np.tanh(filled))  # far from probabilities as small as the epsilons in logs
        if self.domain == "positive":
            return np.asarray(np.abs(filled) + 0.25)  # away from the edge of a logarithm and a square root
        if self.domain == "unit":
            return np.asarray(0.5 + 0.45 * np.tanh(filled))  # away from 0 and 1, which losses clip
        if self.domain == "rows":
            # never all alike: softmax leaves an even row as it is, and who took the softmax could not be told
            raised = np.exp(np.tanh(filled)) * np.linspace(1, 2, self.shape[-1])
            return np.asarray(raised / raised.sum(-1, keepdims=True))
        whole = np.asarray(np.round(np.abs(filled) * 16), dtype=np.int64)
        if self.domain == "labels":
            return whole % self.below
        if self.domain == "binary":
            return (whole % 2).astype(float)
        return np.asarray(np.eye(self.shape[-1])[whole[..., 0] % self.shape[-1]])


_POOLS = ((2, 2, 2), (2, 2, 1), (2, 3, 2), (3, 3, 1))

DICTS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (r"conv_params?", ({"stride": 1, "pad": 1}, {"stride": 2, "pad": 1}, {"stride": 1, "pad": 0})),
    (r"pool_params?", tuple({"pool_height": h, "pool_width": w, "stride": s} for h, w, s in _POOLS)),
    (r"[bgl]n_params?", ({"mode": "train"}, {})),
    (r"dropout_params?", ({"mode": "train", "p": 0.5, "seed": 1},)),
    (r"hparam\w*", ({"stride": 1, "pad": 1, "f": 2}, {"stride": 2, "pad": 1, "f": 2}, {"stride": 1, "pad": 0, "f": 3})),
    (r"mode|pool_mode", ("max", "average", "train")),
    (r"activation\w*", ACTIVATIONS),
    (r"keep_prob|p|(?:p_)?drop\w*|ratio|rate", (0.5, 0.25)),
    (r"reg|lambd?a?|alpha", (0.1,)),
    (r"eps|epsilon", (1e-5, 0.1)),
    (r"strides?|s", (1, 2, (1, 1), (2, 2))),
    (r"pad(?:ding)?", (0, 1, 2, (1, 1))),
    (r"g|groups?|num_groups", (2, 1)),
    (r"(?:pool|kernel|filter|window)_?size|size|f", (2, 3, (2, 2))),
    (r"train\w*|is_train\w*", (True, False)),
)  # fmt: skip
"""What forward takes beside arrays: settings, that carry no gradient."""

_SEQUENCE = re.compile(r"rnn|lstm|gru|time|temporal|atten|sequence|recurrent|transformer|positional|1d", re.IGNORECASE)
_IDS = re.compile(r"embed|lookup|onehot|one_hot|token|vocab|word", re.IGNORECASE)
SOFTMAX = re.compile(r"soft_?max", re.IGNORECASE)
_LOSS = re.compile(
    r"loss|entropy|mse|mae|error|cost|criterion|hinge|nll|kldiv|huber|bce|svm|softmax_?(?:with|cross)|rmse",
    re.IGNORECASE,
)


def _reals(*shapes: tuple[int, ...]) -> tuple[Input, ...]:
    return tuple(Input("real", shape) for shape in shapes)


_IMAGES = _reals(
    (3, 2, 6, 5),
    (3, 6, 5, 2),
    (3, 2, 6, 6),
    (3, 6, 6, 2),
    (2, 6, 5),
    (6, 5, 2),
    (2, 6, 6),
    (3, 2, 6),
    (3, 6, 6),
    (6, 6),
)
_ROWS = _reals((3, 4), (3, 2), (3, 5))
_STEPS = _reals((3, 2, 4), (2, 3, 4), (3, 2, 2))
_ONE = _reals((1, 4), (4, 1), (4,))


def data(name: str) -> tuple[Input, ...]:
    """What the main input of a layer of this name may be, the likeliest first."""
    ids = (Input("labels", (3, 2), 4), Input("labels", (3,), 4))
    if _IDS.search(name):
        return (*ids, *_ROWS, *_STEPS)
    if PENALTY.search(name):  # a vector, of which w.T @ w is a number
        return _reals((4,), (4, 5), (4, 1))
    if re.search("1d", name, re.IGNORECASE) and WINDOW.search(name):
        return (*_reals((3, 2, 6), (3, 6, 2), (2, 6)), *_ROWS)
    if "norm" in name.lower() and not re.search("2d|spatial|instance|group", name, re.IGNORECASE):
        return (*_ROWS, *_STEPS, *_IMAGES)
    if WINDOW.search(name):
        return (*_IMAGES, *_ROWS, *_STEPS)
    if _SEQUENCE.search(name) and not re.search("step|cell", name, re.IGNORECASE):
        return (*_STEPS[:-1], *_ROWS, *_STEPS[-1:], *_ONE, *ids)  # 2×2 numbers a step, laid flat, are four features
    return (*_ROWS, *_STEPS, *_IMAGES[:4], *_ONE, Input("positive", (3, 4)))


def is_loss(name: str, inputs: tuple[str, ...]) -> bool:
    """Whether a layer compares what was predicted with labels: by its name, or by what its second input is called."""
    labelled = any(name in LABELS for name in inputs[:2])
    return (len(inputs) == 2 or (labelled and len(inputs) > 2)) and bool(
        _LOSS.search(name) or set(inputs) & set(LABELS[2:])
    )


_ANSWERS: tuple[tuple[Input, Input], ...] = (
    (Input("rows", (3, 4)), Input("onehot", (3, 4))),
    (Input("rows", (3, 4)), Input("labels", (3,), 4)),
    (Input("rows", (4,)), Input("onehot", (4,))),
    (Input("unit", (3, 1)), Input("binary", (3, 1))),
    (Input("unit", (3,)), Input("binary", (3,))),
    (Input("logits", (3, 4)), Input("labels", (3,), 4)),
    (Input("logits", (3, 4)), Input("onehot", (3, 4))),
    (Input("logits", (3, 2, 4)), Input("labels", (3, 2), 4)),
    (Input("unit", (4, 1)), Input("binary", (4, 1))),
    (Input("logits", (3,)), Input("labels", (3,), 2)),
    (Input("logits", (3, 1)), Input("labels", (3, 1), 2)),
)  # fmt: skip
"""Predictions with their labels. Probabilities come first: what wants any number takes them too."""


def answers(inputs: tuple[str, ...]) -> list[tuple[tuple[Input, ...], int]]:
    """The inputs of a loss, each time with the position of the labels."""
    known = [n for n, name in enumerate(inputs[:2]) if name in LABELS or name.lower().startswith(("label", "target"))]
    truth = [n for n, name in enumerate(inputs[:2]) if re.search(r"true|real|label|target|truth|^t$", name)]
    places = truth[:1] or (known[:1] if len(known) == 1 else [1, 0])
    found: list[tuple[tuple[Input, ...], int]] = []
    for prediction, label in _ANSWERS:
        for place in places:
            found.append(((label, prediction) if place == 0 else (prediction, label), place))
    return found


def of_input(argument: str, layer: str) -> tuple[Any, ...]:
    """What an input of forward may be, an `Input` or a setting."""
    lower = argument.lower()
    for pattern, values in DICTS:
        if re.fullmatch(pattern, lower):
            return values
    window, gates = bool(WINDOW.search(layer)), gates_of(layer)
    kernels = _reals((4, 2, 2, 2), (4, 2, 3, 3), (2, 2, 2, 4), (4, 2, 2, 3))
    if re.fullmatch(r"w|weights?|theta|w\d|kernels?|filters?", lower):
        plain = _reals((4, 5), (5, 4), (2, 5))
        return kernels if window else plain
    if re.fullmatch(r"b[a-z]?\d?|bias(?:es)?|b_\w", lower):
        return _reals(*((4,), (4, 1), (1, 1, 1, 4)) if window else ((5 * gates,), (1, 5 * gates), (5, 1)))
    if re.fullmatch(r"gamma|beta|scale|shift|gain", lower):
        images = ((1, 2, 1, 1), (2,), (4,)) if "group" in layer else ((2,), (1, 2, 1, 1), (4,))
        return _reals(*(images if window else ((4,), (1, 4), (4, 1), (5,), (2,))))
    if re.fullmatch(r"w_?xh?|wx|u", lower):
        return _reals((4, 5 * gates), (5, 4))
    if re.fullmatch(r"w_?hh?|wh|wattn", lower):
        return _reals((5, 5 * gates))
    if re.fullmatch(r"(?:prev_?|h_?prev|c_?prev|next_)?[hc]?0?|prev_[hc]|[hc]_prev|prev_state|state", lower):
        return _reals((3, 5), (5,), (5, 1))
    if re.fullmatch(r"y|t|labels?|targets?|captions?", lower):
        return (Input("labels", (3,), 4), Input("onehot", (3, 4)), Input("labels", (3, 2), 4))
    if "prob" in lower:
        return (Input("rows", (3, 4)), Input("rows", (4,)))
    if lower == "mask":
        return (Input("binary", (3, 2)), Input("binary", (3, 4)))
    if _LOSS.search(layer):  # labels are of 3 examples
        return tuple(x for x in data(layer) if x.shape[0] == 3)
    return data(layer)
