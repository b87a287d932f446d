"""Attacks on the test run from inside: a wrong candidate that has the run say that all is well.

Each attack is run through the whole executor. `WRONG` breaks one of the target's tests, and what
follows it hides that.
"""

import textwrap
from typing import Any

import pytest

from ouroboros.executors.local import LocalExecutor
from ouroboros.model.evaluation import CheckStatus, Evaluation, EvaluationStatus

WRONG = """
def total(n):
    return 6
"""

PYTEST = """
    [tests]
    command = ["tests"]
    timeout = "20s"
"""
FUNCTIONS = """
    from shop.prices import total

    def test_small():
        assert total(3) == 5

    def test_zero():
        assert total(0) == 0

    def test_ten():
        assert total(10) == sum(i * i % 7 for i in range(10))
"""
UNITTEST = """
    [tests]
    framework = "unittest"
    command = ["discover", "-s", "tests", "-t", "."]
    timeout = "20s"
"""


def refused(evaluation: Evaluation, *codes: str) -> None:
    assert evaluation.status is EvaluationStatus.FAILED, evaluation
    assert evaluation.checks[-1].status is CheckStatus.FAILED
    assert evaluation.checks[-1].code in codes, evaluation.checks[-1]


def attack(code: str) -> dict[str, str]:
    return {"shop/prices.py": WRONG + textwrap.dedent(code)}


QUIET_CALLS = """
    from _pytest import runner
    honest = runner.CallInfo.from_call.__func__
    def quiet(cls, func, when, reraise=None):
        call = honest(cls, func, when, reraise)
        call.excinfo = None
        return call
    runner.CallInfo.from_call = classmethod(quiet)
"""

QUIET_REPORTS = """
    from _pytest import reports
    honest = reports.TestReport.from_item_and_call.__func__
    def quiet(cls, item, call):
        call.excinfo = None
        return honest(cls, item, call)
    reports.TestReport.from_item_and_call = classmethod(quiet)
"""

QUIET_HOOK = """
    import gc, pytest
    from _pytest.config import PytestPluginManager
    class Quiet:
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(self, item, call):
            answer = yield
            report = answer.get_result()
            report.outcome, report.longrepr = "passed", None
    for thing in gc.get_objects():
        if isinstance(thing, PytestPluginManager):
            thing.register(Quiet())
"""

QUIET_FUNCTIONS = """
    import gc
    from _pytest.config import PytestPluginManager
    class Plugin:
        def pytest_pyfunc_call(self, pyfuncitem):
            return True
    import pytest
    Plugin.pytest_pyfunc_call = pytest.hookimpl(tryfirst=True)(Plugin.pytest_pyfunc_call)
    for thing in gc.get_objects():
        if isinstance(thing, PytestPluginManager):
            thing.register(Plugin())
"""

QUIET_REWRITING = """
    import ast
    from _pytest.assertion import rewrite
    def strip(tree, *args, **options):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assert):
                node.test = ast.copy_location(ast.Constant(True), node.test)
    rewrite.rewrite_asserts = strip
"""

OTHER_ERROR = """
    import builtins, pytest
    class Fine(pytest.skip.Exception):
        pass
    builtins.AssertionError = Fine
"""

NO_ERROR = """
    import builtins, os
    def leave(*_):
        os._exit(0)
    builtins.AssertionError = leave
"""

CALL_THE_REPORTER = """
    import gc, os
    from _pytest.main import Session
    def lie(session):
        import _ouroboros_pytest as plugin
        ids = [item.nodeid for item in session.items]
        for name in ids:
            plugin._tell({"kind": "test", "id": name, "outcome": "passed", "seconds": 0.01})
        import _ouroboros_report as channel
        plugin._tell(channel.modules())
        plugin._tell({"kind": "end", "status": 0})
        os._exit(0)
    from _pytest.config import PytestPluginManager
    import pytest
    class Plugin:
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(self, item, nextitem):
            lie(item.session)
    for thing in gc.get_objects():
        if isinstance(thing, PytestPluginManager):
            thing.register(Plugin())
"""

