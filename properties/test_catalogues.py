"""The catalogues hold what they promise: every public name in a list, inputs in their domains, right ones pass."""

import importlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from gradcheck import Verdict, search
from gradcheck.catalogues import CATALOGUES, XFAILS
from gradcheck.catalogues.__main__ import main
from gradcheck.catalogues.catalogue import Args, By, Catalogue, Coverage
from gradcheck.catalogues.domains import DOMAINS, HELD, Input
from gradcheck.suite.targets import resolve
from gradcheck.target import from_pair

NEEDS = {
    "torch_nn": "torch",
    "torch_functional": "torch",
    "jax_nn": "jax",
    "jax_numpy": "jax",
    "autograd_numpy": "autograd",
    "sklearn_neural": "sklearn",
}
KNOWN = [line.partition("  # ") for line in XFAILS.read_text("utf-8").splitlines()[1:]]
REFS = {nodeid.partition("[")[2].removesuffix("]"): why for nodeid, _, why in KNOWN}
DRAWN = np.array([[0.0, 0.0, 1.0], [-1.0, 0.125, 1024.0], [-8.0, 0.5, 1.0]])


def module(name: str) -> Any:
    return importlib.import_module(f"gradcheck.catalogues.{name}")


def parted(ref: str) -> tuple[str, str]:
    """The catalogue and the entry that "gradcheck.catalogues.NAME:TARGETS[ENTRY]" names."""
    name, _, key = ref.removeprefix("gradcheck.catalogues.").partition(":TARGETS[")
    return name, key.removesuffix("]")


def judged(ref: str, entry: Any) -> Any:
    """A search of few examples; those of one entry are the same in every run."""
    examples = 10 if ref in REFS else 2
    return search(entry, entry.gradcheck_shapes, max_examples=examples, seed=1)


def test_every_module_of_the_room_is_listed():
    """A catalogue that is written is one that the command and these tests know."""
    assert set(CATALOGUES) == set(NEEDS)


