"""Guards against code that is not ours answering to our packages' names.

`rpc` and `tui` are generic names. Three accidents were reproduced: another distribution's wheel
replaces one of them without a word; a target's own `rpc/` folder wins by the working directory;
and it wins by PYTHONPATH. Each would run foreign code inside the engine, so each fails closed
here. `find_spec` of a top-level name finds a package without executing it, and the owner marker
is read as text for the same reason.

What stays outside of any guard written in Python: a `sitecustomize.py` on PYTHONPATH runs before
the first line of ours. The engine is therefore always started again with `-I`
(`isolated_command`) when its interpreter was not.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from ouroboros.errors import MachineError

PACKAGES = ("rpc", "tui")
"""Our packages with names that others use too."""

_OWNER = re.compile(r'^OWNER = "ouroboros-daemon"$', re.MULTILINE)

_PYTHON_VARIABLES = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONPLATLIBDIR",
    "PYTHONINSPECT",
    "PYTHONBREAKPOINT",
    "PYTHONWARNINGS",
)
"""Variables by which an environment can bring code or a path into an interpreter."""


def check_packages(names: Sequence[str] = PACKAGES) -> None:
    """Refuse to go on unless our packages are the ones that would be imported.

    Raises:
        MachineError: one is missing, lies elsewhere, or carries another owner's marker.
    """
    home = Path(__file__).resolve().parents[2]
    for name in names:
        _check_package(name, home)


def _check_package(name: str, home: Path) -> None:
    spec = find_spec(name)
    found = spec.origin if spec is not None else None
    expected = home / name / "__init__.py"
    if found is None:
        raise MachineError(
            f"The package '{name}' of Ouroboros is missing: expected {expected}, found "
            f"{'a folder without __init__.py' if spec else 'nothing'}.",
            hint="Install ouroboros-daemon again, in a virtual environment of its own.",
        )
    if Path(found).resolve() != expected:
        raise MachineError(
            f"The package '{name}' would be imported from {found} instead of {expected}; "
            "refusing to run code that is not Ouroboros'.",
            hint=_way_out(found),
        )
    if not _OWNER.search(expected.read_text()):
        raise MachineError(
            f"{expected} belongs to another distribution that also ships a package '{name}'.",
            hint="Install ouroboros-daemon again, in a virtual environment of its own.",
        )


def _way_out(found: str) -> str:
    """Return the hint that fits where the foreign package came from."""
    entries = [e for e in os.environ.get("PYTHONPATH", "").split(os.pathsep) if e]
    if any(Path(found).resolve().is_relative_to(Path(e).resolve()) for e in entries):
        return "Unset PYTHONPATH, or take that folder out of it."
    return "Use the 'ouroboros' command, from a virtual environment of its own."


def isolated_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the command that runs Ouroboros with nothing but its own installation on the path."""
    development = ("-X", "dev") if sys.flags.dev_mode else ()
    return (sys.executable, "-I", *development, "-m", "ouroboros", *arguments)


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what could bring code into an interpreter of ours."""
    return {k: v for k, v in environ.items() if k not in _PYTHON_VARIABLES}


def ensure_isolated(arguments: Sequence[str]) -> None:
    """Start this process over as `python -I -m ouroboros` if it was not started so.

    The engine keeps its process id, so a supervisor sees one process. Returns only in the
    isolated interpreter, whose environment then has no PYTHONPATH to hand down.
    """
    if sys.flags.isolated:
        for name in _PYTHON_VARIABLES:
            os.environ.pop(name, None)
        return
    command = isolated_command(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, clean_environment(os.environ))  # noqa: S606 - an argv list, no shell
