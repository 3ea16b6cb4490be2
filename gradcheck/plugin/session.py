"""What one pytest run judges: it knows the test that is running, hears its verdicts and says what came of them."""

import sys
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.plugin import running
from gradcheck.plugin.reading import read, usable
from gradcheck.plugin.selection import expect_failures, split
from gradcheck.plugin.settings import CHECK, SETTINGS, refuse_unknown, resolve

if TYPE_CHECKING:
    from gradcheck.cost.curve import Curve
    from gradcheck.report import Report
    from gradcheck.suite.targets import Subject

COST = ("per", "order")
"""The arguments of the marker `cost`."""


class Session:
    """The plugin's state, registered as a plugin of its own."""

    def __init__(self, config: pytest.Config) -> None:
        """Read the options; raises pytest.UsageError for one that cannot be used."""
        self.config = config
        self.options = read(config)
        self.item: pytest.Item | None = None
        self.heard: dict[str, Report] = {}  # of the test that is running, by the name of what was judged
        self.judged_with: dict[str, dict[str, Any]] = {}  # and the options of `check` that were not left as they are
        self.strict: set[str] = set()
        self.wrong: dict[str, tuple[Any, tuple[Any, ...], Sequence[int | str]]] = {}  # layer, inputs, frozen of a FAIL
        self.recorded: tuple[str, Any] | None = None  # a target's name, and the case to judge it at, whatever is given
        self.verdicts: list[dict[str, Any]] = []  # of the whole run; filled in the process that writes
        self.costs: list[dict[str, Any]] = []  # records of the curves measured
        self.warned: list[str] = []
        self.found: list[Subject] | None = None
        self.asked = False  # has a test asked for gradcheck_target?
        self.unusable = ""  # why the targets cannot be used
        self.refused = ""  # what a worker of xdist refused to run

    @property
    def writes(self) -> bool:
        """True in the process that writes the summary and the report, not in a worker of xdist."""
        return not hasattr(self.config, "workerinput")

    # what is judged

    def subjects(self) -> "list[Subject]":
        """The targets of this run, found once; none where one cannot be used: collection then ends with why."""
        if self.found is None:
            from gradcheck.suite.targets import TargetError, subjects

            named = self.options.named or self.options.listed
            more = [] if self.options.named else self.config.hook.pytest_gradcheck_targets(config=self.config)
            try:
                self.found = subjects(named, more, self.options.shapes, self.config.invocation_params.dir)
            except TargetError as error:
                self.found, self.unusable = [], str(error)
        return self.found

    def settings(self, given: dict[str, Any], target: object) -> dict[str, Any]:
        """Every setting for one call in the test that is running."""
        __tracebackhide__ = True
        return resolve(self.config, self.item, given, target)

    def hear(
        self,
        report: "Report",
        settings: dict[str, Any],
        layer: Any,
        inputs: tuple[Any, ...] = (),
        frozen: Sequence[int | str] = (),
    ) -> None:
        """Take in a report, the settings it was made with, and what was judged, where a search drew inputs.

        The last FAIL is the smallest, and its layer and inputs are kept for a closer look.
        """
        from gradcheck.judge.tally import merged

        earlier = self.heard.get(report.target)
        self.heard[report.target] = report if earlier is None else merged(earlier, report)
        if report.verdict.value == "fail":
            self.wrong[report.target] = layer, inputs, frozen
        self.judged_with[report.target] = {
            name: settings[name] for name in CHECK if settings[name] != SETTINGS[name].default
        }
        if settings["strict"]:
            self.strict.add(report.target)

    def measured(self, curve: "Curve") -> None:
        """Take in a cost, for JUnit's XML and the report."""
        if self.item is not None:
            self.item.user_properties.append(("gradcheck_cost", curve.headline()))
        if self.options.report:
            from gradcheck.render.costs import cost_record

            self.costs.append(cost_record(curve, target_ref=self.item.nodeid if self.item else ""))

    # pytest's hooks, in the order of a run

    @pytest.hookimpl(tryfirst=True)  # before xdist starts its workers
    def pytest_sessionstart(self) -> None:
        """Targets named on the command line are looked up at once: a mistake there ends the run here."""
        if self.options.named and not self.subjects():
            raise pytest.UsageError(self.unusable)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """A @given stacked on @gradcheck.verify, and the one that verify is made of, become one."""
        if "gradcheck.plugin.verify" in sys.modules and item.get_closest_marker("gradcheck") is not None:
            from gradcheck.plugin.verify import merge_given

            merge_given(getattr(item, "obj", None))

    @pytest.hookimpl(tryfirst=True)  # before -k takes tests away: an id of one of those is not stale
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse what cannot be run, and expect known failures."""
        try:
            self._refuse(items)
        except pytest.UsageError as error:
            if self.writes:
                raise
            self.refused = str(error)  # xdist calls it an internal error where a worker raises
            items.clear()
        self.warned += expect_failures(self.options.xfails, items)

    def _refuse(self, items: list[pytest.Item]) -> None:
        """Raise pytest.UsageError for targets that cannot be used or that no test takes, and for a wrong marker."""
        if self.unusable:
            raise pytest.UsageError(self.unusable)
        if self.options.named and not self.asked:
            raise pytest.UsageError(
                f"--gradcheck-target {self.options.named[0]}: none of the {len(items)} tests collected takes "
                f"gradcheck_target, so it would not be checked; add --pyargs gradcheck.suite"
            )
        for item in items:
            for marker in (*item.iter_markers("gradcheck"), *item.iter_markers("cost")):
                usable(item.nodeid, _refuse_marker, marker)

    @pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")  # the parts of what -k has left
    def pytest_take_shard(self, items: list[pytest.Item]) -> None:
        """Keep one part of the tests that use gradcheck."""
        kept, dropped = split(items, *self.options.shard)
        if dropped:
            self.config.hook.pytest_deselected(items=dropped)
            items[:] = kept

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Know which test is running; a run inside a test of another run gives the outer one back."""
        outer, running.session = running.session, self
        self.item, self.heard, self.judged_with, self.wrong, self.strict = item, {}, {}, {}, set()
        try:
            return (yield)
        finally:
            self.item, running.session = None, outer

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Where a test is strict, it fails with what it could not tell."""
        __tracebackhide__ = True
        if "gradcheck.plugin.verify" in sys.modules and item.get_closest_marker("gradcheck") is not None:
            from gradcheck.plugin.judging import warm_up

            warm_up()
        result = yield
        for report in self.heard.values():
            if report.verdict.value == "inconclusive" and report.target in self.strict:
                from gradcheck.report import InconclusiveError

                raise InconclusiveError(report)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the verdicts with pytest's report, which crosses from xdist's workers and reaches JUnit's XML."""
        if call.when != "call" or not self.heard:
            return (yield)
        from gradcheck.plugin.recording import properties, verdict

        heard = list(self.heard.values())
        item.user_properties += properties(heard)
        told = [verdict(self, item, report, call) for report in heard]
        report = yield
        report.gradcheck = told  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the verdicts, in the process that writes them."""
        if not self.writes or report.when != "call":
            return
        self.verdicts += [{**verdict, "test": report.nodeid} for verdict in getattr(report, "gradcheck", ())]
        if report.passed and report.nodeid in self.options.xfails:
            self.warned.append(f"{report.nodeid} passes, but is listed as a known failure: take it off the list")

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        """INCONCLUSIVE is an outcome of its own, for a test that did not fail."""
        if report.when == "call" and report.passed and ("gradcheck_verdict", "inconclusive") in report.user_properties:
            return "inconclusive", "i", ("INCONCLUSIVE", {"yellow": True})
        return None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report; a worker sends what it has to say instead."""
        if not self.writes:
            self.config.workeroutput["gradcheck"] = self.warned, self.refused  # type: ignore[attr-defined]
        elif self.refused:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif self.options.report and not self.config.getoption("collectonly"):
            from gradcheck.render.writing import write

            if not write(self.options.report, [*(told["record"] for told in self.verdicts), *self.costs]):
                self.warned.append(f"nothing was judged, and so there is no {self.options.report.name}")

    @pytest.hookimpl(optionalhook=True)  # of xdist
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker has to say; all of them collect the same tests."""
        warned, self.refused = getattr(node, "workeroutput", {}).get("gradcheck", ((), self.refused))
        self.warned += [line for line in warned if line not in self.warned]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what came of the gradients, where there is anything to say."""
        if self.refused:
            terminalreporter.line(f"ERROR: {self.refused}", red=True)
        if self.verdicts or self.costs or self.warned:
            from gradcheck.plugin.recording import summarise

            summarise(self, terminalreporter)


def _refuse_marker(marker: pytest.Mark) -> None:
    """Raise TypeError for an argument that the marker does not have, ValueError for a value it cannot have."""
    where = f"the marker {marker.name}"
    known = tuple(SETTINGS) if marker.name == "gradcheck" else COST
    if marker.args:
        names = "=…, ".join(known)
        raise TypeError(f"{where} takes no positional argument, got {marker.args[0]!r}; name it: {names}=…")
    if marker.name == "gradcheck":
        refuse_unknown(marker.kwargs, where)
        for name, value in marker.kwargs.items():
            try:
                SETTINGS[name].valid(value)
            except ValueError as error:
                raise ValueError(f"{where}({name}=…): {error}") from None
    elif unknown := [name for name in marker.kwargs if name not in COST]:
        raise TypeError(f"{where} has no argument {', '.join(unknown)}; it takes {', '.join(COST)}")
