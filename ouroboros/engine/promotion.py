"""Moving the user's branch: promotion, rollback, and bringing an interrupted one to its end.

Both follow the same four beats: make the commit (objects only), dry-run the move, write the
intent, move by compare-and-swap, write the proof. Whoever finds an intent without its proof (a
restart) asks git where the branch stands and either completes the move or says that it did not
happen. Nothing here ever rewrites history or touches a file with local edits.
"""

import asyncio
import contextlib
import logging

import msgspec
from msgspec.structs import replace

from ouroboros.engine.consent import NO_CONSENT, Consent
from ouroboros.engine.core import Core, hold_expiry
from ouroboros.engine.messages import (
    candidate_message,
    promotion_message,
    rollback_message,
)
from ouroboros.engine.screening import marks_of
from ouroboros.engine.trailers import trailers_of
from ouroboros.engine.versions import next_version, undone_by
from ouroboros.errors import (
    BranchMovedError,
    ConflictError,
    LedgerError,
    MachineError,
    PatchConflictError,
    TargetError,
    WorkTreeError,
    WrongPhaseError,
)
from ouroboros.governor.decide import screen_verdict
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from ouroboros.model.proposal import FileChange
from ouroboros.model.snapshot import RollbackPreview
from ouroboros.model.state import Candidate, Intent, Version
from ouroboros.model.verdict import Reason
from ouroboros.vcs.values import MoveState

_log = logging.getLogger(__name__)

RETRY_S = 5.0
"""Pause between two tries of a rollback that must hold."""


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """A planned rollback: the commit that does it and what it undoes, newest first."""

    restores: int
    versions: tuple[Version, ...]
    head: str
    commit: str
    files: tuple[FileChange, ...]

    @property
    def candidates(self) -> tuple[str, ...]:
        """Ids of the candidates whose promotions are undone."""
        return tuple(v.candidate for v in self.versions)


