"""Three-way merge of trees in an index, without a work tree.

`git apply --3way`, `merge` and `revert` all consult the merge drivers that attributes name, which
are commands. Here only `git merge-file` runs, on plain bytes. A path conflicts when both sides
changed it and the texts do not merge, or when a file of one side stands where the other needs a
folder. Renames are not followed: a change to a file that was renamed meanwhile is a conflict.
"""

from pathlib import Path
from typing import NamedTuple

from ouroboros.errors import GitError
from ouroboros.vcs.objects import NOTHING, REGULAR, Change, blobs, raw
from ouroboros.vcs.runner import Git


class Merged(NamedTuple):
    """The merged tree, or the paths that stand in its way."""

    tree: str
    conflicts: tuple[bytes, ...]


class _Entry(NamedTuple):
    mode: str
    id: str
    path: bytes


def merge(git: Git, scratch: Path, *, base: str, ours: str, theirs: str) -> Merged:
    """Bring the changes from `base` to `theirs` into `ours`.

    Args:
        git: with an index that may be overwritten.
        scratch: an existing folder for temporary files.
        base: tree or commit that both sides come from.
        ours: tree or commit that is changed.
        theirs: tree or commit whose changes are taken.
    """
    wanted, there = raw(git, base, theirs), raw(git, base, ours)
    entries: list[_Entry] = []
    conflicts: list[bytes] = []
    both: dict[bytes, tuple[Change, Change]] = {}
    for path, change in wanted.items():
        mine = there.get(path)
        if mine is None:
            if change.new_mode != NOTHING and _in_the_way(path, there):
                conflicts.append(path)
            else:
                entries.append(_Entry(change.new_mode, change.new_id, path))
        elif (mine.new_mode, mine.new_id) != (change.new_mode, change.new_id):
            both[path] = (mine, change)
    for path, (mine, change) in both.items():
        merged = _merge_file(git, scratch, path, mine, change)
        if merged is None:
            conflicts.append(path)
        else:
            entries.append(merged)
    if conflicts:
        return Merged("", tuple(sorted(conflicts)))
    git.run("read-tree", ours)
    set_entries(git, [(entry.mode, entry.id, entry.path) for entry in entries])
    return Merged(git.run("write-tree").line, ())


def set_entries(git: Git, entries: list[tuple[str, str, bytes]]) -> None:
    """Write entries (mode, object, path) into the index; mode `NOTHING` removes.

    Removals go first: a file may make room for a folder of the same name.
    """
    if not entries:
        return
    ordered = sorted(entries, key=lambda entry: entry[0] != NOTHING)
    lines = [f"{mode} {name}\t".encode() + path + b"\0" for mode, name, path in ordered]
    git.run("update-index", "-z", "--index-info", stdin=b"".join(lines))


def _in_the_way(path: bytes, there: dict[bytes, Change]) -> bool:
    """Tell whether our side put a file where `path` needs a folder, or the reverse."""
    parts = path.split(b"/")
    parents = {b"/".join(parts[:n]) for n in range(1, len(parts))}
    return any(
        change.new_mode != NOTHING and (other in parents or other.startswith(path + b"/"))
        for other, change in there.items()
    )


def _merge_file(
    git: Git, scratch: Path, path: bytes, mine: Change, theirs: Change
) -> _Entry | None:
    sides = (mine.old_mode, mine.new_mode, theirs.new_mode)
    if not all(mode in REGULAR for mode in sides):
        return None
    mode = theirs.new_mode if theirs.new_mode != mine.old_mode else mine.new_mode
    if mine.new_id == mine.old_id:
        return _Entry(mode, theirs.new_id, path)
    if theirs.new_id in {mine.old_id, mine.new_id}:
        return _Entry(mode, mine.new_id, path)
    contents = blobs(git, [mine.new_id, mine.old_id, theirs.new_id])
    names = []
    for label, name in (("ours", mine.new_id), ("base", mine.old_id), ("theirs", theirs.new_id)):
        (scratch / label).write_bytes(contents[name])
        names.append(str(scratch / label))
    # The status counts the conflicts; 255 is an error, with binary files as the common one.
    output = git.run("merge-file", "-p", *names, ok=range(256))
    if output.status == 0:
        return _Entry(mode, write_blob(git, output.out), path)
    if output.status < 128 or "binary" in output.err.lower():  # noqa: PLR2004 - git's own limit
        return None
    raise GitError(f"'git merge-file' failed: {output.err.strip()[:300]}")


def write_blob(git: Git, data: bytes) -> str:
    """Store bytes as a blob, unfiltered."""
    return git.run("hash-object", "-w", "--no-filters", "--stdin", stdin=data).line
