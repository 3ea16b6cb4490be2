"""Derivatives along a line that know their own error, and know nothing of layers.

Every function returns an ``Estimate`` (value, error, evaluations). ``scheme`` chooses how: ``Richardson()``, the
default, is adaptive and means its error; ``ComplexStep()`` is exact where f is complex-analytic; ``Fit()``
differentiates a fitted curve; ``Forward``, ``Backward``, ``Central`` and ``Stencil`` are cheap and trust f to be smooth
on the scale of x. How far each can be trusted is measured: ``benchmarks/test_numeric_calibration.py``.
"""

from gradcheck.numeric.complex_step import ComplexStep, NotAnalyticError
from gradcheck.numeric.estimate import Estimate, Scheme
from gradcheck.numeric.fields import derivative, directional, gradient, hessian, jacobian
from gradcheck.numeric.fit import Fit
from gradcheck.numeric.noise import noise
from gradcheck.numeric.richardson import Richardson
from gradcheck.numeric.stencils import Backward, Central, Forward, Stencil, stencil_weights

__all__ = [
    "Backward",
    "Central",
    "ComplexStep",
    "Estimate",
    "Fit",
    "Forward",
    "NotAnalyticError",
    "Richardson",
    "Scheme",
    "Stencil",
    "derivative",
    "directional",
    "gradient",
    "hessian",
    "jacobian",
    "noise",
    "stencil_weights",
]
