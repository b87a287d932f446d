import os
import shutil
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from ouroboros.errors import GitError, MachineError, TargetError
from ouroboros.model.proposal import FileStatus
from ouroboros.vcs.repository import Repository
from ouroboros.vcs.runner import Git
from ouroboros.vcs.values import MoveState

if TYPE_CHECKING:
    from tests.vcs.conftest import Box

ODD = [
    b"caf\xc3\xa9.txt",
    b"not utf8 \xff.txt",
    b"new\nline.txt",
    b"tab\there.txt",
    b'quo"te.txt',
    b"back\\slash.txt",
    b" space ",
    b":colon",
    b"-dash",
    b"glob*[x]?",
    b"dir with space/\xe2\x98\x83/deep.txt",
]


def test_open_finds_the_top_from_below_and_from_a_linked_work_tree(
    box: "Box", tmp_path: Path
) -> None:
    below = Repository.open(box.root / "pkg")
    assert below.root == box.root
    assert below.git_dir == box.root / ".git"
    box.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    linked = Repository.open(tmp_path / "linked")
    assert linked.root == tmp_path / "linked"
    assert linked.git_dir == box.root / ".git"
    assert linked.current_branch() == "side"
    assert below.current_branch() == "main"


def test_each_unusable_target_is_named(box: "Box", tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="There is no folder"):
        Repository.open(tmp_path / "none")
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(TargetError, match="not in a git repository"):
        Repository.open(plain)
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare")], check=True)
    with pytest.raises(TargetError, match="bare"):
        Repository.open(tmp_path / "bare")
    with pytest.raises(TargetError, match="bare"):
        Repository.open(box.root / ".git")
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    with pytest.raises(TargetError, match="no commits"):
        Repository.open(tmp_path / "empty")


def test_a_detached_head_is_named_with_the_way_out(box: "Box") -> None:
    box.git("checkout", "-q", "--detach")
    repository = box.open()
    with pytest.raises(TargetError, match="git switch"):
        repository.current_branch()
    assert repository.status().branch is None


