"""Hostile targets: always a verdict or a clear error, never a hang, a crash or a changed array of the caller's."""

import random
import re
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck import Kind, Report, Verdict, check, from_pair, from_pullback, search

X = np.array([0.5, -2.0, 1.5])


def sine_back(inputs: tuple[Any, ...], g: Any) -> Any:
    return (g * np.cos(inputs[0]),)


def judged(f: Callable[..., Any], vjp: Callable[..., Any] = sine_back, *inputs: Any, **options: Any) -> Report:
    """Check, seeing to it that nothing of the caller's is changed."""
    inputs = inputs or (X.copy(),)
    arrays = [a for a in inputs if isinstance(a, np.ndarray)]
    before = [(a.tobytes(), a.flags.writeable, a.shape, a.strides) for a in arrays]
    state, streams = np.geterr(), (random.getstate(), np.random.get_state()[1].tobytes())  # type: ignore[union-attr] # noqa: NPY002
    report = check(from_pair(f, vjp, name="hostile"), *inputs, **options)
    assert [(a.tobytes(), a.flags.writeable, a.shape, a.strides) for a in arrays] == before
    assert np.geterr() == state
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == streams  # type: ignore[union-attr] # noqa: NPY002
    assert str(report)
    return report


def raising(error: BaseException) -> Callable[..., Any]:
    def f(*arguments: Any) -> Any:
        raise error

    return f


def every(n: int, good: Callable[..., Any], bad: Callable[..., Any]) -> Callable[..., Any]:
    """`bad` every n-th call."""
    calls = [0]

    def f(*arguments: Any) -> Any:
        calls[0] += 1
        return bad(*arguments) if calls[0] % n == 0 else good(*arguments)

    return f


def recursive(*arguments: Any) -> Any:
    return recursive(*arguments)


ERRORS = [
    ValueError("boom"),
    ZeroDivisionError("by nothing"),
    MemoryError(),
    AssertionError("no"),
    StopIteration(),
    Exception(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_forward_that_raises_is_inconclusive_with_the_error_in_its_reason(error: Exception) -> None:
    """There is nothing to compare with; the reason quotes the error."""
    report = judged(raising(error))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert f"forward raised {type(error).__name__}" in report.reasons[0]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_backward_that_raises_fails_with_the_error_in_its_message(error: Exception) -> None:
    """RAISES, quoting the error."""
    report = judged(np.sin, raising(error))
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.RAISES)
    assert f"raises {type(error).__name__}" in report.findings[0].message


@pytest.mark.parametrize("n", range(1, 12))
def test_what_raises_now_and_then_gets_a_verdict(n: int) -> None:
    """Every n-th call raises: no crash, whoever does it; a backward that raises is a fault."""
    judged(every(n, np.sin, raising(ValueError("now"))))
    report = judged(np.sin, every(n, sine_back, raising(ValueError("now"))))
    assert report.verdict is Verdict.FAIL


def test_recursion_without_end_is_a_verdict() -> None:
    """RecursionError is one more error."""
    assert judged(recursive).verdict is Verdict.INCONCLUSIVE
    assert judged(np.sin, recursive).findings[0].kind is Kind.RAISES


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit()], ids=lambda e: type(e).__name__)
def test_interrupts_propagate(error: BaseException) -> None:
    """Whoever presses Ctrl-C wants out, and finds the random streams as they were."""
    for f, vjp in ((raising(error), sine_back), (np.sin, raising(error))):
        before = np.random.get_state()[1].tobytes()  # type: ignore[union-attr] # noqa: NPY002
        with pytest.raises(type(error)):
            check(from_pair(f, vjp), X)
        assert np.random.get_state()[1].tobytes() == before  # type: ignore[union-attr] # noqa: NPY002


def test_a_target_that_exits_does_not_take_the_session_with_it() -> None:
    """SystemExit in a layer is a mistake of the layer."""
    assert judged(raising(SystemExit(3))).verdict is Verdict.INCONCLUSIVE
    assert judged(np.sin, raising(SystemExit(3))).findings[0].kind is Kind.RAISES


NO_VALUES: dict[str, Callable[[Any], Any]] = {
    "None": lambda x: None,
    "a string": lambda x: "sine",
    "a dict": lambda x: {"y": x},
    "objects": lambda x: np.array([object()] * 3),
    "a generator": lambda x: (v for v in x),
    "a set": lambda x: {1.0},
    "nothing": lambda x: (),
    "a tuple with None": lambda x: (np.sin(x), None),
    "booleans": lambda x: x > 0,
    "integers": lambda x: x.astype(int),
    "a function": lambda x: np.sin,
    "dates": lambda x: np.array(["2020-01-01"], "datetime64[D]"),
}


