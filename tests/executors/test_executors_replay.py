"""What the executor has stopped at, the governor's replay sees as settled: one rule for both."""

from typing import Any

import pytest
from msgspec.structs import replace

from ouroboros.executors.local import LocalExecutor
from ouroboros.governor.compare import replay, rule_for
from ouroboros.model.evaluation import EvaluationStatus, Stage
from ouroboros.model.verdict import Context

TOML = """
    [tests]
    framework = "command"
    command = ["true"]
    [benchmarks.b]
    command = ["sh", "bench/run.sh"]
    timeout = "5s"
"""
LOOP = "i=0; while [ $i -lt {steps} ]; do i=$((i + 1)); done\n"


@pytest.mark.long
@pytest.mark.parametrize("level", [0.05, 0.0001])
async def test_both_stages_stop_where_the_governor_is_sure(
    executor: LocalExecutor, target: Any, seen: Any, level: float
) -> None:
    target.config = target.configured(TOML)
    base = target.commit({"bench/run.sh": ". ./work.sh\n", "work.sh": LOOP.format(steps=30_000)})
    plan = target.candidate({"work.sh": LOOP.format(steps=300)}, base=base)
    plan = replace(plan, context=Context(test=1, discoveries=0, alpha_improve=level))
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert [s.stage for s in evaluation.series] == [Stage.SCREEN, Stage.CONFIRM]
    for series in evaluation.series:
        rule = rule_for(target.config, "b", series.stage, alpha_improve=level)
        assert replay(series, rule).improved
        shorter = replace(series, pairs=series.pairs[:-1])
        assert not replay(shorter, rule).settled
