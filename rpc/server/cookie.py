"""A file with this run's secret: whoever may read the owner's files may pass the owner's port.

As bitcoind's `.cookie`: random at each start, 0600, gone at the end. It lets the owner's own
programs use the network's door without a token of their own.
"""

import contextlib
import os
from pathlib import Path

import msgspec

from ouroboros.errors import MachineError


class Cookie(msgspec.Struct, frozen=True, kw_only=True):
    """The file and what is in it."""

    path: Path
    secret: str

    @classmethod
    def write(cls, path: Path, secret: str) -> "Cookie":
        """Write the file anew; one that was left by an engine that was killed is replaced.

        Raises:
            MachineError: it cannot be written.
        """
        draft = path.with_name(f"{path.name}.new")
        try:
            draft.unlink(missing_ok=True)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                os.write(handle, f"{secret}\n".encode())
            finally:
                os.close(handle)
            draft.replace(path)
        except OSError as error:
            raise MachineError(
                f"{path} cannot be written: {error.strerror or error}.",
                hint="Make its folder writable for the engine.",
            ) from error
        return cls(path=path, secret=secret)

    def remove(self) -> None:
        """Remove the file if it still is ours."""
        with contextlib.suppress(OSError):
            if self.path.read_text().strip() == self.secret:
                self.path.unlink()
