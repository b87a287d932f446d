"""Holding `index.lock` of a work tree, and knowing our own when its holder was killed.

Every git command that writes an index creates `index.lock` first and refuses to work when it is
there. Holding it over the whole move keeps the user's `git commit` from recording the moment in
which the branch is already new and the files are still old; that commit would undo the promotion
in silence. If we are killed in that moment, the lock goes on protecting him until recovery.

So that a left-over lock can be told from the user's own:

- it is born complete: written under another name and hard-linked into place, with a text that
  says whose it is;
- the holder, and every git child that it starts, keeps an advisory lock (flock) on it, which ends
  with the last of them. A lock with our text and without flock has no living holder.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from ouroboros.errors import WorkTreeError

MARK = b"ouroboros: moving a branch"
COPY = "ouroboros-index"
"""The copy of the index that a move works on, beside the index."""
_BIRTH = "ouroboros-lock"
_LEFT_OVER = (COPY, f"{COPY}.lock", _BIRTH)


class IndexLock:
    """The lock of one index; `descriptor` is what children inherit."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "index.lock"
        self._directory = directory
        self._birth = directory / _BIRTH
        self.descriptor = -1

    def acquire(self, note: str) -> None:
        """Take the lock; a left-over one of a killed engine is taken away first.

        Raises:
            WorkTreeError: another git command holds it, a killed engine's git still runs, or the
                directory cannot be written.
        """
        self.clear()
        try:
            self.descriptor = self._create(note)
        except FileExistsError:
            raise self._taken() from None
        except OSError as error:
            raise WorkTreeError(
                f"{self.path} cannot be created: {error.strerror}.",
                hint="Make the git directory writable for the engine.",
            ) from error

    def _create(self, note: str) -> int:
        self._birth.unlink(missing_ok=True)
        handle = os.open(self._birth, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(handle, MARK + b"\n" + note.encode("utf-8", "replace") + b"\n")
            os.link(self._birth, self.path)
        except BaseException:
            os.close(handle)
            raise
        finally:
            self._birth.unlink()
        return handle

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        if self.descriptor < 0:
            return
        with contextlib.suppress(FileNotFoundError):
            if self._is_mine(self.descriptor):
                self.path.unlink()
        os.close(self.descriptor)
        self.descriptor = -1

    def clear(self) -> bool:
        """Remove a lock whose holder was killed, and his copy; tell whether there was one.

        Raises:
            WorkTreeError: it is ours, and a process still holds it.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            if os.read(handle, len(MARK)) != MARK:
                return False
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Only the holder of the flock unlinks, so the path cannot change hands in between.
            if self._is_mine(handle):
                for name in _LEFT_OVER:
                    (self._directory / name).unlink(missing_ok=True)
                self.path.unlink()
        except BlockingIOError:
            raise WorkTreeError(
                f"Another move of this branch is still at work ({self.path}).",
                hint="Try again in a moment.",
            ) from None
        finally:
            os.close(handle)
        return True

    def refuse_if_taken(self) -> None:
        """Say so if somebody else holds the lock now.

        Raises:
            WorkTreeError: another git command holds it.
        """
        if self.path.exists() and not self.is_left_over():
            raise self._taken()

    def is_left_over(self) -> bool:
        """Tell whether the lock that is there was left by a killed engine; changes nothing."""
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            handle = os.open(self.path, os.O_RDONLY)
            try:
                if os.read(handle, len(MARK)) == MARK:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
            finally:
                os.close(handle)
        return False

    def _is_mine(self, handle: int) -> bool:
        return os.path.samestat(os.fstat(handle), self.path.stat())

    def _taken(self) -> WorkTreeError:
        return WorkTreeError(
            f"Another git command is at work in this repository: {self.path} exists.",
            hint="Let it finish (an open 'git commit' counts); if none runs, remove that file.",
        )
