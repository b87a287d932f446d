"""Proof of files: which code did the evaluation really run?

A copy of the target in site-packages, or a `path` that misses the `src` folder, makes baseline
and candidate run the same installed code: every candidate is then "neutral", and every test
passes. So the runs report the file of each imported module, and two questions are asked of it:
which changed files were loaded from the tree, and did a module that exists in the tree come from
elsewhere?
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ouroboros.evaluation.records import Modules
from ouroboros.model.text import safe_line

_ROOTS = (".", "src", "lib", "python")
"""Folders that packages usually lie in, besides `[environment] path`."""

_INSTALLED = ("/site-packages/", "/dist-packages/")


def loaded(tree: Path, changed: Sequence[str], reports: Iterable[Modules]) -> tuple[str, ...]:
    """Return `path:blob` of the changed files that were loaded from the tree. Blocking."""
    seen = {path for report in reports for _, path in report.inside}
    found = sorted(path for path in changed if path in seen and (tree / path).is_file())
    return tuple(f"{path}:{blob(tree / path)}" for path in found)


def blob(path: Path) -> str:
    """Return git's name for a file's content."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def wrong_files(tree: Path, roots: Sequence[str], reports: Iterable[Modules]) -> str:
    """Return what was loaded from elsewhere although the tree has it; empty if nothing was."""
    places = [tree / root for root in dict.fromkeys((*roots, *_ROOTS))]
    for report in reports:
        for name, file in report.outside:
            if _is_stdlib(file, report.stdlib):
                continue
            own = _in_tree(places, name)
            if own is not None:
                return (
                    f"The evaluation ran {safe_line(file)} instead of "
                    f"{safe_line(str(own.relative_to(tree)))} of the tree. Install the target in "
                    "editable mode, or set [environment] path to the folder that holds the package."
                )
    return ""


def _is_stdlib(file: str, stdlib: str) -> bool:
    return file.startswith(f"{stdlib}/") and not any(part in file for part in _INSTALLED)


def _in_tree(places: Sequence[Path], name: str) -> Path | None:
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for place in places:
        base = place.joinpath(*parts)
        for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if file.is_file():
                return file
    return None
