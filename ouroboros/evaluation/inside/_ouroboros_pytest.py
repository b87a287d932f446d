"""A pytest plugin that reports each test on the private channel, and an END record at the end.

The evaluator compares these records with the exit code and with the baseline's. Standard output
is never parsed: anything can print "10 passed".
"""

# ruff: noqa: PTH118 - runs in the target's interpreter: quick to start

import os
from typing import Any

import _ouroboros_report as channel  # type: ignore[import-not-found] # beside this file, inside
import pytest

_SHOWN = 20
"""So many failures keep their traceback: where all fail, the rest would cost time and output."""

_MODULES = "ouroboros_modules"

_tell = channel.private()

coverage: Any = None
if os.environ.get("OUROBOROS_COVERAGE"):  # before anything of the target is imported
    import _ouroboros_coverage as coverage  # type: ignore[import-not-found,no-redef] # beside this file

    coverage.start()


def pytest_configure(config: Any) -> None:
    """Join; the workers of pytest-xdist report to its controller, which is the test run to us."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(), "ouroboros-worker")
    else:
        config.pluginmanager.register(Recorder(), "ouroboros-recorder")


class Worker:
    """In a worker of pytest-xdist: hands over what it loaded."""

    def pytest_sessionfinish(self, session: Any) -> None:
        """The worker's end."""
        session.config.workeroutput[_MODULES] = channel.modules()


class Recorder:
    """Turns pytest's reports into records."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.session: Any = None
        self.phases: Any = {}
        self.failures = 0
        self.style: Any = None
        self.collected = False

    def pytest_sessionstart(self, session: Any) -> None:
        """Keep the session, for its final exit status."""
        self.session = session

    def pytest_collectreport(self, report: Any) -> None:
        """A file that cannot be imported is a failure with the file's id."""
        if report.failed:
            _tell({"kind": "error", "id": report.nodeid})

    def pytest_collection_finish(self, session: Any) -> None:
        """Tell which tests there are, before any runs."""
        self._collected([i.nodeid for i in session.items], {_file(i) for i in session.items})

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Any) -> None:
        """All workers of pytest-xdist collect the same tests, or it gives up."""
        if not self.collected:
            root = str(self.session.config.rootdir)
            self._collected(list(ids), {os.path.join(root, i.split("::")[0]) for i in ids})

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist is done."""
        loaded = getattr(node, "workeroutput", {}).get(_MODULES)
        if loaded:
            _tell(loaded)

    def _collected(self, ids: Any, files: Any) -> None:
        self.collected = True
        config = self.session.config
        ini = getattr(config, "inipath", None) or getattr(config, "inifile", None)
        found = sorted({channel.relative(file) for file in files} - {""})
        record = {"ids": ids, "files": found, "config": channel.relative(ini)}
        _tell(dict(record, kind="collected"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take one phase (setup, call, teardown) of one test."""
        seen = self.phases.setdefault(report.nodeid, {"outcome": "unknown", "seconds": 0.0})
        seen["seconds"] += report.duration
        if seen["outcome"] != "failed":
            seen["outcome"] = _outcome(report, seen["outcome"])
        if report.failed:
            self._failed(report)

    def _failed(self, report: Any) -> None:
        self.failures += 1
        option = self.session.config.option
        if self.failures == _SHOWN:
            self.style = getattr(option, "tbstyle", "auto")
            option.tbstyle = "line"
        elif self.failures > _SHOWN:
            report.longrepr = "(not shown: too many failures)"
            report.sections = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: Any) -> None:
        """Show the failures that were kept in the style that was asked for."""
        if self.style is not None:
            session.config.option.tbstyle = self.style

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """All phases of one test are over."""
        seen = self.phases.pop(nodeid, {"outcome": "unknown", "seconds": 0.0})
        _tell(dict(seen, kind="test", id=nodeid))

    def pytest_unconfigure(self) -> None:
        """The very end: what was loaded, and the exit status that the process will have."""
        if coverage is not None:
            coverage.report(_tell)
        _tell(channel.modules())
        status = getattr(self.session, "exitstatus", -1)
        _tell({"kind": "end", "status": int(status)})


def _file(item: Any) -> Any:
    return getattr(item, "path", None) or getattr(item, "fspath", "")  # pytest 7; before it


def _outcome(report: Any, before: Any) -> Any:
    expected = hasattr(report, "wasxfail")
    if report.failed:
        return "failed"
    if report.skipped:
        return "xfailed" if expected else "skipped"
    # A subtest that was skipped is not forgotten when the test around it passes.
    if report.when == "call" and before in ("unknown", "passed"):
        return "xpassed" if expected else "passed"
    return before
