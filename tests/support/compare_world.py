"""Pairs, series and rules made from plain numbers, for tests of the governor's comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

from ouroboros.config import Config, parse
from ouroboros.governor.compare import Sequential, rule_for
from ouroboros.model.evaluation import (
    Assurance,
    CheckOutcome,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Pair,
    Sample,
    SandboxLevel,
    Series,
    Stage,
)
from ouroboros.model.verdict import Comparison

BENCH = '[benchmarks.b]\ncommand = ["true"]\n'
BASE = Sample(cpu_ns=10**8, wall_ns=10**8, rss_bytes=10**7)


def metrics(**tables: str) -> str:
    """Return a benchmark `b` with metrics, each given as the lines of its table."""
    made = (f"[benchmarks.b.metrics.{name}]\n{lines}\n" for name, lines in tables.items())
    return BENCH + "".join(made)


def config(text: str = BENCH, governor: str = "") -> Config:
    """Return a configuration with these lines in `[governor]`."""
    return parse(f"[governor]\n{governor}\n{text}".encode()).config


def sample(*, cost: float = 1.0, memory: float = 1.0, **reported: float) -> Sample:
    """Return a run that costs so many times the usual, and says so much of itself."""
    return Sample(
        cpu_ns=round(1e8 * cost),
        wall_ns=round(1e8 * cost),
        rss_bytes=round(1e7 * memory),
        reported=reported,
    )


def pair(baseline: Sample, candidate: Sample, number: int = 1) -> Pair:
    """Return a pair; `number` also says when it was taken."""
    return Pair(
        started_ns=number, candidate_first=bool(number % 2), baseline=baseline, candidate=candidate
    )


def pairs(sides: Sequence[tuple[Sample, Sample]]) -> tuple[Pair, ...]:
    """Return pairs in time order."""
    return tuple(pair(base, candidate, n) for n, (base, candidate) in enumerate(sides, 1))


def steady(candidate: Sample, count: int = 20, baseline: Sample = BASE) -> tuple[Pair, ...]:
    """Return so many equal pairs."""
    return pairs([(baseline, candidate)] * count)


def series(stage: Stage, made: Sequence[Pair], name: str = "b", inherited: int = 0) -> Series:
    """Return a series of the benchmark `b`."""
    return Series(benchmark=name, stage=stage, pairs=tuple(made), inherited=inherited)


def twice(made: Sequence[Pair], name: str = "b") -> tuple[Series, ...]:
    """Return the same pairs as screening and confirmation."""
    return series(Stage.SCREEN, made, name), series(Stage.CONFIRM, made, name)


def judged(
    configured: Config,
    made: Sequence[Pair],
    stage: Stage = Stage.SCREEN,
    name: str = "b",
    **more: Any,
) -> Sequential:
    """Return the comparison after all of these pairs."""
    sequential = Sequential(rule_for(configured, name, stage, **more))
    for one in made:
        sequential.push(one)
    return sequential


def by_metric(sequential: Sequential, stage: Stage = Stage.SCREEN) -> Mapping[str, Comparison]:
    """Return comparisons of the benchmark `b` by metric."""
    return {c.metric: c for c in sequential.comparisons("b", stage)}


def evaluation(*measured: Series, **more: Any) -> Evaluation:
    """Return an evaluation whose checks passed."""
    passed = CheckOutcome(name="tests", status=CheckStatus.PASSED, code="ok", text="60 passed")
    usual: dict[str, Any] = {
        "status": EvaluationStatus.OK,
        "cause": "",
        "base_commit": "a" * 40,
        "candidate_commit": "b" * 40,
        "attempt": 1,
        "checks": (passed,),
        "series": measured,
        "assurance": Assurance.TESTS,
        "sandbox": SandboxLevel(backend="bwrap", version="0.11", limits="rlimits"),
        "machine": "m",
        "started_ns": 1,
        "wall_ns": 1,
    }
    return Evaluation(**(usual | more))
