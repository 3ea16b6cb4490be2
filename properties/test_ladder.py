"""The ladder: a reading covers the truth, a wrong residual persists, and nothing else does."""

import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.numeric.ladder import Reading, Rung, read

EXAMPLES = 10_000 if os.environ.get("GRADCHECK_NIGHTLY") == "1" else 150
EPS = float(np.finfo("float64").eps)
STEPS = tuple(10.0**k for k in np.arange(-9, 0.1, 0.75))

FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "cube": (lambda x: x**3, lambda x: 3 * x * x),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sin 30x": (lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x)),
    "runge": (lambda x: 1 / (1 + 25 * x * x), lambda x: -50 * x / (1 + 25 * x * x) ** 2),
    "log": (lambda x: np.log(3 + x), lambda x: 1 / (3 + x)),
}
STEEP = {"sin 30x": 30.0}


def rungs(f: Callable[[float], float], x: float, claimed: float, steep: float = 0.0) -> list[Rung]:
    """Central differences of f, less what is claimed, each with its rounding for a bar: eight ulps of values, and of
    arguments of up to 1.5 where f is `steep`; the middle of x ± t is x but for an ulp, times a curvature of up to 900.
    """
    made = []
    for t in STEPS:
        up, down = x + t, x - t
        rounding = 8 * EPS * (max(abs(f(x)), abs(f(up)), abs(f(down)), 1e-3) + steep)
        residual = (f(up) - f(down) - claimed * (up - down)) / (up - down)
        made.append(Rung(t, float(residual), float(rounding / t + 900 * EPS)))
    return made


names = st.sampled_from(sorted(FUNCTIONS))
points = st.floats(-1.5, 1.5, allow_subnormal=False)


@given(name=names, x=points)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_reading_covers_the_truth(name: str, x: float) -> None:
    """The residual of a right claim is zero within its bound, and never persists."""
    f, slope = FUNCTIONS[name]
    reading = read(rungs(f, x, float(slope(x)), STEEP.get(name, 0.0)))
    assert abs(reading.value) <= reading.error
    assert reading.is_zero
    assert not reading.persists


@given(name=names, x=points)
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_bound_of_a_smooth_function_is_small(name: str, x: float) -> None:
    """What covers the truth is no excuse of infinite width: 10⁻⁶ of the slope's scale."""
    f, slope = FUNCTIONS[name]
    reading = read(rungs(f, x, float(slope(x)), STEEP.get(name, 0.0)))
    assert reading.error <= 1e-6 * max(1.0, abs(float(slope(x)))) * (30 if "30" in name or name == "runge" else 1)


@given(name=names, x=points, error=st.sampled_from([1.0, -1.0, 0.1, -1e-2, 1e-3, 1e-4]))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_wrong_residual_persists(name: str, x: float, error: float) -> None:
    """A claim off by 1e-4 or more is there at every step that noise can resolve, and is read at its size."""
    f, slope = FUNCTIONS[name]
    reading = read(rungs(f, x, float(slope(x)) - error, STEEP.get(name, 0.0)))
    assert reading.persists, reading
    assert abs(reading.value - error) <= reading.error + 1e-12


@given(
    scale=st.floats(1e-3, 1e3), power=st.sampled_from([1, 2, 4]), start=st.floats(1e-6, 1e-2), seed=st.integers(0, 99)
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_truncation_never_persists(scale: float, power: int, start: float, seed: int) -> None:
    """Slopes that shrink like t, t² or t⁴ are the step's, not the claim's."""
    steps = [start * 4.0**k for k in range(6)]
    noise = 1e-15 * np.random.default_rng(seed).uniform(0.5, 1, 6)
    assert not read([Rung(t, scale * t**power, float(n / t)) for t, n in zip(steps, noise, strict=True)]).persists


@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), size=st.floats(1e-12, 1e3))
@settings(max_examples=EXAMPLES, deadline=None)
def test_noise_never_persists(seed: int, count: int, size: float) -> None:
    """Slopes within their bars, whatever they look like."""
    rng = np.random.default_rng(seed)
    steps = sorted(10.0 ** rng.uniform(-9, 0, count))
    made = [Rung(float(t), float(rng.uniform(-1, 1) * size / t), float(size / t)) for t in steps]
    reading = read(made)
    assert not reading.persists


@given(seed=st.integers(0, 10_000))
@settings(max_examples=EXAMPLES, deadline=None)
def test_bars_four_times_too_narrow_still_never_persist(seed: int) -> None:
    """Noise four times its bar: it is not flat over a range of steps, so it is not called a fact."""
    rng = np.random.default_rng(seed)
    steps = [2e-6 * 5.0**k for k in range(6)]
    made = [Rung(t, float(rng.normal() * 1e-12 / t), 0.25e-12 / t) for t in steps]
    assert not read(made).persists


