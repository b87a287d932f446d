"""Moving a branch from one commit to another, with the user's work trees in step.

The order, and what a kill -9 leaves behind at each point:

1. lock      take `index.lock` of every work tree that has the branch checked out.
             Killed here: a left-over lock, recognised and removed by the next move.
2. check     the branch is at `old`, no operation is under way, nothing of the user's is in the
             way (our own comparison, then `git read-tree -n` as the last word).
3. swap      compare-and-swap of the ref. *This is the move*: before it nothing has changed, after
             it the branch is at `new`, whatever happens to us.
             Killed after it: the files and the index are still old. The left-over lock keeps the
             user from committing that by mistake.
4. follow    `git read-tree -m -u old new` on a copy of the index.
             Killed in the middle: some files are new, the index is old.
5. publish   rename the copy over the index.
             Killed after it: only the left-over lock remains.
6. unlock    remove `index.lock`.

Called again with the same `old` and `new`, a move finds the branch at `new` and does what is
left: a file that already is new (by its contents) is recorded in the copy of the index, one that
is still old is updated, one that the user has changed meanwhile makes it refuse and touch nothing.

Should step 4 fail without a kill (no space, no permission), the files already written are put
back and the branch is swapped back, so that "nothing was changed" is true.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from ouroboros.errors import BranchMovedError, GitError, OuroborosError, TargetError, WorkTreeError
from ouroboros.model.text import safe_line, safe_text
from ouroboros.vcs import objects, paths, worktrees
from ouroboros.vcs.candidates import scratch
from ouroboros.vcs.indexlock import COPY, IndexLock
from ouroboros.vcs.merge import set_entries
from ouroboros.vcs.objects import NOTHING
from ouroboros.vcs.runner import FOLLOW_TIMEOUT, Git, Output, failure
from ouroboros.vcs.worktrees import Place


def head(git: Git, branch: str) -> str:
    """Return the commit at which a branch stands.

    Raises:
        TargetError: there is no such branch.
    """
    ref = f"refs/heads/{branch}"
    plain = _loose(git, ref)
    if plain:
        return plain
    output = git.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1, 128))
    if output.status:
        raise TargetError(
            f"There is no branch '{safe_line(branch)}' in {git.directory}.",
            hint="Name an existing one as [target] branch, or create it with 'git branch'.",
        )
    return output.line


def _loose(git: Git, ref: str) -> str:
    """Return what the file of a ref says, or nothing: then git must be asked.

    The file of a branch holds its commit and wins over `packed-refs`. Where it is missing (packed,
    or refs in another format) or holds anything else, git knows.
    """
    if git.directory is None:
        return ""
    try:
        text = (git.directory / ref).read_bytes()
    except OSError:
        return ""
    return text[:-1].decode() if _LOOSE.fullmatch(text) else ""


_LOOSE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n")


class Move:
    """One move; `steps` in order, so that a test can stop after any of them."""

    def __init__(self, git: Git, home: Place, *, branch: str, old: str, new: str) -> None:
        """Look up which work trees must follow.

        Raises:
            BranchMovedError: the branch is neither at `old` nor at `new`.
            TargetError: no such branch or commit.
            WorkTreeError: a work tree that must follow is not there.
        """
        self._git = git
        self._checked = False
        self.branch, self.old, self.new = branch, old, new
        self.at_new = self._stands() == new
        self.changes = _changes(git, old, new)
        self.places = worktrees.checked_out(git, branch, home)
        self._locks = [IndexLock(place.directory) for place in self.places]

    def steps(self, reason: str) -> tuple[Callable[[], None], ...]:
        """Return the steps: lock, check, swap, follow, publish, unlock."""
        return (
            self.lock,
            self.check,
            lambda: self.swap(reason),
            self.follow,
            self.publish,
            self.unlock,
        )

    def prepare(self) -> None:
        """Do the first two steps and hold the locks: what may refuse a move has been asked."""
        try:
            self.lock()
            self.check()
        except BaseException:
            self.unlock()
            raise
        self._checked = True

    def run(self, reason: str) -> None:
        """Do all steps that are left; the locks are given back whatever happens."""
        try:
            for step in self.steps(reason)[2 if self._checked else 0 :]:
                step()
        finally:
            self.unlock()

    def is_(self, branch: str, old: str, new: str) -> bool:
        """Tell whether this is the move of that branch between those commits."""
        return (self.branch, self.old, self.new) == (branch, old, new)

    def preview(self) -> None:
        """Raise what the move would raise; change nothing."""
        for lock in self._locks:
            lock.refuse_if_taken()
        self.check()

    def lock(self) -> None:
        """Step 1."""
        for lock in self._locks:
            lock.acquire(f"{self.branch}: {self.old} -> {self.new}, process {os.getpid()}")

    def check(self) -> None:
        """Step 2."""
        if self.at_new:  # else the swap looks again
            self.at_new = self._stands() == self.new
        worktrees.refuse_under_way(self._git, self.branch, self.places)
        for place, lock in zip(self.places, self._locks, strict=True):
            if lock.descriptor >= 0:
                copy = _copy_index(place, place.directory / COPY)
                self._check_copy(place, copy, keep=(lock.descriptor,))
            else:
                with scratch(self._git) as (_, folder):
                    self._check_copy(place, _copy_index(place, folder / "index"), keep=())

    def _check_copy(self, place: Place, copy: Path, *, keep: tuple[int, ...]) -> None:
        """Compare, and let git have the last word, on a copy of the index, which is refreshed.

        Git holds the lock with us: a git that outlives us, killed here, still writes the copy.
        """
        at_new = self.at_new
        findings = worktrees.inspect(place, self.changes, at_new=at_new, copy=copy, keep=keep)
        if findings.edits:
            raise worktrees.refusal(place, findings.edits)
        if findings.half:
            return
        output = self._read_tree(place.git(index=copy, keep=keep), "-n")
        if output.status:
            for name in (self.old, self.new):  # their difference may be known, and they be gone
                objects.commit(self._git, name)
            raise WorkTreeError(
                f"{place.path} cannot follow branch '{self.branch}': {_reasons(output)}.",
                hint="Resolve what git names, then try again.",
            )

    def swap(self, reason: str) -> None:
        """Step 3."""
        if not self.at_new:
            self._swap(self.old, self.new, reason)

    def follow(self) -> None:
        """Step 4."""
        for place, lock in zip(self.places, self._locks, strict=True):
            try:
                self._follow(place, lock)
            except (OuroborosError, OSError) as error:
                self._undo(error)

    def publish(self) -> None:
        """Step 5."""
        for place in self.places:
            with contextlib.suppress(FileNotFoundError):
                (place.directory / COPY).replace(place.directory / "index")

    def unlock(self) -> None:
        """Step 6; of a move that was refused, the copy of the index goes too."""
        self._checked = False
        for place, lock in zip(self.places, self._locks, strict=True):
            if lock.descriptor >= 0:
                _remove_copy(place.directory / COPY)
            lock.release()

    def _stands(self) -> str:
        found = head(self._git, self.branch)
        if found not in {self.old, self.new}:
            raise _moved(self.branch, self.old, found)
        return found

    def _swap(self, old: str, new: str, reason: str) -> None:
        # Through the work tree's own git directory, so that its HEAD gets the reflog entry too;
        # and holding the locks, so that a swap which outlives us cannot surprise recovery.
        keep = tuple(lock.descriptor for lock in self._locks if lock.descriptor >= 0)
        git = self.places[0].git(keep=keep) if self.places else self._git
        line = f"update refs/heads/{self.branch}\0{new}\0{old}\0"
        message = safe_line(reason, limit=500)
        output = git.run(
            "update-ref", "-m", message, "--stdin", "-z", stdin=line.encode(), ok=(0, 1, 128)
        )
        if output.status == 0:
            return
        found = head(self._git, self.branch)
        if found != old:
            raise _moved(self.branch, old, found)
        raise TargetError(
            f"Branch '{self.branch}' cannot be moved: {safe_text(output.err.strip(), limit=600)}.",
            hint="If no other git command runs, remove the lock file that is named.",
        )

    def _read_tree(self, git: Git, *options: str) -> Output:
        return git.run(
            "read-tree",
            *options,
            "-m",
            "-u",
            self.old,
            self.new,
            ok=(0, 1, 128),
            timeout=FOLLOW_TIMEOUT,
        )

    def _follow(self, place: Place, lock: IndexLock) -> None:
        """Bring files and the copy of the index, which `check` has made, to the new commit."""
        copy = place.directory / COPY
        keep = (lock.descriptor,)
        git = place.git(index=copy, keep=keep)
        if self.at_new:
            findings = worktrees.inspect(place, self.changes, at_new=True, copy=copy, keep=keep)
            edits = findings.edits
            half = [(path, self.changes[path]) for path in findings.half]
            set_entries(git, [(change.new_mode, change.new_id, path) for path, change in half])
        else:
            # Edits since the check are refused by `read-tree`; but it overwrites ignored files.
            edits = worktrees.taken(place, self.changes)
        if edits:
            raise worktrees.refusal(place, edits)
        output = self._read_tree(git)
        if output.status:
            raise WorkTreeError(
                f"{place.path} cannot follow branch '{self.branch}': {_reasons(output)}.",
                hint="Resolve what git names (space, permissions), then try again.",
            )

    def _undo(self, cause: Exception) -> None:
        """Put files and branch back, and raise the cause.

        A resumed move (`at_new`) is not undone: it was not this call that moved the branch.
        """
        if not self.at_new:
            try:
                for place in self.places:
                    self._restore(place)
                self._swap(self.new, self.old, f"undo: {cause}")
            except (OuroborosError, OSError) as error:
                raise GitError(
                    f"Branch '{self.branch}' moved to {self.new[:12]}, but its work tree could "
                    f"neither follow ({cause}) nor be put back ({error}).",
                    hint="Remove the cause; the move completes when it is tried again.",
                ) from cause
        if isinstance(cause, OuroborosError):
            raise cause
        raise WorkTreeError(
            f"A work tree of branch '{self.branch}' cannot be written: {cause}.",
            hint="Remove the cause, then try again.",
        ) from cause

    def _restore(self, place: Place) -> None:
        """Bring files that were already written back to the index, which is still old."""
        half = worktrees.inspect(place, self.changes, at_new=True).half
        for path in half:
            if self.changes[path].old_mode == NOTHING:
                paths.inside(place.path, path).unlink()
        tracked = [path for path in half if self.changes[path].old_mode != NOTHING]
        if tracked:
            output = place.git().run(
                "checkout-index",
                "-f",
                "-z",
                "--stdin",
                stdin=b"".join(path + b"\0" for path in tracked),
                ok=(0, 1, 128),
                timeout=FOLLOW_TIMEOUT,
            )
            if output.status:
                raise failure(["checkout-index"], output)


def _changes(git: Git, old: str, new: str) -> dict[bytes, objects.Change]:
    try:
        return objects.between(git, old, new)
    except GitError:
        for name in (old, new):
            objects.commit(git, name)  # one that is not there has an error of its own
        raise


def _remove_copy(copy: Path) -> None:
    for left in (copy, copy.with_name(f"{copy.name}.lock")):
        left.unlink(missing_ok=True)


def _copy_index(place: Place, target: Path) -> Path:
    """Copy the index with its time: git takes files that are newer than the index as unsure."""
    _remove_copy(target)
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(place.directory / "index", target)
    return target


def _reasons(output: Output) -> str:
    lines = [line.removeprefix("error: ").strip() for line in output.err.splitlines()]
    return safe_line(" ".join(filter(None, lines)), limit=600).rstrip(".")


def _moved(branch: str, expected: str, found: str) -> BranchMovedError:
    return BranchMovedError(
        f"Branch '{branch}' is at {found[:12]}, expected {expected[:12]}; nothing was changed.",
        hint="Rebase the change on the new head and evaluate it again.",
    )
