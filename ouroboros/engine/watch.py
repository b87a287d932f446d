"""After promotion: measure the new head against its parent again, later in time.

A verdict is a forecast. The watch runs the same checks and comparison once more, some time after
the promotion and under the policy of the proposal, without looking for a gain: failing checks or a
proven regression roll back; a fault of ours alerts and keeps, since "we could not find out" is no
evidence against the change.
"""

import asyncio
import contextlib

from msgspec.structs import replace

from ouroboros.config import Config
from ouroboros.engine.budgets import Budgets
from ouroboros.engine.core import Core, pairs_done, plan_for, prior_of
from ouroboros.engine.promotion import Promoter
from ouroboros.engine.service import ServiceKeeper
from ouroboros.errors import CancelledByHumanError, MeasurementError
from ouroboros.governor.anchor import compared
from ouroboros.governor.evidence import numbers
from ouroboros.model import events as ev
from ouroboros.model.evaluation import Evaluation, EvaluationStatus, Purpose
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate
from ouroboros.model.verdict import Context, Outcome

LOOK_S = 60.0
"""How often the clock is looked at while waiting."""


class Watch:
    """Decides kept or rolled back for promoted candidates."""

    def __init__(
        self, core: Core, budgets: Budgets, promoter: Promoter, service: ServiceKeeper
    ) -> None:
        self._core = core
        self._service = service
        self._budgets = budgets
        self._promoter = promoter

    async def run(self, c: Candidate) -> None:
        """Wait, measure, and write `kept` or roll back."""
        core = self._core
        if not await self._due(c):
            return
        await core.wait_open()
        policy = await self._budgets.policies.of(c)
        plan = await plan_for(
            core,
            replace(c, commit=c.promoted_commit),
            policy.config,
            purpose=Purpose.WATCH,
            context=_without_anchor(c.context),
        )
        plan = await prior_of(core, plan)
        core.measuring.add(c.id)
        try:
            evaluation = await core.deps.executor.run(plan, core.report)
        except CancelledByHumanError:
            return  # paused now or stopping; the phase is unchanged, so it is measured again
        finally:
            core.measuring.discard(c.id)
        if core.state.candidates[c.id].phase is not Phase.PROMOTED:
            await pairs_done(core, c.id)
            return
        worse, blind = "", ""
        try:
            worse = _worse(evaluation, policy.config)
        except MeasurementError as error:
            blind = str(error)
        if evaluation.status is EvaluationStatus.ERROR:
            blind = evaluation.cause
        worse = worse or await self._service.settled(c)
        if worse:
            await core.alert("regression", "critical", worse, c.id)
            await self._promoter.rollback_until_it_holds(c.id, f"watch: {worse}")
            await pairs_done(core, c.id)
            return
        text = "measured again, no regression"
        if blind:
            text = f"could not be measured again: {blind}"
            await core.alert("watch_blind", "warning", text, c.id)
        if core.state.candidates[c.id].phase is Phase.PROMOTED:
            await core.recorder.record(ev.Kept(candidate=c.id, reason=text))
        await pairs_done(core, c.id)

    async def _due(self, c: Candidate) -> bool:
        """Wait until the watch is due; False when the candidate left `promoted` meanwhile.

        By the clock, which may be set and goes on while the machine is suspended, but never longer
        than `watch_after` by the time that this process has seen pass.
        """
        core = self._core
        after = core.config.config.engine.watch_after
        loop = asyncio.get_running_loop()
        latest = loop.time() + after.seconds
        while True:
            left = min((c.since_ns + after - core.now()) / 1e9, latest - loop.time())
            if left <= 0:
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_S)):
                    await core.recorder.wait_for(
                        lambda s: s.candidates[c.id].phase is not Phase.PROMOTED
                    )
                    return False


def _without_anchor(context: Context | None) -> Context | None:
    """Return it for the watch, which compares with the parent alone, on pairs of its own."""
    return None if context is None else replace(context, anchor="", continues="")


def _worse(evaluation: Evaluation, config: Config) -> str:
    """Return what got worse, in words; empty when nothing is proven to have."""
    if evaluation.status is EvaluationStatus.FAILED:
        return f"checks fail on the promoted version: {evaluation.cause}"
    comparisons = compared(evaluation, config, Purpose.WATCH)
    worse = (c for c in comparisons if c.outcome is Outcome.REGRESSED)
    return next((f"{c.benchmark}: {c.metric} {numbers(c)}; {c.text}" for c in worse), "")
