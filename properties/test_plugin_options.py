"""The plugin's settings, wherever they come from: command line, marker, ini file, attribute, default."""

import pytest

from gradcheck.plugin.settings import SETTINGS, dtypes_of
from properties.nested import refused, run

DTYPE = """
@gc.verify(x=("n",), max_examples=5)
def test_plain(x):
    print("dtype", x.dtype)
    return 2 * x, lambda dy: (2 * dy,)

@pytest.mark.gradcheck(dtypes="float16")
@gc.verify(x=("n",), max_examples=5)
def test_marked(x):
    print("marked", x.dtype)
    return 2 * x, lambda dy: (2 * dy,)

class Doubled:
    gradcheck_dtypes = "longdouble"
    def __call__(self, x):
        print("attribute", x.dtype)
        return 2 * x, lambda dy: (2 * dy,)

def test_attribute(gradcheck):
    gradcheck(Doubled(), x=("n",), max_examples=5)

def test_call(gradcheck):
    def doubled(x):
        print("call", x.dtype)
        return 2 * x, lambda dy: (2 * dy,)
    gradcheck(doubled, x=("n",), dtypes="float32", max_examples=5)
"""


@pytest.mark.parametrize(
    ("arguments", "ini", "expected"),
    [
        ((), "", {"dtype float64", "marked float16", "attribute longdouble", "call float32"}),
        ((), "gradcheck_dtypes = float32", {"dtype float32", "marked float16", "attribute float32", "call float32"}),
        (
            ("--gradcheck-dtype=float64", "--gradcheck-dtype", "float64"),
            "gradcheck_dtypes = float32",
            {"dtype float64", "marked float64", "attribute float64", "call float64"},
        ),
    ],
)
def test_command_line_beats_marker_beats_ini_beats_attribute_beats_default(pytester, arguments, ini, expected):
    """One rule for every setting, here for the dtype: a call's own argument is on a level with the marker."""
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = run(pytester, DTYPE, "-s", *arguments)
    result.assert_outcomes(passed=4)
    first = {line.lstrip(".") for line in result.outlines}
    name = str(__import__("numpy").dtype("longdouble"))
    assert {line.replace("longdouble", name) for line in expected} <= first
    assert not any(line.startswith("dtype") for line in first - expected)


def test_the_nearest_marker_wins(pytester):
    """A test's own over its class's, and what it does not say is taken from there."""
    run(
        pytester,
        """
        kinked = np.abs, lambda inputs, dy: (np.sign(inputs[0]) * dy,)

        @pytest.mark.gradcheck(kinks="forbid", max_examples=3)
        class TestKinks:
            def test_class(self, gradcheck):
                with pytest.raises(gc.GradientMismatch):
                    gradcheck(kinked, np.zeros(1))

            @pytest.mark.gradcheck(kinks="subgradient")
            def test_own(self, gradcheck):
                gradcheck(kinked, np.zeros(1))
                assert gradcheck(sine, x=("n",)).examples == 3
        """,
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("gradcheck(rtol=1)", "the marker gradcheck has no argument rtol; it takes dtypes, strict, kinks, slack,"),
        ("gradcheck('strict')", "the marker gradcheck takes no positional argument, got 'strict'; name it: dtypes=…,"),
        ("gradcheck(kinks='yes')", "the marker gradcheck(kinks=…): 'yes' must be 'subgradient' or 'forbid'"),
        ("gradcheck(budget=0)", "the marker gradcheck(budget=…): 0 must be a whole number of at least 1"),
        ("gradcheck(slack=-1)", "the marker gradcheck(slack=…): -1 must be a number above 0"),
        ("gradcheck(dtypes='int8')", "the marker gradcheck(dtypes=…): 'int8' is no floating-point dtype; give one or"),
        ("cost(sizes=3)", "the marker cost has no argument sizes; it takes per, order"),
    ],
)
def test_a_wrong_marker_is_a_usage_error(pytester, marker, words):
    """It names the test, the argument and what there is."""
    result = run(pytester, f"@pytest.mark.{marker}\ndef test_marked():\n    pass\n")
    assert refused(result).startswith(f"test_it.py::test_marked: {words}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gradcheck-dtype=float7"], "--gradcheck-dtype: 'float7' is no floating-point dtype; give one or several"),
        (["-ogradcheck_dtypes=int8"], "ini key gradcheck_dtypes: 'int8' is no floating-point dtype; give one or"),
        (["-ogradcheck_dtypes="], "ini key gradcheck_dtypes: no dtype is named; give one or several of float64,"),
        (["--gradcheck-target="], "--gradcheck-target is empty: name a layer, for example package.module:Dense"),
        (["-ogradcheck_targets="], "ini key gradcheck_targets is empty: name a layer, for example package.module:"),
        (["--gradcheck-shard=0/2"], "--gradcheck-shard: '0/2' must be I/N with I from 1 to N, for example 1/4"),
        (["--gradcheck-shard=2"], "--gradcheck-shard: '2' must be I/N with I from 1 to N, for example 1/4"),
        (["--gradcheck-report=a.txt"], "--gradcheck-report: 'a.txt' must end in .html or .jsonl, which says how"),
        (["--gradcheck-report=no/a.html"], "--gradcheck-report: there is no directory "),
        (["--gradcheck-xfails=none.txt"], "--gradcheck-xfails "),
    ],
)
def test_a_wrong_option_is_a_usage_error(pytester, arguments, words):
    """One line with the option, the value and what to give, before anything runs."""
    result = run(pytester, "def test_runs():\n    raise SystemExit\n", *arguments)
    assert refused(result).startswith(words)


