"""The census finds, makes and judges layers of a package, and nothing that they do costs more than their own row."""

import inspect
import io
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from gradcheck.__main__ import main
from gradcheck.census import Counted, census
from gradcheck.census.arguments import of_argument
from gradcheck.census.discover import Candidate, found_in, modules_of
from gradcheck.census.inputs import Input, answers, data, is_loss, of_input
from gradcheck.census.judge import Seen, judged
from gradcheck.census.settings import Setting, tried
from gradcheck.census.table import show

SHOP = Path(__file__).parent / "zoo_packages" / "shop"


@pytest.fixture(scope="module")
def counted() -> dict[str, Counted]:
    """The whole package, judged once."""
    found = list(census(str(SHOP), seconds=6.0))
    return {one.name or one.module: one for one in found}


def test_every_layer_of_a_folder_is_a_row_and_base_classes_are_not(counted: dict[str, Counted]) -> None:
    """What only promises a forward is no layer; what cannot be imported is a row of its own."""
    layers = {"Dense", "StridedPool", "Gain", "Endless", "Hungry", "Peculiar", "Tanh", "CrossEntropy"}
    losses = {"SquaredError", "HalfEntropy", "EntropyOfOne", "SquareEntropy", "DistillationLoss", "KeptLoss"}
    losses |= {"L1", "L2", "exercise_loss", "forgotten_loss"}
    softmaxes = {"SoftmaxOfOne", "SoftmaxOfRows", "SoftmaxOfColumns"}
    conventions = losses | softmaxes | {"ReflectionPad", "PointSigmoid", "Traced", "Centred"}
    assert set(counted) == layers | conventions | {"affine_forward", "embedding_forward", "step", "shop.broken"}


@pytest.mark.parametrize("name", ["Dense", "Traced", "CrossEntropy", "affine_forward", "step"])
def test_right_layers_are_right_in_several_settings(counted: dict[str, Counted], name: str) -> None:
    """None is accused in any setting, and more than the first is judged."""
    assert counted[name].word == "right"
    assert len(counted[name].seen) >= 2


def test_a_pool_that_forgets_its_stride_is_found_by_changing_the_stride(counted: dict[str, Counted]) -> None:
    """The default setting is right, so only a census of settings sees it."""
    pool = counted["StridedPool"]
    assert pool.word == "wrong"
    assert pool.seen[0].word == "right"
    assert (
        "stride=1" in pool.telling.setting
        or "stride=3" in pool.telling.setting
        or "pool_size=3" in pool.telling.setting
    )


def test_parameters_that_start_constant_are_judged_away_from_it(counted: dict[str, Counted]) -> None:
    """A gain of ones hides that dx leaves it out."""
    assert counted["Gain"].word == "wrong"
    assert counted["Gain"].telling.worst.startswith("x")


def test_repeated_ids_are_drawn(counted: dict[str, Counted]) -> None:
    """Six ids below four repeat."""
    assert counted["embedding_forward"].word == "wrong"
    assert counted["embedding_forward"].telling.worst.startswith("W")


def test_a_derivative_in_terms_of_the_value_is_odd_and_not_wrong(counted: dict[str, Counted]) -> None:
    """1 − a² is how many write the derivative of tanh."""
    assert counted["Tanh"].word == "odd"
    assert "in terms of the value" in counted["Tanh"].telling.message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "SquaredError",
            "everywhere, a constant made of the numbers of examples, 2, and of classes, 4, and the 2 of a square",
        ),
        ("EntropyOfOne", "right for every change of the probabilities that keeps their sum"),
        ("PointSigmoid", "backward takes the point, not a cotangent"),
        ("exercise_loss", "backward returns zeros only, beneath a TODO"),
        ("KeptLoss", "backward is the gradient of a loss that it keeps"),
        ("SoftmaxOfColumns", "hands its cotangent through, joined with the cross-entropy"),
    ],
)
def test_what_a_convention_explains_is_odd_and_says_which(counted: dict[str, Counted], name: str, words: str) -> None:
    """A constant is taken up by the learning rate; probabilities have a sum that nobody changes."""
    assert counted[name].word == "odd"
    assert words in counted[name].telling.message


def test_a_softmax_for_one_example_is_judged_with_one(counted: dict[str, Counted]) -> None:
    """With three its value would be one distribution over all of them, which nobody means."""
    assert counted["SoftmaxOfOne"].word == "right"
    assert all("shape (1, 4)" in seen.setting for seen in counted["SoftmaxOfOne"].seen)


