import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ouroboros.errors import Misuse, PatchConflictError, PatchError, TargetError
from ouroboros.model.proposal import FileStatus
from ouroboros.vcs.values import Built, CandidateRef

if TYPE_CHECKING:
    from tests.vcs.conftest import Box

TS = 1_700_000_000 * 10**9


def build(box: "Box", diff: str, *, name: str = "c1", base: str = "") -> Built:
    base = base or box.git("rev-parse", "main")
    return box.open().build_candidate(name=name, base=base, diff=diff, message="Try\n")


def snapshot(box: "Box") -> tuple[str, str, bytes]:
    """What the user sees; a candidate must not change any of it."""
    index = (box.root / ".git" / "index").read_bytes()
    return box.git("status", "--porcelain"), box.git("rev-parse", "HEAD"), index


def test_a_candidate_is_a_commit_on_its_base_and_invisible_to_the_user(box: "Box") -> None:
    diff = _change_mod(box)
    box.put("a.txt", "local edit\n")
    before = snapshot(box)
    built = build(box, diff)
    assert snapshot(box) == before
    base = before[1]
    assert built.base == base
    assert box.git("rev-parse", built.ref) == built.commit
    assert box.git("rev-parse", built.checkpoint) == base
    assert box.git("log", "-1", "--format=%P|%an|%ae|%cn|%B", built.commit) == (
        f"{base}|Ouroboros|ouroboros@localhost|Ouroboros|Try"
    )
    assert box.git("rev-parse", f"{built.commit}^{{tree}}") == built.tree
    assert box.git("show", f"{built.commit}:pkg/mod.py") == "x = 1\ny = 20\nz = 3"
    (change,) = built.files
    assert (change.path, change.status) == ("pkg/mod.py", FileStatus.MODIFIED)
    assert (change.added, change.removed) == (1, 1)
    assert box.git("fsck", "--strict") == ""


def _change_mod(box: "Box") -> str:
    return box.diff_of(**{"pkg/mod.py": "x = 1\ny = 20\nz = 3\n"})


def test_the_same_diff_on_the_same_base_is_the_same_commit(box: "Box") -> None:
    diff = _change_mod(box)
    assert build(box, diff) == build(box, diff)
    assert build(box, diff).commit == build(box, diff, name="c2").commit


def test_a_diff_may_add_delete_and_hold_binary(box: "Box") -> None:
    diff = box.diff_of(**{"pkg/old.py": None, "new file.txt": "n\n", "dir/caf\u00e9": "x"})
    built = build(box, diff)
    assert {c.path: c.status for c in built.files} == {
        "pkg/old.py": FileStatus.DELETED,
        "new file.txt": FileStatus.ADDED,
        "dir/caf\u00e9": FileStatus.ADDED,
    }


def test_a_diff_without_a_last_newline_and_without_git_headers_applies(box: "Box") -> None:
    built = build(box, "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-read me\n+read this")
    assert box.git("show", f"{built.commit}:README") == "read this"


def test_line_endings_are_taken_as_they_are(box: "Box") -> None:
    box.put("dos.txt", b"one\r\ntwo\r\nthree\r\n")
    base = box.commit()
    box.git("config", "core.autocrlf", "true")
    box.git("config", "core.whitespace", "cr-at-eol,trailing-space")
    box.git("config", "apply.whitespace", "fix")
    box.git("config", "apply.ignoreWhitespace", "change")
    diff = "--- a/dos.txt\n+++ b/dos.txt\n@@ -1,3 +1,3 @@\n one\r\n-two\r\n+TWO  \r\n three\r\n"
    built = build(box, diff)
    repository = box.open()
    assert repository.read_file(built.commit, "dos.txt") == b"one\r\nTWO  \r\nthree\r\n"
    with pytest.raises(PatchError, match="does not apply"):
        build(box, diff.replace("\r", ""), base=base)


@pytest.mark.parametrize(
    "path",
    [
        "../escaped",
        "/etc/escaped",
        "pkg/../../escaped",
        ".git/hooks/post-commit",
        ".GIT/config",
        "pkg/.git/config",
        ".g\u200cit/config",
        "./a.txt",
        "pkg//x",
        "git~1/config",
    ],
)
def test_paths_that_lead_out_are_refused(box: "Box", path: str) -> None:
    diff = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    diff += "@@ -0,0 +1 @@\n+evil\n"
    before = snapshot(box)
    with pytest.raises(PatchError):
        build(box, diff)
    assert snapshot(box) == before
    assert box.open().list_candidate_refs() == ()


