"""One engine per target: an flock that survives neither a crash nor a reboot.

The lock is the kernel's; the file's content only tells people who holds it: process, host, boot
and time. Where locks do not work (some network file systems) two engines could both believe that
they hold it; then the record of the other one is still in the file (`Holder`, logged at start), and
the first entry that either appends shows the other that the ledger's head has moved, which stops
it for good (`LedgerForkedError`).
"""

import errno
import fcntl
import os
import socket
import time
from pathlib import Path

import msgspec

from ouroboros.errors import EngineRunningError, MachineError

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LONGEST = 4096


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the lock, or held it and did not give it back in order.

    `boot` names one run of one kernel (empty where the system does not tell); `since_ns` is UTC.
    """

    pid: int
    host: str
    boot: str
    since_ns: int


class EngineLock:
    """Held for the life of an engine process; released by the kernel when it dies.

    `previous` is who held it last without giving it back: somebody who crashed, or, where locks do
    not work, somebody who still runs.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            EngineRunningError: another process holds it.
            MachineError: the file cannot be opened, or its file system does not lock; two engines
                could not see each other.
        """
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MachineError(
                f"{path} cannot be opened: {error.strerror}.",
                hint="Check owner and mode of the state folder, and that its file system is not "
                "read-only.",
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(self._fd)
            os.close(self._fd)
            who = f"process {holder.pid} on {holder.host}" if holder else "process unknown"
            raise EngineRunningError(
                f"An engine already works on this target ({who}).",
                hint="Attach with 'ouroboros tui', or stop it first.",
            ) from None
        except OSError as error:
            os.close(self._fd)
            raise MachineError(
                f"{path} cannot be locked: {error.strerror}.",
                hint="Put XDG_STATE_HOME on a local file system.",
            ) from error
        self.previous = _read(self._fd)
        self._write(holder_now())

    def elsewhere(self) -> str:
        """Say who may still run although we have the lock; empty where nobody can.

        On this boot the kernel would have refused us. A holder of another boot of the same host is
        dead. What remains is another host.
        """
        before = self.previous
        if before is None or before.boot == _boot() or before.host == socket.gethostname():
            return ""
        return f"process {before.pid} on {before.host}"

    def _write(self, holder: Holder) -> None:
        data = msgspec.json.encode(holder) + b"\n"
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, data, 0)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            # The lock is held all the same; only people learn less about who holds it.

    def release(self) -> None:
        """Give the lock back in order; may be called twice."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def holder_now() -> Holder:
    """Return this process as a holder."""
    return Holder(pid=os.getpid(), host=socket.gethostname(), boot=_boot(), since_ns=time.time_ns())


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _read(handle: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(handle, _LONGEST, 0), type=Holder)
    except (msgspec.MsgspecError, ValueError):
        return None