def test_a_layer_made_for_use_is_judged_in_training(counted: dict[str, Counted]) -> None:
    """Nobody goes back through a layer in use."""
    assert counted["Centred"].word == "right"
    assert all(seen.setting.endswith("in training") for seen in counted["Centred"].seen)


def test_no_layer_is_given_what_nobody_would_give_it(counted: dict[str, Counted]) -> None:
    """Two rows are less than a reflection takes, a padding of nothing is none, probabilities sum to one; how much of
    a penalty there is is a number.
    """
    assert {counted[name].word for name in ("ReflectionPad", "DistillationLoss", "L1", "L2")} == {"right"}
    assert any("pad_width=2" in seen.setting for seen in counted["ReflectionPad"].seen)
    assert all("rows of shape (3, 4)" in seen.setting for seen in counted["DistillationLoss"].seen[:1])


@pytest.mark.parametrize("name", ["HalfEntropy", "SquareEntropy", "SoftmaxOfRows", "forgotten_loss"])
def test_what_no_convention_explains_stays_wrong(counted: dict[str, Counted], name: str) -> None:
    """Each is the neighbour of one that is excused."""
    assert counted[name].word == "wrong"


def test_a_layer_that_hangs_or_eats_all_memory_costs_its_row_only(counted: dict[str, Counted]) -> None:
    """It is stopped, and said to be."""
    assert counted["Endless"].word == "not understood"
    assert "it took more than 11 s" in counted["Endless"].lost
    assert counted["Hungry"].word == "not understood"
    assert "allocate" in counted["Hungry"].telling.message


FILLED = {
    "Dense": [("n_in=…, n_out=…", "n_in=4, n_out=5"), ("(…,)", "('n', 4)")],
    "affine_forward": [("(…,)", "('n', 3)"), ("(…,)", "(3, 2)"), ("(…,)", "(2,)")],
    "CrossEntropy": [("…, …", "np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.1, 0.3, 0.2]]), np.eye(4)[:2]")],
}
"""What a user puts in the place of the dots, one after the other."""


