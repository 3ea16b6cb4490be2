"""Runs kept for later, in pytest-benchmark's storage and format: its `compare`, `list` and histograms read them too.

Beside what pytest-benchmark knows of the machine, a run keeps how long the calibration kernel took. Another machine, or
this one under load, is recognised by it, and is said, not compared: between the runners of one CI service times differ
by 26%, and ratios do not cancel it.
"""

# mypy: allow-untyped-calls
# pytest-benchmark has a py.typed and no annotations.

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.cost.regression import Comparison, Sample, separate
from gradcheck.cost.spec import Spec

FOLDER = ".benchmarks"  # pytest-benchmark's own default
# The kernel repeats within 2% by the shortest of 30 runs; a busy neighbour on the same core makes it 40–60% slower.
SAME_MACHINE = 1.10


class NothingToCompareError(Exception):
    """There is no run to compare with, or none of this machine."""


class CorruptError(ValueError):
    """A stored run cannot be read."""


def save(name: str, spec: Spec, sizes: Sequence[int], samples: Sequence[Sample], folder: str = FOLDER) -> Path:
    """Store a run under the next number; returns the file, ``.benchmarks/Linux-CPython-3.12-64bit/0001_name.json``."""
    from pytest_benchmark.plugin import pytest_benchmark_generate_machine_info
    from pytest_benchmark.stats import Stats
    from pytest_benchmark.utils import get_commit_info

    storage = _storage(folder)
    before = set(storage.query())
    rows = []
    for place, size in enumerate(sizes):
        stats = Stats()
        for sample in samples:
            stats.update(sample.seconds[place])
        title = f"{spec.name}[{size}]"
        rows.append(
            {
                "group": spec.name,
                "name": title,
                "fullname": title,
                "params": {"size": size},
                "param": str(size),
                "extra_info": {"spec": str(spec), "kernel": [sample.kernel for sample in samples]},
                "options": {"disable_gc": True, "timer": "process_time", "warmup": True},
                "stats": {**stats.as_dict(), "data": stats.data, "iterations": 1},
            }
        )
    run = {
        "machine_info": {**pytest_benchmark_generate_machine_info(), "numpy": np.__version__},
        "commit_info": get_commit_info(),
        "benchmarks": rows,
        "datetime": datetime.now(UTC).isoformat(),
        "version": version("pytest-benchmark"),
    }
    storage.save(run, name)
    (made,) = set(storage.query()) - before
    return Path(made)


@dataclass(frozen=True)
class Baseline:
    """A stored run: its file, the sizes, a sample a process, and the name of the processor."""

    path: Path
    sizes: tuple[int, ...]
    samples: tuple[Sample, ...]
    processor: str


def load(named: str, spec: Spec, folder: str = FOLDER) -> Baseline:
    """The stored run of a spec, by its file, its number, or "last".

    Raises NothingToCompareError where there is none, CorruptError for a file that cannot be read.
    """
    runs = [Path(path) for path in _storage(folder).query("[0-9]*" if named == "last" else named)]
    if not runs:
        wanted = "no run is stored yet" if named == "last" else f"there is no stored run {named!r}"
        raise NothingToCompareError(f"{wanted} in {folder}: store one with --save NAME")
    path = runs[-1]
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        processor = stored["machine_info"]["cpu"].get("brand_raw", "an unnamed processor")
        rows = [row for row in stored["benchmarks"] if row.get("extra_info", {}).get("spec") == str(spec)]
        sizes = tuple(int(row["params"]["size"]) for row in rows)
        times = zip(*(map(float, row["stats"]["data"]) for row in rows), strict=True)
        kernels = map(float, rows[0]["extra_info"]["kernel"]) if rows else ()
        samples = tuple(Sample(seconds, kernel) for seconds, kernel in zip(times, kernels, strict=True))
        if rows and (len(samples) < 2 or not all(min(*s.seconds, s.kernel) > 0 for s in samples)):
            raise ValueError("fewer than two samples, or a time that is not positive")
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        what = f"{type(error).__name__}: {error}"
        raise CorruptError(
            f"{path.name} cannot be read as a stored run ({what}): delete it, and store another"
        ) from error
    if not rows:
        raise NothingToCompareError(f"{path.name} holds no run of {spec.name}: store one with --save NAME")
    return Baseline(path, sizes, samples, processor)


def compare(base: Baseline, samples: Sequence[Sample]) -> Comparison:
    """Compare a run with a stored one of the same spec and sizes; NothingToCompareError for another machine's."""
    theirs, ours = (min(sample.kernel for sample in run) for run in (base.samples, samples))
    if max(theirs, ours) > SAME_MACHINE * min(theirs, ours):
        raise NothingToCompareError(
            f"{base.path.name} is of another machine ({base.processor}), or of this one under another load: the "
            f"calibration kernel took {theirs * 1e3:.3g} ms there and takes {ours * 1e3:.3g} ms here. Compare base and "
            "head in one job with --against instead"
        )
    return separate(base.samples, samples)


def _storage(folder: str) -> Any:
    from pytest_benchmark.storage.file import FileStorage
    from pytest_benchmark.utils import get_machine_id

    return FileStorage(folder, logging.getLogger("gradcheck.cost"), default_machine_id=get_machine_id())
