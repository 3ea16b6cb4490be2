"""Records: what is written reads back the same, what cannot be read is named, and nothing in a record is executed."""

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradcheck import Kind, Report, Verdict, check, search
from gradcheck.cost.curve import Curve
from gradcheck.cost.scaling import fit
from gradcheck.judge.closer import look as take_look
from gradcheck.render.block import block
from gradcheck.render.cases import LARGEST, decode, encode
from gradcheck.render.costs import cost_record
from gradcheck.render.records import (
    SCHEMA,
    append,
    case_of,
    cost_of,
    is_cost,
    look_of,
    read,
    record,
    report_of,
    save,
)
from gradcheck.render.text import drawn

X = np.array([[0.3, -1.2], [1.1, 0.4]])
DTYPES = ["bool", "int8", "int64", "uint64", "float16", "float32", "float64", "complex64", "complex128", "longdouble"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["nan", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def failing() -> Report:
    return search((np.sin, lambda i, g: (2 * g * np.cos(i[0]),)), x=("n",), seed=0, max_examples=20)


def _good() -> dict[str, Any]:
    target = (np.sin, lambda i, g: (2 * g * np.cos(i[0]),))
    report = check(target, X)
    return record(report, target_ref="m:f", case=(X,), look=take_look(target, X, report=report))


GOOD = _good()


def through_json(value: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)))


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(DTYPES).flatmap(lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, min_side=0)))
)
def test_every_array_reads_back_to_the_last_bit(array: Any) -> None:
    """Values, shape, dtype, infinities, negative zeros and subnormals; of a NaN, that it is one."""
    back = through_json(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array, equal_nan=array.dtype.kind in "fc")
    if array.dtype.kind == "f":
        number = ~np.isnan(array)
        assert np.array_equal(np.signbit(back[number]), np.signbit(array[number]))


@settings(deadline=None, max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_every_container_of_numbers_reads_back(value: Any) -> None:
    """None, numbers, tuples, lists and dicts come back with their types."""
    assert repr(through_json(value)) == repr(value)


def test_bfloat16_reads_back(require: Any) -> None:
    """NumPy's bfloat16 is that of ml_dtypes."""
    array = np.array([1.5, -0.0, np.inf, 3e38, 1e-40]).astype(require("ml_dtypes").bfloat16)
    back = through_json(array)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int64", "complex64"])
def test_tensors_come_back_as_tensors(require: Any, name: str) -> None:
    """What was judged as a tensor of torch is handed to the target as one."""
    torch = require("torch")
    tensor = torch.tensor([[1.5, -2.25]]).to(getattr(torch, name))
    back = through_json(tensor)
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


def test_arrays_of_jax_come_back_as_such(require: Any) -> None:
    """The framework is told by the name of the array's module, without importing it."""
    jax = require("jax")
    back = through_json(jax.numpy.array([1.5, 2.0], dtype="float32"))
    assert isinstance(back, jax.Array)
    assert back.tolist() == [1.5, 2.0]


@pytest.mark.parametrize("value", ["text", b"bytes", object(), np.array(["text"]), np.array([None]), {1: 2.0}])
def test_what_is_no_data_is_refused_in_words(value: Any) -> None:
    """Text above all: a target that is handed a string out of somebody's file may do anything with it."""
    with pytest.raises(TypeError, match="a case holds arrays"):
        encode(value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"array": {"dtype": "float64", "shape": [2, 2], "data": [1.0]}}, r"shape \[2, 2\] cannot have 1 entries"),
        ({"array": {"dtype": "float64", "shape": [-1], "data": [1.0]}}, "cannot have 1 entries"),
        ({"array": {"dtype": "object", "shape": [1], "data": [1.0]}}, "dtype 'object' is not one of bool, int8"),
        ({"array": {"dtype": "int8", "shape": [1], "data": [1000]}}, "array of int8 cannot hold its data"),
        ({"array": {"dtype": "float64", "shape": [1], "data": [{"a": 1}]}}, "array of float64 cannot hold its data"),
        ({"array": {"dtype": "int8", "shape": [1], "data": [1]}, "framework": "os"}, "framework 'os' is not one of"),
        ({"text": "rm"}, "is no value of a case"),
        ("text", "'text' is no value of a case"),
        (None, "None is no value of a case"),
    ],
)
def test_a_broken_case_is_an_error_that_says_how(data: Any, words: str) -> None:
    """Wrong sizes, unknown dtypes and frameworks, values that do not fit."""
    with pytest.raises(ValueError, match=words):
        decode(data)


