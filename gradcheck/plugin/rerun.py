"""Rerun: a test once more, at a recorded case instead of the inputs that it gives or draws."""

import contextlib
import io
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import Phase, is_hypothesis_test, settings

from gradcheck.plugin import session_of
from gradcheck.plugin.verify import drawn_besides, function_of
from gradcheck.report import Report


@dataclass(frozen=True)
class Rerun:
    """What a test says today of the target at the recorded case: a report and a closer look; else why there is none."""

    report: Report | None = None
    look: dict[str, Any] | None = None
    reason: str = ""


def rerun(test: str, target: str, case: Any, *, closer: bool = False) -> Rerun:
    """Let pytest run the test of this id, from the current directory and by the user's own settings.

    What it asks about `target`, by name, is asked at `case`; what it prints is not shown, and no report is written.
    """
    seen = _Seen(target, case, closer)
    arguments = [test, "-Wignore:Module already imported:pytest.PytestAssertRewriteWarning"]  # which gradcheck is
    arguments += ["-n0"] if find_spec("xdist") else []  # this process has to hear it
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            code = pytest.main(arguments, plugins=[seen])
        except Exception as error:  # of a plugin or a setting of the user's, before anything runs
            return Rerun(reason=f"{test}: pytest raised {type(error).__name__}: {error}")
    if seen.report is not None:
        return Rerun(seen.report, seen.look)
    if code == pytest.ExitCode.OK:
        return Rerun(reason=f"{test} passed, and asked nothing about {target}")
    told = _telling(seen.words or said.getvalue().removeprefix("ERROR: "))
    return Rerun(reason=f"{test}: {told or f'pytest ended with code {int(code)}'}")


def _telling(words: str) -> str:
    """The line of pytest's words that says what is wrong: the first that it marks as an error, else the first."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    marked = [line.removeprefix("E ").strip() for line in lines if line.startswith("E ") or "error: " in line]
    return next(iter([*marked, *lines]), "")


class _Seen:
    """A pytest plugin that gives the session the case and hears what comes of it."""

    def __init__(self, target: str, case: Any, closer: bool) -> None:
        self.target, self.case, self.closer = target, case, closer
        self.report: Report | None = None
        self.look: dict[str, Any] | None = None
        self.words = ""

    @pytest.hookimpl(trylast=True)  # a wrong option is refused by then
    def pytest_configure(self, config: pytest.Config) -> None:
        """What the ini file says about a whole run is not about this one."""
        session = session_of(config)
        session.recorded = self.target, self.case
        session.options = session.options._replace(report=None, xfails={}, shard=(1, 1), plot=self.closer)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """One example is enough: it is going to be the recorded one."""
        for item in list(items):
            test = function_of(item)
            if besides := drawn_besides(item):
                items.remove(item)
                self.words = f"the test draws {', '.join(besides)} too, which the record does not hold"
            elif is_hypothesis_test(test):
                stated = test._hypothesis_internal_use_settings
                once = settings(stated, max_examples=1, phases=(Phase.generate,), database=None)
                test._hypothesis_internal_use_settings = once

    def pytest_gradcheck_record(self, record: dict[str, Any], report: Report) -> None:
        """The verdict."""
        if report.target == self.target:
            self.report, self.look = report, record["look"]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Why there is none."""
        if report.failed or report.skipped:
            self.words = self.words or report.longreprtext

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Why there is no test."""
        if report.failed:
            self.words = self.words or report.longreprtext
