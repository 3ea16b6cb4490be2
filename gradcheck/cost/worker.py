"""The other end of a measurement in a process of its own: ``python -m gradcheck.cost.worker SPEC SIZE …``.

It makes the works, answers where their code lies, and then runs one for every line that it reads: ``time PLACE``
answers with the seconds of that work and of the calibration kernel; ``mark PLACE`` runs it inside `dir`, which
callgrind can tell from the rest.
"""

import gc
import os
import sys
from functools import partial
from typing import Any

from gradcheck.cost.calibration import kernel
from gradcheck.cost.clock import seconds, shortest
from gradcheck.cost.spec import Spec
from gradcheck.cost.work import as_it_is


class Marked:
    """Runs a call inside the C function `PyObject_Dir`, which callgrind can be told to watch."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def __dir__(self) -> list[str]:
        self.call()
        return []


def main(arguments: list[str]) -> int:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the measured code prints must not be taken for an answer
    spec = Spec.read(arguments[0])
    make = spec.factory()
    works = [make(int(size)) for size in arguments[1:]]
    prepared = [partial(work.prepare, as_it_is) for work in works]
    for prepare in prepared:
        prepare()()  # imports and caches
    gc.collect()
    gc.disable()
    print(sys.modules[spec.module].__file__, file=answers)
    for line in sys.stdin:
        verb, place = line.split()
        if verb == "mark":
            dir(Marked(prepared[int(place)]()))
            print("done", file=answers)
        else:
            print(shortest(prepared[int(place)]), seconds(lambda: kernel), file=answers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
