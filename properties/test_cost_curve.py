"""Cost curves of users' layers, timed by a clock that the tests wind: verdicts, words, and what is refused."""

import numpy as np
import pytest

import gradcheck
from gradcheck import Verdict
from gradcheck.backprop import forward, ops, trace
from gradcheck.cost import SuperlinearError, Work, clock, cost_curve, curve
from properties import planted_sweeps as planted

SIZES = (100, 200, 400, 800, 1600, 3200)


class Clock:
    """Time that passes only when somebody winds it, and a few per cent more than they say."""

    def __init__(self):
        self.now = 0.0
        self.rng = np.random.default_rng(0)

    def __call__(self):
        """What time it is."""
        return self.now

    def wind(self, seconds):
        """Let that much pass."""
        self.now += seconds * (1 + self.rng.exponential(0.02))


@pytest.fixture
def wound(monkeypatch):
    """A clock in the place of the processor's, which has no caches to be filled."""
    ours = Clock()
    monkeypatch.setattr(clock, "CLOCK", ours)
    monkeypatch.setattr(clock, "_FOREIGN", np.zeros(1))
    return ours


def taking(wound, cost, edges=True):
    """A factory whose backward takes cost(size) seconds."""

    def layer(size):
        def vjp(inputs, dy):
            wound.wind(cost(size))
            return (2 * inputs[0] * dy,)

        target = gradcheck.from_pair(lambda x: x * x, vjp, name="square")
        return (target, (np.ones(size),), size) if edges else (target, (np.ones(size),))

    return layer


def timed(wound, work):
    """A work whose backward takes a microsecond an edge by that clock, whatever it does."""

    def prepare(view):
        call = work.prepare(view)

        def wind_and_call():
            wound.wind(1e-6 * work.edges)
            return call()

        return wind_and_call

    return Work(work.name, prepare, work.edges, None, work.nodes, work.visits, work.compared)


def test_a_linear_backward_passes(wound):
    """PASS, with a share whose upper bound is below the gate, and the curve itself from assert_linear."""
    found = cost_curve(taking(wound, lambda n: 1e-5 + 2e-6 * n), SIZES)
    assert (found.verdict, found.per, found.sizes) == (Verdict.PASS, "edge", SIZES)
    assert found.assert_linear() is found
    assert found.headline() == "square: backward is linear in its edges up to 3,200 edges"


def test_a_quadratic_part_fails_with_all_that_is_known_about_it(wound):
    """The message names share, largest size, gate, bounds, slope, and the time per edge at every size."""
    found = cost_curve(taking(wound, lambda n: 1e-5 + 2e-6 * n + 2e-9 * n * n), SIZES, per="edge")
    with pytest.raises(SuperlinearError) as failure:
        found.assert_linear()
    assert failure.value.curve is found
    lines = str(failure.value).splitlines()
    # 2e-9·3200² of 2e-6·3200 + 2e-9·3200² is 76%
    assert lines[0] == "square: 76% of backward's time at 3,200 edges is super-linear (gate 10%)"
    assert len(lines[0]) < 90
    text = "\n".join(lines)
    for words in ("time beyond linear            76", "95% bounds", "slope of log t, log E         1.", "3,200", " µs"):
        assert words in text
    assert "the usual causes: a list searched with `in`" in lines[-2]


def test_an_exponential_backward_fails_by_its_slope(wound):
    """Where no polynomial follows, the sentence gives the power by which it grows."""
    found = cost_curve(taking(wound, lambda n: 1e-6 * 1.01**n), SIZES)
    assert found.verdict is Verdict.FAIL
    assert "grows like E^" in found.headline()


def test_a_cost_that_does_not_grow_is_inconclusive_and_says_what_to_do(wound):
    """Fixed overhead hides everything: neither passed nor failed."""
    found = cost_curve(taking(wound, lambda n: 1e-3), SIZES)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.assert_linear() is found
    assert found.headline().endswith("does not grow with its edges up to 3,200 edges: choose larger sizes")


def test_the_order_that_is_claimed_is_allowed(wound):
    """A quadratic backward, attention over a sequence say, passes as order=2 and fails as order=1."""
    factory = taking(wound, lambda n: 1e-5 + 2e-8 * n * n, edges=False)
    assert cost_curve(factory, SIZES, order=2).verdict is Verdict.PASS
    assert cost_curve(factory, SIZES).verdict is Verdict.FAIL
    cubic = cost_curve(taking(wound, lambda n: 1e-5 + 1e-11 * n**3), SIZES, order=2)
    assert "super-quadratic" in cubic.headline()


def test_an_alarm_has_to_last(wound):
    """A machine that is slow for the large sizes during the first look only is not believed."""
    late = taking(wound, lambda n: (1e-5 + 2e-6 * n) * (3 if n > 1000 and wound.now < 0.3 else 1))
    found = cost_curve(late, SIZES)
    assert found.verdict is Verdict.PASS
    assert len(found.times) > curve.ROUNDS


