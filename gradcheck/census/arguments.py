"""Arguments: what an argument of a constructor may be, by its name. A table, simplest value first.

Values further down a line are for settings that are not the first that works.
"""

import re
from dataclasses import dataclass, replace
from inspect import Parameter
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    (r".*conv(?:olution)?_?shape", ((2, 2, 2), (2, 2, 3), (2, 3, 3))),
    (r".*(?:kernel|filter|pool(?:ing)?|window|patch)s?_?(?:size|shape|dims?)?|k|f|k_?(?:size|shape)|size_kernel|.*(?:kernel|pool)_?size.*|ksize",
     (2, (2, 2), (2, 3), 3, (2, 2, 2, 4))),
    (r".*(?:kernel|filter|pool|window)_?(?:h|height|r)|fh|kh|ph|pool_r|h_(?:filter|kernel|pool)", (2, 3)),
    (r".*(?:kernel|filter|pool|window)_?(?:w|width|c)|fw|kw|pw|w_(?:filter|kernel|pool)", (2, 3)),
    (r".*strides?_?shape", ((1, 1), (2, 2), (2, 1))),
    (r".*strides?.*|s", (1, 2, (1, 1), (2, 2), 3)),
    (r".*pad(?:ding)?.*", (0, 1, (0, 0), (1, 1), "same", "valid", 2, "SAME", "VALID")),
    (r".*dilat.*", (1, 2, 0)),
    (r"(?:.*_)?in(?:put)?_?(?:channels?|ch|depth|maps?)|(?:num|n|nb)_?channels?|channels?_in", (2, 4)),
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
    (r"bias(?:es)?|b\d?", (Filled((5,)), Filled((1, 5)), Filled((5, 1)), Filled((4,)), True)),
    (r".*(?:out|units|hidden|neurons|nodes|n_?h|classes|outputs?).*|nout|M|H|d_?ff|fan_out", (5, 4)),
    (r".*(?:in|inputs?|features?|dim|size|prev|D|d_model|embed.*)(?:_.*)?\d?|.*", (4, 2, 5, (4,), (2, 6, 5))),
)  # fmt: skip
"""Names of arguments, and what they may be. The first line that fits the whole name counts."""

CHANGES = re.compile(
    r"stride|pad|kernel|filter|pool|dilat|eps|ax[ei]s|mode|train|group|head|alpha|slope|momentum|size_average|reduc"
    r"|average|mean|weight_?decay|return_sequences|bidirect|^p$|^k$|^f$|^s$|^size$|^dim$|negative|smooth|^t$|temp|margin|delta|affine"
)
"""Arguments worth another value than their default."""

WINDOW = re.compile(r"conv|pool|im2col|spatial|2d|image|upsampl|unpool|patch|deconv|lrn|flatten", re.IGNORECASE)
"""Names of layers of images."""

PENALTY = re.compile(r"^l[12](?:$|_)|^l1_?l2|regulari|penalt", re.IGNORECASE)
"""Names of penalties on weights: what goes forward is the weights, and the argument how much of it there is."""

ACTIVATIONS = ("relu", "sigmoid", "tanh")


def initial(*shape: Any) -> NDArray[Any]:
    """Random numbers of a shape, for layers that are given what makes their weights: as sizes, or as one tuple.

    >>> initial((2, 3)).shape, initial(2, 3).shape
    ((2, 3), (2, 3))
    """
    return Filled(tuple(shape[0] if isinstance(shape[0], tuple) else shape)).array()


def tanh_prime(x: NDArray[Any]) -> NDArray[Any]:
    """The derivative of tanh, for layers that are given an activation and its derivative.

    >>> tanh_prime(np.zeros(2))
    array([1., 1.])
    """
    return np.asarray(1 - np.tanh(x) ** 2)


def gates_of(layer: str) -> int:
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
        derived = re.search(r"prime|deriv|grad|back|^d", name, re.IGNORECASE)
        return (tanh_prime,) if derived else (*ACTIVATIONS, None, np.tanh)
    if PENALTY.search(layer):
        return (0.1, 0.5)
    if re.search(r"init\w*_?(?:fn|func)|initiali[sz]er", name, re.IGNORECASE):
        return (initial,)
    if re.fullmatch(r"name|title|label|layer_?name", name) or parameter.annotation in (str, "str"):
        return ("same", "valid") if "pad" in name else (name, *ACTIVATIONS)
    if name in ("W", "w", "b") or re.search("ndarray", str(parameter.annotation)):
        name = name.lower()
    values = next(
        values for pattern, values in ARGUMENTS if re.fullmatch(pattern, name) or re.fullmatch(pattern, name.lower())
    )
    if (
        "pad" in name.lower() and "pad" in layer.lower()
    ):  # a layer that pads, and pads nothing, is not what anyone makes
        values = tuple(v for v in values if v not in (0, (0, 0)))
    if WINDOW.search(layer) and re.fullmatch(r"b(?:ias(?:es)?)?", name.lower()) and default is parameter.empty:
        return tuple(Filled(shape) for shape in ((4,), (2,), (4, 1), (1, 4)))  # one for each kernel, no five features
    if (gates := gates_of(layer)) > 1:
        values = tuple(replace(v, shape=(*v.shape[:-1], 5 * gates)) if _of_hidden(v) else v for v in values)
    if parameter.annotation in (float, "float"):
        return tuple(v for v in values if isinstance(v, float)) or (0.5, 0.25)
    if parameter.annotation in (int, "int"):
        return tuple(v for v in values if isinstance(v, int)) or (2, 3)
    return values
