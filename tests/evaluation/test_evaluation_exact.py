"""Sizes are of plain files, counted from outside; and what a run's count may look like."""

import os
from pathlib import Path

import pytest

from ouroboros.evaluation.exact import _told, size_of


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for name, size in {
        "shop/a.py": 10,
        "shop/deep/b.py": 20,
        "shop/data.bin": 40,
        "shop/__pycache__/a.pyc": 1000,
        "top.py": 80,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * size)
    return folder


@pytest.mark.parametrize(
    ("globs", "size"),
    [
        (("**/*.py",), 110),
        (("shop/**",), 70),
        (("shop/*.py",), 10),
        (("shop/*.py", "shop/**"), 70),
        (("*.py", "shop/data.bin"), 120),
        (("nothing/**",), 0),
    ],
)
def test_size(tree: Path, globs: tuple[str, ...], size: int) -> None:
    assert size_of(tree, globs) == size


def test_links_are_not_followed(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "big.py").write_bytes(b"x" * 5000)
    (tree / "file.py").symlink_to(outside / "big.py")
    (tree / "folder").symlink_to(outside)
    (tree / "loop").symlink_to(tree)
    os.mkfifo(tree / "pipe.py")
    assert size_of(tree, ("**/*.py",)) == 110


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"{}",
        b"[]",
        b"7",
        b'{"instructions": 0}',
        b'{"instructions": -1}',
        b'{"instructions": true}',
        b'{"instructions": 1.5}',
        b'{"instructions": "7"}',
        b'{"instructions": 1e3}',
        b'{"instructions": 1' + b"0" * 30 + b"}",
        b'{"instructions": 1' + b"0" * 5000 + b"}",
        b'{"instructions": 7, "processes": 1}{"instructions": 9, "processes": 1}',
        b"[" * 30_000,
        b"\xff",
    ],
)
def test_what_is_no_count(told: bytes) -> None:
    assert _told(told) is None


def test_a_count() -> None:
    assert _told(b'{"instructions": 31356593, "processes": 1}') == 31356593
