"""Building commits from objects: candidates, promotions, rollbacks. No work tree is touched.

A candidate is `git apply --cached` on a temporary index, written as a tree and a commit: some ten
times cheaper than a work tree, and nothing of it can be seen by the user until it is promoted.

The commit of a candidate carries the time of its base, not of now: the same diff on the same base
is the same commit, so that building again after a crash changes nothing.

Refs keep the objects alive: `refs/ouroboros/candidates/NAME` is the candidate,
`refs/ouroboros/checkpoints/NAME` the commit to which a rollback returns. Both are set in one
transaction; there is never one without the other.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ouroboros import owner
from ouroboros.errors import MachineError, Misuse, PatchConflictError, PatchError
from ouroboros.model.text import safe_line, safe_text
from ouroboros.vcs import objects, paths
from ouroboros.vcs.merge import merge
from ouroboros.vcs.runner import Git, failure
from ouroboros.vcs.values import Built, CandidateRef, Reverted

CANDIDATES = "refs/ouroboros/candidates/"
CHECKPOINTS = "refs/ouroboros/checkpoints/"

_SCRATCH = "ouroboros-git-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@contextmanager
def scratch(git: Git) -> Iterator[tuple[Git, Path]]:
    """Hand out git with a fresh index and an empty work tree, and the folder they are in."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{owner.label()}-")
    except OSError as error:
        raise MachineError(
            f"No temporary folder can be made: {error.strerror}.",
            hint="Free space in the temporary folder, or name another one in TMPDIR.",
        ) from error
    with temporary as name:
        folder = Path(name)
        empty = folder / "tree"
        empty.mkdir()
        yield git.at(index=folder / "index", work_tree=empty), folder


def sweep_scratch() -> None:
    """Remove the scratch folders of processes that were killed."""
    for old in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        if owner.is_gone(old.name.removeprefix(_SCRATCH)):
            shutil.rmtree(old, ignore_errors=True)


def build(git: Git, *, name: str, base: str, diff: str, message: str) -> Built:
    """Apply a diff on `base` and keep the outcome as candidate `name`.

    Raises:
        PatchError: the diff is empty, does not apply, changes nothing, or names a path that is
            no UTF-8.
        TargetError: there is no such base.
    """
    _check_name(name)
    if not diff.strip():
        raise PatchError("The diff is empty.", hint="Propose a change.")
    with objects.reading(git, base) as read, scratch(git) as (indexed, _):
        output = indexed.run("read-tree", base, ok=(0, 128))
        if output.status:
            read()  # a base that is not there has an error of its own
            raise failure(["read-tree"], output)
        _apply(indexed, diff, base)
        tree = indexed.run("write-tree").line
        start = read()
    if tree == start.tree:
        raise PatchError(f"The diff changes nothing on {base[:12]}.", hint="Propose a change.")
    return _keep(git, name=name, base=start, tree=tree, message=message)


def rebase(git: Git, *, name: str, commit: str, onto: str, message: str) -> Built:
    """Bring the change of a candidate onto another commit, under the same name.

    Raises:
        PatchConflictError: both sides changed the same lines; names the paths.
        PatchError: the change is already there.
    """
    _check_name(name)
    candidate, target = objects.commit(git, commit), objects.commit(git, onto)
    if len(candidate.parents) != 1:
        raise Misuse(f"{commit} is no candidate: it has {len(candidate.parents)} parents")
    with scratch(git) as (indexed, folder):
        merged = merge(indexed, folder, base=candidate.parents[0], ours=onto, theirs=commit)
    if merged.conflicts:
        raise PatchConflictError(
            f"The change of {commit[:12]} conflicts with what {onto[:12]} made of "
            f"{safe_line(paths.listing(list(merged.conflicts)), limit=1000)}.",
            hint="Propose it again on the new head.",
        )
    if merged.tree == target.tree:
        raise PatchError(f"{onto[:12]} already contains the change of {commit[:12]}.")
    return _keep(git, name=name, base=target, tree=merged.tree, message=message)


def revert(git: Git, *, onto: str, commits: Sequence[str], message: str, ts: int) -> Reverted:
    """Make a commit on `onto` that undoes `commits`, given newest first.

    Raises:
        PatchConflictError: later changes stand on what would be undone; names paths and commit.
        PatchError: there is nothing to undo.
    """
    hint = "Roll back the later changes too, or edit these files by hand."
    return _taken(
        git, onto=onto, commits=commits, message=message, ts=ts, hint=hint, words=_UNDO, undo=True
    )


def reapply(git: Git, *, onto: str, commits: Sequence[str], message: str, ts: int) -> Reverted:
    """Make a commit on `onto` that has the changes of `commits` again, given oldest first.

    Raises:
        PatchConflictError: what was changed since stands in the way; names paths and commit.
        PatchError: it has them already.
    """
    hint = "Propose that change again on the present head, or edit these files by hand."
    return _taken(
        git, onto=onto, commits=commits, message=message, ts=ts, hint=hint, words=_REDO, undo=False
    )


_UNDO = ("Undoing", "undo", "has none of these changes")
_REDO = ("Bringing back", "bring back", "has these changes already")


