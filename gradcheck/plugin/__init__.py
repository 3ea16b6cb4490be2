"""The pytest plugin: options, ini keys, markers, fixtures and hooks; nothing heavy is imported until it is used.

What happens while tests run is in `session`, precedence in `settings`, `@gradcheck.verify` in `verify`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.plugin import hooks, options
from gradcheck.plugin.session import Session
from gradcheck.plugin.settings import SETTINGS

if TYPE_CHECKING:
    from gradcheck.report import Report

SESSION = pytest.StashKey[Session]()

MARKERS = (
    f"gradcheck({', '.join(f'{name}=…' for name in SETTINGS)}): how to judge the gradients that this test asks about.",
    "cost(per='edge', order=1): how the cost measured with the fixture cost_curve may grow.",
)


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
    session = Session(config)
    config.stash[SESSION] = session
    config.pluginmanager.register(session, "gradcheck-session")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes gradcheck_target runs once for each target."""
    if "gradcheck_target" in metafunc.fixturenames:
        session = metafunc.config.stash[SESSION]
        session.asked, subjects = True, session.subjects()
        metafunc.parametrize("gradcheck_target", subjects, ids=[subject.ref for subject in subjects], scope="session")


@pytest.fixture(scope="session")
def gradcheck(pytestconfig: pytest.Config) -> "Callable[..., Report]":
    """Judge a gradient and fail the test if it is wrong: gradcheck(target, *inputs), gradcheck(target, x=("n", "k")).

    Arrays are judged by `gradcheck.check`, shapes by letter by `gradcheck.search`, and a `gradcheck_target` with the
    shapes it has. Returns the Report; raises GradientMismatch for a FAIL. Of session scope, so it works under `@given`.
    """
    from gradcheck.plugin.judging import judge, warm_up

    session = pytestconfig.stash[SESSION]
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
    session = pytestconfig.stash[SESSION]

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
