"""The reference held to finite differences over random architectures, and the five systems held to their formulas."""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gradcheck.strategies import Architecture, Batch, architectures, batches, dense_networks
from gradcheck.suite.job import JOB, Job
from gradcheck.systems import SYSTEMS


@pytest.fixture(scope="session")
def job(pytestconfig: pytest.Config) -> Job:
    """The job of ``gradcheck run``; a small one where pytest was started by hand."""
    return pytestconfig.stash.get(JOB, Job())


def test_backprop_equals_finite_differences_on_graphs_of_ops(job: Job) -> None:
    """Every gradient of every architecture lies within the bound of a finite difference, each edge visited once."""
    hold(architectures(), job, job.examples - job.examples // 5)


def test_backprop_equals_finite_differences_on_dense_networks(job: Job) -> None:
    """The same for batches through dense networks, one example in five."""
    if job.examples >= 5:
        hold(dense_networks().flatmap(batches), job, job.examples // 5)


def hold(cases: st.SearchStrategy[Architecture] | st.SearchStrategy[Batch], job: Job, examples: int) -> None:
    """Let Hypothesis draw this many cases, and look for the smallest that fails."""

    @seed(job.seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        # A slow machine is not a wrong gradient.
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    @given(cases)
    def agree(case: Architecture | Batch) -> None:
        job.judge(case)

    agree()


@pytest.mark.parametrize("name", SYSTEMS)
def test_system_agrees_three_ways(job: Job, name: str) -> None:
    """Hand formula = graph engine = finite differences, before and after training."""
    outcome = SYSTEMS[name]()
    job.ran(name, outcome)
    assert outcome.ok, [check for check in outcome.checks if not check.ok]
