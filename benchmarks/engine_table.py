"""The engine against what it must reach: one line a requirement, with the ratios measured here and now.

`python -m benchmarks.performance_table --part engine` prints them. Ratios are of CPU times taken in turns
(`engine_cases.seconds`): the median over all rounds, and behind it the middle half of them.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import engine_cases as cases
from gradcheck.backprop import Dense, ScalarTape, compile_graph
from gradcheck.backprop.differences import coordinate_difference, dense_differences, scalar_differences
from gradcheck.backprop.schedule_dense import compile_dense
from gradcheck.cost.scaling import fit

Ratios = float | cases.Seconds  # of every round
Line = tuple[str, str, str, str]  # what, target, measured, "met", "short" or ""


def line(what: str, target: str, measured: str, met: bool) -> Line:
    return what, target, measured, "met" if met else "short"


def at_least(what: str, least: float, ratios: Ratios, note: str = "") -> Line:
    ratio = float(np.median(ratios))
    return line(what, f"≥ {least:,g}×", f"{_figure(ratio)}×{_half(ratios)}{note}", ratio >= least)


def at_most(what: str, most: float, ratios: Ratios, note: str = "") -> Line:
    ratio = float(np.median(ratios))
    return line(what, f"≤ {most:g}", f"{_figure(ratio)}{_half(ratios)}{note}", ratio <= most)


def _half(ratios: Ratios) -> str:
    """Between which two the middle half of the rounds lies: a row whose target is between them may fall either way."""
    low, high = np.quantile(ratios, (0.25, 0.75)).tolist()
    return f" ({_figure(low)}–{_figure(high)})" if np.size(ratios) > 1 else ""


def _figure(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def nanoseconds(times: cases.Seconds) -> float:
    return float(np.median(times)) * 1e9


def relu(x: Any) -> Any:
    return x.relu()


def square(x: Any) -> Any:
    return x * x


def limit_lines() -> Iterator[Line]:
    """A long chain, before anything here raises the limit of recursion."""
    schedule, limit = scalar_schedule("chain", 10**6), sys.getrecursionlimit()
    visits = schedule.backward().visits
    what = "a chain of 10⁶ edges under default limits"
    yield line(what, "E edges", f"{visits:,} edges, recursion limit {limit:,}", visits == schedule.edges == 10**6)


def backward_lines(sizes: Sequence[int]) -> Iterator[Line]:
    """Planned backward over micrograd's, which plans at every call; both per edge."""
    value = cases.peer("micrograd.engine").Value
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10**6))  # for micrograd alone: it walks the graph by recursion
    theirs = 10**5
    micrograd = {
        "layered": cases.layered_one_by_one(theirs, value),
        "scalar MLP": cases.perceptron(value, 32, theirs // cases.mlp_edges(32), relu),
        "chain": cases.chain(value, theirs // 4),
    }
    for name, least in (("layered", 90.0), ("scalar MLP", 50.0), ("chain", 30.0)):
        node, edges = micrograd.pop(name), scalar_schedule(name, theirs).edges
        for size in sizes:
            schedule = scalar_schedule(name, size)
            found = cases.seconds({"theirs": node.backward, "ours": schedule.backward}, rounds=5)
            ours, other = found["ours"] / schedule.edges, found["theirs"] / edges
            note = f"   {nanoseconds(ours):.2f} ns an edge, micrograd {nanoseconds(other):.0f} at {edges:,} edges"
            yield at_least(f"backward, {name}, {schedule.edges:,} edges", least, other / ours, note)


def scalar_schedule(name: str, edges: int) -> Any:
    if name == "layered":
        loss, tape = cases.layered(edges)
        return tape.compile(loss)
    tape = ScalarTape()
    if name == "chain":
        return tape.compile(cases.chain(tape.input, edges // 4))
    return tape.compile(cases.perceptron(tape.input, 32, edges // cases.mlp_edges(32), relu))


def recording_lines() -> Iterator[Line]:
    """Operator overloading, node by node, then by layers; and everything once."""
    value = cases.peer("micrograd.engine").Value
    n = 20_000

    def ours() -> Any:
        return cases.chain(ScalarTape().input, n)

    for enabled, least in ((False, 2.0), (True, 4.0)):
        with cases.collector(enabled):
            found = cases.seconds({"theirs": lambda: cases.chain(value, n), "ours": ours}, rounds=7)
        note = f"   {nanoseconds(found['ours']) / (2 * n):.0f} ns a node"
        how = "on, nothing else alive" if enabled else "off"
        yield at_least(f"recording, collector {how}", least, found["theirs"] / found["ours"], note)
    with cases.collector(True):  # as in training: the graph before is still alive

        def kept(number: Callable[[float], Any]) -> list[Any]:
            return [cases.perceptron(number, 32, 5, relu) for _ in range(2)]

        found = cases.seconds({"theirs": lambda: kept(value), "ours": lambda: kept(ScalarTape().input)}, rounds=5)
    yield at_least("recording an MLP, collector on", 4.0, found["theirs"] / found["ours"])
    edges = 10**6
    made: list[ScalarTape] = []

    def by_layers() -> None:
        made[:] = [cases.layered(edges)[1]]

    with cases.collector(False):
        found = cases.seconds(
            {"theirs": lambda: cases.layered_one_by_one(edges // 10, value), "ours": by_layers}, rounds=5
        )
    ours_each, theirs_each = found["ours"] / made[0].edges, found["theirs"] / (edges / 10)
    yield at_least("recording by whole layers", 20.0, theirs_each / ours_each)
    each = nanoseconds(ours_each)
    yield line("", "≤ 30 ns an edge", f"{each:.1f} ns", each <= 30)
    tracemalloc.start()
    tape = ScalarTape()
    x, kept_nodes = tape.input(1.5), []
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(50_000):
        kept_nodes.append(x * x)
    each = (tracemalloc.get_traced_memory()[0] - before) / len(kept_nodes)
    tracemalloc.stop()
    yield line("memory of a recorded node, its Scalar kept", "≤ 250 bytes", f"{each:.0f} bytes", each <= 250)


def once_lines() -> Iterator[Line]:
    """Record, plan and one backward, once."""
    value = cases.peer("micrograd.engine").Value

    def ours() -> Any:
        tape = ScalarTape()
        return tape.compile(cases.perceptron(tape.input, 32, 12, square)).backward()

    calls: dict[str, Callable[[], Any]] = {
        "ours": ours,
        "micrograd": lambda: cases.perceptron(value, 32, 12, square).backward(),
    }
    if torch := cases.peer("torch"):
        calls["torch"] = lambda: cases.perceptron(
            lambda v: torch.tensor(v, requires_grad=True), 32, 12, square
        ).backward()
    if mygrad := cases.peer("mygrad"):
        calls["mygrad"] = lambda: cases.perceptron(mygrad.tensor, 32, 12, square).backward()
    for enabled in (False, True):
        with cases.collector(enabled):
            found = cases.seconds(calls, rounds=5)
        for name in list(calls)[1:]:
            least = 2.5 if name == "micrograd" else 15.0
            what = f"record + plan + one backward, over {name}, collector {'on' if enabled else 'off'}"
            yield at_least(what, least, found[name] / found["ours"])


def slope_lines(sizes: Sequence[int]) -> Iterator[Line]:
    """The log-log slope over graphs of one family, and the super-linear share at the largest."""
    schedules = [scalar_schedule("scalar MLP", size) for size in sizes]
    edges = [schedule.edges for schedule in schedules]
    exact = all(s.backward().visits == s.edges for s in schedules)
    yield line("visits", "E edges", "E edges on each" if exact else "not E", exact)
    rounds = cases.seconds({str(schedule.edges): schedule.backward for schedule in schedules})
    found = fit(edges, [float(rounds[str(e)].min()) for e in edges])
    slope = found.slope.value
    yield line("log-log slope of the time", "0.95 … 1.15", f"{slope:.3f}", 0.95 <= slope <= 1.15)
    yield line("super-linear share, lower bound", "≤ 0.10", f"{found.share.low:.3f}", found.share.low <= 0.10)


def tensor_lines() -> Iterator[Line]:
    """1000 nodes of 8 entries over the same by hand."""
    arrays = cases.small_inputs()
    schedule = compile_graph(cases.traced_small())

    def ours() -> Any:
        schedule.forward(**arrays)
        return schedule.backward()

    def in_place() -> Any:
        schedule.forward()
        return schedule.backward()

    calls = {"hand": lambda: cases.small_by_hand(arrays), "ours": ours, "in place": in_place}
    found = cases.seconds(calls | cases.small_peers(arrays))
    others = ", ".join(f"{name} {np.median(t / found['hand']):.1f}" for name, t in found.items() if name not in calls)
    yield at_most("tensor tape, 8 entries, over hand-written", 2.0, found["ours"] / found["hand"], f"   {others}")
    yield at_most("the same, inputs already in place", 2.0, found["in place"] / found["hand"])


def dense_lines(widths: Sequence[int]) -> Iterator[Line]:
    """Forward and backward of three tanh layers over the floor, and beside the peers."""
    for width in widths:
        most = 2.3 if width < 128 else 1.3 if width < 512 else 1.1
        for dtype in ("float64", "float32"):
            for batch in (16, 128, 512):
                ours, parameters, x, y = dense_passes(width, batch, dtype)
                found = cases.seconds({"floor": cases.dense_floor(width, batch, dtype), "ours": ours})
                ratio = found["ours"] / found["floor"]
                yield at_most(f"dense {width} wide, batch {batch}, {dtype}, over floor", most, ratio)
        for batch in (1, 16, 128):
            ours, parameters, x, y = dense_passes(width, batch, "float64")
            peers = cases.dense_peers(parameters, x, y)
            found = cases.seconds({"floor": cases.dense_floor(width, batch, "float64"), "ours": ours} | peers)
            for name in peers:
                least = 1 / 1.3 if name == "torch" else 1.0
                if width == 32 and batch <= 16:
                    least = {"torch": 3.0, "mygrad": 4.0, "autograd": 10.0}.get(name, 1.0)
                elif name == "torch" and batch < 128:
                    continue  # no target: its products alone decide
                what = f"dense {width} wide, batch {batch}, over {name}"
                note = f"   {_figure(float(np.median(found[name] / found['floor'])))} of the products by NumPy"
                yield at_least(what, round(least, 2), found[name] / found["ours"], note)


def dense_passes(width: int, batch: int, dtype: str) -> tuple[Callable[[], Any], dict[str, Any], Any, Any]:
    net = Dense((width,) * (cases.LAYERS + 1), ("tanh",) * cases.LAYERS)
    rng = np.random.default_rng(0)
    parameters = net.parameters(0, dtype)
    x, y = (rng.normal(size=(batch, width)).astype(dtype) for _ in range(2))
    schedule = compile_dense(net, batch, dtype)
    schedule.forward(x=x, y=y, **parameters)

    def ours() -> Any:
        schedule.forward(x=x, y=y)
        return schedule.backward()

    return ours, parameters, x, y


def numeric_lines() -> Iterator[Line]:
    """Every entry of the numeric gradient, over the plain central loop (timed over some of its entries)."""
    for widths, batch, least in (((64, 100, 32, 10), 32, 200.0), ((256, 256, 128, 10), 32, 1500.0)):
        net = Dense(widths, ("tanh",) * (len(widths) - 1))
        rng = np.random.default_rng(0)
        data = {"x": rng.normal(size=(batch, widths[0])), "y": rng.normal(size=(batch, widths[-1]))}
        parameters = net.parameters(0)
        entries = cases.quantities(widths)
        some = 200
        plain = plain_loop(widths, parameters, data, some)
        calls: dict[str, Callable[[], Any]] = {
            "plain": plain,
            "unit": lambda net=net, p=parameters, d=data: dense_differences(net, p, d),
        }
        if entries < 2e4:
            calls["weight"] = lambda net=net, p=parameters, d=data: dense_differences(net, p, d, by="weight")
        found = cases.seconds(calls, rounds=5)
        loop = found["plain"] / some * entries
        yield at_least(f"numeric gradient, {entries:,} entries, by unit", least, loop / found["unit"])
        if "weight" in found:
            yield at_least(f"numeric gradient, {entries:,} entries, by weight", 6.0, loop / found["weight"])
        g, agreed = dense_differences(net, parameters, data), 0
        for _ in range(20):
            name = str(rng.choice(list(parameters)))
            index = tuple(int(rng.integers(n)) for n in parameters[name].shape)
            slope, error = coordinate_difference(net, parameters, data, name, index)
            agreed += abs(slope - g[name][index]) <= error
        yield line("spot checks by plain coordinates", "20 of 20", f"{agreed} of 20", agreed == 20)
    tape = ScalarTape()
    schedule = tape.compile(cases.perceptron(tape.input, 16, 1, lambda x: x.tanh()))
    values = schedule.values[list(schedule.inputs.values())].copy()

    def loop_over_inputs(count: int = 20) -> None:
        for i in range(count):
            for sign in (1, -1):
                values[i] += sign * 1e-6
                schedule.forward(values)
                values[i] -= sign * 1e-6

    found = cases.seconds({"loop": loop_over_inputs, "ours": lambda: scalar_differences(schedule, 256)}, rounds=5)
    loop = found["loop"] / 20 * len(values)
    what = f"numeric gradient of a scalar MLP, {len(values)} inputs, 256 at once"
    yield at_least(
        what, 20.0, loop / found["ours"], f"   {schedule.edges:,} edges; the loop is the schedule's own forward"
    )


def plain_loop(
    widths: Sequence[int], parameters: dict[str, Any], data: dict[str, Any], some: int
) -> Callable[[], None]:
    """The loop as one writes it: the whole cost in plain NumPy, twice an entry, over the first entries of W1."""
    weights = parameters["W1"].reshape(-1)

    def cost() -> float:
        a = data["x"]
        for layer in range(1, len(widths)):
            a = np.tanh(a @ parameters[f"W{layer}"] + parameters[f"b{layer}"])
        return 0.5 * float(((a - data["y"]) ** 2).sum()) / len(a)

    def loop() -> None:
        for i in range(some):
            at = weights[i]
            weights[i] = at + 1e-6
            up = cost()
            weights[i] = at - 1e-6
            down = cost()
            weights[i] = at
            _ = (up - down) / 2e-6

    return loop


def lines() -> Iterator[Line]:
    """All rows, one after the other, as they are measured."""
    yield from limit_lines()
    if cases.peer("micrograd.engine"):
        yield from backward_lines([10**5, 10**6, 10**7])
        yield from recording_lines()
        yield from once_lines()
    else:
        yield "scalar graphs over micrograd", "", "micrograd is not installed: pip install micrograd", ""
    yield from slope_lines([int(10**power) for power in np.linspace(5, 7, 7)])
    yield from tensor_lines()
    yield from dense_lines((32, 128, 512))
    yield from numeric_lines()
