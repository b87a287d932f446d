"""Laying out the files of a commit in a folder, exactly as they are stored.

Not `git checkout` or `git archive`: those run filters and obey attributes, which a candidate can
write. Here every file has the bytes of its blob, and there is no `.git` beside them.

Symbolic links are made after all files (so nothing is ever written through one), and those that
lead out of the tree are then taken away again. The question is put to the file system, not to the
text of the links, because links lead through links: with `s/d -> ..`, the harmless looking
`x -> s/d/../..` leaves the tree. Submodules are left out; their commits are not here.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from ouroboros.errors import GitError, MachineError
from ouroboros.vcs import paths
from ouroboros.vcs.objects import header, leaves
from ouroboros.vcs.runner import Git

_CHUNK = 1 << 20
_LINK = "120000"
_SUBMODULE = "160000"
_EXECUTABLE = "100755"


def export(git: Git, tree: str, dest: Path) -> None:
    """Write the files of a commit below `dest`, an empty or new folder.

    Raises:
        GitError: a path that cannot be a file's (`..`, `.git`), or an object that is missing.
        MachineError: the folder cannot be written.
    """
    try:
        _export(git, tree, dest)
    except OSError as error:
        raise MachineError(
            f"The files of {tree[:12]} cannot be written to {dest}: {error.strerror}.",
            hint="Free some space there, or correct its permissions.",
        ) from error


def _export(git: Git, tree: str, dest: Path) -> None:
    dest.mkdir(parents=True, exist_ok=True)
    wanted = [leaf for leaf in leaves(git, tree) if leaf.mode != _SUBMODULE]
    for leaf in wanted:
        _check(leaf.path)
    # Links last, whatever the order of the tree.
    wanted.sort(key=lambda leaf: leaf.mode == _LINK)
    folders: set[Path] = set()
    request = "".join(f"{leaf.id}\n" for leaf in wanted).encode()
    links = []
    with git.stream("cat-file", "--batch", stdin=request) as source:
        for leaf in wanted:
            target = paths.inside(dest, leaf.path)
            _make_folder(target.parent, folders)
            size = _size(source)
            if leaf.mode == _LINK:
                target.symlink_to(os.fsdecode(source.read(size)))
                links.append(target)
            else:
                _copy(source, size, target, 0o777 if leaf.mode == _EXECUTABLE else 0o666)
            source.read(1)
    _remove_leading_out(links, dest.resolve())


def _check(path: bytes) -> None:
    parts = path.split(b"/")
    if any(part in {b"", b".", b".."} or part.lower() == b".git" for part in parts):
        raise GitError(f"The tree holds a path that cannot be written: {paths.shown(path)!r}.")


def _make_folder(folder: Path, known: set[Path]) -> None:
    if folder not in known:
        folder.mkdir(parents=True, exist_ok=True)
        known.add(folder)


def _size(source: IO[bytes]) -> int:
    name, kind, size = header(source.readline().rstrip(b"\n"))
    if kind != "blob":
        raise GitError(f"Object {name} is a {kind}, expected a blob.")
    return size


def _copy(source: IO[bytes], size: int, target: Path, mode: int) -> None:
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb", buffering=0) as file:
        while size:
            chunk = source.read(min(size, _CHUNK))
            if not chunk:
                raise GitError("git ended in the middle of a file.", hint="Run 'git fsck'.")
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
            size -= len(chunk)


def _remove_leading_out(links: Iterable[Path], root: Path) -> None:
    """Remove links until none leads out; each removal can change where another one leads."""
    left = list(links)
    while True:
        leading_out = [link for link in left if not _leads_inside(link, root)]
        if not leading_out:
            return
        for link in leading_out:
            link.unlink()
        left = [link for link in left if link not in set(leading_out)]


def _leads_inside(link: Path, root: Path) -> bool:
    if link.readlink().is_absolute():
        return False
    # Not `Path.resolve`: it raises on links that lead in a circle, which are harmless here.
    return Path(os.path.realpath(link)).is_relative_to(root)
