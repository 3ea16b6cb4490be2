"""`@gradcheck.verify` and the fixture `gradcheck`: what they make of a layer, as pytest shows it."""

import pytest

from properties.nested import run


def test_a_right_layer_passes_and_a_wrong_one_fails_with_the_block(pytester):
    """The failure begins with the sentence, has the table, the smallest case, and ends at the user's line."""
    result = run(
        pytester,
        """
    @gc.verify(x=("n", "k"), w=("k", "m"))
    def test_right(x, w):
        return x @ w, lambda dy: (dy @ w.T, x.T @ dy)

    @gc.verify(x=("n", "k"), w=("k", "m"))
    def test_dense(x, w):
        y = x @ w
        return y, lambda dy: (dy @ w.T, 2 * x.T @ dy)
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       return y, lambda dy: (dy @ w.T, 2 * x.T @ dy)",
            "E       gradcheck.*GradientMismatch: dense: backward of w* is 2× the finite difference*",
            "E *input *shape *worst at *backward *finite diff *|error| *bound *error/bound",
            "E *w *1×1 * FAIL",
            "E *smallest case: *Case((np.array(*",
            "test_it.py:20: GradientMismatch",
            "2 gradients judged at * points: 1 pass, 1 fail; errors above *",
            "FAILED *::test_dense - gradcheck.*",
        ]
    )
    shown = result.stdout.str()
    assert "plugin/verify.py" not in shown
    assert "Explanation" not in shown


def test_letters_fixtures_parameters_and_strategies_reach_the_function(pytester):
    """A letter is a size, a strategy is an input, what is left belongs to pytest; a returned layer is judged too."""
    run(
        pytester,
        """
    @pytest.fixture
    def scale():
        return 2.0

    @pytest.mark.parametrize("power", [2, 3])
    @gc.verify(x=("n",), max_examples=5)
    def test_power(x, power, scale):
        return scale * x**power, lambda dy: (scale * power * x ** (power - 1) * dy,)

    @gc.verify(x=("n", "k"), max_examples=5)
    def test_layer(k):
        w = np.ones((k, 3))
        return lambda x: x @ w, lambda inputs, dy: (dy @ w.T,)

    @gc.verify(x=("n",), rate=st.floats(0.5, 2), labels=st.integers(0, 3), frozen=("labels",), max_examples=5)
    def test_strategies(x, rate, labels):
        return rate * x, lambda dy: (rate * dy, np.sum(x * dy), None)

    @gc.verify(st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)), max_examples=5)
    def test_joint(x, y):
        return x * y, lambda dy: (dy * y, dy * x)

    @pytest.mark.parametrize("a", [1.0, 2.0])
    def below(x, a, power=2):
        return a * x**power, lambda dy: (power * a * x * dy,)

    test_below = gc.verify(x=("n",), max_examples=5)(below)
    test_lambda = gc.verify(x=("n",), max_examples=5)(lambda x: (2 * x, lambda dy: (2 * dy,)))

    class TestMethods:
        @gc.verify(x=("n",), max_examples=5)
        def test_method(self, x):
            return 2 * x, lambda dy: (2 * dy,)

    class TestUnit(unittest.TestCase):
        @gc.verify(x=("n",), max_examples=5)
        def test_unit(self, x):
            return 2 * x, lambda dy: (2 * dy,)
        """,
        "-Werror",
        "--strict-markers",
    ).assert_outcomes(passed=10)


def test_the_parameters_of_a_test_are_judged_apart(pytester):
    """One value of a parameter may fail where another passes."""
    result = run(
        pytester,
        """
    @pytest.mark.parametrize("a", [1.0, 2.0])
    @gc.verify(x=("n",), max_examples=5)
    def test_scaled(x, a):
        return a * x, lambda dy: (dy * 1,)
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_scaled[[]2.0[]]*"])


