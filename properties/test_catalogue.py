"""The exam is right: what the catalogue calls right is right, what it calls wrong differs, and nothing is left out."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from properties.catalogue import FAULTS, cases, right_cases, share, shows, wrong_cases
from properties.catalogue.case import KINDS, Array, Case, Inputs
from properties.catalogue.elementwise import KINKED
from properties.catalogue.hard import COARSE
from properties.catalogue.right import functions
from properties.catalogue.shows import arrays, copied, same

EPS = np.finfo("float64").eps
CONVEX = (
    "max_first", "max_last", "max_shared", "norm_1", "norm_2", "norm_infinity", "multiclass_hinge",
    "mean_absolute_error", "maximum_first", "maximum_half", "relu_at_zero_0.5", "abs_at_zero_1.0",
)  # fmt: skip


def names(chosen: Any) -> list[str]:
    return [case.name for case in chosen]


def pairing(value: Any, cotangent: Any) -> float:
    """⟨cotangent, value⟩ in float64."""
    return float(sum((a.astype(float) * b).sum() for a, b in zip(arrays(value), arrays(cotangent), strict=True)))


def slope(case: Case, inputs: Inputs, i: int, u: Array, cotangent: Any) -> tuple[float, float]:
    """The slope of ⟨cotangent, f⟩ along u in input i, and its error: sixth-order central differences on a ladder.

    The rung is the one that agrees best with its neighbour. The error is that disagreement ten times over, plus the
    rounding of both values by 20 units in the last place (sums of a few dozen terms), through weights that add up to
    (45 + 9 + 1)·2/60 < 2.
    """
    inputs = tuple(np.array(x) for x in inputs)

    def along(t: float) -> float:
        try:
            return pairing(case.f(*inputs[:i], inputs[i] + t * u, *inputs[i + 1 :]), cotangent)
        except np.linalg.LinAlgError:  # a step out of the domain: no longer positive definite
            return np.nan

    def central(h: float) -> float:
        return sum(w * (along(k * h) - along(-k * h)) for k, w in ((1, 45), (2, -9), (3, 1))) / (60 * h)

    size = sum(
        float(np.abs(a.astype(float) * b).sum())
        for a, b in zip(arrays(case.f(*inputs)), arrays(cotangent), strict=True)
    )
    steps = [0.3 * 4.0**-k for k in range(6 if case.name in names(COARSE) else 16)]  # down to 3e-4 or 3e-10
    with np.errstate(all="ignore"):
        rungs = [central(h) for h in steps]
    pairs = [(abs(a - b) * 10 + 40 * EPS * size / h, b) for a, b, h in zip(rungs, rungs[1:], steps[1:], strict=False)]
    error, best = min((p for p in pairs if np.isfinite(p[0])), default=(np.inf, np.nan))
    return best, error


def judged(case: Case, points: int) -> Iterator[bool]:
    """At generic points, whether each input's gradient agrees with the slope; points too noisy to tell are left out."""
    rng = np.random.default_rng(11)
    for inputs in case.points(points, 3, ("generic",)):
        cotangent = case.cotangent(inputs)
        gradients = case.vjp(inputs, cotangent)
        for i in (i for i, d in enumerate(gradients) if d is not None and d.size):
            typical = (
                np.abs(inputs[i]) + 1e-3 * np.abs(inputs[i]).mean()
            )  # steps in proportion, so that they stay in the domain
            u = np.asarray(rng.choice([-1.0, 1.0], inputs[i].shape) * typical)
            weight = float(np.abs(gradients[i] * u).sum())
            numeric, error = slope(case, inputs, i, u, cotangent)
            if error <= 1e-3 * weight or (weight == 0 and np.isfinite(error)):
                yield abs(float((gradients[i] * u).sum()) - numeric) <= error + 1e-6 * weight


