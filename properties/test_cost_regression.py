"""Did it become slower? The decision from samples, where the samples come from, and what is stored and refused."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from pytest_benchmark.storage.file import FileStorage

from gradcheck.cost import baseline, regression, trees
from gradcheck.cost.baseline import CorruptError, NothingToCompareError
from gradcheck.cost.regression import Outcome, Sample, against, interleaved, paired, separate
from gradcheck.cost.spec import Spec, read_shapes

SPEC = Spec("properties.planted_sweeps:linear")
SIZES = (6, 9)
TREE = trees.Tree("head", trees.Path.cwd())


def samples(rng, count, ratio=1.0, noise=0.01, kernel=2e-3):
    """Processes of one version: 1% apart as a whole, and each size 0.3% by itself."""
    return tuple(
        Sample(
            tuple(ratio * t * np.exp(shift + 0.003 * rng.standard_normal()) for t in (1e-3, 2e-3, 4e-3)),
            kernel * np.exp(0.003 * rng.standard_normal()),
        )
        for shift in noise * rng.standard_normal(count)
    )


@pytest.fixture
def measured(monkeypatch):
    """`against` without processes: head takes `ratio` times what base does."""

    def decide(ratio, seed, noise=0.01):
        rng = np.random.default_rng(seed)
        pairs = lambda spec, both, sizes, count: [samples(rng, count, r, noise) for r in (1.0, ratio)]  # noqa: E731
        monkeypatch.setattr(regression, "interleaved", pairs)
        return against(SPEC, TREE, TREE, SIZES)

    return decide


def test_the_same_code_is_never_called_slower_in_200_runs(measured):
    """And hardly ever undecided, with processes that differ by 1%."""
    outcomes = [measured(1.0, seed).outcome for seed in range(200)]
    assert Outcome.SLOWER not in outcomes
    assert outcomes.count(Outcome.UNDECIDED) <= 10


def test_a_tenth_more_is_called_slower_in_200_of_200_runs(measured):
    """A regression of 10%, and one of 6% with more pairs where five are not enough."""
    assert all(measured(1.10, seed).outcome is Outcome.SLOWER for seed in range(200))
    assert all(measured(1.06, seed).outcome is not Outcome.NOT_SLOWER for seed in range(200))


def test_more_pairs_are_measured_while_it_is_undecided(measured):
    """Five where all is clear, fifteen where the truth lies at the limit."""
    assert len(measured(1.2, 0).head) == 5
    assert len(measured(1.03, 0, noise=0.03).head) == 15
    assert measured(1.03, 0, noise=0.03).outcome is Outcome.UNDECIDED


def test_the_interval_of_pairs_holds_the_ratio_as_often_as_it_says():
    """95%, within four standard deviations of 1000 trials, 0.0069 each."""
    rng = np.random.default_rng(0)
    intervals = [paired(np.log(1.5) + 0.02 * rng.standard_normal(5)) for _ in range(1000)]
    assert abs(np.mean([i.low <= 1.5 <= i.high for i in intervals]) - 0.95) < 0.028


def test_a_machine_that_slows_down_between_two_runs_is_divided_out():
    """Separate runs are compared in units of the kernel: 5% on everything is not 5% on the code."""
    rng = np.random.default_rng(0)
    base, head = samples(rng, 8, noise=0.003), samples(rng, 8, 1.05, 0.003, kernel=2.1e-3)
    assert separate(base, head).outcome is Outcome.NOT_SLOWER
    assert separate(base, samples(rng, 8, 1.05, 0.003)).outcome is Outcome.SLOWER


def test_processes_are_measured():
    """Real workers: a sample a process, a positive time a size, and the kernel's."""
    found = interleaved(SPEC, [trees.here(), trees.here()], SIZES, 1)
    assert [len(run) for run in found] == [1, 1]
    for (sample,) in found:
        assert len(sample.seconds) == len(SIZES)
        assert min(*sample.seconds, sample.kernel) > 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nosuch.module:make", "'nosuch.module:make': nosuch.module cannot be imported"),
        ("properties.planted_sweeps:make", "properties.planted_sweeps has no make"),
        ("properties.planted_sweeps:PLANTED", "is a tuple: name a factory, or give the shapes"),
        ("planted", "name a factory as MODULE:ATTR"),
    ],
)
def test_a_version_that_cannot_be_measured_is_quoted(name, words):
    """The tree is named, and the last line of its process."""
    with pytest.raises(RuntimeError, match=f"head cannot be measured: ValueError: .*{words}"):
        interleaved(Spec(name), [trees.here()], SIZES, 1)