def test_a_report_reads_back_as_it_was(tmp_path: Path) -> None:
    """Block for block and digit for digit, a FAIL with its case, a PASS, and an INCONCLUSIVE with its nan."""
    reports = [failing(), check((np.sin, lambda i, g: (g * np.cos(i[0]),)), X)]
    reports.append(check((lambda x: x * np.nan, lambda i, g: (g,)), X))
    reports.append(check((lambda z: z * z, lambda i, g: (g * i[0],)), X * (1 + 2j)))
    assert {r.verdict for r in reports} == set(Verdict)
    for report in reports:
        append(tmp_path / "deep" / "a.jsonl", record(report, target_ref="m:f"))
    records, complaints = read([tmp_path / "deep" / "a.jsonl"])
    assert complaints == []
    assert [str(report_of(r)) for r in records] == [str(report) for report in reports]
    for made, report in zip(records, reports, strict=True):
        back = report_of(made)
        assert back.findings == report.findings
        assert back.blocks == report.blocks
    assert records[0]["source"].endswith("a.jsonl:1")
    case = case_of(records[0])
    assert case.sizes == reports[0].case.sizes  # type: ignore[union-attr]
    assert all(
        np.array_equal(a, b) for a, b in zip(case.inputs, reports[0].case.inputs, strict=True)  # type: ignore[union-attr]
    )


def test_a_line_that_cannot_be_read_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    """Torn, foreign, newer, binary and incomplete lines: each by file and line, none stops the reading."""
    good = json.dumps(record(failing(), target_ref="m:f"))
    newer = json.dumps({**json.loads(good), "schema": SCHEMA + 1})
    without = json.loads(good)
    del without["report"]["findings"]
    odd = json.loads(good)
    odd["report"]["findings"][0]["kind"] = "UNHEARD_OF"
    wrong = {**json.loads(good), "report": 7}
    lines = [
        good, good[:100], "[1, 2]", newer, "\udc80\udcff", json.dumps(without), json.dumps(odd), json.dumps(wrong),
        '{"schema": 1}', "[" * 100_000, "", good,
    ]  # fmt: skip
    path = tmp_path / "shard.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    records, complaints = read([path])
    assert [r["source"] for r in records] == [f"{path}:1", f"{path}:12"]
    assert [c.split(": skipped: ")[0] for c in complaints] == [f"{path}:{n}" for n in range(2, 11)]
    words = [c.split(": skipped: ")[1] for c in complaints]
    assert words[0].startswith("not JSON: ")
    assert words[1] == "no record of gradcheck: it has no schema number"
    assert words[2] == f"schema {SCHEMA + 1} is newer than {SCHEMA}, which this gradcheck reads; upgrade it"
    assert words[3].startswith("not UTF-8: ")
    assert words[4] == "report: there is no field findings"
    assert words[5] == "report: findings: kind: 'UNHEARD_OF' is no known name"
    assert words[6] == "report: 7 is no object"
    assert words[7] == "there is no field id"
    assert words[8].startswith("nested too deeply to be read")


