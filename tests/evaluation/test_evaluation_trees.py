# ruff: noqa: ASYNC240 - a test has the event loop to itself

import asyncio
import threading
from pathlib import Path

import pytest

from ouroboros.errors import EvaluationError
from ouroboros.evaluation.trees import Trees

A, B, C = "a" * 40, "b" * 40, "c" * 40


class Exports:
    """Counts exports, and notes whether one ran on the event loop's thread."""

    def __init__(self) -> None:
        self.commits: list[str] = []
        self.on_loop = False
        self.error: OSError | None = None

    def __call__(self, commit: str, dest: Path) -> None:
        self.commits.append(commit)
        self.on_loop |= threading.current_thread() is threading.main_thread()
        dest.mkdir()
        (dest / "name").write_text(commit)
        if self.error:
            raise self.error


@pytest.fixture
def exports() -> Exports:
    return Exports()


async def test_a_commit_is_exported_once(tmp_path: Path, exports: Exports) -> None:
    trees = Trees(tmp_path / "cache", exports)

    async def use() -> str:
        async with trees.use(A) as tree:
            return (tree / "name").read_text()

    assert await asyncio.gather(use(), use(), use()) == [A] * 3
    assert exports.commits == [A]
    assert not exports.on_loop
    again = Trees(tmp_path / "cache", exports)
    async with again.use(A) as tree:
        assert tree.name == A
    assert exports.commits == [A]


async def test_the_least_recently_used_goes_first_but_never_one_in_use(
    tmp_path: Path, exports: Exports
) -> None:
    trees = Trees(tmp_path, exports, keep=1)
    async with trees.use(A) as held:
        for commit in (B, C):
            async with trees.use(commit):
                pass
        assert held.is_dir()
        assert sorted(p.name for p in tmp_path.iterdir()) == [A, C]
    assert len(list(tmp_path.iterdir())) == 1


async def test_a_failed_export_leaves_nothing(tmp_path: Path, exports: Exports) -> None:
    trees = Trees(tmp_path, exports)
    exports.error = OSError(28, "No space left on device")
    with pytest.raises(EvaluationError, match="No space left"):
        async with trees.use(A):
            pass
    assert list(tmp_path.iterdir()) == []
    exports.error = None
    async with trees.use(A) as tree:
        assert tree.is_dir()


async def test_a_failed_preparation_leaves_nothing(tmp_path: Path, exports: Exports) -> None:
    async def fail(tree: Path) -> None:
        assert (tree / "name").read_text() == A
        raise EvaluationError("no")

    trees = Trees(tmp_path, exports)
    with pytest.raises(EvaluationError, match="no"):
        async with trees.use(A, fail):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_leftovers_of_a_killed_engine_are_swept(tmp_path: Path, exports: Exports) -> None:
    (tmp_path / ".tmp-old").mkdir()
    async with Trees(tmp_path, exports).use(A):
        assert [p.name for p in tmp_path.iterdir()] == [A]


async def test_flavours_are_kept_apart(tmp_path: Path, exports: Exports) -> None:
    trees = Trees(tmp_path, exports)
    async with trees.use(A, flavour="x") as one, trees.use(A, flavour="y") as other:
        assert one != other
