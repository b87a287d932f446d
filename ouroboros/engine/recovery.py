"""From the last written entry to a running engine.

The ledger's end is verified where it is opened (`Store.check_end`), before anything is done on its
word. State is rebuilt by folding it; what was in flight is then brought into a phase from which
the pipeline can go on. Nothing here moves the user's branch: an intent without proof is finished
by the promoter, which asks git first. Every step is idempotent, so a kill during recovery is
recovered like any other.
"""

import asyncio
import contextlib
import logging
import shutil
from pathlib import Path

import psutil

from ouroboros.engine.core import Core
from ouroboros.engine.refs import reconcile_refs, tell_unknown_promotions
from ouroboros.errors import MachineError, TargetError, WorkTreeError
from ouroboros.model import events as ev
from ouroboros.model.phase import MOVING, Phase

_log = logging.getLogger(__name__)

_BOOT = "boot"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


async def recover(core: Core) -> tuple[str, ...]:
    """Bring repository, folders and candidates to where work can go on; returns what was done."""
    done = list(core.deps.swept)
    done += await _clear_locks(core)
    done += await requeue_interrupted(core)
    done += await reconcile_refs(core)
    done += await tell_unknown_promotions(core)
    await _sweep_pairs(core)
    return tuple(done)


async def _clear_locks(core: Core) -> list[str]:
    intent = core.state.intent
    try:
        cleared = await core.git(
            core.deps.repository.clear_left_over_locks,
            branch=intent.branch if intent else core.branch,
            moving_to=intent.commit if intent else "",
        )
    except WorkTreeError as error:
        # A git of ours works on and on. Promotions will say so; all else goes on.
        await core.alert("git_at_work", "warning", str(error))
        return []
    return [f"removed the left-over lock {path}" for path in cleared]


async def requeue_interrupted(core: Core) -> tuple[str, ...]:
    """Put evaluations that died with the last engine back in line; returns what was done."""
    done = []
    for candidate in list(core.state.candidates.values()):
        if candidate.phase is Phase.EVALUATING:
            text = "the engine ended before the evaluation was complete"
            await core.recorder.record(ev.Requeued(candidate=candidate.id, reason=text))
            done.append(f"requeued {candidate.id}{await _kept_pairs(core, candidate.id)}")
        elif candidate.phase in MOVING:
            done.append(f"finishing {candidate.phase.value.replace('_', ' ')} of {candidate.id}")
    return tuple(done)


async def _kept_pairs(core: Core, name: str) -> str:
    """Say how many pairs of an interrupted evaluation are there to go on from."""
    if core.deps.journals is None:
        return ""
    count = await asyncio.to_thread(core.deps.journals.count, name)
    return f" with the {count} pairs that it had" if count else ""


async def _sweep_pairs(core: Core) -> None:
    """Remove the pairs of evaluations that are over; the interrupted ones are in line again."""
    journals = core.deps.journals
    if journals is not None:
        wanted = {Phase.APPLIED, Phase.PROMOTED}
        names = {c.id for c in core.state.candidates.values() if c.phase in wanted}
        await asyncio.to_thread(journals.sweep, names)


def sweep(cache: Path) -> None:
    """Delete what engines that are gone left in the cache; everything in there may go. Blocking.

    After a reboot all of it goes: exported trees appear whole by a rename, but are not forced to
    disk, so that after a power cut a tree could lie there with empty files, which an evaluation
    would take for the commit's.

    Raises:
        MachineError: such trees cannot be removed.
    """
    shutil.rmtree(cache / "proposing", ignore_errors=True)
    trees = cache / "trees"
    for folder in trees.glob(".tmp-*"):
        shutil.rmtree(folder, ignore_errors=True)
    now, mark = _boot(), cache / _BOOT
    with contextlib.suppress(OSError):
        if mark.read_text() == now:
            return
    shutil.rmtree(trees, ignore_errors=True)
    if trees.exists():
        raise MachineError(
            f"{trees} is from before the last reboot and cannot be removed.",
            hint="Remove it, or correct its permissions.",
        )
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.write_text(now)
    except OSError as error:
        _log.warning("%s cannot be written: %s", cache, error.strerror)


def _boot() -> str:
    """Name this boot of the machine."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return str(round(psutil.boot_time() / 60))
