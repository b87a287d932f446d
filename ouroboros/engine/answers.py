"""A human's yes: by how many people, by whom, and to exactly what.

Both the policy under which a candidate was proposed and the one in force count, the stricter of
the two: lowering the quorum does not let a candidate through that waits, raising it does hold it.
"""

import asyncio

from ouroboros.config import Config, Mode
from ouroboros.engine.consent import consent
from ouroboros.engine.core import Core
from ouroboros.engine.policies import Policies
from ouroboros.errors import ConflictError, ForbiddenError, WrongPhaseError
from ouroboros.governor.people import approvals_needed, reviewed, same_person
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Approvals
from ouroboros.model.state import Candidate
from ouroboros.model.statement import Signed


class Answers:
    """Takes approvals, one at a time, so that none is counted twice."""

    def __init__(self, core: Core, policies: Policies) -> None:
        self._core = core
        self._policies = policies
        self._lock = asyncio.Lock()

    async def approve(
        self, name: str, *, actor: str, commit: str, reason: str, signed: Signed | None
    ) -> Approvals:
        """Write a yes; below the number that policy wants the candidate stays held.

        Raises:
            WrongPhaseError: it is not held, or nothing may be applied now.
            ConflictError: another commit, or this person said yes already.
            ForbiddenError: who proposed it may not be among those who review it.
            SignatureError: it must be signed by an operator, or the signature does not fit.
        """
        core = self._core
        async with self._lock:
            policy = (await self._policies.judging(core.state.candidates[name])).config
            self._check(core.state.candidates[name], actor, commit, policy)
            given = await consent(core, "approve", subject=name, commit=commit, signed=signed)
            c = core.state.candidates[name]  # as it stands now, with nothing awaited in between
            self._check(c, actor, commit, policy)
            needed = approvals_needed(policy, c.files)
            enough = len(c.approvals) + 1 >= needed
            kind = ev.Approved if enough else ev.Endorsed
            await core.recorder.record(
                kind(candidate=name, commit=commit, reason=reason),
                actor=actor,
                idem=given.idem,
                signature=given.signature,
            )
            return Approvals(given=(*c.approvals, actor), needed=needed)

    async def override(
        self, name: str, *, actor: str, commit: str, reason: str, signed: Signed | None
    ) -> None:
        """Write an admin's yes that is enough alone, and that no freeze keeps waiting.

        It overrides people and time, never evidence: what the tests or the governor refused is not
        held, and stays refused.

        Raises:
            WrongPhaseError, ConflictError, SignatureError: as `approve` does.
        """
        core = self._core
        async with self._lock:
            self._check_held(core.state.candidates[name], commit)
            given = await consent(core, "approve", subject=name, commit=commit, signed=signed)
            self._check_held(core.state.candidates[name], commit)
            await core.recorder.record(
                ev.Overridden(candidate=name, commit=commit, reason=reason),
                actor=actor,
                idem=given.idem,
                signature=given.signature,
            )

    def needed(self, c: Candidate) -> int:
        """Return how many approvals a candidate needs."""
        return approvals_needed(self._policies.known(c), c.files)

    def _check_held(self, c: Candidate, commit: str) -> None:
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

    def _check(self, c: Candidate, actor: str, commit: str, policy: Config) -> None:
        self._check_held(c, commit)
        name = c.id
        if any(actor == a or same_person(actor, a) for a in c.approvals):
            raise ConflictError(
                f"{actor} approved {name} already; approvals of different people are needed.",
                hint="Ask somebody else to look at it and approve it.",
            )
        files = reviewed(policy, c.files)
        if files and (actor == c.proposed_by or same_person(actor, c.proposed_by)):
            raise ForbiddenError(
                f"{actor} proposed {name}, which touches {files[0]}: reviewed files need the yes "
                "of others.",
                hint="Ask somebody else to review and approve it.",
            )
