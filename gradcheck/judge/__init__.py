"""The judge: `check` one point, `search` for the smallest failing case, `assert_gradients` in a test."""

from typing import TYPE_CHECKING

from gradcheck.judge.verdict import assert_gradients, check, check_laws

if TYPE_CHECKING:
    from gradcheck.judge.search import search as search

__all__ = ["assert_gradients", "check", "check_laws", "search"]


def __getattr__(name: str) -> object:
    if name != "search":
        raise AttributeError(f"module 'gradcheck.judge' has no attribute {name!r}")
    from gradcheck.judge.search import search  # brings Hypothesis, which judging one point does not need

    return search