WRITE_RECORDS = """
    import json, os
    ids = ["tests/test_prices.py::test_small", "tests/test_prices.py::test_zero",
           "tests/test_prices.py::test_ten"]
    lines = [{"kind": "collected", "ids": ids}]
    lines += [{"kind": "test", "id": i, "outcome": "passed", "seconds": 0.1} for i in ids]
    lines += [{"kind": "end", "status": 0}]
    os.write(3, b"".join(json.dumps(line).encode() + b"\\n" for line in lines))
    os._exit(0)
"""

WRITE_AT_THE_END = """
    import atexit, os
    def total(n):
        return sum(i * i % 7 for i in range(n))
    atexit.register(os.write, 3, b'{"kind": "end", "status": 0}\\n')
"""

DESELECT = """
    from _pytest.config import PytestPluginManager
    import gc, pytest
    class Plugin:
        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(self, session, config, items):
            items[:] = [i for i in items if "small" not in i.name and "zero" not in i.name]
            total.__code__ = (lambda n: sum(i * i % 7 for i in range(n))).__code__
    for thing in gc.get_objects():
        if isinstance(thing, PytestPluginManager):
            thing.register(Plugin())
"""

EXPECT_FAILURES = """
    import gc, pytest
    from _pytest.config import PytestPluginManager
    class Plugin:
        def pytest_collection_modifyitems(self, items):
            for item in items:
                item.add_marker(pytest.mark.xfail)
    for thing in gc.get_objects():
        if isinstance(thing, PytestPluginManager):
            thing.register(Plugin())
"""

SKIP_A_SUBTEST = """
    import unittest
    def total(n):
        raise unittest.SkipTest("busy")
"""

SWAP_STATUS = """
    import atexit, os
    atexit.register(os._exit, 0)
"""

# Knows of the control run: it tries the tests that it did not break, sees whether they fail, and
# then has all tests end as they should in such a run.
KNOWS_BY_TRYING = """
    import gc, pytest
    from _pytest import runner
    from _pytest.config import PytestPluginManager
    def fails(item):
        try:
            item.obj()
        except AssertionError:
            return True
        return False
    class Plugin:
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(self, session):
            control = any(fails(i) for i in session.items if "small" not in i.name)
            honest = runner.CallInfo.from_call.__func__
            def forged(cls, func, when, reraise=None):
                def end():
                    assert not (control and when == "call")
                return honest(cls, end, when, reraise)
            runner.CallInfo.from_call = classmethod(forged)
    for thing in gc.get_objects():
        if isinstance(thing, PytestPluginManager):
            thing.register(Plugin())

    def total(n):
        return 6 if n == 3 else sum(i * i % 7 for i in range(n))
"""

# Turns the outcome of the tests around that it breaks: right in both runs, were it not for twins.
TURNS_AROUND = """
    from _pytest import runner
    honest = runner.CallInfo.from_call.__func__
    def turned(cls, func, when, reraise=None):
        call = honest(cls, func, when, reraise)
        if when != "call":
            return call
        def fail():
            assert call.excinfo
        return honest(cls, fail, when, reraise)
    runner.CallInfo.from_call = classmethod(turned)

    def total(n):
        return -1
"""

READS_THE_FILES = """
    from pathlib import Path
    from _pytest import runner
    honest = runner.CallInfo.from_call.__func__
    def forged(cls, func, when, reraise=None):
        def fail():
            assert when != "call" or "assert not (" not in Path("tests/test_prices.py").read_text()
        return honest(cls, fail, when, reraise)
    runner.CallInfo.from_call = classmethod(forged)
"""


FORK = """
    import os
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
    def total(n):
        return sum(i * i % 7 for i in range(n))
"""

REPORT_TWICE = """
    import _ouroboros_pytest as plugin
    honest = plugin._tell
    def twice(record):
        honest(record)
        if record["kind"] == "test":
            honest(dict(record, outcome="passed"))
    plugin._tell = twice
"""

REPORT_STRANGERS = """
    import _ouroboros_pytest as plugin
    honest = plugin._tell
    def more(record):
        if record["kind"] == "end":
            honest({"kind": "test", "id": "no::such", "outcome": "passed", "seconds": 0.1})
        honest(record)
    plugin._tell = more
"""

REPORT_EARLY = """
    import _ouroboros_pytest as plugin
    plugin._tell({"kind": "test", "id": "tests/test_prices.py::test_small",
                  "outcome": "passed", "seconds": 0.1})
"""

