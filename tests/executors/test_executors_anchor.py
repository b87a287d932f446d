"""The anchor: when a candidate is measured against it, with what, and what is said if it cannot be.

All of it is a shell program, so that nothing here is slow but what is meant to be.
"""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ouroboros.executors.local import LocalExecutor
from ouroboros.governor.compare import ANCHOR_PAIRS
from ouroboros.model.evaluation import EvaluationStatus, Purpose, Stage
from ouroboros.model.progress import Progress
from ouroboros.model.verdict import Context

TOML = """
    [tests]
    framework = "command"
    command = ["true"]
    [benchmarks.b]
    command = ["sh", "bench/run.sh"]
    timeout = "5s"
    [benchmarks.b.metrics.source]
    files = ["sized"]
    [challenges.c]
    command = ["sh", "answer.sh"]
    inputs = "challenges/inputs.py:make"
    batch = 2
    [governor]
    min_pairs = 2
    max_pairs = 8
    alpha_accept = 0.2
    alpha_improve = 0.2
    max_wall_degradation = 0.9
"""
LOOP = "i=0; while [ $i -lt {steps} ]; do i=$((i + 1)); done\n"
FILES = {
    "work.sh": LOOP.format(steps=30_000),
    "answer.sh": LOOP.format(steps=30_000) + "cat\n",
    "bench/run.sh": ". ./work.sh\n",
    "sized": "0123456789",
    "challenges/inputs.py": "def make(random):\n    return [], random.randbytes(8)\n",
}
FASTER = {
    "work.sh": LOOP.format(steps=1_000),
    "answer.sh": LOOP.format(steps=1_000) + "cat\n",
}


@pytest.fixture
def anchored(target: Any) -> Any:
    """A target whose base is a commit after the anchor, with other benchmarks than it."""
    target.config = target.configured(TOML)
    target.anchor = target.commit(FILES | {"bench/run.sh": "exit 9\n"})
    target.base = target.commit({"bench/run.sh": FILES["bench/run.sh"]})
    return target


def against(plan: Any, anchor: str) -> Any:
    return replace(plan, context=Context(test=1, discoveries=0, alpha_improve=0.2, anchor=anchor))


def stages(evaluation: Any) -> set[tuple[str, str]]:
    return {(s.benchmark, s.stage) for s in evaluation.series}


async def test_a_gain_is_also_measured_against_the_anchor(
    executor: LocalExecutor, anchored: Any, seen: Any
) -> None:
    """With today's benchmark: the anchor's own would fail."""
    plan = against(anchored.candidate(FASTER), anchored.anchor)
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.anchor_commit == anchored.anchor
    assert evaluation.anchor_cause == ""
    names = ("challenge:c", "b")
    assert stages(evaluation) == {
        *((name, Stage.SCREEN) for name in names),
        ("challenge:c", Stage.CONFIRM),
        *((name, Stage.ANCHOR) for name in names),
    }
    for series in evaluation.series:
        assert all(p.candidate.cpu_ns > 0 and p.baseline.cpu_ns > 0 for p in series.pairs)
    assert [(e.metric, e.stage) for e in evaluation.exact] == [
        ("source", Stage.SCREEN),
        ("source", Stage.ANCHOR),
    ]
    names_of_checks = [c.name for c in evaluation.checks]
    assert len(set(names_of_checks)) == len(names_of_checks)


@pytest.mark.long
@pytest.mark.parametrize("why", ["no gain", "not asked for"])
async def test_no_anchor_without_need(
    executor: LocalExecutor, anchored: Any, seen: Any, why: str
) -> None:
    slower = {"work.sh": LOOP.format(steps=90_000)}
    plan = anchored.candidate(slower if why == "no gain" else FASTER)
    if why != "not asked for":
        plan = against(plan, anchored.anchor)
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert Stage.ANCHOR not in {stage for _, stage in stages(evaluation)}
    assert (evaluation.anchor_commit, evaluation.anchor_cause) == ("", "")