def test_code_from_elsewhere_does_not_pass_for_a_revision(tmp_path):
    """A tree whose code was imported from outside it, an installed package for one, is refused."""
    tree = trees.Tree("base (v1)", trees.Path.cwd(), (str(trees.Path.cwd()),), root=tmp_path)
    with pytest.raises(
        RuntimeError, match=r"base \(v1\) cannot be measured: its code was imported from .*, not from it"
    ):
        interleaved(SPEC, [tree], SIZES, 1)


def test_a_process_that_says_much_does_not_stop_the_measurement(tmp_path, monkeypatch):
    """What the measured code prints is neither taken for an answer nor able to fill a pipe, of 64 kB on Linux."""
    (tmp_path / "chatty.py").write_text(
        "import numpy as np\ndef make(n):\n    print('x' * 200_000)\n"
        "    return (np.exp, lambda inputs, dy: (dy * np.exp(inputs[0]),)), (np.ones(n),)\n"
    )
    monkeypatch.chdir(tmp_path)
    tree = trees.Tree("head", tmp_path, (str(tmp_path), *sys.path))
    assert len(interleaved(Spec("chatty:make"), [tree], SIZES, 1)[0]) == 1


@pytest.fixture
def repository(tmp_path):
    """A git repository with two revisions of a module in ``src``."""

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--quiet")
    (tmp_path / "src").mkdir()
    for number in (1, 2):
        (tmp_path / "src" / "layers.py").write_text(f"VERSION = {number}\n")
        git("add", ".")
        git("commit", "--quiet", "--message", f"version {number}")
        git("tag", f"v{number}")
    return tmp_path


def test_a_revision_is_unpacked_beside_the_repository_which_stays_as_it_is(repository, monkeypatch):
    """Its own `src` is put where ours is on the path; no worktree, no index, no file of the repository changes."""
    monkeypatch.syspath_prepend(str(repository / "src"))
    with trees.base("v1", repository) as tree:
        assert (tree.folder / "src" / "layers.py").read_text() == "VERSION = 1\n"
        assert tree.path == (str(tree.folder), str(tree.folder / "src"))
        assert tree.root == tree.folder
        unpacked = tree.folder
    assert not unpacked.exists()
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=repository, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""
    assert (repository / "src" / "layers.py").read_text() == "VERSION = 2\n"


def test_another_python_is_another_version(tmp_path):
    """The path of an interpreter stands for what it has installed; it needs no repository."""
    with trees.base(sys.executable, tmp_path) as tree:
        assert (tree.python, tree.folder, tree.root) == (sys.executable, tmp_path, None)


def test_a_version_that_is_not_there_is_refused(repository, tmp_path_factory):
    """An unknown revision, and a revision outside a repository, each with the remedy."""
    with pytest.raises(
        ValueError, match="cannot compare with 'v9': the repository has no such revision; name a revision"
    ):
        trees.base("v9", repository).__enter__()
    bare = tmp_path_factory.mktemp("bare")
    with pytest.raises(ValueError, match=f"{bare.name} is in no git repository"):
        trees.base("v1", bare).__enter__()


@pytest.fixture
def stored(tmp_path):
    """A stored run of eight processes."""
    run = samples(np.random.default_rng(1), 8)
    return baseline.save("first", SPEC, (6, 9, 12), run, str(tmp_path)), run, str(tmp_path)


