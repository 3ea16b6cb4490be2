"""Instruction counts: what a backward pass makes the processor do, inside C too, repeatable to a millionth.

Valgrind's callgrind runs a process of its own, some 10 s for all sizes together. The backward pass is told from the
rest of the process by the C function that it is called from: `dir` is hardly used, and asks the object's `__dir__`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from gradcheck.cost.spec import Spec

MARK = "PyObject_Dir"


class MissingError(RuntimeError):
    """There are no instruction counts here, and why."""


def instructions(spec: Spec, sizes: Sequence[int]) -> list[int]:
    """Instructions of one backward pass at each size.

    Raises MissingError where valgrind is not installed or this Python hides the function, RuntimeError with the last
    line of what the process said where it fails.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise MissingError("valgrind is not installed (Debian, Ubuntu: the package valgrind)")
    with TemporaryDirectory() as folder:
        options = [f"--toggle-collect={MARK}", f"--dump-after={MARK}", f"--callgrind-out-file={folder}/out"]
        worker = [sys.executable, "-m", "gradcheck.cost.worker", str(spec), *map(str, sizes)]
        run = subprocess.run(
            [valgrind, "--tool=callgrind", *options, *worker],
            input="".join(f"mark {place}\n" for place in range(len(sizes))),
            capture_output=True,
            text=True,
            check=False,
            # The order of sets and dictionaries by hash, and threads, would differ from run to run.
            env={**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        if run.returncode:
            said = [line for line in run.stderr.splitlines() if line and not line.startswith("==")]
            why = said[-1] if said else f"exit code {run.returncode}"
            raise RuntimeError(f"callgrind of {spec.name} failed: {why}")
        # One dump after every return from the function; those before ours are of imports that use `dir` themselves.
        dumps = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))[-len(sizes) :]
        counts = [read_total(path.read_text(encoding="utf-8")) for path in dumps]
    if len(counts) < len(sizes) or not all(counts):
        raise MissingError(f"callgrind cannot see {MARK} in this Python: it was compiled into its callers")
    return counts


def read_total(text: str) -> int:
    """The number of instructions in a dump of callgrind.

    >>> read_total("events: Ir\\nsummary: 12\\ntotals: 12\\n")
    12
    """
    totals = [line.split()[1] for line in text.splitlines() if line.startswith("totals:")]
    return int(totals[0]) if totals else 0