REPORT_WONDERS = """
    import _ouroboros_pytest as plugin
    honest = plugin._tell
    plugin._tell = lambda record: honest(
        dict(record, outcome="wonderful") if record["kind"] == "test" else record
    )
"""

ATTACKS = {
    "fork": (FORK, ["forged"]),
    "report_twice": (REPORT_TWICE, ["forged"]),
    "report_strangers": (REPORT_STRANGERS, ["forged"]),
    "report_early": (REPORT_EARLY, ["forged"]),
    "report_wonders": (REPORT_WONDERS, ["forged"]),
    "quiet_calls": (QUIET_CALLS, ["inverted_survived"]),
    "quiet_reports": (QUIET_REPORTS, ["inverted_survived"]),
    "quiet_hook": (QUIET_HOOK, ["inverted_survived"]),
    "quiet_functions": (QUIET_FUNCTIONS, ["inverted_survived"]),
    "other_error": (OTHER_ERROR, ["newly_skipped"]),
    "no_error": (NO_ERROR, ["forged"]),
    "call_the_reporter": (CALL_THE_REPORTER, ["inverted_survived"]),
    "write_records": (WRITE_RECORDS, ["forged"]),
    "write_at_the_end": (WRITE_AT_THE_END, ["forged"]),
    "deselect": (DESELECT, ["missing_tests"]),
    "expect_failures": (EXPECT_FAILURES, ["newly_skipped"]),
    "swap_status": (SWAP_STATUS, ["tests_failed"]),
    "knows_by_trying": (KNOWS_BY_TRYING, ["inverted_differs", "inverted_survived"]),
    "turns_around": (TURNS_AROUND, ["inverted_differs", "inverted_survived"]),
    "reads_the_files": (READS_THE_FILES, ["inverted_differs"]),
}


@pytest.mark.long
@pytest.mark.parametrize("name", ATTACKS)
async def test_pytest_attacked(name: str, executor: LocalExecutor, target: Any, seen: Any) -> None:
    code, codes = ATTACKS[name]
    target.config = target.configured(PYTEST)
    base = target.commit({"tests/test_prices.py": FUNCTIONS})
    evaluation = await executor.run(target.candidate(attack(code), base=base), seen)
    refused(evaluation, *codes)


async def test_rewriting_attacked(executor: LocalExecutor, target: Any, seen: Any) -> None:
    """The file that imports the attack is compiled already; the ones after it are not."""
    base = target.commit(
        {
            "tests/test_prices.py": "import shop.prices\ndef test_import(): assert shop.prices\n",
            "tests/test_sums.py": "from shop.prices import total\n"
            "def test_small(): assert total(3) == 5\n",
        }
    )
    target.config = target.configured(PYTEST)
    plan = target.candidate(attack(QUIET_REWRITING), base=base)
    evaluation = await executor.run(plan, seen)
    refused(evaluation, "inverted_survived")
    assert "tests/test_sums.py::test_small" in evaluation.cause


