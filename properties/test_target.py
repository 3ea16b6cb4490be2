"""Targets and the contract of DESIGN §2: what is taken, how inputs are named, frozen and typed, what is refused."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Kind, Target, Verdict, as_target, check, from_pair, from_pullback

X = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6]])


def product(x: Any, w: Any) -> Any:
    return x * w


def product_back(inputs: tuple[Any, ...], g: Any) -> Any:
    return g * inputs[1], g * inputs[0]


def test_importing_gradcheck_imports_no_numpy() -> None:
    """pytest imports its plugins on every run; the names are fetched when they are used."""
    code = "import sys, gradcheck; assert not {'numpy', 'hypothesis', 'scipy'} & set(sys.modules); gradcheck.from_pair"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_judging_one_point_does_not_import_hypothesis() -> None:
    """check needs numpy only."""
    code = (
        "import sys, numpy as np, gradcheck\n"
        "assert gradcheck.check((np.sin, lambda i, g: (g * np.cos(i[0]),)), np.ones(3))\n"
        "assert not {'hypothesis', 'pytest'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_pair_a_pullback_and_a_target_are_the_same_to_check() -> None:
    """Three ways to say x·w, one verdict and the same names."""
    forms = [
        from_pair(product, product_back),
        from_pullback(lambda x, w: (x * w, lambda dy: (dy * w, dy * x))),
        (product, product_back),
        [product, product_back],
        lambda x, w: (x * w, lambda dy: (dy * w, dy * x)),
        as_target((product, product_back)),
    ]
    for form in forms:
        report = check(form, X, X + 1)
        assert report.verdict is Verdict.PASS, report
        assert set(report.resolutions) == {"x", "w"}


def test_as_target_gives_a_target_back_as_it_is() -> None:
    """Recognising twice changes nothing."""
    target = from_pair(product, product_back)
    assert as_target(target) is target


@pytest.mark.parametrize(
    "thing", [3, "sin", None, (np.sin,), (np.sin, 3), (np.sin, np.cos, np.tan), {"f": np.sin}, dict, X]
)
def test_what_is_no_target_is_refused_with_what_would_be(thing: Any) -> None:
    """The error shows what was given and what is understood."""
    with pytest.raises(TypeError, match=r"cannot make a target of .*give a Target, a pair \(f, vjp\), or a function"):
        as_target(thing)
    with pytest.raises(TypeError, match="cannot make a target of"):
        check(thing, X)


def test_parts_that_cannot_be_called_are_refused_by_name() -> None:
    """f, vjp and fn, each with its rule."""
    with pytest.raises(TypeError, match="f must be a function of the inputs, got int 3"):
        from_pair(3, product_back)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"vjp must be a function vjp\(inputs, cotangent\), got NoneType None"):
        from_pair(product, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"fn must be a function that returns \(value, pullback\), got str 'sin'"):
        from_pullback("sin")  # type: ignore[arg-type]


def test_a_function_that_returns_no_pullback_is_told_how() -> None:
    """Its value alone makes an inconclusive report that names from_pair."""
    report = check(from_pullback(np.sin), X)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "use from_pair for a separate vjp" in report.reasons[0]


def test_inputs_are_named_by_the_function_or_by_position() -> None:
    """A signature's names, positions where it has none."""
    named = check(from_pair(product, lambda i, g: (2 * g * i[1], g * i[0])), X, X)
    assert named.findings[0].input == "x"
    nameless = check(from_pair(lambda *arrays: arrays[0] * arrays[1], lambda i, g: (g * i[1], 2 * g * i[0])), X, X)
    assert nameless.findings[0].input == 1
    keyworded = from_pair(lambda x, *, scale=2.0: scale * x, lambda i, g: (2 * g,))
    assert check(keyworded, X).verdict is Verdict.PASS


def test_names_of_targets_come_from_their_functions() -> None:
    """Unless given."""
    assert from_pair(product, product_back).name == "product"
    assert from_pair(product, product_back, name="layer").name == "layer"
    assert repr(from_pair(np.sin, product_back)) == "Target('sin')"

    class Layer:
        def __call__(self, x: Any) -> Any:
            return x

    assert from_pair(Layer(), lambda i, g: (g.copy(),)).name == "Layer"
    assert from_pair(lambda x: x, lambda i, g: (g.copy(),)).name == "lambda"


