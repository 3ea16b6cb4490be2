"""Dense networks and batches for them."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from numpy.typing import NDArray

from gradcheck.backprop import Dense, Graph
from gradcheck.strategies.palette import MODES, REAL, Bounds, Palette, palettes
from gradcheck.strategies.shapes import sizes

_HIDDEN = ("identity", "sigmoid", "tanh", "softplus", "silu", "gelu", "softmax", "relu", "leaky_relu", "elu")
_KINKED = {"relu", "leaky_relu", "elu"}
# Every loss with the activations that may stand before it: a cross-entropy of probabilities needs probabilities.
_ENDS = {
    "squared": _HIDDEN,
    "mean_squared": _HIDDEN,
    "binary_cross_entropy": ("sigmoid",),
    "binary_cross_entropy_logits": ("identity", "tanh"),
    "cross_entropy": ("softmax",),
    "cross_entropy_logits": ("identity", "tanh"),
}
_SOFT: Bounds = (0, 1)


@dataclass(frozen=True)
class Batch:
    """A dense network with a batch of examples and parameters drawn from a seed: the repr makes it again."""

    network: Dense
    x: Palette
    y: Palette
    weights: Palette | None = None
    seed: int = 0

    @property
    def size(self) -> int:
        """The number of examples m."""
        return self.x.shape[0 if self.network.examples == "rows" else 1]

    @property
    def kinked(self) -> bool:
        """Whether some activation has points without a derivative."""
        return not _KINKED.isdisjoint(self.network.activations)

    def graph(self) -> Graph:
        """The graph of the cost."""
        return self.network.graph(self.size)

    def sample(self, seed: int | None = None) -> dict[str, NDArray[Any]]:
        """Arrays for the inputs of the graph; with a seed, another set of parameters."""
        recipes = {"x": self.x, "y": self.y, "weights": self.weights}
        data = {name: recipe.array() for name, recipe in recipes.items() if recipe is not None}
        return data | self.network.parameters(self.seed if seed is None else seed, self.x.dtype)


@st.composite
def dense_networks(draw: st.DrawFn, *, hidden: int = 2, width: int = 4) -> Dense:
    """Dense networks of at most ``hidden`` hidden layers and ``width`` units a layer, of every loss and layout.

    The hidden layers are slots too: a width of 0 means that the layer does not exist. Shrinks to one unit, no hidden
    layer, no bias, no penalty.
    """
    loss = draw(st.sampled_from(tuple(_ENDS)))
    slots = [(draw(st.integers(0, width)), draw(st.sampled_from(_HIDDEN))) for _ in range(hidden)]
    layers = [(units, activation) for units, activation in slots if units]
    layers.append((draw(sizes(width)), draw(st.sampled_from(_ENDS[loss]))))
    return Dense(
        widths=(draw(sizes(width)), *(units for units, _ in layers)),
        activations=tuple(activation for _, activation in layers),
        loss=loss,
        examples=draw(st.sampled_from(("rows", "columns"))),
        bias=draw(st.booleans()),
        penalty=draw(st.sampled_from((0.0, 0.5))),
        reduction=draw(st.sampled_from(("mean", "sum", "weighted"))),
    )


@st.composite
def batches(draw: st.DrawFn, network: Dense, *, dtype: str = "float64", largest: int = 6) -> Batch:
    """Batches of 1 … ``largest`` examples for ``network``; targets of a cross-entropy lie inside (0, 1).

    Before a kinked network the points are generic. Shrinks to one example, to zeros.
    """
    shapes = network.shapes(draw(sizes(largest)))
    kinked = not _KINKED.isdisjoint(network.activations)
    # Within (-2, 2) no probability comes so near to 0 that its logarithm is mostly rounding.
    x = palettes(shapes["x"], dtype, bounds=(-2, 2), modes=("jitter",) if kinked else MODES)
    y = palettes(shapes["y"], dtype, bounds=_SOFT if "cross_entropy" in network.loss else REAL)
    weights = palettes(shapes["weights"], dtype, bounds=(0, 4)) if network.reduction == "weighted" else st.none()
    return Batch(network, draw(x), draw(y), draw(weights), draw(st.integers(0, 2**16 - 1)))