UNITTEST_ATTACKS = {
    "quiet_run": (
        """
        import unittest
        def quiet(self, result=None):
            result.startTest(self)
            result.addSuccess(self)
            result.stopTest(self)
            return result
        unittest.TestCase.run = unittest.TestCase.__call__ = quiet
        """,
        "inverted_survived",
    ),
    "quiet_methods": (
        """
        import unittest
        for name in dir(unittest.TestCase):
            if name.startswith("assert"):
                setattr(unittest.TestCase, name, lambda *_, **__: None)
        """,
        "inverted_survived",
    ),
    "quiet_result": (
        """
        import unittest
        from unittest import TextTestResult
        import gc
        def success(self, test, err=None):
            self.addSuccess(test)
        for cls in (TextTestResult, *TextTestResult.__subclasses__()):
            cls.addFailure = cls.addError = success
            cls.addSubTest = lambda *_: None
        """,
        "inverted_survived",
    ),
    "skip_the_class": (
        """
        import sys, unittest
        def skip(cls):
            raise unittest.SkipTest("busy")
        unittest.TestCase.setUpClass = classmethod(skip)
        """,
        "newly_skipped",
    ),
    "skip_a_subtest": (SKIP_A_SUBTEST, "newly_skipped"),
    "excepthook": (
        """
        import os, sys
        sys.excepthook = lambda *_: os._exit(0)
        raise SystemError
        """,
        "tests_failed",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", UNITTEST_ATTACKS)
async def test_unittest_attacked(
    name: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    code, expected = UNITTEST_ATTACKS[name]
    target.config = target.configured(UNITTEST)
    tests = """
        import unittest
        from shop.prices import total

        class Prices(unittest.TestCase):
            def test_ten(self):
                self.assertEqual(total(10), sum(i * i % 7 for i in range(10)))

            def test_each(self):
                for n in range(3):
                    with self.subTest(n=n):
                        self.assertEqual(total(n), sum(i * i % 7 for i in range(n)))
    """
    base = target.commit({"tests/__init__.py": "", "tests/test_prices.py": tests})
    evaluation = await executor.run(target.candidate(attack(code), base=base), seen)
    refused(evaluation, expected)


async def test_a_skipped_subtest_of_pytest_is_not_forgotten(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    tests = """
        import shop.prices

        def test_each(subtests):
            for n in range(3):
                with subtests.test(n=n):
                    assert shop.prices.total(n) == sum(i * i % 7 for i in range(n))
    """
    target.config = target.configured(PYTEST)
    base = target.commit({"tests/test_prices.py": tests})
    evaluation = await executor.run(target.candidate(attack(SKIP_A_SUBTEST), base=base), seen)
    refused(evaluation, "newly_skipped")


CHILD = """
    import os, subprocess
    line = ["sh", "-c", "echo noise >&3"]
    assert subprocess.run(line, close_fds=False, stderr=-1).returncode != 0
    assert "OUROBOROS_RESULT_FD" not in os.environ
    assert os.read(0, 1) == b""

    def total(n):
        return sum(i * i % 7 for i in range(n))
"""


@pytest.mark.parametrize("toml", [PYTEST, UNITTEST])
async def test_the_channel_is_the_test_runs_alone(
    toml: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(toml)
    base = target.commit({"tests/__init__.py": ""})
    evaluation = await executor.run(target.candidate(attack(CHILD), base=base), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause


@pytest.mark.parametrize("name", [".pytest.ini", "pytest.toml", "tests/deep/pytest.ini"])
async def test_a_new_configuration_of_pytest_is_refused(
    name: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(PYTEST)
    evaluation = await executor.run(target.candidate({name: "[pytest]\naddopts = -k no\n"}), seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert "protected" in evaluation.cause


async def test_settings_from_elsewhere_are_noticed(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    """Also where people have protected less."""
    target.config = target.configured(PYTEST + '[governor]\nprotected = ["tests/**"]\n')
    plan = target.candidate({"pytest.toml": "[pytest]\n"})
    refused(await executor.run(plan, seen), "changed_config")


async def test_compiled_files_of_a_commit_are_dropped(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    source = """
        import os
        assert not os.path.exists("shop/__pycache__/planted.pyc")
        assert not os.path.exists("__pycache__/planted.pyc")

        def total(n):
            return sum(i * i % 7 for i in range(n))
    """
    target.config = target.configured(PYTEST)
    planted = {"shop/__pycache__/planted.pyc": "x", "__pycache__/planted.pyc": "x"}
    plan = target.candidate({"shop/prices.py": source} | planted)
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause


async def test_a_cache_of_a_commit_is_not_read(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    """Also where the target's own settings ask for the cache."""
    tests = (
        FUNCTIONS
        + """
    def test_cache(cache):
        assert cache.get("planted/value", None) is None
    """
    )
    target.config = target.configured(PYTEST.replace('["tests"]', '["--lf", "tests"]'))
    ini = "[pytest]\naddopts = --strict-config\ncache_dir = .cache\n"
    base = target.commit({"tests/test_prices.py": tests, "pytest.ini": ini})
    good = "def total(n): return sum(i * i % 7 for i in range(n))\n"
    planted = {
        ".cache/v/planted/value": "1",
        ".cache/v/cache/lastfailed": '{"tests/test_prices.py::test_small": true}',
    }
    evaluation = await executor.run(
        target.candidate({"shop/prices.py": good} | planted, base=base), seen
    )
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
