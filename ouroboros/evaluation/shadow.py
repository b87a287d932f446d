"""New files of a candidate that would be imported in place of what judges it.

The tree stands on the import path before the test framework and before most of the standard
library: a new `pytest.py` or `json.py` at its root would be loaded instead of the real one, by
our reporter too. The screen looks at such names in the diff; this looks at the trees that are
about to run, with the names that the test run itself needs. What the baseline has already is the
target's own business.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_JUDGES = {
    *(
        "pytest",
        "_pytest",
        "pluggy",
        "iniconfig",
        "packaging",
        "exceptiongroup",
        "tomli",
        "pygments",
    ),
    *("hypothesis", "xdist", "execnet", "sitecustomize", "usercustomize"),
}
_OURS = "_ouroboros_"


def shadowing(base: Path, candidate: Path, roots: Sequence[str]) -> tuple[str, ...]:
    """Return what a candidate adds in the way of the test run. Blocking.

    Args:
        base: the baseline's tree.
        candidate: the candidate's tree.
        roots: folders of the tree on the import path, relative to it.
    """
    found = []
    for root in dict.fromkeys((".", *roots)):
        new = _modules(candidate / root) - _modules(base / root)
        found += [os.path.normpath(f"{root}/{name}") for name in new if _judges(name)]
    return tuple(sorted(set(found)))


def _modules(folder: Path) -> set[str]:
    try:
        return {path.name.partition(".")[0] for path in folder.iterdir() if _importable(path)}
    except OSError:
        return set()  # no such folder, or a file in its place


def _importable(path: Path) -> bool:
    """A folder without `__init__` gives way to a module of that name further down the path."""
    if path.is_dir():
        return any(path.glob("__init__.*"))
    return path.suffix in (".py", ".pyc", ".so", ".pyd")


def _judges(name: str) -> bool:
    return name in sys.stdlib_module_names or name in _JUDGES or name.startswith(_OURS)
