"""After promotion: measure the new head against its parent again, later in time.

A verdict is a forecast. The watch runs the same checks and comparison once more, some time after
the promotion, without looking for a gain: failing checks or a proven regression roll back; a fault
of ours alerts and keeps, since "we could not find out" is no evidence against the change.
"""

import asyncio

from msgspec.structs import replace

from ouroboros.engine.core import Core, pairs_done, plan_for, prior_of
from ouroboros.engine.promotion import Promoter
from ouroboros.errors import CancelledByHumanError
from ouroboros.governor.compare import replay, rule_for
from ouroboros.model import events as ev
from ouroboros.model.evaluation import Evaluation, EvaluationStatus, Purpose
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate
from ouroboros.model.verdict import Outcome


class Watch:
    """Decides kept or rolled back for promoted candidates."""

    def __init__(self, core: Core, promoter: Promoter) -> None:
        self._core = core
        self._promoter = promoter
        self.measuring: set[str] = set()
        """Candidates whose promoted version is being measured now."""

    async def run(self, c: Candidate) -> None:
        """Wait, measure, and write `kept` or roll back."""
        core = self._core
        if not await self._due(c):
            return
        await core.wait_open()
        plan = await plan_for(core, replace(c, commit=c.promoted_commit))
        plan = await prior_of(core, plan)
        self.measuring.add(c.id)
        try:
            evaluation = await core.deps.executor.run(plan, core.report)
        except CancelledByHumanError:
            return  # paused now or stopping; the phase is unchanged, so it is measured again
        finally:
            self.measuring.discard(c.id)
        if core.state.candidates[c.id].phase is not Phase.PROMOTED:
            await pairs_done(core, c.id)
            return
        worse = self._worse(evaluation)
        if worse:
            await core.alert("regression", "critical", worse, c.id)
            await self._promoter.rollback_until_it_holds(c.id, f"watch: {worse}")
            await pairs_done(core, c.id)
            return
        text = "measured again, no regression"
        if evaluation.status is EvaluationStatus.ERROR:
            text = f"could not be measured again: {evaluation.cause}"
            await core.alert("watch_blind", "warning", text, c.id)
        if core.state.candidates[c.id].phase is Phase.PROMOTED:
            await core.recorder.record(ev.Kept(candidate=c.id, reason=text))
        await pairs_done(core, c.id)

    async def _due(self, c: Candidate) -> bool:
        """Wait until the watch is due; False when the candidate left `promoted` meanwhile."""
        core = self._core
        due = c.since_ns + core.config.config.engine.watch_after
        left = (due - core.now()) / 1e9
        try:
            async with asyncio.timeout(max(left, 0)):
                await core.recorder.wait_for(
                    lambda s: s.candidates[c.id].phase is not Phase.PROMOTED
                )
        except TimeoutError:
            return True
        return False

    def _worse(self, evaluation: Evaluation) -> str:
        """Return what got worse, in words; empty when nothing is proven to have."""
        config = self._core.config.config
        if evaluation.status is EvaluationStatus.FAILED:
            return f"checks fail on the promoted version: {evaluation.cause}"
        for series in evaluation.series:
            rule = rule_for(config, series.benchmark, series.stage, purpose=Purpose.WATCH)
            for comparison in replay(series, rule).comparisons(series.benchmark, series.stage):
                if comparison.outcome is Outcome.REGRESSED:
                    return f"{comparison.benchmark}: {comparison.text}"
        return ""
