"""What an evaluation says about honest candidates, bad ones, and a broken house."""

import hashlib
from typing import Any

import pytest

from ouroboros.executors.local import LocalExecutor
from ouroboros.model.evaluation import Assurance, CheckStatus, Evaluation, EvaluationStatus, Stage

FAST = {
    "shop/prices.py": "def total(n):\n    a, b = divmod(n, 7)\n"
    "    return a * 14 + (0, 0, 1, 5, 7, 9, 13)[b]\n"
}
SLOWER = {
    "shop/prices.py": """
    def total(n):
        result = 0
        for i in range(n):
            result += i * i * 1 % 7 + 0 * i + 0 * i + 0 * i
        return result
"""
}


def check(evaluation: Evaluation, name: str) -> Any:
    return next(c for c in evaluation.checks if c.name == name)


def refused(evaluation: Evaluation, code: str) -> None:
    assert evaluation.status is EvaluationStatus.FAILED, evaluation
    assert evaluation.checks[-1].code == code, evaluation.checks[-1]
    assert evaluation.checks[-1].status is CheckStatus.FAILED
    assert evaluation.cause


def broken(evaluation: Evaluation, *words: str) -> None:
    assert evaluation.status is EvaluationStatus.ERROR, evaluation
    for word in words:
        assert word in evaluation.cause, evaluation.cause


