"""Control groups: the only limit on memory and processes that a run cannot step around.

Version 1 (separate `memory` and `pids` hierarchies) and version 2 (one hierarchy) are used where
we may create groups: as root, or under a systemd user manager. Groups are made beneath our own
place, or the nearest ancestor that lets us; no process of anybody is moved for it. Where there is
no such place, the launcher's watchdog and rlimits do the work; the level recorded with each
evaluation says which.
"""

import contextlib
import os
import signal
import time
import uuid
from pathlib import Path
from typing import Self

from ouroboros import owner
from ouroboros.sandbox.meter import GroupMeter

_ROOT = Path("/sys/fs/cgroup")
_PREFIX = "ouroboros-"
_V1 = ("memory", "pids")
_V1_CPU = "cpuacct"
_CLEAR_SECONDS = 2.0
_CLEAR_STEP = 0.01
_OWN_PROCESSES = 4
"""Bubblewrap's own two processes and a little room for starting."""


class Group:
    """The group of one run: limits before, evidence after."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        """Wrap created folders.

        Args:
            folders: one (version 2) or one per hierarchy (version 1).
        """
        self._folders = folders

    @property
    def procs(self) -> list[str]:
        """The files into which the run writes itself before it starts."""
        return [str(f / "cgroup.procs") for f in self._folders]

    def out_of_memory(self) -> bool:
        """Whether the kernel killed something of this run for memory."""
        return self._count(("memory.events", "memory.oom_control"), "oom_kill") > 0

    def refused_fork(self) -> bool:
        """Whether the run met its limit of processes."""
        return self._count(("pids.events",), "max") > 0

    def cpu_ns(self) -> int:
        """CPU time of everything that ever ran in the group; 0 where nobody counts it.

        `wait4` misses processes that were killed with their namespace: the kernel reaps those
        itself. A run could hide its work in such a process.
        """
        for folder in self._folders:
            with contextlib.suppress(OSError):
                return int((folder / "cpuacct.usage").read_text())
        return 1000 * self._count(("cpu.stat",), "usage_usec")

    @property
    def counter(self) -> str:
        """The file that counts the group's CPU time; empty where nobody does."""
        files = [f / name for f in self._folders for name in ("cpuacct.usage", "cpu.stat")]
        return next((str(file) for file in files if file.exists()), "")

    def meter(self) -> GroupMeter:
        """Open the group's CPU clock.

        Raises:
            OSError: nobody counts CPU time here.
        """
        return GroupMeter(self._folders)

    def vanished(self) -> str:
        """The part of the group that somebody has removed, and its limits with it; else empty."""
        return next((str(folder) for folder in self._folders if not folder.exists()), "")

    def left(self) -> list[str]:
        """What is still there, in words."""
        return [f"control group {folder}" for folder in self._folders if folder.exists()]

    def remove(self) -> bool:
        """Remove the group if it is empty; whether it is gone."""
        for folder in self._folders:
            with contextlib.suppress(OSError):
                folder.rmdir()
        return not any(folder.exists() for folder in self._folders)

    def clear(self) -> None:
        """Kill what is left in the group, and remove it. Blocking.

        Only needed where a run did not end in order; `left` tells what still does not go.
        """
        until = time.monotonic() + _CLEAR_SECONDS
        while not self.remove() and time.monotonic() < until:
            for procs in self.procs:
                with contextlib.suppress(OSError):
                    for pid in set(Path(procs).read_text().split()) - {"0"}:
                        os.kill(int(pid), signal.SIGKILL)
            time.sleep(_CLEAR_STEP)

    def _count(self, names: tuple[str, ...], key: str) -> int:
        for folder in self._folders:
            for name in names:
                with contextlib.suppress(OSError):
                    rows = (line.split() for line in (folder / name).read_text().splitlines())
                    return next((int(row[1]) for row in rows if row[0] == key), 0)
        return 0


class Groups:
    """Where groups can be made on this machine."""

    def __init__(self, label: str, parents: tuple[Path, ...]) -> None:
        """Use these parents.

        Args:
            label: `cgroup-v1` or `cgroup-v2`.
            parents: folder(s) beneath which groups are made.
        """
        self.label = label
        self._parents = parents

    @classmethod
    def find(cls, root: Path = _ROOT, membership: Path = Path("/proc/self/cgroup")) -> Self | None:
        """Find a place that really works, or None."""
        try:
            rows = [line.split(":", 2) for line in membership.read_text().splitlines()]
        except OSError:
            return None
        own = {name: path for _, names, path in rows for name in names.split(",")}
        for label, parents in (("cgroup-v2", _v2(root, own)), ("cgroup-v1", _v1(root, own))):
            if parents and (groups := cls(label, parents)).works():
                return groups
        return None

    def create(self, name: str, *, memory: int, processes: int) -> Group:
        """Make the group of one run.

        Args:
            name: begins with our process id and a dash, so that a later engine can sweep.
            memory: bytes.
            processes: processes and threads.

        Raises:
            OSError: it cannot be made any more.
        """
        folders = tuple(p / f"{_PREFIX}{name}" for p in self._parents)
        try:
            for folder in folders:
                folder.mkdir()
            _limit(folders, memory, processes)
        except OSError:
            Group(folders).remove()
            raise
        return Group(folders)

    def sweep(self) -> int:
        """Remove groups that killed engines left behind, and end what still runs in them; how many.

        A run's processes die with its namespace; without one (Landlock, no containment) a daemon
        of the run outlives launcher and engine, and would work on beside the next measurement.
        """
        folders = [f for parent in self._parents for f in parent.glob(f"{_PREFIX}*")]
        left = [f for f in folders if owner.is_gone(f.name.removeprefix(_PREFIX))]
        for folder in left:
            Group((folder,)).clear()
        return len({folder.name for folder in left})

    def works(self) -> bool:
        """Whether a group with limits can really be made."""
        try:
            self.create(
                f"{owner.label()}-probe-{uuid.uuid4().hex}", memory=1 << 28, processes=8
            ).remove()
        except OSError:
            return False
        return True


def _limit(folders: tuple[Path, ...], memory: int, processes: int) -> None:
    first = folders[0]
    if (first / "memory.limit_in_bytes").exists():
        (first / "memory.limit_in_bytes").write_text(str(memory))
        swap = first / "memory.memsw.limit_in_bytes"
    else:
        (first / "memory.max").write_text(str(memory))
        swap = first / "memory.swap.max"
        memory = 0
    with contextlib.suppress(FileNotFoundError):  # a kernel without swap accounting
        swap.write_text(str(memory))
    pids = next((f for f in folders if (f / "pids.max").exists()), first)
    (pids / "pids.max").write_text(str(processes + _OWN_PROCESSES))


def _v1(root: Path, own: dict[str, str]) -> tuple[Path, ...]:
    if not all(controller in own for controller in _V1):
        return ()
    counted = (*_V1, _V1_CPU) if _V1_CPU in own else _V1
    places = [(root / c, root / c / own[c].lstrip("/")) for c in counted]
    # In a container the path may be one of the host, which is not there to see.
    return tuple(place if place.is_dir() else mount for mount, place in places)


def _v2(root: Path, own: dict[str, str]) -> tuple[Path, ...]:
    place = root / own.get("", "").lstrip("/")
    if not (root / "cgroup.subtree_control").exists():
        return ()
    for folder in (place, *place.parents):
        if not folder.is_relative_to(root):
            break
        with contextlib.suppress(OSError):
            enabled = (folder / "cgroup.subtree_control").read_text().split()
            if {"memory", "pids"} <= set(enabled) and os.access(folder, os.W_OK):
                return (folder,)
    return ()
