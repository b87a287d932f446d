"""Heads of the ledger in git: a chain by compare-and-swap, read back from any clone."""

import subprocess
from pathlib import Path

import pytest
from engine_world import git

from ouroboros.errors import GitError, TargetError
from ouroboros.vcs import anchors
from ouroboros.vcs.repository import Repository
from ouroboros.vcs.runner import Git

NOTES = [f"ouroboros/t-1\n{n}\nroot\n\n— ouroboros/t-1 c2ln\n" for n in (1, 2, 3)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def test_heads_make_a_chain_with_the_exact_text(root: Path) -> None:
    repository = Repository.open(root)
    commits = [repository.keep_head(note, ts=n * 10**9) for n, note in enumerate(NOTES)]
    assert repository.keep_head(NOTES[-1], ts=99) == commits[-1]
    assert git(root, "rev-list", anchors.HEADS).split() == commits[::-1]
    stored = subprocess.run(
        ["git", "-C", str(root), "cat-file", "blob", f"{anchors.HEADS}:head"],
        capture_output=True,
        check=True,
    )
    assert stored.stdout.decode() == NOTES[-1]
    assert [n.strip() for n in anchors.read(root).notes] == [n.strip() for n in NOTES]
    assert git(root, "status", "--porcelain") == ""


def test_a_bare_mirror_and_a_plain_clone_with_the_ref_are_anchors(root: Path) -> None:
    repository = Repository.open(root)
    for note in NOTES:
        repository.keep_head(note, ts=10**9)
    mirror = root.parent / "mirror.git"
    git(root, "clone", "-q", "--mirror", str(root), str(mirror))
    assert len(anchors.read(mirror).notes) == 3
    assert len(anchors.read(mirror, f"{anchors.HEADS}~1").notes) == 2
    assert anchors.read(mirror, "main").notes == ()


def test_a_moved_ref_is_not_overwritten(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository.open(root)
    repository.keep_head(NOTES[0], ts=10**9)
    run = Git.run
    theirs: list[str] = []

    def slow(self: Git, *args: str, **kwargs: object) -> object:
        if args[0] == "update-ref" and not theirs:
            theirs.append(git(root, "commit-tree", "-m", "theirs", "HEAD^{tree}"))
            git(root, "update-ref", anchors.HEADS, theirs[0])
        return run(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Git, "run", slow)
    with pytest.raises(GitError, match="update-ref"):
        repository.keep_head(NOTES[1], ts=10**9)
    assert git(root, "rev-parse", anchors.HEADS) == theirs[0]


def test_trailers_count_in_the_last_paragraph_only(root: Path) -> None:
    ours = f"Ouroboros-Ledger: ouroboros/t-1\nOuroboros-Ledger-Head: 7:{'ab' * 32}\n"
    root_line = "Ouroboros-Ledger-Root: cm9vdA==\n"
    git(root, "commit", "-q", "--allow-empty", "-m", f"v1\n\n{ours}{root_line}")
    git(root, "commit", "-q", "--allow-empty", "-m", f"talk\n\n{ours}\nand more words")
    old = f"Ouroboros-Version: 1\nOuroboros-Ledger-Head: 9:{'cd' * 32}"
    git(root, "commit", "-q", "--allow-empty", "-m", f"v2\n\n{old}")
    git(root, "commit", "-q", "--allow-empty", "-m", "v3\n\nOuroboros-Ledger-Head: 7:zz")
    found = [t[1:] for t in anchors.read(root).trailers]
    assert found == [("ouroboros/t-1", 7, "ab" * 32, "cm9vdA=="), ("", 9, "cd" * 32, "")]


def test_what_is_no_repository_is_said(root: Path, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(TargetError, match="not in a git repository"):
            anchors.read(place)
    for rev in ("nonsense", "-x", "--all"):
        with pytest.raises(TargetError, match="names no commit"):
            anchors.read(root, rev)