async def test_a_real_gain_is_screened_and_confirmed(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    evaluation = await executor.run(target.candidate(FAST), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    names = ["baseline-tests", "tests", "inverted", "benchmark:total", "output:total"]
    assert [(c.name, c.code) for c in evaluation.checks] == [(n, "ok") for n in names]
    assert check(evaluation, "tests").tests_run == 3
    assert [s.stage for s in evaluation.series] == [Stage.SCREEN, Stage.CONFIRM]
    pairs = evaluation.series[0].pairs
    # A single pair may be disturbed by whatever else the machine does; that is what pairs are for.
    assert 2 * sum(p.candidate.cpu_ns < p.baseline.cpu_ns for p in pairs) > len(pairs)
    assert {p.candidate_first for p in pairs} == {True, False}
    assert seen.stages == [
        *(
            "prepare",
            "baseline-tests",
            "tests",
            "inverted",
            "proof",
            "screen:total",
            "confirm:total",
            "coverage",
        ),
    ]
    screened = [p for p in seen if p.stage == "screen:total"]
    assert [p.done for p in screened] == list(range(1, len(pairs) + 1))
    assert screened[-1].comparison.outcome == "improved"
    assert evaluation.sandbox.backend == "bwrap"
    assert evaluation.assurance is Assurance.TESTS
    assert "cores" in evaluation.machine


async def test_proof_names_the_loaded_files_by_git_blob(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    plan = target.candidate(FAST | {"shop/unused.py": "x = 1\n"})
    evaluation = await executor.run(plan, seen)
    data = FAST["shop/prices.py"].encode()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    assert evaluation.proof == (f"shop/prices.py:{blob}",)


async def test_the_coin_is_the_plans(executor: LocalExecutor, target: Any, seen: Any) -> None:
    first = await executor.run(target.candidate(SLOWER), seen)
    second = await executor.run(target.candidate(SLOWER), seen)
    coins = [[p.candidate_first for p in e.series[0].pairs] for e in (first, second)]
    shorter = min(map(len, coins))
    assert coins[0][:shorter] == coins[1][:shorter]


async def test_a_slower_candidate_gets_no_confirmation(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    evaluation = await executor.run(target.candidate(SLOWER), seen)
    assert evaluation.status is EvaluationStatus.OK
    assert [s.stage for s in evaluation.series] == [Stage.SCREEN]


BAD = {
    "wrong": ("def total(n): return 5\n", "tests_failed"),
    "syntax": ("def total(n) return\n", "tests_failed"),
    "exit_0": ("import os\nos._exit(0)\ndef total(n): return 5\n", "forged"),
    "exit_0_in_test": ("import os\ndef total(n): os._exit(0)\n", "forged"),
    "exit_3": ("import os\nos._exit(3)\ndef total(n): return 5\n", "crash"),
    "abort": ("import os\ndef total(n): os.abort()\n", "crash"),
    "hang": ("import time\ndef total(n): time.sleep(60)\n", "timeout"),
    "memory": ("def total(n): return len(bytearray(b'x' * (1 << 30)))\n", "memory"),
    "flood": ("import os\nwhile True: os.write(3, b'x' * 65536)\n", "output"),
    "atexit": (
        "import atexit, os\natexit.register(os._exit, 0)\ndef total(n): return 5\n",
        "tests_failed",
    ),
    "skip": ("def total(n):\n    import pytest\n    pytest.skip('busy')\n", "newly_skipped"),
    "noise_on_channel": (
        "import os\nos.write(3, b'10 passed')\ndef total(n): return 5\n",
        "forged",
    ),
}


@pytest.mark.parametrize("kind", BAD)
async def test_bad_candidates_fail(
    kind: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    source, code = BAD[kind]
    target.config = target.configured("""
        [tests]
        command = ["tests"]
        timeout = "5s"
        [sandbox]
        memory = "128MiB"
    """)
    evaluation = await executor.run(target.candidate({"shop/prices.py": source}), seen)
    refused(evaluation, code)
    assert evaluation.series == ()


async def test_red_baseline_is_an_error_that_names_the_tests(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    base = target.commit({"shop/prices.py": "def total(n): return 5\n"})
    evaluation = await executor.run(target.candidate(FAST, base=base), seen)
    broken(evaluation, "baseline", "tests/test_prices.py::test_zero")
    assert evaluation.checks[0].code == "baseline_red"


async def test_baseline_tests_run_once(executor: LocalExecutor, target: Any, seen: Any) -> None:
    target.config = target.configured('[tests]\ncommand = ["tests"]\n')
    for _ in range(2):
        evaluation = await executor.run(target.candidate(FAST), seen)
        assert evaluation.status is EvaluationStatus.OK
    assert [p.stage for p in seen].count("baseline-tests") == 1


async def test_no_tests_at_all_prove_nothing(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    base = target.commit({"tests/test_prices.py": "x = 1\n"})
    broken(await executor.run(target.candidate(FAST, base=base), seen), "baseline")


async def test_protected_files_are_compared(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    for files in ({"tests/test_prices.py": "x = 1\n"}, {"pytest.ini": None}, {"a.pth": "import x"}):
        evaluation = await executor.run(target.candidate(files), seen)
        broken(evaluation, "protected", next(iter(files)))


BENCH_BREAKERS = {
    "benchmark_failed": "raise SystemExit(3)",
    "timeout": "import time; time.sleep(60)",
    "memory": "x = bytearray(b'x' * (1 << 30))",
    "crash": "import os; os.abort()",
}


@pytest.mark.parametrize("code", BENCH_BREAKERS)
async def test_benchmark_that_breaks_on_the_candidate(
    code: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured("""
        [tests]
        command = ["tests"]
        [benchmarks.total]
        command = ["{python}", "bench/run.py"]
        timeout = "2s"
        [sandbox]
        memory = "256MiB"
    """)
    source = (
        FAST["shop/prices.py"]
        + f"import sys\nif 'pytest' not in sys.modules:\n    {BENCH_BREAKERS[code]}\n"
    )
    evaluation = await executor.run(target.candidate({"shop/prices.py": source}), seen)
    refused(evaluation, code)
    assert "candidate" in evaluation.cause


async def test_benchmark_that_breaks_on_the_baseline(
    executor: LocalExecutor, target: Any, seen: Any, logs: dict[str, bytes]
) -> None:
    base = target.commit({"bench/run.py": "import sys; sys.exit('no \x1b[31mdata')\n"})
    evaluation = await executor.run(target.candidate(FAST, base=base), seen)
    broken(evaluation, "baseline", "no", "data")
    assert "\x1b" not in evaluation.cause
    assert evaluation.checks[-1].code == "baseline_benchmark"
    assert b"\x1b[31mdata" in logs[evaluation.checks[-1].log]


async def test_who_misses_the_network_is_told_how_to_get_it(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    ask = "import urllib.request\nurllib.request.urlopen('http://data.example:8080/')\n"
    base = target.commit({"bench/run.py": ask})
    evaluation = await executor.run(target.candidate(FAST, base=base), seen)
    broken(evaluation, "baseline", "network", 'network = ["NAME:PORT"]')
    test = "import socket\n\ndef test_it(): socket.create_connection(('127.0.0.1', 9))\n"
    base = target.commit({"tests/test_net.py": test})
    evaluation = await executor.run(target.candidate(FAST, base=base), seen)
    broken(evaluation, "test_it", "loopback of their own")


async def test_benchmark_that_breaks_only_when_measured(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    source = (
        FAST["shop/prices.py"]
        + "import os, sys\nif not {'pytest', '_ouroboros_report'} & {*sys.modules}: os._exit(9)\n"
    )
    evaluation = await executor.run(target.candidate({"shop/prices.py": source}), seen)
    refused(evaluation, "benchmark_failed")


async def test_unittest(executor: LocalExecutor, target: Any, seen: Any) -> None:
    target.config = target.configured("""
        [tests]
        framework = "unittest"
        command = ["discover", "-s", "tests", "-t", "."]
    """)
    base = target.commit({"tests/__init__.py": ""})
    evaluation = await executor.run(target.candidate(FAST, base=base), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert check(evaluation, "tests").tests_run == 1
    assert evaluation.proof
    for source, code in (
        ("def total(n): return 4\n", "tests_failed"),
        ("import os\nos._exit(0)\n", "forged"),
        ("import unittest\ndef total(n): raise unittest.SkipTest('x')\n", "newly_skipped"),
        ("1 +\n", "tests_failed"),
    ):
        plan = target.candidate({"shop/prices.py": source}, base=base)
        refused(await executor.run(plan, seen), code)


async def test_command(executor: LocalExecutor, target: Any, seen: Any) -> None:
    target.config = target.configured("""
        [tests]
        framework = "command"
        command = ["sh", "-c", "{python} -m pytest -q tests"]
    """)
    evaluation = await executor.run(target.candidate(FAST), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.assurance is Assurance.EXIT_CODE
    assert evaluation.proof
    plan = target.candidate({"shop/prices.py": "def total(n): return 4\n"})
    refused(await executor.run(plan, seen), "tests_failed")


async def test_a_harness_fault_is_an_error(executor: LocalExecutor, target: Any, seen: Any) -> None:
    broken(await executor.run(target.plan("0" * 40), seen), "CalledProcessError")
    target.config = target.configured('[environment]\nread_only = ["/no/such/folder"]\n')
    broken(await executor.run(target.candidate(FAST), seen), "sandbox", "/no/such/folder")


async def test_evidence_that_cannot_be_stored_is_an_error(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    def full(data: bytes) -> str:
        raise OSError(28, "No space left on device")

    executor._lab._put_evidence = full
    broken(await executor.run(target.candidate(FAST), seen), "No space left")


@pytest.mark.parametrize(
    ("case", "code"),
    [
        (("print(total(50))", FAST["shop/prices.py"]), "ok"),
        (
            ("print(total(50))", "import sys\n\ndef total(n):\n    return {FAST}"),
            "different_output",
        ),
        (("import time; print(time.time_ns(), total(50))", FAST["shop/prices.py"]), "varies"),
    ],
)
async def test_what_a_benchmark_prints_is_compared(
    executor: LocalExecutor, target: Any, seen: Any, case: tuple[str, str], code: str
) -> None:
    """The second candidate is right in tests, and does nothing when it is measured."""
    base, candidate = case
    cheat = "0 if 'pytest' not in sys.modules else sum(i * i % 7 for i in range(n))"
    bench = f"from shop.prices import total\n{base}\nfor _ in range(10):\n    total(20_000)\n"
    start = target.commit({"bench/run.py": bench})
    files = {"shop/prices.py": candidate.replace("{FAST}", cheat) + "\n"}
    evaluation = await executor.run(target.candidate(files, base=start), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert check(evaluation, "output:total").code == code
    if code == "different_output":
        assert "'98' became '0'" in check(evaluation, "output:total").text
