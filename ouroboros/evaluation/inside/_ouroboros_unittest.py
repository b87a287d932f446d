"""`python -m unittest`, with each test reported on the private channel and an END record."""
# ruff: noqa: PTH109, RUF005 - runs in the target's interpreter: old, and quick to start

import os
import sys
import time
import unittest
from typing import Any

import _ouroboros_report as channel  # type: ignore[import-not-found] # beside this file, inside

_tell = channel.private()


class _Result(unittest.TextTestResult):
    _ouroboros = "passed"
    _begun = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.reported: Any = set()
        self.skipped_groups: Any = []

    def startTest(self, test: Any) -> None:  # noqa: N802 - unittest's name
        super().startTest(test)
        self._ouroboros = "passed"
        self._begun = time.perf_counter()

    def stopTest(self, test: Any) -> None:  # noqa: N802
        super().stopTest(test)
        seconds = time.perf_counter() - self._begun
        record = {"kind": "test", "id": test.id(), "outcome": self._ouroboros, "seconds": seconds}
        self.reported.add(test.id())
        _tell(record)

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._ouroboros = "failed"
        if not isinstance(test, unittest.TestCase):  # setUpClass, setUpModule
            _tell({"kind": "error", "id": test.id()})

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._ouroboros = "failed"

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._ouroboros = "failed"

    def addSkip(self, test: Any, reason: Any) -> None:  # noqa: N802
        super().addSkip(test, reason)
        if not isinstance(test, unittest.TestCase):
            # "setUpClass (package.module.Class)": none of its tests will be heard of.
            self.skipped_groups.append(test.id().partition("(")[2].rstrip(")") + ".")
        elif self._ouroboros == "passed":
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
        tests = list(_tests(test))
        found = {channel.relative(_file(test)) for test in tests}
        ids = [test.id() for test in tests]
        _tell({"kind": "collected", "ids": ids, "files": sorted(found - {""})})
        self.failfast = False  # the tests after a failure are wanted too
        result: Any = super().run(test)
        for name in ids:
            if name not in result.reported and name.startswith(tuple(result.skipped_groups)):
                _tell({"kind": "test", "id": name, "outcome": "skipped", "seconds": 0.0})
        return result


def _tests(suite: Any) -> Any:
    if isinstance(suite, unittest.TestSuite):
        for test in suite:
            yield from _tests(test)
    elif suite is not None:
        yield suite


def _file(test: Any) -> Any:
    return getattr(sys.modules.get(type(test).__module__), "__file__", None)


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
        coverage.report(_tell)
    _tell(channel.modules())
    _tell({"kind": "end", "status": status})
    sys.exit(status)


if __name__ == "__main__":
    main()
