"""`verify`: a pytest test made of a function that returns a value and its pullback, or a layer.

The test is one of Hypothesis: `@settings`, `@example` and `@seed` stack on it, and its profiles and database serve it.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, given, is_hypothesis_test, settings
from hypothesis import strategies as st

from gradcheck.judge.case import Case
from gradcheck.judge.search import cases_by_letter
from gradcheck.plugin.claim import Claim, Shapes, chosen, letters_of
from gradcheck.plugin.settings import SETTINGS

Test = TypeVar("Test", bound=Callable[..., Any])

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
            f"verify got {'both a strategy for the tuple of inputs and' if arguments else 'neither a strategy nor'} "
            f'shapes: give one of them, for example @gradcheck.verify(x=("n", "k"))'
        )

    def decorate(f: Test) -> Test:
        if inspect.isclass(f) or inspect.iscoroutinefunction(f) or not callable(f):
            raise TypeError(f"verify makes a test of a plain function, got {f!r:.60}: decorate one, or a method")
        more = {}
        if is_hypothesis_test(f):  # a test draws once: what @given below draws, and what is drawn here
            more, f = f.hypothesis._given_kwargs, f.hypothesis.inner_test  # type: ignore[attr-defined]
        parameters = inspect.signature(f).parameters
        if unnamed := [str(p) for p in parameters.values() if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]:
            raise TypeError(f"{f.__name__} takes {unnamed[0]}, which cannot be given by name, and verify gives all so")
        taken = [name for name in parameters if name not in more and name != "self"]  # of a method
        drawn = _by_position(inputs, taken) if inputs is not None else _by_name(arguments, options)
        letters = letters_of(_shapes(arguments))
        if not {*drawn, *letters} & {*taken}:
            raise TypeError(
                f"{f.__name__}({', '.join(taken)}) takes neither an input ({', '.join(drawn)}) nor the size of a "
                f"letter: name its parameters after them"
            )
        if unknown := [name for name in frozen if name not in (*drawn, *range(len(drawn)))]:
            known = ", ".join(drawn)
            raise ValueError(f"verify(frozen=…) names {unknown[0]!r}, which is no input; the inputs are {known}")
        test: Any = given(**drawn, **more)(Claim(f, tuple(drawn), _shapes(arguments), frozen, options).test())
        test.__wrapped__, test.__signature__ = f, inspect.signature(test)  # pytest reports the line of f
        bounded = {"max_examples": options["max_examples"]} if options.get("max_examples") else {}
        # What @settings sets, which refuses to be stacked on itself: here the user's own may still replace it.
        test._hypothesis_internal_use_settings = settings(
            deadline=None, suppress_health_check=_PATIENT, phases=_PHASES, report_multiple_bugs=False, **bounded
        )
        test.pytestmark = [*getattr(test, "pytestmark", ()), pytest.mark.gradcheck(**options).mark]  # also of a lambda
        return cast(Test, test)

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
        return draw(strategies(chosen(options)["dtypes"]))  # by now the command line is known

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


def merge_given(test: Any) -> None:
    """Let a @given that is stacked on a test of `verify` draw for both: Hypothesis refuses one inside another."""
    inner: Any = getattr(getattr(test, "hypothesis", None), "inner_test", None)
    if is_hypothesis_test(inner):
        test.hypothesis._given_kwargs.update(inner.hypothesis._given_kwargs)
        test.hypothesis.inner_test = inner.hypothesis.inner_test


def drawn_besides(item: pytest.Item) -> list[str]:
    """What a test draws that no record of its verdict holds: with it, the same test may be about another layer."""
    test = function_of(item)
    if not is_hypothesis_test(test):
        return []
    own = getattr(test.hypothesis.inner_test, "gradcheck_inputs", ())
    return sorted(set(test.hypothesis._given_kwargs) - set(own))


def function_of(item: pytest.Item) -> Any:
    """Its function; None where it has none."""
    test = getattr(item, "obj", None)
    return getattr(test, "__func__", test)  # of a method, what its class holds
