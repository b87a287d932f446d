"""The disk: stop before it is full, keep the last words, and go on when there is space.

Two thresholds. Below `[storage] min_free` nothing new begins (`low`): what runs comes to its end,
answers are taken, and work goes on by itself when there is space. On a disk that is really full an
append fails; then the *ballast*, a file that was filled beforehand, is given back, so that the
entry that failed (the proof of a move, say) and the alert still fit, and the engine halts. That
halt too is lifted by itself; any other fault of the ledger (an I/O error, damage, a second writer)
waits for a human, because more space does not mend it.
"""

import asyncio
import contextlib
import logging
import os
from functools import partial
from pathlib import Path

from ouroboros.engine.core import Core
from ouroboros.engine.tasks import spawn
from ouroboros.errors import LedgerError, LedgerFullError
from ouroboros.model.state import State

_log = logging.getLogger(__name__)

BALLAST = 1 << 20
"""Bytes: an evaluation's entry takes a few hundred KiB."""
LOOK_S = 5.0
"""How often free space is looked at."""
_ENOUGH = 1.25
"""Work goes on with this much more than the least, so that it does not stop and start."""


class Ballast:
    """A file that takes space only to give it back."""

    def __init__(self, path: Path, size: int = BALLAST) -> None:
        self._path = path
        self._size = size

    def hold(self) -> bool:
        """Take the space; False where there is not enough of it."""
        try:
            if self._path.exists() and self._path.stat().st_size == self._size:
                return True
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # Written, not only reserved: a hole would give nothing back.
                os.pwrite(handle, bytes(self._size), 0)
                os.fsync(handle)
                held = os.fstat(handle).st_size == self._size
            finally:
                os.close(handle)
        except OSError as error:
            _log.warning("no ballast in %s: %s", self._path, error.strerror)
            held = False
        if not held:
            self.release()
        return held

    def release(self) -> bool:
        """Give the space back; tells whether there was any."""
        try:
            size = self._path.stat().st_size
            self._path.unlink()
        except OSError:
            return False
        return size > 0


class Disk:
    """Watches the free space of the state folder."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._folder = core.deps.ledger.parent
        self._ballast = Ballast(self._folder / "ballast")
        self._untold = False
        core.recorder.make_room = self._ballast.release

    async def prepare(self) -> None:
        """Take the ballast, and look for the first time, before any work begins."""
        if await asyncio.to_thread(self._free) >= self._least:
            await asyncio.to_thread(self._ballast.hold)
        await self.look()

    async def run(self) -> None:
        """Look now and then, and at once when the ledger said that the disk is full."""
        core = self._core
        failed = False  # then it is not tried again at once
        while not core.draining:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await core.recorder.wait_for(partial(self._wakes, failed))
            try:
                await self.look()
                failed = False
            except (LedgerError, OSError) as error:
                failed = True
                _log.warning("the state of the disk could not be seen or recorded: %s", error)

    def _wakes(self, failed: bool, _: State) -> bool:  # noqa: FBT001 - a predicate, made by partial
        return self._core.draining or (self._untold and not failed)

    async def room(self) -> None:
        """See that a halt for want of space may be lifted.

        `LedgerFullError` if there still is not enough: the ballast has room for the words of a
        resume, and work that began after it would halt again.
        """
        if not self._core.full:
            return
        free = await asyncio.to_thread(self._free)
        if free < self._least:
            raise LedgerFullError(
                f"The disk of {self._folder} has {_size(free)} free, and {_size(self._least)} are "
                f"needed ([storage] min_free).",
                hint="Free some space: work then goes on by itself.",
            )

    def full(self) -> None:
        """Something could not be written for want of space: tell it as soon as it can be told."""
        self._untold = True
        spawn(self._core.recorder.touch(), "disk full")

    async def look(self) -> None:
        """Compare free space with the thresholds; stop or go on."""
        core = self._core
        free = await asyncio.to_thread(self._free)
        if self._untold:
            self._untold = False
            text = f"The disk of {self._folder} is full ({_size(free)} free)."
            await core.alert("disk_full", "critical", f"{text} {_GOES_ON}")
        if free < self._least:
            await self._stop(free)
        elif free >= self._least * _ENOUGH and (core.low or core.full):
            await self._go_on(free)

    async def _stop(self, free: int) -> None:
        core = self._core
        if core.low:
            return
        core.low = (
            f"The disk of {self._folder} has {_size(free)} free, and {_size(self._least)} are "
            f"needed ([storage] min_free). {_GOES_ON}"
        )
        _log.warning("%s", core.low)
        await core.recorder.touch()
        if not core.halted:
            await core.alert("disk_low", "critical", core.low)

    async def _go_on(self, free: int) -> None:
        """Take the ballast again, say it, and only then let work begin."""
        core = self._core
        await asyncio.to_thread(self._ballast.hold)
        if not core.halted or core.full:
            text = f"The disk of {self._folder} has {_size(free)} free again; work goes on."
            await core.alert("disk_free", "info", text)  # fails where it is still full
        if core.full:
            core.lift()
        core.low = ""
        _log.info("the disk has space again")
        await core.recorder.touch()

    @property
    def _least(self) -> int:
        return self._core.config.config.storage.min_free

    def _free(self) -> int:
        return self._core.deps.free_bytes(self._folder)


_GOES_ON = "No new work begins; it goes on by itself when there is space."


def _size(count: int) -> str:
    return f"{count / (1 << 20):,.0f} MiB"
