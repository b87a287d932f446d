import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ouroboros.errors import BranchMovedError, GitError, TargetError, WorkTreeError
from ouroboros.vcs.indexlock import MARK, IndexLock
from ouroboros.vcs.moves import Move
from ouroboros.vcs.repository import Repository
from ouroboros.vcs.runner import Git
from ouroboros.vcs.values import MoveState
from ouroboros.vcs.worktrees import Place

if TYPE_CHECKING:
    from tests.vcs.conftest import Box

STEPS = ("lock", "check", "swap", "follow", "publish", "unlock")


class Case:
    """A promotion that changes, adds, deletes, makes executable and links."""

    def __init__(self, box: "Box") -> None:
        self.box = box
        self.old = box.git("rev-parse", "main")
        box.put("a.txt", "line one\n")
        box.put("pkg/added.py", "added\n")
        box.put("fresh/deep/file", "f\n")
        (box.root / "pkg/old.py").unlink()
        (box.root / "pkg/mod.py").chmod(0o755)
        (box.root / "link").symlink_to("a.txt")
        self.new = box.commit("candidate")
        box.git("reset", "-q", "--hard", self.old)
        self.repository = box.open()

    def move(self) -> None:
        self.repository.move_branch(branch="main", old=self.old, new=self.new, reason="promote c1")

    def check(self) -> None:
        self.repository.check_move(branch="main", old=self.old, new=self.new)

    def assert_done(self, *, dirty: str = "") -> None:
        box = self.box
        assert box.git("rev-parse", "main") == self.new
        assert box.git("status", "--porcelain") == dirty
        assert box.text("fresh/deep/file") == "f\n"
        assert not (box.root / "pkg/old.py").exists()
        assert os.access(box.root / "pkg/mod.py", os.X_OK)
        assert (box.root / "link").readlink() == Path("a.txt")
        self.assert_clean_git_dir()

    def assert_untouched(self, before: "Seen") -> None:
        assert Seen(self.box) == before
        assert self.box.git("rev-parse", "main") == self.old
        self.assert_clean_git_dir()

    def assert_clean_git_dir(self) -> None:
        names = {p.name for p in (self.box.root / ".git").iterdir()}
        assert not {n for n in names if "ouroboros" in n or n.endswith(".lock")}


class Seen:
    """All that a user can see of his work tree."""

    def __init__(self, box: "Box") -> None:
        self.staged = box.git("diff", "--cached", "HEAD")
        self.index = box.git("ls-files", "-s")
        self.files = {
            str(p.relative_to(box.root)): p.readlink() if p.is_symlink() else p.read_bytes()
            for p in box.root.rglob("*")
            if ".git" not in p.parts and (p.is_symlink() or p.is_file())
        }
        self.head = box.git("rev-parse", "HEAD")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seen) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment] # compared, never kept in a set


@pytest.fixture
def case(box: "Box") -> Case:
    return Case(box)


def test_a_clean_work_tree_follows_the_branch(case: Case) -> None:
    case.check()
    assert case.repository.head("main") == case.old
    case.move()
    case.assert_done()
    reflog = case.box.git("reflog", "-1", "--format=%gs")
    assert reflog == "promote c1"
    assert case.box.git("reflog", "-1", "--format=%gs", "main") == "promote c1"
    assert case.repository.moved(branch="main", old=case.old, new=case.new) is MoveState.DONE


def test_moving_again_changes_nothing(case: Case) -> None:
    case.move()
    before = Seen(case.box)
    case.move()
    case.check()
    assert Seen(case.box) == before
    case.assert_done()


def test_a_branch_that_nobody_has_checked_out_just_moves(case: Case) -> None:
    case.box.git("switch", "-q", "-c", "other")
    case.box.put("a.txt", "local\n")
    before = Seen(case.box)
    case.move()
    assert Seen(case.box) == before
    assert case.box.git("rev-parse", "main") == case.new


