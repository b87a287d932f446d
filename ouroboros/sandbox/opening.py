"""Opening a sandbox: a private folder, what this machine offers, and what dead engines left."""

import contextlib
import os
import tempfile
from pathlib import Path

import psutil

from ouroboros.config import Sandbox as Limits
from ouroboros.model.evaluation import SandboxLevel
from ouroboros.sandbox import drop, landlock
from ouroboros.sandbox.cgroups import Groups
from ouroboros.sandbox.ladder import Rung, choose
from ouroboros.sandbox.removal import remove
from ouroboros.sandbox.root import write_etc
from ouroboros.sandbox.strays import end_strays

_SCRATCH = "ouroboros-sandbox-"


def scratch_folder(parent: Path | None) -> Path:
    """Make a private folder, and remove those of engines that were killed. Blocking."""
    parent = parent or Path(tempfile.gettempdir())
    for old in parent.glob(f"{_SCRATCH}*"):
        pid = old.name.removeprefix(_SCRATCH).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            with contextlib.suppress(OSError):
                remove(str(old))
    return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-", dir=parent))


def level(binary: Rung, groups: Groups | None) -> SandboxLevel:
    """Put into words what contains runs, for the record."""
    limits = groups.label if groups else "rlimits+watchdog"
    if isinstance(binary, landlock.Landlock):
        return landlock.level(binary, limits)
    if binary is None:
        return SandboxLevel(backend="none", version="", limits=limits, network=True)
    overlay = "overlay" if binary.overlay else "copy"
    version = f"{binary.version} ({binary.origin}, {overlay})"
    return SandboxLevel(
        backend="bwrap",
        version=version,
        limits=limits,
        drop=f"uid {drop.USER}" if binary.step else "user",
        seccomp=bool(binary.program),
    )


def discover(limits: Limits, folder: Path) -> tuple[Rung, Groups | None]:
    """Try everything once. Blocking."""
    end_strays(_of_a_dead_engine)
    write_etc(folder / "etc")
    groups = Groups.find()
    if groups is not None:
        groups.sweep()
    return choose(limits, folder), groups


def _of_a_dead_engine(mark: str) -> bool:
    pid = mark.partition("-")[0]
    return pid.isdigit() and not psutil.pid_exists(int(pid))
