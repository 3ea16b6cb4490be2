"""What the strategies draw: exactly what they promise, often enough, and without touching anything global."""

import os
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import Phase, find, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from gradcheck.strategies import (
    POSITIVE,
    REAL,
    UNIT,
    Palette,
    palette,
    palette_arrays,
    palettes,
    shapes,
    shapes_by_letter,
    sizes,
)
from gradcheck.strategies.palette import SIMPLEST_FIRST

BOUNDS = [REAL, POSITIVE, UNIT, (1, None), (None, 0), (-0.25, 0.25), (5, 6), (100, None)]
DTYPES = ["float16", "float32", "float64"]

# The six situations in which hand-written gradients are wrong most often, on an array of several rows.
TRIGGERS = {
    "tie for the maximum": lambda x: any((row == row.max()).sum() > 1 and np.ptp(row) > 0 for row in x),
    "an exact zero among others": lambda x: bool((x == 0).any() and (x != 0).sum() > 1),
    "a constant row": lambda x: any(np.ptp(row) == 0 and row[0] != 0 for row in x) and np.ptp(x) > 0,
    "a negative entry": lambda x: bool((x < 0).any()),
    "a value repeated in a row": lambda x: any(1 < len(np.unique(row)) < len(row) for row in x),
    "all entries equal": lambda x: bool(np.ptp(x) == 0 and x.flat[0] != 0),
}


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_palette_values_are_exact_in_every_dtype(dtype):
    """Converting the palette to a dtype and back loses nothing, down to the 8 bits of bfloat16."""
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    values = np.array(SIMPLEST_FIRST)
    assert np.array_equal(values.astype(dtype).astype("float64"), values)
    assert palette(b"\x01", (2,), dtype=dtype).dtype == np.dtype(dtype)


def test_palette_has_a_power_of_two_of_distinct_values():
    """Masking the high bits of a byte, Hypothesis's first shrink, then never changes the value it decodes to; half of
    the codes are for the simplest eight.
    """
    assert len(set(SIMPLEST_FIRST)) == len(SIMPLEST_FIRST) == 32
    for code in range(256):
        assert palette(bytes([code]), (1,)) == palette(bytes([code & 63]), (1,))
    half = [palette(bytes([code]), (1,)).item() for code in range(32, 64)]
    assert set(half) == set(SIMPLEST_FIRST[:8])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_arrays_lie_strictly_inside_their_bounds(data):
    """Whatever the bytes, the mode and the dtype, no entry reaches a bound, so log and arctanh stay finite."""
    bounds = data.draw(st.sampled_from(BOUNDS))
    dtype = data.draw(st.sampled_from(DTYPES))
    array = data.draw(palette_arrays(shapes(max_dims=2), dtype, bounds=bounds))
    low, high = bounds
    assert array.dtype == dtype
    assert np.isfinite(array).all()
    assert low is None or (array > low).all()
    assert high is None or (array < high).all()


@given(palettes(shapes(), extremes=True))
@settings(max_examples=60, deadline=None)
def test_a_recipe_is_runnable_python(recipe):
    """Its repr makes an equal recipe, its expression makes the same array, and the same recipe always does."""
    again = eval(repr(recipe), {"Palette": Palette})
    assert again == recipe
    assert hash(again) == hash(recipe)
    array = eval(recipe.expression, {"palette": palette})
    assert array.shape == recipe.shape
    assert np.array_equal(array, recipe.array())


def test_hypothesis_prints_a_failing_array_as_the_call_that_makes_it():
    """The falsifying example can be pasted: it names palette(...), not the digits of an array."""

    @settings(max_examples=50, database=None, deadline=None)
    @given(x=palette_arrays((2, 2)))
    def no_negatives(x):
        assert (x >= 0).all()

    with pytest.raises(AssertionError) as failure:
        no_negatives()
    assert any("x=palette(b'\\x02', (2, 2))" in note for note in failure.value.__notes__)