@pytest.mark.parametrize("period", [1e-3, 1e-2, 0.1])
def test_aliasing_at_large_steps_never_persists(period: float) -> None:
    """A fast ripple under a right claim is flat at steps of many periods; the small steps know better."""
    frequency = 2 * np.pi / period
    f = FUNCTIONS["sin"][0]
    for x in np.linspace(-1, 1, 21):
        ripple = float(np.cos(x) + np.cos(frequency * x))
        made = rungs(lambda t: float(f(t) + np.sin(frequency * t) / frequency), float(x), ripple)
        assert not read(made).persists


@pytest.mark.parametrize("distance", [1e-8, 1e-6, 1e-4, 1e-2])
def test_a_kink_at_a_distance_never_persists(distance: float) -> None:
    """|x − d| at 0 with its right slope −1: steps beyond d see another one."""
    made = rungs(lambda t: abs(t - distance), 0.0, -1.0)
    assert not read(made).persists


def test_what_shows_beyond_a_tenth_of_the_inputs_belongs_to_another_point() -> None:
    """A residual flat from 0.2 on only is not here."""
    made = [Rung(t, 1.0 if t > 0.1 else 0.0, 1e-12 / t) for t in STEPS]
    assert not read(made).persists


@given(name=names, x=points, seed=st.integers(0, 99))
@settings(max_examples=EXAMPLES // 3, deadline=None)
def test_the_order_of_rungs_does_not_matter(name: str, x: float, seed: int) -> None:
    """In any order, the same reading."""
    f, slope = FUNCTIONS[name]
    made = rungs(f, x, float(slope(x)), STEEP.get(name, 0.0))
    shuffled = [made[k] for k in np.random.default_rng(seed).permutation(len(made))]
    assert read(made) == read(shuffled)


@given(name=names, x=points, factor=st.sampled_from([2.0**-30, 0.5, 2.0, 2.0**30]))
@settings(max_examples=EXAMPLES // 3, deadline=None)
def test_a_reading_scales_with_its_function(name: str, x: float, factor: float) -> None:
    """Slopes and bars times a power of two: value and error times that, the same judgement."""
    f, slope = FUNCTIONS[name]
    made = rungs(f, x, float(slope(x)) + 1e-3, STEEP.get(name, 0.0))
    one, other = read(made), read([Rung(r.step, r.slope * factor, r.noise * factor) for r in made])
    assert (other.value, other.error, other.persists, other.limit) == (
        one.value * factor, one.error * factor, one.persists, one.limit,
    )  # fmt: skip


def test_a_lone_rung_has_no_bound() -> None:
    """Nothing says what one step owes to its size."""
    reading = read([Rung(1e-3, 2.0, 1e-12)])
    assert reading.error == float("inf")
    assert reading.is_zero
    assert not reading.persists


def test_the_limit_names_what_would_narrow_the_bound() -> None:
    """Noise asks for larger steps, truncation for smaller ones."""
    assert read([Rung(t, 0.0, 1e-9 / t) for t in (1e-6, 2e-6, 1e-5)]).limit == "noise"
    assert read([Rung(t, t, 1e-18 / t) for t in (1e-2, 2e-2, 5e-2)]).limit == "truncation"


def test_no_rungs_are_an_error() -> None:
    """The error says what is needed."""
    with pytest.raises(ValueError, match="a reading needs at least one rung, got none; widen the ladder"):
        read([])


def test_a_rung_and_a_reading_are_values() -> None:
    """Equal if their numbers are, and their reprs are Python."""
    rung = Rung(1e-3, 2.0, 1e-12)
    assert eval(repr(rung)) == rung
    reading = read([rung, Rung(1e-2, 2.0, 1e-13)])
    assert eval(repr(reading), {"Reading": Reading}) == reading


def bent(off: float, noise: float, steps: tuple[float, ...]) -> list[Rung]:
    """Slopes that are `off` by a constant and by truncation that outgrows it at a step of 0.05."""
    return [Rung(h, off + (h / 0.05) ** 2, noise / h) for h in steps]


def test_a_wrong_slope_persists_beneath_truncation() -> None:
    """Between noise and truncation the slope is flat over a factor of 4 only; without its h² term it is over 15."""
    steps = tuple(2.0**-k for k in range(3, 10))
    reading = read(bent(-0.3, 2e-4, steps))
    assert reading.persists
    assert not read(bent(0.0, 2e-4, steps)).persists


def test_what_a_kink_nearby_adds_at_long_steps_does_not_persist() -> None:
    """Beyond a kink at d the slope is off by c·(1 − d/h), at every shorter step by nothing."""
    for d in (1e-4, 1e-3, 1e-2, 0.05):
        steps = tuple(2.0**-k for k in range(3, 22))
        assert not read([Rung(h, max(0.0, 1 - d / h), 1e-9 / h) for h in steps]).persists
