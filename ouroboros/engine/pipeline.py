"""One candidate, from proposal to verdict and on to promotion.

`drive` looks at the phase, does the one thing that the phase asks for, writes what happened, and
looks again. It keeps nothing between steps, so that a restart goes on exactly where the last
written entry says, and a human's cancel is seen at the next look. Holds end the drive; an approval
starts a new one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ouroboros.engine.budgets import Budgets
from ouroboros.engine.circuit import break_circuit
from ouroboros.engine.core import (
    Core,
    hold_expiry,
    pairs_done,
    plan_for,
    prior_of,
    reason_of,
)
from ouroboros.engine.freeze import Freeze, frozen_until
from ouroboros.engine.messages import candidate_message
from ouroboros.engine.promotion import Promoter
from ouroboros.engine.screening import marks_of
from ouroboros.engine.tasks import cancel_and_wait, spawn
from ouroboros.engine.watch import Watch
from ouroboros.errors import (
    CancelledByHumanError,
    IllegalMoveError,
    LedgerError,
    MeasurementError,
    OuroborosError,
    PatchError,
)
from ouroboros.evaluation.screen import screen_text
from ouroboros.governor.decide import decide, screen_verdict
from ouroboros.governor.in_force import blocked
from ouroboros.model import events as ev
from ouroboros.model.evaluation import EvaluationStatus
from ouroboros.model.phase import IN_FLIGHT, MOVING, Phase
from ouroboros.model.proposal import Mark
from ouroboros.model.state import Candidate, State
from ouroboros.model.verdict import Decision, Reason, Verdict
from ouroboros.vcs.values import Built

_log = logging.getLogger(__name__)

Step = Callable[[Candidate], Awaitable[None]]

_WORKING = IN_FLIGHT - MOVING
"""Phases in which a failing room makes the candidate errored."""


class Pipeline:
    """Drives candidates; one task per candidate."""

    def __init__(self, core: Core, budgets: Budgets, promoter: Promoter, watch: Watch) -> None:
        self._core = core
        self._budgets = budgets
        self._promoter = promoter
        self._watch = watch
        self.freeze = Freeze(core)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._interrupted: set[str] = set()
        self._starting = asyncio.Lock()
        self._built: dict[str, Built] = {}
        self._steps: dict[Phase, Step] = {
            Phase.PROPOSED: self._apply_screen,
            Phase.SCREENED: self._build,
            Phase.APPLIED: self._start,
            Phase.EVALUATING: self._evaluate,
            Phase.EVALUATED: self._judge,
            Phase.ACCEPTED: self._promote,
            Phase.PROMOTING: promoter.finish_promotion,
            Phase.PROMOTED: watch.run,
        }

    def start(self, name: str) -> None:
        """Make sure that a candidate is being driven."""
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = spawn(self._drive(name), f"drive {name}")

    async def settled(self, names: list[str]) -> None:
        """Return when none of the candidates is between proposal and verdict any more.

        One that waits for the end of a freeze has its verdict.
        """
        busy = IN_FLIGHT | {Phase.PROMOTING}

        def settled(state: State, name: str) -> bool:
            return state.candidates[name].phase not in busy or name in self.freeze.waiting

        await self._core.recorder.wait_for(
            lambda s: self._core.draining or all(settled(s, n) for n in names)
        )

    async def interrupt(self) -> None:
        """Stop running evaluations; their candidates are requeued, not judged."""
        running = [
            c.id for c in self._core.state.candidates.values() if c.phase is Phase.EVALUATING
        ]
        self._interrupted.update(running)
        for name in (*running, *self._core.measuring):
            await self._core.deps.executor.cancel(name)

    async def close(self, grace_s: float) -> None:
        """Give running evaluations `grace_s` to end, then interrupt; leave no task behind."""
        running = [n for n, t in self._tasks.items() if not t.done()]
        evaluating = [
            self._tasks[n]
            for n in running
            if self._core.state.candidates[n].phase is Phase.EVALUATING
        ]
        if evaluating:
            await asyncio.wait(evaluating, timeout=grace_s)
        await self.interrupt()
        async with self._core.promoting:  # a promotion that has begun is brought to its end
            await cancel_and_wait(*self._tasks.values())

    async def _drive(self, name: str) -> None:
        core = self._core
        while True:
            candidate = core.state.candidates[name]
            step = self._steps.get(candidate.phase)
            if step is None or (core.draining and candidate.phase is not Phase.EVALUATING):
                return
            try:
                await self._take(step, candidate)
                if core.state.candidates[name].phase in {Phase.ERRORED, Phase.ROLLED_BACK}:
                    await break_circuit(core, name)
            except LedgerError as error:
                if error is not core.recorder.broken:  # but evidence that cannot be read or written
                    core.on_broken_ledger(error)
                await core.wait_open()  # the same step is tried again
            finally:
                core.progress.pop(name, None)

    async def _take(self, step: Step, candidate: Candidate) -> None:
        """Take one step; whatever goes wrong becomes an outcome, except a broken ledger."""
        name = candidate.id
        try:
            await step(candidate)
        except IllegalMoveError:
            # A human moved it meanwhile (cancel, denial); otherwise our own table is wrong.
            if self._core.state.candidates[name].phase is candidate.phase:
                raise
        except LedgerError:
            raise
        except OuroborosError as error:
            await self._errored(candidate, reason_of(error), room=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the edge: a bug becomes an explicit outcome
            _log.exception("step of %s in %s failed", name, candidate.phase)
            await self._errored(candidate, f"{type(error).__name__}: {error}", room="engine")

    async def _errored(self, candidate: Candidate, reason: str, *, room: str) -> None:
        """Write the fault; past promotion there is no such phase, so a human is called."""
        core = self._core
        phase = core.state.candidates[candidate.id].phase
        if phase in _WORKING:
            event = ev.Errored(candidate=candidate.id, room=room, reason=reason)
            await core.recorder.record(event)
        else:
            await core.alert("stuck", "critical", f"{phase.value}: {reason}", candidate.id)
            core.halt(
                f"{candidate.id} is stuck in {phase.value}: {reason} Correct it, then resume."
            )
            await core.wait_open()

    # --- the steps ------------------------------------------------------------------------------

    async def _apply_screen(self, c: Candidate) -> None:
        """Build the commit (objects and private refs only) and judge its shape before it runs."""
        core = self._core
        diff = await self._diff(c)
        if await self._refused(c, screen_text(diff, core.config.config)):
            return  # before git unpacks it
        try:
            built = await self._built_commit(c, diff)
        except PatchError as error:
            refusal = Reason(code="does_not_apply", text=str(error))
            await core.recorder.record(ev.Rejected(candidate=c.id, reasons=(refusal,)))
            return
        marks = await marks_of(core, built, diff)
        if not await self._refused(c, marks):
            event = ev.Screened(candidate=c.id, files=built.files, marks=marks)
            await core.recorder.record(event)

    async def _refused(self, c: Candidate, marks: Sequence[Mark]) -> bool:
        """Write the refusal, if the marks ask for one."""
        refusals = screen_verdict(marks)
        if refusals:
            self._built.pop(c.id, None)
            await self._core.recorder.record(ev.Rejected(candidate=c.id, reasons=refusals))
        return bool(refusals)

    async def _build(self, c: Candidate) -> None:
        """Record candidate commit and checkpoint; after a restart the commit is built again."""
        core = self._core
        built = self._built.pop(c.id, None) or await self._built_commit(c, await self._diff(c))
        event = ev.Applied(
            candidate=c.id,
            base=c.base,
            commit=built.commit,
            tree=built.tree,
            checkpoint=built.checkpoint,
        )
        await core.recorder.record(event)

    async def _diff(self, c: Candidate) -> str:
        return (await self._core.get_evidence(c.diff)).decode(errors="surrogateescape")

    async def _built_commit(self, c: Candidate, diff: str) -> Built:
        built = await self._core.git(
            self._core.deps.repository.build_candidate,
            name=c.id,
            base=c.base,
            diff=diff,
            message=candidate_message(c.id, c.title),
        )
        self._built[c.id] = built
        return built

    async def _start(self, c: Candidate) -> None:
        """Wait in line: too many test runs at once time each other out, which looks like a hang."""
        core = self._core
        await self._budgets.wait_for_kin(c)
        async with self._starting:
            await core.recorder.wait_for(lambda s: self._may_start(s, c.id))
            policy = await self._budgets.policies.of(c)
            await self._budgets.calibrator.ensure(c, policy.config)
            await core.recorder.wait_for(lambda s: self._may_start(s, c.id))
            context = await self._budgets.context(c)
            await core.recorder.record_as(
                lambda state: ev.EvaluationStarted(
                    candidate=c.id,
                    attempt=c.attempt + 1,
                    executor=core.deps.executor.name,
                    context=context(state),
                )
            )

    def _may_start(self, state: State, name: str) -> bool:
        if state.candidates[name].phase is not Phase.APPLIED:
            return True  # cancelled while it waited; `_drive` looks again
        running = sum(c.phase is Phase.EVALUATING for c in state.candidates.values())
        if self._core.deps.executor.name in state.drained:
            return False
        return self._core.open and running < self._core.config.config.engine.max_in_flight

    async def _evaluate(self, c: Candidate) -> None:
        core = self._core
        policy = await self._budgets.policies.of(c)
        prior = await self._budgets.prior(c)
        plan = await plan_for(core, c, policy.config, context=c.context, prior=prior)
        plan = await prior_of(core, plan)
        try:
            evaluation = await core.deps.executor.run(plan, core.report)
        except CancelledByHumanError:
            if c.id in self._interrupted:
                self._interrupted.discard(c.id)
                text = "interrupted before it was complete"
                await core.recorder.record(ev.Requeued(candidate=c.id, reason=text))
                return
            await pairs_done(core, c.id)
            return  # cancelled: the phase says so already
        try:
            await core.recorder.record(ev.Evaluated(candidate=c.id, evaluation=evaluation))
        except IllegalMoveError:
            await pairs_done(core, c.id)  # cancelled at the last moment
            raise
        await pairs_done(core, c.id)

    async def _judge(self, c: Candidate) -> None:
        core = self._core
        evaluation = c.evaluation
        if evaluation is None or evaluation.status is EvaluationStatus.ERROR:
            cause = evaluation.cause if evaluation else "the evaluation is missing"
            log = next((k.log for k in evaluation.checks if k.log), "") if evaluation else ""
            event = ev.Errored(candidate=c.id, room="evaluation", reason=cause, log=log)
            await core.recorder.record(event)
            return
        evidence = await self._budgets.evidence(c, evaluation)
        try:
            await core.recorder.record_as(
                lambda state: self._verdict_event(c, decide(evidence(state)))
            )
        except MeasurementError as error:
            event = ev.Errored(candidate=c.id, room="governor", reason=str(error))
            await core.recorder.record(event)

    def _verdict_event(self, c: Candidate, verdict: Verdict) -> ev.Accepted | ev.Held | ev.Rejected:
        match verdict.decision:
            case Decision.ACCEPT:
                return ev.Accepted(candidate=c.id, verdict=verdict)
            case Decision.HOLD:
                return ev.Held(candidate=c.id, verdict=verdict, expires_ns=hold_expiry(self._core))
            case Decision.REJECT:
                return ev.Rejected(candidate=c.id, reasons=verdict.reasons, verdict=verdict)

    async def _promote(self, c: Candidate) -> None:
        core = self._core
        await self.freeze.over(c.id)
        await core.wait_open()
        async with core.promoting:
            fresh = core.state.candidates[c.id]
            frozen = frozen_until(core) and not (fresh.overridden or fresh.to_be_held)
            if fresh.phase is not Phase.ACCEPTED or not core.open or frozen:
                return  # `_drive` looks again
            mode = core.config.config.governor.mode
            if fresh.to_be_held:
                said = f": {fresh.hold_reason}" if fresh.hold_reason else "."
                await self._promoter.block(fresh.id, f"{fresh.hold_by} asked to hold it{said}")
            elif why := blocked(mode, approved=bool(fresh.approved_by)):
                await self._promoter.block(fresh.id, why)
            elif not await break_circuit(core):
                await self._promoter.promote(fresh)
