"""Gradients of equivalent graphs are equal: batches and sums, other orders of adding, shared nodes and copies."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.backprop import backward, forward, ops, trace
from gradcheck.strategies import architectures, batches, dense_networks, palette_arrays

QUIET = settings(max_examples=40, deadline=None)
EPS = np.finfo(float).eps


@given(dense_networks().flatmap(batches))
@QUIET
def test_the_gradient_of_a_batch_is_the_sum_of_the_gradients_of_its_examples(case):
    """A cost that sums losses has the summed gradient; one that averages them, the average. Penalties aside."""
    summed = dataclasses.replace(case.network, penalty=0.0, reduction="sum")
    averaged = dataclasses.replace(case.network, penalty=0.0, reduction="mean")
    arrays = {name: array for name, array in case.sample().items() if name != "weights"}
    axis = 0 if summed.examples == "rows" else 1
    whole = backward(forward(summed.graph(case.size), **arrays))
    mean = backward(forward(averaged.graph(case.size), **arrays))
    singles = []
    for i in range(case.size):
        example = {name: np.take(arrays[name], [i], axis) for name in ("x", "y")}
        singles.append(backward(forward(summed.graph(1), **{**arrays, **example})))
    for name in arrays.keys() - {"x", "y"}:
        parts = np.stack([table[name] for table in singles])
        # The parts may cancel, so the size that rounding is relative to is that of the parts, not of their sum.
        bound = 50 * (case.size + 4) * EPS * max(np.abs(parts).sum(axis=0).max(), EPS)
        assert np.max(np.abs(whole[name] - parts.sum(axis=0))) <= bound
        assert np.max(np.abs(mean[name] - parts.mean(axis=0))) <= bound


@given(st.lists(palette_arrays((2, 3)), min_size=3, max_size=6), st.randoms(use_true_random=False))
@QUIET
def test_sums_added_in_another_order_have_the_same_gradients(arrays, random):
    """tanh of a sum does not care how the sum is bracketed or ordered; the inputs are dyadic, so not even in a bit.

    Only jittered inputs round, each addition by half an ulp of the largest partial sum.
    """
    named = {f"x{i}": x for i, x in enumerate(arrays)}

    def bracketed(**terms):
        left = list(terms.values())
        while len(left) > 1:
            random.shuffle(left)
            left.append(left.pop() + left.pop())
        return ops.sum(ops.tanh(left[0]) * left[0])

    def in_order(**terms):
        total = sum(list(terms.values())[1:], start=terms["x0"])
        return ops.sum(ops.tanh(total) * total)

    shapes = {name: x.shape for name, x in named.items()}
    one, other = (backward(forward(trace(f, **shapes), **named)) for f in (bracketed, in_order))
    # |d²/ds² (s tanh s)| <= 2, so an error of the sum s reaches the gradient at most doubled.
    bound = (2 * len(arrays) * max(np.abs(x).max() for x in arrays) * len(arrays) + 8) * EPS
    for name in named:
        assert np.max(np.abs(one[name] - other[name])) <= bound


@given(architectures(slots=4))
@QUIET
def test_a_shared_node_has_the_gradient_of_two_copies(case):
    """f(h(x), h(x)) with h computed once or twice: the cotangents of the two copies add up at x."""
    shapes, arrays = case.shapes, case.sample()

    def shared(**inputs):
        h = case(**inputs)
        return h * ops.tanh(h)

    def copied(**inputs):
        return case(**inputs) * ops.tanh(case(**inputs))

    once, twice = trace(shared, **shapes), trace(copied, **shapes)
    assert len(once) <= len(twice)
    one, two = backward(forward(once, **arrays)), backward(forward(twice, **arrays))
    tape = forward(case.graph(), **arrays)
    y = float(tape.output)
    unit = backward(tape)
    for name in shapes:
        # d(y tanh y) = tanh y + y sech² y; the two terms travel together or apart, and may cancel when they meet.
        size = (abs(np.tanh(y)) + abs(y) / np.cosh(min(abs(y), 300.0)) ** 2) * max(
            np.abs(unit[name]).max(), 1.0
        )  # 1: what cancels in a zero
        assert np.max(np.abs(one[name] - two[name]), initial=0.0) <= 50 * len(twice) * EPS * max(size, EPS)


@given(palette_arrays((3, 4)), palette_arrays((4, 2)))
@QUIET
def test_a_product_has_the_gradients_of_its_transpose(x, w):
    """(x w)ᵀ = wᵀ xᵀ: rows or columns as examples is a matter of notation."""
    rows = trace(lambda x, w: ops.sum(ops.tanh(x @ w)), x=(3, 4), w=(4, 2))
    columns = trace(lambda x, w: ops.sum(ops.tanh(w.T @ x.T)), x=(3, 4), w=(4, 2))
    one, other = (backward(forward(graph, x=x, w=w)) for graph in (rows, columns))
    # A rounding of x w of 4 terms, each up to 9·9, moves tanh' by at most as much, and each gradient sums 4 such.
    bound = 4 * 4 * 81 * 9 * EPS
    assert np.max(np.abs(one["x"] - other["x"])) <= bound
    assert np.max(np.abs(one["w"] - other["w"])) <= bound


@given(palette_arrays((2, 3)))
@QUIET
def test_composite_ops_have_the_gradients_of_their_parts(x):
    """softmax = exp(log_softmax) = exp(x − logsumexp), written three ways, has one gradient."""
    v = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
    ways = (
        lambda x: ops.sum(ops.softmax(x) * v),
        lambda x: ops.sum(ops.exp(ops.log_softmax(x)) * v),
        lambda x: ops.sum(ops.exp(x - ops.logsumexp(x, axis=-1, keepdims=True)) * v),
    )
    gradients = [backward(forward(trace(way, x=(2, 3)), x=x))["x"] for way in ways]
    # Some 10 operations on numbers up to |v| max = 3, and exponents up to 18 that exp turns into relative errors.
    for other in gradients[1:]:
        assert np.max(np.abs(gradients[0] - other)) <= 10 * 3 * 18 * EPS
