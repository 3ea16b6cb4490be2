"""Words: what a person reads of a PASS, a FAIL, an INCONCLUSIVE and an error, held to the letter where it matters."""

import re
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import GradientMismatch, InconclusiveError, Report, Verdict, assert_gradients, check, from_pair, search
from gradcheck.report import Finding, Kind, place
from properties.catalogue import FAULTS
from properties.planted import planted

X = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6]])


def sine(factor: float = 1.0) -> gradcheck.Target:
    return from_pair(np.sin, lambda i, g: (factor * g * np.cos(i[0]),), name="sine")


def test_a_pass_says_what_it_could_have_seen() -> None:
    """Name and resolution in the headline, dtype and calls below."""
    report = check(sine(), X)
    first, *rest = str(report).splitlines()
    assert re.fullmatch(r"sine: backward agrees with the finite differences to \d\.\de-\d\d", first)
    assert f"{report.resolution:.1e}" in first
    assert rest == [
        f"  kinks: none · float64 · {report.evaluations} forward and {report.pullbacks} backward calls"
    ]


def test_a_fail_says_where_how_much_and_what_it_looks_like() -> None:
    """The entry, both numbers, the bound, the evidence, the steps."""
    report = check(sine(2.0), X)
    lines = str(report).splitlines()
    assert lines[0] == "sine: backward of x is 2× the finite difference, everywhere"
    assert re.match(r"  x +2×3 +\[\d, \d\] +-?\d\.\d{3}e.\d\d +-?\d\.\d{3}e.\d\d +\S+ \S+ +\de\+\d\d FAIL", lines[3])
    finding = report.findings[0]
    text = "\n".join(lines)
    assert f"backward     {finding.claimed!r}" in text
    assert f"finite diff  {finding.numeric!r}" in text
    assert "FACTOR: 6 of 6 entries off by the factor 2" in text
    assert re.search(r"steps +\de-\d\d \S+ \| ", text)
    assert "flat: neither truncation nor round-off" in text
    assert "deterministic: yes · float64" in text
    assert "forward and" in text


def test_an_inconclusive_says_why_and_what_to_do() -> None:
    """The first line names the cause, the second the remedy."""
    report = check(from_pair(lambda x: x * np.nan, lambda i, g: (g,), name="nowhere"), X)
    assert str(report).splitlines()[:2] == [
        "nowhere: inconclusive: forward is not finite at this point",
        "  to tell: move the inputs into its domain",
    ]


@pytest.mark.parametrize("name", ["b", "back", "x"])
def test_the_first_line_names_the_target_whatever_letters_it_shares_with_a_word(name: str) -> None:
    """A layer b is named where the sentence begins with "backward"."""
    wrong = from_pair(np.sin, lambda i, g: (2 * g * np.cos(i[0]),), name=name)
    assert check(wrong, X).headline() == f"{name}: backward of x is 2× the finite difference, everywhere"


def test_the_first_line_of_every_failure_is_a_short_sentence() -> None:
    """Under 90 characters, on one line, naming the target: it becomes pytest's summary and the JUnit message."""
    kinds = set()
    for case, inputs in planted(FAULTS, lambda i, j: (i + j) % 29 == 0):
        report = check(from_pair(case.f, case.vjp, name="layer", frozen=case.frozen), *inputs)
        if report.verdict is not Verdict.FAIL:
            continue
        first = str(report).splitlines()[0]
        assert first == report.headline()
        assert len(first) < 90, first
        assert first.startswith("layer: "), first
        assert first[-1] not in ":,;", first
        kinds.add(report.findings[0].kind)
    assert len(kinds) >= 10


