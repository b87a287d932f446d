"""The shape gate, row by row: what is refused, what is held, what passes, and with which place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.config import Governor
from ouroboros.evaluation.screen import screen
from ouroboros.model.proposal import FileChange, FileStatus, Mark, Severity
from ouroboros.vcs.values import FileMode

GOVERNOR = Governor()


def look(
    path: str = "pkg/mod.py",
    lines: str = "x = 1",
    *,
    status: FileStatus = FileStatus.MODIFIED,
    old: str = "100644",
    new: str = "100644",
    counts: tuple[int, int] = (1, 1),
) -> tuple[Mark, ...]:
    added = "".join(f"+{line}\n" for line in lines.split("\n"))
    diff = f"--- a/{path}\n+++ b/{path}\n@@ -7,1 +7,{lines.count(chr(10)) + 1} @@\n-old\n{added}"
    change = FileChange(path=path, status=status, added=counts[0], removed=counts[1])
    return screen(diff, [change], [FileMode(path=path, old=old, new=new)], GOVERNOR)


def rules(marks: tuple[Mark, ...], severity: Severity) -> list[str]:
    return [m.rule for m in marks if m.severity is severity]


def test_an_ordinary_change_has_no_marks() -> None:
    assert look() == ()


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_a.py",
        "pkg/tests/conftest.py",
        "conftest.py",
        "pkg/test_deep.py",
        "bench/b.py",
        "pyproject.toml",
        "ouroboros.toml",
        ".github/workflows/ci.yml",
        "sitecustomize.py",
        "deep/er/.gitattributes",
        "x.pth",
    ],
)
def test_what_judges_a_candidate_is_not_his_to_change(path: str) -> None:
    assert "protected-path" in rules(look(path), Severity.REJECT)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("000000", "120000", "symlink"),
        ("100644", "120000", "symlink"),
        ("120000", "100644", "symlink"),
        ("000000", "160000", "submodule"),
        ("160000", "000000", "submodule"),
        ("100644", "100755", "file-mode"),
        ("100644", "040000", "file-mode"),
    ],
)
def test_only_plain_files_of_unchanged_mode(old: str, new: str, rule: str) -> None:
    assert rule in rules(look(old=old, new=new), Severity.REJECT)


def test_an_executable_file_may_stay_one() -> None:
    assert look(old="100755", new="100755") == ()


def test_binary_content_is_refused() -> None:
    assert rules(look(counts=(-1, -1)), Severity.REJECT) == ["binary"]


@pytest.mark.parametrize(
    "line",
    [
        "x = '\x1b]52;c;ZXZpbA==\x07'",
        "if user != 'admin\u202e\u2066':",
        "pass\u200bword = 1",
        "evil()\rgood()",
        "x = '\x9b31m'",
    ],
)
def test_characters_that_a_reviewer_cannot_see_are_refused_with_their_line(line: str) -> None:
    marks = look(lines=f"y = 2\n{line}")
    assert rules(marks, Severity.REJECT) == ["hidden-characters"]
    assert (marks[0].path, marks[0].line) == ("pkg/mod.py", 8)
    assert "\x1b" not in marks[0].text


@pytest.mark.parametrize("path", ["pkg/\u202emod.py", "pkg/a\x1bb.py", "pkg/e\u0301.py"])
def test_paths_are_plain_text(path: str) -> None:
    assert "path-characters" in rules(look(path), Severity.REJECT)


@pytest.mark.parametrize(
    "line",
    ["@functools.lru_cache(maxsize=None)", "@cache", "    @cached_property", "f = memoize(f)"],
)
def test_a_cache_asks_for_a_human_because_a_benchmark_repeats_itself(line: str) -> None:
    assert rules(look(lines=line), Severity.HOLD) == ["adds-cache"]


@pytest.mark.parametrize("line", ["cache = {}", "self.cache[key]", "# clear the cache"])
def test_talking_about_caches_does_not(line: str) -> None:
    assert look(lines=line) == ()


def test_deleting_a_file_asks_for_a_human() -> None:
    marks = look(status=FileStatus.DELETED, new="000000")
    assert rules(marks, Severity.HOLD) == ["deletes-file"]


def test_a_header_in_the_middle_of_a_hunk_does_not_move_the_place() -> None:
    marks = look(lines="++ b/tests/fake.py\ny = '\u200b'")
    assert marks[0].path == "pkg/mod.py"


@given(st.text(), st.text())
def test_no_text_crashes_it(diff: str, path: str) -> None:
    change = FileChange(path=path, status=FileStatus.MODIFIED, added=1, removed=0)
    for mark in screen(diff, [change], [], GOVERNOR):
        assert mark.text
