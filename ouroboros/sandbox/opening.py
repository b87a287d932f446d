"""Opening a sandbox: a private folder, what this machine offers, and what dead engines left."""

import contextlib
import tempfile
from pathlib import Path
from typing import NamedTuple

from ouroboros import owner
from ouroboros.config import Sandbox as Limits
from ouroboros.model.evaluation import SandboxLevel
from ouroboros.sandbox import drop, landlock
from ouroboros.sandbox.cgroups import Groups
from ouroboros.sandbox.ladder import Rung, choose
from ouroboros.sandbox.removal import remove
from ouroboros.sandbox.root import write_etc
from ouroboros.sandbox.strays import end_strays

_SCRATCH = "ouroboros-sandbox-"


class Offer(NamedTuple):
    """What this machine offers, and what was ended and removed on the way, in words."""

    rung: Rung
    groups: Groups | None
    swept: tuple[str, ...]


def scratch_folder(parent: Path | None) -> Path:
    """Make a private folder. Blocking."""
    parent = parent or Path(tempfile.gettempdir())
    return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{owner.label()}-", dir=parent))


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


def discover(limits: Limits, folder: Path) -> Offer:
    """Clean up after engines that were killed, and try everything once. Blocking."""
    processes = end_strays(owner.is_gone)
    write_etc(folder / "etc")
    groups = Groups.find()
    left = groups.sweep() if groups is not None else 0
    folders = _sweep_folders(folder.parent)  # last: no process is left that writes to them
    counts = (
        (processes, "processes of runs"),
        (left, "control groups"),
        (folders, "scratch folders"),
    )
    told = ", ".join(f"{what}: {n}" for n, what in counts if n)
    swept = (f"cleaned up after dead engines ({told})",) if told else ()
    return Offer(choose(limits, folder), groups, swept)


def _sweep_folders(parent: Path) -> int:
    """Remove the private folders of engines that were killed; how many."""
    removed = 0
    for old in parent.glob(f"{_SCRATCH}*"):
        if owner.is_gone(old.name.removeprefix(_SCRATCH)):
            with contextlib.suppress(OSError):
                remove(str(old))
                removed += 1
    return removed
