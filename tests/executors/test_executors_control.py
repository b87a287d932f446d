"""The control run and JUnit reports on honest targets of all sorts, and on broken ones."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ouroboros.executors.local import LocalExecutor
from ouroboros.model.evaluation import Assurance, CheckStatus, Evaluation, EvaluationStatus

GOOD = {"shop/prices.py": "def total(n):\n    return sum([i * i % 7 for i in range(n)])\n"}
WRONG = {"shop/prices.py": "def total(n):\n    return 6\n"}

PYTEST = """
    [tests]
    command = ["tests"]
    timeout = "20s"
"""


def check(evaluation: Evaluation, name: str) -> Any:
    return next(c for c in evaluation.checks if c.name == name)


def fine(evaluation: Evaluation) -> None:
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause


def broken(evaluation: Evaluation, *words: str) -> None:
    assert evaluation.status is EvaluationStatus.ERROR, evaluation
    for word in words:
        assert word in evaluation.cause, evaluation.cause


async def test_every_kind_of_test_is_turned_around(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    tests = """
        import asyncio, unittest
        import pytest
        from tests.helpers import agree
        from shop.prices import total

        pytestmark = pytest.mark.filterwarnings("error")

        @pytest.fixture
        def three():
            assert total(0) == 0
            return 3

        @pytest.mark.parametrize("n", [0, 1])
        def test_param(n):
            assert total(n) == n * 0, "zero"

        def test_fixture(three):
            assert total(three) == 5

        def test_helper():
            agree(total(3), 5)

        def test_async():
            async def inner():
                assert total(3) == 5
            asyncio.run(inner())

        class TestClass:
            def test_in_class(self):
                assert total(3) == 5

        class Case(unittest.IsolatedAsyncioTestCase):
            def setUp(self):
                self.assertEqual(total(0), 0)

            async def test_async_case(self):
                self.assertEqual(total(3), 5)

            def test_subtests(self):
                for n in range(2):
                    with self.subTest(n=n):
                        self.assertEqual(total(n), 0)

        def test_raises():
            with pytest.raises(TypeError):
                total("x")
    """
    target.config = target.configured(PYTEST)
    base = target.commit(
        {
            "tests/__init__.py": "",
            "tests/helpers.py": "def agree(a, b):\n    assert a == b\n",
            "tests/test_prices.py": tests,
        }
    )
    evaluation = await executor.run(target.candidate(GOOD, base=base), seen)
    fine(evaluation)
    control = check(evaluation, "inverted")
    plain = check(evaluation, "tests")
    assert control.status is CheckStatus.PASSED
    assert control.tests_run == plain.tests_run + 3 or control.tests_run == plain.tests_run + 4
    # Of the nine tests only `test_raises` passes in both forms, besides the idle ones of twins.
    learnt = next(iter(executor._lab.controls.values()))
    assert len(learnt.sensitive) == plain.tests_run - 1
    assert control.text.startswith(f"{plain.tests_run - 1} tests")


async def test_switched_off(executor: LocalExecutor, target: Any, seen: Any) -> None:
    target.config = target.configured(PYTEST + "inverted = false\n")
    evaluation = await executor.run(target.candidate(GOOD), seen)
    fine(evaluation)
    assert [c.name for c in evaluation.checks] == ["baseline-tests", "tests"]
    assert "inverted" not in seen.stages


async def test_tests_without_assertions_are_said_to_show_nothing(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(PYTEST)
    base = target.commit(
        {"tests/test_prices.py": "from shop.prices import total\ndef test(): total(3)\n"}
    )
    evaluation = await executor.run(target.candidate(GOOD, base=base), seen)
    fine(evaluation)
    control = check(evaluation, "inverted")
    assert (control.status, control.code) == (CheckStatus.SKIPPED, "not_sensitive")
    assert "shows nothing" in control.text


async def test_files_that_do_not_load_in_that_form_are_left_alone(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(PYTEST)
    base = target.commit(
        {
            "tests/test_import.py": """
                from shop.prices import total
                def _load():
                    assert total
                    return [1]
                CASES = _load()
                def test_case(): assert CASES
            """,
            "tests/test_large.py": f"def test_large(): assert 1\n# {'x' * (4 << 20)}\n",
        }
    )
    evaluation = await executor.run(target.candidate(GOOD, base=base), seen)
    fine(evaluation)
    control = check(evaluation, "inverted")
    assert control.code == "ok", control.text
    assert control.text.startswith("3 tests")
    assert "tests/test_import.py: it does not load" in control.text
    assert "tests/test_large.py: it is too large" in control.text


async def test_the_control_of_a_baseline_is_made_once(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(PYTEST)
    for _ in range(2):
        fine(await executor.run(target.candidate(GOOD), seen))
    assert len(executor._lab.controls) == 1


async def test_a_baseline_whose_control_hangs_is_an_error(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(PYTEST + '[sandbox]\ntimeout = "6s"\n')
    tests = """
        import time
        from shop.prices import total
        def test_patient():
            try:
                assert total(3) == 5
            except AssertionError:
                time.sleep(60)
    """
    base = target.commit({"tests/test_prices.py": tests})
    evaluation = await executor.run(target.candidate(GOOD, base=base), seen)
    broken(evaluation, "on the baseline", "inverted = false")
    assert evaluation.checks[-1].code == "baseline_inverted"


async def test_a_failure_stops_no_run(executor: LocalExecutor, target: Any, seen: Any) -> None:
    target.config = target.configured('[tests]\ncommand = ["-x", "tests"]\n')
    evaluation = await executor.run(target.candidate(GOOD), seen)
    fine(evaluation)
    assert check(evaluation, "inverted").text.startswith("3 tests")
    evaluation = await executor.run(target.candidate(WRONG), seen)
    assert check(evaluation, "tests").tests_run == 3


async def test_with_xdist(executor: LocalExecutor, target: Any, seen: Any) -> None:
    pytest.importorskip("xdist")
    target.config = target.configured('[tests]\ncommand = ["-p", "xdist", "-n", "2", "tests"]\n')
    evaluation = await executor.run(target.candidate(GOOD), seen)
    fine(evaluation)
    assert evaluation.proof
    assert check(evaluation, "inverted").text.startswith("3 tests")


async def test_unittest_with_classes_that_skip_themselves(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    tests = """
        import unittest
        from shop.prices import total

        class Base(unittest.TestCase):
            def test_small(self):
                self.assertEqual(total(3), 5)
                self.assertEqual(total(0), 0)

        class Other(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                raise unittest.SkipTest("no database")

            def test_never(self):
                self.fail()
    """
    target.config = target.configured("""
        [tests]
        framework = "unittest"
        command = ["discover", "-f", "-s", "tests", "-t", "."]
    """)
    base = target.commit(
        {
            "tests/__init__.py": "",
            "tests/test_prices.py": tests,
            "tests/test_again.py": "from tests.test_prices import Base\n",
        }
    )
    evaluation = await executor.run(target.candidate(GOOD, base=base), seen)
    fine(evaluation)
    assert check(evaluation, "inverted").code == "ok", check(evaluation, "inverted").text
    assert check(evaluation, "tests").tests_run == 2


@pytest.mark.parametrize("name", ["json.py", "pytest.py", "_pytest/__init__.py", "pluggy.py"])
async def test_modules_in_the_way_of_the_run_are_refused(
    name: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(PYTEST)
    evaluation = await executor.run(target.candidate({name: "raise SystemExit(0)\n"}), seen)
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.checks[-1].code == "shadowed"
    assert name.partition("/")[0].removesuffix(".py") in evaluation.cause


# --- broken targets -------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """The interpreter of an environment with nothing in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    return str(tmp_path / "venv/bin/python")


async def test_without_pytest(executor: LocalExecutor, target: Any, seen: Any, bare: str) -> None:
    target.config = target.configured(PYTEST)
    plan = msgspec.structs.replace(target.candidate(GOOD), python=bare)
    broken(
        await executor.run(plan, seen),
        *("No module named pytest", "Install pytest", "[environment] python"),
    )


async def test_an_interpreter_that_is_gone(executor: LocalExecutor, target: Any, seen: Any) -> None:
    plan = msgspec.structs.replace(target.candidate(GOOD), python="/usr/bin/python9.9")
    broken(await executor.run(plan, seen), "python9.9")


LIMITED = """
    [tests]
    command = ["-s", "tests"]
    timeout = "3s"
    [sandbox]
    memory = "128MiB"
    processes = 32
    output = "64KiB"
"""
BAD = {
    "hang": ("import time; time.sleep(60)", "timeout", "[tests] timeout"),
    "flood": ("import os\nwhile True: os.write(1, b'x' * 65536)", "output", "[sandbox] output"),
    "memory": ("x = bytearray(b'x' * (1 << 30))", "memory", "[sandbox] memory"),
    "conftest": ("raise ImportError('gone')", "crash", "gone"),
}

FORKS = """
    import os
    while True:
        try:
            os.fork()
        except OSError:
            pass
"""


@pytest.mark.long
async def test_fork_bombs(executor: LocalExecutor, target: Any, seen: Any) -> None:
    target.config = target.configured(LIMITED)
    base = target.commit({"tests/conftest.py": "import shop.prices\n"})
    evaluation = await executor.run(target.candidate({"shop/prices.py": FORKS}, base=base), seen)
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.checks[-1].code in ("processes", "timeout", "cpu"), evaluation.checks[-1]
    base = target.commit({"shop/prices.py": FORKS})
    evaluation = await executor.run(target.candidate(GOOD, base=base), seen)
    broken(evaluation, "baseline", "[sandbox]")


@pytest.mark.long
@pytest.mark.parametrize("kind", BAD)
async def test_a_baseline_that_cannot_be_tested_is_an_error(
    kind: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(LIMITED)
    source, _, advice = BAD[kind]
    base = target.commit({"tests/conftest.py": source + "\n"})
    evaluation = await executor.run(target.candidate(GOOD, base=base), seen)
    broken(evaluation, "baseline", advice)
    assert evaluation.checks[-1].code == "baseline_red"


@pytest.mark.long
@pytest.mark.parametrize("kind", BAD)
async def test_the_same_on_a_candidate_is_its_failure(
    kind: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(LIMITED)
    source, code, _ = BAD[kind]
    base = target.commit({"tests/conftest.py": "import shop.prices\n"})
    evaluation = await executor.run(target.candidate({"shop/prices.py": source}, base=base), seen)
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.checks[-1].code == code, evaluation.checks[-1]


# --- JUnit ----------------------------------------------------------------------------------------

JUNIT = """
    [tests]
    framework = "command"
    command = ["sh", "-c", "{python} -m pytest -q --junitxml=out/report.xml tests"]
    junit = "out/report.xml"
    timeout = "20s"
"""


async def test_junit(executor: LocalExecutor, target: Any, seen: Any) -> None:
    target.config = target.configured(JUNIT)
    base = target.commit({"out/report.xml": "<testsuite/>"})
    evaluation = await executor.run(target.candidate(GOOD, base=base), seen)
    fine(evaluation)
    assert check(evaluation, "tests").tests_run == 3
    assert [c.name for c in evaluation.checks] == ["baseline-tests", "tests"]
    assert evaluation.assurance is Assurance.EXIT_CODE
    assert evaluation.proof
    write = (
        "import os\nos.makedirs('out', exist_ok=True)\nout = 'out/report.xml'\n{}\nos._exit(0)\n"
    )
    unread = "unreadable_report"
    for source, code, word in (
        ("def total(n): return 6\n", "tests_failed", "tests.test_prices.test_small"),
        ("import pytest\ndef total(n): pytest.skip('x')\n", "newly_skipped", "test_small"),
        ("import os\nos._exit(0)\n", unread, "no JUnit report"),
        (write.format("open(out, 'w').write('<!DOCTYPE a []><a/>')"), unread, "document type"),
        (write.format("os.symlink('/dev/zero', out)"), unread, "no JUnit report"),
        (write.format("os.mkfifo(out)"), unread, "no JUnit report"),
        (write.format("open(out, 'w').truncate(32 << 20)"), unread, "larger"),
        (write.format("open(out, 'w').write('<testsuite/>')"), "missing_tests", "test_zero"),
    ):
        plan = target.candidate({"shop/prices.py": source}, base=base)
        evaluation = await executor.run(plan, seen)
        assert evaluation.status is EvaluationStatus.FAILED, evaluation
        assert evaluation.checks[-1].code == code, evaluation.checks[-1]
        assert word in evaluation.cause


async def test_junit_that_the_command_does_not_write(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(JUNIT.replace('junit = "out/', 'junit = "elsewhere/'))
    evaluation = await executor.run(target.candidate(GOOD), seen)
    broken(evaluation, "[tests] junit")