CURVE = {
    "input": "x", "index": [0], "step": [1.0], "distance": [1.0], "error": [1.0], "noise": [1.0], "truncation": [1.0],
    "chosen": 1.0, "bound": 1.0,
}  # fmt: skip
ENTRIES = {"input": "x", "shape": [2], "position": [1], "claimed": [1.0], "error": ["nan"], "bound": [1.0]}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["report", "examples"], 0, "examples: 0 is below 1"),
        (["report", "examples"], "3", "report: examples: '3' is no count"),
        (["report", "evaluations"], True, "report: evaluations: True is no whole number"),
        (["report", "resolution"], "wide", "report: resolution: 'wide' is no number"),
        (["report", "resolution"], 10**400, "is no number of 64 bits"),
        (["report", "findings"], [], "findings: a FAIL has none"),
        (["report", "findings", 0, "bound"], [1, 2], r"report: findings: bound: \[1, 2\] is no number"),
        (["report", "findings", 0, "sweep"], [[1, 2]], r"sweep: \[1, 2\] is no list of 3"),
        (["report", "blocks", 0, "shape"], [-1], "report: blocks: shape: -1 is no count"),
        (["environment"], ["linux"], "environment: .* is no object"),
        (["case", "sizes"], {"n": "2"}, "sizes: '2' is no count"),
        (["look"], 7, "7 is no object"),
        (["look"], {"curve": CURVE | {"noise": []}, "entries": [], "evaluations": 0}, "columns of .0, 1. values"),
        (["look"], {"curve": CURVE | {"step": [0.0]}, "entries": [], "evaluations": 0}, "0.0 is no positive number"),
        (["look"], {"curve": None, "entries": [ENTRIES | {"position": [2]}], "evaluations": 0}, "past the last of 2"),
    ],
)
def test_a_field_that_cannot_be_drawn_is_named(tmp_path: Path, path: list[Any], value: Any, words: str) -> None:
    """What was read can be shown: a wrong type, length or range anywhere is a complaint with the way to the field."""
    made = json.loads(json.dumps(record(failing(), target_ref="m:f")))
    *way, last = path
    place: Any = made
    for step in way:
        place = place[step]
    place[last] = value
    (tmp_path / "a.jsonl").write_text(json.dumps(made) + "\n")
    records, complaints = read([tmp_path / "a.jsonl"])
    assert records == []
    assert re.search(words, complaints[0]), complaints


def test_a_look_reads_back(tmp_path: Path) -> None:
    """The data of the plots, with what JSON has no number for; fields of a later schema are left alone."""
    told = {"curve": CURVE | {"later": 1}, "entries": [ENTRIES], "evaluations": 3}
    append(tmp_path / "a.jsonl", record(failing(), target_ref="m:f") | {"look": told})
    records, complaints = read([tmp_path / "a.jsonl"])
    assert complaints == []
    look = look_of(records[0])
    assert look is not None
    assert look.curve is not None
    assert look.curve.step == (1.0,)
    assert np.isnan(look.entries[0].error[0])
    assert look_of(record(failing(), target_ref="m:f")) is None


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_is_spoilt_a_file_is_read_and_what_was_read_is_shown(data: st.DataObject) -> None:
    """One value of a record replaced by another: it is read or reported, and what was read has a block."""
    made = json.loads(json.dumps(GOOD))
    place: Any = made
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(JSON)
        break
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text(json.dumps(made) + "\n", encoding="utf-8")
        records, complaints = read([path])
    assert len(records) + len(complaints) == 1
    for one in records:
        assert block(report_of(one))
        if (look := look_of(one)) is not None:
            assert drawn(look)


def test_nothing_in_a_record_is_executed(tmp_path: Path) -> None:
    """The Python of a case is shown; the inputs are decoded as data."""
    made = record(failing(), target_ref="m:f")
    made["case"]["python"] = f"open({str(tmp_path / 'ran')!r}, 'w')"
    append(tmp_path / "a.jsonl", made)
    records, _ = read([tmp_path / "a.jsonl"])
    assert "ran" in str(report_of(records[0]))
    case_of(records[0])
    assert not (tmp_path / "ran").exists()


def test_a_case_that_is_no_data_is_recorded_by_its_words() -> None:
    """The repr and the reason stay; asking for its inputs is an error with that reason."""
    report = check((np.sin, lambda i, g: (2 * g * np.cos(i[0]),)), X)
    made = record(report, target_ref="m:f", case=(np.zeros(LARGEST + 1),))
    assert made["case"]["missing"] == "an array of shape (65537,) has 65537 entries; up to 65536 are recorded"
    with pytest.raises(ValueError, match="the case was not kept as data: an array of shape"):
        case_of(made)
    with pytest.raises(ValueError, match="the record has no case"):
        case_of(record(replace(report, case=None), target_ref="m:f"))
    with pytest.raises(ValueError, match="not kept as data: a case holds arrays"):
        case_of(record(report, target_ref="m:f", case=("text",)))


