"""Right functions that reduce, scan, sort or select along an axis."""

from typing import Any

import numpy as np
from scipy import special

from .case import Array, Case, Pullback, between, case, generic, integers, mask, positive, real


def along(g: Array, x: Array, axis: int = -1) -> Any:
    """A cotangent of a reduction, broadcast back along its axis."""
    return np.broadcast_to(np.expand_dims(g, axis), x.shape)


def one_hot(index: Array, x: Array) -> Any:
    """Ones at an index along the last axis."""
    return np.arange(x.shape[-1]) == np.expand_dims(index, -1)


def softmax_of(x: Array) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def product_of_others(x: Array) -> Any:
    """The product of all other entries, right where some are zero: prefix times suffix."""
    ones = np.ones((*x.shape[:-1], 1), x.dtype)
    before = np.cumprod(np.concatenate([ones, x[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([ones, x[..., :0:-1]], -1), -1)[..., ::-1]
    return before * after


@case(x=real("n", "k"))
def sum_all(x: Array) -> Pullback:
    return x.sum(), lambda g: np.full(x.shape, g)


@case(x=real("n", "k"))
def sum_rows(x: Array) -> Pullback:
    return x.sum(0), lambda g: np.broadcast_to(g, x.shape)


@case(x=real("n", "k"))
def mean_all(x: Array) -> Pullback:
    return x.mean(), lambda g: np.full(x.shape, g / x.size)


@case(x=real("n", "k"))
def sum_of_squares(x: Array) -> Pullback:
    return (x * x).sum(), lambda g: 2 * g * x


@case(x=real("n"), sizes={"n": (500, 1500)})
def long_sum_of_squares(x: Array) -> Pullback:
    """jax.check_grads fails this right gradient 17 times of 20 in float32."""
    return (x * x).sum(), lambda g: 2 * g * x


@case(x=real("n", "k"))
def product(x: Array) -> Pullback:
    """Right where entries are zero."""
    return x.prod(-1), lambda g: along(g, x) * product_of_others(x)


@case(x=real("n", "k"))
def cumsum(x: Array) -> Pullback:
    return np.cumsum(x, -1), lambda g: np.cumsum(g[..., ::-1], -1)[..., ::-1]


@case(x=real("n"), sizes={"n": (1, 5)})
def cumprod(x: Array) -> Pullback:
    """Right where entries are zero."""

    def pull(g: Array) -> Array:
        return np.array(
            [sum(g[j] * np.prod(np.delete(x[: j + 1], i)) for j in range(i, x.size)) for i in range(x.size)]
        )

    return np.cumprod(x), pull


@case(x=real("n", "k"))
def variance(x: Array) -> Pullback:
    d = x - x.mean(-1, keepdims=True)
    return (d * d).mean(-1), lambda g: along(g, x) * 2 * d / x.shape[-1]


@case(x=generic("n", "k"), sizes={"k": (2, 6)})
def standard_deviation(x: Array) -> Pullback:
    d = x - x.mean(-1, keepdims=True)
    s = np.sqrt((d * d).mean(-1))
    return s, lambda g: along(g / s, x) * d / x.shape[-1]


@case(x=real("n", "k"))
def norm_2(x: Array) -> Pullback:
    """At a zero row the subgradient 0."""
    r = np.sqrt((x * x).sum(-1))
    return r, lambda g: x * along(np.divide(g, r, out=np.zeros_like(r), where=r > 0), x)


@case(x=real("n", "k"))
def norm_1(x: Array) -> Pullback:
    return np.abs(x).sum(-1), lambda g: along(g, x) * np.sign(x)


@case(x=generic("n", "k"))
def norm_3(x: Array) -> Pullback:
    r = (np.abs(x) ** 3).sum(-1) ** (1 / 3)
    return r, lambda g: along(g / r**2, x) * x * np.abs(x)


@case(x=real("n", "k"))
def norm_infinity(x: Array) -> Pullback:
    """The first of several largest gets it all."""
    i = np.abs(x).argmax(-1)
    return np.abs(x).max(-1), lambda g: along(g, x) * one_hot(i, x) * np.where(x < 0, -1, 1)


@case(x=real("n", "k"))
def max_first(x: Array) -> Pullback:
    """The first of a tie gets it all."""
    return x.max(-1), lambda g: along(g, x) * one_hot(x.argmax(-1), x)


@case(x=real("n", "k"))
def max_last(x: Array) -> Pullback:
    """The last of a tie gets it all."""
    return x.max(-1), lambda g: along(g, x) * one_hot(x.shape[-1] - 1 - x[..., ::-1].argmax(-1), x)


@case(x=real("n", "k"))
def max_shared(x: Array) -> Pullback:
    """A tie is shared equally."""
    m = x == x.max(-1, keepdims=True)
    return x.max(-1), lambda g: along(g, x) * m / m.sum(-1, keepdims=True)


@case(x=real("n", "k"))
def min_all(x: Array) -> Pullback:
    m = (np.arange(x.size) == x.argmin()).reshape(x.shape)
    return x.min(), lambda g: g * m


@case(x=real("n", "k"))
def sort(x: Array) -> Pullback:
    """Stable at ties."""
    order = np.argsort(x, -1, kind="stable")
    return np.take_along_axis(x, order, -1), lambda g: np.take_along_axis(g, np.argsort(order, -1), -1)


@case(x=real("n", "k"))
def median(x: Array) -> Pullback:
    """An even count averages the middle two."""
    order = np.argsort(x, -1, kind="stable")
    k = x.shape[-1]
    weight = np.zeros(k)
    weight[[(k - 1) // 2, k // 2]] += 0.5 if k % 2 == 0 else 1.0

    return np.median(x, -1), lambda g: along(g, x) * weight[np.argsort(order, -1)]


@case(x=real("n"), sizes={"n": (2, 7)})
def quantile_30(x: Array) -> Pullback:
    """Linear interpolation between two order statistics."""
    order = np.argsort(x, kind="stable")
    position = 0.3 * (x.size - 1)
    low = int(position)
    weight = np.zeros(x.size)
    weight[order[low]] = 1 - (position - low)
    weight[order[min(low + 1, x.size - 1)]] += position - low
    return weight @ x, lambda g: g * weight


@case(x=real("n", "k"), sizes={"k": (2, 6)})
def top_2(x: Array) -> Pullback:
    """The two largest, in order."""
    order = np.argsort(-x, -1, kind="stable")[..., :2]

    def pull(g: Array) -> Array:
        gradient = np.zeros_like(x)
        np.put_along_axis(gradient, order, g, -1)
        return gradient

    return np.take_along_axis(x, order, -1), pull


@case(x=real("n", "k"))
def softmax(x: Array) -> Pullback:
    p = softmax_of(x)
    return p, lambda g: p * (g - (g * p).sum(-1, keepdims=True))


@case(x=real("n", "k"))
def log_softmax(x: Array) -> Pullback:
    z = x - x.max(-1, keepdims=True)
    y = z - np.log(np.exp(z).sum(-1, keepdims=True))
    return y, lambda g: g - np.exp(y) * g.sum(-1, keepdims=True)


@case(x=real("n", "k", scale=100.0))
def softmax_saturated(x: Array) -> Pullback:
    """Logits of hundreds: many slopes are far below the noise."""
    p = softmax_of(x)
    return p, lambda g: p * (g - (g * p).sum(-1, keepdims=True))


@case(x=real("n", "k"))
def logsumexp(x: Array) -> Pullback:
    return np.asarray(special.logsumexp(x, axis=-1)), lambda g: along(g, x) * softmax_of(x)


@case(x=real("n", "k", shift=1e6))
def logsumexp_at_1e6(x: Array) -> Pullback:
    return np.asarray(special.logsumexp(x, axis=-1)), lambda g: along(g, x) * softmax_of(x)


@case(x=real("n", "k"))
def max_and_mean(x: Array) -> Pullback:
    """Two outputs."""
    return (x.max(-1), x.mean(-1)), lambda g: along(g[0], x) * one_hot(x.argmax(-1), x) + along(g[1], x) / x.shape[-1]


@case(x=real("n", "k"))
def split(x: Array) -> Pullback:
    """Two outputs of different shapes, one of them perhaps empty."""
    return (x[:1], np.exp(x[1:])), lambda g: np.concatenate([g[0], g[1] * np.exp(x[1:])])


@case(x=real("n", "k"))
def roll_and_flip(x: Array) -> Pullback:
    return np.roll(x, 1, -1)[::-1], lambda g: np.roll(g[::-1], -1, -1)


@case(x=real("n", "k"))
def transpose(x: Array) -> Pullback:
    return x.T, lambda g: g.T


@case(x=real("n", "k"))
def lower_triangle(x: Array) -> Pullback:
    return np.tril(x), lambda g: np.tril(g)


@case(x=real("n", "k"), keep=mask("n", "k", share=0.7))
def dropout(x: Array, keep: Array) -> Pullback:
    """The mask is an input."""
    return x * keep / 0.7, lambda g: g * keep / 0.7


@case(x=real("n", "k"), y=real("n", "k"), which=mask("n", "k"))
def where(x: Array, y: Array, which: Array) -> Pullback:
    return np.where(which, x, y), lambda g: (np.where(which, g, 0), np.where(which, 0, g))


@case(table=real("v", "k"), ids=integers("v", "n"), sizes={"n": (1, 6)})
def embedding(table: Array, ids: Array) -> Pullback:
    """Repeated ids add up."""

    def pull(g: Array) -> Array:
        gradient = np.zeros_like(table)
        np.add.at(gradient, ids, g)
        return gradient

    return table[ids], pull


@case(x=real("n", "k"), column=integers("k", "n"))
def gather_columns(x: Array, column: Array) -> Pullback:
    rows = np.arange(x.shape[0])

    def pull(g: Array) -> Array:
        gradient = np.zeros_like(x)
        gradient[rows, column] = g
        return gradient

    return x[rows, column], pull


@case(base=real("v", "k"), update=real("n", "k"), ids=integers("v", "n"))
def scatter_add(base: Array, update: Array, ids: Array) -> Pullback:
    y = base.copy()
    np.add.at(y, ids, update)
    return y, lambda g: (g, g[ids])


@case(x=real("n", "k"), segment=integers(3, "n"), sizes={"n": (1, 7)})
def segment_mean(x: Array, segment: Array) -> Pullback:
    member = (segment == np.arange(3)[:, None]).astype(x.dtype)
    weight = member / np.maximum(member.sum(1, keepdims=True), 1)
    return weight @ x, lambda g: weight.T @ g


@case(x=real("n"), w=real("p"), sizes={"n": (3, 8), "p": (1, 3)})
def circular_convolution(x: Array, w: Array) -> Pullback:
    at = (np.arange(x.size)[:, None] - np.arange(w.size)) % x.size

    def pull(g: Array) -> tuple[Array, Array]:
        gradient = np.zeros_like(x)
        np.add.at(gradient, at, np.outer(g, w))
        return gradient, x[at].T @ g

    return x[at] @ w, pull


@case(x=real("n"), sizes={"n": (2, 9)})
def power_spectrum(x: Array) -> Pullback:
    """|rfft|², real in and real out."""
    z = np.fft.rfft(x)
    lags = np.outer(np.arange(x.size), np.arange(z.size)) * 2 * np.pi / x.size
    return (z * z.conj()).real, lambda g: 2 * (np.cos(lags) @ (g * z.real) - np.sin(lags) @ (g * z.imag))


@case(x=between(0.1, 3.0, "n", "k"), p=between(0.5, 2.5))
def generalised_mean(x: Array, p: Array) -> Pullback:
    """A 0-d parameter."""
    m = (x**p).mean(-1)
    y = m ** (1 / p)
    return y, lambda g: (
        along(g * y / m, x) * x ** (p - 1) / x.shape[-1],
        (g * y * ((x**p * np.log(x)).mean(-1) / m / p - np.log(m) / p**2)).sum(),
    )


@case(x=positive("n", "k"))
def geometric_mean(x: Array) -> Pullback:
    y = np.exp(np.log(x).mean(-1))
    return y, lambda g: along(g * y, x) / x / x.shape[-1]


CASES = [c for c in list(globals().values()) if isinstance(c, Case)]
