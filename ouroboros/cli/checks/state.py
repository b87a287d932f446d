"""Checks of the state folder with the disk below it, and of the engine."""

import os
import shutil
import tempfile
from pathlib import Path

from ouroboros.cli import reach
from ouroboros.cli.checks.patient import FAIL, OK, WARN, Patient, skipped
from ouroboros.cli.results import Check, Finding
from ouroboros.cli.words import size
from ouroboros.errors import EngineUnreachableError
from ouroboros.paths import Paths, make_private, paths_for

_LEAST_FREE = 256 << 20
_LITTLE_FREE = 1 << 30
_LEAST_INODES = 2_000
_LITTLE_INODES = 50_000
_FLEETING = ("tmpfs", "ramfs", "overlay")
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "lustre", "afs")
_FULL = "a full disk halts the engine."


def state(patient: Patient) -> Check:
    """Permissions, file system, free space and free inodes of where state and scratch lie."""
    if patient.paths is None:
        base = paths_for(Path("/none"), os.environ).state.parent
        folder, text = _existing(base), f"{base} (no repository)"
    else:
        folder = patient.paths.state
        make_private(folder)
        text = str(folder)
    temporary = Path(tempfile.gettempdir())
    places = (("state", folder), ("temporary files", temporary))
    problems = [p for name, place in places for p in _space(name, place)]
    problems += _kind(folder)
    kind = file_system(folder)
    text = f"{text}, {size(shutil.disk_usage(folder).free)} free on {kind}"
    if os.stat(temporary).st_dev != os.stat(folder).st_dev:  # noqa: PTH116 - two numbers
        text += f"; {size(shutil.disk_usage(temporary).free)} in {temporary}"
    rows = tuple(_row(name, place) for name, place in places)
    if not problems:
        return Check(name="state", status=OK, text=text, rows=rows)
    status = FAIL if any(s == FAIL for s, _, _ in problems) else WARN
    said = "; ".join(what for _, what, _ in problems)
    fix = " ".join(dict.fromkeys(how for _, _, how in problems))
    return Check(name="state", status=status, text=f"{text}: {said}", fix=fix, rows=rows)


def _row(name: str, place: Path) -> Finding:
    text = f"{place}: {file_system(place)}, {size(shutil.disk_usage(place).free)} free"
    inodes = _inodes(place)
    return Finding(
        name=name,
        group="disk",
        status="info",
        text=text if inodes is None else f"{text}, {inodes} inodes free",
    )


def _space(name: str, place: Path) -> list[tuple[str, str, str]]:
    """Return (status, what, fix) of everything that is scarce."""
    found = []
    free = shutil.disk_usage(place).free
    if free < _LEAST_FREE:
        fix = f"Free at least {size(_LEAST_FREE)}: {_FULL}"
        found.append((FAIL, f"no space for {name}", fix))
    elif free < _LITTLE_FREE:
        found.append((WARN, f"little space for {name}", f"Free some space: {_FULL}"))
    inodes = _inodes(place)
    if inodes is not None and inodes < _LITTLE_INODES:
        status = FAIL if inodes < _LEAST_INODES else WARN
        fix = f"Remove files from {place}: no more than {inodes} new ones fit there."
        found.append((status, f"few inodes for {name}", fix))
    return found


def _inodes(place: Path) -> int | None:
    """Free inodes; None where the file system does not count them."""
    counts = os.statvfs(place)
    return counts.f_favail if counts.f_files else None


def _kind(folder: Path) -> list[tuple[str, str, str]]:
    kind = file_system(folder)
    if kind in _FLEETING:
        fix = "Set XDG_STATE_HOME to a folder on a disk: the ledger would not outlive a restart."
        return [(WARN, f"it lies on a {kind}", fix)]
    if kind in _REMOTE:
        fix = "Set XDG_STATE_HOME to a local disk: locks and fsync of the ledger are not to be "
        return [(WARN, f"it lies on {kind}", f"{fix}trusted over a network.")]
    return []


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds a folder; `unknown` where nobody says."""
    real = folder.resolve()
    best, kind = -1, "unknown"
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return kind
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode().decode("unicode_escape")
        if real.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), after.split()[0]
    return kind


def _existing(folder: Path) -> Path:
    return next(f for f in (folder, *folder.parents) if f.is_dir())


def engine(patient: Patient) -> Check:
    """Whether an engine runs, and how it is."""
    if patient.paths is None and patient.settings.socket is None:
        return skipped("engine")
    from rpc import wire

    socket = reach.socket_of(patient.settings)
    try:
        reach.probe(socket)
    except EngineUnreachableError as error:
        if not socket.exists():
            return Check(name="engine", status=OK, text="not running")
        return Check(name="engine", status=WARN, text=error.message, fix=error.hint)
    status = reach.call(patient.settings, wire.EngineStatusGet())
    text = f"{status.activity}, pid {status.pid}, log {_log(patient.paths)}"
    if status.halt_reason:
        return Check(name="engine", status=FAIL, text=text, fix=status.halt_reason)
    return Check(name="engine", status=OK, text=text)


def _log(paths: Paths | None) -> str:
    log = paths.state / "engine.log" if paths else None
    return str(log) if log and log.exists() else "where 'serve' was started"
