"""What versions cost: candidate, promotion, rollback, tree, beside plain git commands.

    .venv/bin/python scripts/bench/git.py [--quick] [--json]

On a repository of 200 files and on one of 50,000 (with `--quick` of 5,000), the same thing is done
by the engine's room and by the git commands that a person would type for it, in turns, in the same
run and with the same durability (`core.fsync`):

- candidate: apply a patch as a commit without touching the work tree, and keep it by a ref. Beside
  it `read-tree`, `apply --cached`, `write-tree`, `commit-tree` and `update-ref` on an index of
  their own.
- promotion: move the checked-out branch to the candidate by compare-and-swap, with the files in
  step and the user's edits safe. Beside it the commands that promise the same: `commit-tree`,
  `status`, a dry run and then `update-ref` with the old value and `read-tree -m -u`.
- rollback: undo the newest commit by a new one. Beside it the same commands.
- the shortest way to the same commits, for information: `commit-tree` and `merge --ff-only`, and
  `git revert`, which neither swap nor look before they leap.
- tree: the files of a commit in a new folder. Beside it `git archive | tar x`.

Then candidates are made one after the other (1,000; with `--quick` 100) and what they leave is
counted: processes, file handles, scratch folders, and after their refs were deleted and `git gc
--prune=now`, loose objects and refs.

Exit code 1 where the room costs more than 1.5 times the plain commands, or something is left.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import table
from table import Row

# This file's own name would hide GitPython from the room that is measured.
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]

from ouroboros.vcs.candidates import Built  # noqa: E402
from ouroboros.vcs.repository import Repository  # noqa: E402

TARGET = 1.5
SAME = {"core.fsync": "committed,reference", "gc.auto": "0"}
"""Settings of the plain commands: as durable as the room's, and without surprises in the middle."""

ENVIRONMENT = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        name: value
        for number, (key, setting) in enumerate(SAME.items())
        for name, value in (
            (f"GIT_CONFIG_KEY_{number}", key),
            (f"GIT_CONFIG_VALUE_{number}", setting),
        )
    },
    "GIT_CONFIG_COUNT": str(len(SAME)),
    **{f"GIT_{who}_{what}": "bench" for who in ("AUTHOR", "COMMITTER") for what in ("NAME",)},
    **{f"GIT_{who}_EMAIL": "bench@localhost" for who in ("AUTHOR", "COMMITTER")},
}