@pytest.mark.parametrize("frozen", [("w",), (1,), "w", [1], {"w"}])
def test_frozen_inputs_carry_no_gradient(frozen: Any) -> None:
    """By name or by position; None, or nothing at all, for them is right."""
    for vjp in (lambda i, g: (g * i[1], None), lambda i, g: g * i[1], lambda i, g: (g * i[1],)):
        report = check(from_pair(product, vjp, frozen=frozen), X, X + 1)
        assert report.verdict is Verdict.PASS, report
        assert set(report.resolutions) == {"x"}


def test_an_unknown_frozen_name_is_refused_with_the_known_ones() -> None:
    """The error lists the names there are."""
    with pytest.raises(ValueError, match=r"frozen names an input 'v' that the function does not have \(x, w\)"):
        from_pair(product, product_back, frozen=("v",))
    with pytest.raises(ValueError, match="none has a name"):
        from_pair(lambda *a: a[0], product_back, frozen=("v",))


def test_integer_and_boolean_inputs_are_frozen_by_themselves() -> None:
    """Labels, indices and masks."""
    labels = np.array([0, 2])

    def pick(x: Any, labels: Any) -> Any:
        return x[np.arange(2), labels]

    def back(inputs: tuple[Any, ...], g: Any) -> Any:
        d = np.zeros_like(inputs[0])
        d[np.arange(2), inputs[1]] = g
        return d, None

    assert check(from_pair(pick, back), X, labels).verdict is Verdict.PASS
    mask = from_pair(lambda x, m: np.where(m, x, 0), lambda i, g: (np.where(i[1], g, 0), None))
    assert check(mask, X, X > 0).verdict is Verdict.PASS


def test_tuples_of_outputs_are_judged_together() -> None:
    """The cotangent has the structure of the value; an integer output beside it carries none."""

    def both(x: Any) -> Any:
        return x.max(), np.sin(x), int(x.argmax())

    def back(factor: float) -> Any:
        def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
            x = inputs[0]
            assert isinstance(g, tuple)
            assert [np.shape(part) for part in g] == [(), (3,), ()]
            return (g[0] * (np.arange(3) == x.argmax()) + factor * g[1] * np.cos(x),)

        return vjp

    x = np.array([0.3, -1.2, 0.7])
    assert check(from_pair(both, back(1.0)), x).verdict is Verdict.PASS
    assert check(from_pair(both, back(1.001)), x).verdict is Verdict.FAIL
    single = from_pair(lambda x: (np.sin(x),), lambda i, g: (g[0] * np.cos(i[0]),))
    assert check(single, x).verdict is Verdict.PASS


def test_a_second_output_forgotten_is_caught() -> None:
    """Backward of the first output only."""
    pair = from_pair(lambda x: (np.sin(x), x * x), lambda i, g: (g[0] * np.cos(i[0]),))
    assert check(pair, X).verdict is Verdict.FAIL


def test_scalars_and_empty_arrays_are_inputs_like_others() -> None:
    """0-d, Python floats, no entries; an empty gradient of the wrong shape is still wrong."""
    sine = from_pair(np.sin, lambda i, g: (g * np.cos(i[0]),))
    for x in (0.5, np.float64(0.5), np.array(0.5), np.zeros(0), np.zeros((0, 3)), np.zeros((2, 0, 3))):
        assert check(sine, x).verdict is Verdict.PASS, x
    wrong = from_pair(np.sin, lambda i, g: (np.zeros((3, 0)),))
    assert check(wrong, np.zeros((0, 3))).findings[0].kind is Kind.SHAPE
    total = from_pair(lambda x: x.sum(), lambda i, g: (np.full(i[0].shape, g),))
    assert check(total, np.zeros((0, 3))).verdict is Verdict.PASS


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "longdouble", "complex128", "complex64", ">f8"])
def test_every_inexact_dtype_is_judged(dtype: str) -> None:
    """A right square passes and a doubled one fails; the report names the dtype."""
    x = np.array([0.5, -1.25, 2.0]).astype(dtype)
    if x.dtype.kind == "c":
        x = x * x.dtype.type(1 - 0.5j)

    def back(factor: int) -> Any:
        return lambda i, g: ((factor * g * np.conj(i[0])).astype(i[0].dtype),)

    right, wrong = (check(from_pair(lambda x: x * x, back(factor)), x) for factor in (2, 4))
    assert (right.verdict, wrong.verdict) == (Verdict.PASS, Verdict.FAIL), (right, wrong)
    assert right.dtype == str(x.dtype)
    assert wrong.findings[0].kind is Kind.FACTOR


