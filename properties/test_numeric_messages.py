"""Bad input is refused in words that name the value, the rule and the remedy."""

import numpy as np
import pytest

from gradcheck.numeric import (
    Central,
    ComplexStep,
    Fit,
    Richardson,
    Stencil,
    derivative,
    directional,
    gradient,
    hessian,
    jacobian,
    noise,
    stencil_weights,
)

X = np.array([1.0, 2.0])

REFUSED = {
    "integer x": (lambda: derivative(np.sin, 2), TypeError, "x has dtype int64, .* pass x as a float"),
    "integer array": (
        lambda: gradient(np.sum, np.arange(3)),
        TypeError,
        "needs floating point: x \\+ h would round back",
    ),
    "complex x": (lambda: derivative(np.sin, 1j), TypeError, "x has dtype complex128, .* split x into real arrays"),
    "text x": (lambda: derivative(np.sin, "a"), TypeError, "x has dtype <U1"),
    "empty x": (
        lambda: gradient(np.sum, np.zeros((0, 2))),
        ValueError,
        "x has shape \\(0, 2\\): .* at least one entry",
    ),
    "NaN x": (lambda: gradient(np.sum, np.array([1.0, np.nan])), ValueError, "x\\[1\\] is nan: .* finite point"),
    "infinite scalar": (lambda: derivative(np.sin, np.inf), ValueError, "x is inf: .* replace or drop"),
    "array for a scalar": (lambda: derivative(np.sin, X), ValueError, "x has shape \\(2,\\), .* use gradient"),
    "array f": (lambda: gradient(np.sin, X), ValueError, "f returned shape \\(2,\\), .* use jacobian"),
    "array f, hessian": (lambda: hessian(np.sin, X), ValueError, "need one number; sum f's output"),
    "complex f": (
        lambda: derivative(lambda x: x + 1j, 1.0),
        TypeError,
        "f returned dtype complex128, .* imaginary parts",
    ),
    "shape-shifter": (
        lambda: jacobian(lambda x: x if x[0] == 1 else x[:1], X),
        ValueError,
        "f returned shape \\(2,\\) at x and \\(1,\\) at x \\+ .* must keep its shape",
    ),
    "order 0": (lambda: derivative(np.sin, 1.0, order=0), ValueError, "order is 0: .* call f itself"),
    "order 1.5": (lambda: derivative(np.sin, 1.0, order=1.5), TypeError, "order is 1.5: .* whole number"),
    "u of another shape": (lambda: directional(np.sum, X, [1.0]), ValueError, "u has shape \\(1,\\) and x has shape"),
    "u zero": (lambda: directional(np.sum, X, [0, 0]), ValueError, "u is zero everywhere"),
    "u NaN": (lambda: noise(np.sum, X, [np.nan, 1]), ValueError, "u\\[0\\] is nan"),
    "duplicate offsets": (
        lambda: stencil_weights((0, 1, 1), 1),
        ValueError,
        "\\(0, 1, 1\\) repeat 1: .* name each once",
    ),
    "few offsets": (lambda: stencil_weights((0, 1), 2), ValueError, "2 offsets for order 2: .* add 1 more"),
    "infinite offset": (lambda: Stencil((0, np.inf)), ValueError, "every offset must be finite"),
    "stencil too small": (
        lambda: derivative(np.sin, 1.0, order=3, scheme=Stencil((0, 1, 2))),
        ValueError,
        "3 offsets for order 3",
    ),
    "accuracy 0": (lambda: Central(0), ValueError, "accuracy is 0: .* pass 1, 2"),
    "step 0": (lambda: Central(step=0.0), ValueError, "step is 0.0: .* leave it None"),
    "depth 1": (lambda: Richardson(1), ValueError, "depth is 1: .* pass 2 or more"),
    "degree 2": (lambda: Fit(degree=2), ValueError, "degree is 2: .* pass 3 or more"),
    "no spare points": (lambda: Fit(spare=0), ValueError, "spare is 0: .* pass 1 or more"),
    "unknown nodes": (lambda: Fit(nodes="random"), ValueError, "nodes is 'random': .* pass one of them"),
    "radius -1": (lambda: Fit(radius=-1.0), ValueError, "radius is -1.0: .* leave it None"),
    "fit too stiff": (
        lambda: derivative(np.sin, 1.0, order=4, scheme=Fit(degree=5)),
        ValueError,
        "order is 4 and degree 5: .* pass Fit\\(degree=6\\)",
    ),
    "complex step, order 2": (
        lambda: derivative(np.sin, 1.0, order=2, scheme=ComplexStep()),
        ValueError,
        "order is 2: .* use Richardson",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_words(name):
    """Value, rule and remedy, before any work is done on it."""
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call()