def _taken(
    git: Git,
    *,
    onto: str,
    commits: Sequence[str],
    message: str,
    ts: int,
    hint: str,
    words: tuple[str, str, str],
    undo: bool,
) -> Reverted:
    head, parent = objects.lineage(git, onto)
    top = head
    tree = head.tree
    with scratch(git) as (indexed, folder):
        for name in commits:
            taken = top if name == top.id else objects.commit(git, name)
            if not taken.parents:
                raise PatchError(f"{name[:12]} is the first commit; it cannot be undone.")
            if undo and tree == top.tree and taken is top:  # nothing came after: no merge is needed
                known = parent if top is head else None
                top = known or objects.commit(git, top.parents[0])
                tree = top.tree
                continue
            before, after = taken.parents[0], taken.tree
            base, theirs = (after, before) if undo else (before, after)
            merged = merge(indexed, folder, base=base, ours=tree, theirs=theirs)
            if merged.conflicts:
                raise PatchConflictError(
                    f"{words[0]} {name[:12]} conflicts with later changes of "
                    f"{safe_line(paths.listing(list(merged.conflicts)), limit=1000)}.",
                    hint=hint,
                )
            tree = merged.tree
    if tree == head.tree:
        raise PatchError(f"There is nothing to {words[1]}: {onto[:12]} {words[2]}.")
    commit = commit_tree(git, tree=tree, parent=onto, message=message, seconds=ts // 10**9)
    return Reverted(commit=commit, tree=tree, files=objects.changes(git, onto, commit))


def commit_tree(git: Git, *, tree: str, parent: str, message: str, seconds: int) -> str:
    """Write a commit object and return its id; no ref moves."""
    date = f"@{seconds} +0000"
    output = git.run(
        "commit-tree",
        "-p",
        parent,
        "-F",
        "-",
        tree,
        stdin=message.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace") or b"\n",
        extra={"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
    )
    return output.line


def list_refs(git: Git) -> tuple[CandidateRef, ...]:
    """Return the refs of all candidates, by name."""
    output = git.run(
        "for-each-ref", "--format=%(refname) %(objectname)", CANDIDATES, CHECKPOINTS
    ).line
    found: dict[str, dict[str, str]] = {}
    for line in filter(None, output.split("\n")):
        ref, _, commit = line.partition(" ")
        prefix = CANDIDATES if ref.startswith(CANDIDATES) else CHECKPOINTS
        found.setdefault(ref.removeprefix(prefix), {})[prefix] = commit
    return tuple(
        CandidateRef(
            name=name, commit=refs.get(CANDIDATES, ""), checkpoint=refs.get(CHECKPOINTS, "")
        )
        for name, refs in sorted(found.items())
    )


def delete_refs(git: Git, names: Sequence[str]) -> None:
    """Delete the refs of candidates, all or none; names without refs are passed over."""
    wanted = set(names)
    lines = []
    for entry in list_refs(git):
        if entry.name in wanted:
            both = ((CANDIDATES, entry.commit), (CHECKPOINTS, entry.checkpoint))
            lines += [f"delete {prefix}{entry.name}\0{at}\0" for prefix, at in both if at]
    if lines:
        git.run("update-ref", "--stdin", "-z", stdin="".join(lines).encode())


def set_refs(git: Git, *, name: str, commit: str, checkpoint: str) -> None:
    """Point both refs of a candidate to commits that exist, in one transaction."""
    _check_name(name)
    lines = [
        "start\0",
        f"update {CANDIDATES}{name}\0{commit}\0\0",
        f"update {CHECKPOINTS}{name}\0{checkpoint}\0\0",
        "prepare\0",
        "commit\0",
    ]
    git.run("update-ref", "--stdin", "-z", stdin="".join(lines).encode())


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Misuse(f"a candidate's name is made of letters, digits, '_' and '-', got {name!r}")


def _apply(git: Git, diff: str, base: str) -> None:
    try:
        patch = diff.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise PatchError(f"The diff is no text: {error.reason} at {error.start}.") from None
    if not patch.endswith(b"\n"):
        patch += b"\n"
    output = git.run(
        "apply",
        "--cached",
        "--whitespace=nowarn",
        "--no-ignore-whitespace",
        "-",
        stdin=patch,
        ok=(0, 1, 128),
    )
    if output.status:
        raise PatchError(
            f"The diff does not apply on {base[:12]}: {safe_text(output.err.strip(), limit=600)}.",
            hint="Make it against exactly this commit, as 'git diff' writes it.",
        )


def _keep(git: Git, *, name: str, base: objects.Commit, tree: str, message: str) -> Built:
    files = objects.counted(git, base.tree, tree)
    odd = [path for path in files if not _is_text(path)]
    if odd:
        raise PatchError(
            f"The diff names paths that are not UTF-8: {paths.listing(odd)}.",
            hint="Leave these files alone.",
        )
    commit = commit_tree(git, tree=tree, parent=base.id, message=message, seconds=base.time)
    set_refs(git, name=name, commit=commit, checkpoint=base.id)
    return Built(
        commit=commit,
        tree=tree,
        base=base.id,
        ref=CANDIDATES + name,
        checkpoint=CHECKPOINTS + name,
        files=tuple(files.values()),
    )


def _is_text(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
