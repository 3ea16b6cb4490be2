"""Read the hyperparameters of a network's hidden layers: how many, how wide, and with which activations."""

from typing import TypeVar

T = TypeVar("T")


def hidden_widths(hidden: int, units: tuple[int, ...]) -> tuple[int, ...]:
    """Units of each of the ``hidden`` layers.

    >>> hidden_widths(2, (5, 4)), hidden_widths(3, (5,)), hidden_widths(0, (5,))
    ((5, 4), (5, 5, 5), ())

    Raises ValueError when a number is out of range or there are neither one nor ``hidden`` of ``units``.
    """
    if hidden < 0:
        raise ValueError(f"hidden={hidden}: the number of hidden layers must be 0 or more")
    if not units or min(units) < 1:
        raise ValueError(f"units={units}: a hidden layer needs at least one unit")
    return per_layer("units", hidden, units)


def per_layer(what: str, layers: int, values: tuple[T, ...]) -> tuple[T, ...]:
    """Give each layer its value: the values as they are, or the one value to all.

    >>> per_layer("activation", 2, ("relu",))
    ('relu', 'relu')
    >>> per_layer("activation", 3, ("relu", "tanh"))
    Traceback (most recent call last):
        ...
    ValueError: 2 values of activation (relu, tanh) for 3 hidden layers: give one for all of them, or one a layer
    """
    if len(values) == layers:
        return values
    if len(values) == 1:
        return values * layers
    raise ValueError(
        f"{len(values)} values of {what} ({', '.join(map(str, values))}) for {layers} hidden layers:"
        " give one for all of them, or one a layer"
    )
