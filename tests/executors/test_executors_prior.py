"""Pairs that were taken before, pairs that are written down, and what is not measured at all."""

import asyncio
import itertools
from typing import Any

import pytest
from msgspec.structs import replace

from ouroboros.executors.local import LocalExecutor
from ouroboros.model.evaluation import EvaluationStatus, Pair, Purpose, Sample, Series, Stage
from ouroboros.model.verdict import Context

TOML = """
    [tests]
    framework = "command"
    command = ["true"]
    [benchmarks.b]
    command = ["sh", "bench/run.sh"]
    timeout = "5s"
    [governor]
    min_pairs = 4
    max_pairs = 8
    alpha_futile = 0.001
    alpha_reject = 0.001
"""
FILES = {"bench/run.sh": ". ./work.sh\n", "work.sh": "true\n"}
SAME = {"work.sh": "true\ntrue\n"}


def pairs(count: int, ratio: float = 1.0) -> tuple[Pair, ...]:
    base = Sample(cpu_ns=10**8, wall_ns=10**8, rss_bytes=10**7)
    other = replace(base, cpu_ns=int(10**8 * ratio), wall_ns=int(10**8 * ratio))
    return tuple(
        Pair(started_ns=n, candidate_first=bool(n % 2), baseline=base, candidate=other)
        for n in range(1, count + 1)
    )


def series(taken: tuple[Pair, ...], *, inherited: int = 0, stage: Stage = Stage.SCREEN) -> Series:
    return Series(benchmark="b", stage=stage, pairs=taken, inherited=inherited)


@pytest.fixture
def shell(target: Any) -> Any:
    target.config = target.configured(TOML)
    target.base = target.commit(FILES)
    return target


@pytest.fixture
def written(executor: LocalExecutor) -> list[tuple[str, str, Stage, int, Pair]]:
    rows: list[tuple[str, str, Stage, int, Pair]] = []
    executor._lab.journal = lambda *row: rows.append(row)
    return rows


async def test_an_interrupted_attempt_goes_on(
    executor: LocalExecutor, shell: Any, seen: Any, written: Any
) -> None:
    """Its pairs count, stay at the head, and the coin goes on where it stopped."""
    whole = await executor.run(shell.candidate(SAME), seen)
    written.clear()
    first = whole.series[0].pairs[:7]
    plan = replace(shell.candidate(SAME), prior=(series(first),))
    evaluation = await executor.run(plan, seen)
    (taken,) = evaluation.series
    assert taken.pairs[:7] == first
    assert len(taken.pairs) == 8
    assert taken.inherited == 0
    coins = [[p.candidate_first for p in e.series[0].pairs] for e in (whole, evaluation)]
    assert coins[0] == coins[1]
    assert written == [(plan.candidate, "b", Stage.SCREEN, 7, taken.pairs[7])]


async def test_inherited_pairs_do_not_count_against_the_most(
    executor: LocalExecutor, shell: Any, seen: Any, written: Any
) -> None:
    plan = replace(shell.candidate(SAME), prior=(series(pairs(3), inherited=3),))
    evaluation = await executor.run(plan, seen)
    (taken,) = evaluation.series
    assert taken.inherited == 3
    assert taken.pairs[:3] == pairs(3)
    assert len(taken.pairs) == 11
    assert [index for _, _, _, index, _ in written] == list(range(3, 11))


async def test_inherited_and_interrupted_pairs_of_one_series(
    executor: LocalExecutor, shell: Any, seen: Any
) -> None:
    plan = replace(shell.candidate(SAME), prior=(series(pairs(5), inherited=3),))
    (taken,) = (await executor.run(plan, seen)).series
    assert (taken.inherited, len(taken.pairs)) == (3, 11)
    assert taken.pairs[:5] == pairs(5)


async def test_settled_already(executor: LocalExecutor, shell: Any, seen: Any) -> None:
    """Much slower, as it was measured before: not one pair more is taken."""
    known = series(pairs(20, ratio=1.5), inherited=20)
    evaluation = await executor.run(replace(shell.candidate(SAME), prior=(known,)), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.series == (known,)


async def test_pairs_of_other_stages_and_names_are_left_alone(
    executor: LocalExecutor, shell: Any, seen: Any
) -> None:
    prior = (
        replace(series(pairs(20, ratio=1.5)), benchmark="gone"),
        series(pairs(20, ratio=1.5), stage=Stage.ANCHOR),
    )
    evaluation = await executor.run(replace(shell.candidate(SAME), prior=prior), seen)
    (taken,) = evaluation.series
    assert (taken.stage, len(taken.pairs)) == (Stage.SCREEN, 8)


async def test_a_pair_is_written_before_the_next_one_is_begun(
    executor: LocalExecutor, shell: Any, seen: Any
) -> None:
    ended: list[int] = []
    clock = executor._lab.clock_ns
    executor._lab.journal = lambda *_: ended.append(clock())
    evaluation = await executor.run(shell.candidate(SAME), seen)
    starts = [p.started_ns for p in evaluation.series[0].pairs]
    order = list(itertools.chain.from_iterable(zip(starts, ended, strict=True)))
    assert order == sorted(order)


async def test_a_journal_that_cannot_be_written_ends_the_evaluation(
    executor: LocalExecutor, shell: Any, seen: Any
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    executor._lab.journal = full
    evaluation = await executor.run(shell.candidate(SAME), seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert "no space left" in evaluation.cause
    assert len(evaluation.series[0].pairs) == 1


async def test_what_is_too_noisy_is_rehearsed_and_not_measured(
    executor: LocalExecutor, shell: Any, seen: Any
) -> None:
    shell.config = shell.configured(
        TOML + '    [benchmarks.noisy]\n    command = ["sh", "bench/run.sh"]\n'
    )
    context = Context(test=1, discoveries=0, alpha_improve=0.05, too_noisy=("noisy",))
    plan = replace(shell.candidate(SAME), context=context)
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert {s.benchmark for s in evaluation.series} == {"b"}
    assert {"benchmark:noisy", "output:noisy"} <= {c.name for c in evaluation.checks}


FASTER = {"work.sh": "true\n"}
SLOW = {"work.sh": "i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done\n"}


@pytest.mark.parametrize("purpose", [Purpose.CANDIDATE, Purpose.WATCH])
async def test_a_watch_confirms_nothing(
    executor: LocalExecutor, shell: Any, seen: Any, purpose: Purpose
) -> None:
    shell.config = shell.configured(TOML + "    alpha_accept = 0.2\n    alpha_improve = 0.2\n")
    slow = shell.commit(SLOW)
    context = Context(test=1, discoveries=0, alpha_improve=0.2, anchor=shell.base)
    plan = replace(shell.candidate(FASTER, base=slow), purpose=purpose, context=context)
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    stages = [s.stage for s in evaluation.series]
    if purpose is Purpose.WATCH:
        assert stages == [Stage.SCREEN]
    else:
        assert stages == [Stage.SCREEN, Stage.CONFIRM, Stage.ANCHOR]


async def test_calibration_waits_for_who_measures(
    executor: LocalExecutor, shell: Any, seen: Any
) -> None:
    lock = executor._lab.measuring
    async with lock:
        task = asyncio.ensure_future(executor.calibrate(shell.plan(shell.base), ("b",)))
        async with asyncio.timeout(20):
            while not lock._waiters:  # noqa: ASYNC110 - nobody signals it
                await asyncio.sleep(0.01)
        assert not task.done()
    (found,) = await task
    assert len(found.pairs) == shell.config.governor.calibration.pairs
