"""From the last written entry to a running engine.

State is rebuilt by folding the ledger; what was in flight is then brought into a phase from which
the pipeline can go on. Nothing here moves the user's branch: an intent without proof is finished
by the promoter, which asks git first. Every step is idempotent, so a kill during recovery is
recovered like any other.
"""

import shutil
from pathlib import Path

from ouroboros.engine.core import Core
from ouroboros.errors import TargetError
from ouroboros.model import events as ev
from ouroboros.model.phase import MOVING, Phase


async def adopt_or_check(core: Core, branch: str) -> None:
    """Write the first entry of a new ledger, or check that an old one fits this target.

    Raises:
        TargetError: the ledger belongs to another target, or tracks another branch.
    """
    state, deps = core.state, core.deps
    if not state.target:
        commit = await core.git(deps.repository.head, branch)
        event = ev.TargetAdopted(
            target=deps.target, path=str(deps.root), branch=branch, commit=commit
        )
        await core.recorder.record(event)
        return
    if state.target != deps.target:
        raise TargetError(
            f"The ledger belongs to target {state.target}, not to {deps.target}.",
            hint="Give each clone its own state folder.",
        )
    if state.branch != branch:
        raise TargetError(
            f"This target's versions stand on branch '{state.branch}', but '{branch}' is "
            "configured or checked out.",
            hint=f"Check out '{state.branch}', or set [target] branch = \"{state.branch}\".",
        )


async def requeue_interrupted(core: Core) -> tuple[str, ...]:
    """Put evaluations that died with the last engine back in line; returns what was done."""
    done = []
    for candidate in list(core.state.candidates.values()):
        if candidate.phase is Phase.EVALUATING:
            text = "the engine ended before the evaluation was complete"
            await core.recorder.record(ev.Requeued(candidate=candidate.id, reason=text))
            done.append(f"requeued {candidate.id}")
        elif candidate.phase in MOVING:
            done.append(f"finishing {candidate.phase.value.replace('_', ' ')} of {candidate.id}")
    return tuple(done)


def sweep(cache: Path) -> None:
    """Delete scratch folders of engines that are gone; everything in the cache may go."""
    for folder in ("proposing",):
        shutil.rmtree(cache / folder, ignore_errors=True)
