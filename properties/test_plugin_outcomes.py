"""What a run says: INCONCLUSIVE, known failures, shards, reports, JUnit, the summary; alone and under xdist."""

import itertools
import json
import xml.etree.ElementTree as ElementTree

import pytest

from properties.nested import HEAD, run

THREE = """
def test_right(gradcheck):
    gradcheck(sine, np.ones(2))

def test_wrong(gradcheck):
    gradcheck(wrong, np.ones(2))

@gc.verify(x=("n",), budget=1, max_examples=5)
def test_unclear(x):
    return 2 * x, lambda dy: (2 * dy,)
"""
KNOWN = """
test_it.py::test_wrong  # the sign, issue #7
test_it.py::test_right
test_it.py::test_gone  # long ago
test_other.py::test_not_collected
"""
COST = """
@pytest.mark.cost(per="element", order=0)
def test_cost(cost_curve):
    with pytest.raises(ValueError, match="order=0: the power in which"):
        cost_curve(lambda n: None)
    with pytest.raises(ValueError, match="per='step': a cost is counted per"):
        cost_curve(lambda n: None, per="step")
"""
STALE = {
    "WARNING test_it.py::test_gone is listed as a known failure, but is no test: take it off the list",
    "WARNING test_it.py::test_right passes, but is listed as a known failure: take it off the list",
}


def test_inconclusive_is_an_outcome_of_its_own(pytester):
    """It is counted and named, with its reason, and fails nothing; the summary counts all three verdicts."""
    result = run(pytester, THREE, "-v", "-Werror", "--strict-markers")
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_unclear INCONCLUSIVE *",
            "* gradcheck *",
            "3 gradients judged at 2 of 7 points: 1 pass, 1 fail, 1 inconclusive; errors above * would have been seen",
            "INCONCLUSIVE test_it.py::test_unclear: unclear: inconclusive: the budget of 1 forward calls is spent",
            "*1 failed, 1 passed, 1 inconclusive in *",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_inconclusive_alone_is_exit_code_0(pytester):
    """A run of it is no failure, and the letter is i."""
    result = run(pytester, THREE, "-k", "unclear")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["test_it.py i *", "*2 deselected, 1 inconclusive in *"])


@pytest.mark.parametrize("how", ["option", "ini", "marker", "call", "attribute"])
def test_inconclusive_fails_where_it_is_strict(pytester, how):
    """By option, ini key, marker or argument."""
    if how == "ini":
        pytester.makeini("[pytest]\ngradcheck_strict = true\n")
    marker = "@pytest.mark.gradcheck(strict=True)" if how == "marker" else ""
    strict = ", strict=True" if how == "call" else ""
    result = run(
        pytester,
        f"""
        class Doubled:
            gradcheck_strict = {how == "attribute"} or None

            def __call__(self, x):
                return 2 * x, lambda dy: (2 * dy,)

        {marker}
        @gc.verify(x=("n",), budget=1, max_examples=5{strict})
        def test_verified(n):
            return Doubled()

        {marker}
        def test_called(gradcheck):
            gradcheck(Doubled(), np.ones(2), budget=1{strict})
        """,
        *(["--gradcheck-strict"] if how == "option" else []),
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["E *InconclusiveError: Doubled: inconclusive: the budget of 1 forward calls is *"])