def test_jitter_reaches_generic_points_and_is_told_by_its_seed():
    """Jittered entries all differ, stay within 1 of the palette, and another seed gives other entries."""
    plain, jittered = palette(b"\x01", (50,), mode="tile"), palette(b"\x01", (50,), mode="jitter", seed=1)
    assert len(np.unique(jittered)) == 50
    assert np.abs(jittered - plain).max() < 1
    assert not np.array_equal(jittered, palette(b"\x01", (50,), mode="jitter", seed=2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_values_come_only_when_asked_for(dtype):
    """With extremes, subnormal and huge finite values are drawn; without, none ever is."""

    def extreme(x):
        size = np.abs(x[x != 0].astype("float64"))
        return bool(((size < np.finfo(dtype).tiny) | (size > float(np.finfo(dtype).max) / 4)).any())

    quiet = settings(database=None, max_examples=300, deadline=None)
    drawn = find(palette_arrays((3,), dtype, extremes=True), extreme, settings=quiet)
    assert np.isfinite(drawn).all()
    with pytest.raises(NoSuchExample):
        find(palette_arrays((3,), dtype), extreme, settings=quiet)


@pytest.mark.parametrize("name", TRIGGERS)
def test_classic_triggers_are_drawn_within_200_examples_in_20_of_20_runs(name):
    """Each of the six situations that break hand-written gradients turns up in every one of 20 seeded runs."""
    for run in range(20):
        found = find(
            palette_arrays((3, 4)),
            TRIGGERS[name],
            random=random.Random(run),
            settings=settings(max_examples=200, database=None, deadline=None, phases=[Phase.generate]),
        )
        assert TRIGGERS[name](found)


def test_drawing_leaves_the_global_random_state_alone():
    """NumPy's global generator is in the same state after an array is decoded as before."""
    before = np.random.get_state(legacy=True)  # noqa: NPY002 - the legacy global state is what must not move
    palette(b"\x01", (100,), mode="jitter", seed=7)
    after = np.random.get_state(legacy=True)  # noqa: NPY002
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"mode": "zigzag"}, ValueError, "mode 'zigzag' is unknown: use one of pad, tile, rows, jitter, extreme"),
        ({"dtype": "int64"}, TypeError, "dtype int64 has no derivatives: use a floating-point dtype such as 'float64'"),
        ({"bounds": (1, 1)}, ValueError, r"bounds \(1, 1\) are empty: the first must be less than the second"),
    ],
)
def test_palette_refuses_what_it_cannot_decode(arguments, error, words):
    """A wrong mode, dtype or interval is named together with the remedy."""
    with pytest.raises(error, match=words):
        palette(b"", (1,), **arguments)


@given(shapes_by_letter(x=("n", "k"), w=("k", "m"), b=("m",), c=(), stack=(2, "n", 3)))
@settings(max_examples=60, deadline=None)
def test_equal_letters_get_equal_sizes(drawn):
    """Shapes drawn together fit together, numbers stand for themselves, and the order is the caller's."""
    (n, k), (k2, m) = drawn["x"], drawn["w"]
    assert k == k2
    assert drawn == {"x": (n, k), "w": (k, m), "b": (m,), "c": (), "stack": (2, n, 3)}
    assert list(drawn) == ["x", "w", "b", "c", "stack"]


def test_ones_squares_and_a_few_dozen_entries_are_all_drawn_often():
    """Of 300 shapes at least 5% have a side of 1, are square, have 24 entries or more, have all sides different."""
    seen = Counter()

    @seed(1)
    @settings(max_examples=300, database=None, deadline=None, phases=[Phase.generate])
    @given(shapes_by_letter(x=("n", "k"), w=("k", "m")))
    def draw(drawn):
        (n, k), (_, m) = drawn["x"], drawn["w"]
        seen["one"] += 1 in (n, k, m)
        seen["square"] += n == k
        seen["two dozen"] += n * k >= 24
        seen["all differ"] += len({n, k, m}) == 3
        assert max(n * k, k * m) <= 64

    draw()
    assert min(seen.values()) >= 15
    assert len(seen) == 4


@given(shapes(min_dims=1, max_dims=4, entries=50))
@settings(max_examples=60, deadline=None)
def test_shapes_stay_near_the_entries_asked_for(shape):
    """A shape has the number of axes asked for, no empty side, and at most 3 to the power of its axes or 64 entries."""
    assert 1 <= len(shape) <= 4
    assert min(shape) >= 1
    assert np.prod(shape) <= max(64, 3 ** len(shape))


@pytest.mark.parametrize(
    ("axes", "error", "words"),
    [
        ((1.5,), TypeError, "x: axis 1.5 must be a letter such as 'n' or a fixed size such as 3"),
        ((-1,), ValueError, "x: axis -1 is a size and must be at least 0"),
    ],
)
def test_shapes_by_letter_refuses_a_wrong_axis(axes, error, words):
    """An axis that is no size is named with the array it belongs to."""
    with pytest.raises(error, match=words):
        shapes_by_letter(x=axes)


def test_sizes_refuses_an_empty_range():
    """There is no size below 1 to draw."""
    with pytest.raises(ValueError, match="largest=0 leaves no size to draw: it must be at least 1"):
        sizes(0)


def test_profiles_do_not_inherit_from_ci():
    """Under CI=true a nightly run still draws new examples and remembers failures, and importing registers nothing."""
    code = (
        "from hypothesis import settings, errors\n"
        "import gradcheck.strategies, gradcheck.strategies.profiles as profiles\n"
        "try: settings.get_profile('gradcheck-nightly')\n"
        "except errors.InvalidArgument: print('not before register')\n"
        "profiles.register()\n"
        "for name in profiles.NAMES:\n"
        "    s = settings.get_profile('gradcheck-' + name)\n"
        "    print(name, s.max_examples, s.derandomize, s.database is not None, s.deadline)\n"
    )
    environment = {**os.environ, "CI": "true"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        "not before register",
        "dev 50 False True None",
        "ci 200 True False None",
        "nightly 2000 False True None",
        "fuzz 20000 False True None",
    ]
