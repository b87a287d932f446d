"""Whose is this? How things that must be found again after a kill name the process they belong to.

Folders, control groups and marks of runs begin with `<pid>-s<start>`. The number alone does not
do: it is given again, and in a container the next engine usually has the very same one. The start
of the process (in the kernel's ticks since boot) tells the two apart.
"""

import os
import re

import psutil

_LABEL = re.compile(r"(?P<pid>[0-9]+)(?:-s(?P<start>[0-9]+))?(?:-|$)")


def label() -> str:
    """Return how this process names what is its own."""
    return f"{os.getpid()}-s{_facts(os.getpid())[1]}"


def is_gone(name: str) -> bool:
    """Tell whether a name begins with the label of a process that is not there any more."""
    found = _LABEL.match(name)
    if found is None:
        return False
    pid = int(found["pid"])
    if not psutil.pid_exists(pid):
        return True
    state, start = _facts(pid)
    if state == "Z":
        return True  # killed, and only not waited for
    return found["start"] is not None and start not in {0, int(found["start"])}


def _facts(pid: int) -> tuple[str, int]:
    """A process's state and start; empty and 0 where that cannot be known, which proves nothing."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - read often, and quickly
            # The name in parentheses may hold anything; state and start come after it.
            fields = file.read().rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[19])
    except (OSError, ValueError, IndexError):
        pass
    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return "Z" if zombie else "", int(process.create_time() * 100)
    except (psutil.Error, OSError):
        return "", 0