@pytest.mark.parametrize("name", NO_VALUES)
def test_a_value_that_is_none_is_inconclusive_and_says_what_came(name: str) -> None:
    """What has no gradient cannot be judged."""
    report = judged(NO_VALUES[name], lambda i, g: (np.zeros(3),))
    assert report.verdict is Verdict.INCONCLUSIVE, report
    assert "forward returned" in report.reasons[0] or "forward returns" in report.reasons[0]


NO_GRADIENTS: dict[str, Callable[..., Any]] = {
    "a string": lambda i, g: "cosine",
    "a tuple of strings": lambda i, g: ("cosine",),
    "a dict": lambda i, g: {0: g},
    "objects": lambda i, g: (np.array([object()] * 3),),
    "ragged": lambda i, g: ([[1.0], [1.0, 2.0]],),
    "a number": lambda i, g: 3.0,
    "too many": lambda i, g: sine_back(i, g) * 3,
    "none at all": lambda i, g: (),
    "a column": lambda i, g: (sine_back(i, g)[0][:, None],),
    "a function": lambda i, g: np.cos,
    "dates": lambda i, g: (np.array(["2020-01-01"] * 3, "datetime64[D]"),),
}


@pytest.mark.parametrize("name", NO_GRADIENTS)
def test_a_gradient_that_is_none_fails(name: str) -> None:
    """SHAPE or DTYPE, and a message that says what came."""
    report = judged(np.sin, NO_GRADIENTS[name])
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].kind in (Kind.SHAPE, Kind.DTYPE, Kind.RAISES), report
    assert "gradient" in report.findings[0].message


NAN_AT_ZERO = {
    "a maximum": (np.sinc, lambda x: (np.cos(np.pi * x) * np.pi * x - np.sin(np.pi * x)) / (np.pi * x**2), True),
    "a minimum": (np.square, lambda x: 2 * x**2 / x, True),
    "an inflection": (lambda x: x**3, lambda x: 3 * x**3 / x, True),
    "a slope": (np.sin, lambda x: np.cos(x) * x / x, True),
    "no slope: a root": (np.cbrt, lambda x: np.cbrt(x) / (3 * x), False),
    "no slope: x log |x|": (
        lambda x: np.where(x == 0, 0, x * np.log(np.abs(np.where(x == 0, 1, x)))),
        lambda x: np.log(np.abs(x)) + x / x,
        False,
    ),
}


@pytest.mark.parametrize("name", NAN_AT_ZERO)
@pytest.mark.parametrize("x", [[0.0], [0.0, 0.75], [0.5, 0.0, 0.0, -2.0]])
def test_nan_is_a_fault_where_f_has_a_slope_be_it_zero_and_nowhere_else(name: str, x: list[float]) -> None:
    """At an extremum the one-sided slopes shrink with the step; where there is no slope they grow."""
    f, derivative, wrong = NAN_AT_ZERO[name]
    with np.errstate(all="ignore"):
        report = check((f, lambda i, g: (g * derivative(i[0]),)), np.array(x))
    assert report.verdict is (Verdict.FAIL if wrong else Verdict.INCONCLUSIVE), report
    assert not wrong or (report.findings[0].kind, report.findings[0].index) == (Kind.NONFINITE, (x.index(0.0),))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_and_gradients_that_are_not_finite(value: float) -> None:
    """f NaN or inf everywhere: inconclusive. Backward so where f is smooth: NONFINITE. One output so: no accusation."""
    assert judged(lambda x: x + value).verdict is Verdict.INCONCLUSIVE
    report = judged(np.sin, lambda i, g: (np.full(3, value),))
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.NONFINITE)
    spoilt = np.array([value, 0.0, 0.0])
    assert judged(lambda x: np.sin(x) + spoilt, lambda i, g: sine_back(i, g)).verdict is not Verdict.FAIL
    assert judged(np.sin, sine_back, np.array([value, 1.0, 2.0])).verdict is not Verdict.FAIL


def test_ufuncs_and_list_returning_layers_are_fine() -> None:
    """A list of arrays or numbers for a value or a gradient is as good as a tuple."""
    assert judged(lambda x: np.sin(x).tolist(), lambda i, g: (np.array(g) * np.cos(i[0]),)).verdict is Verdict.PASS
    assert judged(np.sin, lambda i, g: [g * np.cos(i[0])]).verdict is Verdict.PASS
    assert judged(np.sin, lambda i, g: g * np.cos(i[0])).verdict is Verdict.PASS


