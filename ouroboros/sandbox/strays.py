"""Ending what a dead launcher or a dead engine left behind.

Everything dies with the launcher by the kernel's own doing, with one gap: bubblewrap's inner
process asks for its parent's death signal only a few milliseconds after it was forked, and a
launcher that is killed within them leaves it behind. It carries the mark of its run in its
environment (outside of the sandbox; inside, the environment is another), and is found by it.
"""

import contextlib
from collections.abc import Callable

import psutil

from ouroboros.sandbox.launcher import RUN_MARK

_ROUNDS = 5


def end_strays(ours: Callable[[str], bool]) -> int:
    """Kill all processes whose mark is `ours`, until none is found; how many. Milliseconds."""
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        found = [process for process in psutil.process_iter() if ours(_mark(process))]
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not found:
            break
        ended |= {process.pid for process in found}
        psutil.wait_procs(found, timeout=1)
    return len(ended)


def marked(mark: str) -> list[int]:
    """Return the processes that carry exactly this mark."""
    return [process.pid for process in psutil.process_iter() if _mark(process) == mark]


def _mark(process: psutil.Process) -> str:
    try:
        return process.environ().get(RUN_MARK, "")
    except (psutil.Error, OSError):
        return ""  # gone, or somebody else's
