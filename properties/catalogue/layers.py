"""Right layers with parameters: dense, normalisation, attention, convolution, pooling, recurrent cells, losses."""

from typing import Any

import numpy as np

from .case import Array, Case, Pullback, between, case, generic, integers, positive, real
from .elementwise import sigmoid
from .reductions import along, softmax_of


@case(x=real("n", "k"), w=real("k", "m"))
def matmul(x: Array, w: Array) -> Pullback:
    return x @ w, lambda g: (g @ w.T, x.T @ g)


@case(x=real("n", "k"), w=real("k", "m"), b=real("m"))
def dense(x: Array, w: Array, b: Array) -> Pullback:
    return x @ w + b, lambda g: (g @ w.T, x.T @ g, g.sum(0))


@case(x=real("n", "k"), w=real("k", "m"), b=real("m"))
def dense_tanh(x: Array, w: Array, b: Array) -> Pullback:
    y = np.tanh(x @ w + b)

    def pull(g: Array) -> tuple[Array, ...]:
        d = g * (1 - y * y)
        return d @ w.T, x.T @ d, d.sum(0)

    return y, pull


@case(x=generic("n", "k"), w=generic("k", "m"), b=generic("m"))
def dense_relu(x: Array, w: Array, b: Array) -> Pullback:
    z = x @ w + b

    def pull(g: Array) -> tuple[Array, ...]:
        d = g * (z > 0)
        return d @ w.T, x.T @ d, d.sum(0)

    return np.maximum(z, 0), pull


@case(x=real("n", "k"), w=real("k", "k"))
def square_map(x: Array, w: Array) -> Pullback:
    """The weight is square always: a transposed gradient has the right shape."""
    return x @ w, lambda g: (g @ w.T, x.T @ g)


@case(x=real("n", "k"), w=real("k", "h"), v=real("h", "m"))
def two_layers(x: Array, w: Array, v: Array) -> Pullback:
    h = np.tanh(x @ w)

    def pull(g: Array) -> tuple[Array, ...]:
        d = (g @ v.T) * (1 - h * h)
        return d @ w.T, x.T @ d, h.T @ g

    return h @ v, pull


@case(x=real("n", "k"), w=real("k", "m"), y=real("n", "m"))
def ridge(x: Array, w: Array, y: Array) -> Pullback:
    """Squared error with the penalty of a half on w."""
    r = x @ w - y
    n = max(len(x), 1)
    return (r * r).sum() / (2 * n) + 0.25 * (w * w).sum(), lambda g: (
        g * r @ w.T / n,
        g * (x.T @ r / n + 0.5 * w),
        -g * r / n,
    )


@case(x=generic("n", "k"), w=generic("k", "m"))
def tiny_penalty(x: Array, w: Array) -> Pullback:
    """A penalty of 1e-5 on w, as a second output."""
    return (x @ w, 0.5e-5 * (w * w).sum()), lambda g: (g[0] @ w.T, x.T @ g[0] + 1e-5 * g[1] * w)


def normalise(x: Array, axis: int, eps: float) -> tuple[Array, Array]:
    d = x - x.mean(axis, keepdims=True)
    r = 1 / np.sqrt((d * d).mean(axis, keepdims=True) + eps)
    return d * r, r


def normalise_back(d: Array, z: Array, r: Array, axis: int) -> Any:
    return r * (d - d.mean(axis, keepdims=True) - z * (d * z).mean(axis, keepdims=True))


@case(x=real("n", "k"), gamma=real("k"), beta=real("k"), sizes={"k": (2, 6)})
def layer_norm(x: Array, gamma: Array, beta: Array) -> Pullback:
    z, r = normalise(x, -1, 1e-5)
    return z * gamma + beta, lambda g: (normalise_back(g * gamma, z, r, -1), (g * z).sum(0), g.sum(0))


@case(x=real("n", "k"), gamma=real("k"), beta=real("k"), sizes={"n": (2, 6)})
def batch_norm(x: Array, gamma: Array, beta: Array) -> Pullback:
    z, r = normalise(x, 0, 1e-5)
    return z * gamma + beta, lambda g: (normalise_back(g * gamma, z, r, 0), (g * z).sum(0), g.sum(0))


