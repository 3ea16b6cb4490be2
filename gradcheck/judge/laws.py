"""Laws of a pullback: exact, cheap, no finite differences.

A pullback is a linear map, its gradients have the shape and dtype of their inputs, the same question gets the same
answer, and nobody's memory is written to or shared. Each law is a small function of a `Hearing` that yields the
findings against it.
"""

from collections.abc import Callable, Iterator

import numpy as np

from gradcheck.floats import differentiable, promoted
from gradcheck.judge.bench import BackwardError, ForwardError
from gradcheck.judge.hearing import REORDERED, Hearing, as_gradient, ask, flattened
from gradcheck.judge.linearity import is_linear
from gradcheck.judge.reals import Array, identical
from gradcheck.report import Finding, Kind, place

Law = Callable[[Hearing], Iterator[Finding]]

_LARGE = 100_000
"""Entries beyond which a question is not asked in every form: an array of its own costs memory."""


# -- what came back ---------------------------------------------------------------------------------------------


def none_only_where_declared(h: Hearing) -> Iterator[Finding]:
    """None stands for an input that carries no gradient, and such an input is declared frozen."""
    for b, gradient in enumerate(h.raw):
        if gradient is None:
            message = f"backward returns None for {place(h.name(b))}, which is not declared frozen"
            yield Finding(Kind.ZERO, message, h.name(b))


def dtypes_match(h: Hearing) -> Iterator[Finding]:
    """A gradient has the dtype of its input: not an integer's, not a complex number's for a real input, neither
    coarser nor finer.
    """
    values = [m.dtype for m in h.bench.models if differentiable(m)]
    for b, (gradient, position) in enumerate(zip(h.raw, h.bench.blocks, strict=True)):
        if gradient is None or (isinstance(gradient, float | complex) and not isinstance(gradient, np.generic)):
            continue  # Python's numbers have no dtype of their own
        found, expected = np.asarray(gradient).dtype, h.bench.primals[position].dtype
        widened = {promoted(expected, v) for v in values}  # a value wider than its inputs widens its gradients
        if found != expected and found not in widened:
            yield Finding(
                Kind.DTYPE, f"backward of {place(h.name(b))} returns {found} for an input of {expected}", h.name(b)
            )


def memory_is_its_own(h: Hearing) -> Iterator[Finding]:
    """Gradients share no writable memory with each other, with the cotangent or with an input.

    Whoever adds into one of them in place would change the other. Read-only views (`broadcast_to`) cannot be written
    to.
    """
    arrays = [(b, g) for b, g in enumerate(h.raw) if isinstance(g, np.ndarray) and g.size and g.flags.writeable]
    for n, (b, gradient) in enumerate(arrays):
        for other, earlier in arrays[:n]:
            if np.shares_memory(gradient, earlier):
                message = f"backward of {place(h.name(other))} and {place(h.name(b))} returns the same memory twice"
                yield Finding(Kind.ALIASES, message, h.name(b))
        if any(np.shares_memory(gradient, g) for g in h.given):
            yield Finding(
                Kind.ALIASES, f"backward of {place(h.name(b))} returns memory of the cotangent, not a copy", h.name(b)
            )
        elif any(np.shares_memory(gradient, a) for a in h.bench.linear_arguments):
            yield Finding(
                Kind.ALIASES, f"backward of {place(h.name(b))} returns memory of an input, not a copy", h.name(b)
            )


def arguments_are_left_alone(h: Hearing) -> Iterator[Finding]:
    """Neither inputs nor cotangents are written to."""
    for given, clean in zip(h.given, h.bench.cotangents(h.cotangent), strict=True):
        if not identical(given, clean):
            yield Finding(Kind.MUTATES, "backward writes into its cotangent")
            break
    h.bench.settle()
    for position in sorted(h.bench.mutated):
        label = h.bench.target.label(position)
        yield Finding(Kind.MUTATES, f"{place(label)} is written to by forward or backward", label)


# -- asked again ------------------------------------------------------------------------------------------------


def asking_twice_changes_nothing(h: Hearing) -> Iterator[Finding]:
    """The same question gets the same answer, and the first answer stays what it was."""
    again = ask(h, h.cotangent)
    for b in h.disagreements(again, h.gradients):
        third = ask(h, h.cotangent)
        if np.allclose(third[b] - again[b], again[b] - h.gradients[b], rtol=1e-6, atol=0) and np.any(
            third[b] != again[b]
        ):
            yield h.finding(Kind.ACCUMULATES, b, again[b], h.gradients[b], "adds to what an earlier call returned")
            continue
        if not h.bench.reseeds:
            h.bench.reseeds = True  # reseed once before blaming: dropout draws from the global stream
            h.gradients = ask(h, h.cotangent)
            if not list(h.disagreements(ask(h, h.cotangent), h.gradients)):
                return
        yield h.finding(Kind.NONDETERMINISTIC, b, again[b], h.gradients[b], "answers the same question differently")


