"""The user's work trees: which one has a branch checked out, and what he changed in it.

`inspect` sorts the paths of a move by comparing three places: the two commits, the index and the
files. It asks `git status` for index against files, with the user's own configuration, because
line endings and filters decide what "changed" means.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from ouroboros.errors import WorkTreeError
from ouroboros.model.text import safe_line
from ouroboros.vcs import paths
from ouroboros.vcs.objects import NOTHING, Change
from ouroboros.vcs.runner import FOLLOW_TIMEOUT, Git, executable, version

_LONGEST = 100_000
"""Bytes of paths that are put on a command line; with more, everything is asked for."""
_ELSEWHERE = b"ref: refs/heads/.invalid"
"""What HEAD says where refs are kept in another format (reftable): git itself must be asked."""
_UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase or am",
}


class Place(NamedTuple):
    """A work tree and its own git directory (where its HEAD and index are)."""

    path: Path
    directory: Path

    def git(self, *, index: Path | None = None, keep: tuple[int, ...] = ()) -> Git:
        """Return git for this work tree, with the user's configuration."""
        return Git(
            directory=self.directory,
            work_tree=self.path,
            index=index or self.directory / "index",
            user=True,
            keep=keep,
        )


class Status(NamedTuple):
    """One line of `git status`: index entry and whether the file differs from it."""

    index_mode: str
    index_id: str
    changed: bool
    unmerged: bool


class Findings(NamedTuple):
    """The paths of a move, sorted.

    `edits`: the user changed them. `half`: the file is already new, the index still old.
    What is in neither is unchanged or completely moved.
    """

    edits: list[bytes]
    half: list[bytes]


def checked_out(git: Git, branch: str, home: Place) -> list[Place]:
    """Return the work trees in which `branch` is checked out.

    Raises:
        WorkTreeError: one of them is on a volume that is not there now.
    """
    if home.directory == git.directory and not (git.directory / "worktrees").is_dir():
        standing = (git.directory / "HEAD").read_bytes()
        if not standing.startswith(_ELSEWHERE):
            return [home] if standing == b"ref: refs/heads/%s\n" % paths.encode(branch) else []
    terminated = version(executable()) >= (2, 36)
    listing = git.run("worktree", "list", "--porcelain", *(["-z"] if terminated else [])).out
    end = b"\0" if terminated else b"\n"
    places = []
    for number, record in enumerate(filter(None, listing.split(end + end))):
        facts = dict(_fact(line) for line in record.split(end) if line)
        if facts.get(b"branch") != b"refs/heads/" + paths.encode(branch):
            continue
        if number == 0 and home.directory == git.directory:
            # git derives the main path from its directory, wrongly if that lies elsewhere.
            places.append(home)
            continue
        path = Path(os.fsdecode(facts[b"worktree"]))
        if path.is_dir():
            places.append(_place(path))
        elif b"locked" in facts:
            raise WorkTreeError(
                f"Branch '{branch}' is checked out in {path}, which is not there now.",
                hint="Mount its volume, or run 'git worktree unlock' and 'git worktree prune'.",
            )
    return places


def _fact(line: bytes) -> tuple[bytes, bytes]:
    key, _, value = line.partition(b" ")
    return key, value


def _place(path: Path) -> Place:
    output = Git(directory=None, work_tree=path, user=True).run("rev-parse", "--absolute-git-dir")
    return Place(path, Path(os.fsdecode(output.out.rstrip(b"\n"))))


def refuse_under_way(git: Git, branch: str, places: list[Place]) -> None:
    """Refuse to move a branch in the middle of a merge or rebase.

    While a branch is being rebased, HEAD is detached and only `head-name` tells; moving the
    branch would make the end of the rebase fail.

    Raises:
        WorkTreeError: names the operation and the work tree.
    """
    for place in places:
        for name, what in _UNDER_WAY.items():
            if (place.directory / name).exists():
                raise _under_way(what, branch, place.directory)
    common = git.directory or Path("/")
    linked = common / "worktrees"
    directories = [common, *(linked.iterdir() if linked.is_dir() else ())]
    for directory in directories:
        for name in ("rebase-merge", "rebase-apply"):
            head = directory / name / "head-name"
            if head.is_file() and head.read_text("utf-8", "replace").strip() == (
                f"refs/heads/{branch}"
            ):
                raise _under_way("rebase", branch, directory)


def _under_way(what: str, branch: str, directory: Path) -> WorkTreeError:
    return WorkTreeError(
        f"A {what} is in progress on branch '{branch}' (see {directory}); nothing was changed.",
        hint="Finish it or abort it, then try again.",
    )


