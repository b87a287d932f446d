import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.config import Governor
from ouroboros.model.globs import matches


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("conftest.py", "**/conftest.py"),
        ("a/b/conftest.py", "**/conftest.py"),
        ("tests/a/b.py", "tests/**"),
        ("tests", "tests/**"),
        ("pkg/mod.py", "**/*.py"),
        ("mod.py", "**/*.py"),
        ("src/a/x/y.py", "src/**/y.py"),
        ("src/y.py", "src/**/y.py"),
        ("anything/at/all", "**"),
        ("pkg/.hidden.py", "pkg/*.py"),
        ("a1", "a[0-9]"),
        ("ab", "a[!0-9]"),
        ("a^", "a[]^]"),
        ("a[b", "a[b"),
        ("docs/x/y.md", "docs/"),
        ("./x".removeprefix("./"), "./x"),
        ("a/b/c/d", "a/**/**/d"),
        ("a\nb.py", "*.py"),
    ],
)
def test_matches(path: str, pattern: str) -> None:
    assert matches(path, [pattern])


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("pkg/conftest_py", "**/conftest.py"),
        ("xconftest.py", "**/conftest.py"),
        ("mytests/a.py", "tests/**"),
        ("tests2/a.py", "tests/**"),
        ("pkg/tests/a.py", "tests/**"),
        ("pkg/sub/mod.py", "pkg/*.py"),
        ("sub/setup.py", "setup.py"),
        ("Setup.py", "setup.py"),
        ("a/b", "a?b"),
        ("a/b", "a[!x]b"),
        ("a/b", "a[/]b"),
        ("src", "src/**/y.py"),
        ("x", ""),
        ("z", "[z-a]"),
    ],
)
def test_does_not_match(path: str, pattern: str) -> None:
    assert not matches(path, [pattern])


def test_no_pattern_matches_nothing() -> None:
    assert not matches("a.py", [])


def test_the_default_protected_list_covers_tests_benchmarks_and_build_files() -> None:
    protected = Governor().protected
    for path in (
        "tests/test_x.py",
        "pkg/test_x.py",
        "pkg/x_test.py",
        "conftest.py",
        "bench/bench_x.py",
        "pyproject.toml",
        "ouroboros.toml",
        ".gitattributes",
        "deep/down/x.pth",
    ):
        assert matches(path, protected), path
    for path in ("pkg/mod.py", "pkg/tests_helper.py", "src/pkg/bench.py"):
        assert not matches(path, protected), path


_NAME = st.text("ab.-[]!^\\", min_size=1, max_size=5).filter(lambda s: s not in (".", ".."))
_PATH = st.lists(_NAME, min_size=1, max_size=4).map("/".join)


@given(_PATH)
def test_double_star_matches_every_path(path: str) -> None:
    assert matches(path, ["**"])
    assert matches(path, ["**/*"])


@given(path=_PATH, prefix=st.lists(_NAME, max_size=3))
def test_leading_double_star_forgets_any_prefix(path: str, prefix: list[str]) -> None:
    escaped = path.replace("[", "[[]")
    assert matches("/".join([*prefix, path]), [f"**/{escaped}"])


@given(name=_NAME, pattern=st.text("ab.?*[]!-&", min_size=1, max_size=6))
def test_within_one_component_it_agrees_with_fnmatch(name: str, pattern: str) -> None:
    if pattern in (".", "**"):
        return
    assert matches(name, [pattern]) == fnmatch.fnmatchcase(name, pattern)


@given(_PATH, st.text("ab[]!-^&|~\\\\*?/.", max_size=12) | st.text(max_size=12))
def test_never_raises(path: str, pattern: str) -> None:
    assert matches(path, [pattern]) in (True, False)
