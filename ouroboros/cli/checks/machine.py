"""Checks of this machine: Python, and git together with what our git refuses to run."""

import platform
import sys
import tempfile
from pathlib import Path

from ouroboros.cli.checks.patient import FAIL, OK, WARN, Patient
from ouroboros.cli.results import Check, Finding


def python(_: Patient) -> Check:
    """The engine's own interpreter."""
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.prefix == sys.base_prefix:
        return Check(
            name="python",
            status=WARN,
            text=f"{text}, not in a virtual environment",
            fix="Install Ouroboros in an environment of its own, for instance with pipx.",
        )
    return Check(name="python", status=OK, text=text)


def git(_: Patient) -> Check:
    """Version, and a repository full of traps, of which our git must spring none."""
    from ouroboros.vcs.runner import executable, version
    from ouroboros.vcs.selftest import BROKEN, HELD, traps

    found = executable()
    text = f"{'.'.join(map(str, version(found)))} at {found}"
    with tempfile.TemporaryDirectory(prefix="ouroboros-doctor-") as folder:
        laid = traps(Path(folder))
    rows = tuple(
        Finding(name=t.name, group="git", status=t.status, text=t.text, promise=t.promise)
        for t in laid
    )
    sprung = [t.name for t in laid if t.status == BROKEN]
    if sprung:
        return Check(
            name="git",
            status=FAIL,
            text=f"{text}; a repository's own programs ran: {', '.join(sprung)}",
            fix="Update git and Ouroboros; until then do not point it at a repository whose "
            "configuration is not yours.",
            rows=rows,
        )
    held = ", ".join(t.name for t in laid if t.status == HELD)
    off = f"; off in our git: {held}" if held else "; no trap could be set here"
    return Check(name="git", status=OK, text=f"{text}{off}", rows=rows)
