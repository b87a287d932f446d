"""A repository that runs somebody's programs with every usual command, and our git on it.

A target's configuration can name programs: hooks, a file-system monitor, an external diff, a
textconv, filters, a signer. A candidate that gets one in would run on the host. That our runner
turns them off is shown here by what happens, and that the traps are live by what plain git does:
a trap that plain git does not spring either tells nothing.

Filters of the user's own work tree are the exception: comparing and updating it must behave as
his own git does, so that they are looked at only where we work on objects.
"""

import os
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

from ouroboros.errors import GitError
from ouroboros.vcs.repository import Repository
from ouroboros.vcs.runner import executable

HELD, BROKEN, NOT_APPLICABLE = "held", "broken", "n/a"

_HOOKS = (
    *("applypatch-msg", "pre-applypatch", "pre-commit", "prepare-commit-msg", "commit-msg"),
    *("post-commit", "pre-merge-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push"),
    *("reference-transaction", "post-index-change", "post-rewrite", "pre-auto-gc", "fsmonitor"),
)
_PROMISES = {
    "hooks": "no hook runs",
    "fsmonitor": "no file-system monitor runs",
    "external-diff": "no external diff runs",
    "textconv": "no textconv runs",
    "filters": "no filter runs on commits and exports",
    "signer": "no signer runs",
}
_FILTERS = "filters"
_DIFF = """\
diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1 +1 @@
-one
+three
"""
_PATIENCE = 30
_WHEN = 1_700_000_000 * 10**9


class Trap(NamedTuple):
    """One kind of program that git can be made to run, and whether our git ran it."""

    name: str
    promise: str
    status: str
    text: str


def traps(folder: Path) -> tuple[Trap, ...]:
    """Lay the traps in an empty folder, and walk through them. Blocking, some 0.2 s.

    Raises:
        GitError: a command failed, so that nothing is known.
        MachineError: no usable git.
        OSError: the folder cannot be used.
    """
    laid = _Laid(folder)
    laid.make()
    laid.work_on_objects()
    sprung = set(laid.sprung())
    laid.work_on_files()
    sprung |= set(laid.sprung()) - {_FILTERS}
    laid.forget()
    laid.plain_git()
    live = set(laid.sprung())
    return tuple(_trap(name, sprung, live) for name in _PROMISES)


def _trap(name: str, sprung: set[str], live: set[str]) -> Trap:
    if name in sprung:
        return Trap(name, _PROMISES[name], BROKEN, "our git ran it")
    if name not in live:
        return Trap(name, _PROMISES[name], NOT_APPLICABLE, "plain git does not run it either")
    return Trap(name, _PROMISES[name], HELD, "plain git runs it, ours does not")


class _Laid:
    def __init__(self, folder: Path) -> None:
        self._root = folder / "repository"
        self._witness = folder / "witness"
        self._programs = folder / "programs"
        self._moves = ("", "")

    def make(self) -> None:
        for each in (self._root, self._witness, self._programs):
            each.mkdir()
        self._plain("init", "-q", "-b", "main")
        (self._root / "a.txt").write_text("one\n")
        (self._root / ".gitattributes").write_text("*.txt diff=trap filter=trap merge=trap\n")
        self._plain("add", "-A")
        self._plain("commit", "-qm", "begin")
        (self._root / "a.txt").write_text("two\n")
        self._plain("commit", "-qam", "go on")
        # Only now, so that the repository could be made at all.
        for hook in _HOOKS:
            self._program(self._root / ".git" / "hooks" / hook, "hooks")
        config = {
            "core.fsmonitor": self._program(self._programs / "fsmonitor", "fsmonitor"),
            "diff.external": self._program(self._programs / "external", "external-diff"),
            "diff.trap.textconv": self._program(self._programs / "textconv", "textconv", "cat $1"),
            "filter.trap.clean": self._program(self._programs / "clean", _FILTERS, "cat"),
            "filter.trap.smudge": self._program(self._programs / "smudge", _FILTERS, "cat"),
            "merge.trap.driver": self._program(self._programs / "merge", _FILTERS, "exit 1"),
            "gpg.program": self._program(self._programs / "gpg", "signer", "exit 1"),
            "commit.gpgSign": "true",
        }
        for key, value in config.items():
            self._plain("config", key, value)

    def work_on_objects(self) -> None:
        repository = Repository.open(self._root)
        head = repository.head(repository.current_branch())
        before = repository.resolve(f"{head}~1")
        repository.diff(before, head)
        repository.changes(before, head)
        repository.export(head, self._root.parent / "export")
        diff = _DIFF.replace("one", "two")
        built = repository.build_candidate(name="trap", base=head, diff=diff, message="trap")
        self._moves = (
            head,
            repository.promotion_commit(tree=built.tree, parent=head, message="trap", ts=_WHEN),
        )
        repository.delete_candidate_refs(["trap"])

    def work_on_files(self) -> None:
        repository = Repository.open(self._root)
        (self._root / "a.txt").write_text("edited\n")
        repository.status()
        (self._root / "a.txt").write_text("two\n")
        repository.status()
        old, new = self._moves
        repository.move_branch(branch="main", old=old, new=new, reason="trap")

    def plain_git(self) -> None:
        (self._root / "a.txt").write_text("edited\n")
        for arguments in (
            ("status",),
            ("diff",),
            ("diff", "--no-ext-diff"),
            ("commit", "-qam", "trap"),
            ("-c", "commit.gpgSign=false", "commit", "-qam", "trap"),
        ):
            self._plain(*arguments, check=False)

    def forget(self) -> None:
        for file in self._witness.iterdir():
            file.unlink()

    def sprung(self) -> list[str]:
        return [file.name for file in self._witness.iterdir()]

    def _program(self, path: Path, name: str, then: str = "exit 0") -> str:
        path.write_text(f"#!/bin/sh\n: >>'{self._witness / name}'\n{then}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def _plain(self, *arguments: str, check: bool = True) -> None:
        """Run git as anybody would: with the repository's own configuration."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        env |= {"HOME": str(self._root.parent), "GIT_CONFIG_NOSYSTEM": "1"}
        env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "TERM": "dumb"}
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": "t", f"GIT_{role}_EMAIL": "t@localhost"}
        argv = [executable(), *arguments]
        try:
            subprocess.run(
                argv, cwd=self._root, env=env, check=check, capture_output=True, timeout=_PATIENCE
            )
        except subprocess.SubprocessError as error:
            raise GitError(f"The repository with traps could not be made: {error}.") from error
