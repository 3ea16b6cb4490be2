"""Design: layers whose backward is meant to be wrong: straight-through estimators, quantisers, gradient reversal."""

from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.adapters import as_target
from gradcheck.target import Target


def by_design(layer: Any, of: Any, *, name: str | None = None) -> Target:
    """A target that is judged by the function whose gradient it is meant to have, which the report notes.

    layer, of: Targets, or what `as_target` makes some of. `of` takes the inputs of the layer and returns what has the
    shape of its value: x for a rounding with a straight-through gradient, −λx for a reversal. So the mistake that is
    wanted passes, and any other is found. Parameters of the layer are held.
    Raises ValueError where the two values differ in shape. Source: Bengio, Léonard and Courville, "Estimating or
    propagating gradients through stochastic neurons", 2013; Ganin and Lempitsky, 2015.

    >>> import numpy as np, gradcheck
    >>> rounding = gradcheck.from_pair(np.round, lambda inputs, dy: (1 * dy,), name="round")
    >>> identity = gradcheck.from_pair(lambda x: x, lambda inputs, dy: (dy,), name="identity")
    >>> x = np.array([0.3, 1.8])
    >>> gradcheck.check(rounding, x).verdict
    <Verdict.FAIL: 'fail'>
    >>> report = gradcheck.check(gradcheck.by_design(rounding, identity), x)
    >>> report.verdict, report.notes
    (<Verdict.PASS: 'pass'>, ('by design the gradient of round is that of identity',))
    """
    actual, meant = as_target(layer), as_target(of)
    label = name or actual.name
    note = f"by design the gradient of {label} is that of {meant.name}"

    def bind(*inputs: Any) -> tuple[Target, tuple[Any, ...]]:
        target, arrays = actual.bound(inputs)
        surrogate, others = meant.bound(inputs)
        count, own = len(arrays), tuple(target.parameters.values())
        shapes = _shapes(target.value(*arrays, *own)), _shapes(surrogate.value(*others, *surrogate.parameters.values()))
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{label} returns {shapes[0]}, but {meant.name}, whose gradient it has by design, returns {shapes[1]}; "
                f"give a function of the same inputs whose value has the same shape"
            )

        def value(*values: Any) -> Any:
            return surrogate.value(*values[:count], *surrogate.parameters.values())

        held = target.frozen.union(range(count, count + len(own)))
        notes = (*target.notes, note)
        return replace(target, name=label, value=value, frozen=held, notes=notes, bind=None), tuple(arrays)

    return replace(actual, name=label, notes=(*actual.notes, note), bind=bind)


def _shapes(value: Any) -> str:
    parts = value if isinstance(value, tuple | list) else (value,)
    return " and ".join(f"shape {np.shape(part)}" for part in parts)
