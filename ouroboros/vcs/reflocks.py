"""Locks that git children of a killed engine left behind.

A git that is killed outright leaves `NAME.lock` beside the ref that it was writing, and every
later git then refuses that ref and tells a person to remove the file. What is removed here, and
why it can only be ours:

- locks below `refs/ouroboros/`: nobody else writes there;
- the lock of a branch that we were moving, if it holds exactly the commit that we were moving it
  to, or nothing yet; and the lock of HEAD, which git takes beside it and leaves empty. Only where
  the ledger holds that intent.

And only when no git of ours works in this repository any more, for those of a move no git at all:
a child that outlived the engine (it is not killed with it, on purpose) is waited for.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from ouroboros.errors import WorkTreeError
from ouroboros.vcs.indexlock import IndexLock
from ouroboros.vcs.runner import IDENTITY

PATIENCE_S = 30.0
"""How long a git that outlived the engine is waited for."""
_STEP_S = 0.05


def directories(git_dir: Path) -> list[Path]:
    """Return the git directories of all work trees, the main one first."""
    linked = git_dir / "worktrees"
    return [git_dir, *(sorted(linked.iterdir()) if linked.is_dir() else ())]


def clear_index(lock: IndexLock) -> bool:
    """Remove a left-over index lock; a holder that outlived the engine is waited for. Blocking.

    Raises:
        WorkTreeError: it is still held after `PATIENCE_S`.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return lock.clear()
        except WorkTreeError:
            if time.monotonic() > until:
                raise
            time.sleep(_STEP_S)


def clear(git_dir: Path, *, branch: str, moving_to: str) -> tuple[Path, ...]:
    """Remove left-over locks of refs; return them. Blocking.

    Where a git is still at work after `PATIENCE_S`, its locks stay: they may be alive.
    """
    mine = {b"", moving_to.encode()}

    def of_move() -> list[Path]:
        if not moving_to:
            return []
        return [path for path in _of_move(git_dir, branch) if _content(path) in mine]

    return (
        *_remove(lambda: _private(git_dir), lambda: not at_work(git_dir, ours=True)),
        *_remove(of_move, lambda: not at_work(git_dir, ours=False)),
    )


def _remove(find: Callable[[], list[Path]], may: Callable[[], bool]) -> list[Path]:
    """Remove what is found once it may be; what is not there any more by then was alive."""
    if not find() or not _holds_within(may):
        return []
    left = find()
    for path in left:
        path.unlink(missing_ok=True)
    return left


def at_work(git_dir: Path, *, ours: bool) -> list[int]:
    """Return the processes of git that work in this repository, as far as can be seen."""
    every = psutil.process_iter()
    return [process.pid for process in every if _works_in(process, git_dir, ours=ours)]


def _private(git_dir: Path) -> list[Path]:
    folder = git_dir / "refs" / "ouroboros"
    return sorted(folder.rglob("*.lock")) if folder.is_dir() else []


def _of_move(git_dir: Path, branch: str) -> Iterator[Path]:
    yield git_dir / "refs" / "heads" / f"{branch}.lock"
    for directory in directories(git_dir):
        yield directory / "HEAD.lock"


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes().strip()
    except OSError:
        return None


def _holds_within(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_STEP_S)
    return True


def _works_in(process: psutil.Process, git_dir: Path, *, ours: bool) -> bool:
    try:
        if not process.name().startswith("git") or process.status() == psutil.STATUS_ZOMBIE:
            return False
        environ = process.environ()
        folder = Path(process.cwd())
    except (psutil.Error, OSError):
        return False  # gone, or somebody else's, whom the repository does not let in
    if ours and environ.get("GIT_AUTHOR_EMAIL") != IDENTITY[1]:
        return False
    named = environ.get("GIT_DIR", "")
    own = git_dir.resolve()
    return any(
        place == own or own in place.parents or own.parent == place or own.parent in place.parents
        for place in (Path(os.path.realpath(folder / named)), folder)
    )
