"""Bench: one target at one point, every call counted and guarded.

Arrays become flat real vectors here (`reals`), so that the judge speaks of lines and slopes only. The caller's arrays
are copied once and never handed out; global random state (`streams`) is left as it was found.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.floats import differentiable, is_narrow
from gradcheck.judge import streams
from gradcheck.judge.clock import TimeLimitError
from gradcheck.judge.reals import Array, as_real, identical, like
from gradcheck.report import place
from gradcheck.target import Pullback, Target

_SHARED = 4096
"""Entries up to which an input is copied afresh for every call; larger ones are shared and compared afterwards."""


class BudgetError(Exception):
    """The budget of forward calls is spent."""


class ForwardError(Exception):
    """The forward pass raised, or returned what is no array of floats."""


@dataclass
class BackwardError(Exception):
    """The backward pass broke its contract: `kind` is RAISES, SHAPE, DTYPE or ZERO by name; `position` the input."""

    kind: str
    message: str
    position: int | None = None


class Bench:
    """Counted calls of `target` at `inputs`.

    `primals` are private copies; `blocks` the positions judged: of a float or complex dtype and not frozen.
    Raises TypeError for a wrong number of inputs, ValueError where there is nothing to judge.
    """

    def __init__(self, target: Target, inputs: Sequence[Any], *, budget: int | None = None) -> None:
        values = [*inputs]
        if target.parameters and len(values) + len(target.parameters) == len(target.inputs):
            values += target.parameters.values()
        self.target = target
        self.budget = budget
        self.deadline = math.inf  # on the monotonic clock
        self.evaluations = 0
        self.pullbacks = 0
        self._originals: list[Array] = [
            np.asarray(value) for value in values
        ]  # the caller's own, only ever compared with
        self.primals: list[Array] = [np.array(value, copy=True) for value in self._originals]
        self.blocks = [i for i, primal in enumerate(self.primals) if differentiable(primal) and i not in target.frozen]
        self.conjugate = False  # complex gradients come as Jᵀv rather than conj(J)ᵀv
        self.twin = 0.0  # eps of half-precision inputs, where forward is given float64, whose value does not quantise
        self.mutated: set[int] = set()
        self.reseeds = False
        self._streams: object = None
        self.single = True  # the value is one array, not a tuple
        self.models: list[Array] = []  # one array an output: its shape and dtype
        self.linear_arguments: list[Array] = []  # what the pullback in use was given
        self._linear: Pullback | None = None
        if any(i >= len(values) for i in target.frozen):
            raise ValueError(
                f"{target.name}: frozen position {max(target.frozen)} is past the last of the {len(values)} inputs"
            )

    # -- forward ------------------------------------------------------------------------------------------------

    def value(self, moved: dict[int, Array] | None = None) -> Array:
        """The outputs, as one flat float64 (longdouble) vector of their own; `moved` replaces inputs by position.

        Raises BudgetError, ForwardError.
        """
        self._check_time()
        self._spend()
        arguments = self._arguments(moved)
        if self.twin:
            arguments = [a.astype(np.float64) if is_narrow(a.dtype) else a for a in arguments]
        if self.reseeds:
            streams.reseed()
        try:
            outcome = self.target.value(*arguments)
        except (Exception, SystemExit) as error:
            raise ForwardError(f"forward raised {type(error).__name__}: {error!s:.200}") from error
        self._note_mutations(arguments, moved)
        outputs = self._outputs(outcome)
        work = np.longdouble if any(o.dtype in (np.longdouble, np.clongdouble) for o in outputs) else np.float64
        if len(outputs) == 1:
            return np.array(as_real(outputs[0]), dtype=work)
        return np.concatenate([np.zeros(0, work), *(as_real(o).astype(work) for o in outputs)])

    def _outputs(self, outcome: Any) -> list[Array]:
        single = not isinstance(outcome, tuple | list)
        try:
            outputs = [np.asarray(part) for part in ([outcome] if single else outcome)]
        except (TypeError, ValueError) as error:
            raise ForwardError(f"forward returned {type(outcome).__name__}, which is no array: {error}") from error
        for output in outputs:
            if not (differentiable(output) or output.dtype.kind in "iub"):
                raise ForwardError(
                    f"forward returned {type(outcome).__name__} of dtype {output.dtype}; a value is an array of "
                    f"numbers or a tuple of them"
                )
        # integer outputs (an argmax beside a max) carry no cotangent, but their place in the tuple stays
        if not self.models:
            self.single = single
            self.models = [np.broadcast_to(np.empty((), o.dtype), o.shape) for o in outputs]
        elif [o.shape for o in outputs] != [m.shape for m in self.models]:
            raise ForwardError(
                f"forward returned shapes {[o.shape for o in outputs]} after {[m.shape for m in self.models]} for "
                f"inputs of the same shape"
            )
        return [o for o in outputs if differentiable(o)]

    # -- backward -----------------------------------------------------------------------------------------------

    def pull_structured(
        self, cotangents: list[Array], moved: dict[int, Array] | None = None, *, fresh: bool = False
    ) -> Any:
        """The raw outcome of the pullback for cotangents given as arrays; mutations of them are the caller's to
        compare.
        """
        self._check_time()
        if self.reseeds:
            streams.reseed()
        self.pullbacks += 1
        try:
            if moved is not None or fresh or self._linear is None:
                arguments = self._arguments(moved)
                if self.target.linearizing_evaluates:
                    self._spend()
                pullback = self.target.linearize(*arguments)
                if moved is None:
                    self._linear, self.linear_arguments = pullback, arguments
            else:
                pullback, arguments = self._linear, self.linear_arguments
            outcome = pullback(cotangents[0] if self.single else tuple(cotangents))
        except BudgetError:
            raise
        except (Exception, SystemExit) as error:
            raise BackwardError("RAISES", f"backward raises {type(error).__name__}: {error!s:.200}") from error
        self._note_mutations(arguments, moved)
        if moved is None and self.mutated:
            self._linear = None  # the arguments it closed over are spoilt: linearise again on clean copies
        return outcome

    def cotangents(self, flat: Array) -> list[Array]:
        """The cotangents whose real view is `flat`, one array an output; zeros for integer outputs."""
        parts, start = [], 0
        for model in self.models:
            if not differentiable(model):
                parts.append(np.zeros(model.shape))
                continue
            size = model.size * (2 if model.dtype.kind == "c" else 1)
            part = np.array(like(flat[start : start + size], model), copy=True)
            parts.append(np.asarray(part.conj()) if self.conjugate else part)
            start += size
        return parts

    def gradients(self, outcome: Any) -> list[Any]:
        """Align what backward returned with `blocks`; raises BackwardError where it cannot be."""
        count = len(self.primals)
        if not isinstance(outcome, tuple | list):
            outcome = (outcome,)
        if len(outcome) == count:
            chosen = [outcome[i] for i in self.blocks]
        elif len(outcome) == len(self.blocks):  # frozen inputs left out rather than None
            chosen = list(outcome)
        else:
            raise BackwardError(
                "SHAPE",
                f"backward returned {len(outcome)} gradients for {count} inputs, {len(self.blocks)} of them not frozen",
            )
        return [None if g is None else self._checked(g, i) for g, i in zip(chosen, self.blocks, strict=True)]

    def _checked(self, gradient: Any, position: int) -> Array:
        primal, label = self.primals[position], place(self.target.label(position))
        try:
            array = np.asarray(gradient)
        except (TypeError, ValueError) as error:
            raise BackwardError("SHAPE", f"the gradient of {label} is no array: {error}", position) from error
        if not (differentiable(array) or array.dtype.kind in "iub"):
            raise BackwardError("DTYPE", f"the gradient of {label} has dtype {array.dtype}, not a number's", position)
        if array.shape != primal.shape:
            raise BackwardError(
                "SHAPE",
                f"the gradient of {label} has shape {array.shape}, its input has shape {primal.shape}",
                position,
            )
        return array

    def flat(self, gradient: Array) -> Array:
        """A gradient as a flat real vector of its own, float64 or wider."""
        real = as_real(np.conj(gradient) if self.conjugate else gradient)
        return np.array(real, dtype=np.result_type(real.dtype, np.float64))

    # -- guards -------------------------------------------------------------------------------------------------

    def _arguments(self, moved: dict[int, Array] | None) -> list[Array]:
        moved = moved or {}
        arguments = []
        for i, primal in enumerate(self.primals):
            if i in moved:
                arguments.append(moved[i].copy() if i in self.mutated else moved[i])
            elif primal.size <= _SHARED or i in self.mutated:
                arguments.append(primal.copy())
            else:
                arguments.append(primal)
        return arguments

    def _note_mutations(self, arguments: list[Array], moved: dict[int, Array] | None) -> None:
        for i, (argument, primal) in enumerate(zip(arguments, self.primals, strict=True)):
            if i in self.mutated or (moved and i in moved) or argument is primal or argument.dtype != primal.dtype:
                continue
            if not identical(argument, primal):
                self.mutated.add(i)

    def _spend(self) -> None:
        if self.budget is not None and self.evaluations >= self.budget:
            raise BudgetError(f"the budget of {self.budget} forward calls is spent")
        self.evaluations += 1

    def _check_time(self) -> None:
        """The alarm may have gone off inside a target that catches everything."""
        if time.monotonic() > self.deadline:
            raise TimeLimitError("the time given is over; give a larger timeout, or find out what does not return")

    def settle(self) -> None:
        """Notice a target that wrote into a large input, which is shared between calls rather than copied; put it
        back.
        """
        for i, (primal, clean) in enumerate(zip(self.primals, self._originals, strict=True)):
            if primal.size > _SHARED and not np.array_equal(clean, primal, equal_nan=clean.dtype.kind in "fc"):
                self.mutated.add(i)
                self.primals[i] = clean.copy()
                self._linear = None

    def note_randomness(self) -> bool:
        """Whether the target has drawn from a global stream since the last time; it is reseeded from then on.

        Two masks of a few entries may agree by chance, so that no difference would ever show it.
        """
        before, self._streams = self._streams, streams.standing()
        drawn = before is not None and before != self._streams
        self.reseeds |= drawn
        return drawn
