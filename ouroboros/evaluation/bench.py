"""The paired benchmark: baseline and candidate, back to back, in an order that a coin decides.

Stored baselines are useless on a shared machine, so that the baseline is measured again in every
pair. The coin is fair, thrown for each pair and kept in the record: with a fixed order, drift of
the machine would look like an effect. Each run is a fresh process on a fresh tree and is timed by
the launcher. No pair is ever thrown away.

A run that fails is not an observation: on the candidate it is a rejection, on the baseline nobody
can know anything. When to stop is the governor's rule (`Sequential`), besides the time budget.
"""

import asyncio
import random
import time
from pathlib import Path

import msgspec

from ouroboros.evaluation import proof
from ouroboros.evaluation.dossier import Dossier
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.records import Modules, decode
from ouroboros.evaluation.suite import LIMIT_CODES, tail
from ouroboros.governor.compare import Sequential, rule_for
from ouroboros.model.evaluation import (
    CheckOutcome,
    CheckStatus,
    Pair,
    Sample,
    Series,
    Stage,
)
from ouroboros.model.progress import Progress
from ouroboros.model.verdict import Outcome as Answer
from ouroboros.sandbox import Outcome


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """The two trees."""

    baseline: Path
    candidate: Path


async def dry_run(job: Job, sides: Sides, name: str, dossier: Dossier) -> None:
    """Run one benchmark once on each side, unmeasured: does it work, and on which files?

    Raises:
        Halt: it fails on a side, or ran files that are not the tree's.
    """
    for side, tree in (("baseline", sides.baseline), ("candidate", sides.candidate)):
        spec = job.plan.config.benchmarks[name]
        outcome = await job.run(
            job.command(job.argv(spec.command), tree, spec.timeout, witness=True)
        )
        reports = decode(outcome.result, whole=outcome.result_whole).modules
        if not outcome.ok:
            dossier.add(await _failure(job, name, side, outcome))
        await check_files(job, tree, reports, dossier)
        if side == "candidate":
            await prove(job, tree, reports, dossier)
            dossier.add(_passed(name, outcome))


async def check_files(job: Job, tree: Path, reports: tuple[Modules, ...], dossier: Dossier) -> None:
    """Refuse to go on where a run loaded the target from somewhere else.

    Raises:
        Halt: it did.
    """
    roots = job.plan.config.environment.path
    text = await asyncio.to_thread(proof.wrong_files, tree, roots, reports)
    if text:
        check = CheckOutcome(name="proof", status=CheckStatus.ERROR, code="wrong_files", text=text)
        dossier.add(check)


async def prove(job: Job, tree: Path, reports: tuple[Modules, ...], dossier: Dossier) -> None:
    """Note which changed files a run of the candidate has loaded."""
    dossier.proof |= set(await asyncio.to_thread(proof.loaded, tree, job.plan.changed, reports))


async def measure(job: Job, sides: Sides, dossier: Dossier) -> None:
    """Screen every benchmark; confirm on fresh pairs what looks worth it.

    Raises:
        Halt: a run failed.
    """
    worth: list[str] = []
    for name in job.plan.config.benchmarks:
        screened = await _stage(job, sides, name, Stage.SCREEN, dossier)
        if _regressed(screened, name):
            return  # it will be refused; nothing that follows could change that
        answer = screened.comparison(name, Stage.SCREEN).outcome
        neutral = job.plan.config.governor.accept_neutral and answer is Answer.NEUTRAL
        if answer is Answer.IMPROVED or neutral:
            worth.append(name)
    for name in worth:
        await _stage(job, sides, name, Stage.CONFIRM, dossier)


def _regressed(sequential: Sequential, name: str) -> bool:
    comparisons = sequential.comparisons(name, Stage.SCREEN)
    return any(c.outcome is Answer.REGRESSED for c in comparisons)


async def _stage(job: Job, sides: Sides, name: str, stage: Stage, dossier: Dossier) -> Sequential:
    """Take pairs until the rule has heard enough, or the time is up."""
    plan, governor = job.plan, job.plan.config.governor
    spec = plan.config.benchmarks[name]
    sequential = Sequential(rule_for(governor, spec, stage))
    coin = random.Random(f"{plan.seed}:{stage}:{name}")  # noqa: S311 - must be replayable
    pairs: list[Pair] = []
    until = time.monotonic_ns() + governor.benchmark_budget
    try:
        while not sequential.settled and time.monotonic_ns() < until:
            heads = coin.random() < 0.5  # noqa: PLR2004 - a fair coin
            pair = await _pair(job, sides, name, dossier, candidate_first=heads)
            pairs.append(pair)
            sequential.push(pair)
            _tell(job, sequential, name, stage, len(pairs))
    finally:
        # Also what was measured before a failure is evidence.
        if pairs:
            dossier.series.append(Series(benchmark=name, stage=stage, pairs=tuple(pairs)))
    return sequential


def _tell(job: Job, sequential: Sequential, name: str, stage: Stage, done: int) -> None:
    comparison = sequential.comparison(name, stage)
    progress = Progress(
        candidate=job.plan.candidate,
        stage=f"{stage}:{name}",
        done=done,
        total=job.plan.config.governor.max_pairs,
        comparison=comparison,
    )
    job.tell(progress)


async def _pair(
    job: Job, sides: Sides, name: str, dossier: Dossier, *, candidate_first: bool
) -> Pair:
    spec = job.plan.config.benchmarks[name]
    started = job.lab.clock_ns()
    samples: dict[str, Sample] = {}
    order = ("candidate", "baseline") if candidate_first else ("baseline", "candidate")
    for side in order:
        tree = sides.candidate if side == "candidate" else sides.baseline
        outcome = await job.run(job.command(job.argv(spec.command), tree, spec.timeout))
        if not outcome.ok:
            dossier.add(await _failure(job, name, side, outcome))
        samples[side] = outcome.sample
    return Pair(
        started_ns=started,
        candidate_first=candidate_first,
        baseline=samples["baseline"],
        candidate=samples["candidate"],
    )


def _passed(name: str, outcome: Outcome) -> CheckOutcome:
    return CheckOutcome(
        name=f"benchmark:{name}",
        status=CheckStatus.PASSED,
        code="ok",
        text="The benchmark runs on both sides.",
        wall_ns=outcome.sample.wall_ns,
    )


async def _failure(job: Job, name: str, side: str, outcome: Outcome) -> CheckOutcome:
    """Describe a failed run: the candidate's fault, or nobody's."""
    own = side == "candidate"
    code = LIMIT_CODES.get(outcome.ending, "benchmark_failed")
    how = outcome.text or f"It ended with exit code {outcome.exit_code}."
    text = f"Benchmark {name} failed on the {side}. {how}{tail(outcome)}"
    return CheckOutcome(
        name=f"benchmark:{name}",
        status=CheckStatus.FAILED if own else CheckStatus.ERROR,
        code=code if own else "baseline_benchmark",
        text=text,
        wall_ns=outcome.sample.wall_ns,
        log=await job.lab.log(outcome),
    )
