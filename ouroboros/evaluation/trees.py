"""Exports of commits, kept ready: what runs is a folder of plain files with no `.git` in it.

Exporting and compiling a tree costs as much as several benchmark runs, and the baseline is needed
again for each candidate. So a few trees are kept, keyed by commit, least recently used first out.
A tree appears under its name by one rename, complete or not at all. Runs see it through an
overlay: nothing writes to it after that.
"""

import asyncio
import os
import shutil
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ouroboros.errors import EvaluationError
from ouroboros.sandbox import entrust

Export = Callable[[str, Path], None]
"""Writes the files of a commit into a new folder; blocking. `Repository.export` is one."""

Prepare = Callable[[Path], Awaitable[None]]
"""What is done once to a fresh export (compiling it) before anybody uses it."""

_TMP = ".tmp-"


class Trees:
    """The cache. Belongs to one event loop, and its folder to this process."""

    def __init__(self, folder: Path, export: Export, *, keep: int = 6) -> None:
        """Use a folder, which is made if it is missing.

        Args:
            folder: where the trees lie.
            export: how a commit is written out.
            keep: how many unused trees to keep.
        """
        self._folder = folder
        self._export = export
        self._keep = keep
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._users: defaultdict[str, int] = defaultdict(int)
        self._swept = False

    @asynccontextmanager
    async def use(
        self, commit: str, prepare: Prepare | None = None, flavour: str = ""
    ) -> AsyncIterator[Path]:
        """Lend the tree of a commit; it stays at least as long as it is used.

        Args:
            commit: full hash.
            prepare: run once on a new export.
            flavour: tells apart trees that are prepared differently.

        Raises:
            EvaluationError: the tree could not be written.
        """
        name = f"{commit}-{flavour}" if flavour else commit
        self._users[name] += 1
        try:
            async with self._locks[name]:
                path = self._folder / name
                if not await asyncio.to_thread(self._touch, path):
                    await self._make(commit, path, prepare)
            yield path
        finally:
            self._users[name] -= 1
            await asyncio.to_thread(self._prune, self._in_use())

    def scratch(self) -> Path:
        """Make a folder beside the trees for short use; what a dead process left is swept away."""
        path = self._folder / f"{_TMP}{uuid.uuid4().hex}"
        path.mkdir(parents=True)
        return path

    def _in_use(self) -> frozenset[str]:
        return frozenset(name for name, users in self._users.items() if users > 0)

    async def _make(self, commit: str, path: Path, prepare: Prepare | None) -> None:
        fresh = self._folder / f"{_TMP}{uuid.uuid4().hex}"
        try:
            try:
                await asyncio.to_thread(self._write, commit, fresh)
                if prepare is not None:
                    await prepare(fresh)
                await asyncio.to_thread(os.rename, fresh, path)
            except OSError as error:
                raise EvaluationError(
                    f"The tree of {commit[:12]} could not be written to {path}: {error}.",
                    hint="Check the free space and the permissions there.",
                ) from error
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
            raise

    def _write(self, commit: str, fresh: Path) -> None:
        if not self._swept:
            self._swept = True
            for old in self._folder.glob(f"{_TMP}*"):
                shutil.rmtree(old, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._export(commit, fresh)
        entrust(fresh)

    @staticmethod
    def _touch(path: Path) -> bool:
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _prune(self, in_use: frozenset[str]) -> None:
        if not self._folder.is_dir():
            return
        idle = [p for p in self._folder.iterdir() if p.name not in in_use and _is_tree(p)]
        idle.sort(key=lambda p: p.stat().st_mtime_ns, reverse=True)
        for path in idle[self._keep :]:
            doomed = path.with_name(f"{_TMP}{uuid.uuid4().hex}")
            path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)


def _is_tree(path: Path) -> bool:
    return not path.name.startswith(_TMP)