def test_a_link_is_built_for_the_screen_to_see_but_never_written_through(box: "Box") -> None:
    link = (
        "diff --git a/out b/out\nnew file mode 120000\n--- /dev/null\n+++ b/out\n"
        "@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n"
    )
    built = build(box, link)
    (mode,) = box.open().modes(built.base, built.commit)
    assert (mode.path, mode.old, mode.new) == ("out", "000000", "120000")
    through = link + (
        "diff --git a/out/x b/out/x\nnew file mode 100644\n--- /dev/null\n+++ b/out/x\n"
        "@@ -0,0 +1 @@\n+evil\n"
    )
    with pytest.raises(PatchError):
        build(box, through)


def test_paths_that_are_not_utf8_are_refused(box: "Box") -> None:
    diff = (
        'diff --git "a/t\\377.py" "b/t\\377.py"\nnew file mode 100644\n--- /dev/null\n'
        '+++ "b/t\\377.py"\n@@ -0,0 +1 @@\n+x\n'
    )
    with pytest.raises(PatchError, match=r"t\\xff\.py"):
        build(box, diff)
    assert box.open().list_candidate_refs() == ()


@pytest.mark.parametrize(
    ("diff", "what"),
    [
        ("", "empty"),
        (" \n\n", "empty"),
        ("I would suggest to make it faster.", "does not apply"),
        ("--- a/none\n+++ b/none\n@@ -1 +1 @@\n-a\n+b\n", "does not apply"),
        ("--- a/README\n+++ b/README\n@@ -1 +1 @@\n-other\n+b\n", "does not apply"),
        ("--- a/README\n+++ b/README\n@@ -1,9 +1 @@\n-read me\n+b\n", "does not apply"),
        ("--- a/README\n+++ b/README\n@@ -1 +1 @@\n-read me\n+read me\n", "changes nothing"),
        ("\ud800", "no text"),
    ],
)
def test_diffs_that_are_none_are_refused(box: "Box", diff: str, what: str) -> None:
    with pytest.raises(PatchError, match=what):
        build(box, diff)
    assert box.open().list_candidate_refs() == ()


def test_terminal_escapes_of_a_diff_do_not_reach_the_message(box: "Box") -> None:
    with pytest.raises(PatchError) as caught:
        build(box, "--- a/\x1b]52;c;x\x07\n+++ b/\x1b]52;c;x\x07\n@@ -1 +1 @@\n-a\n+b\n")
    assert "\x1b" not in str(caught.value)


def test_bases_and_names_that_are_none_are_refused(box: "Box") -> None:
    diff = _change_mod(box)
    for base in ("0" * 40, "main", "--help", box.git("rev-parse", "HEAD^{tree}")):
        with pytest.raises(TargetError):
            build(box, diff, base=base)
    for name in ("", "../x", "a/b", "-x", "a b", "a\0b", "x.lock"):
        with pytest.raises(Misuse):
            build(box, diff, name=name)


def test_refs_are_listed_and_deleted(box: "Box") -> None:
    repository = box.open()
    diff, base = _change_mod(box), box.git("rev-parse", "HEAD")
    built = [build(box, diff, name=name) for name in ("c1", "c2", "c3")]
    assert repository.list_candidate_refs() == tuple(
        CandidateRef(name=name, commit=b.commit, checkpoint=base)
        for name, b in zip(("c1", "c2", "c3"), built, strict=True)
    )
    repository.delete_candidate_refs(["c1", "c3", "none"])
    repository.delete_candidate_refs([])
    assert [ref.name for ref in repository.list_candidate_refs()] == ["c2"]


def test_hooks_of_the_target_do_not_run(box: "Box") -> None:
    marker = box.root.parent / "ran"
    for name in ("reference-transaction", "post-commit", "post-index-change"):
        hook = box.root / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
        hook.chmod(0o755)
    diff = (
        "diff --git a/README b/README\n--- a/README\n+++ b/README\n"
        "@@ -1 +1 @@\n-read me\n+read this\n"
    )
    built = build(box, diff)
    box.open().move_branch(branch="main", old=built.base, new=built.commit, reason="x")
    assert not marker.exists()
    assert box.text("README") == "read this\n"


def test_a_promotion_commit_has_tree_parent_message_and_time_as_given(box: "Box") -> None:
    repository = box.open()
    built = build(box, _change_mod(box))
    message = "Make it faster\n\nOuroboros-Candidate: c1\n"
    commit = repository.promotion_commit(
        tree=built.tree, parent=built.base, message=message, ts=TS + 5
    )
    assert box.git("log", "-1", "--format=%T %P %at %ct %ai", commit) == (
        f"{built.tree} {built.base} 1700000000 1700000000 2023-11-14 22:13:20 +0000"
    )
    assert box.git(
        "log", "-1", "--format=%(trailers:key=Ouroboros-Candidate,valueonly)", commit
    ) == ("c1")
    assert repository.head("main") == built.base
    odd = repository.promotion_commit(
        tree=built.tree, parent=built.base, message="a\0\ud800", ts=TS
    )
    assert box.git("log", "-1", "--format=%B", odd)


