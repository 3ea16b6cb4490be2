"""The judge: `check` one point, `search` for the smallest failing case, `assert_gradients` in a test."""

from gradcheck.judge.verdict import assert_gradients, check

__all__ = ["assert_gradients", "check"]