def test_git_missing_or_too_old_is_named(
    box: "Box", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    with pytest.raises(MachineError, match="Install git"):
        Repository.open(box.root)
    fake = empty / "git"
    fake.write_text("#!/bin/sh\necho git version 2.20.1\n")
    fake.chmod(0o755)
    with pytest.raises(MachineError, match=r"2\.20.*too old"):
        Repository.open(box.root)


def test_names_resolve_to_commits(box: "Box") -> None:
    repository = box.open()
    first = box.git("rev-parse", "HEAD")
    box.git("tag", "-a", "-m", "t", "v1")
    box.put("new", "x")
    second = box.commit()
    assert repository.head("main") == second
    assert repository.resolve("v1") == repository.resolve(first[:8]) == first
    assert repository.resolve("HEAD~1") == first
    assert repository.is_ancestor(first, second)
    assert repository.is_ancestor(first, first)
    assert not repository.is_ancestor(second, first)
    for rev in ("", "none", "--all", "-h", "HEAD:a.txt", "x\0y", "main\nmain"):
        with pytest.raises(TargetError):
            repository.resolve(rev)
    for branch in ("none", "--help", "ma\nin", "../main", "v1"):
        with pytest.raises(TargetError):
            repository.head(branch)


def test_where_a_branch_stands_relative_to_a_move(box: "Box") -> None:
    repository = box.open()
    old = box.git("rev-parse", "HEAD")
    box.put("new", "x")
    new = box.commit()
    box.put("new", "y")
    later = box.commit()
    assert repository.moved(branch="main", old=later, new="0" * 40) is MoveState.NOT_STARTED
    assert repository.moved(branch="main", old=old, new=new) is MoveState.DONE
    assert repository.moved(branch="main", old=old, new=later) is MoveState.DONE
    assert repository.moved(branch="main", old=old, new="0" * 40) is MoveState.ELSEWHERE
    assert repository.moved(branch="gone", old=old, new=new) is MoveState.ELSEWHERE
    box.git("reset", "-q", "--hard", old)
    assert repository.moved(branch="main", old=old, new=new) is MoveState.NOT_STARTED


def test_status_lists_what_the_user_changed(box: "Box") -> None:
    repository = box.open()
    assert repository.status().dirty == ()
    box.put("a.txt", "changed\n")
    box.put("pkg/mod.py", "staged\n")
    box.git("add", "pkg/mod.py")
    box.put("unknown file", "?")
    before = (box.root / ".git" / "index").read_bytes()
    assert set(repository.status().dirty) == {"a.txt", "pkg/mod.py", "unknown file"}
    assert (box.root / ".git" / "index").read_bytes() == before


def test_sources_are_the_contents_on_both_sides_without_what_is_too_large(box: "Box") -> None:
    box.put("big", "x" * 50)
    box.put("crlf.txt", b"a\r\n\xff")
    old = box.commit()
    box.git("mv", "pkg/old.py", "pkg/new.py")
    box.put("big", "x" * 51)
    box.put("crlf.txt", b"a\n\xff")
    box.put("a name\nwith \xe4.py", "new\n")
    (box.root / "README").unlink()
    (box.root / "README").symlink_to("a.txt")
    new = box.commit()
    moved = box.git("show", f"{old}:pkg/old.py").encode() + b"\n"
    repository = box.open()
    found = {
        s.path: (s.before, s.after, s.whole)
        for s in repository.sources(old, new, limit=50, total=999)
    }
    assert found["pkg/old.py"] == (moved, None, True)
    assert found["pkg/new.py"] == (None, moved, True)
    assert found["big"] == (b"x" * 50, None, False)
    assert found["crlf.txt"] == (b"a\r\n\xff", b"a\n\xff", True)
    assert found["a name\nwith \xe4.py"] == (None, b"new\n", True)
    assert found["README"][1:] == (None, False)
    assert repository.sources(new, new, limit=50, total=999) == ()
    few = repository.sources(old, new, limit=50, total=60)
    assert 0 < sum(len(s.before or b"") + len(s.after or b"") for s in few) <= 60
    assert any(not s.whole for s in few)


def test_changes_count_lines_and_never_follow_renames(box: "Box") -> None:
    old = box.git("rev-parse", "HEAD")
    box.git("mv", "pkg/old.py", "pkg/new.py")
    box.put("blob", b"\0\1\2")
    box.put("a.txt", "only\n")
    (box.root / "README").unlink()
    (box.root / "README").symlink_to("a.txt")
    (box.root / "pkg/mod.py").chmod(0o755)
    new = box.commit()
    repository = box.open()
    found = {c.path: (c.status, c.added, c.removed) for c in repository.changes(old, new)}
    assert found["pkg/old.py"] == (FileStatus.DELETED, 0, 1)
    assert found["pkg/new.py"] == (FileStatus.ADDED, 1, 0)
    assert found["blob"] == (FileStatus.ADDED, -1, -1)
    assert found["a.txt"] == (FileStatus.MODIFIED, 1, 20)
    assert found["pkg/mod.py"] == (FileStatus.MODIFIED, 0, 0)
    modes = {m.path: (m.old, m.new) for m in repository.modes(old, new)}
    assert modes["README"] == ("100644", "120000")
    assert modes["pkg/mod.py"] == ("100644", "100755")
    assert modes["blob"] == ("000000", "100644")
    text = repository.diff(old, new)
    assert "--- a/pkg/old.py\n" in text
    assert "+++ b/pkg/new.py\n" in text
    assert "Binary files /dev/null and b/blob differ" in text


def test_a_diff_is_the_same_whatever_the_repository_configures(box: "Box") -> None:
    old = box.git("rev-parse", "HEAD")
    box.put("a.txt", "changed\n")
    box.put(".gitattributes", "*.txt diff=evil\n")
    new = box.commit()
    repository = box.open()
    plain = repository.diff(old, new)
    marker = box.root.parent / "ran"
    for key, value in {
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.context": "0",
        "diff.renames": "copies",
        "diff.algorithm": "patience",
        "diff.external": f"touch {marker}; true",
        "diff.evil.command": f"touch {marker}; true",
        "diff.evil.textconv": f"touch {marker}; cat",
        "core.fsmonitor": f"touch {marker}; true",
        "core.abbrev": "5",
        "color.ui": "always",
        "core.quotePath": "true",
    }.items():
        box.git("config", key, value)
    assert repository.diff(old, new) == plain
    assert len(repository.changes(old, new)) == 2
    assert not marker.exists()


def test_odd_names_survive_everywhere(box: "Box", tmp_path: Path) -> None:
    old = box.git("rev-parse", "HEAD")
    for number, name in enumerate(ODD):
        box.put(os.fsdecode(name), f"{number}\n")
    new = box.commit()
    repository = box.open()
    names = [os.fsdecode(name) for name in ODD]
    assert set(names) <= set(repository.files(new))
    for number, name in enumerate(names):
        assert repository.read_file(new, name) == f"{number}\n".encode()
    shown = {c.path for c in repository.changes(old, new)}
    assert "not utf8 \\xff.txt" in shown
    assert shown - {"not utf8 \\xff.txt"} == set(names) - {"not utf8 \udcff.txt"}
    repository.export(new, tmp_path / "out")
    for number, name in enumerate(names):
        assert (tmp_path / "out" / name).read_text() == f"{number}\n"


def test_read_file_tells_missing_from_broken(box: "Box") -> None:
    repository = box.open()
    head = repository.head("main")
    assert repository.read_file(head, "README") == b"read me\n"
    for path in ("none", "pkg", "", "a\0b", "pkg/none", "README/x"):
        assert repository.read_file(head, path) is None
    blob = box.git("rev-parse", "HEAD:README")
    loose = box.root / ".git" / "objects" / blob[:2] / blob[2:]
    loose.unlink()
    with pytest.raises(GitError):
        repository.read_file(head, "README")
    with pytest.raises(TargetError):
        repository.read_file("0" * 40, "README")


def test_export_is_exact_and_runs_nothing(box: "Box", tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    box.put(".gitattributes", "*.txt filter=evil eol=crlf ident\nREADME export-ignore\n")
    box.put("crlf.dat", b"a\r\nb\n$Id$\n")
    box.put("run.sh", "#!/bin/sh\n").chmod(0o755)
    box.put("empty", b"")
    head = box.commit()
    box.git("config", "filter.evil.smudge", f"touch {marker}; cat")
    box.git("config", "filter.evil.clean", f"touch {marker}; cat")
    hook = box.root / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    out = tmp_path / "out"
    box.open().export(head, out)
    assert not marker.exists()
    assert not (out / ".git").exists()
    assert (out / "crlf.dat").read_bytes() == b"a\r\nb\n$Id$\n"
    assert (out / "a.txt").read_bytes().startswith(b"line 1\nline 2\n")
    assert (out / "README").exists()
    assert (out / "empty").read_bytes() == b""
    assert stat.S_IMODE((out / "run.sh").stat().st_mode) & 0o111
    assert not stat.S_IMODE((out / "a.txt").stat().st_mode) & 0o111


def test_export_keeps_links_only_inside_the_tree(box: "Box", tmp_path: Path) -> None:
    links = {
        "inside": "a.txt",
        "pkg/up": "../a.txt",
        "folder": "pkg",
        "dangling": "none",
        "circle": "circle",
        "absolute": "/etc/passwd",
        "outside": "../x",
        "pkg/deeper": "../../x",
        "s/d": "..",
        "trick": "s/d/../..",
        "chain": "outside",
        "self": ".",
        "into-git": ".git/config",
    }
    for name, target in links.items():
        path = box.root / name
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(target)
    head = box.commit()
    box.git("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    box.git("commit", "-q", "-m", "with a submodule")
    head = box.git("rev-parse", "HEAD")
    out = tmp_path / "out"
    box.open().export(head, out)
    made = {name for name in links if (out / name).is_symlink()}
    gone = {"absolute", "outside", "pkg/deeper", "trick", "chain"}
    assert made == set(links) - gone
    for name in made:
        assert Path(os.path.realpath(out / name)).is_relative_to(out)
    assert not (out / "sub").exists()


def test_export_refuses_trees_that_were_crafted(box: "Box", tmp_path: Path) -> None:
    blob = box.git("hash-object", "-w", "--stdin", data=b"evil")
    for name in ("..", ".git", ".GIT"):
        inner = box.git("mktree", data=f"100644 blob {blob}\tconfig\n".encode())
        entry = f"40000 {name}\0".encode() + bytes.fromhex(inner)
        tree = box.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=entry)
        commit = box.git("commit-tree", "-m", "x", tree)
        with pytest.raises(GitError, match="cannot be written"):
            box.open().export(commit, tmp_path / "out" / name.strip("."))
    assert not (tmp_path / "out" / "config").exists()


def test_nothing_of_an_enclosing_git_reaches_our_commands(
    box: "Box", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(box.root, other)
    subprocess.run(["git", "checkout", "-q", "-b", "elsewhere"], cwd=other, check=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_NAMESPACE", "ns")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    repository = Repository.open(box.root)
    assert repository.git_dir == box.root / ".git"
    assert repository.current_branch() == "main"
    assert repository.read_file(repository.head("main"), "README") == b"read me\n"
    seen = Git(directory=repository.git_dir).run("var", "GIT_AUTHOR_IDENT").line
    assert seen.startswith("Ouroboros <ouroboros@localhost>")


def test_a_planted_git_in_the_work_tree_changes_nothing(box: "Box", tmp_path: Path) -> None:
    repository = box.open()
    head = repository.head("main")
    marker = tmp_path / "ran"
    real = box.root / ".git"
    moved = box.root / "moved"
    real.rename(moved)
    subprocess.run(["git", "init", "-q", str(box.root)], check=True)
    subprocess.run(
        ["git", "config", "core.fsmonitor", f"touch {marker}; true"], cwd=box.root, check=True
    )
    opened = Repository(root=box.root, git_dir=moved, own_dir=moved)
    opened.status()
    assert opened.head("main") == head
    assert not marker.exists()


def test_a_command_that_hangs_is_killed_at_its_limit(box: "Box", tmp_path: Path) -> None:
    box.git("config", "filter.slow.clean", "sleep 60")
    box.put(".gitattributes", "*.slow filter=slow\n")
    git = Git(directory=box.root / ".git", work_tree=box.root, user=True)
    path = box.put("x.slow", "x")
    start = time.monotonic()
    with pytest.raises(GitError, match="time limit"):
        git.run("hash-object", "--", path.name, timeout=0.3)
    assert time.monotonic() - start < 20


def test_a_folder_that_cannot_be_written_or_entered_is_named(box: "Box", tmp_path: Path) -> None:
    repository = box.open()
    head = repository.head("main")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MachineError, match="cannot be written"):
        repository.export(head, tmp_path / "file" / "below")
    with pytest.raises(MachineError, match="cannot be entered"):
        Git(directory=None, work_tree=tmp_path / "none").run("rev-parse", "--git-dir")


def test_nothing_is_left_running_or_open(box: "Box", tmp_path: Path) -> None:
    repository = box.open()
    head = repository.head("main")
    me = psutil.Process()
    fds, children = me.num_fds(), me.children()  # a pool's helper lives as long as the whole suite
    for n in range(5):
        repository.export(head, tmp_path / f"out{n}")
        repository.status()
        repository.changes(head, head)
    assert me.num_fds() == fds
    assert me.children() == children