@case(x=generic("n", "k", shift=1e6), gamma=real("k"), beta=real("k"), sizes={"n": (2, 6)})
def batch_norm_at_1e6(x: Array, gamma: Array, beta: Array) -> Pullback:
    """The mean is a million times the spread."""
    z, r = normalise(x, 0, 1e-5)
    return z * gamma + beta, lambda g: (normalise_back(g * gamma, z, r, 0), (g * z).sum(0), g.sum(0))


@case(x=generic("n", "k"), gamma=generic("k"), sizes={"k": (2, 6)})
def rms_norm(x: Array, gamma: Array) -> Pullback:
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)

    def pull(g: Array) -> tuple[Array, ...]:
        d = g * gamma
        return r * d - r**3 * x * (d * x).mean(-1, keepdims=True), (g * x * r).sum(0)

    return x * r * gamma, pull


@case(q=real("t", "k"), k=real("s", "k"), v=real("s", "m"))
def attention(q: Array, k: Array, v: Array) -> Pullback:
    scale = q.shape[1] ** -0.5
    p = softmax_of(q @ k.T * scale)

    def pull(g: Array) -> tuple[Array, ...]:
        dp = g @ v.T
        d = p * (dp - (dp * p).sum(-1, keepdims=True)) * scale
        return d @ k, d.T @ q, p.T @ g

    return p @ v, pull


@case(q=real("t", "k"), k=real("t", "k"), v=real("t", "m"))
def causal_attention(q: Array, k: Array, v: Array) -> Pullback:
    p = softmax_of(np.where(np.tri(len(q), dtype=bool), q @ k.T, -np.inf).astype(q.dtype))

    def pull(g: Array) -> tuple[Array, ...]:
        dp = g @ v.T
        d = p * (dp - (dp * p).sum(-1, keepdims=True))
        return d @ k, d.T @ q, p.T @ g

    return p @ v, pull


def add_at(total: Array, place: Any, values: Array) -> None:
    """np.add.at for any index; its stubs know integer arrays only."""
    np.add.at(total, place, values)


def windows(length: int, kernel: int, stride: int) -> Array:
    """The entries that each window sees: windows × kernel."""
    return np.arange(0, length - kernel + 1, stride)[:, None] + np.arange(kernel)


@case(
    x=real("n", "c", "t"),
    w=real("o", "c", "p"),
    sizes={"n": (1, 2), "t": (3, 6), "p": (1, 3), "c": (1, 2), "o": (1, 3)},
)
def conv1d(x: Array, w: Array) -> Pullback:
    """Stride 2, padding 1."""
    at = windows(x.shape[2] + 2, w.shape[2], 2)
    columns = np.pad(x, ((0, 0), (0, 0), (1, 1)))[:, :, at]

    def pull(g: Array) -> tuple[Array, ...]:
        padded = np.zeros((*x.shape[:2], x.shape[2] + 2), x.dtype)
        add_at(padded, (slice(None), slice(None), at), np.einsum("nol,ocp->nclp", g, w))
        return padded[:, :, 1:-1], np.einsum("nol,nclp->ocp", g, columns)

    return np.einsum("nclp,ocp->nol", columns, w), pull


@case(
    x=real("n", "c", "h", "v"), w=real("o", "c", "p", "q"), b=real("o"),
    sizes={"n": (1, 2), "c": (1, 2), "o": (1, 2), "h": (3, 5), "v": (3, 5), "p": (1, 3), "q": (1, 3)},
)  # fmt: skip
def conv2d(x: Array, w: Array, b: Array) -> Pullback:
    """Stride 1, no padding, kernels that need not be square."""
    rows, cols = windows(x.shape[2], w.shape[2], 1), windows(x.shape[3], w.shape[3], 1)
    at = (slice(None), slice(None), rows[:, None, :, None], cols[None, :, None, :])
    patches = x[at]

    def pull(g: Array) -> tuple[Array, ...]:
        gradient = np.zeros_like(x)
        add_at(gradient, at, np.einsum("noij,ocpq->ncijpq", g, w))
        return gradient, np.einsum("noij,ncijpq->ocpq", g, patches), g.sum((0, 2, 3))

    return np.einsum("ncijpq,ocpq->noij", patches, w) + b[:, None, None], pull