def test_a_long_error_of_the_target_does_not_make_a_long_headline() -> None:
    """A message of a thousand characters and several lines is cut in the first line."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        raise ValueError("first line\n" + "very long " * 100)

    first = str(check(from_pair(np.sin, vjp, name="layer"), X)).splitlines()[0]
    assert len(first) < 90, first
    assert "ValueError" in first


def test_a_report_never_prints_a_whole_array() -> None:
    """10⁴ wrong entries make a report of fewer than 30 lines and 4000 characters."""
    report = check(sine(-1.0), np.random.default_rng(0).normal(size=(100, 100)))
    assert len(str(report).splitlines()) < 30
    assert len(str(report)) < 4000
    assert len(repr(report.findings[0])) < 4000


def test_at_most_ten_rows_and_three_findings_are_printed() -> None:
    """Twelve wrong inputs: ten rows, three findings in full, and the count of the rest."""
    names = ", ".join(f"x{k}" for k in range(12))
    f = eval(f"lambda {names}: sum(({names}))")
    report = check(from_pair(f, lambda i, g: tuple(2 * g for _ in i), name="many"), *(X + k for k in range(12)))
    assert len(report.findings) == 12
    assert len(re.findall(r"e\+\d\d FAIL\n", str(report))) == 10
    assert re.search(r"… 2 more +2 FAIL\n", str(report))
    assert str(report).count("finite diff  ") == 3
    assert "… and 9 findings more: FACTOR" in str(report)


def test_assert_gradients_raises_what_the_report_says() -> None:
    """GradientMismatch is an AssertionError whose text is the report; INCONCLUSIVE raises with strict only."""
    assert assert_gradients(sine(), X).verdict is Verdict.PASS
    with pytest.raises(GradientMismatch, match="sine: backward of x is 2× the finite difference") as caught:
        assert_gradients(sine(2.0), X)
    assert isinstance(caught.value, AssertionError)
    assert str(caught.value) == str(caught.value.report)
    nowhere = from_pair(lambda x: x * np.nan, lambda i, g: (g,), name="nowhere")
    assert assert_gradients(nowhere, X).verdict is Verdict.INCONCLUSIVE
    with pytest.raises(InconclusiveError, match="nowhere: inconclusive") as unsure:
        assert_gradients(nowhere, X, strict=True)
    assert not isinstance(unsure.value, AssertionError)
    assert unsure.value.report.reasons
    with pytest.raises(GradientMismatch):
        assert_gradients(sine(2.0), X, strict=True, seed=3)


def test_only_a_pass_is_true() -> None:
    """`assert check(...)` is not fooled by an INCONCLUSIVE."""
    assert check(sine(), X)
    assert not check(sine(2.0), X)
    assert not check(from_pair(lambda x: x * np.nan, lambda i, g: (g,)), X)


@pytest.mark.parametrize(
    ("error", "words", "options"),
    [
        (ValueError, "kinks must be 'subgradient' or 'forbid', got 'allow'", {"kinks": "allow"}),
        (ValueError, "budget must be at least 1 forward call, got 0; leave it out for no limit", {"budget": 0}),
        (ValueError, "slack must be a positive number that scales every bound, got -1", {"slack": -1}),
        (ValueError, "slack must be a positive number that scales every bound, got inf", {"slack": np.inf}),
        (ValueError, "timeout must be a positive number of seconds, got 0", {"timeout": 0}),
        (TypeError, "unexpected keyword argument 'tolerance'", {"tolerance": 1e-3}),
    ],
)
def test_options_that_cannot_be_used_are_refused_in_words(error: Any, words: str, options: dict[str, Any]) -> None:
    """Value, rule and remedy."""
    with pytest.raises(error, match=re.escape(words)):
        check(sine(), X, **options)


@pytest.mark.parametrize("inputs", [(np.array([1, 2]),), ("text",), (np.array([None]),), ([True, False],)])
def test_nothing_to_differentiate_is_an_error_that_says_so(inputs: tuple[Any, ...]) -> None:
    """Integers, booleans, text and objects carry no gradient."""
    with pytest.raises(ValueError, match="sine has no input to differentiate: 1 inputs, all of them"):
        check(sine(), *inputs)
    with pytest.raises(ValueError, match="no input to differentiate"):
        check(from_pair(np.sin, lambda i, g: (None,), frozen=(0,)), X)


def test_a_frozen_position_past_the_inputs_is_an_error() -> None:
    """frozen=(3,) for one input."""
    with pytest.raises(ValueError, match="frozen position 3 is past the last of the 1 inputs"):
        check(from_pair(np.sin, lambda i, g: (g,), frozen=(3,)), X)


def test_a_wrong_number_of_inputs_names_it() -> None:
    """The layer's own TypeError is the reason."""
    report = check(from_pair(lambda a, b: a * b, lambda i, g: (g, g), name="product"), X)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "missing 1 required positional argument: 'b'" in report.reasons[0]


