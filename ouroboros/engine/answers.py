"""A human's yes: by how many people, by whom, and to exactly what.

Both the policy under which a candidate was proposed and the one in force count, the stricter of
the two: lowering the quorum does not let a candidate through that waits, raising it does hold it.
"""

import asyncio

from ouroboros.config import Config, Mode
from ouroboros.engine.core import Core
from ouroboros.engine.limits import LiveLimits
from ouroboros.errors import ConflictError, ForbiddenError, WrongPhaseError
from ouroboros.governor.people import approvals_needed, reviewed, same_person
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Approvals
from ouroboros.model.state import Candidate


class Answers:
    """Takes approvals, one at a time, so that none is counted twice."""

    def __init__(self, core: Core, limits: LiveLimits) -> None:
        self._core = core
        self._limits = limits
        self._lock = asyncio.Lock()

    async def approve(self, name: str, *, actor: str, commit: str, reason: str) -> Approvals:
        """Write a yes; below the number that policy wants the candidate stays held.

        Raises:
            WrongPhaseError: it is not held, or nothing may be applied now.
            ConflictError: another commit, or this person said yes already.
            ForbiddenError: who proposed it may not be among those who review it.
        """
        core = self._core
        async with self._lock:
            policies = await self._of(core.state.candidates[name])
            c = core.state.candidates[name]  # as it stands now, with nothing awaited in between
            self._check(c, actor, commit, policies)
            needed = max(approvals_needed(p, c.files) for p in policies)
            enough = len(c.approvals) + 1 >= needed
            kind = ev.Approved if enough else ev.Endorsed
            await core.recorder.record(
                kind(candidate=name, commit=commit, reason=reason), actor=actor
            )
            return Approvals(given=(*c.approvals, actor), needed=needed)

    def needed(self, c: Candidate) -> int:
        """Return how many approvals a candidate needs."""
        policies = (self._core.config.config, self._limits.known(c))
        return max(approvals_needed(p, c.files) for p in policies)

    async def _of(self, c: Candidate) -> tuple[Config, ...]:
        return self._core.config.config, await self._limits.of(c)

    def _check(self, c: Candidate, actor: str, commit: str, policies: tuple[Config, ...]) -> None:
        core, name = self._core, c.id
        if c.phase is not Phase.HELD:
            raise WrongPhaseError(f"{name} is {c.phase.value}; only a held candidate is approved.")
        if commit != c.commit:
            raise ConflictError(
                f"{name} stands at {c.commit[:12]}, not at {commit[:12]} as you saw it.",
                hint="Look at it again, then approve what you see.",
            )
        if core.config.config.governor.mode is Mode.OBSERVE:
            raise WrongPhaseError(
                "The mode is observe: nothing is ever applied.",
                hint='Set [governor] mode = "supervised" to approve candidates.',
            )
        if core.halted:
            raise WrongPhaseError(f"The engine is halted: {core.halted}")
        if any(actor == a or same_person(actor, a) for a in c.approvals):
            raise ConflictError(
                f"{actor} approved {name} already; approvals of different people are needed.",
                hint="Ask somebody else to look at it and approve it.",
            )
        files = [f for p in policies for f in reviewed(p, c.files)]
        if files and (actor == c.proposed_by or same_person(actor, c.proposed_by)):
            raise ForbiddenError(
                f"{actor} proposed {name}, which touches {files[0]}: reviewed files need the yes "
                "of others.",
                hint="Ask somebody else to review and approve it.",
            )