@pytest.mark.parametrize("conjugate", [True, False])
def test_both_conventions_of_a_complex_gradient_are_right(conjugate: bool) -> None:
    """conj(f′)·g (torch's) and f′·g (jax's), for holomorphic functions and for |z|²; a mixture or a factor is wrong."""
    z = np.array([1 + 2j, -0.5 + 0.25j, 2 - 1j])
    turn = np.conj if conjugate else (lambda a: a)
    holomorphic = from_pair(lambda z: z**3, lambda i, g: (g * turn(3 * i[0] ** 2),))
    assert check(holomorphic, z).verdict is Verdict.PASS
    modulus = from_pair(lambda z: np.abs(z) ** 2, lambda i, g: (2 * g * (i[0] if conjugate else np.conj(i[0])),))
    assert check(modulus, z).verdict is Verdict.PASS
    for factor in (2.0, -1.0, 1j, 0.0):
        wrong = from_pair(lambda z: z**3, lambda i, g, c=factor: (g * turn(c * 3 * i[0] ** 2),))
        assert check(wrong, z).verdict is Verdict.FAIL, factor

    def mixed(i: Any, g: Any) -> Any:
        d = 3 * i[0] ** 2
        return (g * np.where(np.arange(3) == 1, d, np.conj(d)),)

    assert check(from_pair(lambda z: z**3, mixed), z).verdict is Verdict.FAIL


def test_parameters_of_a_target_are_appended_by_name() -> None:
    """A target with parameters is checked with its inputs alone, and a wrong parameter is named."""
    w = np.array([[1.0, -0.5], [0.25, 2.0], [0.75, 1.0]])

    def layer(factor: float) -> Target:
        return Target(
            "dense",
            lambda x, w: x @ w,
            lambda x, w: lambda g: (g @ w.T, factor * x.T @ g),
            inputs=("x", "W"),
            parameters={"W": w},
        )

    assert check(layer(1.0), X).verdict is Verdict.PASS
    report = check(layer(2.0), X)
    assert (report.verdict, report.findings[0].input) == (Verdict.FAIL, "W")


def test_the_public_face_lists_what_it_offers() -> None:
    """An unknown name is refused with the known ones; every listed one can be fetched."""
    for name in gradcheck.__all__:
        assert getattr(gradcheck, name) is not None
    with pytest.raises(AttributeError, match="module 'gradcheck' has no attribute 'chekc'"):
        gradcheck.chekc  # type: ignore[attr-defined] # noqa: B018


def test_a_target_that_must_see_its_inputs_is_bound_to_them():
    """`bind` turns what a framework takes into flat arrays, and what it noted reaches the report."""

    def bind(pair):
        first, second = pair["a"], pair["b"]
        product = gradcheck.from_pair(lambda a, b: a * b, lambda inputs, g: (g * inputs[1], g * inputs[0]))
        return replace(product, notes=("took a pair",)), (first, second)

    target = replace(gradcheck.from_pair(abs, lambda inputs, g: g, name="product"), bind=bind)
    report = gradcheck.check(target, {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 5.0])})
    assert report.verdict is gradcheck.Verdict.PASS
    assert report.notes == ("took a pair",)
    assert [block.input for block in report.blocks] == ["a", "b"]


def test_a_report_has_a_row_for_every_block_right_or_wrong():
    """The wrong one quotes its worst entry, the right ones the slope along the direction that was probed."""

    def vjp(inputs, g):
        x, w = inputs
        return g @ w.T, 3 * (x.T @ g)

    report = gradcheck.check((lambda x, w: x @ w, vjp), np.array([[1.0, 2.0]]), np.array([[3.0], [5.0]]))
    x, w = report.blocks
    assert (x.input, x.shape, x.dtype, x.verdict, x.index) == ("x", (1, 2), "float64", gradcheck.Verdict.PASS, None)
    assert x.error <= x.bound
    assert (w.verdict, w.index) == (gradcheck.Verdict.FAIL, report.findings[0].index)
    assert w.error > w.bound
    assert w.claimed == report.findings[0].claimed
