"""An older tree with today's protected files."""

from pathlib import Path

import pytest

from ouroboros.errors import EvaluationError
from ouroboros.evaluation.protected import check_same, take_over

PATTERNS = ("tests/**", "bench/**", "**/conftest.py", "links/**")


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_take_over(tmp_path: Path) -> None:
    old = tree(
        tmp_path / "old",
        {"shop.py": "old", "bench/run.py": "old", "bench/gone.py": "old", "conftest.py": "old"},
    )
    new = tree(
        tmp_path / "new",
        {"shop.py": "new", "bench/run.py": "new", "tests/deep/new.py": "new", "added.py": "new"},
    )
    (new / "links").mkdir()
    (new / "links/a").symlink_to("nowhere")
    take_over(old, new, PATTERNS)
    assert content(old) == {"shop.py": "old", "bench/run.py": "new", "tests/deep/new.py": "new"}
    assert (old / "links/a").readlink() == Path("nowhere")
    check_same(new, old, PATTERNS)


def test_a_file_in_place_of_a_folder_is_said(tmp_path: Path) -> None:
    old = tree(tmp_path / "old", {"a": "a file"})
    new = tree(tmp_path / "new", {"a/conftest.py": "new"})
    with pytest.raises(OSError, match="a"):
        take_over(old, new, PATTERNS)


@pytest.mark.parametrize("change", ["edited", "added", "removed", "linked"])
def test_different_protected_files_are_refused(tmp_path: Path, change: str) -> None:
    files = {"shop.py": "x", "tests/a.py": "x", "tests/b.py": "x"}
    base, candidate = tree(tmp_path / "base", files), tree(tmp_path / "candidate", files)
    path = candidate / "tests/a.py"
    match change:
        case "edited":
            path.write_text("y")
        case "added":
            (candidate / "tests/c.py").write_text("y")
        case "removed":
            path.unlink()
        case "linked":
            path.unlink()
            path.symlink_to("b.py")
    with pytest.raises(EvaluationError, match="protected file"):
        check_same(base, candidate, PATTERNS)