@pytest.mark.parametrize("name", CATALOGUES)
def test_every_public_name_is_covered_or_excepted_with_a_reason(require, name):
    """Of the framework installed: what a new version adds is noticed here, and so is what it drops."""
    require(NEEDS[name])
    known = module(name).CATALOGUE.coverage()
    assert not known.unlisted, f"new in {name}: give it a row, or a reason"
    assert not known.twice
    assert known.share >= 0.95


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_sample_of_every_catalogue_passes(require, name):
    """Eight of the entries, at two points each; `gradcheck run` judges all of them at many."""
    require(NEEDS[name])
    entries = {f"gradcheck.catalogues.{name}:TARGETS[{key}]": entry for key, entry in module(name).TARGETS.items()}
    sample = [(ref, entry) for ref, entry in list(entries.items())[:: len(entries) // 8] if ref not in REFS]
    assert sample
    for ref, entry in sample:
        report = judged(ref, entry)
        assert report.verdict is Verdict.PASS, f"{ref}\n{report}"


def test_a_known_fault_names_an_entry_and_a_reason():
    """An id that nothing has any more would excuse nothing, and hide that."""
    for ref, why in REFS.items():
        name, key = parted(ref)
        assert key in module(name).TARGETS, ref
        assert len(why) > 10


@pytest.mark.parametrize("name", ["torch_functional", "autograd_numpy", "sklearn_neural"])
def test_the_known_faults_are_still_found(require, name):
    """One that is mended upstream is to be taken off the list."""
    require(NEEDS[name])
    for ref in REFS:
        place, key = parted(ref)
        if place == name:
            report = judged(ref, module(name).TARGETS[key])
            assert report.verdict is Verdict.FAIL, f"{ref}: {report.headline()}"


def test_targets_are_made_without_the_frameworks():
    """A campaign lists its cells, and the suite its tests, before anything heavy is imported."""
    code = (
        f"import importlib, sys\nsys.modules.update(dict.fromkeys({sorted(set(NEEDS.values()))!r}))\n"
        f"for name in {CATALOGUES!r}: print(len(importlib.import_module('gradcheck.catalogues.' + name).TARGETS))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    counts = [len(resolve(f"gradcheck.catalogues.{name}:TARGETS")) for name in CATALOGUES]
    assert [int(line) for line in printed.split()] == counts


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_domain_takes_any_float_to_finite_ones_of_its_precision(domain, dtype):
    """Zeros, ties and large numbers among them, which are what a search likes to draw."""
    made = Input(f"{domain}(3,3)").of(DRAWN.astype(dtype))
    assert made.shape == (3, 3)
    assert np.isfinite(made).all()
    assert made.real.dtype == np.dtype(dtype)


def test_domains_keep_what_they_say():
    """The open intervals are open, matrices can be inverted, and probabilities add up to one."""
    made = {domain: Input(f"{domain}(3,3)").of(DRAWN) for domain in DOMAINS}
    assert (made["positive"] > 0).all()
    assert (made["sized"] > 0).all()
    assert (made["nonzero"] != 0).all()
    assert (made["above_one"] > 1).all()
    assert (np.abs(made["within"]) < 1).all()
    assert ((made["unit"] > 0) & (made["unit"] < 1)).all()
    assert np.linalg.cond(made["invertible"]) < 10
    assert np.linalg.eigvalsh(made["definite"]).min() > 0.5
    assert np.diff(np.linalg.svd(made["ranked"])[1]).max() < -0.25
    assert (np.diff(made["ascending"], axis=-1) > 0).all()
    assert np.diff(np.sort(made["spread"].ravel())).min() > 0.25
    np.testing.assert_allclose(np.exp(made["logs"]).sum(-1), 1, rtol=1e-14)  # 64 roundings of 2⁻⁵³ each


def test_held_inputs_are_ids_and_masks():
    """Ids count from 0, labels end in −1, and a tilde holds an input of any domain."""
    assert set(Input("below5(3,3)").of(DRAWN).ravel()) <= set(range(5))
    labels = Input("labels(3,3)").of(DRAWN)
    for row in labels:
        kept = row[row >= 0]
        assert len(set(kept)) == len(kept) >= 1
        assert (row[len(kept) :] == -1).all()
    assert Input("~sized(n)").held
    assert not Input("sized(n)").held
    assert all(Input(f"{domain}3(n,k)").held for domain in HELD)


def test_an_input_that_is_not_understood_is_refused():
    """The words say how to write one."""
    with pytest.raises(ValueError, match=r"input 'reel\(n\)' is not understood: write DOMAIN\(AXES\), such as real"):
        Input("reel(n)")


def _catalogue(rows: Any, names: str, **lists: Any) -> Catalogue:
    functions = {"square": np.square, "double": lambda x, factor=2.0: factor * x}
    derivatives = {"square": lambda i, g: 2 * i[0] * g, "double": lambda i, g: 2.0 * g}

    def adapt(f: Any, *, name: str, frozen: Any) -> Any:
        return from_pair(f, derivatives[name.partition("(")[0]], name=name, frozen=frozen)

    empty: dict[str, Any] = {"constant": {}, "exceptions": {}}
    return Catalogue("a module", names.split, functions.__getitem__, adapt, rows, **{**empty, **lists})


def test_an_entry_with_a_wrong_derivative_fails():
    """The whole way, from a row to a verdict: `double` claims a factor of 2, whatever it was given."""
    targets = _catalogue([("square double", "real(n)"), ("double", "real(n)", Args(3.0))], "square double").targets()
    verdicts = {key: search(e, e.gradcheck_shapes, max_examples=3, seed=1).verdict for key, e in targets.items()}
    assert verdicts == {"square": Verdict.PASS, "double": Verdict.PASS, "double(3.0)": Verdict.FAIL}


def test_names_in_no_list_in_two_and_gone_are_told_apart():
    """The share counts what is in no list as not covered."""
    rows = [("square double", "real(n)")]
    known = _catalogue(rows, "square new", constant={"why": "square"}, exceptions={"because": "old"}).coverage()
    assert known == Coverage(1, 0, 1, unlisted=("new",), gone=("double", "old"), twice=("square",))
    assert known.share == 0.5


def test_two_rows_of_one_name_are_refused():
    """One of them would be lost."""
    rows = [("square", "real(n)"), ("square", "real(n)"), ("square", "real(n)", By("", lambda f: f))]
    with pytest.raises(ValueError, match=r"a module has two rows 'square real\(n\)': drop one"):
        _catalogue(rows, "square").targets()


def test_the_command_prints_the_share_of_each(capsys, require):
    """A row for every framework installed, and the reasons of what is not covered."""
    require("torch")
    assert main() == 0
    printed = capsys.readouterr().out
    assert "torch_functional" in printed
    assert "%" in printed
    assert "torch_nn: not covered: SyncBatchNorm: needs a GPU and a process group" in printed


def test_a_known_failure_is_told_with_its_reason_and_does_not_fail_the_run(tmp_path):
    """`gradcheck run --xfails FILE`: and what is not in the file fails as ever."""
    (tmp_path / "layers.py").write_text("double = (lambda x: 2 * x, lambda i, g: 3 * g)\n", encoding="utf-8")
    known = tmp_path / "known.txt"
    known.write_text("test_target.py::test_gradient_is_right[layers:double]  # three for two\n", encoding="utf-8")
    command = [sys.executable, "-m", "gradcheck", "run", "layers:double", "--shapes", "x: n", "--examples", "5"]
    told = subprocess.run([*command, "--xfails", str(known)], cwd=tmp_path, capture_output=True, text=True, check=False)
    plain = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, plain.returncode) == (0, 1), told.stdout + told.stderr
    assert "(known: three for two)" in told.stdout
    assert "(known" not in plain.stdout
