"""One engine per target: an flock that survives neither a crash nor a reboot."""

import fcntl
import os
from pathlib import Path

from ouroboros.errors import EngineRunningError, MachineError


class EngineLock:
    """Held for the life of an engine process; released by the kernel when it dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            EngineRunningError: another process holds it.
            MachineError: the file system does not lock; two engines could not see each other.
        """
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise EngineRunningError(
                f"An engine already works on this target (process {holder or 'unknown'}).",
                hint="Attach with 'ouroboros tui', or stop it first.",
            ) from None
        except OSError as error:
            os.close(self._fd)
            raise MachineError(
                f"{path} cannot be locked: {error.strerror}.",
                hint="Put XDG_STATE_HOME on a local file system.",
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
