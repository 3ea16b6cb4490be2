"""Records: every verdict as one line of JSON, by a schema with a version (docs/records.md), and back.

A line that cannot be read is reported by file and line number and skipped: one torn line of a worker that was killed
does not cost the others, and none is lost in silence.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gradcheck.render.cases import encode, shown
from gradcheck.render.environment import environment
from gradcheck.render.schema import SCHEMA, TOLD, Record, case_of, checked, cost_of, is_cost, look_of, report_of
from gradcheck.report import Kind, Report, Verdict

__all__ = [
    "SCHEMA", "Record", "append", "case_of", "cost_of", "is_cost", "look_of", "read", "record", "report_of", "save",
]  # fmt: skip


def record(
    report: Report,
    *,
    target_ref: str,
    case: Any = None,
    profile: str = "",
    options: Mapping[str, Any] | None = None,
    look: Any = None,
) -> Record:
    """A report as a record.

    target_ref: where the target is found again: "module:attr", or "path/to/test_file.py::test_name". case: the tuple of
    inputs that was judged, or what has `inputs` and `sizes`; by default the report's own. A case that is no data (see
    `gradcheck.render.cases`) is recorded by its repr alone, with the reason. options: those of `check` that were given.
    look: a `gradcheck.judge.closer.Look`, where one was taken.

    >>> from gradcheck.report import Report, Verdict
    >>> made = record(Report(Verdict.PASS, "tanh", resolution=1e-11), target_ref="layers:tanh")
    >>> made["schema"], made["verdict"], made["report"]["resolution"]
    (1, 'pass', 1e-11)
    """
    told = jsonable(
        {name: getattr(report, name) for name in TOLD}
        | {"findings": [asdict(finding) for finding in report.findings], "blocks": [asdict(b) for b in report.blocks]}
        | {"resolutions": list(report.resolutions.items())}
    )
    return signed(
        {
            "verdict": report.verdict.value,
            "target": report.target,
            "ref": target_ref,
            "headline": report.headline(),
            "report": told,
            "case": _case(report.case if case is None else case),
            "options": dict(options or {}),
            "profile": profile,
            "look": None if look is None else jsonable(asdict(look)),
        }
    )


def signed(told: Record) -> Record:
    """What is told in plain JSON, with the schema, a name by its content, the time and the environment."""
    made: Record = {"schema": SCHEMA, **told}
    name = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:12]
    return made | {"id": name, "at": datetime.now(UTC).isoformat(timespec="seconds"), "environment": environment()}


def append(path: str | Path, made: Record) -> None:
    """Add one line to a file of records, making it and its directory where there is none.

    The line goes out in one write to a file opened for appending, so that several processes may share it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(json.dumps(made, allow_nan=False, separators=(",", ":")).encode() + b"\n")


def save(made: Record, directory: str | Path = ".gradcheck") -> str:
    """Write one record to a file of its own, named by its content; return the command that judges it again."""
    path = Path(directory) / f"{made['id']}.json"
    path.unlink(missing_ok=True)
    append(path, made)
    return f"gradcheck replay {path}"


def read(paths: Iterable[str | Path]) -> tuple[list[Record], list[str]]:
    """All records of these files that can be read, each with its `source` "file:line"; and a complaint for every other.

    Raises OSError where a file cannot be opened.
    """
    records: list[Record] = []
    complaints: list[str] = []
    for path in paths:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                source = f"{path}:{number}"
                try:
                    made = _read(line)
                except (ValueError, RecursionError) as error:
                    complaints.append(f"{source}: skipped: {_words(error)}")
                else:
                    records.append(made | {"source": source})
    return records, complaints


# -- writing --------------------------------------------------------------------------------------------------------


def _case(case: Any) -> dict[str, Any] | None:
    if case is None:
        return None
    if isinstance(case, tuple | list):
        from gradcheck.judge.case import Case as Spelled  # its repr is runnable; NumPy's leaves out entries

        case = Spelled(tuple(case))
    inputs = getattr(case, "inputs", ())
    made: dict[str, Any] = {"python": shown(case), "sizes": dict(getattr(case, "sizes", {}))}
    try:
        return made | {"inputs": [encode(value) for value in inputs]}
    except TypeError as error:
        return made | {"missing": str(error)}


def jsonable(value: Any) -> Any:
    """Plain JSON: enums by name, complex numbers as pairs, NaN and infinities as strings, NumPy's numbers too."""
    if isinstance(value, Kind):
        return value.name
    if isinstance(value, Verdict):
        return value.value
    if isinstance(value, dict):
        return {str(key): jsonable(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [jsonable(part) for part in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, complex):
        return [jsonable(value.real), jsonable(value.imag)]
    if isinstance(value, float):
        return float(value) if value - value == 0 else str(float(value))
    return jsonable(value.item())


# -- reading --------------------------------------------------------------------------------------------------------


def _read(line: bytes) -> Record:
    made = json.loads(line)
    if not isinstance(made, dict) or not isinstance(made.get("schema"), int):
        raise ValueError("no record of gradcheck: it has no schema number")
    if made["schema"] > SCHEMA:
        raise ValueError(f"schema {made['schema']} is newer than {SCHEMA}, which this gradcheck reads; upgrade it")
    return checked(made)


def _words(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: {error.reason} at byte {error.start}"
    return f"nested too deeply to be read: {error}" if isinstance(error, RecursionError) else str(error)
