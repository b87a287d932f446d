"""The target repository as the engine sees it.

Everything blocks; call it from one thread at a time, never from an event loop. Nothing keeps a
process, a file handle or a lock between two calls, so there is nothing to close.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from ouroboros.errors import OuroborosError, TargetError
from ouroboros.model.proposal import FileChange
from ouroboros.model.text import safe_line, safe_text
from ouroboros.vcs import anchors, candidates, moves, objects, paths, reflocks
from ouroboros.vcs.export import export
from ouroboros.vcs.history import Ours, ours
from ouroboros.vcs.indexlock import IndexLock
from ouroboros.vcs.runner import FOLLOW_TIMEOUT, Git
from ouroboros.vcs.values import (
    Built,
    CandidateRef,
    FileMode,
    MoveState,
    Reverted,
    Source,
    WorkTree,
)
from ouroboros.vcs.worktrees import Place


class Repository:
    """One git repository with a work tree.

    Attributes:
        root: top of the work tree through which it was opened.
        git_dir: the directory that all its work trees share, absolute.
    """

    def __init__(self, *, root: Path, git_dir: Path, own_dir: Path) -> None:
        self.root = root
        self.git_dir = git_dir
        self._home = Place(root, own_dir)
        self._prepared: moves.Move | None = None
        self._git = Git(directory=git_dir)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the repository that holds `path`, which may be a sub-folder or a linked work tree.

        Raises:
            TargetError: no repository, a bare one, or one without commits.
            MachineError: no usable git.
        """
        if not path.is_dir():
            raise TargetError(f"There is no folder {path}.", hint="Name a git repository.")
        finder = Git(directory=None, work_tree=path, user=True)
        found = finder.run(
            "rev-parse",
            "--path-format=absolute",
            "--git-common-dir",
            "--absolute-git-dir",
            "--is-inside-work-tree",
            ok=(0, 128),
        )
        if found.status:
            raise _not_a_repository(path, found.err)
        common, own, inside = found.out.rstrip(b"\n").rsplit(b"\n", 2)
        if inside != b"true":
            raise TargetError(
                f"{path} is a bare repository or inside a git directory; there is no work tree.",
                hint="Clone it with 'git clone' and name the clone.",
            )
        root = finder.run("rev-parse", "--show-toplevel").out.removesuffix(b"\n")
        opened = cls(
            root=Path(os.fsdecode(root)),
            git_dir=Path(os.fsdecode(common)),
            own_dir=Path(os.fsdecode(own)),
        )
        opened._refuse_empty()
        return opened

    def _refuse_empty(self) -> None:
        output = self._here().run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", ok=(0, 1))
        if output.status:
            raise TargetError(
                f"{self.root} has no commits on its current branch.",
                hint="Commit the files that are to be improved, then try again.",
            )

    def _here(self) -> Git:
        """Git whose HEAD is that of the work tree through which the repository was opened."""
        return Git(directory=self._home.directory)

    # --- where things stand ---------------------------------------------------------------------

    def current_branch(self) -> str:
        """Return the branch checked out in the work tree.

        Raises:
            TargetError: HEAD is detached.
        """
        branch = self._branch()
        if branch is None:
            raise TargetError(
                f"{self.root} is on no branch (detached HEAD), so there is none to promote to.",
                hint="Run 'git switch BRANCH' there, or set [target] branch in ouroboros.toml.",
            )
        return branch

    def _branch(self) -> str | None:
        output = self._here().run("symbolic-ref", "-q", "HEAD", ok=(0, 1))
        return None if output.status else output.line.removeprefix("refs/heads/")

    def head(self, branch: str) -> str:
        """Return the commit at which a branch stands.

        Raises:
            TargetError: there is no such branch.
        """
        return moves.head(self._git, branch)

    def resolve(self, rev: str) -> str:
        """Return the full id of the commit that a name, tag or short id means.

        Raises:
            TargetError: it means none.
        """
        if rev and "\0" not in rev:
            name = f"{rev}^{{commit}}"
            options = ("--verify", "--quiet", "--end-of-options")
            output = self._here().run("rev-parse", *options, name, ok=(0, 1, 128))
            if output.status == 0:
                return output.line
        raise TargetError(
            f"'{safe_line(rev)}' names no commit of {self.root}.",
            hint="'git log --all' lists what there is.",
        )

    def exists(self, commit: str) -> bool:
        """Tell whether a commit, given by its full id, is in the repository."""
        name = f"{commit}^{{commit}}"
        return self._git.run("cat-file", "-e", name, ok=(0, 1, 128)).status == 0

    def is_ancestor(self, old: str, new: str) -> bool:
        """Tell whether `new` contains the history of `old` (a commit contains itself)."""
        start, end = self.resolve(old), self.resolve(new)
        return self._git.run("merge-base", "--is-ancestor", start, end, ok=(0, 1)).status == 0

    def status(self) -> WorkTree:
        """Return the branch and the local edits of the work tree."""
        output = self._home.git().run(
            "status", "--porcelain=v2", "-z", "--no-renames", timeout=FOLLOW_TIMEOUT
        )
        fields = {b"1": 8, b"u": 10, b"?": 1}
        dirty = [
            paths.shown(record.split(b" ", fields[record[:1]])[-1])
            for record in output.out.split(b"\0")[:-1]
        ]
        return WorkTree(branch=self._branch(), dirty=tuple(dirty))

    # --- reading commits ------------------------------------------------------------------------

    def diff(self, old: str, new: str) -> str:
        """Return the unified diff between two commits, as git writes it, without renames."""
        return objects.diff(self._git, old, new)

    def changes(self, old: str, new: str) -> tuple[FileChange, ...]:
        """Return the files that differ; a rename is a deletion and an addition."""
        return objects.changes(self._git, old, new)

    def modes(self, old: str, new: str) -> tuple[FileMode, ...]:
        """Return the file types on both sides of every changed path."""
        return objects.modes(self._git, old, new)

    def sources(self, old: str, new: str, *, limit: int, total: int) -> tuple[Source, ...]:
        """Return every changed file's contents on both sides.

        A side of more than `limit` bytes, or that would make it more than `total` in all, is left
        out; its value says so.
        """
        return objects.sources(self._git, old, new, limit=limit, total=total)

    def files(self, commit: str) -> tuple[str, ...]:
        """Return the paths of a commit; bytes that are no UTF-8 as surrogates (`os.fsdecode`)."""
        return tuple(paths.decode(leaf.path) for leaf in objects.leaves(self._git, commit))

    def read_file(self, commit: str, path: str) -> bytes | None:
        """Return the contents of a file as stored, or None where there is no such file."""
        return objects.read_file(self._git, objects.commit(self._git, commit).id, path)

    def export(self, commit: str, dest: Path) -> None:
        """Write the files of a commit, exactly as stored, into a new or empty folder.

        Links that lead out of the tree, and submodules, are left out.
        """
        export(self._git, commit, dest)

    def ours(self, commit: str, *, limit: int) -> tuple[Ours, ...]:
        """Return the commits in a history that say they are promotions or rollbacks of ours."""
        return ours(self._git, commit, limit=limit)

    # --- candidates -----------------------------------------------------------------------------

    def build_candidate(self, *, name: str, base: str, diff: str, message: str) -> Built:
        """Apply a diff on `base` as candidate `name`, and set its refs.

        Raises:
            PatchError: the diff is empty, does not apply or changes nothing.
        """
        return candidates.build(self._git, name=name, base=base, diff=diff, message=message)

    def rebase_candidate(self, *, name: str, commit: str, onto: str, message: str) -> Built:
        """Bring a candidate's change onto another commit, and set its refs there.

        Raises:
            PatchConflictError: names the paths.
        """
        return candidates.rebase(self._git, name=name, commit=commit, onto=onto, message=message)

    def promotion_commit(self, *, tree: str, parent: str, message: str, ts: int) -> str:
        """Write the commit that a promotion will move to; `ts` in nanoseconds."""
        seconds = ts // 10**9
        return candidates.commit_tree(
            self._git, tree=tree, parent=parent, message=message, seconds=seconds
        )

    def revert(self, *, onto: str, commits: Sequence[str], message: str, ts: int) -> Reverted:
        """Write the commit that undoes `commits` (newest first) on `onto`.

        Raises:
            PatchConflictError: names the paths and the commit.
        """
        return candidates.revert(self._git, onto=onto, commits=commits, message=message, ts=ts)

    def reapply(self, *, onto: str, commits: Sequence[str], message: str, ts: int) -> Reverted:
        """Write the commit that has the changes of `commits` (oldest first) again, on `onto`.

        Raises:
            PatchConflictError: names the paths and the commit.
        """
        return candidates.reapply(self._git, onto=onto, commits=commits, message=message, ts=ts)

    def tag(self, name: str, commit: str) -> None:
        """Set a tag on a commit; one that stands there already is fine.

        Raises:
            TargetError: the name is no valid one, or stands on another commit.
        """
        ref = f"refs/tags/{name}"
        valid = self._git.run("check-ref-format", ref, ok=(0, 1)).status == 0
        if valid and self._git.run("update-ref", ref, commit, "", ok=(0, 1, 128)).status == 0:
            return
        known = self._git.run(
            "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1, 128)
        )
        if not valid or known.status or known.line != commit:
            where = known.line[:12] if known.status == 0 else "no commit"
            raise TargetError(
                f"The tag '{safe_line(name)}' cannot be set on {commit[:12]}: it is "
                + (f"at {where}." if valid else "no valid name."),
                hint="Choose another [target] tag, or remove the tag.",
            )

    def list_candidate_refs(self) -> tuple[CandidateRef, ...]:
        """Return the refs of all candidates."""
        return candidates.list_refs(self._git)

    def delete_candidate_refs(self, names: Sequence[str]) -> None:
        """Delete the refs of candidates, all or none; missing ones are passed over."""
        candidates.delete_refs(self._git, names)

    def keep_candidate(self, name: str, *, commit: str, checkpoint: str) -> None:
        """Set the refs of a candidate whose commits are there."""
        candidates.set_refs(self._git, name=name, commit=commit, checkpoint=checkpoint)

    def keep_head(self, note: str, *, ts: int) -> str:
        """Anchor a signed head of the ledger in `refs/ouroboros/heads`; return its commit.

        Raises:
            GitError: somebody else moved the ref meanwhile, or git failed.
        """
        return anchors.keep(self._git, note, seconds=ts // 10**9)

    # --- the branch -----------------------------------------------------------------------------

    def check_move(self, *, branch: str, old: str, new: str) -> None:
        """Raise what `move_branch` would raise now; change nothing."""
        self._move(branch, old, new).preview()

    def prepare_move(self, *, branch: str, old: str, new: str) -> None:
        """Ask all that `move_branch` asks, and hold the locks of the work trees until it is called.

        So that an intent is written only if the move can be done, and nothing is asked twice. Who
        does not go on calls `release_move`. Raises what `move_branch` raises.
        """
        self.release_move()
        move = self._move(branch, old, new)
        move.prepare()
        self._prepared = move

    def release_move(self) -> None:
        """Give up a prepared move; nothing happens if there is none."""
        if self._prepared is not None:
            self._prepared.unlock()
            self._prepared = None

    def move_branch(self, *, branch: str, old: str, new: str, reason: str) -> None:
        """Compare-and-swap a branch, with work trees that have it checked out in step.

        After a crash, calling it again with the same commits completes it.

        Raises:
            BranchMovedError: it is no longer at `old`; nothing was changed.
            WorkTreeError: local edits or another git command are in the way; nothing was changed.
        """
        prepared, self._prepared = self._prepared, None
        if prepared is not None and not prepared.is_(branch, old, new):
            prepared.unlock()
            prepared = None
        (prepared or self._move(branch, old, new)).run(reason)

    def _move(self, branch: str, old: str, new: str) -> moves.Move:
        return moves.Move(self._git, self._home, branch=branch, old=old, new=new)

    def moved(self, *, branch: str, old: str, new: str) -> MoveState:
        """Tell whether an intended move happened, from where the branch stands now."""
        try:
            found = self.head(branch)
        except TargetError:
            return MoveState.ELSEWHERE
        if found == old:
            return MoveState.NOT_STARTED
        if self.exists(new) and self.is_ancestor(new, found):
            return MoveState.DONE
        return MoveState.ELSEWHERE

    def clear_left_over_locks(self, *, branch: str = "", moving_to: str = "") -> tuple[Path, ...]:
        """Remove locks that a killed engine left; return them. Others' are not touched.

        Its scratch folders go too. A git child that outlived the engine is waited for.

        Args:
            branch: the branch of a move that was under way, if there was one.
            moving_to: the commit to which that branch was being moved.

        Raises:
            WorkTreeError: such a child is still at work after half a minute.
        """
        candidates.sweep_scratch()
        cleared = [
            lock.path
            for lock in map(IndexLock, reflocks.directories(self.git_dir))
            if reflocks.clear_index(lock)
        ]
        return (*cleared, *reflocks.clear(self.git_dir, branch=branch, moving_to=moving_to))


def _not_a_repository(path: Path, error: str) -> OuroborosError:
    if "dubious ownership" in error:
        return TargetError(
            f"{path} belongs to another user, so git refuses to work there.",
            hint=f"Run 'git config --global --add safe.directory {path}' if you trust it.",
        )
    if "not a git repository" in error:
        return TargetError(
            f"{path} is not in a git repository.",
            hint="Run 'git init' there and commit its files, or name another folder.",
        )
    return TargetError(f"git cannot open {path}: {safe_text(error.strip(), limit=300)}.")
