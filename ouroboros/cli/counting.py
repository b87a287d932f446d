"""A binary file that reports how many lines went through it, for a progress bar."""

from collections.abc import Callable
from typing import BinaryIO

_EVERY = 256


class LineCounter:
    """Writes through to another file; calls `report(lines, total)` now and then."""

    def __init__(self, file: BinaryIO, total: int, report: Callable[[int, int], None]) -> None:
        """Count from nothing."""
        self._file = file
        self._total = total
        self._report = report
        self._lines = 0

    def write(self, data: bytes) -> int:
        """Write, and count the newline that ends an entry."""
        written = self._file.write(data)
        if data.endswith(b"\n"):
            self._lines += 1
            if self._lines % _EVERY == 0 or self._lines == self._total:
                self._report(self._lines, self._total)
        return written