@pytest.mark.parametrize("name", FILLED)
def test_the_lines_to_paste_judge_the_layer_once_the_dots_are_filled_in(
    counted: dict[str, Counted], name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are what is written beside a layer that was not understood; here beside some that were."""
    template = counted[name].template
    for dots, value in FILLED[name]:
        assert dots in template
        template = template.replace(dots, value, 1)
    assert len(template.splitlines()) == 3
    monkeypatch.syspath_prepend(str(SHOP.parent))
    exec(template, {"np": np})
    assert "agrees with the finite differences" in capsys.readouterr().out


def test_what_cannot_be_made_comes_with_the_lines_to_write(counted: dict[str, Counted]) -> None:
    """They name the layer, what it must be given, and where they run."""
    peculiar = counted["Peculiar"]
    assert peculiar.word == "not understood"
    assert peculiar.template.splitlines()[1:] == [
        "from shop.layers import Peculiar",
        'print(gradcheck.search(Peculiar(protocol=…), {"x": (…,)}))',
    ]
    assert peculiar.path.split(os.pathsep)[0] == os.path.relpath(SHOP.parent)
    page = io.StringIO()
    show([peculiar], Console(file=page, width=100))
    assert f"fill in the dots and run, with PYTHONPATH={peculiar.path}\n    import gradcheck" in page.getvalue()


def test_a_module_that_cannot_be_imported_says_why(counted: dict[str, Counted]) -> None:
    """What is not installed may be imported, by demos mostly, until it is called; the others are judged."""
    assert "no_such_module_anywhere is not installed, and start of it was called" in counted["shop.broken"].lost


def test_a_folder_whose_name_is_no_identifier_is_no_package(tmp_path: Path) -> None:
    """A clone called my-layers with an __init__.py in it: its own modules import each other from inside."""
    inner = tmp_path / "my-layers" / "net"
    inner.mkdir(parents=True)
    for file in (inner.parent / "__init__.py", inner / "__init__.py", inner / "dense.py"):
        file.write_text("def backward(dout): ...")
    found = dict(modules_of(str(inner.parent), tmp_path))
    assert found["net.dense"] == str(inner.parent)


def test_the_table_counts_and_the_exit_code_is_pytests() -> None:
    """Wrong is 1, right and odd are 0, nothing to check is 5 and never green."""
    right, wrong = (
        Seen("right", "real of shape (3, 4)"),
        Seen("wrong", "(stride=1), real", "wrong sign", "x[0]: 1", "no"),
    )
    page = io.StringIO()
    console = Console(file=page, width=100)
    assert show([Counted("m", "A", (right,)), Counted("m", "B", (right, wrong))], console) == 1
    assert "1 wrong, 1 right; 3 settings judged" in page.getvalue()
    assert "made as B(stride=1), real" in page.getvalue()
    assert show([Counted("m", "A", (right,)), Counted("m", "T", (Seen("odd"),))], console) == 0
    assert show([], console) == 5


def test_run_sweeps_a_module_and_refuses_what_is_about_one_layer(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line has one door for both."""
    with pytest.raises(SystemExit) as left:
        main(["run", "shop.layers", "--shapes", "x: n,k"])
    assert left.value.code == 4
    assert "--shapes is about layers by name: write MODULE:ATTR" in capsys.readouterr().err
    assert main(["run", "no.such.module"]) == 5
    assert "No module named 'no'" in capsys.readouterr().out


def test_what_is_drawn_is_of_its_domain_and_never_an_even_row() -> None:
    """Softmax leaves an even row as it is: whether a loss takes logits could not be told from one."""
    for number in range(8):
        rows = Input("rows", (3, 4)).drawn(number, 1 / 1024)
        assert abs(rows.sum(-1) - 1).max() < 1e-15 * 4  # four roundings of numbers below 1
        assert (rows.std(-1) > 0.01).all()
        assert set(Input("onehot", (3, 4)).drawn(number).sum(-1)) == {1.0}
        assert Input("labels", (50,), 4).drawn(number).max() < 4
        assert Input("positive", (50,)).drawn(number).min() > 0


def test_integers_are_ids_only_where_a_name_says_so() -> None:
    """A network that takes whole numbers too is not judged with them: its gradients are meant for numbers."""
    assert data("WordEmbedding")[0].domain == "labels"
    assert all(x.domain != "labels" for x in data("MLP"))


def test_sequences_are_no_images() -> None:
    """A pool of one dimension may take the last two axes of an image for one, and read what is not there."""
    assert {len(x.shape) for x in data("MaxPool1d")[:3]} == {2, 3}
    assert len(data("MaxPool2d")[0].shape) == 4
    assert all(len(x.shape) < 4 for x in data("TimeDistributedDense"))


def test_units_that_are_off_at_first_are_seen_at_another_point() -> None:
    """Nothing of a right layer moves where all its units are off; a base class never moves."""
    setting = Setting((), (Input("real", (3, 4)),))
    highest = [setting.drawn(number)[0].max() for number in range(6)]
    edge = max(highest[0], highest[2])
    assert edge < max(highest)

    def ramp(x: Any) -> Any:
        return np.maximum(x - edge, 0), lambda dout: dout * (x > edge)

    def flat(x: Any) -> Any:
        return x * 0, lambda dout: dout * 0

    ramps, flats = (Candidate(f.__name__, lambda f=f: f, (), ("x",)) for f in (ramp, flat))
    assert tried(ramps, setting) == (None, "")
    assert "does not depend" in str(tried(flats, setting)[0])


def test_a_bias_of_kernels_has_one_entry_a_kernel() -> None:
    """One of five features broadcasts against images five wide, by luck."""
    bias = inspect.Parameter("b", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert {value.shape for value in of_argument(bias, "ConvLayer")} == {(4,), (2,), (4, 1), (1, 4)}
    assert of_argument(bias, "Dense")[0].shape == (5,)


def test_the_rules_of_a_custom_vjp_are_no_pair_and_what_is_wrong_by_design_is_odd(
    require: Callable[[str], ModuleType],
) -> None:
    """A straight-through function is judged once, under its own name, which says what it is."""
    jax = require("jax")
    module = ModuleType("rules")
    source = """
def straight_through(x): return jax.numpy.round(x)
def straight_through_fwd(x): return straight_through(x), None
def straight_through_bwd(saved, dy): return (dy,)
straight_through = jax.custom_vjp(straight_through)
straight_through.defvjp(straight_through_fwd, straight_through_bwd)
"""
    vars(module)["jax"] = jax
    exec(source, vars(module))
    (found,) = found_in(module)
    assert found.name == "straight_through"
    seen = next(judged(found, 20.0))
    assert (seen.word, seen.message[:10]) == ("odd", "by design?")


def test_labels_are_told_by_their_names() -> None:
    """They are held fixed, whichever place they have."""
    assert is_loss("CrossEntropy", ("y_true", "y_pred"))
    assert not is_loss("Add", ("a", "b"))
    assert {place for _, place in answers(("y_true", "y_pred"))} == {0}
    assert {place for _, place in answers(("x", "t"))} == {1}
    assert of_input("conv_param", "conv_forward")[0] == {"stride": 1, "pad": 1}
