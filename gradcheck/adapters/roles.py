"""Roles: what each argument of a backward is, by its name: a cotangent, a cache, an input again, a learning rate."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from gradcheck.adapters.caches import is_cache
from gradcheck.adapters.methods import CallError, input_names, is_flag, signature
from gradcheck.adapters.naming import (
    AT_INPUT,
    AT_OUTPUT,
    COTANGENT,
    LABELS,
    OPTIMISERS,
    OUTPUTS,
    RATES,
    likeness,
    stems,
)  # fmt: skip
from gradcheck.floats import differentiable

Role = tuple[str, str]
"""A name, of an argument of backward or for "input" of one of forward, and what it stands for."""


def roles_of(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    outcome: Any,
    words: Mapping[int, str],
    settings: Collection[str],
    called: str,
    labelled: bool = False,
) -> list[Role]:
    """The role of each argument of backward that it must be given: "cotangent", "cotangents" (all that are left),
    "optional" (a cotangent by keyword), "cache", "input", "predicted" (an input, or what a loss makes of it and keeps),
    "output", "optimiser", "setting" or "nothing".

    outcome: what forward returned; words: what its return statement calls that; settings: arguments with values of
    their own; called: backward's name, for errors; labelled: labels stand where cotangents do, and for them. Raises
    CallError for an argument that nothing is known of.

    >>> roles_of(lambda x: x, lambda dout, cache, lr: dout, (1.0, "cache"), {}, (), "backward")
    [('dout', 'cotangent'), ('cache', 'cache'), ('lr', 'setting')]
    >>> roles_of(lambda x: x, lambda eta: eta, 1.0, {}, (), "backward")
    [('eta', 'cotangent')]
    """
    positional, optional, variadic = signature(backward)
    if not positional and optional and not is_flag(optional[0]):
        positional = optional[:1]  # backward(dout=1)
    inputs = input_names(forward)
    if labelled:
        given = [name for name in optional if name not in positional and is_label_of_its_own(name, inputs)]
        return [*(_labelled(name, inputs) for name in positional), *((name, "optional") for name in given)]
    kept = [name for name in inputs if is_cache(name) and name not in words.values()]  # forward fills it
    roles = [(name, _alone(name, inputs, kept, len(positional) > 1, settings)) for name in positional]
    unknown = [i for i, (_, role) in enumerate(roles) if role == "cotangent"]
    if not isinstance(outcome, tuple | list):
        roles = [_uncached(name, role, inputs, called) for name, role in roles]
        if np.ndim(outcome) < 2 and _is_predicted(roles, unknown, inputs):
            left = [name for name in inputs if name not in [given for given, _ in roles]]
            roles[unknown.pop()] = (left[0], "predicted")
    if not unknown:
        _one_is_the_cotangent(roles, settings)
    elif len(unknown) > 1:
        _further(roles, unknown, inputs, outcome, called)
    if variadic and not unknown:
        roles.append(("*", "cotangents"))
    if isinstance(outcome, tuple):  # backward(dskip, dmain=None), beside `return main, skip`
        further = [name for name in optional if name not in positional]
        roles += [(name, "optional") for name in further if place_of(name, words) is not None]
    return roles


def _labelled(name: str, inputs: list[str]) -> Role:
    """The role of an argument beside labels: the only input again, as in backprop(x, y), or nothing."""
    if name in AT_INPUT and len(inputs) == 1:
        return inputs[0], "input"
    return name, "cotangent" if is_label_of_its_own(name, inputs) else "nothing"


def _alone(name: str, inputs: list[str], kept: list[str], several: bool, settings: Collection[str]) -> str:
    """The role of an argument by its own name; what is nothing else is a cotangent."""
    if name in settings or is_flag(name) or name in RATES:
        return "setting"
    if name in OPTIMISERS:
        return "optimiser"
    if several and is_cache(name):
        return "input" if name in kept else "cache"
    if name in inputs and (several or (name in LABELS and len(inputs) > 1)):  # loss.backward(y) of forward(y_hat, y)
        return "input"
    return "output" if several and name in OUTPUTS else "cotangent"


def _is_predicted(roles: list[Role], unknown: list[int], inputs: list[str]) -> bool:
    """Whether a loss's backward is given its predictions and labels again, the labels alone by the name that they had
    in forward: backward(dvalues, y_true) of forward(y_pred, y_true).
    """
    again = [name for name, role in roles if role == "input"]
    if len(unknown) != 1 or not len(roles) == len(inputs) == len(again) + 1 > 1:
        return False
    return all(name in LABELS for name in again) and not COTANGENT.match(roles[unknown[0]][0])


def _uncached(name: str, role: str, inputs: list[str], called: str) -> Role:
    """What a cache is where forward returned its value only: its only input, as of sigmoid_backward(dA, cache)."""
    if role == "cache" and len(inputs) != 1:
        raise CallError(
            f"{called} wants {name} beside its cotangent, and forward returned one value only; "
            f"say what it is: from_layer(…, backward=lambda layer, cotangent: layer.…)"
        )
    return (inputs[0], "input") if role == "cache" else (name, role)


def _one_is_the_cotangent(roles: list[Role], settings: Collection[str]) -> None:
    """Where no name says cotangent, the first that may be one is: backward(eta), backward(x, lr) of forward(x). A
    backward that is given several inputs again, or labels, is the gradient of a loss and has none.
    """
    again = [name for name, role in roles if role == "input" and not is_cache(name)]
    if len(again) > 1 or any(name in LABELS for name in again):
        return
    rates = [name for name, role in roles if role == "setting" and name in RATES and name not in settings]
    for name in [*again, *rates][:1]:
        roles[[name for name, _ in roles].index(name)] = (name, "cotangent")


def _further(roles: list[Role], unknown: list[int], inputs: list[str], outcome: Any, called: str) -> None:
    """Several arguments that are nothing else: which is the cotangent, and what are the others?"""
    names = [roles[i][0] for i in unknown]
    if isinstance(outcome, tuple | list):
        if isinstance(outcome, tuple) and not is_value(outcome[-1]) and "cache" not in [role for _, role in roles]:
            roles[unknown[-1]] = (names[-1], "cache")
    elif len(names) == len(inputs) == len(roles) and not any(map(COTANGENT.match, names)):  # a loss, again
        labels = [name for name in inputs if name in LABELS]
        others = [name for name in inputs if name not in LABELS]
        if len(labels) == sum(name in LABELS for name in names):
            inputs = [labels.pop(0) if name in LABELS else others.pop(0) for name in names]
        roles[:] = [(name, "input") for name in inputs]
    elif len(names) == 2 and len(inputs) == 1 and names[1] in AT_OUTPUT + AT_INPUT:
        # relu_backward(dA, Z): the only input; sigmoid_backward(dout, a): the value
        roles[unknown[1]] = (names[1], "output") if names[1] in AT_OUTPUT else (inputs[0], "input")
    else:
        raise CallError(
            f"{called} wants {', '.join(names[1:])} beside its cotangent, and forward returned one value only; "
            f"say what it is: from_layer(…, backward=lambda layer, cotangent: layer.…)"
        )


def is_label_of_its_own(name: str, inputs: Collection[str]) -> bool:
    """Whether an argument of backward is labels, by its name, and of those that forward is not given."""
    return name in LABELS and name not in inputs


def place_of(cotangent: str, words: Mapping[int, str]) -> int | None:
    """The value that a cotangent belongs to by its name.

    >>> place_of("dskip", {0: "main", 1: "skip"})
    1
    """
    found = [place for place, word in words.items() if any(likeness(stem, word) > 1 for stem in stems(cotangent))]
    return found[0] if len(found) == 1 else None


def is_value(part: Any) -> bool:
    """Whether something that forward returned can be judged: floating point, real or complex."""
    return isinstance(part, np.ndarray | np.generic | float) and differentiable(np.asarray(part))
