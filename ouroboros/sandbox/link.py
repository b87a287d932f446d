"""The engine's end of the launcher: start it, ask for runs, end them, notice when it is gone.

One launcher serves all runs of a sandbox. If it dies, every run it had ends with a fault (its
children die with it), and the next request starts a new one.
"""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import msgspec

from ouroboros import owner
from ouroboros.errors import SandboxError
from ouroboros.sandbox.landlock import Order
from ouroboros.sandbox.strays import end_strays, marked

_PROGRAM = Path(__file__).with_name("launcher.py")
_FAREWELL_SECONDS = 6.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as the launcher understands it.

    `mark` stands in the run's environment, to find its processes by. `targets` are the descriptor
    numbers inside for the descriptors that travel along. `confined` says that argv is bubblewrap,
    which then reports on descriptor 4 and reads its filter of system calls from 7. `watch` are the
    limits that the launcher enforces itself. `landlock` has a warden start argv confined so;
    `confined` is then said too, since the warden reports as bubblewrap does.
    """

    id: int
    mark: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    targets: list[int]
    limits: dict[str, int]
    cgroups: list[str]
    timeout_ns: int
    confined: bool
    watch: "Watch | None" = None
    landlock: Order | None = None
    op: str = "run"


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Limits for the launcher's watchdog.

    Attributes:
        cpu_ns: CPU time of the whole run.
        counter: the control group's file that counts it; empty to add up processes.
        memory: bytes; 0 where the kernel limits memory and processes.
        processes: how many.
        mounts: file systems in memory, as seen inside, which count as memory.
        tree: the bytes that may lie in the mount of the tree.
        folders: the bytes that may lie in folders of the host's that the run writes to.
    """

    cpu_ns: int
    counter: str = ""
    memory: int = 0
    processes: int = 0
    mounts: list[str] = []
    tree: dict[str, int] = {}
    folders: dict[str, int] = {}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended, in the launcher's words."""

    id: int
    end: str
    code: int | None
    inner_exit: int | None
    cpu_ns: int
    wall_ns: int
    rss_bytes: int
    text: str = ""


class Link:
    """A running launcher. Belongs to the event loop's thread."""

    def __init__(self, scratch: Path) -> None:
        """Start nothing yet: the first request does.

        Args:
            scratch: the folder that the launcher removes when we are gone.
        """
        self._scratch = scratch
        self._ids = itertools.count(1)
        self._name = f"{owner.label()}-{uuid.uuid4().hex}-"
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._text = b""

    def number(self) -> int:
        """A fresh run id."""
        return next(self._ids)

    def mark(self, number: int) -> str:
        """The mark of a run: the engine's process id, this link, the run."""
        return f"{self._name}{number}"

    def roots(self, number: int) -> list[int]:
        """The processes that a run began with; milliseconds."""
        return marked(self.mark(number))

    async def run(self, request: Request, fds: list[int]) -> Reply:
        """Have one run carried out. On cancellation, the run is ended and waited for first.

        Raises:
            SandboxError: the launcher cannot be started, or died meanwhile.
        """
        channel = self._socket or self._open()
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = answer
        line = msgspec.json.encode(request) + b"\n"
        try:
            # A blocking send: the launcher always reads, so that this takes microseconds.
            sent = socket.send_fds(channel, [line], fds)
            channel.sendall(line[sent:])
        except OSError as error:
            del self._waiting[request.id]
            raise SandboxError(f"The sandbox's launcher is gone: {error}.") from error
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            self.kill(request.id, "cancel")
            await asyncio.wait([answer])
            raise

    def kill(self, run: int, end: str) -> None:
        """End a run early; its answer will say `end`. Does nothing where it has ended."""
        if run in self._waiting and self._socket is not None:
            order = {"op": "kill", "id": run, "end": end}
            try:
                self._socket.sendall(msgspec.json.encode(order) + b"\n")
            except OSError:
                return  # it is dying; the reader fails all runs

    async def close(self) -> None:
        """End all runs and the launcher, and wait until they are gone."""
        process = self._process
        if process is None:
            return
        self._lose("The sandbox was closed.")
        try:
            await asyncio.to_thread(process.wait, _FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def _open(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            try:
                # -I -S: no site, no user packages, no environment: nothing foreign, and fast.
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_PROGRAM), str(fd), str(self._scratch)],
                    pass_fds=(fd,),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env={"PATH": os.defpath},
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise SandboxError(f"The sandbox's launcher cannot start: {error}.") from error
        self._socket, self._text = ours, b""
        asyncio.get_running_loop().add_reader(ours, self._read)
        return ours

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            chunk = self._socket.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            chunk = b""
        if not chunk:
            words = self._last_words()
            # What it started dies with it, except a bubblewrap that was just setting up.
            end_strays(lambda mark: mark.startswith(self._name))
            self._lose(f"The sandbox's launcher died. {words}".strip())
            return
        *lines, self._text = (self._text + chunk).split(b"\n")
        for line in lines:
            reply = msgspec.json.decode(line, type=Reply)
            answer = self._waiting.pop(reply.id, None)
            if answer is not None and not answer.done():
                answer.set_result(reply)

    def _last_words(self) -> str:
        process = self._process
        if process is None or process.stderr is None:
            return ""
        code = process.wait()
        told = process.stderr.read().decode(errors="replace").strip().splitlines()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"It ended with {how}. {told[-1] if told else ''}"

    def _lose(self, why: str) -> None:
        """Close our end, which makes a living launcher end everything, and fail what waits."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._process is not None and self._process.stderr is not None:
            self._process.stderr.close()
        waiting, self._waiting = self._waiting, {}
        for run, answer in waiting.items():
            if not answer.done():
                answer.set_result(_lost(run, why))
        self._process = None


def _lost(run: int, why: str) -> Reply:
    return Reply(
        id=run, end="fault", code=None, inner_exit=None, cpu_ns=0, wall_ns=0, rss_bytes=0, text=why
    )
