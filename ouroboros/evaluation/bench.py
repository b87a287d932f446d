"""Paired measurement: baseline and candidate, back to back, in an order that a coin decides.

Stored baselines are useless on a shared machine, so that the baseline is measured again in every
pair. The coin is fair, thrown for each pair and kept in the record: with a fixed order, drift of
the machine would look like an effect. Each run is a fresh process on a fresh tree and is timed
outside of it. No pair is ever thrown away.

A run that fails is not an observation: on the candidate it is a rejection, on the baseline nobody
can know anything. When to stop is the governor's rule (`Sequential`), besides the time budget.
What is measured is a `Contestant`: a benchmark (here), or a challenge.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from ouroboros.config import Benchmark, Challenge
from ouroboros.evaluation import proof
from ouroboros.evaluation.dossier import Dossier
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.records import Modules, decode
from ouroboros.evaluation.suite import LIMIT_CODES, tail
from ouroboros.governor.compare import Sequential, rule_for
from ouroboros.model.evaluation import (
    CHALLENGE,
    DIFFERENT_OUTPUT,
    CheckOutcome,
    CheckStatus,
    Pair,
    Sample,
    Series,
    Stage,
)
from ouroboros.model.progress import Progress
from ouroboros.model.text import safe_line
from ouroboros.model.verdict import Outcome as Answer
from ouroboros.sandbox import Outcome


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """The two trees."""

    baseline: Path
    candidate: Path


class Contestant(Protocol):
    """What can be measured in pairs. `name` is that of its series."""

    name: str

    @property
    def spec(self) -> Benchmark | Challenge:
        """Its table of the configuration."""

    async def rehearse(self) -> None:
        """Run once, unmeasured: does it work, and on which files?

        Raises:
            Halt: it fails on a side, or ran files that are not the tree's.
        """

    async def pair(self, *, candidate_first: bool) -> Pair:
        """Take one pair.

        Raises:
            Halt: a side failed.
        """


class Bench:
    """A benchmark as a contestant."""

    def __init__(self, job: Job, sides: Sides, name: str, dossier: Dossier) -> None:
        """Prepare.

        Args:
            job: the evaluation.
            sides: the two trees.
            name: in `[benchmarks]`.
            dossier: where checks and proof go.
        """
        self.name = name
        self.spec: Benchmark = job.plan.config.benchmarks[name]
        self._job = job
        self._sides = sides
        self._dossier = dossier
        self._printed: dict[str, set[bytes]] = {"baseline": set(), "candidate": set()}

    async def rehearse(self) -> None:
        """Run once on each side."""
        job, dossier = self._job, self._dossier
        for side, tree in (
            ("baseline", self._sides.baseline),
            ("candidate", self._sides.candidate),
        ):
            outcome = await job.run(
                job.command(job.argv(self.spec.command), tree, self.spec.timeout, witness=True)
            )
            reports = decode(outcome.result, whole=outcome.result_whole).modules
            if not outcome.ok:
                dossier.add(await _failure(job, self.name, side, outcome))
            self._printed[side].add(outcome.stdout)
            await check_files(job, tree, reports, dossier)
            if side == "candidate":
                await prove(job, tree, reports, dossier)
                dossier.add(_passed(self.name, outcome))

    async def pair(self, *, candidate_first: bool) -> Pair:
        """Run on one side, then on the other."""
        job = self._job
        started = job.lab.clock_ns()
        samples: dict[str, Sample] = {}
        order = ("candidate", "baseline") if candidate_first else ("baseline", "candidate")
        for side in order:
            tree = self._sides.candidate if side == "candidate" else self._sides.baseline
            command = job.command(job.argv(self.spec.command), tree, self.spec.timeout)
            outcome = await job.run(command)
            if not outcome.ok:
                self._dossier.add(await _failure(job, self.name, side, outcome))
            samples[side] = outcome.sample
            self._printed[side].add(outcome.stdout)
        return Pair(
            started_ns=started,
            candidate_first=candidate_first,
            baseline=samples["baseline"],
            candidate=samples["candidate"],
        )

    def compare_output(self) -> None:
        """Note whether the candidate printed what the baseline prints in every run.

        A benchmark that prints what it computed thereby shows that the candidate did the work. Who
        prints a time differs from run to run, or by luck does not: so this is not a failure but
        for a human to look at.
        """
        base, candidate = self._printed["baseline"], self._printed["candidate"]
        if base == candidate:
            code, text = "ok", "The benchmark prints the same on both sides."
        elif len(base) > 1:
            code, text = "varies", "What the benchmark prints varies, and was not compared."
        else:
            code = DIFFERENT_OUTPUT
            text = (
                f"Benchmark {self.name} prints something else on the candidate: "
                f"{_head(base)} became {_head(candidate - base)}."
            )
        name = f"output:{self.name}"
        check = CheckOutcome(name=name, status=CheckStatus.PASSED, code=code, text=text)
        self._dossier.add(check)


def _head(printed: set[bytes]) -> str:
    return repr(safe_line(min(printed).decode(errors="replace"), limit=80))


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


async def prove(
    job: Job, tree: Path, reports: tuple[Modules, ...], dossier: Dossier
) -> frozenset[str]:
    """Note which changed files a run of the candidate has loaded; returns them."""
    found = await asyncio.to_thread(proof.loaded, tree, job.plan.changed, reports)
    dossier.proof |= set(found)
    return frozenset(found)


async def measure(job: Job, contestants: Sequence[Contestant], dossier: Dossier) -> None:
    """Screen every contestant; confirm on fresh pairs what looks worth it.

    Raises:
        Halt: a run failed.
    """
    worth: list[Contestant] = []
    for contestant in contestants:
        screened = await _stage(job, contestant, Stage.SCREEN, dossier)
        if _regressed(screened, contestant.name):
            return  # it will be refused; nothing that follows could change that
        answer = screened.comparison(contestant.name, Stage.SCREEN).outcome
        neutral = job.plan.config.governor.accept_neutral and answer is Answer.NEUTRAL
        if answer is Answer.IMPROVED or neutral:
            worth.append(contestant)
    for contestant in _decisive(worth):
        await _stage(job, contestant, Stage.CONFIRM, dossier)


def _decisive(worth: Sequence[Contestant]) -> Sequence[Contestant]:
    """Leave out what a confirmation would not change: a challenge's gain needs no benchmark's."""
    challenges = [c for c in worth if c.name.startswith(CHALLENGE)]
    return challenges or worth


def _regressed(sequential: Sequential, name: str) -> bool:
    comparisons = sequential.comparisons(name, Stage.SCREEN)
    return any(c.outcome is Answer.REGRESSED for c in comparisons)


async def _stage(job: Job, contestant: Contestant, stage: Stage, dossier: Dossier) -> Sequential:
    """Take pairs until the rule has heard enough, or the time is up."""
    plan, governor, name = job.plan, job.plan.config.governor, contestant.name
    level = plan.context.alpha_improve if plan.context else None
    rule = rule_for(plan.config, name, stage, purpose=plan.purpose, alpha_improve=level)
    sequential = Sequential(rule)
    coin = random.Random(f"{plan.seed}:{stage}:{name}")  # noqa: S311 - must be replayable
    pairs: list[Pair] = []
    until = time.monotonic_ns() + governor.benchmark_budget
    try:
        while not sequential.settled and time.monotonic_ns() < until:
            heads = coin.random() < 0.5  # noqa: PLR2004 - a fair coin
            pair = await contestant.pair(candidate_first=heads)
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
