"""What people order besides answers: hold, try again, override, freeze, silence, drain, reload.

`Orders` is a part of the engine's contract with its doors (`EngineApi.orders`). Each order is in
the ledger with who gave it and why, before it acts.
"""

import asyncio
from collections.abc import Awaitable, Callable

from ouroboros.config import Loaded
from ouroboros.engine.answers import Answers
from ouroboros.engine.api import Submission
from ouroboros.engine.core import Core
from ouroboros.engine.cycles import Cycles
from ouroboros.engine.limits import LiveLimits
from ouroboros.engine.pipeline import Pipeline
from ouroboros.errors import InvalidParamsError, NotFoundError, WaitTimeoutError, WrongPhaseError
from ouroboros.model import events as ev
from ouroboros.model.phase import IN_FLIGHT, MOVING, Phase
from ouroboros.model.state import Candidate, Silence, State
from ouroboros.model.statement import Signed
from ouroboros.model.text import safe_line

LONGEST_NS = 366 * 24 * 3600 * 10**9
"""A freeze or silence of more than a year is a slip of the keys."""

AGAIN = frozenset({Phase.REJECTED, Phase.CANCELLED, Phase.ERRORED, Phase.ROLLED_BACK})
"""Phases of candidates that may be proposed once more."""

_AT_WORK = IN_FLIGHT - {Phase.APPLIED, Phase.ACCEPTED}
"""Phases in which something is being done while the engine is paused; the others wait."""


