"""Evidence: large payloads (diffs, logs) as files named by the SHA-256 of their contents.

An entry names its evidence by hash, so the file must be on disk before the entry is: `put` returns
after fsync of file and folder. A file is written under another name and renamed, so that a name
never stands for half a content; putting the same bytes again costs one comparison, and heals a file
that was damaged meanwhile. Nothing is compressed: what is there can be read with any tool.
"""

import contextlib
import errno
import hashlib
import os
import re
import tempfile
from pathlib import Path

from ouroboros.errors import LedgerCorruptError, LedgerError, LedgerFullError, NotFoundError

_HALF = "put-"
_HASH = re.compile(r"[0-9a-f]{64}")


class Evidence:
    """A folder of files by content."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    def put(self, data: bytes) -> str:
        """Store bytes and return their hash, once they are on disk.

        Raises:
            LedgerFullError: no space.
            LedgerError: the folder cannot be written.
        """
        name = hashlib.sha256(data).hexdigest()
        target = self._path(name)
        try:
            self._write(target, data)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise LedgerFullError(
                    f"There is no space left for evidence in {self._root}; nothing was stored.",
                    hint="Free some space.",
                ) from error
            raise LedgerError(
                f"Evidence cannot be written to {self._root}: {error.strerror}.",
                hint="Check the folder's permissions.",
            ) from error
        return name

    def get(self, name: str) -> bytes:
        """Return the bytes of a hash.

        Raises:
            NotFoundError: there are none.
            LedgerCorruptError: the file does not hold what its name says.
        """
        if not _HASH.fullmatch(name):
            raise _missing(name)
        path = self._path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise _missing(name) from None
        except OSError as error:
            raise LedgerError(f"Evidence {path} cannot be read: {error.strerror}.") from error
        found = hashlib.sha256(data).hexdigest()
        if found != name:
            raise _altered(path, found)
        return data

    def check(self, name: str) -> None:
        """Raise what `get` would raise, without holding the contents in memory.

        Raises:
            NotFoundError: there is no such file.
            LedgerError: it cannot be read, or does not hold what its name says.
        """
        path = self._path(name)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise _missing(name) from None
        except OSError as error:
            raise LedgerError(f"Evidence {path} cannot be read: {error.strerror}.") from error
        if found != name:
            raise _altered(path, found)

    def sweep(self) -> int:
        """Remove what a killed writer left half-written; return how many. No writer may be alive.

        Raises:
            LedgerError: the folder cannot be read.
        """
        try:
            left = list(self._root.glob(f"??/{_HALF}*"))
            for path in left:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise LedgerError(f"Evidence in {self._root} cannot be swept: {error}.") from error
        return len(left)

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / name[2:]

    def _write(self, target: Path, data: bytes) -> None:
        folder = target.parent
        new = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if new:
            _sync(self._root)
        if _holds(target, data):
            os.utime(target)  # as new: retention must not take what an entry is about to name
        else:
            handle, name = tempfile.mkstemp(dir=folder, prefix=_HALF)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(target)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    Path(name).unlink()
                raise
        # Also when it was there: whoever put it may have been killed before this line.
        _sync(folder)


def _altered(path: Path, found: str) -> LedgerCorruptError:
    return LedgerCorruptError(
        f"Evidence {path} holds {found}, not what its name says.", hint="Restore it from a copy."
    )


def _missing(name: str) -> NotFoundError:
    return NotFoundError(
        f"There is no evidence {name[:80]!r}.",
        hint="It may have been removed when its retention ended.",
    )


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
