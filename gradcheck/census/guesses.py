"""Guesses: what an argument of a constructor or of a forward may be, by its name. Tables, simplest value first.

The sizes differ from each other, so that what does not belong together raises: 3 examples, 4 features in, 5 out, 2
channels, images of 6×5, sequences of 2. Values further down a line are for settings that are not the first that works.
"""

import re
from dataclasses import dataclass, replace
from inspect import Parameter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.adapters.naming import LABELS
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


@dataclass(frozen=True)
class Filled:
    """An array among the arguments of a constructor; always the same, and its repr says which."""

    shape: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        """Random numbers between −1 and 1 in steps of 1/16, none of them 0."""
        sixteenths = np.random.default_rng(self.shape).integers(1, 17, self.shape) / 16
        return np.asarray(sixteenths * np.random.default_rng((1, *self.shape)).choice([-1.0, 1.0], self.shape))

    def __repr__(self) -> str:
        return f"an array of shape {self.shape}"


_MATRICES = (Filled((4, 5)), Filled((5, 4)), Filled((4, 2, 2, 2)), Filled((7, 5)))
_SHAPES = ((4,), (2, 6, 5), (6, 5, 2), (2, 6, 6), (6, 6, 2), (3, 4), (3, 2, 6, 5), (1, 6, 6), (6, 6), (2, 4), 4)

ARGUMENTS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (r"x_?dims?|.*(?:input|in|output|image|x)_?(?:shape|dims)|shape|(?:img|image)_size|target_shape|dims", _SHAPES),
    (r".*(?:kernel|filter|pool|window|patch)s?_?(?:size|shape|dims?)?|k|f|size_kernel|.*(?:kernel|pool)_?size.*|ksize",
     (2, (2, 2), (2, 3), 3, (2, 2, 2, 4))),
    (r".*(?:kernel|filter|pool|window)_?(?:h|height|r)|fh|kh|ph|pool_r|h_(?:filter|kernel|pool)", (2, 3)),
    (r".*(?:kernel|filter|pool|window)_?(?:w|width|c)|fw|kw|pw|w_(?:filter|kernel|pool)", (2, 3)),
    (r".*strides?.*|s", (1, 2, (1, 1), (2, 2), 3)),
    (r".*pad(?:ding)?.*", (0, 1, (0, 0), (1, 1), "same", "valid", 2, "SAME", "VALID")),
    (r".*dilat.*", (1, 2, 0)),
    (r".*(?:out|num|n|nb|number|no).*(?:filter|kernel|channel|ch|depth|map)s?.*|filters|kernels|out_?c|depth_out|o",
     (4, 2)),
    (r".*channels?.*|in_?c|.*_ch|depth|c_in|c", (2, 4)),
    (r"size", (2, 4, 3)),
    (r"n_?t|t|.*(?:seq|time|steps).*", (2, 3)),
    (r".*(?:vocab|n_words|num_embeddings|num_tokens).*|v", (7, 4)),
    (r".*batch_?size|m|n", (3, 4)),
    (r".*groups?.*|g|.*heads?.*", (2, 1)),
    (r".*(?:eps|epsilon)", (1e-5, 0.1)),
    (r".*(?:momentum|decay|rho|beta\d?|gamma)", (0.9, 0.5)),
    (r"lr|.*learning_?rate|eta|reg.*|lamb.*|.*l[12].*", (0.1,)),
    (r".*(?:drop|keep|rate|ratio|prob).*|p", (0.5, 0.25)),
    (r".*(?:alpha|slope|leak).*", (0.1, 0.5)),
    (r"weights?|w\d?|theta|W", _MATRICES),
    (r"wx|W_?x|Wxh", (Filled((4, 5)), Filled((5, 4)))),
    (r"wh|W_?h|Whh", (Filled((5, 5)),)),
    (r"bias(?:es)?|b\d?", (Filled((5,)), Filled((1, 5)), Filled((5, 1)), Filled((4,)))),
    (r".*(?:out|units|hidden|neurons|nodes|n_?h|classes|outputs?).*|nout|M|H|d_?ff|fan_out", (5, 4)),
    (r".*(?:in|inputs?|features?|dim|size|prev|D|d_model|embed.*)(?:_.*)?\d?|.*", (4, 2, 5, (4,), (2, 6, 5))),
)  # fmt: skip
"""Names of arguments, and what they may be. The first line that fits the whole name counts."""

CHANGES = re.compile(
    r"stride|pad|kernel|filter|pool|dilat|eps|ax[ei]s|mode|train|group|head|alpha|slope|momentum|size_average|reduc"
    r"|average|mean|weight_?decay|return_sequences|bidirect|^p$|^k$|^f$|^s$|^size$|^dim$|negative|smooth|^t$|temp|margin|delta|affine"
)
"""Arguments worth another value than their default."""