async def unmeasured(executor: LocalExecutor, anchored: Any, seen: Any, anchor: str) -> str:
    evaluation = await executor.run(against(anchored.candidate(FASTER), anchor), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.anchor_commit == ""
    assert Stage.ANCHOR not in {stage for _, stage in stages(evaluation)}
    assert Stage.ANCHOR not in {e.stage for e in evaluation.exact}
    assert all(c.status == "passed" for c in evaluation.checks)
    return str(evaluation.anchor_cause)


async def test_an_anchor_that_does_not_run(
    executor: LocalExecutor, anchored: Any, seen: Any
) -> None:
    broken = anchored.commit({"work.sh": "exit 7\n"})
    anchored.git("checkout", "-q", anchored.base)
    cause = await unmeasured(executor, anchored, seen, broken)
    assert "failed on the baseline" in cause
    assert "exit code 7" in cause


async def test_an_anchor_that_computes_something_else(
    executor: LocalExecutor, anchored: Any, seen: Any
) -> None:
    """People have changed what is right since; that is nobody's failure."""
    other = anchored.commit({"answer.sh": "echo old\n"})
    anchored.git("checkout", "-q", anchored.base)
    cause = await unmeasured(executor, anchored, seen, other)
    assert "do different work" in cause
    assert "newer anchor" in cause


@pytest.mark.long
async def test_an_anchor_that_cannot_be_exported(
    executor: LocalExecutor, anchored: Any, seen: Any
) -> None:
    """Today's protected file lies in a folder where the anchor has a file."""
    anchor = anchored.commit({"deep": "a file\n"})
    anchored.git("rm", "-q", "deep")
    anchored.base = anchored.commit({"deep/conftest.py": ""})
    cause = await unmeasured(executor, anchored, seen, anchor)
    assert f"The tree of {anchor[:12]} could not be written" in cause


async def test_a_candidate_that_breaks_down_there_fails(
    executor: LocalExecutor, anchored: Any, seen: Any, tmp_path: Path
) -> None:
    mood = tmp_path / "mood"
    mood.mkdir()
    anchored.config = replace(
        anchored.config,
        environment=replace(anchored.config.environment, read_only=(str(mood),)),
    )
    moody = FASTER | {"work.sh": f"{FASTER['work.sh']}[ ! -e {mood}/bad ] || exit 5\n"}

    def report(progress: Progress) -> None:
        seen(progress)
        if progress.stage == "anchor":
            (mood / "bad").touch()

    evaluation = await executor.run(against(anchored.candidate(moody), anchored.anchor), report)
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.checks[-1].code == "benchmark_failed"
    assert "exit code 5" in evaluation.cause
    assert evaluation.anchor_commit == ""


@pytest.mark.long
async def test_only_an_estimate_is_asked_for(
    executor: LocalExecutor, anchored: Any, seen: Any
) -> None:
    """No tests, no exam, no confirmation: a fixed number of pairs of each."""
    anchored.config = anchored.configured(
        TOML.replace('command = ["true"]', 'command = ["false"]').replace("30_000", "600")
    )
    head = anchored.candidate(FASTER).candidate_commit
    plan = replace(
        anchored.plan(head, base=anchored.anchor),
        purpose=Purpose.ANCHOR,
        context=Context(test=0, discoveries=0, alpha_improve=0.05, too_noisy=("challenge:c",)),
    )
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert [c.name for c in evaluation.checks] == ["benchmark:b"]
    assert evaluation.anchor_commit == anchored.anchor
    assert stages(evaluation) == {("b", Stage.ANCHOR)}
    assert len(evaluation.series[0].pairs) == ANCHOR_PAIRS
    assert [e.stage for e in evaluation.exact] == [Stage.ANCHOR]


async def test_an_estimate_against_an_anchor_that_computes_something_else(
    executor: LocalExecutor, anchored: Any, seen: Any
) -> None:
    other = anchored.commit({"answer.sh": "echo old\n"})
    plan = replace(anchored.plan(anchored.base, base=other), purpose=Purpose.ANCHOR)
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert "do different work" in evaluation.cause
    assert evaluation.anchor_commit == ""