def test_a_stored_run_comes_back_as_it_was(stored):
    """Sizes, times and kernels, to the last bit; by number, by file and as the last one."""
    path, run, folder = stored
    for named in ("0001", str(path), "last"):
        found = baseline.load(named, SPEC, folder)
        assert (found.sizes, found.samples) == ((6, 9, 12), run)
    again = baseline.save("second", SPEC, (6, 9, 12), run, folder)
    assert again.name == "0002_second.json"
    assert baseline.load("last", SPEC, folder).path.name == again.name


def test_pytest_benchmark_reads_what_is_stored(stored):
    """Its own loader finds a benchmark a size, with the statistics that its tables show."""
    storage = FileStorage(stored[2], logging.getLogger(), None)
    rows = list(storage.load_benchmarks())
    assert [row["name"] for row in rows] == [f"{SPEC.name}[{size}]" for size in (6, 9, 12)]
    assert all(row["min"] <= row["median"] <= row["max"] and row["rounds"] == 8 for row in rows)


def test_a_stored_run_of_this_machine_is_compared(stored):
    """The same code again is not slower, 10% more is."""
    base = baseline.load("last", SPEC, stored[2])
    rng = np.random.default_rng(2)
    assert baseline.compare(base, samples(rng, 8)).outcome is Outcome.NOT_SLOWER
    assert baseline.compare(base, samples(rng, 8, 1.1)).outcome is Outcome.SLOWER


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_another_machine_is_recognised_and_not_compared(stored, factor):
    """The calibration kernel took 2 ms there and 30% more or less here."""
    base = baseline.load("last", SPEC, stored[2])
    other = samples(np.random.default_rng(3), 8, factor, kernel=2e-3 * factor)
    with pytest.raises(NothingToCompareError, match=r"0001_first.json is of another machine \(.*\), .* with --against"):
        baseline.compare(base, other)


def test_no_stored_run_is_said(stored, tmp_path_factory):
    """None yet, none of this number, none of this target: three sentences, and the remedy in each."""
    empty = str(tmp_path_factory.mktemp("none"))
    with pytest.raises(NothingToCompareError, match=r"no run is stored yet in .*: store one with --save NAME"):
        baseline.load("last", SPEC, empty)
    with pytest.raises(NothingToCompareError, match=r"there is no stored run '0009' in .*: store one with --save NAME"):
        baseline.load("0009", SPEC, stored[2])
    with pytest.raises(NothingToCompareError, match=r"0001_first.json holds no run of a:b: store one with --save NAME"):
        baseline.load("last", Spec("a:b"), stored[2])


def damage(path, change):
    run = json.loads(path.read_text(encoding="utf-8"))
    change(run)
    path.write_text(json.dumps(run), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.pop("machine_info"),
        lambda run: run.update(benchmarks=3),
        lambda run: run["benchmarks"][0]["stats"].pop("data"),
        lambda run: run["benchmarks"][0]["stats"]["data"].pop(),
        lambda run: run["benchmarks"][1]["stats"]["data"].__setitem__(2, -1.0),
        lambda run: run["benchmarks"][0]["extra_info"].update(kernel="fast"),
        lambda run: [row["stats"].update(data=[]) for row in run["benchmarks"]],
    ],
)
def test_a_corrupt_run_is_an_error_that_names_the_file(stored, change):
    """A part missing, of another kind, of another length, a negative time, no time at all."""
    damage(stored[0], change)
    with pytest.raises(CorruptError, match=r"0001_first.json cannot be read as a stored run \(.*\): delete it"):
        baseline.load("last", SPEC, stored[2])


def test_half_a_file_is_corrupt(stored):
    """A run that was cut short while it was written."""
    stored[0].write_text(stored[0].read_text(encoding="utf-8")[:1000], encoding="utf-8")
    with pytest.raises(CorruptError, match=r"\(JSONDecodeError: "):
        baseline.load("last", SPEC, stored[2])


@pytest.mark.parametrize("text", ["x", "x n,3", ": 3", "x: n,,3", "x: -1"])
def test_shapes_that_cannot_be_read_are_refused(text):
    """The part that is wrong, and an example."""
    with pytest.raises(ValueError, match="is not a shape: write them as in 'x: n,64; w: 64,32'"):
        read_shapes(text)
