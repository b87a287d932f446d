"""One evaluation, whole: trees, tests, proof of files, challenges, benchmarks, in this order.

Cheap gates first, and each stops the rest. What a candidate does ends as `failed`, what went wrong
with us or with the baseline as `error`; the two are never mixed up, and neither raises.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ouroboros.config import Framework
from ouroboros.errors import OuroborosError
from ouroboros.evaluation import anchor, bench, control, needs, protected, shadow, suite
from ouroboros.evaluation.control import Control
from ouroboros.evaluation.dossier import Dossier, Halt
from ouroboros.evaluation.lab import Job, Lab
from ouroboros.evaluation.measure import Field, measure, quiet
from ouroboros.evaluation.plan import Plan
from ouroboros.evaluation.records import Coverage
from ouroboros.evaluation.sides import Sides
from ouroboros.evaluation.suite import TestRun
from ouroboros.evaluation.untested import UNKNOWN, of_trees
from ouroboros.model.evaluation import (
    CHALLENGE,
    Assurance,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Purpose,
)
from ouroboros.model.progress import Progress
from ouroboros.model.text import safe_line

_BASELINES = 8
"""Finished baseline test runs to remember."""
_Value = TypeVar("_Value")


async def evaluate(
    lab: Lab, plan: Plan, tell: Callable[[Progress], None], machine: str
) -> Evaluation:
    """Carry out a plan. Raises only what is nobody's finding: cancellation.

    Args:
        lab: the equipment.
        plan: what to evaluate.
        tell: takes progress, from the event loop's thread.
        machine: describes this machine, for the record.
    """
    dossier = Dossier()
    started, begun = lab.clock_ns(), time.monotonic_ns()
    status, cause = EvaluationStatus.OK, ""
    try:
        await _carry_out(Job(plan=plan, lab=lab, tell=tell), dossier)
    except Halt as halt:
        status, cause = halt.status, halt.cause
    except OuroborosError as error:
        status, cause = EvaluationStatus.ERROR, str(error)
    except Exception as error:  # noqa: BLE001 - the room's edge: whatever broke, it is not the candidate's fault
        status, cause = EvaluationStatus.ERROR, f"{type(error).__name__}: {safe_line(str(error))}"
    return Evaluation(
        status=status,
        cause=cause,
        base_commit=plan.base_commit,
        candidate_commit=plan.candidate_commit,
        attempt=plan.attempt,
        checks=tuple(dossier.checks),
        series=tuple(dossier.series),
        assurance=_assurance(plan, dossier),
        sandbox=lab.sandbox.level_for(plan.config.sandbox),
        machine=machine,
        started_ns=started,
        wall_ns=time.monotonic_ns() - begun,
        proof=tuple(sorted(dossier.proof)),
        untested=dossier.untested,
        exact=tuple(dossier.exact),
        anchor_commit=dossier.anchor_commit,
        anchor_cause=dossier.anchor_cause,
    )


async def _carry_out(job: Job, dossier: Dossier) -> None:
    plan = job.plan
    needs.check(plan.config)
    job.report("prepare")
    if plan.purpose is Purpose.ANCHOR:
        await anchor.estimate(job, dossier)
        return
    async with job.tree(plan.base_commit) as base, job.tree(plan.candidate_commit) as candidate:
        await asyncio.to_thread(
            protected.check_same, base, candidate, plan.config.governor.protected
        )
        await _tests(job, base, candidate, dossier)
        if plan.config.benchmarks or plan.config.challenges:
            await _measure(job, Sides(baseline=base, candidate=candidate), dossier)
        await _note_untested(job, base, candidate, dossier)


async def _measure(job: Job, sides: Sides, dossier: Dossier) -> None:
    """Rehearse everything, then measure what this machine is quiet enough for."""
    async with Field(job, sides, dossier) as field:
        job.report("proof")
        await field.rehearse()
        # One at a time: two evaluations that measure at once measure each other.
        async with job.lab.measuring:
            if await measure(job, sides, quiet(job.plan, field.all), dossier):
                await anchor.bound(job, sides, dossier)
        for challenger in field.challengers:
            await challenger.passed()
        for benchmark in field.benches:
            benchmark.compare_output()


def _assurance(plan: Plan, dossier: Dossier) -> Assurance:
    """How much the checks prove: challenges count where they ran every changed file that ran."""
    passed = {c.name for c in dossier.checks if c.status is CheckStatus.PASSED}
    challenges = {f"{CHALLENGE}{name}" for name in plan.config.challenges}
    ran = dossier.proof and dossier.proof <= dossier.challenged
    if challenges and challenges <= passed and ran:
        return Assurance.CHALLENGE
    return suite.assurance(plan.config.tests.framework)


async def _tests(job: Job, base: Path, candidate: Path, dossier: Dossier) -> None:
    config = job.plan.config
    framework = config.tests.framework
    baseline = await _baseline(job, base)
    dossier.add(suite.judge_baseline(framework, baseline))
    await bench.check_files(job, base, baseline.records.modules, dossier)
    job.report("tests")
    roots = config.environment.path
    if shadows := await asyncio.to_thread(shadow.shadowing, base, candidate, roots):
        dossier.add(suite.shadowed(shadows))
    run = await suite.run(job, candidate)
    await bench.check_files(job, candidate, run.records.modules, dossier)
    await bench.prove(job, candidate, run.records.modules, dossier)
    dossier.add(suite.judge_candidate(framework, run, baseline))
    if control.wanted(job):
        job.report("inverted")
        learnt = await _control(job, base, baseline)
        dossier.add(await control.check(job, candidate, learnt))


async def _baseline(job: Job, base: Path) -> TestRun:
    """Run the baseline's tests, once per commit and configuration."""
    plan, lab = job.plan, job.lab
    config, key = plan.config, _tests_key(plan)
    async with lab.baselining:
        known = lab.baselines.get(key)
        if known is not None:
            return known
        job.report("baseline-tests")
        run = await suite.run(job, base)
        # A red baseline may have been the machine's bad minute: it is asked again.
        if suite.judge_baseline(config.tests.framework, run).status is CheckStatus.PASSED:
            _remember(lab.baselines, key, run)
        return run


