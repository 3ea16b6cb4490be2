"""Campaigns: cells that are the same everywhere, a ledger that loses nothing, every cell judged once."""

import functools
import json
import logging
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.campaign import (
    BrokenCampaignError,
    Cell,
    Guard,
    Ledger,
    LedgerError,
    Limits,
    LocalPool,
    LostError,
    Plan,
    campaign,
    dask,
    judged,
    plan,
)
from gradcheck.suite.targets import TargetError
from properties import campaign_layers

LAYERS = "properties.campaign_layers"
DOUBLE = f"{LAYERS}:double"


def cell(layer, number=0, examples=3):
    return Cell(f"{LAYERS}:{layer}", "float64", "x: n", examples, number)


def mixed(draws, examples=2):
    """A plan of as many cells of a right layer as of a wrong one."""
    return Plan(tuple((f"{LAYERS}:{name}", "float64", "x: n") for name in ("double", "negated")), examples, draws)


def written(path):
    """The records of a file by the names of their cells, each of which has to be there once."""
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    named = {Cell(**made["cell"]).name: made for made in records}
    assert len(named) == len(records)
    return named


# -- cells and plans ------------------------------------------------------------------------------------------------


def test_a_cell_is_a_frozen_picklable_value_whose_repr_makes_it_again():
    """It can be sent anywhere, kept in a set, and pasted."""
    one = cell("double", 4)
    assert one.name == f"{DOUBLE} float64 [x: n] 3 examples, draw 4"
    assert pickle.loads(pickle.dumps(one)) == one
    assert eval(repr(one)) == one
    assert len({one, cell("double", 4), cell("double", 5)}) == 2
    with pytest.raises(FrozenInstanceError):
        one.number = 5


def test_the_seed_of_a_cell_is_the_hash_of_its_name_and_of_nothing_else():
    """The same in every process, on every machine; other cells have others."""
    assert cell("double", 4).seed == 229317915267613
    assert len({cell("double", number).seed for number in range(1000)}) == 1000


