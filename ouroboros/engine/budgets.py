"""What an evaluation starts with besides the candidate: policy, context, pairs to go on from.

Everything is decided in `governor.context`; here is only fetched what those decisions need.
"""

from collections.abc import Callable

from ouroboros.config import Config
from ouroboros.engine.calibration import Calibrator
from ouroboros.engine.core import Core
from ouroboros.engine.ideas import Ideas
from ouroboros.engine.policies import Policies
from ouroboros.governor.context import (
    context_of,
    continued,
    evidence_of,
    family,
    moment_of,
    prior_of,
    unmeasured,
)
from ouroboros.governor.evidence import Evidence
from ouroboros.governor.in_force import in_force
from ouroboros.model.evaluation import Evaluation, Series
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate, State
from ouroboros.model.verdict import Context


class Budgets:
    """Policies, calibrations and earlier evidence of one engine's candidates."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._ideas = Ideas(core)
        self.policies = Policies(core)
        self.calibrator = Calibrator(core)

    async def context(self, c: Candidate) -> Callable[[State], Context]:
        """Return what gives the context of the evaluation that starts in a state."""
        machine = self._core.deps.executor.machine
        config = (await self.policies.of(c)).config
        kin = () if c.context else await self._kin(c, config)

        def context(state: State) -> Context:
            fresh = tuple(state.candidates[other.id] for other in kin)
            continues = continued(fresh) if fresh else ""
            return context_of(
                state, state.candidates[c.id], config, machine=machine, continues=continues
            )

        return context

    async def wait_for_kin(self, c: Candidate) -> None:
        """Return once no earlier candidate of the same idea is about to be measured.

        Two at once would be two tickets in the lottery of noise.
        """
        if c.context is not None:
            return
        kin = await self._kin(c, (await self.policies.of(c)).config)
        awaited = unmeasured(kin)

        def measured(state: State) -> bool:
            here = state.candidates
            return here[c.id].phase is not Phase.APPLIED or not unmeasured(
                [here[name] for name in awaited]
            )

        await self._core.recorder.wait_for(measured)

    async def _kin(self, c: Candidate, config: Config) -> tuple[Candidate, ...]:
        alike = await self._ideas.alike(c, config.governor.budget.similarity)
        return family(self._core.state, c, alike)

    async def prior(self, c: Candidate) -> tuple[Series, ...]:
        """Return the pairs that the evaluation under way goes on from."""
        context = c.context
        if context is None or not context.continues:
            return ()
        earlier = self._core.state.candidates[context.continues]
        then, now = await self.policies.of(earlier), await self.policies.of(c)
        return prior_of(earlier, then.config, now.config, anchor=context.anchor)

    async def evidence(self, c: Candidate, evaluation: Evaluation) -> Callable[[State], Evidence]:
        """Return what gives the evidence for an answer in a state: from its entries alone."""
        policy = await self.policies.of(c)

        def evidence(state: State) -> Evidence:
            fresh = state.candidates[c.id]
            return evidence_of(
                fresh,
                evaluation,
                config=in_force(policy.config, self.policies.now(state)),
                policy=policy.hash,
                moment=moment_of(state, fresh, self._core.now()),
            )

        return evidence
