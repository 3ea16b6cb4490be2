"""The pytest plugin: options, ini keys, markers, fixtures and hooks; nothing more is imported until it is used.

This module is what every run of pytest pays for, whether it checks gradients or not. What happens while tests run is in
`session`, precedence in `settings`, `@gradcheck.verify` in `verify`.
"""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.plugin import hooks, options

if TYPE_CHECKING:
    from gradcheck.plugin.session import Session
    from gradcheck.report import Report

SESSION: "pytest.StashKey[Session]" = pytest.StashKey()

MARKERS = (  # what `settings.SETTINGS` has, without importing it
    "gradcheck(dtypes=…, strict=…, kinks=…, slack=…, budget=…, timeout=…, max_examples=…): how to judge the gradients "
    "that this test asks about.",
    "cost(per='edge', order=1): how the cost measured with the fixture cost_curve may grow.",
)
NAMES = frozenset({"gradcheck", "gradcheck_target", "cost_curve"})
"""The fixtures by which a test asks for the plugin."""


def session_of(config: pytest.Config) -> "Session":
    """The plugin's state of a run, begun when it is first asked for; raises pytest.UsageError for a wrong option."""
    if SESSION not in config.stash:
        from gradcheck.plugin.session import Session

        config.stash[SESSION] = session = Session(config)
        config.pluginmanager.register(session, "gradcheck-session")
    return config.stash[SESSION]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options and ini keys."""
    options.add(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """The hooks that others may implement."""
    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(tryfirst=True)  # before Hypothesis loads the profile that its option names
def pytest_configure(config: pytest.Config) -> None:
    """Refuse what cannot be used, in one line each, before anything runs."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if str(config.getoption("--hypothesis-profile", None)).startswith("gradcheck-"):
        from gradcheck.strategies import profiles

        profiles.register()
    workers = config.getoption("dist", "no") != "no"  # of xdist: the tests are there, and only their reports here
    if workers or options.given(config):
        session_of(config)


def pytest_itemcollected(item: pytest.Item) -> None:
    """The first test that asks for the plugin begins the session."""
    if SESSION not in item.config.stash and (
        not NAMES.isdisjoint(getattr(item, "fixturenames", ()))
        or item.get_closest_marker("gradcheck")
        or item.get_closest_marker("cost")
    ):
        session_of(item.config).pytest_itemcollected(item)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes gradcheck_target runs once for each target."""
    if "gradcheck_target" in metafunc.fixturenames:
        session = session_of(metafunc.config)
        session.asked, subjects = True, session.subjects()
        metafunc.parametrize("gradcheck_target", subjects, ids=[subject.ref for subject in subjects], scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """No bar of ours, of a search in a test that does not ask for the plugin either: pytest says how far it is."""
    from gradcheck.progress import silence

    with silence():
        return (yield)


@pytest.fixture(scope="session")
def gradcheck(pytestconfig: pytest.Config) -> "Callable[..., Report]":
    """Judge a gradient and fail the test if it is wrong: gradcheck(target, *inputs), gradcheck(target, x=("n", "k")).

    Arrays are judged by `gradcheck.check`, shapes by letter by `gradcheck.search`, and a `gradcheck_target` with the
    shapes it has. Returns the Report; raises GradientMismatch for a FAIL. Of session scope, so it works under `@given`.
    """
    from gradcheck.plugin.judging import judge, warm_up

    session = session_of(pytestconfig)
    warm_up()

    def judged(target: Any, *inputs: Any, **options: Any) -> "Report":
        __tracebackhide__ = True
        return judge(session, target, *inputs, **options)

    return judged


@pytest.fixture(scope="session")
def cost_curve(pytestconfig: pytest.Config) -> Callable[..., Any]:
    """Measure how the cost of a backward pass grows: cost_curve(target, sizes) -> Curve; see `gradcheck.cost.curve`.

    What the marker `cost` says holds for every curve of the test. The curves are drawn on the page of
    --gradcheck-report. Under xdist the test is skipped.
    """
    session = session_of(pytestconfig)

    def measure(target: Any, *arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        if hasattr(pytestconfig, "workerinput"):
            pytest.skip("a cost curve is not measured beside other tests: run it without -n, or with -n 0")
        from gradcheck.cost.curve import cost_curve

        marker = session.item and session.item.get_closest_marker("cost")
        curve = cost_curve(target, *arguments, **({**marker.kwargs, **options} if marker else options))
        session.measured(curve)
        return curve

    return measure
