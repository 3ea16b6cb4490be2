"""One example of a test of `verify`: what the function returned there is judged, and told where it is wrong."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from gradcheck.adapters import as_target
from gradcheck.judge import check
from gradcheck.judge.case import Case, seed_of, telling_case
from gradcheck.judge.contrast import contrasted
from gradcheck.plugin import running
from gradcheck.plugin.settings import CHECK, resolve
from gradcheck.report import GradientMismatch, Report, Verdict
from gradcheck.target import Target, from_pullback

Shapes = Mapping[str, Sequence[str | int]]


def letters_of(shapes: Shapes) -> set[str]:
    """The axes that have no fixed size.

    >>> sorted(letters_of({"x": ("n", 3), "w": (3, "k")}))
    ['k', 'n']
    """
    return {axis for axes in shapes.values() for axis in axes if isinstance(axis, str)}


def chosen(options: Mapping[str, Any], layer: object = None) -> dict[str, Any]:
    """The settings in the test that is running; outside pytest those of verify itself."""
    if running.session is None:
        return resolve(None, None, options, layer)
    return running.session.settings({}, layer)  # the options are the test's marker


@dataclass(frozen=True)
class Claim:
    """That what f returns has a right gradient: `names` are its inputs, those in `shapes` drawn by letter."""

    f: Callable[..., Any]
    names: tuple[str, ...]
    shapes: Shapes
    frozen: Sequence[int | str]
    options: Mapping[str, Any]
    # Failing cases, by the other arguments of the test: a layer that keeps state may pass when it is asked again, and
    # was wrong all the same.
    failed: dict[str, dict[int, Report]] = field(default_factory=dict)

    def test(self) -> Callable[..., None]:
        """The test of one example, with the signature that Hypothesis and pytest read: f's, and the inputs."""
        own = inspect.signature(self.f).parameters
        letters = letters_of(self.shapes) - {*self.names}
        kept = [
            p.replace(default=p.empty)
            for name, p in own.items()
            if name in self.names or (name not in letters and p.default is p.empty)  # as pytest leaves defaults alone
        ]
        more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in self.names if name not in own]
        signature = inspect.Signature([*kept, *more])

        @functools.wraps(self.f)
        def one_example(*positional: Any, **named: Any) -> None:
            __tracebackhide__ = True
            arguments = signature.bind(*positional, **named).arguments
            self.judge({name: arguments.pop(name) for name in self.names}, arguments)

        one_example.__signature__ = signature  # type: ignore[attr-defined]
        one_example.gradcheck_inputs = self.names  # type: ignore[attr-defined]  # what a record of a verdict holds
        return one_example

    def judge(self, inputs: Mapping[str, Any], others: Mapping[str, Any]) -> None:
        """Check at one case. Raises GradientMismatch, whose traceback ends where f returned what is wrong."""
        __tracebackhide__ = True
        inputs = self.recorded() or inputs
        shapes = {name: np.shape(inputs[name]) for name in self.shapes}
        pairs = [pair for name, axes in self.shapes.items() for pair in zip(axes, shapes[name], strict=True)]
        case = Case(tuple(inputs.values()), {letter: size for letter, size in pairs if isinstance(letter, str)})
        call = self.call(case, others)
        failed, key = self.failed.setdefault(repr(others), {}), seed_of(case)
        if key not in failed:
            report = self.report(call, case)
            if report.verdict is not Verdict.FAIL:
                return
            failed[key] = contrasted(report, self.larger([*failed.values()][:1], others))
        raise GradientMismatch(failed[key]).with_traceback(_where(self.f, call, case.inputs))

    def recorded(self) -> Mapping[str, Any]:
        """The inputs of the recorded case that is judged again, if one is. Raises ValueError where they do not fit."""
        if running.session is None or running.session.recorded is None:
            return {}
        given = running.session.recorded[1].inputs
        if len(given) != len(self.names):
            raise ValueError(f"the recorded case has {len(given)} inputs, the test takes {', '.join(self.names)}")
        return dict(zip(self.names, given, strict=True))

    def call(self, case: Case, others: Mapping[str, Any]) -> Callable[..., Any]:
        """f as a function of its inputs, at the sizes of a case and the other arguments of the test."""
        own = inspect.signature(self.f).parameters
        sizes = {name: size for name, size in case.sizes.items() if name in own and name not in self.names}
        taken = [(n, name) for n, name in enumerate(self.names) if name in own]
        return lambda *arrays: self.f(**others, **sizes, **{name: arrays[n] for n, name in taken})

    def report(self, call: Callable[..., Any], case: Case) -> Report:
        """Check what f returned for these inputs, and let the session hear it."""
        __tracebackhide__ = True
        returned = self.returned(call, case)
        target = self.target(returned, call, case)
        settings = chosen(self.options, returned)
        options = {name: settings[name] for name in CHECK}
        report = check(target, *case.inputs, seed=seed_of(case), **options)
        report = report if report else replace(report, case=case)
        if running.session is not None:
            running.session.hear(report, settings, target, case.inputs)
        return report

    def target(self, returned: Any, call: Callable[..., Any], case: Case) -> Target:
        """What f returned for these inputs, a pair or a layer, as a target."""
        __tracebackhide__ = True
        if isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1]) and not callable(returned[0]):
            target = from_pullback(call, name=self.f.__name__.removeprefix("test_"))
            return replace(target, inputs=self.names, frozen=frozenset(map(self.position, self.frozen)))
        try:
            return as_target(returned, frozen=self.frozen)
        except TypeError as error:
            wrong = TypeError(f"{self.f.__name__} must return (value, pullback) or a layer: {error}")
        raise wrong.with_traceback(_where(self.f, call, case.inputs))

    def returned(self, call: Callable[..., Any], case: Case) -> Any:
        """What f returns. What it raises is the test's failure, which may be one of the shapes."""
        __tracebackhide__ = True
        try:
            return call(*case.inputs)
        except Exception as error:
            shapes = ", ".join(f"{name}={axes!r}" for name, axes in self.shapes.items())
            if shapes and not isinstance(error, AssertionError):  # a claim of the user's own about what is drawn
                error.add_note(f"verify({shapes}): mend the shapes if they do not fit, else give a strategy of values")
            raise

    def larger(self, failures: Sequence[Report], others: Mapping[str, Any]) -> Iterator[Report]:
        """Failures with more entries to compare, to name the mistake by: the first one, and one at a telling case."""
        yield from failures
        if len(self.shapes) == len(self.names):
            case = telling_case(self.shapes)
            with suppress(Exception):  # f may raise there, outside its domain
                call = self.call(case, others)
                yield check(self.target(self.returned(call, case), call, case), *case.inputs)

    def position(self, name: int | str) -> int:
        """Of a frozen input."""
        return self.names.index(name) if isinstance(name, str) else name


def _where(f: Callable[..., Any], call: Callable[..., Any], inputs: Sequence[Any]) -> TracebackType | None:
    """A traceback of one entry, the line where f returns for these inputs, so that pytest shows it and not ours.

    f has returned before it is found wrong, and its frame with it; so it is called once more, and watched.
    """
    code, left = inspect.unwrap(f).__code__, []

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code is code:
            left.append(TracebackType(None, frame, frame.f_lasti, frame.f_lineno))

    watching = sys.getprofile()
    sys.setprofile(watch)
    try:
        call(*inputs)
    finally:
        sys.setprofile(watching)
    return left[-1] if left else None
