"""Both runs of a pair at once."""

import os
import textwrap
from typing import Any

import pytest

from ouroboros.executors.local import LocalExecutor
from ouroboros.model.evaluation import EvaluationStatus

DUET = """
    [tests]
    framework = "command"
    command = ["true"]
    [benchmarks.total]
    command = ["{python}", "bench/run.py"]
    timeout = "5s"
    pairing = "duet"
    [governor]
    min_pairs = 2
    max_pairs = 4
    alpha_accept = 0.2
    alpha_improve = 0.2
"""
SAME = {"shop/prices.py": "def total(n):\n    return sum([i * i % 7 for i in range(n)])\n"}

needs_two = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="this machine has one processor"
)


@pytest.fixture
def duet(target: Any) -> Any:
    target.config = target.configured(DUET)
    return target


@needs_two
async def test_both_sides_run_at_once(executor: LocalExecutor, duet: Any, seen: Any) -> None:
    """Each waits half a second: one after the other, a pair would take a second."""
    patient = {"bench/run.py": "import time, shop.prices\ntime.sleep(0.5)\n"}
    base = duet.commit(patient)
    clock = executor._lab.clock_ns
    evaluation = await executor.run(duet.candidate(SAME, base=base), seen)
    ended = clock()
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    (series,) = evaluation.series
    starts = [*(p.started_ns for p in series.pairs), ended]
    for pair, following in zip(series.pairs, starts[1:], strict=True):
        alone = pair.baseline.wall_ns + pair.candidate.wall_ns
        assert alone > 1_000_000_000
        assert following - pair.started_ns < alone
    assert {p.candidate_first for p in series.pairs} == {True, False}


@needs_two
@pytest.mark.parametrize("whose", ["candidate", "baseline"])
async def test_failures_mean_what_they_always_mean(
    executor: LocalExecutor, duet: Any, seen: Any, whose: str
) -> None:
    """It breaks in the measured runs alone: the rehearsal has a witness."""
    breaks = textwrap.dedent("""
        import os, sys
        if "witness" not in os.environ["PYTHONPATH"]:
            sys.exit(3)
        def total(n): return n
    """)
    broken = duet.candidate({"shop/prices.py": breaks})
    plan = broken
    if whose == "baseline":
        plan = duet.candidate(SAME, base=broken.candidate_commit)
    evaluation = await executor.run(plan, seen)
    assert (evaluation.status, evaluation.checks[-1].code) == {
        "candidate": (EvaluationStatus.FAILED, "benchmark_failed"),
        "baseline": (EvaluationStatus.ERROR, "baseline_benchmark"),
    }[whose]
    assert "exit code 3" in evaluation.cause


async def test_one_processor_is_refused_before_anything_runs(
    executor: LocalExecutor, duet: Any, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    evaluation = await executor.run(duet.candidate(SAME), seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert "only one processor" in evaluation.cause
    assert 'pairing = "sequential"' in evaluation.cause
    assert evaluation.checks == ()