def test_a_rebase_brings_the_change_onto_the_new_head(box: "Box") -> None:
    built = build(box, box.diff_of(**{"a.txt": box.text("a.txt").replace("line 2\n", "two\n")}))
    box.put("a.txt", box.text("a.txt").replace("line 18\n", "eighteen\n"))
    box.put("README", "new\n")
    onto = box.commit("meanwhile")
    again = box.open().rebase_candidate(name="c1", commit=built.commit, onto=onto, message="m")
    assert again.base == onto
    assert box.git("rev-parse", again.ref, again.checkpoint) == f"{again.commit}\n{onto}"
    text = box.git("show", f"{again.commit}:a.txt")
    assert "two" in text
    assert "eighteen" in text
    assert box.git("show", f"{again.commit}:README") == "new"
    assert [c.path for c in again.files] == ["a.txt"]


def test_a_rebase_that_conflicts_names_the_paths_and_moves_no_ref(box: "Box") -> None:
    diff = box.diff_of(
        **{"pkg/mod.py": "x = 9\ny = 2\nz = 3\n", "pkg/old.py": "older\n", "README": "ours\n"}
    )
    built = build(box, diff)
    box.put("pkg/mod.py", "x = 7\ny = 2\nz = 3\n")
    (box.root / "pkg/old.py").unlink()
    onto = box.commit("meanwhile")
    with pytest.raises(PatchConflictError, match=r"pkg/mod\.py, pkg/old\.py\.") as caught:
        box.open().rebase_candidate(name="c1", commit=built.commit, onto=onto, message="m")
    assert "README" not in caught.value.message
    assert box.git("rev-parse", built.ref) == built.commit


def test_a_rebase_onto_what_already_has_it_says_so(box: "Box") -> None:
    built = build(box, box.diff_of(README="same\n"))
    box.put("README", "same\n")
    onto = box.commit("by hand")
    with pytest.raises(PatchError, match="already contains"):
        box.open().rebase_candidate(name="c1", commit=built.commit, onto=onto, message="m")


def test_files_and_folders_that_stand_in_each_others_way_conflict(box: "Box") -> None:
    repository = box.open()
    built = build(box, box.diff_of(**{"thing/inner.py": "x\n"}))
    box.put("thing", "a file\n")
    onto = box.commit("a file of that name")
    with pytest.raises(PatchConflictError, match=r"thing/inner\.py"):
        repository.rebase_candidate(name="c1", commit=built.commit, onto=onto, message="m")
    box.git("reset", "-q", "--hard", "HEAD~1")
    built = build(box, box.diff_of(thing="a file\n"))
    box.put("thing/inner.py", "x\n")
    onto = box.commit("a folder of that name")
    with pytest.raises(PatchConflictError, match="thing"):
        repository.rebase_candidate(name="c1", commit=built.commit, onto=onto, message="m")


def test_merge_drivers_of_the_repository_do_not_run(box: "Box") -> None:
    marker = box.root.parent / "ran"
    box.put(".gitattributes", "*.txt merge=evil\n")
    box.commit("attributes")
    box.git("config", "merge.evil.driver", f"touch {marker}; false")
    built = build(box, box.diff_of(**{"a.txt": box.text("a.txt").replace("line 2\n", "two\n")}))
    box.put("a.txt", box.text("a.txt").replace("line 18\n", "eighteen\n"))
    onto = box.commit("meanwhile")
    box.open().rebase_candidate(name="c1", commit=built.commit, onto=onto, message="m")
    assert not marker.exists()


def promote(box: "Box", name: str, **files: str | None) -> str:
    repository = box.open()
    base = repository.head("main")
    built = repository.build_candidate(
        name=name, base=base, diff=box.diff_of(**files), message=name
    )
    commit = repository.promotion_commit(tree=built.tree, parent=base, message=name, ts=TS)
    repository.move_branch(branch="main", old=base, new=commit, reason=f"promote {name}")
    return commit