class Orders:
    """Takes orders of people."""

    def __init__(
        self,
        core: Core,
        *,
        answers: Answers,
        cycles: Cycles,
        limits: LiveLimits,
        pipeline: Pipeline,
        submit: Callable[..., Awaitable[str]],
        diff: Callable[[str], Awaitable[str]],
    ) -> None:
        """Take the parts of one engine that carry them out."""
        self._core = core
        self._answers = answers
        self._cycles = cycles
        self._limits = limits
        self._pipeline = pipeline
        self._submit = submit
        self._diff = diff

    # --- the loop -------------------------------------------------------------------------------

    async def drain(self, *, actor: str, reason: str, timeout_s: float) -> None:
        """Begin nothing new, and return when what was begun has ended; the engine is paused then.

        Raises:
            WaitTimeoutError: something is still going on after `timeout_s`; the pause stays.
        """
        core = self._core
        if not core.state.paused:
            await core.recorder.record(ev.Paused(reason=reason), actor=actor)

        def still(state: State) -> list[str]:
            flying = [c.id for c in state.candidates.values() if c.phase in _AT_WORK]
            return [*flying, *core.measuring]

        try:
            async with asyncio.timeout(timeout_s):
                await core.recorder.wait_for(lambda state: not still(state))
        except TimeoutError:
            names = ", ".join(still(core.state)[:5])
            raise WaitTimeoutError(
                f"Still at work after {timeout_s:g} s: {names}.",
                hint="The engine is paused and begins nothing new. Wait again, or pause it 'now'.",
            ) from None

    async def reload(self, *, actor: str) -> Loaded:
        """Read the configuration's file again now instead of before the next cycle.

        Raises:
            ConfigError: it is not valid; the old one stays in force.
        """
        return await self._limits.take_up(actor=actor)

    async def end_cycle(self, *, actor: str, reason: str) -> int:
        """End the running cycle and cancel what it brought; returns its number."""
        return await self._cycles.end(actor=actor, reason=reason)

    # --- candidates -----------------------------------------------------------------------------

    async def hold(self, name: str, *, actor: str, reason: str) -> None:
        """Have a candidate held before it is promoted, whatever its verdict will be or was.

        Raises:
            WrongPhaseError: it is held already, being moved, promoted or over.
        """
        c = self._candidate(name)
        if c.phase not in IN_FLIGHT - MOVING:
            raise WrongPhaseError(
                f"{name} is {c.phase.value}; only one that is on its way can be told to hold.",
            )
        await self._core.recorder.record(ev.HoldAsked(candidate=name, reason=reason), actor=actor)

    async def retry(self, name: str, *, actor: str, reason: str, idempotency_key: str) -> str:
        """Propose once more what was refused, given up or undone; returns the new candidate's id.

        It goes on with the evidence that is there: a second try is no second chance by luck.

        Raises:
            WrongPhaseError: it is still on its way, or in.
            EvidencePrunedError: its diff is not kept any more.
        """
        c = self._candidate(name)
        if c.phase not in AGAIN:
            raise WrongPhaseError(f"{name} is {c.phase.value}; it is not over.")
        diff = await self._diff(name)
        because = f" ({safe_line(reason, limit=300)})" if reason.strip() else ""
        submission = Submission(
            diff=diff,
            title=c.title,
            rationale=f"{name} once more{because}. {c.rationale}".rstrip(),
            base=c.base,
            proposer=c.proposer,
            idempotency_key=idempotency_key,
        )
        return await self._submit(submission, actor=actor)

    async def override(
        self, name: str, *, actor: str, commit: str, reason: str, signed: Signed | None
    ) -> None:
        """Say yes past quorum and freezes, by an admin who answers for it with his reason."""
        self._candidate(name)
        if not reason.strip():
            raise InvalidParamsError(
                "An override needs a reason.", hint="It is kept in the ledger with your name."
            )
        await self._answers.override(name, actor=actor, commit=commit, reason=reason, signed=signed)
        self._pipeline.start(name)

    # --- freeze and silence ---------------------------------------------------------------------

    async def freeze(self, until_ns: int, *, actor: str, reason: str) -> None:
        """Promote nothing until then, beside the configured windows; rollbacks go on."""
        self._within_a_year(until_ns)
        await self._core.recorder.record(
            ev.FreezeSet(until_ns=until_ns, reason=reason), actor=actor
        )

    async def unfreeze(self, *, actor: str, reason: str) -> None:
        """End the freeze that a human set; the configured windows stay.

        Raises:
            WrongPhaseError: there is none.
        """
        frozen = self._core.state.frozen
        if frozen is None or frozen.until_ns <= self._core.now():
            raise WrongPhaseError(
                "Nobody set a freeze.",
                hint="Windows of the configuration end by '[governor.limits] freeze'.",
            )
        await self._core.recorder.record(ev.FreezeSet(until_ns=0, reason=reason), actor=actor)

    async def drain_worker(self, name: str, *, out: bool, actor: str, reason: str) -> None:
        """Take a worker out of service, or back; what it evaluates now, it ends.

        What was promoted stays watched: a regression is measured on a drained worker, too.

        Raises:
            NotFoundError: there is no such worker.
            WrongPhaseError: it is as wanted already.
        """
        core = self._core
        if name != core.deps.executor.name:
            raise NotFoundError(
                f"There is no worker {safe_line(name, limit=80)!r}.",
                hint=f"The only one is {core.deps.executor.name!r}.",
            )
        if out == (name in core.state.drained):
            raise WrongPhaseError(f"Worker {name} is {'drained' if out else 'in service'} already.")
        await core.recorder.record(
            ev.WorkerDrained(worker=name, out=out, reason=reason), actor=actor
        )

    async def silence(self, codes: str, until_ns: int, *, actor: str, reason: str) -> None:
        """Send no alert whose code fits `codes` until then (0: from now on again)."""
        if until_ns:
            self._within_a_year(until_ns)
        elif not any(s.codes == codes for s in self.silences):
            raise NotFoundError(f"Nothing is silenced by {safe_line(codes, limit=80)!r}.")
        event = ev.AlertSilenced(codes=codes, until_ns=until_ns, reason=reason)
        await self._core.recorder.record(event, actor=actor)

    @property
    def silences(self) -> tuple[Silence, ...]:
        """What is silenced now."""
        return tuple(s for s in self._core.state.silences if s.until_ns > self._core.now())

    def _within_a_year(self, until_ns: int) -> None:
        now = self._core.now()
        if not now < until_ns <= now + LONGEST_NS:
            raise InvalidParamsError(
                "Invalid params: expected an end in the future, at most 366 days from now."
            )

    def _candidate(self, name: str) -> Candidate:
        try:
            return self._core.state.candidates[name]
        except KeyError:
            raise NotFoundError(f"There is no candidate {safe_line(name, limit=80)!r}.") from None