def test_local_edits_in_other_files_survive(case: Case) -> None:
    box = case.box
    box.put("README", "staged\n")
    box.git("add", "README")
    box.put("README", "staged, then edited\n")
    box.put("unknown", "u\n")
    box.put("staged-new", "s\n")
    box.git("add", "staged-new")
    case.move()
    assert box.text("README") == "staged, then edited\n"
    assert box.git("show", ":README") == "staged"
    case.assert_done(dirty="MM README\nA  staged-new\n?? unknown")


EDITS: dict[str, Callable[["Box"], object]] = {
    "unstaged": lambda box: box.put("a.txt", "mine\n"),
    "staged": lambda box: (box.put("a.txt", "mine\n"), box.git("add", "a.txt")),
    "staged and taken back": lambda box: (
        box.put("a.txt", "mine\n"),
        box.git("add", "a.txt"),
        box.git("show", "HEAD:a.txt"),
        box.put("a.txt", "".join(f"line {n}\n" for n in range(1, 21))),
    ),
    "exactly the new contents": lambda box: box.put("a.txt", "line one\n"),
    "the new contents, staged": lambda box: (
        box.put("a.txt", "line one\n"),
        box.git("add", "a.txt"),
    ),
    "deleted": lambda box: (box.root / "a.txt").unlink(),
    "untracked in the way": lambda box: box.put("pkg/added.py", "mine\n"),
    "ignored in the way": lambda box: (
        box.put(".git/info/exclude", "added.py\n"),
        box.put("pkg/added.py", "mine\n"),
    ),
    "file where a folder goes": lambda box: box.put("fresh", "mine\n"),
    "folder where a file goes": lambda box: box.put("pkg/added.py/mine", "mine\n"),
    "edit of a file that goes": lambda box: box.put("pkg/old.py", "mine\n"),
    "mode": lambda box: (box.root / "a.txt").chmod(0o755),
    "assume-unchanged": lambda box: (
        box.git("update-index", "--assume-unchanged", "a.txt"),
        box.put("a.txt", "mine\n"),
    ),
    "intent to add": lambda box: (
        box.put("pkg/added.py", "mine\n"),
        box.git("add", "-N", "pkg/added.py"),
    ),
    "link in place of a folder": lambda box: (
        (box.root / "pkg").rename(box.root / "moved"),
        (box.root / "pkg").symlink_to("moved"),
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_local_edits_in_touched_files_refuse_the_move(
    case: Case, edit: Callable[["Box"], object]
) -> None:
    edit(case.box)
    before = Seen(case.box)
    with pytest.raises(WorkTreeError) as checked:
        case.check()
    case.assert_untouched(before)
    with pytest.raises(WorkTreeError) as caught:
        case.move()
    case.assert_untouched(before)
    assert str(caught.value) == str(checked.value)
    names = ("a.txt", "added.py", "fresh", "old.py", "pkg/")
    assert any(name in caught.value.message for name in names)


def test_all_files_in_the_way_are_listed(case: Case) -> None:
    case.box.put("a.txt", "mine\n")
    case.box.put("pkg/added.py", "mine\n")
    with pytest.raises(WorkTreeError, match=r"a\.txt, pkg/added\.py"):
        case.check()


def test_files_that_are_only_touched_are_no_edits(case: Case) -> None:
    (case.box.root / "a.txt").touch()
    os.utime(case.box.root / "pkg/mod.py", (1, 1))
    case.move()
    case.assert_done()


def test_a_branch_that_moved_is_left_alone(case: Case) -> None:
    case.box.put("README", "new\n")
    elsewhere = case.box.commit("by the user")
    before = Seen(case.box)
    for attempt in (case.check, case.move):
        with pytest.raises(BranchMovedError, match=elsewhere[:12]):
            attempt()
    assert Seen(case.box) == before
    case.assert_clean_git_dir()


def test_a_branch_that_moves_between_check_and_swap_is_left_alone(case: Case) -> None:
    move = make(case)
    move.lock()
    move.check()
    tree = case.box.git("rev-parse", "main^{tree}")
    other = case.box.git("commit-tree", "-p", case.old, "-m", "pushed", tree)
    case.box.git("update-ref", "refs/heads/main", other)
    with pytest.raises(BranchMovedError):
        move.swap("promote")
    move.unlock()
    assert case.box.git("rev-parse", "main") == other
    assert case.box.git("status", "--porcelain") == ""
    case.assert_clean_git_dir()


def test_unknown_commits_and_branches_are_refused(case: Case) -> None:
    repository = case.repository
    with pytest.raises(TargetError):
        repository.move_branch(branch="none", old=case.old, new=case.new, reason="x")
    with pytest.raises(TargetError):
        repository.move_branch(branch="main", old=case.old, new="0" * 40, reason="x")
    assert repository.head("main") == case.old


def test_a_git_command_at_work_is_named(case: Case) -> None:
    lock = case.box.root / ".git" / "index.lock"
    lock.write_bytes(b"DIRC")
    before = Seen(case.box)
    for attempt in (case.check, case.move):
        with pytest.raises(WorkTreeError, match=r"index\.lock exists"):
            attempt()
    assert lock.read_bytes() == b"DIRC"
    lock.unlink()
    case.assert_untouched(before)


def test_a_locked_ref_is_named(case: Case) -> None:
    lock = case.box.root / ".git" / "refs" / "heads" / "main.lock"
    lock.touch()
    before = Seen(case.box)
    with pytest.raises(TargetError, match=r"main\.lock"):
        case.move()
    lock.unlink()
    case.assert_untouched(before)
    case.move()
    case.assert_done()


def test_an_operation_under_way_is_named(case: Case) -> None:
    box = case.box
    box.git("switch", "-q", "-c", "side")
    box.put("README", "side\n")
    box.commit("side")
    box.git("switch", "-q", "main")
    box.put("README", "main\n")
    box.commit("main")
    case.old = box.git("rev-parse", "main")
    tree = box.git("rev-parse", f"{case.new}^{{tree}}")
    case.new = box.git("commit-tree", "-p", case.old, "-m", "new", tree)
    for command, name in (("merge", "merge"), ("cherry-pick", "cherry-pick"), ("rebase", "rebase")):
        box.git(command, "side", ok=False)
        with pytest.raises(WorkTreeError, match=f"{name} is in progress"):
            case.check()
        with pytest.raises(WorkTreeError, match=f"{name} is in progress"):
            case.move()
        box.git(command, "--abort")
    assert box.git("rev-parse", "main") == case.old


def test_unresolved_files_without_an_operation_are_named(case: Case) -> None:
    box = case.box
    box.put("README", "stashed\n")
    box.git("stash", "-q")
    box.put("README", "other\n")
    case.old = box.commit("other")
    box.put("a.txt", "line one\n")
    case.new = box.commit("new")
    box.git("reset", "-q", "--hard", case.old)
    box.git("stash", "pop", ok=False)
    for attempt in (case.check, case.move):
        with pytest.raises(WorkTreeError, match="resolve your current index"):
            attempt()
    assert box.git("rev-parse", "main") == case.old


def test_a_linked_work_tree_follows_and_the_main_one_stays(case: Case, tmp_path: Path) -> None:
    box = case.box
    box.git("switch", "-q", "-c", "other")
    linked = tmp_path / "linked tree"
    box.git("worktree", "add", "-q", str(linked), "main")
    before = Seen(box)
    inside = type(box)(linked)
    inside.put("README", "edited\n")
    case.move()
    assert Seen(box) == before
    assert inside.git("status", "--porcelain") == "M README"
    assert inside.text("fresh/deep/file") == "f\n"
    assert inside.git("reflog", "-1", "--format=%gs") == "promote c1"
    # And the other way round: opened in the linked one, the main one has the branch.
    inside.git("checkout", "-q", "--detach")
    box.git("switch", "-q", "main")
    Repository.open(linked).move_branch(branch="main", old=case.new, new=case.old, reason="back")
    assert box.git("status", "--porcelain") == ""
    assert box.text("pkg/old.py") == "old\n"


def test_every_work_tree_of_the_branch_follows_or_none(case: Case, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    case.box.git("worktree", "add", "-q", "--force", str(linked), "main")
    inside = type(case.box)(linked)
    inside.put("a.txt", "mine\n")
    before = Seen(case.box)
    with pytest.raises(WorkTreeError, match="linked"):
        case.move()
    case.assert_untouched(before)
    inside.git("checkout", "-q", "a.txt")
    case.move()
    case.assert_done()
    assert inside.git("status", "--porcelain") == ""


def test_work_trees_that_are_gone_are_passed_over_unless_locked(case: Case, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    case.box.git("worktree", "add", "-q", "--force", str(linked), "main")
    linked.rename(tmp_path / "away")
    case.box.git("worktree", "lock", str(linked))
    with pytest.raises(WorkTreeError, match="not there now"):
        case.move()
    case.box.git("worktree", "unlock", str(linked))
    case.move()
    case.assert_done()


def test_a_branch_that_is_being_rebased_elsewhere_is_left_alone(case: Case, tmp_path: Path) -> None:
    box = case.box
    box.git("switch", "-q", "-c", "side")
    box.put("README", "side\n")
    box.commit("side")
    box.git("branch", "-f", "main", case.old)
    linked = tmp_path / "linked"
    box.git("worktree", "add", "-q", str(linked), "main")
    inside = type(box)(linked)
    inside.put("README", "main\n")
    case.old = inside.commit("main")
    tree = box.git("rev-parse", f"{case.new}^{{tree}}")
    case.new = box.git("commit-tree", "-p", case.old, "-m", "new", tree)
    inside.git("rebase", "side", ok=False)
    with pytest.raises(WorkTreeError, match="rebase is in progress"):
        case.move()
    inside.git("rebase", "--abort")
    case.move()
    assert inside.git("status", "--porcelain") == ""


def test_line_endings_and_filters_are_the_users(case: Case, user: Path) -> None:
    box = case.box
    with user.open("a") as config:
        config.write('[core]\n\tautocrlf = true\n[filter "up"]\n')
        config.write("\tsmudge = tr a-z A-Z\n\tclean = tr A-Z a-z\n")
    box.put(".git/info/attributes", "pkg/added.py filter=up\n")
    box.git("rm", "-q", "--cached", "-r", ".")
    box.git("reset", "-q", "--hard")
    assert (box.root / "README").read_bytes() == b"read me\r\n"
    case.move()
    assert (box.root / "a.txt").read_bytes() == b"line one\r\n"
    assert (box.root / "pkg/added.py").read_bytes() == b"ADDED\r\n"
    assert box.git("status", "--porcelain") == ""
    case.repository.move_branch(branch="main", old=case.new, new=case.old, reason="back")
    assert box.git("status", "--porcelain") == ""


def test_names_that_look_like_options_or_patterns(box: "Box") -> None:
    names = ["-dash", ":(glob)x", "*.txt", "new\nline", 'quo"te', "not \udcff utf8", "[a]"]
    old = box.git("rev-parse", "HEAD")
    for name in names:
        box.put(name, "1\n")
    new = box.commit()
    for name in names:
        box.put(name, "2\n")
    newer = box.commit()
    box.git("reset", "-q", "--hard", old)
    repository = box.open()
    repository.move_branch(branch="main", old=old, new=new, reason="x")
    assert box.git("status", "--porcelain") == ""
    box.put("new\nline", "mine\n")
    with pytest.raises(WorkTreeError, match="new line"):
        repository.move_branch(branch="main", old=new, new=newer, reason="x")
    box.put("new\nline", "1\n")
    repository.move_branch(branch="main", old=new, new=newer, reason="x")
    assert box.git("status", "--porcelain") == ""
    assert all(box.text(name) == "2\n" for name in names)


def test_many_changed_files_do_not_overflow_the_command_line(box: "Box") -> None:
    old = box.git("rev-parse", "HEAD")
    for n in range(1500):
        box.put(f"{'long' * 20}/{n:04}-{'x' * 60}", "1\n")
    new = box.commit()
    box.git("reset", "-q", "--hard", old)
    box.open().move_branch(branch="main", old=old, new=new, reason="x")
    assert box.git("status", "--porcelain") == ""


# --- crashes ------------------------------------------------------------------------------------


def make(case: Case) -> Move:
    git_dir = case.repository.git_dir
    home = Place(case.repository.root, git_dir)
    return Move(Git(directory=git_dir), home, branch="main", old=case.old, new=case.new)


def die_after(case: Case, steps: int) -> None:
    """Do the first steps, then lose all handles without any clean-up, as a kill does."""
    move = make(case)
    for step in move.steps("promote c1")[:steps]:
        step()
    for lock in move._locks:
        if lock.descriptor >= 0:
            os.close(lock.descriptor)


@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_a_move_killed_after_any_step_is_completed(case: Case, steps: int) -> None:
    case.box.put("README", "local\n")
    die_after(case, steps)
    swapped = steps > STEPS.index("swap")
    expected = MoveState.DONE if swapped else MoveState.NOT_STARTED
    assert case.repository.moved(branch="main", old=case.old, new=case.new) is expected
    if 0 < steps < len(STEPS):
        # Until recovery the user cannot commit the state in between.
        assert "index.lock" in case.box.git("commit", "-am", "oops", ok=False)
    case.check()
    case.move()
    case.assert_done(dirty="M README")


@pytest.mark.parametrize("written", range(6))
def test_a_move_killed_while_files_are_written_is_completed(case: Case, written: int) -> None:
    box = case.box
    die_after(case, STEPS.index("follow"))
    half: list[Callable[[], object]] = [
        lambda: box.put("a.txt", "line one\n"),
        (box.root / "pkg/old.py").unlink,
        lambda: box.put("pkg/added.py", "added\n"),
        lambda: (box.root / "pkg/mod.py").chmod(0o755),
        lambda: (box.root / "link").symlink_to("a.txt"),
        lambda: box.put("fresh/deep/file", "f\n"),
    ]
    for write in half[: written + 1]:
        write()
    (box.root / ".git" / "ouroboros-index").write_bytes(b"half")
    (box.root / ".git" / "ouroboros-index.lock").write_bytes(b"half")
    case.move()
    case.assert_done()


def test_edits_made_after_the_kill_are_not_overwritten(case: Case) -> None:
    die_after(case, STEPS.index("follow"))
    case.box.put("a.txt", "mine\n")
    with pytest.raises(WorkTreeError, match=r"a\.txt"):
        case.move()
    assert case.box.text("a.txt") == "mine\n"
    assert case.box.git("rev-parse", "main") == case.new
    case.box.git("show", "HEAD:a.txt")
    case.box.put("a.txt", "line one\n")
    case.move()
    case.assert_done()


def test_a_user_who_put_it_right_himself_is_left_alone(case: Case) -> None:
    die_after(case, STEPS.index("follow"))
    (case.box.root / ".git" / "index.lock").unlink()
    case.box.git("reset", "-q", "--hard")
    case.box.put("a.txt", "and went on\n")
    before = Seen(case.box)
    case.move()
    assert Seen(case.box) == before


def test_left_over_locks_are_cleared_and_others_are_not(case: Case) -> None:
    die_after(case, STEPS.index("publish"))
    lock = case.box.root / ".git" / "index.lock"
    assert lock.with_name("ouroboros-index").exists()
    assert lock.read_bytes().startswith(MARK)
    assert case.repository.clear_left_over_locks() == (lock,)
    case.assert_clean_git_dir()
    lock.write_bytes(b"DIRC")
    assert case.repository.clear_left_over_locks() == ()
    assert lock.exists()


def test_a_directory_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkTreeError, match="cannot be created"):
        IndexLock(tmp_path / "none").acquire("x")


def test_a_lock_that_is_held_is_respected_by_another_engine(tmp_path: Path) -> None:
    first, second = IndexLock(tmp_path), IndexLock(tmp_path)
    first.acquire("one")
    with pytest.raises(WorkTreeError, match="still at work"):
        second.acquire("two")
    with pytest.raises(WorkTreeError):
        second.clear()
    first.release()
    first.release()
    second.acquire("two")
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_outlives_the_engine_keeps_the_lock(tmp_path: Path) -> None:
    lock = IndexLock(tmp_path)
    lock.acquire("one")
    child = subprocess.Popen(["sleep", "60"], pass_fds=(lock.descriptor,))
    os.close(lock.descriptor)
    other = IndexLock(tmp_path)
    with pytest.raises(WorkTreeError, match="still at work"):
        other.acquire("two")
    child.kill()
    child.wait()
    other.acquire("two")
    other.release()


def test_a_lock_taken_away_by_the_user_is_not_taken_from_the_next(tmp_path: Path) -> None:
    lock = IndexLock(tmp_path)
    lock.acquire("one")
    lock.path.unlink()
    lock.path.write_bytes(b"somebody else's")
    lock.release()
    assert lock.path.read_bytes() == b"somebody else's"


def test_files_that_cannot_be_written_put_everything_back(case: Case, user: Path) -> None:
    """A filter that fails in the middle stands for no space and no permission alike."""
    box = case.box
    with user.open("a") as config:
        config.write('[filter "broken"]\n\tsmudge = false\n\tclean = cat\n\trequired = true\n')
    box.put(".git/info/attributes", "pkg/added.py filter=broken\n")
    before = Seen(box)
    with pytest.raises(WorkTreeError, match=r"cannot follow.*added\.py"):
        case.move()
    case.assert_untouched(before)
    (box.root / ".git/info/attributes").unlink()
    case.move()
    case.assert_done()


def test_a_move_that_can_neither_follow_nor_go_back_says_so_and_completes_later(
    case: Case, user: Path
) -> None:
    box = case.box
    with user.open("a") as config:
        config.write('[filter "broken"]\n\tsmudge = false\n\tclean = cat\n\trequired = true\n')
    box.put(".git/info/attributes", "pkg/added.py filter=broken\npkg/old.py filter=broken\n")
    with pytest.raises(GitError, match="neither follow"):
        case.move()
    assert box.git("rev-parse", "main") == case.new
    (box.root / ".git/info/attributes").unlink()
    case.move()
    case.assert_done()


RUNNER = """
import sys
from pathlib import Path
from ouroboros.vcs.repository import Repository
repository = Repository.open(Path(sys.argv[1]))
print("ready", flush=True)
a, b = sys.argv[2:4]
while True:
    repository.move_branch(branch="main", old=a, new=b, reason="there")
    repository.move_branch(branch="main", old=b, new=a, reason="back")
"""


def test_kills_at_random_instants_never_break_the_target(case: Case) -> None:
    box = case.box
    box.put("README", "local\n")
    left_over = 0
    for round_ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(box.root), case.old, case.new],
            stdout=subprocess.PIPE,
            env=os.environ | {"TMPDIR": str(box.root.parent)},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.013 * round_)  # the instant of the kill, not a wait for anything
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        settle(box)
        left_over += len(case.repository.clear_left_over_locks())
        here = box.git("rev-parse", "main")
        there = case.new if here == case.old else case.old
        # Complete the move that was under way, whichever it was, then go home.
        case.repository.move_branch(branch="main", old=there, new=here, reason="recover")
        assert box.git("status", "--porcelain") == "M README"
        case.repository.move_branch(branch="main", old=here, new=case.old, reason="home")
        assert box.git("status", "--porcelain") == "M README"
        assert box.git("rev-parse", "main") == case.old
        case.assert_clean_git_dir()
    assert left_over > 0, "no kill hit the middle of a move"
    assert box.git("fsck", "--strict", "--no-dangling") == ""


def settle(box: "Box") -> None:
    """Wait for a git child that outlived the kill; it holds the flock until it ends."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            handle = os.open(box.root / ".git" / "index.lock", os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.005)
        else:
            return
        finally:
            os.close(handle)
    raise AssertionError("a git child did not end")
