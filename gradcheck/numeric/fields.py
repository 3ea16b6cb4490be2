"""Derivatives of functions of arrays, put together from derivatives along lines."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.numeric import validate
from gradcheck.numeric.estimate import Estimate, Scheme
from gradcheck.numeric.line import BlackBox, Line
from gradcheck.numeric.richardson import Richardson

Array = NDArray[Any]

DEFAULT: Scheme = Richardson()


def derivative(f: BlackBox, x: Any, *, order: int = 1, scheme: Scheme = DEFAULT) -> Estimate:
    """The derivative of that order of f at a scalar x; value and error have the shape of f(x).

    f is called with a NumPy scalar of x's dtype, which decides the working precision (a Python float is float64).
    TypeError for integer, complex or other dtypes of x; ValueError for an x with axes, empty or not finite.

    >>> e = derivative(lambda x: x**3, 2.0, order=2)
    >>> bool(abs(e.value - 12.0) <= e.error < 1e-5)
    True
    """
    line = Line(f, validate.scalar_point(x))
    return _shaped(scheme.along(line, validate.derivative_order(order)), line.shape)


def directional(f: BlackBox, x: Any, u: Any, *, order: int = 1, scheme: Scheme = DEFAULT) -> Estimate:
    """The derivative of that order of t ↦ f(x + t·u) at 0; u, not normed, has x's shape, the result that of f(x).

    TypeError for dtypes that are not real floating point; ValueError for an x or u that is empty or not finite, for a u
    of another shape or zero everywhere.

    >>> e = directional(lambda x: x @ x, np.array([1.0, 2.0]), np.array([3.0, 0.0]))
    >>> bool(e.covers(6.0))
    True
    """
    x = validate.point(x)
    line = Line(f, x, u=validate.direction(u, x))
    return _shaped(scheme.along(line, validate.derivative_order(order)), line.shape)


def gradient(f: BlackBox, x: Any, *, scheme: Scheme = DEFAULT) -> Estimate:
    """∂f/∂x of a scalar f, entry by entry; value and error have the shape of x. f gets arrays of x's shape and dtype.

    TypeError and ValueError as in ``directional``, and ValueError where f's output is not a scalar.

    >>> e = gradient(lambda w: np.sum(w**2), np.array([[1.0, -2.0], [0.0, 3.0]]))
    >>> np.round(e.value, 6)
    array([[ 2., -4.],
           [ 0.,  6.]])
    """
    x = validate.point(x)
    return _shaped(_entries(f, x, scheme, _scalar_output), x.shape)


def jacobian(f: BlackBox, x: Any, *, scheme: Scheme = DEFAULT) -> Estimate:
    """∂f/∂x of an f of any output shape; value and error have the shape of f(x) followed by that of x.

    TypeError and ValueError as in ``directional``.

    >>> e = jacobian(lambda x: np.outer(x, x), np.array([1.0, 2.0]))
    >>> e.value.shape, bool(e.covers(np.array([[[2, 0], [2, 1]], [[2, 1], [0, 4]]])).all())
    ((2, 2, 2), True)
    """
    x = validate.point(x)
    shapes: list[tuple[int, ...]] = []
    columns = _entries(f, x, scheme, lambda line: shapes.append(line.shape))
    return _shaped(columns, shapes[0] + x.shape)


def hessian(f: BlackBox, x: Any, *, scheme: Scheme = DEFAULT) -> Estimate:
    """∂²f/∂x∂x of a scalar f; value and error have x's shape twice over, and are symmetric.

    From second derivatives along lines: the mixed ones by polarisation, 2 u·H·v = (u+v)·H·(u+v) - u·H·u - v·H·v, so
    an entry far below its diagonal ones has an error to match. n(n+1)/2 lines for n entries. TypeError and ValueError
    as in ``gradient``; the scheme must know second derivatives.

    >>> e = hessian(lambda x: x[0] ** 2 * x[1], np.array([1.0, 3.0]))
    >>> bool(e.covers(np.array([[6.0, 2.0], [2.0, 0.0]])).all()), bool(e.error.max() < 1e-5)
    (True, True)
    """
    x = validate.point(x)
    indices = list(np.ndindex(x.shape))
    n = len(indices)
    value = np.zeros((n, n), np.result_type(x.dtype, np.float64))
    error = np.zeros_like(value)
    evaluations = 0
    # Units in which every entry of x is of like size, as far as x can tell: entry i is moved by scale[i] at a time.
    scale = [0.0] * n
    for i, index in enumerate(indices):
        line = Line(f, x, index=index)
        _scalar_output(line)
        scale[i] = 2.0 ** round(np.log2(line.scale))
        second = scheme.along(line, 2)
        value[i, i], error[i, i] = second.value[0], second.error[0]
        evaluations += second.evaluations
    for i in range(n):
        for j in range(i):
            u = np.zeros_like(x)
            u[indices[i]], u[indices[j]] = scale[i], scale[j]
            second = scheme.along(Line(f, x, u=u), 2)
            evaluations += second.evaluations
            own, other = scale[i] ** 2, scale[j] ** 2
            area = 2 * scale[i] * scale[j]
            value[i, j] = value[j, i] = (second.value[0] - own * value[i, i] - other * value[j, j]) / area
            error[i, j] = error[j, i] = (second.error[0] + own * error[i, i] + other * error[j, j]) / area
    return _shaped(Estimate(value, error, evaluations), x.shape * 2)


def _entries(f: BlackBox, x: Array, scheme: Scheme, inspect: Callable[[Line], None]) -> Estimate:
    """First derivatives along every coordinate, shape (outputs, entries); ``inspect`` sees each line first."""
    columns = []
    for index in np.ndindex(x.shape):
        line = Line(f, x, index=index)
        inspect(line)
        columns.append(scheme.along(line, 1))
    return Estimate(
        np.stack([c.value for c in columns], axis=-1),
        np.stack([c.error for c in columns], axis=-1),
        sum(c.evaluations for c in columns),
    )


def _scalar_output(line: Line) -> None:
    if line.origin.size != 1:
        raise ValueError(
            f"f returned shape {line.shape}, but gradient and hessian need one number; sum f's output, or use jacobian"
        )


def _shaped(estimate: Estimate, shape: tuple[int, ...]) -> Estimate:
    return Estimate(estimate.value.reshape(shape)[()], estimate.error.reshape(shape)[()], estimate.evaluations)
