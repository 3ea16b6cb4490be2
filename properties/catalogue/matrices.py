"""Right functions of matrices; the domain says which matrices."""

from typing import Any

import numpy as np

from .case import Array, Case, Pullback, case, definite, real, regular


def transposed(a: Array) -> Any:
    return np.swapaxes(a, -1, -2)


@case(a=regular("n"))
def inverse(a: Array) -> Pullback:
    y = np.linalg.inv(a)
    return y, lambda g: -y.T @ g @ y.T


@case(a=regular("n"), b=real("n", "k"))
def solve(a: Array, b: Array) -> Pullback:
    y = np.linalg.solve(a, b)

    def pull(g: Array) -> tuple[Array, ...]:
        d = np.linalg.solve(a.T, g)
        return -d @ y.T, d

    return y, pull


@case(a=regular("n"))
def determinant(a: Array) -> Pullback:
    y = np.linalg.det(a)
    return y, lambda g: g * y * np.linalg.inv(a).T


@case(a=definite("n"))
def log_determinant(a: Array) -> Pullback:
    return np.linalg.slogdet(a)[1], lambda g: g * np.linalg.inv(a).T


def cholesky_back(low: Array, g: Array) -> Any:
    """Murray 2016, arXiv:1602.07527, equation 10: the symmetric gradient."""
    phi = np.tril(low.T @ np.tril(g))
    phi[np.diag_indices_from(phi)] /= 2
    inverse_low = np.linalg.inv(low)
    s = inverse_low.T @ phi @ inverse_low
    return (s + s.T) / 2


@case(a=definite("n"))
def cholesky(a: Array) -> Pullback:
    """LAPACK reads the lower triangle only: entries below the diagonal count twice, those above not at all."""
    low = np.linalg.cholesky(a)

    def pull(g: Array) -> Array:
        s = cholesky_back(low, g)
        return np.asarray(2 * np.tril(s) - np.diag(np.diag(s)))

    return low, pull


@case(a=definite("n"))
def cholesky_symmetrised(a: Array) -> Pullback:
    """The matrix is symmetrised first, so the symmetric gradient is right."""
    low = np.linalg.cholesky((a + a.T) / 2)
    return low, lambda g: cholesky_back(low, g)


@case(a=real("n", "n", scale=0.7))
def matrix_cube(a: Array) -> Pullback:
    t = a.T
    return a @ a @ a, lambda g: g @ t @ t + t @ g @ t + t @ t @ g


@case(a=real("n", "n", scale=0.3))
def matrix_exp_series(a: Array) -> Pullback:
    """Twelve terms of the exponential series."""
    powers = [np.eye(len(a), dtype=a.dtype)]
    for k in range(1, 12):
        powers.append(powers[-1] @ a / k)

    def pull(g: Array) -> Array:
        total, d = np.zeros_like(a), g
        for k in range(11, 0, -1):
            total += powers[k - 1].T @ d / k
            d = g + d @ a.T / k
        return total

    return sum(powers), pull


@case(x=real("n"), y=real("k"))
def outer_product(x: Array, y: Array) -> Pullback:
    return np.outer(x, y), lambda g: (g @ y, x @ g)


@case(x=real("n"), a=real("n", "n"))
def quadratic_form(x: Array, a: Array) -> Pullback:
    return x @ a @ x, lambda g: (g * (a @ x + x @ a), g * np.outer(x, x))


@case(a=real("n", "k"), b=real("k", "m"), c=real("m", "n"))
def trace_of_product(a: Array, b: Array, c: Array) -> Pullback:
    return np.trace(a @ b @ c), lambda g: (g * (b @ c).T, g * (c @ a).T, g * (a @ b).T)


@case(a=real("n", "k", "m"), b=real("n", "m", "l"))
def batched_matmul(a: Array, b: Array) -> Pullback:
    return a @ b, lambda g: (g @ transposed(b), transposed(a) @ g)


@case(a=real("n", "m"), b=real("m"))
def broadcast_product(a: Array, b: Array) -> Pullback:
    return a * b, lambda g: (g * b, (g * a).sum(0))


@case(a=real("n", 1), b=real(1, "m"))
def broadcast_both(a: Array, b: Array) -> Pullback:
    return np.sin(a) * b, lambda g: ((g * b).sum(1, keepdims=True) * np.cos(a), (g * np.sin(a)).sum(0, keepdims=True))


@case(s=real(), x=real("n", "k"))
def scalar_times_array(s: Array, x: Array) -> Pullback:
    return s * x, lambda g: ((g * x).sum(), g * s)


@case(a=definite("n"))
def symmetric_power(a: Array) -> Pullback:
    """log det(I + A²): symmetric in, but defined off symmetry."""
    m = np.eye(len(a), dtype=a.dtype) + a @ a
    i = np.linalg.inv(m).T
    return np.linalg.slogdet(m)[1], lambda g: g * (i @ a.T + a.T @ i)


CASES = [c for c in list(globals().values()) if isinstance(c, Case)]