def test_letters_grow_and_numbers_stay(wound):
    """``x=("n", 4)`` is one size a letter; the size is counted in elements of all inputs."""
    seen = []

    def dense(x, w):
        seen.append((x.shape, w.shape))

        def pullback(dy):
            wound.wind(1e-6 * x.size)
            return dy @ w.T, x.T @ dy

        return x @ w, pullback

    found = cost_curve(dense, SIZES, x=("n", 4), w=(4, 3))
    assert found.per == "element"
    assert found.sizes == tuple(4 * n + 12 for n in SIZES)
    assert set(seen) == {((n, 4), (4, 3)) for n in SIZES}
    assert found.verdict is Verdict.PASS


def test_a_tape_of_the_reference_is_measured_per_edge_with_its_visits(wound):
    """A factory may return a tape; its edges, visits and exact counts are known."""

    def chain(n):
        def repeat(x):
            for _ in range(n):
                x = ops.tanh(x)
            return x

        return forward(trace(repeat, x=()), x=0.5)

    found = curve.measure([timed(wound, curve.as_work(chain(n))) for n in (8, 16, 32, 64, 128)])
    assert found.visits == (1.0,) * 5
    assert set(found.counts) == {"bytecodes", "elements"}
    assert "visits per edge" in str(found)


@pytest.mark.parametrize(
    ("make", "nodes", "words"),
    [
        (planted.copying, (30, 60, 120, 240, 480), r"super-linear"),
        (planted.scanning, (30, 60, 120, 240, 480), r"of backward's comparisons at \d+ edges is super-linear"),
        (planted.revisiting, (6, 9, 12, 15, 18), r"backward visits an edge \d+(\.\d+)? times, not once"),
    ],
    ids=["copies", "scans", "revisits"],
)
def test_planted_faults_fail_whatever_the_clock_says(wound, make, nodes, words):
    """By a clock that finds them linear they still fail: the counts are enough."""
    found = curve.measure([timed(wound, make(n)) for n in nodes])
    assert found.verdict is Verdict.FAIL
    with pytest.raises(SuperlinearError, match=words):
        found.assert_linear()


def test_sizes_are_found_by_doubling_until_a_call_takes_twenty_milliseconds(wound):
    """Eight sizes over a factor of 64 at most, the largest taking more than 20 ms and less than 50."""
    sizes = curve.grown(lambda n: curve.as_work(taking(wound, lambda n: 1e-6 * n)(n)))
    assert len(sizes) == 8
    assert 20_000 <= sizes[-1] <= 50_000
    assert sizes[0] == sizes[-1] // 64


def test_what_is_exponential_comes_back(wound):
    """No call of 2ⁿ ns takes longer than half a second while sizes are looked for."""
    sizes = curve.grown(lambda n: curve.as_work(taking(wound, lambda n: 1e-9 * 2.0**n)(n)))
    assert 1e-9 * 2.0 ** sizes[-1] < 0.5
    assert len(sizes) >= 5


def test_sizes_that_make_no_larger_graph_are_left_out(wound):
    """A factory that rounds its size, or makes a graph without edges from a small one, is measured all the same."""

    def rounding(n):
        return timed(wound, planted.linear(n))

    works = curve.works_of(rounding, [12, 1, 2, 3, 4, 5, 6, 7, 9, 15])
    assert [work.edges for work in works.values()] == [5, 10, 15, 20, 25]
    assert list(works) == [3, 6, 9, 12, 15]
    assert cost_curve(rounding, range(1, 30)).sizes == (5, 10, 15, 20, 25, 30, 35, 40, 45)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (dict(per="node"), ValueError, "per='node': a cost is counted per 'edge' or per 'element'"),
        (dict(order=0), ValueError, "order=0: the power in which the cost may grow is 1, 2, …"),
        (dict(sizes=(1, 2, 3)), ValueError, r"sizes=\[1, 2, 3\]: a curve needs 5 different sizes or more"),
        (dict(sizes=(0, 1, 2, 3, 4)), ValueError, "each at least 1"),
        (dict(x=(3, 4)), ValueError, r"nothing grows; write a letter for what does, such as x=\('n', 64\)"),
        (dict(per="edge", sizes=SIZES, x=("n",)), ValueError, r"return \(target, inputs, edges\)"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, error, words):
    """Each names the value and the remedy."""
    with pytest.raises(error, match=words):
        cost_curve(lambda x: (x, lambda dy: (dy,)), **arguments)


def test_what_is_no_factory_is_refused():
    """Neither a number, nor a factory that returns one."""
    with pytest.raises(TypeError, match=r"a cost curve needs a factory, a function of the size .* got int 3"):
        cost_curve(3)
    with pytest.raises(TypeError, match=r"the factory of a cost curve returned int 30: return \(target, inputs\)"):
        cost_curve(lambda n: 3 * n, (10, 20, 30, 40, 50))