def first_answer_stays(h: Hearing) -> Iterator[Finding]:
    """What was returned for one cotangent is not overwritten by the answer to another."""
    ask(h, -2.0 * h.cotangent)
    if h.bench.reseeds:
        return
    for b, (raw, gradient) in enumerate(zip(h.raw, h.gradients, strict=True)):
        if isinstance(raw, np.ndarray):
            now = h.bench.flat(as_gradient(raw, h.bench.primals[h.bench.blocks[b]]))
            if not np.array_equal(now, gradient, equal_nan=True):
                yield h.finding(
                    Kind.ALIASES, b, now, gradient, "is overwritten by the next call: it returns its own buffer"
                )


# -- asked in another form --------------------------------------------------------------------------------------


def layout_does_not_matter(h: Hearing) -> Iterator[Finding]:
    """Read-only, strided and Fortran-ordered arrays of the same values get the same answer."""
    if sum(g.size for g in h.gradients) > _LARGE or len(h.cotangent) > _LARGE:
        return  # a layout does not care for size, and memory does
    strided = [_strided(g) for g in h.bench.cotangents(h.cotangent)]
    for part in strided:
        part.flags.writeable = False
    reordered = {i: np.asfortranarray(p) for i, p in enumerate(h.bench.primals) if p.ndim > 1 and 1 < p.size <= 4096}
    trials: list[tuple[str, list[Array], dict[int, Array] | None]] = [("a read-only, strided cotangent", strided, None)]
    fortran = [np.array(part, order="F") for part in h.bench.cotangents(h.cotangent)]
    if reordered or any(part.ndim > 1 for part in fortran):
        trials.append(("Fortran-ordered arrays", fortran, reordered))
    for what, given, moved in trials:
        try:
            outcome = h.bench.gradients(h.bench.pull_structured(given, moved))
        except BackwardError as error:
            if moved and _refused(h, moved):  # forward's own rule: torch's x.view(-1) wants x in C order, and says so
                trials.append(("a Fortran-ordered cotangent", given, None))
                continue
            yield Finding(Kind.RAISES, f"{error.message} for {what}")
            continue
        found = flattened(h.bench, outcome)
        for b in h.disagreements(found, h.gradients, REORDERED):
            yield h.finding(Kind.OTHER, b, found[b], h.gradients[b], f"is another for {what} of the same values")


def _refused(h: Hearing, moved: dict[int, Array]) -> bool:
    """Whether forward raises for these arrays, before backward is asked."""
    try:
        h.bench.value(moved)
    except ForwardError:
        return True
    return False


def _strided(array: Array) -> Array:
    """The same values, every second entry of a larger array."""
    if not array.ndim:
        return array.copy()
    roomy = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    roomy[..., ::2] = array
    return roomy[..., ::2]


# -- asked later ------------------------------------------------------------------------------------------------


def other_calls_leave_no_trace(h: Hearing) -> Iterator[Finding]:
    """After forward calls at other points, backward at this one answers as before."""
    later = ask(h, h.cotangent)
    for b in h.disagreements(later, h.gradients):
        yield h.finding(Kind.STALE, b, later[b], h.gradients[b], "changes when forward is called elsewhere in between")
    if later and not list(h.disagreements(later, h.gradients)):
        fresh = ask(h, h.cotangent, fresh=True)
        for b in h.disagreements(fresh, h.gradients):
            yield h.finding(Kind.STALE, b, fresh[b], h.gradients[b], "depends on the calls made before it")


LAWS: dict[str, Law] = {
    "arguments_are_left_alone": arguments_are_left_alone,
    "none_only_where_declared": none_only_where_declared,
    "dtypes_match": dtypes_match,
    "memory_is_its_own": memory_is_its_own,
    "asking_twice_changes_nothing": asking_twice_changes_nothing,
    "first_answer_stays": first_answer_stays,
    "is_linear": is_linear,
    "layout_does_not_matter": layout_does_not_matter,
    "other_calls_leave_no_trace": other_calls_leave_no_trace,
}
"""Every law, in the order in which a check hears them. Shapes, and errors raised, are noticed by the call itself."""

FIRST = ("asking_twice_changes_nothing",)
"""Heard before anything else is asked, so that three answers in a row tell accumulation from noise."""

LAST = ("other_calls_leave_no_trace",)
"""Heard after the probes: they are about what forward calls elsewhere leave behind."""
