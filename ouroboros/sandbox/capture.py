"""Reading what a run writes: always drained, never kept beyond a cap.

A reader that stops at its cap would block the writer for ever; one that keeps everything lets a
candidate fill the engine's memory. So the pipe is read to its end, a bounded part is kept (the
tail of an output, the head of a result), and far beyond the cap the run is ended.
"""

import asyncio
import os
from collections.abc import Callable

_CHUNK = 1 << 16
_FLOOD = 8
"""So many times the cap end the run."""


class Capture:
    """The read end of one pipe. Belongs to the event loop's thread."""

    def __init__(self, *, keep: int, head: bool, flood: Callable[[], None]) -> None:
        """Open the pipe and begin to read.

        Args:
            keep: bytes to keep.
            head: keep the first bytes instead of the last ones.
            flood: called once when the run has written many times `keep`.
        """
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)
        self._keep = keep
        self._head = head
        self._flood = flood
        self._kept = bytearray()
        self._closed = asyncio.Event()
        self.total = 0
        asyncio.get_running_loop().add_reader(self._read, self._ready)

    def sent(self) -> None:
        """Close our copy of the write end; the run has its own."""
        if self.write >= 0:
            os.close(self.write)
            self.write = -1

    async def finish(self, patience: float) -> bytes:
        """Return what was kept, once every writer is gone or after `patience` seconds."""
        self.sent()
        try:
            async with asyncio.timeout(patience):
                await self._closed.wait()
        except TimeoutError:
            pass  # someone who escaped still holds the pipe; what matters has been written
        finally:
            self.close()
        return bytes(self._kept if self._head else self._kept[-self._keep :])

    def close(self) -> None:
        """Stop reading; may be called twice."""
        self.sent()
        if self._read >= 0:
            asyncio.get_running_loop().remove_reader(self._read)
            os.close(self._read)
            self._read = -1
        self._closed.set()

    def _ready(self) -> None:
        try:
            chunk = os.read(self._read, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._read)
            self._closed.set()
            return
        before, self.total = self.total, self.total + len(chunk)
        self._store(chunk)
        if before <= self._keep * _FLOOD < self.total:
            self._flood()

    def _store(self, chunk: bytes) -> None:
        if self._head:
            self._kept += chunk[: self._keep - len(self._kept)]
            return
        self._kept += chunk
        if len(self._kept) > 2 * self._keep:
            del self._kept[: -self._keep]
