"""Rolling forward: what a rollback took out comes back, because a human says so.

The same four beats as every move (see `ouroboros.engine.promotion`): commit, dry run, intent,
compare-and-swap and proof. It is never tried for long: what stands in its way (a branch that moved,
files with edits) ends it, nothing was changed, and the human decides anew.
"""

from msgspec.structs import replace

from ouroboros.engine.core import Core
from ouroboros.engine.messages import forward_message
from ouroboros.engine.trailers import trailers_of
from ouroboros.engine.versions import next_version, redone_by
from ouroboros.errors import (
    BranchMovedError,
    ConflictError,
    MachineError,
    PatchConflictError,
    TargetError,
    WorkTreeError,
)
from ouroboros.model import events as ev
from ouroboros.model.snapshot import RollbackPreview
from ouroboros.model.state import Intent, Version
from ouroboros.vcs.values import MoveState, Reverted


class Forwarder:
    """Rolls forward. Moves are serial: it holds `core.promoting`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def preview(self, to: str) -> RollbackPreview:
        """Return what rolling forward would do; changes nothing. `undoes` lists what comes back."""
        core, repo = self._core, self._core.deps.repository
        versions, restores = redone_by(core.state, to)
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
            made = await self._made(versions, restores, head, "preview")
            diff = await core.git(repo.diff, head, made.commit)
            await core.git(repo.check_move, branch=core.branch, old=head, new=made.commit)
        except (PatchConflictError, WorkTreeError, BranchMovedError) as error:
            return replace(preview, conflict=str(error))
        return replace(preview, commit=made.commit, files=made.files, diff=diff)

    async def forward(self, to: str, *, actor: str, reason: str, expect_head: str) -> Version:
        """Roll forward now, or refuse before anything is written.

        Raises:
            ConflictError: the branch is not where the caller saw it.
            PatchConflictError, WorkTreeError: it cannot be done now; the text says what to do.
            BranchMovedError: it moved between the intent and the move; nothing was changed.
        """
        core, repo = self._core, self._core.deps.repository
        async with core.promoting:
            versions, restores = redone_by(core.state, to)
            head = await core.git(repo.head, core.branch)
            if expect_head and expect_head != head:
                raise ConflictError(
                    f"The branch stands at {head[:12]}, not at {expect_head[:12]} as expected.",
                    hint="Look at the preview again.",
                )
            made = await self._made(versions, restores, head, reason)
            await core.git(repo.prepare_move, branch=core.branch, old=head, new=made.commit)
            intent = ev.RollForwardStarted(
                candidates=tuple(v.candidate for v in versions),
                branch=core.branch,
                expected_head=head,
                commit=made.commit,
                version=next_version(core.state),
                restores=restores,
                reason=reason,
            )
            try:
                await core.recorder.record(intent, actor=actor)
                failure = await self.finish()
            finally:
                await core.git(repo.release_move)
            if failure is not None:
                raise failure
            return core.state.versions[-1]

    async def finish(self) -> TargetError | MachineError | None:
        """Bring the roll forward whose intent is written to its end (also after a restart).

        Returns why it could not be done; the ledger says so too, and nothing was changed.
        """
        core, repo = self._core, self._core.deps.repository
        intent = core.state.intent
        if intent is None or not intent.forward:
            return None
        try:
            await core.git(
                repo.move_branch,
                branch=intent.branch,
                old=intent.expected_head,
                new=intent.commit,
                reason=f"ouroboros: roll forward to version {intent.restores}",
            )
        except (TargetError, MachineError) as error:
            where = await core.git(
                repo.moved, branch=intent.branch, old=intent.expected_head, new=intent.commit
            )
            if where is not MoveState.DONE:
                failed = ev.RollForwardFailed(candidates=intent.candidates, reason=str(error))
                await core.recorder.record(failed)
                return error
            if not isinstance(error, BranchMovedError):
                await core.alert("work_tree_behind", "warning", str(error))
        await core.recorder.record(_proof(intent))
        return None

    async def _made(
        self, versions: tuple[Version, ...], restores: int, head: str, reason: str
    ) -> Reverted:
        core = self._core
        message = forward_message(
            next_version(core.state),
            restores,
            [v.candidate for v in versions],
            reason,
            await trailers_of(core),
        )
        return await core.git(
            core.deps.repository.reapply,
            onto=head,
            commits=[v.commit for v in versions],
            message=message,
            ts=core.now(),
        )


def _proof(intent: Intent) -> ev.RolledForward:
    return ev.RolledForward(
        candidates=intent.candidates,
        version=intent.version,
        commit=intent.commit,
        branch=intent.branch,
        restores=intent.restores,
        reason=intent.reason,
    )
