"""Descent: it lowers a convex cost, sees every example, is reproducible, and shows its progress only to people."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.backprop import Dense, gradient_descent, sgd

EPS = np.finfo(float).eps
LINEAR = Dense((2, 1), ("identity",), bias=False)


def bowl(parameters, data):
    """½ Σ s w², a convex bowl of curvatures s, and its gradient."""
    s, w = data["s"], parameters["w"]
    return float(np.sum(s * w**2) / 2), {"w": s * w}


@settings(deadline=None)
@given(
    s=st.lists(st.integers(1, 8), min_size=2, max_size=4),
    share=st.sampled_from((0.1, 0.5, 1.0, 1.9)),
    steps=st.integers(0, 20),
)
def test_descent_lowers_a_convex_cost_at_every_step(s, share, steps):
    """Below 2 over the largest curvature every step lowers a quadratic, and the curve has steps + 1 costs."""
    data, start = {"s": np.array(s, float)}, {"w": np.arange(1.0, 1 + len(s))}
    end = gradient_descent(bowl, start, data, learning_rate=share / max(s), steps=steps)
    assert len(end.curve) == steps + 1
    assert np.all((np.diff(end.curve) < 0) | (end.curve[:-1] == 0))  # some rates reach the bottom exactly
    assert end.curve[-1] == bowl(end.parameters, data)[0]
    assert np.array_equal(start["w"], np.arange(1.0, 1 + len(s)))


def test_descent_is_w_minus_the_rate_times_the_gradient():
    """One step from w with rate η ends at w − η s w."""
    end = gradient_descent(bowl, {"w": np.array([4.0])}, {"s": np.array([2.0])}, learning_rate=0.25, steps=1)
    assert end.parameters["w"].tolist() == [2.0]
    assert end.curve.tolist() == [16.0, 4.0]


@settings(deadline=None)
@given(
    m=st.integers(1, 9),
    batch=st.integers(1, 10),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 99),
    examples=st.sampled_from(("rows", "columns")),
)
def test_sgd_sees_every_example_once_an_epoch(m, batch, epochs, seed, examples):
    """The mini-batches of an epoch are the examples in some order, x beside its own y, each once."""
    x = np.arange(2.0 * m).reshape(m, 2)
    data = {"x": x, "y": 10 * x[:, :1], "weights": x[:, 0].copy()}
    data = data if examples == "rows" else {name: array.T for name, array in data.items()}
    seen = []

    def watch(parameters, current):
        rows = current if examples == "rows" else {name: array.T for name, array in current.items()}
        assert np.array_equal(rows["y"], 10 * rows["x"][:, :1])
        assert np.array_equal(rows["weights"], rows["x"][:, 0])
        seen.append(rows["x"][:, 0] / 2)
        return 1.0, {"w": np.zeros(1)}

    a_batch = -(-m // batch)
    options = {"learning_rate": 0.1, "batch": batch, "seed": seed, "examples": examples}
    end = sgd(watch, {"w": np.zeros(1)}, data, steps=epochs * a_batch, **options)
    assert len(end.curve) == epochs * a_batch
    for epoch in range(epochs):
        order = np.concatenate(seen[epoch * a_batch : (epoch + 1) * a_batch])
        assert sorted(order) == list(range(m))


def test_sgd_fits_a_line_and_the_seed_decides_how():
    """Without noise SGD finds the line's own weights; one seed gives one path, another another."""
    rng = np.random.default_rng(0)
    x, truth = rng.standard_normal((40, 2)), np.array([[2.0], [-1.0]])
    data, start = {"x": x, "y": x @ truth}, {"W1": np.zeros((2, 1))}
    ends = [
        sgd(LINEAR.slope, start, data, learning_rate=0.5, steps=400, batch=8, seed=seed).curve for seed in (1, 1, 2)
    ]
    found = sgd(LINEAR.slope, start, data, learning_rate=0.5, steps=400, batch=8, seed=1).parameters["W1"]
    # Each step shrinks the error until rounding stops it, some units in the last place of y from the truth.
    assert np.max(np.abs(found - truth)) <= 100 * EPS
    assert np.array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


def test_descent_keeps_float32():
    """Parameters of float32 are still float32 after a descent."""
    parameters = LINEAR.parameters(dtype="float32")
    data = {"x": np.ones((3, 2), "float32"), "y": np.ones((3, 1), "float32")}
    assert gradient_descent(LINEAR.slope, parameters, data, learning_rate=0.1, steps=3).parameters["W1"].dtype == "f4"
    assert sgd(LINEAR.slope, parameters, data, learning_rate=0.1, steps=3, batch=2).parameters["W1"].dtype == "f4"


GOOD = {"parameters": {"w": np.ones(2)}, "data": {"s": np.ones(2)}, "learning_rate": 0.1, "steps": 2}


@pytest.mark.parametrize("descend", [gradient_descent, lambda *a, **k: sgd(*a, batch=1, **k)], ids=["gd", "sgd"])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"parameters": {"w": np.ones(2, int)}}, TypeError, r"w is int64: .* pass w.astype\(float\)"),
        ({"data": {"s": np.array([1.0, np.nan])}}, ValueError, r"s has NaN, first at \[1\]"),
        ({"learning_rate": 0.0}, ValueError, r"learning_rate=0.0: it must be positive"),
        ({"learning_rate": float("nan")}, ValueError, r"learning_rate=nan"),
        ({"steps": -1}, ValueError, r"steps=-1: the number of steps must be 0 or more"),
        (
            {"learning_rate": 1e100, "steps": 9},
            FloatingPointError,
            r"the cost is inf at step 2: the descent diverges, lower the learning rate \(1e\+100\)",
        ),
    ],
)
def test_a_descent_that_cannot_work_says_why(descend, change, error, message):
    """Integer parameters, NaN in the data, a senseless rate and divergence are named."""
    with pytest.raises(error, match=message):
        descend(bowl, **{**GOOD, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch=0: a mini-batch needs at least one example"),
        ({"examples": "row"}, "unknown layout of examples 'row': the known ones are rows, columns"),
        ({"data": {"s": np.ones(2), "t": np.ones(3)}}, r"disagree on how many there are, \{'s': 2, 't': 3\}"),
        ({"data": {"s": np.ones(0)}}, "there are no examples to descend on"),
    ],
)
def test_mini_batches_that_cannot_be_drawn_are_refused(change, message):
    """A batch size below 1, an unknown layout, and data of different or no length are named."""
    with pytest.raises(ValueError, match=message):
        sgd(bowl, **{**GOOD, "batch": 1, **change})


SCRIPT = """
import numpy as np
from gradcheck.backprop import gradient_descent
def bowl(parameters, data):
    return float(parameters["w"] @ parameters["w"]), {"w": 2 * parameters["w"]}
gradient_descent(bowl, {"w": np.ones(1)}, {}, learning_rate=0.25, steps=4, title="my bowl")
"""


def test_a_descent_prints_nothing_where_nobody_watches():
    """Piped, neither stdout nor stderr gets a byte."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert (run.stdout, run.stderr) == (b"", b"")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_descent_shows_its_cost_in_a_terminal():
    """In a terminal the line has the title, the steps and the cost of the last step, 2⁻⁶ of the first."""
    master, slave = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"}
    ):
        os.close(slave)
        shown = b""
        while chunk := _read(master):
            shown += chunk
    os.close(master)
    for word in (b"my bowl", b"4/4", b"cost 1.562e-02"):
        assert word in shown


def _read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so when the other end of a pseudo-terminal is closed
        return b""