def test_one_example_that_tells_nothing_does_not_fail_a_strict_given(pytester):
    """Under @given a strict test fails if no example could be judged, and not for one of them."""
    result = run(
        pytester,
        """
        @pytest.mark.gradcheck(strict=True)
        @settings(max_examples=10)
        @given(budget=st.sampled_from([1, 1000]))
        def test_some(gradcheck, budget):
            gradcheck(sine, np.ones(2), budget=budget)

        @pytest.mark.gradcheck(strict=True)
        @settings(max_examples=10)
        @given(budget=st.just(1))
        def test_none(gradcheck, budget):
            gradcheck(sine, np.ones(2), budget=budget)
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_none*"])


@pytest.mark.parametrize("how", ["option", "ini"])
def test_known_failures_are_expected_and_stale_ones_warned_about(pytester, how):
    """A listed test that fails is xfailed for its reason; one that passes, or is gone, is named."""
    pytester.makefile(".txt", known=KNOWN)
    if how == "ini":
        pytester.makeini("[pytest]\ngradcheck_xfails = known.txt\n")
    arguments = ["--gradcheck-xfails=known.txt"] if how == "option" else []
    result = run(pytester, THREE, *arguments, "-rx", "-k", "not unclear")
    result.assert_outcomes(xfailed=1, xpassed=1, deselected=1)
    result.stdout.fnmatch_lines(["XFAIL test_it.py::test_wrong - the sign, issue #7"])
    shown = result.stdout.str()
    assert STALE.issubset(result.outlines)
    assert shown.count("WARNING") == 2


def test_shards_are_disjoint_and_complete(pytester):
    """Every test of a run is in one part only, whatever the order; -k comes first."""
    source = "@pytest.mark.parametrize('n', range(7))\ndef test_part(n):\n    pass\n\ndef test_other():\n    pass\n"
    parts = [run(pytester, source, f"--gradcheck-shard={i}/3", "-k", "part", "-v").outlines for i in (1, 2, 3)]
    ran = [sorted(line.split()[0] for line in lines if "PASSED" in line) for lines in parts]
    assert sorted(itertools.chain(*ran)) == [f"test_it.py::test_part[{n}]" for n in range(7)]
    assert sorted(map(len, ran)) == [2, 2, 3]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_report_has_a_line_for_each_verdict(pytester, workers):
    """JSON lines with the test, the verdict and the options, over those of an earlier run; with xdist everything else
    is told as well, and only what measures time is skipped."""
    pytester.makeconftest(
        """
        def pytest_gradcheck_record(record, item, report):
            record["mine"] = f"{item.name} {report.verdict.value}"
        """
    )
    pytester.path.joinpath("out.jsonl").write_text("left from before\n")
    pytester.makefile(".txt", known=KNOWN.replace("test_wrong", "test_wrong[0]"))
    result = run(
        pytester, THREE + COST, "-rs", "--gradcheck-report=out.jsonl", "--gradcheck-xfails=known.txt", f"-n{workers}"
    )
    assert STALE.union([f"report: {pytester.path / 'out.jsonl'}"]).issubset(result.outlines)
    cost = ", 1 skipped" if workers else ", 1 passed"
    result.stdout.fnmatch_lines(
        ["3 gradients judged at 2 of 7 points: *", f"*1 failed{cost}, 1 xpassed, 1 inconclusive in *"]
    )
    assert ("SKIPPED" in result.stdout.str()) == bool(workers)
    records = [json.loads(line) for line in pytester.path.joinpath("out.jsonl").read_text().splitlines()]
    told = {record["test"]: (record["verdict"], record["ref"], record["mine"], record["options"]) for record in records}
    assert told == {
        f"test_it.py::test_{name}": (verdict, f"test_it.py::test_{name}", f"test_{name} {verdict}", options)
        for name, verdict, options in (
            ("right", "pass", {}),
            ("wrong", "fail", {}),
            ("unclear", "inconclusive", {"budget": 1}),
        )
    }


def test_the_report_may_be_a_page_and_come_from_the_ini_file(pytester, require):
    """Relative to the ini file, wherever pytest is started."""
    require("jinja2")
    require("matplotlib")
    pytester.makeini("[pytest]\ngradcheck_report = out.html\n")
    pytester.makepyfile(test_it=HEAD + THREE)
    pytester.mkdir("sub")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(pytester.path / "sub")
        pytester.runpytest_inprocess("-pno:cacheprovider", "..")
    page = pytester.path.joinpath("out.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    assert "sin: backward of x is -1× the finite difference" in page


def test_junit_has_the_verdict_of_each_test(pytester):
    """As properties of the test case, and the sentence as the failure's message."""
    run(pytester, THREE, "--junitxml=out.xml", "-ojunit_family=xunit1")
    cases = {case.get("name"): case for case in ElementTree.parse(pytester.path / "out.xml").iter("testcase")}
    verdicts = {
        name: {p.get("name"): p.get("value") for p in case.iter("property")}["gradcheck_verdict"]
        for name, case in cases.items()
    }
    assert verdicts == {"test_right": "pass", "test_wrong": "fail", "test_unclear": "inconclusive"}
    (failure,) = cases["test_wrong"].iter("failure")
    assert "GradientMismatch: sin: backward of x is -1× the finite difference" in failure.get("message")


def test_last_failed_runs_what_failed(pytester):
    """--lf selects the wrong one only: INCONCLUSIVE is no failure."""
    pytester.makepyfile(test_it=HEAD + THREE)
    pytester.runpytest_inprocess()
    pytester.runpytest_inprocess("--lf").assert_outcomes(failed=1)


def test_a_run_that_asks_about_no_gradient_has_no_summary(pytester):
    """The plugin is silent where nothing of it ran."""
    assert "= gradcheck =" not in run(pytester, "def test_else():\n    pass\n").stdout.str()


def test_a_test_that_expects_the_mismatch_passes_and_its_verdict_is_told(pytester):
    """The summary says what was found, not what the test made of it."""
    result = run(
        pytester,
        """
        def test_expected(gradcheck):
            with pytest.raises(gc.GradientMismatch):
                gradcheck(wrong, np.ones(2))
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 gradient judged at 1 point: 1 fail"])


def test_a_page_of_nothing_is_not_written_and_the_old_one_is_gone(pytester, require):
    """A run that judged no gradient says so, and leaves no page that looks like its own."""
    require("jinja2")
    require("matplotlib")
    pytester.makepyfile("def test_nothing(): pass")
    pytester.path.joinpath("out.html").write_text("of yesterday")
    result = pytester.runpytest_subprocess("-pno:cacheprovider", "--gradcheck-report=out.html")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["WARNING nothing was judged, and so there is no out.html"])
    assert not pytester.path.joinpath("out.html").exists()
