"""Reading commits: differences, files, contents. Nothing here writes.

Renames are never followed: a rename is a deletion and an addition, because the screen must see the
path that goes away (a protected test that is "renamed" is a protected test that is deleted).
"""

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ouroboros.errors import GitError, TargetError
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.vcs import paths
from ouroboros.vcs.runner import Git, failure
from ouroboros.vcs.values import FileMode, Source

NOTHING = "000000"
"""The mode of a side on which the path does not exist."""
REGULAR = frozenset({"100644", "100755"})

_DIFF = ("diff-tree", "-r", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
_NO_OBJECT = 128
_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_STATUS = {"A": FileStatus.ADDED, "D": FileStatus.DELETED}


class Change(NamedTuple):
    """One path of a raw diff: mode and object on both sides."""

    old_mode: str
    new_mode: str
    old_id: str
    new_id: str
    status: str


class Leaf(NamedTuple):
    """One file, link or submodule of a tree."""

    mode: str
    id: str
    path: bytes


class Commit(NamedTuple):
    """The facts of a commit that this room needs. `time` is in seconds."""

    id: str
    tree: str
    parents: tuple[str, ...]
    time: int


def commit(git: Git, name: str) -> Commit:
    """Read one commit by its full id.

    Raises:
        TargetError: there is no such commit.
    """
    with reading(git, name) as read:
        return read()


@contextmanager
def reading(git: Git, name: str) -> Iterator[Callable[[], Commit]]:
    """Begin to read one commit; the function that is handed out waits for it, and raises."""
    if not _ID.fullmatch(name):
        raise TargetError(f"Expected the full id of a commit, got {name!r}.")
    with git.begun("cat-file", "commit", name) as end:

        def read() -> Commit:
            output = end()
            if output.status == _NO_OBJECT:
                raise _missing(git, name)
            if output.status:
                raise failure(["cat-file"], output)
            return _commit(name, output.out)

        yield read


def lineage(git: Git, name: str) -> tuple[Commit, Commit | None]:
    """Read a commit and its first parent, if it has one, by one process.

    Raises:
        TargetError: there is no such commit.
    """
    if not _ID.fullmatch(name):
        raise TargetError(f"Expected the full id of a commit, got {name!r}.")
    data = git.run("cat-file", "--batch", stdin=f"{name}\n{name}^1\n".encode()).out
    found: list[Commit] = []
    while data:
        line, _, data = data.partition(b"\n")
        if line.endswith((b" missing", b" ambiguous")):
            continue
        at, kind, size = header(line)
        if kind == "commit":
            found.append(_commit(at, data[:size]))
        data = data[size + 1 :]
    if not found or found[0].id != name:
        raise _missing(git, name)
    return found[0], found[1] if len(found) > 1 else None


def _missing(git: Git, name: str) -> TargetError:
    return TargetError(
        f"There is no commit {name} in {git.directory}.",
        hint="If history was rewritten and pruned, restore it from a copy of the repository.",
    )


def _commit(name: str, data: bytes) -> Commit:
    header = data.partition(b"\n\n")[0].decode("utf-8", "replace")
    fields = [line.split(" ") for line in header.split("\n")]
    when = next(f for f in fields if f[0] == "committer")[-2]
    return Commit(
        id=name,
        tree=fields[0][1],
        parents=tuple(f[1] for f in fields if f[0] == "parent"),
        time=max(0, int(when)),
    )


def raw(git: Git, old: str, new: str) -> dict[bytes, Change]:
    """Return what differs between two trees (or commits), path by path."""
    output = git.run(*_DIFF, "-z", "--raw", "--no-abbrev", old, new)
    tokens = iter(output.out.split(b"\0")[:-1])
    return {next(tokens): _change(token) for token in tokens}


def _change(token: bytes) -> Change:
    old_mode, new_mode, old_id, new_id, status = token.decode("ascii").lstrip(":").split(" ")
    return Change(old_mode, new_mode, old_id, new_id, status)


def changes(git: Git, old: str, new: str) -> tuple[FileChange, ...]:
    """Return the changed files with their line counts (-1: binary)."""
    return tuple(counted(git, old, new).values())


def counted(git: Git, old: str, new: str) -> dict[bytes, FileChange]:
    """Return the changed files by path."""
    changed, counts = _between(git, old, new)
    return {
        path: FileChange(
            path=paths.shown(path),
            status=_STATUS.get(change.status[0], FileStatus.MODIFIED),
            added=counts.get(path, (0, 0))[0],
            removed=counts.get(path, (0, 0))[1],
        )
        for path, change in changed.items()
    }


def between(git: Git, old: str, new: str) -> dict[bytes, Change]:
    """Return what `raw` does of two commits, whose difference may be known from `counted`."""
    return dict(_between(git, old, new)[0])


@functools.lru_cache(maxsize=4)
def _between(
    git: Git, old: str, new: str
) -> tuple[dict[bytes, Change], dict[bytes, tuple[int, int]]]:
    """Return changes and line counts; of full ids, which always mean the same."""
    output = git.run(*_DIFF, "-z", "--raw", "--numstat", "--no-abbrev", old, new)
    changed: dict[bytes, Change] = {}
    counts: dict[bytes, tuple[int, int]] = {}
    tokens = iter(output.out.split(b"\0")[:-1])
    for token in tokens:
        if token.startswith(b":"):
            changed[next(tokens)] = _change(token)
            continue
        added, removed, path = token.split(b"\t", 2)
        before = counts.get(path, (0, 0))
        counts[path] = (_sum(before[0], added), _sum(before[1], removed))
    return changed, counts


def _sum(before: int, count: bytes) -> int:
    return -1 if count == b"-" or before < 0 else before + int(count)


def modes(git: Git, old: str, new: str) -> tuple[FileMode, ...]:
    """Return the file types on both sides of every changed path."""
    return tuple(
        FileMode(path=paths.shown(path), old=change.old_mode, new=change.new_mode)
        for path, change in raw(git, old, new).items()
    )


def diff(git: Git, old: str, new: str) -> str:
    """Return the whole unified diff; bytes that are no UTF-8 become U+FFFD."""
    output = git.run(*_DIFF, "-p", "--full-index", old, new)
    return output.out.decode("utf-8", "replace")


def leaves(git: Git, tree: str) -> list[Leaf]:
    """Return every file, link and submodule of a tree."""
    found = []
    for record in git.run("ls-tree", "-r", "-z", "--full-tree", tree).out.split(b"\0")[:-1]:
        meta, _, path = record.partition(b"\t")
        mode, _, name = meta.decode("ascii").split(" ")
        found.append(Leaf(mode, name, path))
    return found


def read_file(git: Git, tree: str, path: str) -> bytes | None:
    """Return the contents of one file (of a link: its target); None where there is no such file."""
    if not path or "\0" in path:
        return None
    wanted = paths.encode(path)
    found = git.run("ls-tree", "-z", "--full-tree", tree, "--", paths.argument(wanted)).out
    for record in found.split(b"\0")[:-1]:
        meta, _, name = record.partition(b"\t")
        _, kind, blob = meta.decode("ascii").split(" ")
        if name == wanted and kind == "blob":
            return git.run("cat-file", "blob", blob).out
    return None


def blobs(git: Git, ids: list[str]) -> dict[str, bytes]:
    """Return the contents of a few blobs, read by one process."""
    contents: dict[str, bytes] = {}
    wanted = "".join(f"{name}\n" for name in dict.fromkeys(ids))
    data = git.run("cat-file", "--batch", stdin=wanted.encode()).out
    position = 0
    while position < len(data):
        end = data.index(b"\n", position)
        name, kind, size = header(data[position:end])
        if kind != "blob":
            raise GitError(f"Object {name} is a {kind}, expected a blob.")
        contents[name] = data[end + 1 : end + 1 + size]
        position = end + 1 + size + 1
    return contents


def sources(git: Git, old: str, new: str, *, limit: int, total: int) -> tuple[Source, ...]:
    """Return the contents of every changed file on both sides, read by two processes.

    Sides larger than `limit` bytes, and what goes beyond `total`, are left out; the value says so.
    """
    changed = raw(git, old, new)
    sides = {
        path: (
            change.old_id if change.old_mode in REGULAR else "",
            change.new_id if change.new_mode in REGULAR else "",
        )
        for path, change in changed.items()
    }
    every = list(dict.fromkeys(side for pair in sides.values() for side in pair if side))
    small = []
    for name, size in _sizes(git, every):
        if size <= min(limit, total):
            small.append(name)
            total -= size
    contents = blobs(git, small) if small else {}
    return tuple(
        _source(path, changed[path], contents.get(before), contents.get(after))
        for path, (before, after) in sides.items()
    )


def _source(path: bytes, change: Change, before: bytes | None, after: bytes | None) -> Source:
    left_out = (change.old_mode != NOTHING and before is None) or (
        change.new_mode != NOTHING and after is None
    )
    return Source(path=paths.shown(path), before=before, after=after, whole=not left_out)


def _sizes(git: Git, ids: list[str]) -> Iterator[tuple[str, int]]:
    wanted = "".join(f"{name}\n" for name in ids)
    if wanted:
        output = git.run("cat-file", "--batch-check", stdin=wanted.encode())
        for line in output.out.splitlines():
            name, _, size = header(line)
            yield name, size


def header(line: bytes) -> tuple[str, str, int]:
    """Read a line of `git cat-file --batch`: object, type, size.

    Raises:
        GitError: the object is missing or damaged.
    """
    parts = line.decode("ascii", "replace").split(" ")
    if len(parts) != 3:  # noqa: PLR2004 - name, type and size
        raise GitError(
            f"git cannot read an object: {' '.join(parts)}.",
            hint="Run 'git fsck' in the repository; restore missing objects from a copy.",
        )
    return parts[0], parts[1], int(parts[2])
