"""The fixture `cost_curve` in somebody's tests: what a failure says, what the marker claims, and xdist."""

import html

import pytest

from gradcheck.render.records import cost_of, is_cost, read

LAYERS = """
import numpy as np

def layer(n, exponent=1):
    def vjp(inputs, dy):
        for _ in range(n**exponent):
            dy = dy * 1.0
        return (dy,)
    return (lambda x: x, vjp), (np.ones(3),), n

SIZES = (10, 15, 20, 30, 40)
"""


@pytest.fixture
def tests(pytester):
    """Two functions to test, whose backward executes n and n² multiplications."""
    pytester.makepyfile(layers=LAYERS)
    pytester.makepyfile(
        """
        import pytest
        from layers import SIZES, layer

        @pytest.mark.cost(order=2)
        def test_declared(cost_curve):
            assert cost_curve(lambda n: layer(n, 2), SIZES).counts["bytecodes"].order == 2

        def test_undeclared(cost_curve):
            cost_curve(lambda n: layer(n, 2), SIZES).assert_linear()
        """
    )
    return pytester


def test_a_quadratic_backward_fails_by_its_count_and_the_marker_allows_it(tests):
    """The last line of the traceback is the user's, the first of the message the sentence."""
    result = tests.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines(
        [
            r">\s+cost_curve\(lambda n: layer\(n, 2\), SIZES\).assert_linear\(\)",
            r"E\s+gradcheck.cost.curve.SuperlinearError: .*: \d+% of backward's \w+ at 40 edges is super-linear",
        ]
    )


def test_under_xdist_a_curve_is_skipped_with_its_reason(tests, require):
    """Other workers would share the caches and the processor."""
    require("xdist")
    result = tests.runpytest_subprocess("-p", "no:cacheprovider", "-n1", "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*a cost curve is not measured beside other tests: run it without -n, or with -n 0"])


def test_the_curves_of_a_run_are_in_its_report_and_in_junit(tests):
    """Beside the verdicts on gradients; a curve that failed its test too."""
    tests.runpytest_subprocess("-p", "no:cacheprovider", "--gradcheck-report=out.jsonl", "--junitxml=junit.xml")
    made, complaints = read([tests.path / "out.jsonl"])
    assert complaints == []
    assert [(one["ref"].partition("::")[2], is_cost(one)) for one in made] == [
        ("test_declared", True), ("test_undeclared", True),
    ]  # fmt: skip
    assert cost_of(made[1]).headline in html.unescape((tests.path / "junit.xml").read_text(encoding="utf-8"))
