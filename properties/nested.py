"""Pytest inside pytest: run a test file that a test writes, with the plugin as users have it."""

import textwrap

import numpy  # noqa: F401 - pytester forgets what a nested run imports first, and numpy cannot be imported twice
import pytest
import scipy.special  # noqa: F401 - the same
from hypothesis import settings

import gradcheck.judge.closer
import gradcheck.plugin.judging
import gradcheck.plugin.recording
import gradcheck.plugin.session
import gradcheck.plugin.verify  # noqa: F401 - nor should the plugin's own modules be there twice

HEAD = """
import unittest

import numpy as np
import pytest
from hypothesis import example, given, seed, settings
from hypothesis import strategies as st

import gradcheck as gc

sine = np.sin, lambda inputs, dy: (np.cos(inputs[0]) * dy,)
wrong = np.sin, lambda inputs, dy: (-np.cos(inputs[0]) * dy,)
"""


def run(pytester: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    """Pytest in this process on a file test_it.py with this source; the inner run has no cache."""
    pytester.makepyfile(test_it=HEAD + textwrap.dedent(source))
    return inside(pytester, *arguments)


def inside(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Pytest in this process, without a cache; the Hypothesis profile it loads is not left behind."""
    profile = settings.get_current_profile_name()
    try:
        return pytester.runpytest_inprocess("-pno:cacheprovider", "-pno:randomly", *arguments)
    finally:
        settings.load_profile(profile)


def refused(result: pytest.RunResult) -> str:
    """The one line of a usage error, whose exit code is pytest's."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.stdout.str()
    (line,) = [line for line in (*result.errlines, *result.outlines) if line.startswith("ERROR: ")]
    return line.removeprefix("ERROR: ")
