"""Ready catalogues: the public functions of frameworks as targets, each with the inputs it takes.

`gradcheck run gradcheck.catalogues.torch_nn:TARGETS` judges all of one; `python -m gradcheck.catalogues` says what
share of each is covered. A framework is imported when its functions are first asked for.
"""

from pathlib import Path

CATALOGUES = ("torch_nn", "torch_functional", "jax_nn", "jax_numpy", "autograd_numpy", "sklearn_neural")
"""The modules of this room that hold one, as CATALOGUE and TARGETS."""

XFAILS = Path(__file__).with_name("xfails.txt")
"""Faults upstream, each confirmed by hand, with the issue where there is one: for `gradcheck run --xfails`."""
