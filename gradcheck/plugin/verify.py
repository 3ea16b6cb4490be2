"""`verify`: a pytest test made of a function that returns a value and its pullback, or a layer.

The test is one of Hypothesis: `@settings`, `@example` and `@seed` stack on it, and its profiles and database serve it.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import FrameType, TracebackType
from typing import Any, TypeVar, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, is_hypothesis_test, settings
from hypothesis import strategies as st

from gradcheck.adapters import as_target
from gradcheck.judge import check
from gradcheck.judge.case import Case, seed_of, telling_case
from gradcheck.judge.contrast import contrasted
from gradcheck.judge.search import cases_by_letter
from gradcheck.plugin import session
from gradcheck.plugin.settings import CHECK, SETTINGS, resolve
from gradcheck.report import GradientMismatch, Report, Verdict
from gradcheck.target import Target, from_pullback

Test = TypeVar("Test", bound=Callable[..., Any])
Shapes = Mapping[str, Sequence[str | int]]

# A gradient check is slow by the size drawn and not by mistake; a fixture or a parameter of the test is the same layer
# for all examples.
_PATIENT = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture,
    HealthCheck.differing_executors,
)

# All but `explain`: what a failure has in common is in the report, and which of our own lines ran is nobody's concern.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink)


def verify(
    inputs: st.SearchStrategy[Any] | None = None, *, frozen: Sequence[int | str] = (), **arguments: Any
) -> Callable[[Test], Test]:
    """A pytest test that judges what the decorated function returns, at inputs that Hypothesis draws.

    arguments: the shape of each input by letter, x=("n", "k"), or a strategy for it; and settings: dtypes, strict,
    kinks, slack, budget, timeout, max_examples (see `gradcheck.plugin.settings`). inputs: instead of shapes, a strategy
    for the tuple of inputs. frozen: inputs that carry no gradient, by name or position.

    The function takes inputs by name and returns (value, pullback); or it returns a layer, anything `as_target`
    understands, which is called with all of the inputs. It may take the size of a letter by its name. What else it
    takes is left to pytest: fixtures, parameters. The test raises GradientMismatch with the smallest failing case.

    Raises TypeError for an argument that is neither a setting nor an input, and for a function it cannot be used on.

    >>> @verify(x=("n", "k"), w=("k", "m"))
    ... def test_dense(x, w):
    ...     return x @ w, lambda dy: (dy @ w.T, x.T @ dy)
    >>> test_dense()
    """
    options = {name: arguments.pop(name) for name in SETTINGS if name in arguments}
    for name, value in options.items():
        SETTINGS[name].valid(value)
    if (inputs is None) != bool(arguments):
        raise TypeError(
            f'verify got {"both a strategy for the tuple of inputs and" if arguments else "neither a strategy nor"} '
            f'shapes: give one of them, for example @gradcheck.verify(x=("n", "k"))'
        )

    def decorate(f: Test) -> Test:
        if inspect.isclass(f) or not callable(f):
            raise TypeError(f"verify makes a test of a function, got {f!r:.60}: decorate each test of the class")
        more = {}
        if is_hypothesis_test(f):  # a test draws once: what @given below draws, and what is drawn here
            more, f = f.hypothesis._given_kwargs, f.hypothesis.inner_test  # type: ignore[attr-defined]
        taken = [name for name in inspect.signature(f).parameters if name not in more]
        drawn = _by_position(inputs, taken) if inputs is not None else _by_name(arguments, options)
        letters = _letters(_shapes(arguments))
        if not {*drawn, *letters} & {*taken}:
            raise TypeError(
                f"{f.__name__}({', '.join(taken)}) takes neither an input ({', '.join(drawn)}) nor the size of a "
                f"letter: name its parameters after them"
            )
        if unknown := [name for name in frozen if name not in (*drawn, *range(len(drawn)))]:
            known = ", ".join(drawn)
            raise ValueError(f"verify(frozen=…) names {unknown[0]!r}, which is no input; the inputs are {known}")
        test: Any = given(**drawn, **more)(_Claim(f, tuple(drawn), _shapes(arguments), frozen, options).test())
        test.__wrapped__, test.__signature__ = f, inspect.signature(test)  # pytest reports the line of f
        chosen = {"max_examples": options["max_examples"]} if options.get("max_examples") else {}
        # What @settings sets, which refuses to be stacked on itself: here the user's own may still replace it.
        test._hypothesis_internal_use_settings = settings(
            deadline=None, suppress_health_check=_PATIENT, phases=_PHASES, report_multiple_bugs=False, **chosen
        )
        return cast(Test, pytest.mark.gradcheck(**options)(test))

    return decorate


def _by_name(arguments: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, st.SearchStrategy[Any]]:
    """A strategy for every input: those with shapes share one draw of all their sizes and values."""
    for name, value in arguments.items():
        if not isinstance(value, st.SearchStrategy | list | tuple):
            raise TypeError(
                f"verify({name}={value!r:.60}): {name} is no setting ({', '.join(SETTINGS)}), and an input has its "
                f'shape by letter, such as ("n", "k"), or a strategy'
            )
    shapes = _shapes(arguments)

    @functools.cache
    def strategies(dtypes: tuple[str, ...]) -> st.SearchStrategy[Case]:
        return cases_by_letter(shapes, dtypes)

    strategies(("float64",))  # axes that are neither letters nor sizes are refused here, where verify is called

    @st.composite
    def case(draw: st.DrawFn) -> Case:
        return draw(strategies(_chosen(options)["dtypes"]))  # by now the command line is known

    together = st.shared(case())
    drawn = {name: together.map(functools.partial(_input, n=n)) for n, name in enumerate(shapes)}
    return {name: drawn.get(name, value) for name, value in arguments.items()}


def _input(case: Case, n: int) -> Any:
    return case.inputs[n]


def _by_position(inputs: st.SearchStrategy[Any], names: Sequence[str]) -> dict[str, st.SearchStrategy[Any]]:
    def one(drawn: Any, n: int) -> Any:
        if not isinstance(drawn, tuple | list) or len(drawn) != len(names):
            raise TypeError(f"the strategy given to verify drew {drawn!r:.60}, but the test takes ({', '.join(names)})")
        return drawn[n]

    if not isinstance(inputs, st.SearchStrategy):
        raise TypeError(f'verify got {inputs!r:.60}, which is no strategy; name the inputs: verify(x=("n", "k"))')
    together = st.shared(inputs)
    return {name: together.map(functools.partial(one, n=n)) for n, name in enumerate(names)}


def _shapes(arguments: Mapping[str, Any]) -> Shapes:
    return {name: value for name, value in arguments.items() if not isinstance(value, st.SearchStrategy)}


def _letters(shapes: Shapes) -> set[str]:
    return {axis for axes in shapes.values() for axis in axes if isinstance(axis, str)}


def _chosen(options: Mapping[str, Any], layer: object = None) -> dict[str, Any]:
    """The settings in the test that is running; outside pytest those of verify itself."""
    if session.running is None:
        return resolve(None, None, options, layer)
    return session.running.settings({}, layer)  # the options are the test's marker


@dataclass(frozen=True)
class _Claim:
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
        kept = [parameter for name, parameter in own.items() if name not in _letters(self.shapes) - {*self.names}]
        more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in self.names if name not in own]
        signature = inspect.Signature([*kept, *more])

        @functools.wraps(self.f)
        def one_example(*positional: Any, **named: Any) -> None:
            __tracebackhide__ = True
            arguments = signature.bind(*positional, **named).arguments
            self.judge({name: arguments.pop(name) for name in self.names}, arguments)

        one_example.__signature__ = signature  # type: ignore[attr-defined]
        return one_example

    def judge(self, inputs: Mapping[str, Any], others: Mapping[str, Any]) -> None:
        """Check at one case. Raises GradientMismatch, whose traceback ends where f returned what is wrong."""
        __tracebackhide__ = True
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

    def call(self, case: Case, others: Mapping[str, Any]) -> Callable[..., Any]:
        """f as a function of its inputs, at the sizes of a case and the other arguments of the test."""
        own = inspect.signature(self.f).parameters
        sizes = {name: size for name, size in case.sizes.items() if name in own and name not in self.names}
        taken = [(n, name) for n, name in enumerate(self.names) if name in own]
        return lambda *arrays: self.f(**others, **sizes, **{name: arrays[n] for n, name in taken})

    def report(self, call: Callable[..., Any], case: Case) -> Report:
        """Check what f returned for these inputs, and let the session hear it."""
        __tracebackhide__ = True
        target = self.target(call, case)
        chosen = _chosen(self.options, target)
        options = {name: chosen[name] for name in CHECK}
        report = check(target, *case.inputs, seed=seed_of(case), **options)
        report = replace(report, case=case) if report.verdict is Verdict.FAIL else report
        if session.running is not None:
            session.running.hear(report, options)
        return report

    def target(self, call: Callable[..., Any], case: Case) -> Target:
        """What f returned for these inputs, a pair or a layer, as a target."""
        __tracebackhide__ = True
        returned = self.returned(call, case)
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
            if shapes and not getattr(error, "__notes__", None):
                error.add_note(f"verify({shapes}): mend the shapes if they do not fit, else give a strategy of values")
            raise

    def larger(self, failures: Sequence[Report], others: Mapping[str, Any]) -> Iterator[Report]:
        """Failures with more entries to compare, to name the mistake by: the first one, and one at a telling case."""
        yield from failures
        if len(self.shapes) == len(self.names):
            case = telling_case(self.shapes)
            with suppress(Exception):  # f may raise there, outside its domain
                yield check(self.target(self.call(case, others), case), *case.inputs)

    def position(self, name: int | str) -> int:
        """Of a frozen input."""
        return self.names.index(name) if isinstance(name, str) else name


def merge_given(test: Any) -> None:
    """Let a @given that is stacked on a test of `verify` draw for both: Hypothesis refuses one inside another."""
    inner: Any = getattr(getattr(test, "hypothesis", None), "inner_test", None)
    if is_hypothesis_test(inner):
        test.hypothesis._given_kwargs.update(inner.hypothesis._given_kwargs)
        test.hypothesis.inner_test = inner.hypothesis.inner_test


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
