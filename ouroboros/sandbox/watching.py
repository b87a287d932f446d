"""Limits that no kernel keeps for us, watched from the launcher.

CPU time of the whole run and bytes written to its tree, everywhere; memory and the number of
processes where there are no control groups. What is watched must not disturb what is measured: a
look takes some ten microseconds, and the CPU counter is read again only when the limit can have
been reached, were all processors busy since. A tree can fill up at any time: a quarter of a second
is what the machine must bear.

Like the launcher, it stands on the standard library alone.
"""
# ruff: noqa: PTH116, PTH123, PTH208 - plain strings: pathlib would double the start-up time

import os
import resource
import time
from collections.abc import Iterator
from typing import Any

_EAGER_NS = 20_000_000
"""Between two looks at memory and processes: a fork bomb makes hundreds in this time."""
_TREE_NS = 250_000_000
_CPU_NS = 100_000_000
_SLICE_NS = 2_000_000
"""So long the walk over a copied tree may take at a time: other runs are waiting."""
_ENTRY = 1024
"""What each file or folder counts at least: millions of empty ones fill a machine as well."""


class Watch:
    """The limits of one run, and when to look next."""

    def __init__(self, asked: dict[str, Any]) -> None:
        """Begin now; the first look comes when there can be something to see.

        Args:
            asked: `link.Watch`, as it came over the socket.
        """
        now = time.monotonic_ns()
        self._memory: int = asked["memory"]
        self._processes: int = asked["processes"]
        self._mounts: list[str] = asked["mounts"]
        self._tree: dict[str, int] = asked["tree"]
        self._folders: dict[str, int] = asked["folders"]
        self._cpu_ns: int = asked["cpu_ns"]
        self._counter: str = asked["counter"]
        self._walk: Iterator[bool] | None = None
        self._cpu_due = now + max(_CPU_NS, self._cpu_ns // (os.cpu_count() or 1))
        self._tree_due = now + _TREE_NS if self._tree or self._folders else None
        self.due = 0
        self._next(now)

    def look(self, pid: int, inner: int, now: int) -> str:
        """Return the limit that the run has crossed, or nothing.

        Args:
            pid: of its first process.
            inner: of process 1 inside, or 0 where there is none, or none yet.
            now: monotonic nanoseconds.
        """
        pids = [inner] if inner else [pid]
        if self._memory:
            pids = _descendants(pid, self._processes)
        end = self._eager(pids) or self._spent(pid, now) or self._written(pids, now)
        self._next(now)
        return end

    def _next(self, now: int) -> None:
        dues = [self._cpu_due, now + _EAGER_NS if self._memory else None, self._tree_due]
        self.due = min(due for due in dues if due is not None)

    def _eager(self, pids: list[int]) -> str:
        if not self._memory:
            return ""
        if len(pids) > self._processes:
            return "processes"
        limit = self._memory - _in_memory(pids, self._mounts)
        over = sum(map(_resident, pids)) > limit and sum(map(_proportional, pids)) > limit
        return "memory" if over else ""

    def _spent(self, pid: int, now: int) -> str:
        if now < self._cpu_due:
            return ""
        used = _counted(self._counter) if self._counter else _added(pid)
        left = max(0, self._cpu_ns - used)
        self._cpu_due = now + max(_CPU_NS, left // (os.cpu_count() or 1))
        return "cpu" if used > self._cpu_ns else ""

    def _written(self, pids: list[int], now: int) -> str:
        if self._tree_due is None or now < self._tree_due:
            return ""
        self._tree_due = now + _TREE_NS
        if any(_in_memory(pids, [mount]) > most for mount, most in self._tree.items()):
            return "tree"
        self._walk = self._walk or _walks(self._folders)
        until = time.monotonic_ns() + _SLICE_NS
        for over in self._walk:
            if over:
                return "tree"
            if time.monotonic_ns() > until:
                # A tenth of a processor until it is through: who makes files fast is seen in time.
                self._tree_due = now + 10 * _SLICE_NS
                return ""
        self._walk = None
        return ""


def _walks(folders: dict[str, int]) -> Iterator[bool]:
    for folder, most in folders.items():
        for size in sizes(folder):
            yield size > most


def sizes(folder: str) -> Iterator[int]:
    """Walk a folder, and tell with each entry what all so far take on the disk."""
    total = 0
    waiting = [folder]
    while waiting:
        try:
            entries = os.scandir(waiting.pop())
        except OSError:
            continue  # gone meanwhile, or closed to us
        with entries:
            for entry in entries:
                try:
                    blocks = entry.stat(follow_symlinks=False).st_blocks
                except OSError:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                total += max(_ENTRY, blocks * 512)
                yield total


def children(pid: int) -> list[int]:
    """The processes that a process has started and not yet waited for."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as listed:
                found += map(int, listed.read().split())
    except OSError:
        pass  # it ended while we looked
    return found


def _descendants(pid: int, most: int) -> list[int]:
    """The process tree; given up beyond `most`, since a fork bomb outruns who counts it."""
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) <= most:
        found.append(waiting.pop())
        waiting += children(found[-1])
    return found


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    """Memory with shared pages divided among those who share them; exact, and slow to read."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as smaps:
            for line in smaps:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, IndexError):
        pass  # ended, or not readable: the resident size has to do
    return _resident(pid)


def _in_memory(pids: list[int], mounts: list[str]) -> int:
    """Bytes in the run's private in-memory file systems, seen through one of its processes."""
    for pid in reversed(pids):
        try:
            if os.path.samestat(os.stat(f"/proc/{pid}/root/"), os.stat("/")):
                continue  # bubblewrap is not there yet: these would be the host's
            stats = [os.statvfs(f"/proc/{pid}/root{mount}") for mount in mounts]
        except OSError:
            continue
        blocks = sum((s.f_blocks - s.f_bfree) * s.f_frsize for s in stats)
        return blocks + sum((s.f_files - s.f_ffree) * _ENTRY for s in stats)
    return 0


def _counted(counter: str) -> int:
    """CPU time by a control group's file; 0 where it is gone, which its owner will notice."""
    try:
        with open(counter, "rb") as file:
            text = file.read()
    except OSError:
        return 0
    if not text.startswith(b"usage_usec"):
        return int(text)
    return 1000 * int(text.split(maxsplit=2)[1])


def _added(pid: int) -> int:
    """CPU time of a process tree: of the living, and of whom they have waited for."""
    ticks = 0
    for member in _descendants(pid, 1 << 16):
        try:
            with open(f"/proc/{member}/stat", "rb") as stat:
                # The name is in brackets and may hold anything.
                ticks += sum(map(int, stat.read().rpartition(b")")[2].split()[11:15]))
        except OSError:
            continue  # it ended while we looked
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