def test_mutation_by_forward_and_by_backward_is_found_and_undone() -> None:
    """Small inputs and large ones: the caller's stay as they were, the finding is MUTATES."""
    for size in (3, 100_000):
        x = np.linspace(-1, 1, size)

        def spoil(x: Any) -> Any:
            y = np.sin(x)
            x[...] = 7.0
            return y

        def spoil_back(inputs: tuple[Any, ...], g: Any) -> Any:
            d = g * np.cos(inputs[0])
            inputs[0][...] = 7.0
            return (d,)

        def spoil_cotangent(inputs: tuple[Any, ...], g: Any) -> Any:
            g *= np.cos(inputs[0])
            return (g.copy(),)

        for f, vjp in ((spoil, sine_back), (np.sin, spoil_back), (np.sin, spoil_cotangent)):
            report = judged(f, vjp, x)
            assert report.verdict is Verdict.FAIL, report
            assert Kind.MUTATES in {finding.kind for finding in report.findings}, report


def test_reshaping_or_locking_an_argument_does_not_reach_the_caller() -> None:
    """Shapes and flags of the caller's arrays are out of reach."""

    def reshape(x: Any) -> Any:
        x.shape = (3, 1)
        return np.sin(x).reshape(3)

    def lock(x: Any) -> Any:
        x.flags.writeable = False
        return np.sin(x)

    for size in (3, 100_000):
        judged(lock, sine_back, np.linspace(-1, 1, size))
    judged(lambda x: reshape(x))


def test_prints_are_the_targets_own(capsys: pytest.CaptureFixture[str]) -> None:
    """gradcheck prints nothing itself."""
    judged(np.sin)
    assert capsys.readouterr() == ("", "")
    judged(lambda x: (print("noise"), np.sin(x))[1])
    assert set(capsys.readouterr().out.split()) == {"noise"}


def test_random_targets_are_nondeterministic_unless_their_stream_is_global() -> None:
    """A stream of its own cannot be reseeded from outside."""
    rng = np.random.default_rng()
    report = judged(lambda x: np.sin(x) + rng.normal())
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.NONDETERMINISTIC)
    first, second = (
        word for word in report.findings[0].message.replace(",", "").split() if any(c.isdigit() for c in word)
    )
    assert first != second, "a message that shows two equal numbers explains nothing"
    report = judged(np.sin, lambda i, g: (g * np.cos(i[0]) * rng.normal(),))
    assert report.findings[0].kind is Kind.NONDETERMINISTIC
    for stream in (lambda: np.random.rand(3) < 0.6, lambda: np.array([random.random() < 0.6 for _ in range(3)])):  # noqa: NPY002
        assert judged(lambda x, s=stream: x * s(), lambda i, g, s=stream: (g * s(),)).verdict is Verdict.PASS


def test_a_small_dropout_layer_passes_wherever_the_global_stream_stands() -> None:
    """Two masks of three entries often agree by chance: the verdict must not hang on that."""

    def mask() -> Any:
        return np.random.rand(3) < 0.6  # noqa: NPY002 - a layer that uses the global stream

    for state in range(30):
        np.random.seed(state)  # noqa: NPY002
        assert judged(lambda x: x * mask(), lambda i, g: (g * mask(),)).verdict is Verdict.PASS, state


def test_tiny_randomness_is_shown_with_digits_that_differ() -> None:
    """Noise of 1e-9 shows in the ninth digit: the message shows it."""
    rng = np.random.default_rng()
    report = judged(lambda x: np.sin(x) * (1 + 1e-9 * rng.normal()))
    assert report.findings[0].kind is Kind.NONDETERMINISTIC
    words = report.findings[0].message.split()
    numbers = [w.strip(",") for w in words if w.strip(",-").replace(".", "").replace("e-", "").isdigit()]
    assert len(numbers) >= 1
    assert len(set(numbers)) == len(numbers), report


def test_state_kept_in_forward_is_nondeterminism() -> None:
    """A counter in the value."""
    calls = [0]

    def f(x: Any) -> Any:
        calls[0] += 1
        return np.sin(x) * calls[0]

    assert judged(f).findings[0].kind is Kind.NONDETERMINISTIC


def test_a_forward_that_returns_one_buffer_is_read_before_the_next_call() -> None:
    """Outputs are copied as they come."""
    buffer = np.zeros(3)
    assert judged(lambda x: np.sin(x, out=buffer)).verdict is Verdict.PASS


