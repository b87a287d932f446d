"""A benchmark as a contestant: one run on each side, and what is believed of each run.

Each run is a fresh process on a fresh tree and is timed outside of it. No pair is ever thrown away.
A run that fails is not an observation: on the candidate it is a rejection, on the baseline nobody
can know anything. That goes for numbers that a run should have reported, too.

Usually the runs of a pair follow each other in the order of the coin. As a `duet` they are started
in that order and then run at once, so that both feel the same load: CPU time gets quieter, wall
time gets biased and decides nothing. They share the machine's caches and memory, and so one side
can slow the other one down, as the load of anything else does; never their files or processes.

With an evaluator, the numbers come from a run of its own on the judge's tree, with what the
benchmark printed as its input, the same for both sides: no code and no file of the candidate is
there. What the candidate prints about itself is then just text to be judged.
"""

import asyncio
from pathlib import Path
from typing import NoReturn, Protocol

from msgspec.structs import replace

from ouroboros.config import Benchmark, Challenge
from ouroboros.evaluation import proof
from ouroboros.evaluation.dossier import Dossier
from ouroboros.evaluation.failures import side_failed, side_said_no
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.records import Modules, decode
from ouroboros.evaluation.reports import BadReport, NoRatio, Report, read
from ouroboros.evaluation.sides import BASELINE, CANDIDATE, SIDES, Sides
from ouroboros.evaluation.suite import tail
from ouroboros.governor.specs import in_pairs
from ouroboros.model.evaluation import (
    DIFFERENT_OUTPUT,
    CheckOutcome,
    CheckStatus,
    Pair,
    Sample,
)
from ouroboros.model.metric import Pairing, Role, Source
from ouroboros.model.text import safe_line
from ouroboros.sandbox import Command, Ending, Outcome

