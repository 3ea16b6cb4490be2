"""Caches: what forward keeps for backward outside of the layer: a context, a dictionary to fill."""

from typing import Any

from gradcheck.adapters.naming import CACHES


class Context:
    """What a forward(ctx, …) keeps for its backward(ctx, …): saved tensors, and whatever attributes it likes."""

    def __init__(self) -> None:
        self.saved_tensors: tuple[Any, ...] = ()
        self.needs_input_grad = (True,) * 16  # more than any function has inputs
        self.parents: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep arrays for backward; a second call replaces the first's, as in torch.

        >>> ctx = Context()
        >>> ctx.save_for_backward(1, 2)
        >>> ctx.saved_tensors
        (1, 2)
        """
        self.saved_tensors = tensors

    @property
    def saved_values(self) -> tuple[Any, ...]:
        """Another name for them."""
        return self.saved_tensors


def is_cache(name: str) -> bool:
    """Whether an argument is what forward keeps for backward, by its name.

    >>> is_cache("cache"), is_cache("relu_cache"), is_cache("x")
    (True, True, False)
    """
    return name in CACHES or "cache" in name.lower()


def is_context(name: str = "") -> bool:
    """Whether an argument is a context, by its name."""
    return name in ("ctx", "context")


def empty_cache(name: str) -> Any:
    """What a forward that takes a cache is given to fill: a context, or else a dictionary.

    >>> empty_cache("cache")
    {}
    """
    return Context() if is_context(name) else {}
