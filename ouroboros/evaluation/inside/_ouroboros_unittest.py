"""`python -m unittest`, with each test reported on the private channel and an END record."""
# ruff: noqa: PTH109, RUF005 - runs in the target's interpreter: old, and quick to start

import os
import sys
import time
import unittest
from typing import Any

import _ouroboros_report as channel  # type: ignore[import-not-found] # beside this file, inside


class _Result(unittest.TextTestResult):
    _ouroboros = "passed"
    _begun = 0.0

    def startTest(self, test: Any) -> None:  # noqa: N802 - unittest's name
        super().startTest(test)
        self._ouroboros = "passed"
        self._begun = time.perf_counter()

    def stopTest(self, test: Any) -> None:  # noqa: N802
        super().stopTest(test)
        seconds = time.perf_counter() - self._begun
        record = {"kind": "test", "id": test.id(), "outcome": self._ouroboros, "seconds": seconds}
        channel.write(record)

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._ouroboros = "failed"
        if not isinstance(test, unittest.TestCase):  # setUpClass, setUpModule
            channel.write({"kind": "error", "id": test.id()})

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._ouroboros = "failed"

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._ouroboros = "failed"

    def addSkip(self, test: Any, reason: Any) -> None:  # noqa: N802
        super().addSkip(test, reason)
        if self._ouroboros == "passed":
            self._ouroboros = "skipped"

    def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addExpectedFailure(test, err)
        self._ouroboros = "xfailed"

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self._ouroboros = "failed"


class _Runner(unittest.TextTestRunner):
    resultclass: Any = _Result

    def run(self, test: Any) -> Any:
        channel.write({"kind": "collected", "ids": list(_ids(test))})
        return super().run(test)


def _ids(suite: Any) -> Any:
    if isinstance(suite, unittest.TestSuite):
        for test in suite:
            yield from _ids(test)
    elif suite is not None:
        yield suite.id()


def main() -> None:
    """Run what the command line names, as `python -m unittest` would."""
    # The folder of this file came first; unittest expects the working directory there.
    sys.path[0] = os.getcwd()
    coverage: Any = None
    if os.environ.get("OUROBOROS_COVERAGE"):  # before anything of the target is imported
        import _ouroboros_coverage as coverage  # type: ignore[import-not-found,no-redef] # beside this file

        coverage.start()
    arguments = ["python -m unittest"] + sys.argv[1:]
    program = unittest.main(module=None, argv=arguments, testRunner=_Runner, exit=False)
    status = 0 if program.result.wasSuccessful() else 1
    if coverage is not None:
        coverage.report()
    channel.write(channel.modules())
    channel.write({"kind": "end", "status": status})
    sys.exit(status)


if __name__ == "__main__":
    main()
