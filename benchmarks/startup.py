"""What it costs to start: importing gradcheck against importing NumPy, and pytest with the idle plugin against without.

    python -m benchmarks.startup [--rounds 15]

Whole processes, run in turns, and the medians of the processor's time compared; the plugin's part by instructions.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from gradcheck.cost.callgrind import read_total

IMPORTS = {
    "python": "pass",
    "import numpy": "import numpy",
    "import gradcheck": "import gradcheck",
    # but search and verify, which are made of Hypothesis and pytest
    "its names used": "import gradcheck as g; [getattr(g, n) for n in set(g.__all__) - {'search', 'verify'}]",
    "check called": (
        "import gradcheck, numpy as np; "
        "gradcheck.check(gradcheck.from_pair(np.tanh, lambda x, g: (g * (1 - np.tanh(x[0]) ** 2),)), np.ones(3))"
    ),
}


def clean(**more: str) -> dict[str, str]:
    """The environment as users have it: without compiled files pytest would rewrite its plugins at every start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | more


def seconds(command: Sequence[str], folder: str | None = None) -> float:
    """The processor's seconds of a process, which must end well."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=clean())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu(call: Callable[[], object]) -> float:
    """The processor's seconds of the second of two calls: the first one imports."""
    call()
    start = time.process_time()
    call()
    return time.process_time() - start


def imports(rounds: int) -> dict[str, float]:
    """Median seconds of a Python that runs each line."""
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(rounds):
        for name, code in IMPORTS.items():
            times[name].append(seconds([sys.executable, "-c", code]))
    return {name: median(found) for name, found in times.items()}


def idle() -> tuple[float, float]:
    """What the idle plugin adds to a bare pytest run, in seconds of the processor, and its share of the instructions.

    The share is counted by callgrind, since medians of whole runs scatter by more than 5 ms where other work is beside;
    the seconds are that share of a bare run's. Raises RuntimeError where valgrind is not installed or a run fails.
    """
    with TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
        idle = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        bare = [*idle, "-p", "no:gradcheck"]
        seconds(idle, folder)  # compiles what is imported
        share = instructions(idle, folder) / instructions(bare, folder) - 1
        return share * median(seconds(bare, folder) for _ in range(9)), share


def instructions(command: Sequence[str], folder: str) -> int:
    """The instructions of a process; what it starts itself is left out. Raises RuntimeError where it fails."""
    out = Path(folder, "callgrind.out")
    counted = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command]
    run = subprocess.run(counted, cwd=folder, capture_output=True, text=True, env=clean(PYTHONHASHSEED="0"))
    if run.returncode:
        raise RuntimeError(f"callgrind of {' '.join(command)} ended with {run.returncode}: {run.stderr[-200:]}")
    return read_total(out.read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args(arguments).rounds
    found = imports(rounds)
    for name, spent in found.items():
        print(f"{name:<20}{1e3 * spent:7.1f} ms   {spent / found['import numpy']:.2f} of import numpy")
    spent, share = idle()
    print(f"{'the idle plugin':<20}{1e3 * spent:+7.1f} ms, {share:.1%} of the instructions of a bare pytest run")


if __name__ == "__main__":
    main()
