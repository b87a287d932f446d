"""What an evaluation starts with besides the candidate: policy, context, pairs to go on from.

Everything is decided in `governor.context`; here is only fetched what those decisions need.
"""

from ouroboros.config import Loaded
from ouroboros.engine.calibration import Calibrator
from ouroboros.engine.core import Core
from ouroboros.engine.ideas import Ideas
from ouroboros.engine.policies import Policies
from ouroboros.governor.context import (
    context_of,
    continued,
    family,
    moment_of,
    prior_of,
    unmeasured,
)
from ouroboros.model.evaluation import Series
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate, State
from ouroboros.model.verdict import Context, Moment


class Budgets:
    """Policies, calibrations and earlier evidence of one engine's candidates."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._ideas = Ideas(core)
        self.policies = Policies(core)
        self.calibrator = Calibrator(core)

    async def context(self, c: Candidate) -> Context:
        """Return the context of the evaluation that starts now."""
        core = self._core
        policy = await self.policies.of(c)
        continues = "" if c.context else continued(await self._kin(c, policy))
        return context_of(
            core.state,
            c,
            policy.config,
            machine=core.deps.executor.machine,
            continues=continues,
        )

    async def wait_for_kin(self, c: Candidate) -> None:
        """Return once no earlier candidate of the same idea is about to be measured.

        Two at once would be two tickets in the lottery of noise.
        """
        if c.context is not None:
            return
        kin = await self._kin(c, await self.policies.of(c))
        awaited = unmeasured(kin)

        def measured(state: State) -> bool:
            here = state.candidates
            return here[c.id].phase is not Phase.APPLIED or not unmeasured(
                [here[name] for name in awaited]
            )

        await self._core.recorder.wait_for(measured)

    async def _kin(self, c: Candidate, policy: Loaded) -> tuple[Candidate, ...]:
        alike = await self._ideas.alike(c, policy.config.governor.budget.similarity)
        return family(self._core.state, c, alike)

    async def prior(self, c: Candidate) -> tuple[Series, ...]:
        """Return the pairs that the evaluation under way goes on from."""
        context = c.context
        if context is None or not context.continues:
            return ()
        earlier = self._core.state.candidates[context.continues]
        then, now = await self.policies.of(earlier), await self.policies.of(c)
        return prior_of(earlier, then.config, now.config, anchor=context.anchor)

    def moment(self, c: Candidate) -> Moment:
        """Return what the governor is to know when it answers now."""
        return moment_of(self._core.state, c, self._core.now())