_ACTIVATIONS = ("relu", "sigmoid", "tanh")

_POOLS = ((2, 2, 2), (2, 2, 1), (2, 3, 2), (3, 3, 1))

DICTS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (r"conv_params?", ({"stride": 1, "pad": 1}, {"stride": 2, "pad": 1}, {"stride": 1, "pad": 0})),
    (r"pool_params?", tuple({"pool_height": h, "pool_width": w, "stride": s} for h, w, s in _POOLS)),
    (r"[bgl]n_params?", ({"mode": "train"}, {})),
    (r"dropout_params?", ({"mode": "train", "p": 0.5, "seed": 1},)),
    (r"hparam\w*", ({"stride": 1, "pad": 1, "f": 2}, {"stride": 2, "pad": 1, "f": 2}, {"stride": 1, "pad": 0, "f": 3})),
    (r"mode|pool_mode", ("max", "average", "train")),
    (r"activation\w*", _ACTIVATIONS),
    (r"keep_prob|p|drop\w*|ratio|rate", (0.5, 0.25)),
    (r"reg|lambd?a?|alpha", (0.1,)),
    (r"eps|epsilon", (1e-5, 0.1)),
    (r"strides?|s", (1, 2, (1, 1), (2, 2))),
    (r"pad(?:ding)?", (0, 1, 2, (1, 1))),
    (r"g|groups?|num_groups", (2, 1)),
    (r"(?:pool|kernel|filter|window)_?size|size|f", (2, 3, (2, 2))),
    (r"train\w*|is_train\w*", (True, False)),
)  # fmt: skip
"""What forward takes beside arrays: settings, that carry no gradient."""

_WINDOW = re.compile(r"conv|pool|im2col|spatial|2d|image|upsampl|unpool|patch|deconv|lrn|flatten", re.IGNORECASE)
_SEQUENCE = re.compile(r"rnn|lstm|gru|time|temporal|atten|sequence|recurrent|transformer|positional|1d", re.IGNORECASE)
_IDS = re.compile(r"embed|lookup|onehot|one_hot", re.IGNORECASE)
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
    if "norm" in name.lower() and not re.search("2d|spatial|instance|group", name, re.IGNORECASE):
        return (*_ROWS, *_STEPS, *_IMAGES)
    if _WINDOW.search(name):
        return (*_IMAGES, *_ROWS, *_STEPS)
    if _SEQUENCE.search(name) and not re.search("step|cell", name, re.IGNORECASE):
        return (*_STEPS, *_ROWS, *_IMAGES, *_ONE, *ids)
    return (*_ROWS, *_STEPS, *_IMAGES[:4], *_ONE, Input("positive", (3, 4)), *ids)


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
    window, gates = bool(_WINDOW.search(layer)), _gates(layer)
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
    if lower == "mask":
        return (Input("binary", (3, 2)), Input("binary", (3, 4)))
    if _LOSS.search(layer):  # labels are of 3 examples
        return tuple(x for x in data(layer) if x.shape[0] == 3)
    return data(layer)


def _gates(layer: str) -> int:
    """How many blocks the weights of a recurrent layer have side by side."""
    lower = layer.lower()
    return 4 if "lstm" in lower else 3 if "gru" in lower else 1


def _of_hidden(value: Any) -> bool:
    return isinstance(value, Filled) and value.shape[-1] == 5


def of_argument(parameter: Parameter, layer: str = "") -> tuple[Any, ...]:
    """What an argument of a constructor may be: by name, then by annotation, then by its default."""
    name, default = parameter.name, parameter.default
    if isinstance(default, bool) or parameter.annotation in (bool, "bool"):
        return (default is True, default is not True)
    if isinstance(default, int) and default == -1:
        return (-1, 0, 1)
    if name in ("T", "t", "temperature") and isinstance(default, float):
        return (2.0, 0.5)
    if re.search(r"activ|act_?f|nonlin", name, re.IGNORECASE):
        return (*_ACTIVATIONS, None)
    if re.fullmatch(r"name|title|label|layer_?name", name) or parameter.annotation in (str, "str"):
        return ("same", "valid") if "pad" in name else (name, *_ACTIVATIONS)
    if name in ("W", "w", "b") or re.search("ndarray", str(parameter.annotation)):
        name = name.lower()
    values = next(
        values for pattern, values in ARGUMENTS if re.fullmatch(pattern, name) or re.fullmatch(pattern, name.lower())
    )
    if (gates := _gates(layer)) > 1:
        values = tuple(replace(v, shape=(*v.shape[:-1], 5 * gates)) if _of_hidden(v) else v for v in values)
    if parameter.annotation in (float, "float"):
        return tuple(v for v in values if isinstance(v, float)) or (0.5, 0.25)
    if parameter.annotation in (int, "int"):
        return tuple(v for v in values if isinstance(v, int)) or (2, 3)
    return values
