"""SQLite as this room uses it: the file, the connection, and what its errors mean."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ouroboros.errors import (
    LedgerCorruptError,
    LedgerError,
    LedgerFullError,
    LedgerReadOnlyError,
)

BUSY_MS = 2000
"""How long a writer waits for another one."""
SALVAGE = (
    "Stop the engine and run 'ouroboros ledger salvage': it keeps the damaged files, and says what "
    "would be lost before it does anything (docs/ledger-care.md)."
)
"""What to do about a damaged ledger."""
_NO_SPACE = 1 << 16
"""Free bytes below which an I/O error is taken for a full disk."""


def make_file(path: Path) -> None:
    """Make an empty file of mode 0600; SQLite gives its side files the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring names that were made or changed in a folder onto the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def settle(part: Path, path: Path) -> None:
    """Give a finished file its name, on disk when this returns.

    Raises:
        OSError: it could not be done.
    """
    handle = os.open(part, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    part.replace(path)
    sync_folder(path.parent)


def salvaged(path: Path) -> Path:
    """Return where a finished salvage waits to take a ledger's place."""
    return path.with_name(f"{path.name}.salvaged")


def adopt_salvaged(path: Path) -> None:
    """Let a finished salvage take the ledger's place, if there is one; also after a kill.

    The old side files go first: a write-ahead log must never meet a database that is not its own.
    """
    new = salvaged(path)
    if not new.exists():
        return
    for side in (".mark", "-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    sync_folder(path.parent)
    new.replace(path)
    sync_folder(path.parent)


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells one file from another that took its place; None where there is none."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the database; without `read_only` it must exist and be writable."""
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    db = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000
    )
    try:
        if read_only and not _opens(db) and not path.with_name(f"{path.name}-wal").exists():
            # A copy on a read-only medium: no writer can be there, and no side file be made.
            db.close()
            db = sqlite3.connect(
                f"{uri}&immutable=1", uri=True, isolation_level=None, check_same_thread=False
            )
        db.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        db.close()
        raise
    return db


def _opens(db: sqlite3.Connection) -> bool:
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            return False
        raise
    return True


def configure(db: sqlite3.Connection) -> None:
    """Choose durability: each commit is on disk when it returns."""
    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            f"SQLite cannot use a write-ahead log here (it chose '{mode}').",
            hint="Put the state folder on a local file system.",
        )
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA fullfsync = ON")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise into the ledger's own errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise _error(error, path) from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise LedgerError(f"A value cannot be stored: {error}.") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _full(path) from error
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise _read_only(path, str(error.strerror)) from error
        raise LedgerError(
            f"The ledger {path} cannot be opened: {error.strerror}.",
            hint="Check the folder's permissions and space.",
        ) from error


def _error(error: sqlite3.Error, path: Path) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _no_space(path)):
        return _full(path)
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}:
        return _read_only(path, str(error))
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LedgerError(
            f"The ledger {path} is locked by another process.",
            hint="Stop the other engine or tool that writes to it.",
        )
    torn = str(error).startswith("Could not decode")  # the driver's own error, without a code
    if torn or code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return LedgerCorruptError(f"The ledger {path} is damaged: {error}.", hint=SALVAGE)
    return LedgerError(
        f"The ledger {path} cannot be used: {error}.",
        hint="Check the disk and the folder's permissions.",
    )


def _full(path: Path) -> LedgerFullError:
    return LedgerFullError(
        f"There is no space left for the ledger {path}; nothing was appended.",
        hint="Free some space.",
    )


def _read_only(path: Path, why: str) -> LedgerReadOnlyError:
    return LedgerReadOnlyError(
        f"The ledger {path} may not be written to, or its folder not: {why}.",
        hint="Check owner and mode of the state folder, and that its file system is not read-only.",
    )


def is_broken(error: sqlite3.Error, path: Path) -> bool:
    """Tell whether an error leaves it unknown what is on disk."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code == sqlite3.SQLITE_IOERR and not _no_space(path)


def _no_space(path: Path) -> bool:
    try:
        stats = os.statvfs(path)
    except OSError:
        return False
    return stats.f_bavail * stats.f_frsize < _NO_SPACE