_TOLD = (Source.REPORTED, Source.JUDGED)


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
        self._told = tuple(s for s in in_pairs(job.plan.config, name) if s.source in _TOLD)
        self._printed: dict[str, set[bytes]] = {BASELINE: set(), CANDIDATE: set()}
        self._cut = False

    async def rehearse(self) -> None:
        """Run once on each side, one after the other."""
        job, dossier = self._job, self._dossier
        for side in SIDES:
            tree = self._sides.tree(side)
            outcome = await job.run(self._command(side, witness=True))
            await self._check(side, outcome)
            reports = decode(outcome.result, whole=outcome.result_whole).modules
            await self._sample(side, outcome)
            await check_files(job, tree, reports, dossier)
            if side == CANDIDATE:
                await prove(job, tree, reports, dossier)
                dossier.add(_passed(self.name, outcome))

    async def pair(self, *, candidate_first: bool) -> Pair:
        """Run on both sides, then have both judged: the baseline first, so that it is to blame."""
        started = self._job.lab.clock_ns()
        order = self._sides.order(candidate_first=candidate_first)
        if self.spec.pairing is Pairing.DUET:
            outcomes = await self._at_once(order)
        else:
            outcomes = await self._in_turn(order)
        samples = {side: await self._sample(side, outcomes[side]) for side in SIDES}
        return Pair(
            started_ns=started,
            candidate_first=candidate_first,
            baseline=samples[BASELINE],
            candidate=samples[CANDIDATE],
        )

    async def _in_turn(self, order: tuple[str, str]) -> dict[str, Outcome]:
        outcomes = {}
        for side in order:
            outcomes[side] = await self._job.run(self._command(side))
            await self._check(side, outcomes[side])
        return outcomes

    async def _at_once(self, order: tuple[str, str]) -> dict[str, Outcome]:
        runs = (self._job.run(self._command(side)) for side in order)
        # Waits for both, whatever becomes of one or of ourselves: nothing is left running.
        ended = await asyncio.gather(*runs, return_exceptions=True)
        outcomes = {}
        for side, outcome in zip(order, ended, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            outcomes[side] = outcome
        for side in order:
            await self._check(side, outcomes[side])
        return outcomes

    def _command(self, side: str, *, witness: bool = False) -> Command:
        argv, tree = self._job.argv(self.spec.command), self._sides.tree(side)
        return self._job.command(argv, tree, self.spec.timeout, witness=witness)

    async def _check(self, side: str, outcome: Outcome) -> None:
        if not outcome.ok:
            lab = self._job.lab
            self._dossier.stop(await side_failed(lab, self.name, side, outcome, name=self.name))

    # --- numbers that are told ------------------------------------------------------------------

    async def _sample(self, side: str, outcome: Outcome) -> Sample:
        """Return what a good run cost and reported, and remember what it printed."""
        report = await self._report(side, outcome)
        self._printed[side].add(report.before)
        self._cut = self._cut or not outcome.stdout_whole
        return replace(outcome.sample, reported=report.values)

    async def _report(self, side: str, outcome: Outcome) -> Report:
        if not self._told:
            return Report(values={}, before=outcome.stdout)
        if not outcome.stdout_whole:
            limit = int(self._job.plan.config.sandbox.output) // 2
            text = (
                f"Benchmark {self.name} printed more than {limit} bytes on the {side}, so that "
                "its numbers would come from a part of it. Let it print less, or raise "
                "[sandbox] output."
            )
            self._refuse(side, "output_truncated", text, outcome)
        if self.spec.evaluator:
            return await self._judged(side, outcome)
        try:
            return read(outcome.stdout, self._told)
        except BadReport as problem:
            text = f"Benchmark {self.name} did not report its numbers on the {side}. {problem}"
            self._refuse(side, "bad_report", text, outcome)

    async def _judged(self, side: str, outcome: Outcome) -> Report:
        """Have the evaluator read what a run printed."""
        job = self._job
        argv, tree = job.argv(self.spec.evaluator), self._sides.judging
        command = job.command(argv, tree, self.spec.timeout, stdin=outcome.stdout)
        ran = await job.run(command)
        if not ran.ok:
            await self._not_judged(side, ran)
        if not ran.stdout_whole:
            text = f"The evaluator of {self.name} printed more than [sandbox] output keeps."
            self._fault("evaluator", text)
        try:
            judged = read(ran.stdout, self._told)
        except NoRatio as problem:
            text = f"The evaluator of {self.name} judged the {side}, and {problem}"
            self._refuse(side, "bad_report", text, outcome)
        except BadReport as problem:
            self._fault("evaluator", f"The evaluator of {self.name} gave no numbers. {problem}")
        return Report(values=judged.values, before=outcome.stdout)

    async def _not_judged(self, side: str, ran: Outcome) -> None:
        """An evaluator that exits with an error refuses the output; else it is at fault itself."""
        how = ran.text or f"It ended with exit code {ran.exit_code}."
        log = await self._job.lab.log(ran)
        if side == CANDIDATE and ran.ending is Ending.EXITED:
            text = f"The evaluator of {self.name} refuses what the candidate prints. {how}"
            check = side_said_no(self.name, side, "evaluator_refused", text + tail(ran), log=log)
            self._dossier.stop(check)
        text = f"The evaluator of {self.name} failed on the output of the {side}. {how}{tail(ran)}"
        self._fault("evaluator", text, log)

    def _fault(self, code: str, text: str, log: str = "") -> NoReturn:
        check = CheckOutcome(
            name=f"benchmark:{self.name}",
            status=CheckStatus.ERROR,
            code=code,
            text=text,
            log=log,
        )
        self._dossier.stop(check)

    def _refuse(self, side: str, code: str, text: str, outcome: Outcome) -> NoReturn:
        self._dossier.stop(side_said_no(self.name, side, code, text, outcome=outcome))

    # --- what was printed -----------------------------------------------------------------------

    def compare_output(self) -> None:
        """Note whether the candidate printed what the baseline prints in every run.

        A benchmark that prints what it computed thereby shows that the candidate did the work. Who
        prints a time differs from run to run, or by luck does not: so this is not a failure but
        for a human to look at. Not compared is the line of numbers, nor what an evaluator judges
        by a metric that decides something.
        """
        base, candidate = self._printed[BASELINE], self._printed[CANDIDATE]
        if self._is_judged():
            code, text = "judged", "What the benchmark prints is judged by its evaluator."
        elif base == candidate:
            code, text = "ok", "The benchmark prints the same on both sides."
        elif len(base) > 1:
            code, text = "varies", "What the benchmark prints varies, and was not compared."
        else:
            code = DIFFERENT_OUTPUT
            text = (
                f"Benchmark {self.name} prints something else on the candidate: "
                f"{_head(base)} became {_head(candidate - base)}."
            )
        if self._cut:
            text += " Only the end of it was looked at, as much as [sandbox] output keeps."
        name = f"output:{self.name}"
        check = CheckOutcome(name=name, status=CheckStatus.PASSED, code=code, text=text)
        self._dossier.add(check)

    def _is_judged(self) -> bool:
        return any(s.source is Source.JUDGED and s.role is not Role.REPORT for s in self._told)


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


def _passed(name: str, outcome: Outcome) -> CheckOutcome:
    return CheckOutcome(
        name=f"benchmark:{name}",
        status=CheckStatus.PASSED,
        code="ok",
        text="The benchmark runs on both sides.",
        wall_ns=outcome.sample.wall_ns,
    )