def test_values_that_change_shape_or_dtype_are_no_crash() -> None:
    """Another shape a call is inconclusive; another dtype a call, and so another rounding, is nondeterminism."""
    calls = [0]

    def growing(x: Any) -> Any:
        calls[0] += 1
        return np.zeros(calls[0])

    assert judged(growing, lambda i, g: (np.zeros(3),)).verdict is Verdict.INCONCLUSIVE
    report = judged(every(2, np.sin, lambda x: np.sin(x).astype("f4")))
    assert report.findings[0].kind is Kind.NONDETERMINISTIC


def test_errstate_of_the_target_stays_inside() -> None:
    """np.seterr in a layer is undone; raise-on-invalid layers are judged like others."""

    def strict(x: Any) -> Any:
        np.seterr(all="raise")
        return np.sin(x)

    assert judged(strict).verdict is Verdict.PASS
    with np.errstate(all="raise"):
        assert judged(np.sin).verdict is Verdict.PASS
        assert judged(np.log, lambda i, g: (g / i[0],), np.array([0.1, 2.0])).verdict is Verdict.PASS


def test_warnings_as_errors_are_not_ours() -> None:
    """Under -W error neither our own overflow nor a layer's warning ends a check."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert judged(lambda x: (warnings.warn("layer", stacklevel=1), np.sin(x))[1]).verdict is Verdict.PASS
        assert judged(np.sin, lambda i, g: (g / 0.0 * np.cos(i[0]),)).verdict is Verdict.FAIL
        assert judged(lambda x: np.float64(1e308) * x * 10, sine_back).verdict is not Verdict.PASS


def test_strange_array_types_are_taken_by_value() -> None:
    """Masked arrays, matrices and read-only broadcasts."""
    assert judged(np.sin, sine_back, np.broadcast_to(np.float64(0.5), (3,))).verdict is Verdict.PASS
    assert judged(lambda x: np.ma.masked_array(np.sin(x), [0, 1, 0])).verdict is Verdict.PASS
    assert check(from_pair(np.sin, sine_back), [0.5, 1.5]).verdict is Verdict.PASS
    assert check(from_pair(np.sin, sine_back), 0.5).verdict is Verdict.PASS


def test_a_huge_output_is_bounded_by_its_own_size() -> None:
    """10⁶ outputs of 4 inputs: no Jacobian is built (it would be 32 MB; 10⁶ squared would not fit)."""
    ones = np.ones(1_000_000)
    report = judged(lambda x: ones * x.sum(), lambda i, g: (np.full(4, g.sum()),), np.arange(1.0, 5.0))
    assert report.verdict is Verdict.PASS


def test_a_budget_is_honoured_exactly() -> None:
    """Whatever the budget, forward is called at most so often, the report's count is true, no verdict is invented."""
    for wrong in (1.0, 2.0):
        for budget in range(1, 40):
            calls = [0]

            def f(x: Any, calls: list[int] = calls) -> Any:
                calls[0] += 1
                return np.sin(x)

            report = judged(f, lambda i, g, c=wrong: (c * g * np.cos(i[0]),), budget=budget)
            assert calls[0] == report.evaluations <= budget
            assert report.verdict is not (Verdict.PASS if wrong == 2.0 else Verdict.FAIL)
            if budget < 10:
                assert report.verdict is Verdict.INCONCLUSIVE
                assert f"the budget of {budget} forward calls is spent" in report.reasons


def test_a_budget_counts_a_forward_inside_the_pullback_too() -> None:
    """from_pullback's function runs forward whenever it linearises."""
    calls = [0]

    def sine(x: Any) -> Any:
        calls[0] += 1
        return np.sin(x), lambda dy: (dy * np.cos(x),)

    report = check(from_pullback(sine), X)
    assert report.verdict is Verdict.PASS
    assert calls[0] == report.evaluations
    for budget in (1, 2, 3, 5, 8):
        calls[0] = 0
        assert check(from_pullback(sine), X, budget=budget).evaluations == calls[0] <= budget


def hanging(*arguments: Any) -> Any:
    while True:
        time.sleep(0.005)


def swallowing(*arguments: Any) -> Any:
    """Eats whatever is thrown at it, once a call."""
    try:
        hanging()
    except BaseException:
        return np.zeros(3)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no SIGALRM on this platform")
