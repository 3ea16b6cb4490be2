"""The gradients of somebody's layers, each over shapes and values that Hypothesis draws."""

from collections.abc import Callable
from typing import Any


def test_gradient_is_right(gradcheck: Callable[..., Any], gradcheck_target: Any) -> None:
    """Wherever the target is asked, its backward pass is the derivative of its forward pass."""
    gradcheck(gradcheck_target)