class Plain:
    """git as a person types it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *argv: str, stdin: bytes = b"", **extra: str) -> str:
        """Run a command; returns what it printed."""
        done = subprocess.run(
            ["git", *argv],
            cwd=self.root,
            input=stdin,
            env={**ENVIRONMENT, **extra},
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()


def repository(root: Path, files: int) -> Plain:
    """Make a repository of that many small files, 100 a folder."""
    for number in range(files):
        path = root / f"d{number // 100}" / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def f{number}(x):\n    return x + {number}\n" * 8)
    git = Plain(root)
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "begin")
    return git


def patch(number: int, round_: int, before: str) -> str:
    """Return a patch of one line of one file, and nothing else."""
    path = f"d{number // 100}/f{number}.py"
    after = before.replace("\n    return x", f"\n    return {round_} + x", 1)
    old, new = before.splitlines()[:4], after.splitlines()[:4]
    body = [f"-{a}\n+{b}" if a != b else f" {a}" for a, b in zip(old, new, strict=True)]
    return f"--- a/{path}\n+++ b/{path}\n@@ -1,4 +1,4 @@\n" + "\n".join(body) + "\n"


class Course:
    """One repository, and each thing done in both ways."""

    def __init__(self, folder: Path, files: int) -> None:
        self.files = files
        self.git = repository(folder, files)
        self.room = Repository.open(folder)
        self.folder = folder
        self._round = 0
        self.room_s: dict[str, list[float]] = {}
        self.plain_s: dict[str, list[float]] = {}
        self.short_s: dict[str, list[float]] = {}

    def _next(self) -> tuple[str, str]:
        """Return the head and a patch on it that was never made before."""
        self._round += 1
        number = self._round % self.files
        head = self.git("rev-parse", "main")
        before = self.git("show", f"{head}:d{number // 100}/f{number}.py") + "\n"
        return head, patch(number, self._round, before)

    def _time(self, into: dict[str, list[float]], name: str, work: Callable[[], object]) -> object:
        begun = time.perf_counter()
        result = work()
        into.setdefault(name, []).append(time.perf_counter() - begun)
        return result

    def by_room(self) -> None:
        """One candidate from patch to rollback, by the engine's room."""
        head, diff = self._next()
        room, name = self.room, f"c{self._round}"
        made: list[Built] = []

        def candidate() -> None:
            made.append(room.build_candidate(name=name, base=head, diff=diff, message="m"))

        self._time(self.room_s, "candidate", candidate)
        built = made[0]

        def promote() -> str:
            new = room.promotion_commit(tree=built.tree, parent=head, message="m", ts=10**18)
            room.prepare_move(branch="main", old=head, new=new)
            room.move_branch(branch="main", old=head, new=new, reason="promote")
            return new

        new = str(self._time(self.room_s, "promotion", promote))

        def back() -> None:
            undone = room.revert(onto=new, commits=[new], message="m", ts=10**18)
            room.prepare_move(branch="main", old=new, new=undone.commit)
            room.move_branch(branch="main", old=new, new=undone.commit, reason="roll back")

        self._time(self.room_s, "rollback", back)

    def by_hand(self) -> None:
        """The same by plain commands."""
        head, diff = self._next()
        git, index = self.git, str(self.folder.parent / f"index-{self._round}")

        def candidate() -> str:
            git("read-tree", head, GIT_INDEX_FILE=index)
            git("apply", "--cached", "-", stdin=diff.encode(), GIT_INDEX_FILE=index)
            tree = git("write-tree", GIT_INDEX_FILE=index)
            commit = git("commit-tree", "-p", head, "-m", "m", tree)
            git("update-ref", f"refs/bench/{self._round}", commit)
            return commit

        commit = str(self._time(self.plain_s, "candidate", candidate))

        def move(tree: str, parent: str) -> str:
            new = git("commit-tree", "-p", parent, "-m", "m", tree)
            assert not git("status", "--porcelain", "--untracked-files=no")
            git("read-tree", "-n", "-m", "-u", parent, new)
            git("update-ref", "refs/heads/main", new, parent)
            git("read-tree", "-m", "-u", parent, new)
            return new

        done = self._time(self.plain_s, "promotion", lambda: move(f"{commit}^{{tree}}", head))
        self._time(self.plain_s, "rollback", lambda: move(f"{head}^{{tree}}", str(done)))
        self._shortest(commit)
        Path(index).unlink()

    def _shortest(self, commit: str) -> None:
        git, head = self.git, self.git("rev-parse", "main")

        def promote() -> None:
            new = git("commit-tree", "-p", head, "-m", "m", f"{commit}^{{tree}}")
            git("merge", "-q", "--ff-only", new)

        self._time(self.short_s, "promotion", promote)
        self._time(self.short_s, "rollback", lambda: git("revert", "--no-edit", "HEAD"))

    def trees(self) -> None:
        """The files of a commit in a folder, both ways."""
        head, dest = self.git("rev-parse", "main"), self.folder.parent / "tree"

        def by_hand() -> None:
            dest.mkdir()
            line = f"git archive {head} | tar -x -C '{dest}'"
            subprocess.run(["sh", "-c", line], cwd=self.folder, env=ENVIRONMENT, check=True)

        for into, work in (
            (self.room_s, lambda: self.room.export(head, dest)),
            (self.plain_s, by_hand),
        ):
            self._time(into, "tree", work)
            shutil.rmtree(dest)

    def rows(self) -> list[Row]:
        """Return a row for each thing."""
        found = []
        for name, samples in self.room_s.items():
            floor = 1000 * statistics.median(self.plain_s[name])
            spent = [1000 * s for s in samples]
            figure = f"{name}, {self.files:,} files"
            found.append(
                table.median(figure, "ms", spent, target=round(TARGET * floor, 2), floor=floor)
            )
        for name, samples in self.short_s.items():
            floor = 1000 * statistics.median(samples)
            ours = 1000 * statistics.median(self.room_s[name])
            figure = f"{name} beside the shortest way, {self.files:,} files"
            found.append(Row(figure, "ms", ours, None, floor))
        return found


def leaks(course: Course, count: int) -> list[Row]:
    """Make candidates and count what is left of them; every figure has the target 0."""
    me = psutil.Process()
    room, git = course.room, course.git
    head = git("rev-parse", "main")
    fds, children = me.num_fds(), len(me.children(recursive=True))
    names = [f"leak{n}" for n in range(count)]
    before = git("show", f"{head}:d0/f0.py") + "\n"
    for number, name in enumerate(names):
        diff = patch(0, 10_000_000 + number, before)
        room.build_candidate(name=name, base=head, diff=diff, message=name)
    left = {
        "file handles": me.num_fds() - fds,
        "processes": len(me.children(recursive=True)) - children,
        "scratch": len(list(Path(tempfile.gettempdir()).iterdir())),
    }
    room.delete_candidate_refs([ref.name for ref in room.list_candidate_refs()])
    left["refs"] = len(git("for-each-ref", "refs/ouroboros").splitlines())
    for ref in git("for-each-ref", "--format=%(refname)", "refs/bench").splitlines():
        git("update-ref", "-d", ref)
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "-q", "--prune=now")
    counted = dict(line.split(": ") for line in git("count-objects", "-v").splitlines())
    left["loose objects after gc"] = int(counted["count"])
    about = f"left of {count:,} candidates: "
    return [Row(about + what, "", float(number), 0.0) for what, number in left.items()]


def main() -> int:
    """Measure; return the exit code."""
    options = table.arguments(__doc__ or "")
    sizes = (200, 5_000) if options.quick else (200, 50_000)
    rounds = {200: 10 if options.quick else 40, 5_000: 5, 50_000: 12}
    rows: list[Row] = []
    for files in sizes:
        with tempfile.TemporaryDirectory(prefix="ouroboros-bench-") as place:
            tempfile.tempdir = str(Path(place, "tmp"))  # where nobody else leaves anything
            Path(tempfile.tempdir).mkdir()
            course = Course(Path(place) / "repository", files)
            for _ in range(rounds[files]):
                course.by_room()
                course.by_hand()
            for _ in range(3):
                course.trees()
            rows += course.rows()
            if files == sizes[0]:
                rows += leaks(course, 100 if options.quick else 1_000)
            tempfile.tempdir = None
    return table.report(rows, floor="plain git", as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