class Promoter:
    """Promotes and rolls back. Callers hold `core.promoting`, so that moves are serial."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # --- promotion ------------------------------------------------------------------------------

    async def promote(self, c: Candidate) -> None:
        """Promote an accepted candidate; rebase it if the branch moved, or block it."""
        core, repo = self._core, self._core.deps.repository
        head = await core.git(repo.head, core.branch)
        if head != c.base:
            await self._rebase(c, head)
            return
        version = next_version(core.state)
        message = promotion_message(c, version, await trailers_of(core))
        commit = await core.git(
            repo.promotion_commit,
            tree=c.tree,
            parent=head,
            message=message,
            ts=core.now(),
        )
        try:
            await core.git(repo.prepare_move, branch=core.branch, old=head, new=commit)
        except WorkTreeError as error:
            await self.block(c.id, str(error))
            return
        intent = ev.PromotionStarted(
            candidate=c.id, branch=core.branch, expected_head=head, commit=commit, version=version
        )
        try:
            await core.recorder.record(intent)
            await self._move_promotion(core.state.candidates[c.id])
        finally:
            await core.git(repo.release_move)

    async def finish_promotion(self, c: Candidate) -> None:
        """Bring a promotion whose intent is written to its end (also after a restart)."""
        async with self._core.promoting:
            fresh = self._core.state.candidates[c.id]
            if fresh.phase is Phase.PROMOTING:
                await self._move_promotion(fresh)

    async def _move_promotion(self, c: Candidate) -> None:
        core, repo = self._core, self._core.deps.repository
        intent = self._intent(c.id)
        try:
            await core.git(
                repo.move_branch,
                branch=intent.branch,
                old=intent.expected_head,
                new=intent.commit,
                reason=f"ouroboros: promote {c.id} as version {intent.version}",
            )
        except BranchMovedError:
            if await self._where(intent) is not MoveState.DONE:
                await self._rebase(c, await core.git(repo.head, intent.branch))
                return
        except WorkTreeError as error:
            if await self._where(intent) is not MoveState.DONE:
                await self.block(c.id, str(error))
                return
            await core.alert("work_tree_behind", "warning", str(error), c.id)
        except TargetError as error:
            if await core.git(repo.exists, intent.commit):
                raise
            # Nothing kept it alive between intent and move: a 'git gc' may have taken it away.
            text = f"The commit {intent.commit[:12]} to promote is gone: {error} Approve it again."
            await self.block(c.id, text)
            return
        proof = ev.Promoted(
            candidate=c.id, version=intent.version, commit=intent.commit, branch=intent.branch
        )
        await core.recorder.record(proof)

    async def _rebase(self, c: Candidate, head: str) -> None:
        """Put the same change on the new head; screened and evaluated again, against that head."""
        core, repo = self._core, self._core.deps.repository
        try:
            built = await core.git(
                repo.rebase_candidate,
                name=c.id,
                commit=c.commit,
                onto=head,
                message=candidate_message(c.id, c.title),
            )
        except PatchConflictError as error:
            await self._conflict(c, Reason(code="conflict", text=str(error)))
            return
        marks = await marks_of(core, built, await core.git(repo.diff, built.base, built.commit))
        refusals = screen_verdict(marks)
        if refusals:
            await self._conflict(c, *refusals)
            return
        event = ev.Rebased(
            candidate=c.id,
            base=head,
            commit=built.commit,
            tree=built.tree,
            checkpoint=built.checkpoint,
            files=built.files,
            marks=marks,
        )
        await core.recorder.record(event)

    async def _conflict(self, c: Candidate, *reasons: Reason) -> None:
        """The change cannot be put on the new head: no, or (with an intent written) a human."""
        if self._core.state.candidates[c.id].phase is Phase.PROMOTING:
            await self.block(c.id, " ".join(r.text for r in reasons))
            return
        await self._core.recorder.record(ev.Rejected(candidate=c.id, reasons=reasons))

    async def block(self, name: str, text: str) -> None:
        """Hold what cannot be promoted now, although it was accepted, for a human."""
        event = ev.PromotionBlocked(candidate=name, reason=text, expires_ns=hold_expiry(self._core))
        await self._core.recorder.record(event)
        await self._core.alert("promotion_blocked", "warning", text, name)

    async def _where(self, intent: Intent) -> MoveState:
        return await self._core.git(
            self._core.deps.repository.moved,
            branch=intent.branch,
            old=intent.expected_head,
            new=intent.commit,
        )

    def _intent(self, name: str) -> Intent:
        intent = self._core.state.intent
        if intent is None or name not in intent.candidates:
            raise TargetError(f"{name} is being moved, but the ledger holds no intent for it.")
        return intent

    # --- rollback -------------------------------------------------------------------------------

    async def preview(self, to: str) -> RollbackPreview:
        """Return what rolling back would do; changes nothing."""
        core, repo = self._core, self._core.deps.repository
        versions, restores = undone_by(core.state, to)
        head = await core.git(repo.head, core.branch)
        preview = RollbackPreview(
            to=restores,
            head=head,
            commit="",
            undoes=tuple(v.number for v in versions),
            candidates=tuple(v.candidate for v in versions),
            files=(),
            diff="",
        )
        try:
            undo = await self._plan(versions, restores, "preview")
        except PatchConflictError as error:
            return replace(preview, conflict=str(error))
        diff = await core.git(repo.diff, undo.head, undo.commit)
        preview = replace(preview, commit=undo.commit, files=undo.files, diff=diff)
        try:
            await core.git(repo.check_move, branch=core.branch, old=undo.head, new=undo.commit)
        except (WorkTreeError, BranchMovedError) as error:
            return replace(preview, conflict=str(error))
        return preview

    async def rollback(
        self,
        to: str,
        *,
        actor: str,
        reason: str,
        expect_head: str,
        given: Consent = NO_CONSENT,
    ) -> Version:
        """Roll back now, or refuse before anything is written.

        Raises:
            ConflictError: the branch is not where the caller saw it.
            PatchConflictError, WorkTreeError: it cannot be done now; the text says what to do.
        """
        core, repo = self._core, self._core.deps.repository
        async with core.promoting:
            versions, restores = undone_by(core.state, to)
            head = await core.git(repo.head, core.branch)
            if expect_head and expect_head != head:
                raise ConflictError(
                    f"The branch stands at {head[:12]}, not at {expect_head[:12]} as expected.",
                    hint="Look at the preview again.",
                )
            undo = await self._plan(versions, restores, reason)
            await core.git(repo.prepare_move, branch=core.branch, old=undo.head, new=undo.commit)
            try:
                await self._intend(undo, reason, actor, given)
                await self.finish_rollback()
            finally:
                await core.git(repo.release_move)
            if core.state.intent is not None:
                raise WrongPhaseError(
                    f"The engine stopped before the rollback to {to} was done.",
                    hint="It is finished when the engine starts again.",
                )
            return core.state.versions[-1]

    async def rollback_until_it_holds(self, name: str, reason: str) -> None:
        """Undo a promotion because the world got worse; retried and alerted until it is done."""
        core = self._core
        async with core.promoting:
            while core.state.candidates[name].phase is Phase.PROMOTED and not core.draining:
                try:
                    versions, restores = undone_by(core.state, name)
                    await self._intend(
                        await self._plan(versions, restores, reason), reason, "engine"
                    )
                    await self.finish_rollback()
                except (TargetError, MachineError) as error:
                    await self._must_wait(name, error)

    async def finish_rollback(self) -> None:
        """Bring the rollback whose intent is written to its end; returns when it holds.

        Returns early, with the intent still standing, only when the engine stops.
        """
        core = self._core
        while (intent := core.state.intent) is not None and _is_rollback(intent):
            if core.draining:
                return  # the intent is written: the next engine finishes it
            try:
                await self._move_rollback(intent)
            except LedgerError:
                await core.wait_writable()  # halted by the recorder; then the same again

    async def _move_rollback(self, intent: Intent) -> None:
        """Try once to move the branch; what stands in the way is waited for."""
        core, repo = self._core, self._core.deps.repository
        try:
            await core.git(
                repo.move_branch,
                branch=intent.branch,
                old=intent.expected_head,
                new=intent.commit,
                reason=f"ouroboros: roll back to version {intent.restores}",
            )
            await core.recorder.record(_rollback_proof(intent), actor="engine")
        except BranchMovedError as error:
            await self._again(intent, error)
        except WorkTreeError as error:
            if await self._where(intent) is MoveState.DONE:
                await core.alert("work_tree_behind", "warning", str(error))
                await core.recorder.record(_rollback_proof(intent))
            else:
                await self._must_wait(intent.candidates[0], error)
        except (TargetError, MachineError) as error:
            if isinstance(error, TargetError) and not await core.git(repo.exists, intent.commit):
                await self._again(intent, error)  # a 'git gc' took it away: make it anew
            else:
                await self._must_wait(intent.candidates[0], error)

    async def _again(self, intent: Intent, error: TargetError) -> None:
        """The branch moved after the intent: done already, or planned anew on the new head."""
        core = self._core
        if await self._where(intent) is MoveState.DONE:
            await core.recorder.record(_rollback_proof(intent))
            return
        versions = tuple(v for v in core.state.versions if v.candidate in intent.candidates)[::-1]
        try:
            undo = await self._plan(versions, intent.restores, intent.reason)
            await self._intend(undo, intent.reason, "engine")
        except TargetError as again:
            _log.warning("rollback waits: %s", error)
            await self._must_wait(intent.candidates[0], again)

    async def _must_wait(self, name: str, error: TargetError | MachineError) -> None:
        """A rollback that cannot be done stops the loop, calls a human, and is tried again."""
        core = self._core
        text = f"The rollback of {name} cannot be done yet: {error} It is retried."
        if core.halted != text:
            core.halt(text)
            await core.alert("rollback_stuck", "critical", text, name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_S):  # the world has to change, and does not tell us
                await core.recorder.wait_for(lambda _: core.draining)
        core.halted = ""

    async def _plan(self, versions: tuple[Version, ...], restores: int, reason: str) -> Undo:
        core, repo = self._core, self._core.deps.repository
        head = await core.git(repo.head, core.branch)
        names = [v.candidate for v in versions]
        number = next_version(core.state)
        reverted = await core.git(
            repo.revert,
            onto=head,
            commits=[v.commit for v in versions],
            message=rollback_message(number, restores, names, reason, await trailers_of(core)),
            ts=core.now(),
        )
        return Undo(
            restores=restores,
            versions=versions,
            head=head,
            commit=reverted.commit,
            files=reverted.files,
        )

    async def _intend(
        self, undo: Undo, reason: str, actor: str, given: Consent = NO_CONSENT
    ) -> None:
        event = ev.RollbackStarted(
            candidates=undo.candidates,
            branch=self._core.branch,
            expected_head=undo.head,
            commit=undo.commit,
            version=next_version(self._core.state),
            restores=undo.restores,
            reason=reason,
        )
        await self._core.recorder.record(
            event, actor=actor, idem=given.idem, signature=given.signature
        )


def _is_rollback(intent: Intent) -> bool:
    return intent.restores >= 0 and not intent.forward


def _rollback_proof(intent: Intent) -> ev.RolledBack:
    return ev.RolledBack(
        candidates=intent.candidates,
        version=intent.version,
        commit=intent.commit,
        branch=intent.branch,
        restores=intent.restores,
        reason=intent.reason,
    )
