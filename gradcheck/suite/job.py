"""What a run of the packaged properties has seen so far: a pytest plugin that the tests report to."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gradcheck.suite.compare import Case, GradientWrongError, compare
from gradcheck.systems import Outcome


@dataclass(eq=False)  # pytest keeps plugins in sets
class Job:
    """The main job: how much to do, and what came of it. ``watch`` is called after every case and every system."""

    examples: int = 20
    seed: int = 0
    watch: Callable[[], None] = lambda: None
    cases: int = 0
    entries: int = 0
    compared: int = 0
    inconclusive: int = 0
    worst: float = 0.0
    visits: int = 0
    edges: int = 0
    ops: Counter[str] = field(default_factory=Counter)
    systems: dict[str, Outcome] = field(default_factory=dict)
    failing: dict[type[Case], tuple[Case, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """How many cases and systems."""
        return self.cases + len(self.systems)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Leave word where the tests find it."""
        config.stash[JOB] = self

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the words of every failure."""
        if report.failed:
            self.errors.append(f"{report.nodeid}\n{report.longreprtext}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the words of a suite that could not even be read."""
        if report.failed:
            self.errors.append(f"{report.nodeid}\n{report.longreprtext}")

    def judge(self, case: Case) -> None:
        """Compare one case and count it; cases after the first failing one are Hypothesis making it smaller.

        Raises GradientWrongError for a wrong gradient, AssertionError where the edges visited are not the edges.
        """
        try:
            seen = compare(case, self.seed)
            assert seen.visits == seen.edges, f"{seen.visits} visits of {seen.edges} edges"
        except Exception as error:
            wrong = isinstance(error, GradientWrongError)
            self.failing[type(case)] = case, str(error) if wrong else f"{type(error).__name__}: {error}"
            raise
        if type(case) in self.failing:
            return
        self.cases += 1
        self.entries += seen.entries
        self.compared += seen.compared
        self.inconclusive += seen.inconclusive
        self.worst = max(self.worst, seen.worst)
        self.visits += seen.visits
        self.edges += seen.edges
        self.ops += seen.ops
        self.watch()

    def ran(self, name: str, outcome: Outcome) -> None:
        """Keep the outcome of one of the five systems."""
        self.systems[name] = outcome
        self.watch()


JOB = pytest.StashKey[Job]()
