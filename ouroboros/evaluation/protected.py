"""Protected files: tests, benchmarks, generators, configuration. What judges is the baseline's.

Trees are compared file by file, since the screen judged a diff and this is what will run. Against
the anchor, an older commit, both sides must still run the same benchmark: the anchor's tree gets
today's protected files, so that only what is measured is old.
"""

import os
import shutil
from pathlib import Path

from ouroboros.errors import EvaluationError
from ouroboros.model.globs import matches
from ouroboros.model.text import safe_line

CACHES = "__pycache__"
"""Compiled by us, in every tree."""


def check_same(base: Path, candidate: Path, patterns: tuple[str, ...]) -> None:
    """Refuse a candidate whose protected files are not the baseline's. Blocking.

    The screen has refused such a diff; this looks at the trees themselves.

    Raises:
        EvaluationError: they differ.
    """
    mine, theirs = _protected(candidate, patterns), _protected(base, patterns)
    for path in sorted(mine | theirs):
        if path in mine & theirs and _content(candidate / path) == _content(base / path):
            continue
        raise EvaluationError(
            f"The candidate differs from its base in the protected file {safe_line(path)}.",
            hint="Protected files are changed by people, not by candidates.",
        )


def take_over(tree: Path, source: Path, patterns: tuple[str, ...]) -> None:
    """Replace the protected files of a tree by those of another one. Blocking.

    Raises:
        OSError: a file of one lies where the other has a folder.
    """
    for path in _protected(tree, patterns):
        (tree / path).unlink()
    for path in sorted(_protected(source, patterns)):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, tree / path, follow_symlinks=False)


def _protected(tree: Path, patterns: tuple[str, ...]) -> set[str]:
    found = set()
    for folder, folders, files in os.walk(tree):
        if CACHES in folders:
            folders.remove(CACHES)
        links = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114 - a hot loop over strings
        for name in (*files, *links):
            path = os.path.relpath(f"{folder}/{name}", tree)
            if matches(path, patterns):
                found.add(path)
    return found


def _content(path: Path) -> bytes:
    return os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