def test_hypothesis_decorators_stack_on_verify(pytester):
    """@settings bounds the examples, @example is tried first, @seed repeats, and @given draws for the same test."""
    run(
        pytester,
        """
    seen = []

    @settings(max_examples=7)
    @example(x=np.array([41.0, 42.0]))
    @seed(3)
    @gc.verify(x=("n",))
    def test_stacked(x):
        seen.append(x)
        return np.sin(x), lambda dy: (np.cos(x) * dy,)

    def test_seen():
        assert np.array_equal(seen[0], [41.0, 42.0])
        assert len({x.tobytes() for x in seen if x.shape}) > 7

    @given(a=st.floats(0.5, 4))
    @gc.verify(x=("n",))
    def test_above(x, a):
        return a * x, lambda dy: (3 * dy if a > 2 else a * dy,)

    @settings(max_examples=5)
    @gc.verify(x=("n",))
    @given(a=st.floats(0.5, 2))
    def test_below(x, a):
        return a * x, lambda dy: (a * dy,)
        """,
    ).assert_outcomes(passed=3, failed=1)


def test_a_layer_that_fails_once_is_wrong(pytester):
    """One that is right when asked again is not called flaky: the failure that was seen is told."""
    result = run(
        pytester,
        """
    calls = []

    @gc.verify(x=("n",))
    def test_moody(x):
        calls.append(1)
        factor = 3 if 60 < len(calls) < 120 else 2
        return 2 * x, lambda dy: (factor * dy,)
        """,
    )
    result.assert_outcomes(failed=1)
    assert "Flaky" not in result.stdout.str()
    result.stdout.fnmatch_lines(["E *GradientMismatch: moody: *"])


def test_the_fixture_judges_arrays_shapes_and_strategies(pytester):
    """It returns the report, works under @given, and takes settings of the call."""
    run(
        pytester,
        """
    def test_all(gradcheck):
        assert gradcheck(sine, np.array([0.5, 2.0])).verdict is gc.Verdict.PASS
        assert gradcheck(sine, x=("n",), max_examples=5).examples == 5
        assert gradcheck(sine, st.tuples(st.floats(0, 1)), max_examples=5).examples == 5
        assert gradcheck(sine, x=("n",), dtypes="float32", max_examples=5).dtype == "float32"
        with pytest.raises(gc.GradientMismatch):
            gradcheck((np.abs, lambda inputs, dy: (np.sign(inputs[0]) * dy,)), np.zeros(1), kinks="forbid")

    @settings(max_examples=5)
    @example(n=3)
    @given(n=st.integers(1, 3))
    def test_given(gradcheck, n):
        gradcheck(sine, np.ones(n))
        """,
    ).assert_outcomes(passed=2)


def test_the_fixture_shows_the_line_that_called_it(pytester):
    """The last line of the traceback is the user's call."""
    result = run(
        pytester,
        """
    def test_wrong(gradcheck):
        gradcheck((np.sin, lambda inputs, dy: (-np.cos(inputs[0]) * dy,)), np.ones(2))
        """,
    )
    result.stdout.fnmatch_lines(
        [
            ">       gradcheck((np.sin, lambda inputs, dy: (-np.cos(inputs[0]) * dy,)), np.ones(2))",
            "E       gradcheck.*GradientMismatch: sin: backward of x is -1× the finite difference*",
            "test_it.py:14: GradientMismatch",
        ]
    )
    assert "judging.py" not in result.stdout.str()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("gradcheck(sine)", "TypeError: gradcheck got neither arrays nor shapes: give arrays to judge at, or"),
        ("gradcheck(sine, np.ones(1), x=('n',))", "TypeError: gradcheck got both arrays and shapes: give arrays to"),
        ("gradcheck(sine, np.ones(1), rtol=1)", "TypeError: gradcheck(...) has no argument rtol; it takes dtypes,"),
        ("gradcheck(sine, np.ones(1), kinks='no')", "ValueError: gradcheck(kinks=…): 'no' must be 'subgradient'"),
        ("gradcheck(3, np.ones(1))", "TypeError: cannot make a target of int 3: give a Target, a pair (f, vjp)"),
    ],
)
def test_a_wrong_call_of_the_fixture_names_value_and_remedy(pytester, call, words):
    """One line each."""
    source = f"""
    def test_call(gradcheck):
        {call}
        """
    result = run(pytester, source)
    result.assert_outcomes(failed=1)
    assert f"E       {words}" in result.stdout.str()