async def _control(job: Job, base: Path, baseline: TestRun) -> Control:
    """Learn from the baseline how its tests end when turned around, once as above."""
    lab = job.lab
    key = _tests_key(job.plan) + repr(job.plan.config.governor.protected)
    async with lab.baselining:
        known = lab.controls.get(key)
        if known is not None:
            return known
        learnt = await control.learn(job, base, baseline)
        if not learnt.fault:
            _remember(lab.controls, key, learnt)
        return learnt


async def _note_untested(job: Job, base: Path, candidate: Path, dossier: Dossier) -> None:
    """Note which replaced lines neither a test nor a challenge of the baseline executes."""
    plan = job.plan
    if plan.config.tests.framework is Framework.COMMAND:
        return  # nobody knows, and its assurance says so
    traced = await _traced_tests(job, base)
    executed = (*traced, *dossier.executed)
    found = await asyncio.to_thread(of_trees, base, candidate, plan.changed, executed)
    dossier.untested = (UNKNOWN,) if found and not traced else found


async def _traced_tests(job: Job, base: Path) -> tuple[Coverage, ...]:
    """Return what the baseline's tests execute, traced once per commit; empty if unknown."""
    plan, lab = job.plan, job.lab
    key = _tests_key(plan)
    async with lab.baselining:
        known = lab.coverages.get(key)
        if known is None:
            job.report("coverage")
            run = await suite.run(job, base, coverage=True)
            judged = suite.judge_baseline(plan.config.tests.framework, run)
            known = run.records.coverage if judged.status is CheckStatus.PASSED else ()
            _remember(lab.coverages, key, known)
        return known


def _tests_key(plan: Plan) -> str:
    """Name what the outcome of the baseline's tests depends on."""
    config = plan.config
    relevant = (plan.base_commit, plan.python, config.tests, config.environment, config.sandbox)
    return repr(relevant)


def _remember(cache: dict[str, _Value], key: str, value: _Value) -> None:
    while len(cache) >= _BASELINES:
        cache.pop(next(iter(cache)))
    cache[key] = value