@pytest.mark.parametrize("which", ["f", "vjp"])
@pytest.mark.parametrize("hang", [hanging, swallowing])
def test_timeout_ends_an_evaluation_that_never_returns(which: str, hang: Callable[..., Any]) -> None:
    """INCONCLUSIVE with the reason, the alarm handed back, even if the target swallows what interrupts it."""
    before = signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        handler = signal.getsignal(signal.SIGALRM)
        report = judged(hang if which == "f" else np.sin, hang if which == "vjp" else sine_back, timeout=0.1)
        assert signal.getsignal(signal.SIGALRM) is handler
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    finally:
        signal.signal(signal.SIGALRM, before)
    assert report.verdict is Verdict.INCONCLUSIVE, report
    assert any(re.search("the time .* is over", reason) for reason in report.reasons)


def _too_late(signum: int, frame: Any) -> None:
    raise AssertionError("the alarm of a check outlived it")


def test_a_timeout_that_is_not_needed_changes_nothing() -> None:
    """The same report with and without."""
    assert judged(np.sin, timeout=60.0) == judged(np.sin)


def test_a_slow_target_is_only_slow() -> None:
    """A millisecond a call."""
    assert judged(lambda x: (time.sleep(0.001), np.sin(x))[1]).verdict is Verdict.PASS


def test_a_hostile_target_does_not_end_a_search() -> None:
    """Raising for some sizes only: found, shrunk and reported."""

    def vjp(inputs: tuple[Any, ...], g: Any) -> Any:
        if inputs[0].shape[0] > 2:
            raise IndexError("index 2 is out of bounds")
        return (g * np.cos(inputs[0]),)

    report = search(from_pair(np.sin, vjp), x=("n",), seed=0)
    assert (report.verdict, report.findings[0].kind) == (Verdict.FAIL, Kind.RAISES)
    assert report.case.inputs[0].shape == (3,)  # type: ignore[attr-defined]
    assert search(from_pair(raising(ValueError("always")), sine_back), x=("n",), seed=0).verdict is Verdict.INCONCLUSIVE


def test_floats_of_a_byte_are_refused_by_name(require: Any) -> None:
    """Three bits leave nothing to difference; the error names the dtype and what is taken."""
    ml_dtypes = require("ml_dtypes")
    with pytest.raises(ValueError, match=r"no input to differentiate.*float8_e4m3fn.*bfloat16 to longdouble"):
        check(from_pair(np.negative, lambda i, g: (-g,)), np.ones(3, ml_dtypes.float8_e4m3fn))


def test_a_real_input_with_complex_outputs_may_follow_either_convention() -> None:
    """rfft's pullback is Re(conj(F)ᵀv) by one convention and Re(Fᵀv) by JAX's; the note says which it was."""
    matrix = np.fft.rfft(np.eye(4)).T
    for right, notes in ((lambda i, g: ((matrix.conj().T @ g).real,), 0), (lambda i, g: ((matrix.T @ g).real,), 1)):
        report = check(from_pair(lambda x: matrix @ x, right), np.arange(4.0))
        assert report.verdict is Verdict.PASS, report
        assert len(report.notes) == notes
    assert check(from_pair(lambda x: matrix @ x, lambda i, g: (2 * (matrix.T @ g).real,)), np.arange(4.0)).findings


def test_a_complex_scalar_is_judged_by_either_convention() -> None:
    """A conjugated 0-d cotangent is still an array."""
    for back in (lambda i, g: (g * np.conj(i[0]),), lambda i, g: (g * i[0],)):
        assert check(from_pair(lambda z: (z * z).sum() / 2, back), np.arange(3) + 1j).verdict is Verdict.PASS


def test_an_output_of_minus_infinity_beside_others_is_no_crash() -> None:
    """A masked log-softmax: the masked outputs are −inf whatever the inputs are."""
    mask = np.array([True, True, False])

    def masked(x: Any) -> Any:
        shifted = np.where(mask, x, -np.inf)
        return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))

    def back(i: tuple[Any, ...], g: Any) -> Any:
        kept = np.where(mask, g, 0.0)
        return (kept - np.exp(masked(i[0])) * kept.sum(-1, keepdims=True),)

    for x in (np.zeros((3, 3)), np.random.default_rng(0).normal(size=(3, 3))):
        assert check(from_pair(masked, back), x).verdict is not Verdict.FAIL
    nowhere = from_pair(lambda x: np.full_like(x, -np.inf), lambda i, g: (0 * g,))
    assert check(nowhere, np.zeros((2, 1))).verdict is Verdict.INCONCLUSIVE