@pytest.mark.parametrize("name", functions())
def test_right_gradients_agree_with_sixth_order_differences(name: str) -> None:
    """At generic points the slope along random directions is the claimed one, to 1e-3 or, nearly always, far better."""
    verdicts = list(judged(functions()[name], 6))
    assert all(verdicts), f"{name}: {verdicts.count(False)} of {len(verdicts)} disagree"
    assert verdicts, f"{name}: nothing could be told"


def test_the_reference_would_notice_a_gradient_wrong_by_0_1_percent() -> None:
    """The reference itself is tested: near misses of smooth functions are seen."""
    near_misses = [c for c in wrong_cases() if c.fault == "off_by_0.001"]
    assert near_misses
    assert all(not all(judged(case, 6)) for case in near_misses)


def test_variants_have_the_gradients_of_their_functions() -> None:
    """Scaled and shifted variants agree with slopes, those in lower precision with the float64 gradient."""
    for case in right_cases():
        if case.name not in functions() and "inside" not in case.name and case.domain.dtype == "float64":
            assert all(judged(case, 2)), case.name
        elif case.name not in functions():
            base = functions()[case.name.split("[")[0]]
            for inputs in case.points(3, 0, ("generic",)):
                cotangent = case.cotangent(inputs)
                wide = tuple(x.astype("float64") if x.dtype.kind == "f" else x for x in inputs)
                truth = base.vjp(
                    wide,
                    tuple(g.astype("float64") for g in cotangent)
                    if isinstance(cotangent, tuple)
                    else cotangent.astype("float64"),
                )
                coarse = (
                    3e-2 if case.domain.dtype == "float16" else 1e-3
                )  # 30 roundings of half; 10⁴ of single, for normalisation
                for a, b in zip(arrays(case.vjp(inputs, cotangent)), arrays(truth), strict=True):
                    assert np.abs(a - b).max(initial=0) <= coarse * max(1.0, np.abs(b).max(initial=0)), case.name


@pytest.mark.parametrize("name", names(KINKED))
def test_kinked_slopes_lie_between_the_one_sided_ones(name: str) -> None:
    """At exact zeros, bounds and ties, entry by entry."""
    case = functions()[name]
    h = 2.0**-30  # dyadic, so that the palette's differences are exact to 1e-16 / h = 1e-7
    for inputs in case.points(20, 0, ("palette",)):
        x = inputs[0] if name != "relu_near_zero" else inputs[0] * 2**20
        left, right = (case.f(x) - case.f(x - h)) / h, (case.f(x + h) - case.f(x)) / h
        claim = case.vjp((x,), np.ones_like(x))[0]
        assert np.all(claim >= np.minimum(left, right) - 1e-6)
        assert np.all(claim <= np.maximum(left, right) + 1e-6)


@pytest.mark.parametrize("name", CONVEX)
def test_convex_functions_have_valid_subgradients_at_ties(name: str) -> None:
    """f(x + u) ≥ f(x) + g·u for every u, which is what a subgradient is; sums of outputs are convex too."""
    case = functions()[name]
    rng = np.random.default_rng(0)
    for inputs in case.points(25, 1, ("palette",)):
        ones = np.ones_like(case.f(*inputs))
        gradients = case.vjp(inputs, ones)
        for _ in range(8):
            moved = tuple(
                x if d is None else x + rng.choice([-1.0, 0.0, 1.0], x.shape)
                for x, d in zip(inputs, gradients, strict=True)
            )
            rise = sum(
                float((d * (m - x)).sum()) for x, m, d in zip(inputs, moved, gradients, strict=True) if d is not None
            )
            assert pairing(case.f(*moved), ones) >= pairing(case.f(*inputs), ones) + rise - 1e-9


