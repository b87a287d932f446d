"""How far the ledger had come, in a small file beside it: what a chain alone cannot show.

A chain does not notice that entries at its end are gone (a write-ahead log that was torn or
removed, a file that was replaced by an older copy). After each append the new head is written here,
over the old one, without fsync: the mark may therefore lag behind the ledger after a power cut, but
it never runs ahead of what was on disk. A ledger that is *behind* its mark has lost entries that
were acknowledged. It guards against accidents; whoever alters the ledger on purpose can alter this
too, and against him stand the signed heads.
"""

import os
import zlib
from pathlib import Path

from ouroboros.model.entry import Head

_LENGTH = 20 + 1 + 64 + 1 + 8 + 1


class Mark:
    """The file `<ledger>.mark`."""

    def __init__(self, ledger: Path) -> None:
        self.path = ledger.with_name(f"{ledger.name}.mark")

    def read(self) -> Head | None:
        """Return the head that was written last; None where there is none, or it is torn."""
        try:
            text = self.path.read_bytes()
        except OSError:
            return None
        body, _, check = text.rstrip(b"\n").rpartition(b" ")
        size, _, name = body.partition(b" ")
        if check != _check(body) or not size.isdigit():
            return None
        return Head(size=int(size), hash=name.decode("ascii", "replace"))

    def write(self, head: Head) -> None:
        """Write a head over the one before: the same length, so that a full disk has room for it.

        Raises:
            OSError: it cannot be written.
        """
        body = b"%020d %s" % (head.size, head.hash.encode())
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(handle, b"%s %s\n" % (body, _check(body)), 0)
            os.ftruncate(handle, _LENGTH)
        finally:
            os.close(handle)


def _check(body: bytes) -> bytes:
    return b"%08x" % zlib.crc32(body)
