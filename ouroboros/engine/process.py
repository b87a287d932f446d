"""One process of the target: started apart from the engine, watched, ended; it may outlive us.

It gets a session of its own, no file of ours, and no environment but what is named: the engine's
may hold keys. What it prints goes to a file. A note beside it (pid and when it began) lets the next
engine find it again; a pid that was given to somebody else meanwhile is told by its start.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import psutil

from ouroboros.errors import MachineError
from ouroboros.model.text import safe_line

PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER", "LOGNAME")
"""What a service needs of our environment, and all that it gets of it."""
_GONE_S = 5.0


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Which process it is."""

    pid: int
    began: float
    commit: str


class Child:
    """A running process, ours or one that an earlier engine started."""

    def __init__(
        self, process: psutil.Process, note: Note, own: asyncio.subprocess.Process | None
    ) -> None:
        """Take a process that lives."""
        self.note = note
        self._process = process
        self._own = own
        self._ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(note.pid)
        loop.add_reader(self._pidfd, self._over)

    def _over(self) -> None:
        self._let_go()
        self._ended.set()

    def _let_go(self) -> None:
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    @property
    def pid(self) -> int:
        """Its number."""
        return self.note.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    async def wait(self) -> str:
        """Return once it has ended, with how, as far as that can be known."""
        await self._ended.wait()
        if self._own is None:
            return "it ended"
        code = await self._own.wait()
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with exit code {code}"

    def send(self, name: str) -> None:
        """Send a signal by its name without SIG."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.Signals[f"SIG{name}"])

    async def stop(self, timeout_s: float) -> None:
        """End it and all that it started: asked first, then made to."""
        self._signal_group(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        except TimeoutError:
            pass
        self._signal_group(signal.SIGKILL)  # what it left behind in its session, too
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GONE_S):
                await self._ended.wait()
        if self._own is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GONE_S):
                    await self._own.wait()

    def _signal_group(self, which: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, which)

    def leave(self) -> None:
        """Look after it no more; it goes on."""
        self._let_go()

    def usage(self) -> tuple[int, float]:
        """Return resident bytes and processor seconds of it and its children; 0 once it ended."""
        rss, cpu = 0, 0.0
        with contextlib.suppress(psutil.Error):
            for process in (self._process, *self._process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    rss += process.memory_info().rss
                    cpu += times.user + times.system
        return rss, cpu


async def start(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    note: Path,
    commit: str,
) -> Child:
    """Start a process and note which it is.

    Raises:
        MachineError: it cannot be started.
    """
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    with log.open("ab") as out:
        try:
            own = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=passed | dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        except OSError as error:
            raise MachineError(
                f"The service cannot be started: {safe_line(str(error))}.",
                hint="Correct [service] command.",
            ) from None
    try:
        process = psutil.Process(own.pid)
        made = Note(pid=own.pid, began=process.create_time(), commit=commit)
        child = Child(process, made, own)
    except (psutil.Error, ProcessLookupError):
        code = await own.wait()
        raise MachineError(f"The service ended at once with exit code {code}.") from None
    part = note.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(made))
    part.replace(note)
    return child


def adopt(note: Path) -> Child | None:
    """Return the process that an earlier engine noted, if it lives."""
    try:
        found = msgspec.json.decode(note.read_bytes(), type=Note)
        process = psutil.Process(found.pid)
        if process.create_time() != found.began or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return Child(process, found, None)
    except (OSError, msgspec.DecodeError, psutil.Error):
        return None
