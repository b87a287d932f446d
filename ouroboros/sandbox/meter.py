"""The CPU clock of a run that is still running, read from outside.

The control group's own counter where there is one: it counts every process of the run, also those
that have detached themselves or are gone. Elsewhere the CPU clocks of the run's living processes
(`clock_gettime` of a foreign process, in nanoseconds) and what those had that have ended meanwhile.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

_CPUACCT = "cpuacct.usage"
_CPU_STAT = "cpu.stat"


class GroupMeter:
    """Reads a control group; may be called from any thread, some microseconds a call."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        """Open the counter.

        Args:
            folders: those of the group.

        Raises:
            OSError: none of them counts CPU time.
        """
        self._fd = -1
        self._plain = True
        for folder in folders:
            for name in (_CPUACCT, _CPU_STAT):
                with contextlib.suppress(FileNotFoundError):
                    self._fd = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
                    self._plain = name == _CPUACCT
                    return
        raise FileNotFoundError(f"No CPU counter in {folders}.")

    def cpu_ns(self) -> int:
        """CPU time of everything that ever ran in the group.

        Raises:
            OSError: the group is gone.
        """
        text = os.pread(self._fd, 4096, 0)
        if self._plain:
            return int(text)
        rows = (line.split() for line in text.splitlines())
        return next(1000 * int(row[1]) for row in rows if row[0] == b"usage_usec")

    def close(self) -> None:
        """Close the counter; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class ProcessMeter:
    """Adds up the CPU clocks of a run's processes, where there is no control group."""

    def __init__(self, roots: Callable[[], list[int]]) -> None:
        """Prepare.

        Args:
            roots: finds the processes that the run began with.
        """
        self._roots = roots
        self._seen: dict[int, int] = {}

    def cpu_ns(self) -> int:
        """CPU time of the processes that were seen alive; milliseconds a call.

        Raises:
            OSError: no process of the run is left.
        """
        living = 0
        for pid in self._processes():
            with contextlib.suppress(OSError):
                clock = time.clock_gettime_ns((~pid << 3) | 2)
                self._seen[pid] = max(clock, self._seen.get(pid, 0))
                living += 1
        if not living:
            raise ProcessLookupError("No process of the run is left.")
        return sum(self._seen.values())

    def close(self) -> None:
        """Nothing is held."""

    def _processes(self) -> list[int]:
        found = []
        for root in self._roots():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(root)
                found += [root, *(child.pid for child in process.children(recursive=True))]
        return found


Meter = GroupMeter | ProcessMeter