@case(x=real("n", "t"), sizes={"t": (3, 8)})
def max_pool(x: Array) -> Pullback:
    """Windows of three that overlap; the first of a tie."""
    at = windows(x.shape[1], 3, 2)
    best = np.take_along_axis(np.broadcast_to(at, (len(x), *at.shape)), x[:, at].argmax(-1)[..., None], -1)[..., 0]

    def pull(g: Array) -> Array:
        gradient = np.zeros_like(x)
        np.add.at(gradient, (np.arange(len(x))[:, None], best), g)
        return gradient

    return x[:, at].max(-1), pull


@case(x=real("n", "t"), sizes={"t": (3, 8)})
def average_pool(x: Array) -> Pullback:
    at = windows(x.shape[1], 3, 2)

    def pull(g: Array) -> Array:
        gradient = np.zeros_like(x)
        add_at(gradient, (slice(None), at), np.broadcast_to(g[..., None] / 3, (*g.shape, 3)))
        return gradient

    return x[:, at].mean(-1), pull


@case(
    x=real("n", "k"),
    h=real("n", "h"),
    c=real("n", "h"),
    w=real(lambda s: s["k"] + s["h"], lambda s: 4 * s["h"]),
    sizes={"h": (1, 3)},
)
def lstm_cell(x: Array, h: Array, c: Array, w: Array) -> Pullback:
    """Outputs h and c."""
    xh = np.concatenate([x, h], 1)
    a, i, f, o = np.split(xh @ w, 4, 1)
    a, i, f, o = np.tanh(a), sigmoid(i), sigmoid(f), sigmoid(o)
    cell = f * c + i * a
    t = np.tanh(cell)

    def pull(g: tuple[Array, Array]) -> tuple[Array, ...]:
        dc = g[1] + g[0] * o * (1 - t * t)
        z = [dc * i * (1 - a * a), dc * a * i * (1 - i), dc * c * f * (1 - f), g[0] * t * o * (1 - o)]
        dz = np.concatenate(z, 1)
        dxh = dz @ w.T
        return dxh[:, : x.shape[1]], dxh[:, x.shape[1] :], dc * f, xh.T @ dz

    return (o * t, cell), pull


@case(x=real("n", "k"), h=real("n", "h"), w=real("k", "h"), u=real("h", "h"))
def gated_cell(x: Array, h: Array, w: Array, u: Array) -> Pullback:
    """A gated recurrent unit with one gate."""
    z = sigmoid(x @ w)
    c = np.tanh(h @ u)

    def pull(g: Array) -> tuple[Array, ...]:
        dz, dc = g * (c - h) * z * (1 - z), g * z * (1 - c * c)
        return dz @ w.T, g * (1 - z) + dc @ u.T, x.T @ dz, h.T @ dc

    return (1 - z) * h + z * c, pull


@case(x=real("t", "k"), w=real("k", "h"), u=real("h", "h"), sizes={"t": (1, 5)})
def recurrent(x: Array, w: Array, u: Array) -> Pullback:
    """tanh cells unrolled over time, the last state is the value."""
    states = [np.zeros(w.shape[1], x.dtype)]
    for row in x:
        states.append(np.tanh(row @ w + states[-1] @ u))

    def pull(g: Array) -> tuple[Array, ...]:
        dx, dw, du = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u)
        for t in reversed(range(len(x))):
            d = g * (1 - states[t + 1] ** 2)
            dx[t] = w @ d
            dw += np.outer(x[t], d)
            du += np.outer(states[t], d)
            g = u @ d
        return dx, dw, du

    return states[-1], pull