@pytest.mark.parametrize(
    ("decorator", "words"),
    [
        ("gc.verify()", "TypeError: verify got neither a strategy nor shapes: give one of them, for example"),
        ("gc.verify(rtol=1e-3)", "TypeError: verify(rtol=0.001): rtol is no setting (dtypes, strict, kinks, slack,"),
        ("gc.verify(x=('n', None))", "TypeError: x: axis None must be a letter such as 'n' or a fixed size such as 3"),
        ("gc.verify(x=('n',), dtypes='int8')", "ValueError: 'int8' is no floating-point dtype; give one or several of"),
        ("gc.verify(x=('n',), strict=1)", "ValueError: 1 must be True or False"),
        ("gc.verify(y=('n',))", "TypeError: test_it(x) takes neither an input (y) nor the size of a letter: name its"),
        ("gc.verify(x=('n',), frozen=('w',))", "ValueError: verify(frozen=…) names 'w', which is no input; the inputs"),
        ("gc.verify(3)", "TypeError: verify got 3, which is no strategy; name the inputs: verify(x=("),
    ],
)
def test_a_wrong_use_of_verify_is_refused_where_it_stands(pytester, decorator, words):
    """While the file is collected, with the value and the remedy."""
    result = run(pytester, f"@{decorator}\ndef test_it(x):\n    return x, lambda dy: (dy,)\n")
    result.assert_outcomes(errors=1)
    assert f"E   {words}" in result.stdout.str()


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("async def test_it(x)", "TypeError: verify makes a test of a plain function, got <function test_it at"),
        ("class TestIt", "TypeError: verify makes a test of a plain function, got <class 'test_it.TestIt'>: decorate"),
        ("def test_it(x, /)", "TypeError: test_it takes x, which cannot be given by name, and verify gives all so"),
        ("def test_it(*x)", "TypeError: test_it takes *x, which cannot be given by name, and verify gives all so"),
    ],
)
def test_what_verify_cannot_call_is_refused(pytester, definition, words):
    """A coroutine, a class, and parameters without a name."""
    result = run(pytester, f"@gc.verify(x=('n',))\n{definition}:\n    pass\n")
    result.assert_outcomes(errors=1)
    assert f"E   {words}" in result.stdout.str()


def test_what_the_function_gets_wrong_is_said_at_its_line(pytester):
    """Shapes that do not fit, nothing returned, and one gradient for two inputs."""
    result = run(
        pytester,
        """
    @gc.verify(x=("n", "k"), w=("n", "k"))
    def test_shapes(x, w):
        return x @ w, lambda dy: (dy @ w.T, x.T @ dy)

    @gc.verify(x=("n",))
    def test_nothing(x):
        np.sin(x)

    @gc.verify(x=("n",), w=("n",))
    def test_count(x, w):
        return x * w, lambda dy: (dy * w,)
        """,
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "E       ValueError: matmul: *",
            "E       verify(x=('n', 'k'), w=('n', 'k')): mend the shapes if they do not fit, else give a strategy *",
            ">       np.sin(x)",
            "E       TypeError: test_nothing must return (value, pullback) or a layer: cannot make a target of *",
            ">       return x * w, lambda dy: (dy * w,)",
            "E       *GradientMismatch: count: backward returned 1 gradients for 2 inputs, 2 of them not frozen",
        ]
    )
    assert "plugin/verify.py" not in result.stdout.str()
