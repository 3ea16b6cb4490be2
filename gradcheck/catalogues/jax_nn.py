"""jax.nn as targets: `gradcheck run gradcheck.catalogues.jax_nn:TARGETS`."""

import importlib
from collections.abc import Iterable
from typing import Any

from gradcheck.adapters.flat import framework
from gradcheck.adapters.jax_ import from_jax
from gradcheck.catalogues.catalogue import Args, By, Catalogue


def _finite(f: Any) -> Any:
    """log_softmax with a mask is −∞ off the mask: what is judged is the rest of it, of which one entry is sure."""
    return lambda x, m: framework("jax.numpy", "this catalogue", "jax").where(m, f(x, where=m | (m.sum() == 0)), 0.0)


# Sizes are fixed and few: JAX compiles anew for every shape, which takes longer than judging does.
ROWS: list[tuple[Any, ...]] = [
    (
        "relu relu6 selu sigmoid silu swish mish softplus soft_sign tanh hard_tanh hard_sigmoid hard_silu hard_swish",
        "real(3,4)",
    ),
    ("identity log_sigmoid sparse_plus sparse_sigmoid", "real(3,4)"),
    ("elu celu", "real(3,4)", Args(), Args(0.5)),
    ("leaky_relu", "real(3,4)", Args(), Args(0.3)),
    ("gelu", "real(3,4)", Args(), Args(approximate=False)),
    ("squareplus", "real(3,4)", Args(), Args(1.0)),
    ("glu", "real(3,4)", Args(), Args(1)),
    ("glu", "real(4,3)", Args(0)),
    ("softmax log_softmax", "real(3,4)", Args(), Args(0)),
    ("softmax", "real(3,4) bits(3,4)", By("where", lambda f: lambda x, m: f(x, where=m.at[:, 0].set(True)))),
    ("log_softmax", "real(3,4) bits(3,4)", By("where", _finite)),
    ("logsumexp logmeanexp", "real(3,4)", Args(), Args(axis=0), Args(axis=(0, 1), keepdims=True)),
    ("logsumexp", "real(3,4) real(3,4)", By("b", lambda f: lambda x, b: f(x, axis=1, b=b * b + 1))),
    ("logmeanexp", "real(3,4) bits(3,4)", By("where", lambda f: lambda x, m: f(x, 1, where=m.at[:, 0].set(True)))),
    ("log1mexp", "positive(3,4)"),
    ("standardize", "real(3,4)", Args(), Args(axis=0), Args(epsilon=1e-2)),
    (
        "standardize",
        "real(3,4) real(3,1) sized(3,1)",
        By("mean, variance", lambda f: lambda x, m, v: f(x, mean=m, variance=v)),
    ),
    (
        "dot_product_attention",
        "small(2,3,2,2) small(2,4,2,2) real(2,4,2,2)",
        Args(),
        Args(scale=0.3),
        Args(is_causal=True),
        Args(local_window_size=1),
    ),
    ("dot_product_attention", "small(2,3,4,2) small(2,3,2,2) real(2,3,2,2) real(2,1,3,3)", Args()),
    (
        "scaled_dot_general",
        "real(2,3,4) real(2,4,2)",
        By("batched", lambda f: lambda x, y: f(x, y, (((2,), (1,)), ((0,), (0,))))),
    ),
]

CONSTANT = {
    "integers in, numbers of no dependence out": "one_hot",
    "settings": "get_scaled_dot_general_config",
}
EXCEPTIONS = {"takes scales of blocks of 32 float8 numbers, and defines no derivative": "scaled_matmul"}


def public() -> Iterable[str]:
    """The functions of jax.nn."""
    nn = framework("jax.nn", "this catalogue", "jax")
    return [name for name, value in vars(nn).items() if not name.startswith("_") and callable(value)]


CATALOGUE = Catalogue(
    "jax.nn",
    public,
    lambda name: getattr(importlib.import_module("jax.nn"), name),
    from_jax,
    ROWS,
    CONSTANT,
    EXCEPTIONS,
)
TARGETS = CATALOGUE.targets()
"""Every entry by name and settings."""
