"""What it costs to start: importing gradcheck against importing NumPy, and pytest with the idle plugin against without.

    python -m benchmarks.startup [--rounds 15]

Whole processes, run in turns, and the medians of the processor's time compared.
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


def seconds(command: Sequence[str], folder: str | None = None) -> float:
    """The processor's seconds of a process, which must end well."""
    # Without compiled files pytest rewrites its plugins at every start, ours among them: 17 ms in place of 3.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
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


def plugin(rounds: int) -> float:
    """Median of the paired differences, in seconds, of a bare pytest run with the plugin and without it."""
    with TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
        bare = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        pairs = []
        for _ in range(rounds + 1):  # the first pair compiles what is imported, and is left out
            pairs.append(seconds(bare, folder) - seconds([*bare, "-p", "no:gradcheck"], folder))
    return median(pairs[1:])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args(arguments).rounds
    found = imports(rounds)
    for name, spent in found.items():
        print(f"{name:<20}{1e3 * spent:7.1f} ms   {spent / found['import numpy']:.2f} of import numpy")
    print(f"{'the idle plugin':<20}{1e3 * plugin(rounds):+7.1f} ms of a pytest run")


if __name__ == "__main__":
    main()