def test_a_revert_undoes_one_promotion_under_later_ones(box: "Box") -> None:
    first = promote(box, "c1", **{"a.txt": box.text("a.txt").replace("line 2\n", "two\n")})
    promote(box, "c2", **{"a.txt": box.text("a.txt").replace("line 18\n", "eighteen\n")})
    repository = box.open()
    head = repository.head("main")
    undone = repository.revert(onto=head, commits=[first], message="Roll back", ts=TS)
    assert box.git("log", "-1", "--format=%P %ct %s", undone.commit) == (
        f"{head} 1700000000 Roll back"
    )
    text = box.git("show", f"{undone.commit}:a.txt")
    assert "line 2\n" in text
    assert "eighteen" in text
    assert [c.path for c in undone.files] == ["a.txt"]
    assert repository.head("main") == head


def test_a_revert_of_all_restores_the_tree(box: "Box") -> None:
    tree = box.git("rev-parse", "HEAD^{tree}")
    commits = [
        promote(box, "c1", **{"pkg/mod.py": "x = 2\ny = 2\nz = 3\n"}),
        promote(box, "c2", **{"pkg/mod.py": "x = 3\ny = 2\nz = 3\n", "pkg/old.py": None}),
        promote(box, "c3", **{"pkg/mod.py": "x = 4\ny = 2\nz = 3\n", "new.py": "n\n"}),
    ]
    repository = box.open()
    head = repository.head("main")
    undone = repository.revert(onto=head, commits=commits[::-1], message="m", ts=TS)
    assert undone.tree == tree
    repository.move_branch(branch="main", old=head, new=undone.commit, reason="roll back")
    assert box.git("status", "--porcelain") == ""
    assert not (box.root / "new.py").exists()
    assert box.text("pkg/old.py") == "old\n"


def test_a_revert_that_conflicts_names_path_and_commit(box: "Box") -> None:
    first = promote(box, "c1", **{"pkg/mod.py": "x = 5\ny = 2\nz = 3\n"})
    promote(box, "c2", **{"pkg/mod.py": "x = 6\ny = 2\nz = 3\n"})
    repository = box.open()
    head = repository.head("main")
    with pytest.raises(PatchConflictError, match=rf"{first[:12]}.*pkg/mod\.py"):
        repository.revert(onto=head, commits=[first], message="m", ts=TS)


def test_a_revert_of_nothing_is_refused(box: "Box") -> None:
    repository = box.open()
    head = repository.head("main")
    with pytest.raises(PatchError, match="nothing to undo"):
        repository.revert(onto=head, commits=[], message="m", ts=TS)
    with pytest.raises(PatchError, match="first commit"):
        repository.revert(onto=head, commits=[head], message="m", ts=TS)
    first = promote(box, "c1", README="x\n")
    undone = repository.revert(onto=first, commits=[first], message="m", ts=TS)
    with pytest.raises(PatchError, match="nothing to undo"):
        repository.revert(onto=undone.commit, commits=[first], message="m", ts=TS)


def test_binary_files_that_both_sides_changed_conflict(box: "Box") -> None:
    box.put("blob", b"\0one")
    box.commit()
    first = promote(box, "c1", README="r\n")
    box.put("blob", b"\0two")
    second = box.commit("two")
    box.put("blob", b"\0three")
    head = box.commit("three")
    with pytest.raises(PatchConflictError, match="blob"):
        box.open().revert(onto=head, commits=[second], message="m", ts=TS)
    assert box.open().revert(onto=head, commits=[first], message="m", ts=TS).commit


def test_a_candidate_on_200_files_takes_milliseconds(box: "Box") -> None:
    for n in range(200):
        box.put(f"many/d{n % 10}/f{n}.py", f"x = {n}\n")
    box.commit()
    diff = box.diff_of(**{"many/d1/f1.py": "x = 100\n"})
    best = 1e9
    for n in range(5):
        start = time.perf_counter()
        build(box, diff, name=f"c{n}")
        best = min(best, time.perf_counter() - start)
    assert best < 0.5  # typically 25 ms; generous for a loaded machine


def test_no_files_are_left_behind(box: "Box") -> None:
    built = build(box, _change_mod(box))
    names = {p.name for p in (box.root / ".git").iterdir()}
    assert not {n for n in names if "ouroboros" in n or n.endswith(".lock")}
    assert built.commit


def test_scratch_folders_of_killed_processes_are_swept(
    box: "Box", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ours = tmp_path / f"ouroboros-git-{os.getpid()}-x"
    dead = tmp_path / f"ouroboros-git-{2**22 + 1}-x"
    foreign = tmp_path / "ouroboros-git-notes"
    for folder in (ours, dead / "tree", foreign):
        folder.mkdir(parents=True)
    box.open().clear_left_over_locks()
    assert ours.exists()
    assert foreign.exists()
    assert not dead.exists()
