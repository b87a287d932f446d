"""Keeping the state folder small: what retention lets go is removed while nothing else happens.

The order is that of everything here: decided by pure functions (`ledger.retention`, `old_refs`),
written into the ledger with the list of what goes, then done. Whoever is killed in between leaves
files that are on the list; the next round removes them. Reading the whole ledger and deleting run
in threads; exported trees are set aside in an instant in which nothing may begin to use them.
"""

import asyncio
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ouroboros.config import Storage
from ouroboros.engine.core import Core
from ouroboros.errors import OuroborosError
from ouroboros.ledger import retention
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.phase import IN_FLIGHT, Phase
from ouroboros.model.state import State

_log = logging.getLogger(__name__)

_BATCH = 200
"""Files that are deleted in one go on the ledger's thread."""
_DOOMED = ".tmp-"
"""How the executor names what is no tree (any more); it sweeps such folders away, too."""


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """What one round removes."""

    evidence: retention.Plan
    refs: tuple[str, ...]


class Upkeep:
    """Applies `[storage]` now and then, when the engine is idle."""

    def __init__(self, core: Core, busy: Callable[[], bool]) -> None:
        """Serve an engine; `busy` tells whether a cycle or a measurement runs."""
        self._core = core
        self._busy = busy
        self._one = asyncio.Lock()

    async def run(self) -> None:
        """Look until the engine stops; a round that fails is told and tried again later."""
        core = self._core
        while True:  # cancelled when the engine stops
            await core.recorder.wait_for(lambda _: self._idle())
            try:
                await self.round()
            except (OuroborosError, OSError) as error:
                _log.warning("tidying up failed, and is tried again: %s", error)
            await asyncio.sleep(core.config.config.storage.every.seconds)

    def _idle(self) -> bool:
        """Nothing runs that could use what is removed. A full disk is no reason to wait."""
        core = self._core
        busy = self._busy() or core.halted or core.draining
        moving = {Phase.PROMOTING, Phase.ROLLING_BACK}
        flying = IN_FLIGHT | moving
        return not busy and all(c.phase not in flying for c in core.state.candidates.values())

    async def round(self) -> None:
        """Remove what may go now; one round at a time."""
        async with self._one:
            await self._round()

    async def _round(self) -> None:
        core, storage = self._core, self._core.config.config.storage
        await asyncio.to_thread(self._rotate_log, storage)
        doomed = await self._choose(storage)
        aside: list[Path] = []
        core.tidying = True  # nothing may begin to use what goes, in this instant
        try:
            if self._idle():
                aside = await self._remove(doomed, storage)
        finally:
            core.tidying = False
            await core.recorder.touch()
        for path in aside:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    async def _remove(self, doomed: Doomed, storage: Storage) -> list[Path]:
        """Write down what goes, then let it go; returns trees that were set aside for deletion."""
        core = self._core
        oldest = time.time() - storage.keep_trees.seconds  # as the file system tells time
        trees = await asyncio.to_thread(_unused, core.deps.cache / "trees", oldest)
        text = _told(doomed, len(trees))
        if not text:
            return []
        files = doomed.evidence.files
        names = ""
        if files:
            names = await core.put_evidence("".join(f"{f.name}\n" for f in files).encode())
        event = ev.RetentionApplied(
            names=names,
            evidence=len(files),
            bytes=doomed.evidence.bytes,
            refs=doomed.refs,
            trees=len(trees),
            text=text,
        )
        await core.recorder.record(event)
        if doomed.refs:
            await core.git(core.deps.repository.delete_candidate_refs, doomed.refs)
        for start in range(0, len(files), _BATCH):
            batch = files[start : start + _BATCH]
            await core.ledger_thread(retention.remove, core.deps.evidence.root, batch)
        return await asyncio.to_thread(_set_aside, trees)

    async def _choose(self, storage: Storage) -> Doomed:
        core = self._core
        state = core.state
        evidence = await asyncio.to_thread(self._old_evidence, storage, state)
        refs = await core.git(core.deps.repository.list_candidate_refs)
        gone = old_refs(state, [r.name for r in refs], storage, core.now())
        return Doomed(evidence=evidence, refs=gone)

    def _old_evidence(self, storage: Storage, state: State) -> retention.Plan:
        """Read the whole ledger on a connection of its own; blocking, so called in a thread."""
        with Store.open(self._core.deps.ledger, read_only=True) as store:
            used = retention.uses(store, retention.protected(state))
        return retention.plan(
            retention.files_of(self._core.deps.evidence.root),
            used,
            now_ns=self._core.now(),
            keep_ns=storage.keep_evidence,
            quota=storage.max_evidence,
        )

    def _rotate_log(self, storage: Storage) -> None:
        """Keep one old log. Whoever writes it has it open, so it is copied and emptied."""
        log = self._core.deps.ledger.with_name("engine.log")
        try:
            if log.stat().st_size <= storage.max_log:
                return
        except FileNotFoundError:
            return
        old = log.with_name("engine.log.1")
        part = log.with_name(f".engine.log.{os.getpid()}")
        try:
            shutil.copyfile(log, part)
            part.chmod(0o600)
            part.replace(old)
        finally:
            part.unlink(missing_ok=True)
        os.truncate(log, 0)


def _unused(folder: Path, oldest: float) -> list[Path]:
    """Return trees that were not used since `oldest` (seconds since the epoch)."""
    if not folder.is_dir():
        return []
    trees = (path for path in folder.iterdir() if not path.name.startswith(_DOOMED))
    return [path for path in trees if path.stat().st_mtime < oldest]


def _set_aside(trees: Sequence[Path]) -> list[Path]:
    """Rename trees, so that nobody finds them any more; return where they are."""
    moved = []
    for path in trees:
        aside = path.with_name(f"{_DOOMED}{uuid.uuid4().hex}")
        path.rename(aside)
        moved.append(aside)
    return moved


def old_refs(state: State, names: Sequence[str], storage: Storage, now_ns: int) -> tuple[str, ...]:
    """Return the candidates whose refs go: over, never promoted, and too old or too many.

    Refs of candidates that the ledger does not know stay: they may be all that is left of what a
    damaged ledger lost.
    """
    kept = retention.protected(state)
    over = [state.candidates[n] for n in names if n in state.candidates and n not in kept]
    over.sort(key=lambda c: (c.since_ns, c.id))
    spare = max(len(names) - storage.max_refs, 0)
    gone = [
        c.id
        for place, c in enumerate(over)
        if place < spare or now_ns - c.since_ns > storage.keep_refs
    ]
    return tuple(gone)


def _told(doomed: Doomed, trees: int) -> str:
    """Return what goes, in words; empty where nothing does."""
    files = doomed.evidence.files
    parts = []
    if files:
        size = f"{doomed.evidence.bytes / (1 << 20):,.1f} MiB"
        parts.append(f"{_count(len(files), 'evidence file')} ({size})")
    if doomed.refs:
        parts.append(f"the refs of {_count(len(doomed.refs), 'candidate')}")
    if trees:
        parts.append(_count(trees, "exported tree"))
    return f"retention removed {', '.join(parts)}" if parts else ""


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
