"""Hypotheses: what a wrong gradient may look like, each tried on a survey by itself.

A hypothesis yields a Guess, with its evidence in words, where claim and finite difference fit it; `guesses` tries them
in the order in which they are believed.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from gradcheck.judge.arrangements import diagonal, moved, other_axes
from gradcheck.judge.bench import BackwardError
from gradcheck.judge.conditions import batch, branch, missing, partly_missing, repeated
from gradcheck.judge.factors import is_plain, ratio, scaled
from gradcheck.judge.remainders import close, representable, rounded, term
from gradcheck.judge.survey import Guess, Survey
from gradcheck.report import Kind


def guesses(s: Survey) -> Iterator[Guess]:
    """Every diagnosis that fits, best first; OTHER at the end, so that there is always one."""
    hypotheses: list[Callable[[Survey], Iterator[Guess]]] = [
        representable,
        missing,
        repeated,
        moved,
        term,
        branch,
        diagonal,
        other_axes,
        partly_missing,
        scaled,
        rounded,
        batch,
        close,
    ]
    factor = ratio(s)
    everywhere = s.wrong.all() and s.wrong.size > 1
    if factor is not None and (everywhere or (s.wrong.size < 4 and is_plain(s, factor))):
        hypotheses.remove(scaled)  # one factor explains everything, or there is too little to see more in
        hypotheses.insert(1, scaled)
    seen: set[Kind] = set()
    for hypothesis in hypotheses:
        if hypothesis is batch and seen:
            continue  # a check of its own, and dear: only where nothing simpler fits
        with suppress(BackwardError):
            for guess in hypothesis(s):
                if guess.kind not in seen:  # the second time it is the same mistake in other words
                    seen.add(guess.kind)
                    yield guess
    if not seen:
        wrong = int(s.wrong.sum())
        yield Guess(Kind.OTHER, f"{wrong} of {s.wrong.size} entries looked at are wrong, in no pattern known here")