def statuses(git: Git, touched: list[bytes], *, refresh: bool) -> dict[bytes, Status]:
    """Return what `git status` says about these paths; those it does not list are unchanged.

    With `refresh` it also writes into the index that files which were only touched are unchanged.
    """
    short = sum(map(len, touched)) < _LONGEST
    output = git.run(
        "status",
        "--porcelain=v2",
        "-z",
        "--no-renames",
        "--untracked-files=no",
        "--ignore-submodules=dirty",
        "--",
        *([paths.argument(path) for path in touched] if short else []),
        timeout=FOLLOW_TIMEOUT,
        extra={"GIT_OPTIONAL_LOCKS": "1"} if refresh else None,
    )
    found = {}
    for record in output.out.split(b"\0")[:-1]:
        if record.startswith(b"1 "):
            _, xy, _, _, mode, _, _, name, path = record.split(b" ", 8)
            found[path] = Status(mode.decode(), name.decode(), xy[1:2] != b".", unmerged=False)
        elif record.startswith(b"u "):
            found[record.split(b" ", 10)[10]] = Status(NOTHING, "", changed=True, unmerged=True)
    return found


def inspect(
    place: Place,
    moves: dict[bytes, Change],
    *,
    at_new: bool,
    copy: Path | None = None,
    keep: tuple[int, ...] = (),
) -> Findings:
    """Sort the paths of a move.

    Args:
        place: the work tree.
        moves: what differs between the old and the new commit.
        at_new: whether the branch already stands at the new commit (a move is being resumed).
        copy: a copy of the index, which is asked instead, and refreshed.
        keep: descriptors that git inherits while it writes the copy.
    """
    known = statuses(place.git(index=copy, keep=keep), list(moves), refresh=copy is not None)
    findings = Findings([], [])
    for path, move in moves.items():
        old, new = (move.old_mode, move.old_id), (move.new_mode, move.new_id)
        status = known.get(path)
        index = new if at_new else old
        if status is not None:
            index = (status.index_mode, status.index_id)
        if at_new and index == new:
            continue
        if index != old or (status is not None and status.unmerged):
            findings.edits.append(path)
        elif _differs(place, path, status, moves):
            half = at_new and _file_is(place, path, move)
            (findings.half if half else findings.edits).append(path)
    return findings


def taken(place: Place, moves: dict[bytes, Change]) -> list[bytes]:
    """Return the paths that the move would add, and where something of the user's stands now."""
    added = (path for path, move in moves.items() if move.old_mode == NOTHING)
    return [path for path in added if not _is_free(place, path, moves)]


def _differs(place: Place, path: bytes, status: Status | None, moves: dict[bytes, Change]) -> bool:
    """Tell whether the file is not what the index, which is at the old commit, says."""
    if moves[path].old_mode == NOTHING:
        return not _is_free(place, path, moves)
    return status is not None and status.changed


def _is_free(place: Place, path: bytes, moves: dict[bytes, Change]) -> bool:
    """Tell whether nothing of the user's stands where a new file is to be written.

    Ignored files count: `git read-tree -u` would overwrite them.
    """
    parts = path.split(b"/")
    for n in range(1, len(parts)):
        parent = b"/".join(parts[:n])
        target = paths.inside(place.path, parent)
        if os.path.lexists(target) and not _is_folder(target):
            # A tracked file that the move itself deletes makes room.
            return parent in moves and moves[parent].new_mode == NOTHING
    target = paths.inside(place.path, path)
    if not os.path.lexists(target):
        return True
    return _is_folder(target) and _holds_only_moved(target, path, moves)


def _is_folder(target: Path) -> bool:
    return stat.S_ISDIR(target.lstat().st_mode)


def _holds_only_moved(target: Path, path: bytes, moves: dict[bytes, Change]) -> bool:
    """Tell whether a folder that becomes a file holds nothing but files that the move deletes."""
    for folder, _, names in os.walk(target):
        for name in names:
            inner = path + b"/" + os.fsencode((Path(folder) / name).relative_to(target))
            if inner not in moves or moves[inner].new_mode != NOTHING:
                return False
    return True


def _file_is(place: Place, path: bytes, move: Change) -> bool:
    """Tell whether the file already is what the move would make of it."""
    target = paths.inside(place.path, path)
    if move.new_mode == NOTHING:
        return not os.path.lexists(target)
    if not os.path.lexists(target):
        return False
    mode = target.lstat().st_mode
    if stat.S_ISLNK(mode):
        data = os.fsencode(target.readlink())
        kind = hashlib.sha1 if len(move.new_id) == 40 else hashlib.sha256  # noqa: PLR2004 - SHA-1 repository
        name = kind(b"blob %d\0" % len(data) + data).hexdigest()
        return move.new_mode == "120000" and name == move.new_id
    if not stat.S_ISREG(mode) or move.new_mode not in {"100644", "100755"}:
        return False
    if bool(mode & stat.S_IXUSR) != (move.new_mode == "100755"):
        return False
    output = place.git().run("hash-object", "--", paths.argument(path), timeout=FOLLOW_TIMEOUT)
    return output.line == move.new_id


def refusal(place: Place, edits: list[bytes]) -> WorkTreeError:
    """Make the error that lists the user's edits."""
    return WorkTreeError(
        f"Local edits in {place.path} stand in the way: "
        f"{safe_line(paths.listing(sorted(edits)), limit=1000)}.",
        hint="Commit, stash or move them away, then try again.",
    )