def test_right_cases_abide_by_the_laws() -> None:
    """Shape and dtype of the input, nothing mutated, nothing shared, the same twice, linear in the cotangent."""
    for case in right_cases():
        for inputs in case.points(2, 5):
            mine, cotangent = copied(inputs), case.cotangent(inputs)
            g = copied(cotangent)
            value, gradients = case.f(*mine), case.vjp(mine, g)
            again, twice = case.vjp(mine, g), case.vjp(mine, tuple(2 * a for a in g) if isinstance(g, tuple) else 2 * g)
            assert same(mine, inputs), case.name
            assert same(g, cotangent), case.name
            assert same(value, case.f(*mine)), case.name
            assert [i for i, d in enumerate(gradients) if d is None] == list(case.frozen), case.name
            assert [(d.shape, d.dtype) for d in gradients if d is not None] == [
                (x.shape, x.dtype) for x in inputs if x.dtype.kind == "f"
            ], case.name
            held = [*arrays(mine), *arrays(g), *arrays(gradients), *arrays(value)]
            assert not any(np.shares_memory(a, b) for k, a in enumerate(held) for b in held[k + 1 :]), case.name
            for a, b, c in zip(arrays(gradients), arrays(again), arrays(twice), strict=True):
                assert np.isfinite(a).all(), case.name
                assert same(a, b), case.name
                assert np.allclose(
                    2 * a, c, rtol=100 * float(np.finfo(a.dtype).eps), atol=float(np.finfo(a.dtype).tiny)
                ), case.name


@pytest.mark.parametrize("name", names(wrong_cases()))
def test_wrong_cases_differ_somewhere_in_their_domain(name: str) -> None:
    """Each mistake shows at one of the first 400 points: the rarest are meant to show once in forty."""
    case = cases()[name]
    assert any(shows(case, inputs) for inputs in case.points(400)), name


def test_about_forty_mistakes_are_rare() -> None:
    """Between 2.5% and 45% of the points show them."""
    rare = [c.name for c in wrong_cases() if "_at_" in c.fault and 0 < share(c, 40) <= 0.5]
    assert len(rare) >= 35


def test_a_right_case_never_shows() -> None:
    """What tells wrong from right is silent about a right case held against itself."""
    for case in right_cases()[::7]:
        twin = case.renamed(case.name, truth=case.vjp)
        assert not any(shows(twin, inputs) for inputs in twin.points(3)), case.name


def test_every_kind_of_mistake_is_examined() -> None:
    """Each Kind of the design has a wrong case, and every wrong case names a Kind."""
    kinds = Counter(case.kind for case in wrong_cases())
    assert set(kinds) == set(KINDS)
    assert all(set(case.also) <= set(KINDS) for case in wrong_cases())


def test_the_catalogue_is_large_enough() -> None:
    """At least 30 operators that apply, 20 hosts, 60 functions, 200 right and 300 wrong cases, all names different."""
    assert len({c.fault for c in wrong_cases()} & {f.name for f in FAULTS}) == len(FAULTS) >= 30
    assert len({c.base for c in wrong_cases() if c.fault in {f.name for f in FAULTS}}) >= 20
    assert len(functions()) >= 60
    assert len(right_cases()) >= 200
    assert len(wrong_cases()) >= 300
    assert len(cases()) == len(right_cases()) + len(wrong_cases())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(functions())), st.data())
def test_strategies_draw_inside_the_domain(name: str, data: st.DataObject) -> None:
    """What Hypothesis draws is taken by the function, with finite values and gradients."""
    case = functions()[name]
    inputs = data.draw(case.inputs)
    assert all(np.isfinite(y).all() for y in arrays(case.f(*inputs)))
    assert all(np.isfinite(d).all() for d in arrays(case.vjp(inputs, case.cotangent(inputs))))


def test_points_are_the_same_whenever_asked() -> None:
    """Cases are found again by name, seed and number."""
    case = functions()["dense"]
    assert all(same(a, b) for a, b in zip(case.points(5, 2), case.points(5, 2), strict=True))
    assert len({inputs[0].shape for inputs in case.points(10)}) > 3