def test_a_cell_draws_the_same_whatever_is_loaded(tmp_path, monkeypatch):
    """Hypothesis draws numbers that it finds in the source of loaded modules; the draws of a cell do without."""
    one, asked = Cell(f"{LAYERS}:hearing", "float64", "numbers", 60, 0), []
    constants = ", ".join(str(n) for n in range(101, 65536, 131))
    (tmp_path / "constants_for_hypothesis.py").write_text(f"x = [{constants}]\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("json", "constants_for_hypothesis"):
        __import__(module)
        campaign_layers.heard.clear()
        one.judge()
        asked.append(list(campaign_layers.heard))
    assert asked[0] == asked[1]
    assert len(set(asked[0])) > 60


def test_a_cell_judged_anywhere_gives_the_same_report():
    """In this process and in one that has judged others."""
    with closing(Guard()) as guard:
        for one in (cell("negated", 1), cell("double", 2, examples=20)):
            assert guard.judge(one)["report"] == one.judge()["report"]


@given(parts=st.integers(1, 7), draws=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_every_cell_is_in_exactly_one_shard(parts, draws):
    """And each shard knows its own."""
    whole = mixed(draws)
    shards = [Plan(whole.groups, whole.examples, draws, (part, parts)) for part in range(1, parts + 1)]
    dealt = [one for shard in shards for one in shard]
    assert sorted(dealt, key=repr) == sorted(whole, key=repr)
    assert [len(shard) for shard in shards] == [len(list(shard)) for shard in shards]
    assert all([one in shard for shard in shards].count(True) == 1 for one in whole)


def test_a_plan_goes_round_all_its_groups_and_rounds_the_budget_up():
    """250 examples in cells of 100 are three draws; a campaign stopped early has seen every target."""
    made = plan([f"{LAYERS}:ranks", f"{LAYERS}:blocked"], dtypes=["float64,float32"], budget=250)
    assert (made.examples, made.draws, len(made)) == (100, 3, 24)
    assert len({(one.target, one.dtype, one.block) for one in list(made)[:8]}) == 8
    assert made.groups[0] == (f"{LAYERS}:ranks[vector]", "float64", "x: n")
    assert {block for target, _, block in made.groups if target.endswith("blocked")} == {"vectors", "matrices"}
    assert cell("double") not in made


@pytest.mark.parametrize(
    ("targets", "options", "error", "words"),
    [
        (["nowhere:f"], {}, TargetError, "nowhere:f: there is no module nowhere to import"),
        ([f"{LAYERS}:dubble"], {}, TargetError, "has no attribute dubble; did you mean double?"),
        ([f"{LAYERS}:blocked"], {"blocks": ["x: n"]}, TargetError, "'x: n' is none of its blocks, which are vectors"),
        ([DOUBLE], {"blocks": ["x: n; y: n"]}, TargetError, "double"),
        ([DOUBLE], {"dtypes": ["int8"]}, ValueError, "'int8' is no floating-point dtype"),
        ([DOUBLE], {"budget": 0}, ValueError, "budget must be at least 1, got 0"),
        ([DOUBLE], {"shard": (3, 2)}, ValueError, r"shard must be \(i, n\) with i from 1 to n, got \(3, 2\)"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(targets, options, error, words):
    """Before anything is judged."""
    with pytest.raises(error, match=words):
        plan(targets, **options)


def test_planning_survives_a_layer_that_crashes():
    """Shapes are tried in a process of their own; declared ones are kept, and the cells will tell."""
    assert plan([f"{LAYERS}:crashing"], budget=1).groups == ((f"{LAYERS}:crashing", "float64", "x: n"),)


# -- the ledger -----------------------------------------------------------------------------------------------------


def test_a_line_torn_anywhere_costs_its_own_cell_only(tmp_path):
    """Cut after every byte of the last line: what was written before is there, and what comes after can be read."""
    path = tmp_path / "deep" / "ledger.jsonl"
    lost = [cell("double", number).lost(("a", "b")) for number in range(3)]
    with Ledger(path) as ledger:
        for made in lost[:2]:
            ledger.append(made)
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for end in range(start, len(whole) + 1):
        path.write_bytes(whole[:end])
        with Ledger(path) as ledger:
            there = [one.number for one, _ in ledger.records()]
            assert there == ([0, 1] if end >= len(whole) - 1 else [0])
            ledger.append(lost[2])
        assert [made["cell"]["number"] for made in written(path).values()] == [*there, 2]


def test_a_torn_line_longer_than_a_chunk_is_mended(tmp_path):
    """The file is read from its end, 64 kB at a time."""
    path = tmp_path / "ledger.jsonl"
    for tail, kept in ((b'{"a": "' + b"x" * 200_000, 0), (b'{"a": "' + b"x" * 200_000 + b'"}', 1)):
        path.write_bytes(b"{}\n" + tail)
        with Ledger(path):
            assert path.read_bytes().count(b"\n") == 1 + kept
    path.write_bytes(b"torn from the start")
    with Ledger(path) as ledger:
        assert list(ledger.records()) == []
    assert path.read_bytes() == b""


def test_lines_of_others_are_left_alone(tmp_path):
    """A ledger may hold other records, and lines that cannot be read; they are neither cells nor lost."""
    path = tmp_path / "ledger.jsonl"
    foreign = b'not json\n[]\n{"schema": 1}\n{"cell": {"target": "x"}}\n\n'
    path.write_bytes(foreign)
    with Ledger(path) as ledger:
        assert list(ledger.records()) == []
        ledger.append(cell("double").lost(("a", "b")))
        assert [one for one, _ in ledger.records()] == [cell("double")]
    assert path.read_bytes().startswith(foreign)


def test_two_campaigns_cannot_write_to_one_file(tmp_path):
    """The second is told so, and the lock goes with its owner."""
    with (
        Ledger(tmp_path / "ledger.jsonl"),
        pytest.raises(LedgerError, match=r"ledger\.jsonl: another campaign is writing to it; wait, or name another"),
        Ledger(tmp_path / "ledger.jsonl"),
    ):
        pass
    with Ledger(tmp_path / "ledger.jsonl"):
        pass
    with pytest.raises(LedgerError, match="name a file that can be written to"), Ledger(tmp_path):
        pass


# -- the conductor --------------------------------------------------------------------------------------------------


class Fate(Executor):
    """An executor whose futures end as it is told: "record", "lost", "error", "cancel", or "break", which ends all."""

    def __init__(self, fates, broken=False):
        self.fates, self.flying, self.most, self.broken = fates, [], 0, broken

    def submit(self, fn, cell, limits):
        """Take a cell; it lands a little later, on another thread."""
        if self.broken:
            raise BrokenExecutor("broken before")
        future = Future()
        self.flying.append((future, cell))
        self.most = max(self.most, len(self.flying))
        threading.Timer(0.0005, self.land).start()
        return future

    def land(self):
        """End the flight that has lasted longest."""
        if not self.flying:
            return
        future, cell = self.flying.pop(0)
        fate = next(self.fates, "record")
        if fate == "break":
            self.broken = True
            flying, self.flying = [(future, cell), *self.flying], []
            for each, _ in flying:
                each.set_exception(BrokenExecutor("a worker died"))
        elif fate == "cancel":
            future.cancel()
            future.set_running_or_notify_cancel()
        elif fate == "error":
            future.set_exception(RuntimeError("killed by the scheduler"))
        else:
            future.set_result("it crashed" if fate == "lost" else {"cell": asdict(cell)})


FATES = ["record", "lost", "error", "cancel", "break"]


@given(fates=st.lists(st.sampled_from(FATES), max_size=25), bound=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_whatever_becomes_of_an_executor_every_cell_has_one_record(fates, bound):
    """None twice, none left out, at most so many in flight; one lost twice says so, one lost once says that."""
    cells = list(mixed(5))
    told, made = iter(fates), []

    def make():
        made.append(Fate(told))
        return made[-1]

    landed = list(judged(cells, make, in_flight=bound))
    assert sorted((one for one, _ in landed), key=repr) == sorted(cells, key=repr)
    assert max(executor.most for executor in made) <= bound
    for _, record in landed:
        assert len(record["losses"]) <= 2
        assert ("schema" in record) == (len(record["losses"]) == 2)  # made here, or by the worker
    assert sum(len(record["losses"]) for _, record in landed) <= sum(fate != "record" for fate in fates)


def test_a_cell_that_was_in_flight_when_an_executor_broke_is_not_blamed_for_it():
    """All four are judged again one at a time, and none is lost."""
    told = iter(["break"])
    landed = list(judged(list(mixed(2)), lambda: Fate(told), in_flight=4))
    assert [record["losses"] for _, record in landed] == [[]] * 4


def test_an_executor_that_cannot_be_made_anew_ends_the_campaign_with_advice(tmp_path):
    """One that was lent is given back; what was judged is in the file."""
    lent = Fate(iter(["record", "break"]))
    words = "the executor broke .*executor=lambda: ProcessPoolExecutor.* What was judged is in the file"
    with pytest.raises(BrokenCampaignError, match=words):
        list(judged(list(mixed(5)), lent, in_flight=1))


# -- guarded processes ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guard():
    """One process for several tests."""
    kept = Guard()
    yield kept
    kept.close()


HOUR = 3600.0
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is known on Linux only")


@pytest.mark.parametrize(
    ("layer", "limits", "words"),
    [
        ("crashing", Limits(HOUR), r"its process was killed by SIGSEGV, in campaign_layers\.py:\d+ crashing"),
        ("leaving", Limits(HOUR), "its process exited with code 3"),
        ("hanging", Limits(8), r"it took more than 8 s, in campaign_layers\.py:\d+ hanging"),
        ("stopped", Limits(8), "it took more than 8 s$"),
        pytest.param("hungry", Limits(HOUR, 600), "it took more than 600 MB, in ", marks=ON_LINUX),
    ],
)
def test_a_layer_that_takes_its_process_with_it_costs_its_cell(layer, limits, words, monkeypatch):
    """And says why and where; another process stands ready for the next cell."""
    monkeypatch.setattr("gradcheck.campaign.guard.GRACE", 0.5)
    with closing(Guard(limits)) as guard:
        with pytest.raises(LostError, match=words):
            guard.judge(cell(layer))
        assert guard.shapes_of(DOUBLE, "x: n") == "x: n"


def test_what_a_layer_prints_or_reads_stays_out_of_the_way(guard):
    """Cells and records go through pipes of their own."""
    assert guard.judge(cell("noisy"))["verdict"] == "pass"


def test_blas_has_one_thread_in_a_worker(guard, require):
    """As many processes as cores, with as many threads each, would be slower than one."""
    require("threadpoolctl")
    assert guard.judge(cell("threaded"))["verdict"] == "pass"


def test_a_cell_that_cannot_be_judged_says_why_and_does_not_cost_the_process(guard):
    """A target that is not there, say."""
    guard.judge(cell("double"))
    before = guard._child.pid
    with pytest.raises(LostError, match=r"TargetError: properties\.campaign_layers:gone: .* has no attribute gone"):
        guard.judge(cell("gone"))
    assert guard._child.pid == before


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"megabytes": float("nan")}])
def test_limits_are_positive(wrong):
    """The name and the value are told."""
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be a positive number, got"):
        Limits(**wrong)


# -- whole campaigns ------------------------------------------------------------------------------------------------


judge_serially = functools.cache(lambda one: one.judge()["report"])


def serial(whole):
    """What a plain loop makes of a plan: the report of every cell, by its name."""
    return {one.name: judge_serially(one) for one in whole}


def reports(path):
    return {name: made["report"] for name, made in written(path).items()}


class Killer:
    """Kills one of some processes now and then, until it is told to stop."""

    def __init__(self, pids, every, most):
        self.pids, self.every, self.left, self.killed, self.over = pids, every, most, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        """Kill one, wait, and again."""
        rng = random.Random(0)
        while self.killed < self.left and not self.over.wait(self.every):
            if pids := self.pids():
                os.kill(rng.choice(pids), signal.SIGKILL)
                self.killed += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_workers_killed_at_random_cost_no_verdict(tmp_path):
    """Every cell is accounted for, none twice, with the verdicts of a serial run."""
    whole, path = mixed(25), tmp_path / "ledger.jsonl"
    pools = []

    def make():
        pools.append(LocalPool(2))
        return pools[-1]

    def pids():
        return [guard._child.pid for guard in pools[-1].guards if guard._child and guard._until < float("inf")]

    with Killer(pids, 0.7, 3) as killer:
        tally = campaign(whole, path, executor=make)
    there, plain = reports(path), serial(whole)
    lost = {name for name, made in written(path).items() if len(made["losses"]) == 2}
    assert set(there) == set(plain)
    assert {name: report for name, report in there.items() if name not in lost} == {
        name: report for name, report in plain.items() if name not in lost
    }
    assert killer.killed >= 1
    assert sum(len(made["losses"]) for made in written(path).values()) <= killer.killed
    assert tally.total("cells") == 50
    assert tally.total("lost") == len(lost)


def test_a_cell_whose_worker_died_once_is_judged_again_and_says_so(tmp_path, monkeypatch):
    """The record has the verdict, and what it was lost to before."""
    monkeypatch.setenv("CAMPAIGN_MARK", str(tmp_path / "mark"))
    whole = Plan(((f"{LAYERS}:once", "float64", "x: n"),), 2, 3)
    tally = campaign(whole, tmp_path / "ledger.jsonl", executor=lambda: LocalPool(1))
    assert (tally.total("passed"), tally.exit_code) == (3, 0)
    losses = [loss for made in written(tmp_path / "ledger.jsonl").values() for loss in made["losses"]]
    assert losses == ["its process was killed by SIGKILL"]


def test_a_cell_that_is_lost_twice_is_recorded_as_such(tmp_path):
    """INCONCLUSIVE, with both reasons, and the exit code of a failure; the other layer has its verdicts."""
    whole = Plan(tuple((f"{LAYERS}:{name}", "float64", "x: n") for name in ("leaving", "double")), 2, 2)
    tally = campaign(whole, tmp_path / "ledger.jsonl", executor=lambda: LocalPool(2))
    assert (tally.total("passed"), tally.total("lost"), tally.exit_code) == (2, 2, 1)
    for made in written(tmp_path / "ledger.jsonl").values():
        if made["ref"].endswith("leaving"):
            assert made["verdict"] == "inconclusive"
            assert made["losses"] == made["report"]["reasons"] == ["its process exited with code 3"] * 2


def test_an_interrupted_campaign_goes_on_where_it_stopped(tmp_path):
    """Nothing that was written is judged again, and in the end the file is that of one that was not interrupted."""
    whole, path, heard = mixed(10), tmp_path / "ledger.jsonl", []

    def impatient(tally):
        heard.append(tally.total("cells"))
        if heard[-1] == 7:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool:
        first = campaign(whole, path, executor=pool, watch=impatient)
        assert (first.interrupted, first.exit_code, first.total("cells")) == (True, 2, 7)
        before = path.read_bytes()
        path.write_bytes(before + b'{"torn')
        second = campaign(whole, path, executor=pool, watch=lambda tally: heard.append(tally.total("cells")))
    assert heard == [*range(8), *range(7, 21)]
    assert (second.interrupted, second.total("cells")) == (False, 20)
    assert path.read_bytes().startswith(before)
    assert reports(path) == serial(whole)


def test_a_process_pool_whose_worker_is_killed_is_made_anew(tmp_path):
    """Any executor will do; a broken one is replaced, and no cell is lost to it."""
    whole, path, pools = mixed(8), tmp_path / "ledger.jsonl", []

    def make():
        pools.append(ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")))
        return pools[-1]

    def kill_one(tally):
        if tally.total("cells") == 5:
            os.kill(next(iter(pools[0]._processes)), signal.SIGKILL)

    campaign(whole, path, executor=make, watch=kill_one)
    assert len(pools) == 2
    assert reports(path) == serial(whole)


def test_dask_workers_are_real_processes_and_one_may_die(tmp_path, require):
    """On a cluster of two worker processes, one of them killed mid-way: the ledger is that of a serial run."""
    distributed = require("distributed")
    whole, path = mixed(20), tmp_path / "ledger.jsonl"
    quiet = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
    with distributed.LocalCluster(2, threads_per_worker=1, host="127.0.0.1", **quiet) as cluster:
        pids = {worker.pid for worker in cluster.workers.values()}
        assert os.getpid() not in pids
        assert len(pids) == 2

        def kill_one(tally):
            if tally.total("cells") == 10:
                os.kill(min(pids), signal.SIGKILL)

        tally = campaign(whole, path, executor=lambda: dask(cluster.scheduler_address), watch=kill_one)
    assert tally.total("cells") == 40
    assert reports(path) == serial(whole)


def test_a_worker_does_not_outlive_who_asked():
    """A campaign that is killed with SIGKILL leaves no process behind, even in the midst of a cell."""
    code = (
        "import threading, time\n"
        "from gradcheck.campaign import Cell, Guard\n"
        f"guard = Guard()\ncell = Cell({LAYERS + ':hanging'!r}, 'float64', 'x: n', 3, 0)\n"
        "threading.Thread(target=guard.judge, args=(cell,), daemon=True).start()\n"
        "while not guard._child: time.sleep(0.01)\n"
        "print(guard._child.pid, flush=True)\ntime.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as asker:
        worker = int(asker.stdout.readline())
        asker.kill()
    for _ in range(100):
        if not alive(worker):
            return
        time.sleep(0.1)
    pytest.fail("it is still there after 10 s")


def alive(pid):
    """Whether a process is there, and not only its entry in the table, which nobody may have come for yet."""
    try:
        os.kill(pid, 0)
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no /proc
        return True


def test_a_cell_that_fails_has_what_the_plots_need(require):
    """Curve and entries of the smallest case, in little space; a page of the ledger draws all three pictures."""
    require("matplotlib")
    from gradcheck.render.html import page

    made = Cell(f"{LAYERS}:negated", "float64", "x: n,k", 5, 0).judge()
    assert len(json.dumps(made["look"])) < 3000
    text = page([made])
    for caption in ("V-curve of x[0, 0]", "x: backward against finite difference, every entry"):
        assert f"<figcaption>{caption}" in text
    assert Cell(f"{LAYERS}:double", "float64", "x: n,k", 5, 0).judge()["look"] is None


def test_a_failing_layer_that_bears_no_closer_look_keeps_its_verdict(monkeypatch):
    """Pictures cost no verdict."""

    def raising(*_):
        raise OSError("its file is gone")

    monkeypatch.setattr("gradcheck.judge.closer.look_again", raising)
    made = Cell(f"{LAYERS}:negated", "float64", "x: n,k", 5, 0).judge()
    assert (made["verdict"], made["look"]) == ("fail", None)
