"""What a sweep met at first contact with code it had not seen: how it is imported, made, given inputs, and excused."""

import inspect
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from gradcheck.census import Counted, census
from gradcheck.census.arguments import of_argument
from gradcheck.census.discover import found_in, modules_of
from gradcheck.census.inputs import data
from gradcheck.census.judge import judged


def words(source: str, seconds: float = 6.0) -> dict[str, set[str]]:
    """The words that came of each layer of a module."""
    module = ModuleType("met")
    exec(textwrap.dedent("import numpy as np\n" + textwrap.dedent(source)), vars(module))
    return {found.name: {seen.word for seen in judged(found, seconds)} for found in found_in(module)}


def test_every_backward_of_one_forward_is_judged_under_its_own_name() -> None:
    """batchnorm_backward_alt beside batchnorm_backward: the second is a row, and not the first again."""
    source = """
    def cube_forward(x): return x**3, x
    def cube_backward(dout, cache): return 3 * dout * cache**2
    def cube_backward_alt(dout, cache): return 3 * dout * cache
    """
    told = words(source)
    assert told["cube_forward"] == {"right"}
    assert "wrong" in told["cube_backward_alt"]
    assert len(told) == 2


def test_modules_that_import_relatively_are_a_package_with_or_without_an_init(tmp_path: Path) -> None:
    """As many folders as the dots go up are its packages; a module that imports nothing so is imported by itself."""
    inner = tmp_path / "net" / "core"
    inner.mkdir(parents=True)
    (inner / "base.py").write_text("class Base:\n    def backward(self, dout): raise NotImplementedError\n")
    layer = "from .base import Base\nclass Twice(Base):\n    def forward(self, x): return 2 * x\n"
    (inner / "twice.py").write_text(layer + "    def backward(self, dout): return 2 * dout\n")
    (inner / "far.py").write_text("from ..core.base import Base\ndef backward(dout): ...\n")
    assert dict(modules_of(str(tmp_path), tmp_path)) == {
        "base": str(inner),
        "core.twice": str(inner.parent),
        "net.core.far": str(tmp_path),
    }
    counted = {one.name: one for one in census(str(inner / "twice.py"), home=str(tmp_path), seconds=6.0)}
    assert isinstance(counted["Twice"], Counted)
    assert counted["Twice"].word == "right"


def test_a_file_that_is_not_there_is_a_row_that_says_so(tmp_path: Path) -> None:
    """A mistyped name ends in the table, not in a traceback."""
    (one,) = census(str(tmp_path / "absent.py"), home=str(tmp_path), seconds=6.0)
    assert one.word == "not understood"
    assert "No module named 'absent'" in one.lost


def test_shapes_of_convolutions_strides_and_pools_are_tuples() -> None:
    """stride_shape is one of two, convolution_shape has the channels first: neither is a number of features."""

    def values(name: str) -> tuple[object, ...]:
        return of_argument(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD), "Conv")

    assert all(isinstance(value, tuple) and len(value) == 2 for value in values("stride_shape"))
    assert all(isinstance(value, tuple) and len(value) == 3 for value in values("convolution_shape"))
    assert (2, 2) in values("pooling_shape")


def test_steps_that_have_as_many_numbers_as_features_come_after_rows() -> None:
    """A recurrence over rows lays 2×2 numbers flat and runs, as nobody meant, and its gradient has four columns."""
    given = [x.shape for x in data("RNN")]
    assert given.index((3, 2, 2)) > given.index((3, 4))


def test_a_layer_that_was_told_of_its_channels_keeps_them() -> None:
    """One that is told of two channels, and given four, may leave two of them out and be right."""
    source = """
    class {}:
        def __init__(self, {}):
            self.w = np.arange(1.0, 1 + {})
        def forward(self, x):
            self.size = len(self.w)
            return x[:, :self.size] * self.w[:, None, None]
        def backward(self, dout):
            return dout * self.w[:, None, None]
    """
    channels = words(source.format("ChannelConv", "in_channels", "in_channels"))
    shapes = words(source.format("ShapedConv", "convolution_shape", "convolution_shape[0]"))
    assert channels == {"ChannelConv": {"right"}}
    assert shapes == {"ShapedConv": {"right"}}


@pytest.mark.parametrize("slope", ["1", "3"])
def test_a_derivative_at_the_point_may_take_a_rate_besides_and_be_of_whole_numbers(slope: str) -> None:
    """backward(x, learning_rate=None) beside forward(x) returns the derivative there; a wrong one stays wrong."""
    source = f"""
    class Relu:
        def forward(self, x): return np.maximum(x, 0)
        def backward(self, x, learning_rate=None): return np.where(x > 0, {slope}, 0)
    """
    (told,) = words(source).values()
    assert ("wrong" in told) == (slope == "3")
    assert told & {"odd", "wrong"}


@pytest.mark.parametrize("power", [3, 5])
@pytest.mark.parametrize("labels", ["label_tensor", "target_tensor"])
def test_a_loss_whose_backward_takes_the_labels_again_has_no_cotangent(labels: str, power: int) -> None:
    """They are labels by their names, and nothing that the gradient has to be linear in."""
    source = f"""
    class Loss:
        def forward(self, input_tensor, {labels}):
            self.x = input_tensor
            return np.sum((input_tensor - {labels}) ** 4)
        def backward(self, {labels}):
            return 4 * (self.x - {labels}) ** {power}
    """
    (told,) = words(source).values()
    assert told == ({"right"} if power == 3 else {"wrong"})


@pytest.mark.parametrize("factor", [4, 5])
def test_a_gradient_takes_those_of_the_inputs_that_it_names(factor: int) -> None:
    """gradient(input=None) beside forward(input, target), which keeps both."""
    source = f"""
    class Loss:
        def __call__(self, input, target):
            self.input, self.target = input, target
            return np.sum((input - target) ** 4)
        def gradient(self, input=None):
            return {factor} * ((self.input if input is None else input) - self.target) ** 3
    """
    (told,) = words(source).values()
    assert told == ({"right"} if factor == 4 else {"wrong"})


@pytest.mark.parametrize(
    ("added", "word"),
    [
        ("2 * self.weights_l2 * self.W", "odd"),
        ("self.weights_l2 * np.sign(self.W)", "odd"),
        ("-2 * self.weights_l2 * self.W", "wrong"),
        ("self.weights_l2 * self.W**2", "wrong"),
        ("self.x.T @ dout", "wrong"),
    ],
)
def test_a_penalty_on_weights_that_a_layer_names_is_odd(added: str, word: str) -> None:
    """Weight decay is a step's, or the loss's; what is no penalty's gradient, or of the wrong sign, is no excuse."""
    source = f"""
    class Dense:
        def __init__(self, n_in, n_out):
            self.W, self.weights_l2 = np.random.normal(size=(n_in, n_out)), 0.01
        def forward(self, x):
            self.x = x
            return x @ self.W
        def backward(self, dout):
            self.dW = self.x.T @ dout + {added}
            return dout @ self.W.T
    """
    (told,) = words(source).values()
    assert word in told
    assert ("wrong" in told) == (word == "wrong")
