"""A test bench for gradients: right or wrong, how sure, where, and what kind of mistake.

This module is only a table of contents. The names below are imported when first used (PEP 562), so that
``import gradcheck`` costs nothing, not even numpy: pytest imports its plugins on every run.

>>> import gradcheck
>>> sorted(gradcheck.__all__)[:3]
['Finding', 'GradientMismatch', 'InconclusiveError']
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gradcheck.adapters import as_target as as_target
    from gradcheck.adapters.autograd_ import from_autograd as from_autograd
    from gradcheck.adapters.design import by_design as by_design
    from gradcheck.adapters.jax_ import from_jax as from_jax
    from gradcheck.adapters.layer import from_functions as from_functions
    from gradcheck.adapters.layer import from_layer as from_layer
    from gradcheck.adapters.tapes import from_tape as from_tape
    from gradcheck.adapters.tensorflow_ import from_tensorflow as from_tensorflow
    from gradcheck.adapters.torch_ import from_torch as from_torch
    from gradcheck.judge import assert_gradients as assert_gradients
    from gradcheck.judge import check as check
    from gradcheck.judge.search import search as search
    from gradcheck.plugin.verify import verify as verify
    from gradcheck.report import Finding as Finding
    from gradcheck.report import GradientMismatch as GradientMismatch
    from gradcheck.report import InconclusiveError as InconclusiveError
    from gradcheck.report import Kind as Kind
    from gradcheck.report import Report as Report
    from gradcheck.report import Verdict as Verdict
    from gradcheck.target import Target as Target
    from gradcheck.target import from_pair as from_pair
    from gradcheck.target import from_pullback as from_pullback

_HOME = {
    "Target": "gradcheck.target",
    "as_target": "gradcheck.adapters",
    "from_functions": "gradcheck.adapters.layer",
    "from_layer": "gradcheck.adapters.layer",
    "from_tensorflow": "gradcheck.adapters.tensorflow_",
    "from_torch": "gradcheck.adapters.torch_",
    "by_design": "gradcheck.adapters.design",
    "from_tape": "gradcheck.adapters.tapes",
    "from_autograd": "gradcheck.adapters.autograd_",
    "from_jax": "gradcheck.adapters.jax_",
    "from_pair": "gradcheck.target",
    "from_pullback": "gradcheck.target",
    "Verdict": "gradcheck.report",
    "Kind": "gradcheck.report",
    "Finding": "gradcheck.report",
    "Report": "gradcheck.report",
    "GradientMismatch": "gradcheck.report",
    "InconclusiveError": "gradcheck.report",
    "check": "gradcheck.judge",
    "search": "gradcheck.judge.search",  # a module of that name: gradcheck.judge.search is whichever came last
    "assert_gradients": "gradcheck.judge",
    "verify": "gradcheck.plugin.verify",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}; it offers {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
