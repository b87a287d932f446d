"""Paired measurement: baseline and candidate, back to back, in an order that a coin decides.

Stored baselines are useless on a shared machine, so that the baseline is measured again in every
pair. The coin is fair, thrown for each pair and kept in the record: with a fixed order, drift of
the machine would look like an effect. When to stop is the governor's rule (`Sequential`), besides
the time budget. What is measured is a `Contestant`: a benchmark, or a challenge.

Pairs that an earlier attempt has taken already (`plan.prior`) come first, and count: each was
written down before the next one was begun, so that a dead engine loses one pair at most. The coin
goes on where it stopped.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

from ouroboros.errors import EvaluationError
from ouroboros.evaluation import exact
from ouroboros.evaluation.bench import Bench, Contestant
from ouroboros.evaluation.challenge.contestant import Challenger
from ouroboros.evaluation.dossier import Dossier
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.plan import Plan
from ouroboros.evaluation.sides import Sides
from ouroboros.governor.compare import Rule, Sequential, rule_for
from ouroboros.governor.exact import comparisons
from ouroboros.governor.specs import measured
from ouroboros.model.evaluation import CHALLENGE, Pair, Purpose, Series, Stage
from ouroboros.model.metric import Role
from ouroboros.model.progress import Progress
from ouroboros.model.verdict import Comparison, Outcome


class Field:
    """All that is measured between two trees. Close it: challenges have examiners."""

    def __init__(
        self,
        job: Job,
        sides: Sides,
        dossier: Dossier,
        *,
        names: Sequence[str] | None = None,
        exam: bool = True,
    ) -> None:
        """Line up; challenges first, since they also compare.

        Args:
            job: the evaluation.
            sides: the two trees.
            dossier: where checks, series and proof go.
            names: which of the benchmarks and challenges, as their series are named; None for all.
            exam: whether challenges are also an exam of the candidate, and of themselves.

        Raises:
            EvaluationError: there is none of such a name.
        """
        config = job.plan.config
        known = measured(config)
        wanted = list(known) if names is None else list(dict.fromkeys(names))
        if unknown := [name for name in wanted if name not in known]:
            raise EvaluationError(
                f"There is no {unknown[0]} to measure; there is {', '.join(known) or 'nothing'}.",
                hint="Name benchmarks as in [benchmarks], and challenges as challenge:NAME.",
            )
        self.challengers = [
            Challenger(job, sides, name.removeprefix(CHALLENGE), dossier, exam=exam)
            for name in wanted
            if name.startswith(CHALLENGE)
        ]
        self.benches = [
            Bench(job, sides, name, dossier) for name in wanted if not name.startswith(CHALLENGE)
        ]
        self.all: list[Contestant] = [*self.challengers, *self.benches]

    async def __aenter__(self) -> Self:
        """Lend it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the examiners, each whatever becomes of the others."""
        async with AsyncExitStack() as stack:
            for challenger in self.challengers:
                stack.push_async_callback(challenger.close)

    async def rehearse(self) -> None:
        """Run everything once, unmeasured: this is also the warm-up, which is discarded.

        Raises:
            Halt: something fails.
        """
        for contestant in self.all:
            await contestant.rehearse()


def quiet(plan: Plan, contestants: Sequence[Contestant]) -> list[Contestant]:
    """Leave out what this machine is too noisy for."""
    noisy = plan.context.too_noisy if plan.context else ()
    return [c for c in contestants if c.name not in noisy]


async def measure(
    job: Job, sides: Sides, contestants: Sequence[Contestant], dossier: Dossier
) -> bool:
    """Take what is exact; screen every contestant; confirm on fresh pairs what looks worth it.

    Returns:
        Whether it looks as if the candidate might be accepted. Only the governor says whether.

    Raises:
        Halt: a run failed.
        MeasurementError: a value that cannot be compared.
    """
    proposed = job.plan.purpose is Purpose.CANDIDATE
    for contestant in contestants:
        await exact.take(job, sides, contestant.name, Stage.SCREEN, dossier)
    taken = comparisons(dossier.exact, job.plan.config)
    if proposed and _regressed(taken):
        return False  # it will be refused; nothing that follows could change that
    good = _good(job, taken)
    worth: list[Contestant] = []
    for contestant in contestants:
        screened = await _answers(job, contestant, Stage.SCREEN, dossier)
        if _regressed(screened):
            return False
        if proposed and _good(job, screened):
            worth.append(contestant)
    for contestant in _decisive(worth):
        confirmed = await _answers(job, contestant, Stage.CONFIRM, dossier)
        if _regressed(confirmed):
            return False
        good = good or _good(job, confirmed)
    return proposed and good


def _decisive(worth: Sequence[Contestant]) -> Sequence[Contestant]:
    """Leave out what a confirmation would not change: a challenge's gain needs no benchmark's."""
    challenges = [c for c in worth if c.name.startswith(CHALLENGE)]
    return challenges or worth


def _regressed(comparisons: Sequence[Comparison]) -> bool:
    return any(c.outcome is Outcome.REGRESSED and c.role != Role.REPORT for c in comparisons)


def _good(job: Job, comparisons: Sequence[Comparison]) -> bool:
    """Whether an objective has improved, or is neutral where that is enough."""
    enough = {Outcome.IMPROVED}
    if job.plan.config.governor.accept_neutral:
        enough.add(Outcome.NEUTRAL)
    return any(c.outcome in enough for c in comparisons if c.role == Role.OBJECTIVE)


async def _answers(
    job: Job, contestant: Contestant, stage: Stage, dossier: Dossier
) -> tuple[Comparison, ...]:
    sequential = await take(job, contestant, stage, dossier)
    return sequential.comparisons(contestant.name, stage)


async def take(job: Job, contestant: Contestant, stage: Stage, dossier: Dossier) -> Sequential:
    """Take pairs until the rule has heard enough, or the time is up.

    Raises:
        Halt: a run failed.
        MeasurementError: a sample that cannot be compared.
    """
    plan, name = job.plan, contestant.name
    prior = _prior(plan, name, stage)
    pairs = list(prior.pairs)
    rule = _rule(plan, name, stage)
    most = prior.inherited + rule.max_pairs
    sequential = Sequential(rule, inherited=prior.inherited)
    for pair in pairs:
        sequential.push(pair)
    coin = _coin(plan, name, stage, thrown=len(pairs) - prior.inherited)
    until = time.monotonic_ns() + plan.config.governor.benchmark_budget
    try:
        while not sequential.settled and time.monotonic_ns() < until:
            pair = await contestant.pair(candidate_first=_heads(coin))
            pairs.append(pair)
            sequential.push(pair)
            await _note(job, name, stage, pairs)
            _tell(job, sequential, name, stage, most)
    finally:
        # Also what was measured before a failure is evidence.
        if pairs:
            dossier.series.append(
                Series(benchmark=name, stage=stage, pairs=tuple(pairs), inherited=prior.inherited)
            )
    return sequential


async def count(job: Job, contestant: Contestant, stage: Stage, pairs: int) -> Series:
    """Take a fixed number of pairs, whatever they say.

    Raises:
        Halt: a run failed.
        MeasurementError: a sample that cannot be compared.
    """
    plan, name = job.plan, contestant.name
    coin = _coin(plan, name, stage, thrown=0)
    sequential = Sequential(_rule(plan, name, stage))
    taken: list[Pair] = []
    while len(taken) < pairs:
        taken.append(await contestant.pair(candidate_first=_heads(coin)))
        sequential.push(taken[-1])  # says what cannot be compared
    return Series(benchmark=name, stage=stage, pairs=tuple(taken))


def _rule(plan: Plan, name: str, stage: Stage) -> Rule:
    """The level of "improved" is this test's own at screening, and else the governor's."""
    alpha = plan.config.governor.alpha_improve
    if plan.context is not None and stage is Stage.SCREEN:
        alpha = plan.context.alpha_improve
    return rule_for(plan.config, name, stage, purpose=plan.purpose, alpha_improve=alpha)


def _prior(plan: Plan, name: str, stage: Stage) -> Series:
    """Return the pairs to go on from: inherited ones first, then those of a lost attempt."""
    known = [s for s in plan.prior if s.benchmark == name and s.stage is stage]
    inherited = [pair for s in known for pair in s.pairs[: s.inherited]]
    own = [pair for s in known for pair in s.pairs[s.inherited :]]
    return Series(benchmark=name, stage=stage, pairs=(*inherited, *own), inherited=len(inherited))


def _coin(plan: Plan, name: str, stage: Stage, *, thrown: int) -> random.Random:
    coin = random.Random(f"{plan.seed}:{stage}:{name}")  # noqa: S311 - must be replayable
    for _ in range(thrown):
        coin.random()
    return coin


def _heads(coin: random.Random) -> bool:
    return coin.random() < 0.5  # noqa: PLR2004 - a fair coin


async def _note(job: Job, name: str, stage: Stage, pairs: Sequence[Pair]) -> None:
    """Have the newest pair written down, before another one is begun."""
    write = job.lab.journal
    await asyncio.to_thread(write, job.plan.candidate, name, stage, len(pairs) - 1, pairs[-1])


def _tell(job: Job, sequential: Sequential, name: str, stage: Stage, most: int) -> None:
    progress = Progress(
        candidate=job.plan.candidate,
        stage=f"{stage}:{name}",
        done=sequential.pairs,
        total=most,
        comparison=sequential.comparison(name, stage),
    )
    job.tell(progress)