def test_entries_are_spelled_as_a_person_would() -> None:
    """W[2, 1], input 0, the target."""
    assert place("W", (2, 1)) == "W[2, 1]"
    assert place(0, (3,)) == "input 0[3]"
    assert place("b", ()) == "b"
    assert place(None) == "the target"
    report = check(from_pair(np.sin, lambda i, g: (2 * g * np.cos(i[0]),)), 0.5)
    assert "[" not in report.headline()


def test_a_search_names_its_smallest_case_and_its_examples() -> None:
    """The last line of a failing search is runnable."""
    report = search(sine(-1.0), x=("n",), seed=0)
    last = str(report).splitlines()[-1]
    assert last.strip().startswith("smallest case:  Case((np.array(["), last
    passing = str(search(sine(), x=("n",), seed=0, max_examples=30))
    assert "30 examples" in passing


def test_kinks_accepted_are_named() -> None:
    """A PASS at a kink says where it is."""
    report = check(
        from_pair(lambda x: np.maximum(x, 0), lambda i, g: (g * (i[0] > 0),), name="relu"), np.array([0.0, 1.0])
    )
    assert report.verdict is Verdict.PASS
    assert "kinks: x" in str(report)


def test_severity_counts_bounds() -> None:
    """Two bounds off is severity 2; a broken law is infinitely severe."""
    finding = Finding(Kind.OTHER, "off", claimed=3.0, numeric=1.0, bound=1.0)
    assert finding.severity == 2.0
    assert Finding(Kind.RAISES, "raises").severity == float("inf")


def test_the_same_seed_gives_the_same_report() -> None:
    """To the last digit; another seed, other digits and the same verdict."""
    for factor in (1.0, 1.001):
        reports = {str(check(sine(factor), X, seed=7)) for _ in range(3)}
        assert len(reports) == 1
        assert {check(sine(factor), X, seed=s).verdict for s in range(10)} == {check(sine(factor), X).verdict}


def test_a_report_counts_the_calls_that_were_made() -> None:
    """evaluations and pullbacks are the calls of f and vjp, right or wrong."""
    for factor in (1.0, 2.0, 1.001):
        calls = {"f": 0, "vjp": 0}

        def f(x: Any, calls: dict[str, int] = calls) -> Any:
            calls["f"] += 1
            return np.sin(x)

        def vjp(inputs: tuple[Any, ...], g: Any, calls: dict[str, int] = calls, factor: float = factor) -> Any:
            calls["vjp"] += 1
            return (factor * g * np.cos(inputs[0]),)

        report = check(from_pair(f, vjp), X)
        assert (report.evaluations, report.pullbacks) == (calls["f"], calls["vjp"]), factor


def test_contract_attributes_are_there() -> None:
    """The names that others rely on."""
    report = check(sine(2.0), X)
    assert isinstance(report, Report)
    for name in ("verdict", "findings", "resolution", "evaluations", "pullbacks", "case", "examples"):
        assert hasattr(report, name)
    for name in ("kind", "input", "index", "claimed", "numeric", "bound", "message"):
        assert getattr(report.findings[0], name) is not None
    assert isinstance(report.findings, tuple)