def test_a_page_that_could_not_be_written_is_refused_at_once(pytester, monkeypatch):
    """Where the extra is not installed, before the run and not after it."""
    monkeypatch.setattr("gradcheck.plugin.reading.PAGE", ("json", "no_such_package"))
    line = refused(run(pytester, "", "--gradcheck-report=a.html"))
    assert line == (
        "--gradcheck-report: a page needs no_such_package: pip install 'gradcheck[report]', or write a .jsonl file"
    )


def test_an_unreadable_list_of_failures_says_what_it_should_be(pytester):
    """A file that is not there, and one that is no text."""
    pytester.path.joinpath("binary").write_bytes(b"\xff\xfe\x00")
    remedy = "; give a text file with one test id a line, or leave the option out"
    for name, why in (("gone", "No such file or directory"), ("binary", "'utf-8' codec can't decode byte 0xff")):
        line = refused(run(pytester, "", f"--gradcheck-xfails={name}"))
        assert line.startswith(f"--gradcheck-xfails {pytester.path / name}: {why}")
        assert line.endswith(remedy)


def test_the_dtypes_are_read_from_words_or_lists():
    """Commas and spaces part them, each counts once, and nothing else is taken."""
    assert dtypes_of("float64,float32 float64") == dtypes_of(["float64", "float32"]) == ("float64", "float32")
    with pytest.raises(ValueError, match=r"3 must name dtypes, for example 'float64 float32'"):
        dtypes_of(3)


def test_every_setting_and_option_is_in_the_help(pytester):
    """Options and ini keys in --help, markers with all their arguments in --markers."""
    shown = pytester.runpytest_inprocess("--help").stdout.str()
    for option in ("target=MODULE:ATTR", "shapes=", "dtype=DTYPE", "strict ", "report=PATH", "xfails=", "shard=I/N"):
        assert f"--gradcheck-{option}" in shown
    for key in ("targets", "dtypes", "strict", "report", "xfails"):
        assert f"gradcheck_{key} (" in shown
    markers = pytester.runpytest_inprocess("--markers").stdout.str()
    assert f"@pytest.mark.gradcheck({', '.join(f'{name}=…' for name in SETTINGS)}): " in markers
    assert "@pytest.mark.cost(per='edge', order=1): " in markers


@pytest.mark.parametrize(("profile", "examples"), [("dev", 50), ("ci", 200)])
def test_the_profiles_are_there_for_hypothesis(pytester, profile, examples):
    """--hypothesis-profile finds them although nothing has registered them, and they set how many cases are drawn."""
    result = run(
        pytester,
        f"""
        def test_examples(gradcheck):
            assert settings().max_examples == {examples}
            assert gradcheck(sine, x=(2,)).examples == {examples}
        """,
        f"--hypothesis-profile=gradcheck-{profile}",
    )
    result.assert_outcomes(passed=1)


def test_the_seed_of_hypothesis_is_the_seed_of_search(pytester):
    """--hypothesis-seed draws the same cases again."""
    source = """
    def test_seed(gradcheck):
        assert gradcheck(sine, x=("n",), max_examples=2).seed == 17
    """
    run(pytester, source, "--hypothesis-seed=17").assert_outcomes(passed=1)