def test_the_record_says_what_the_verdict_was_reached_with() -> None:
    """Versions, BLAS, machine and the time; the id is that of the content, whatever the time."""
    report = failing()
    made = record(report, target_ref="m:f", profile="ci", options={"kinks": "forbid"})
    assert made["environment"]["numpy"] == np.__version__
    assert made["environment"]["python"].startswith("3.")
    assert made["profile"] == "ci"
    assert made["options"] == {"kinks": "forbid"}
    assert made["at"].endswith("+00:00")
    assert made["id"] == record(report, target_ref="m:f", profile="ci", options={"kinks": "forbid"})["id"]
    assert made["id"] != record(report, target_ref="m:g", profile="ci", options={"kinks": "forbid"})["id"]


def test_a_failure_is_saved_by_name_with_the_command_that_replays_it(tmp_path: Path) -> None:
    """One file a failure, written over when it fails the same way again."""
    made = record(failing(), target_ref="m:f")
    assert save(made, tmp_path) == save(made, tmp_path) == f"gradcheck replay {tmp_path / made['id']}.json"
    records, _ = read([tmp_path / f"{made['id']}.json"])
    assert len(records) == 1


def test_docs_name_every_field() -> None:
    """docs/records.md lists each field of a record, of its report, findings and blocks, and the schema's number."""
    text = (Path(__file__).parents[1] / "docs" / "records.md").read_text(encoding="utf-8")
    made = record(failing(), target_ref="m:f")
    told = made["report"]
    names = {*made, *told, *told["findings"][0], *told["blocks"][0], *made["case"], "missing", "source"}
    names |= {*(cost := grown()), *cost["cost"]}
    assert {name for name in names if f"`{name}`" not in text} == set()
    assert f"schema {SCHEMA}" in text
    assert all(kind.name for kind in Kind)


def grown() -> dict[str, Any]:
    """A record of a cost that grows like its size."""
    sizes, seconds = (10, 20, 40, 80, 160), [1e-6, 2e-6, 4e-6, 8e-6, 16e-6]
    curve = Curve("sweep", "edge", sizes, np.array([seconds]), fit(sizes, seconds))
    return cost_record(curve, target_ref="layers:sweep")


def test_a_cost_reads_back(tmp_path: Path) -> None:
    """Sizes, times, the fitted line with its band, and the words."""
    append(tmp_path / "a.jsonl", grown())
    (made,), complaints = read([tmp_path / "a.jsonl"])
    assert complaints == []
    assert is_cost(made)
    cost = cost_of(made)
    assert (cost.target, cost.verdict, cost.per) == ("sweep", Verdict.PASS, "edge")
    assert cost.seconds[-1] == 16e-6
    assert cost.fit[0][:2] == pytest.approx((10, 1e-6))
    assert cost.fit[-1][1] == pytest.approx(cost.fit[-1][3])  # no super-linear part
    assert cost.said.startswith(cost.headline)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sizes", [10, 20], "cost: columns of [2, 5] values"),
        ("seconds", [0, 1, 2, 3, 4], "cost: seconds: 0 is no positive number"),
        ("fit", [[1, 2]], "cost: fit: [1, 2] is no list of 4"),
        ("per", 3, "cost: per: 3 is no text"),
    ],
)
def test_a_cost_that_cannot_be_drawn_is_named(tmp_path: Path, field: str, value: Any, words: str) -> None:
    """By file, line and field, as a verdict is."""
    made = grown()
    made["cost"][field] = value
    append(tmp_path / "a.jsonl", made)
    assert read([tmp_path / "a.jsonl"]) == ([], [f"{tmp_path / 'a.jsonl'}:1: skipped: {words}"])