@case(x=real("n", "k"), label=integers("k", "n"))
def cross_entropy(x: Array, label: Array) -> Pullback:
    """Mean over the batch, integer labels."""
    rows = np.arange(len(x))
    z = x - x.max(-1, keepdims=True)
    y = z - np.log(np.exp(z).sum(-1, keepdims=True))

    def pull(g: Array) -> Array:
        d = np.exp(y)
        d[rows, label] -= 1
        return np.asarray(d * g / len(x))

    return -y[rows, label].mean(), pull


@case(x=real("n", "k"), y=real("n", "k"))
def squared_error(x: Array, y: Array) -> Pullback:
    d = x - y
    return 0.5 * (d * d).sum(), lambda g: (g * d, -g * d)


@case(x=real("n", "k"), y=real("n", "k"))
def mean_absolute_error(x: Array, y: Array) -> Pullback:
    d = np.sign(x - y) / x.size
    return np.abs(x - y).mean(), lambda g: (g * d, -g * d)


@case(z=real("n", "k"), y=between(0, 1, "n", "k"))
def logistic_loss(z: Array, y: Array) -> Pullback:
    """Binary cross entropy with logits, soft labels."""
    return (np.logaddexp(0, z) - y * z).mean(), lambda g: (g * (sigmoid(z) - y) / z.size, -g * z / z.size)


@case(z=generic("n", "k"))
def focal_loss(z: Array) -> Pullback:
    """-(1-p)² log p with p = σ(z)."""
    p = sigmoid(z)
    return (-((1 - p) ** 2) * np.log(p)).sum(), lambda g: g * (2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p) * p * (1 - p)


@case(p=positive("n", "k"), q=positive("n", "k"))
def kl_divergence(p: Array, q: Array) -> Pullback:
    return (p * np.log(p / q) - p + q).sum(), lambda g: (g * np.log(p / q), g * (1 - p / q))


@case(x=real("n", "k"), label=integers("k", "n"), sizes={"k": (2, 5)})
def multiclass_hinge(x: Array, label: Array) -> Pullback:
    """Crammer and Singer's margin 1, every class; 0 on the margin."""
    rows = np.arange(len(x))
    margin = x - x[rows, label][:, None] + 1
    margin[rows, label] = 0
    d = (margin > 0).astype(x.dtype)
    d[rows, label] = -d.sum(1)
    return np.maximum(margin, 0).sum(), lambda g: g * d


@case(a=real("n", "k"), b=real("n", "k"), c=real("n", "k"))
def triplet_loss(a: Array, b: Array, c: Array) -> Pullback:
    m = ((a - b) ** 2 - (a - c) ** 2).sum(-1) + 1

    def pull(g: Array) -> tuple[Array, ...]:
        d = 2 * along(g * (m > 0), a)
        return d * (c - b), d * (b - a), d * (a - c)

    return np.maximum(m, 0), pull


@case(a=generic("n", "k"), b=generic("n", "k"))
def cosine_similarity(a: Array, b: Array) -> Pullback:
    p, q = np.sqrt((a * a).sum(-1, keepdims=True)), np.sqrt((b * b).sum(-1, keepdims=True))
    y = (a * b).sum(-1, keepdims=True) / (p * q)
    return y[:, 0], lambda g: (g[:, None] * (b / (p * q) - y * a / p**2), g[:, None] * (a / (p * q) - y * b / q**2))


@case(x=generic("n", "k"), y=generic("m", "k"))
def distances(x: Array, y: Array) -> Pullback:
    d = x[:, None] - y
    r = np.sqrt((d * d).sum(-1))

    def pull(g: Array) -> tuple[Array, ...]:
        e = (g / r)[..., None] * d
        return e.sum(1), -e.sum(0)

    return r, pull


@case(x=real("n", "k"), y=real("m", "k"), s=between(0.5, 2))
def rbf_kernel(x: Array, y: Array, s: Array) -> Pullback:
    d = x[:, None] - y
    r = (d * d).sum(-1)
    p = np.exp(-r / (2 * s * s))

    def pull(g: Array) -> tuple[Array, ...]:
        e = (g * p / (s * s))[..., None] * d
        return -e.sum(1), e.sum(0), (g * p * r).sum() / s**3

    return p, pull


CASES = [c for c in list(globals().values()) if isinstance(c, Case)]
