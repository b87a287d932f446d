"""What the command line's tests act with: scripts, terminals, a served engine.

The engine is the wire tests' `MemoryEngine` (real fold, real bus) behind a real server in a
thread, so that commands talk over a real socket; the console script is the installed one.
"""

import asyncio
import importlib.util
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import psutil

from rpc.server import Server

SCRIPT = Path(sys.executable).parent / "ouroboros"
WAIT_S = 30.0


def _wire_world() -> ModuleType:
    place = Path(__file__).parents[1] / "rpc_wire" / "conftest.py"
    spec = importlib.util.spec_from_file_location("ouroboros_wire_world", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


Cli = Callable[..., Ended]


def script(*arguments: str, cwd: Path, stdin: str = "", **extra: str) -> Ended:
    """Run the installed console script as a process."""
    done = subprocess.run(
        [str(SCRIPT), *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
        env={**os.environ, **extra},
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Terminal:
    """A console script on a pseudo-terminal: what a person sees and types."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        stdout_to: Path | None = None,
        program: tuple[str, ...] = (str(SCRIPT),),
        **extra: str,
    ) -> None:
        self._master, slave = pty.openpty()
        stdout = slave if stdout_to is None else os.open(stdout_to, os.O_WRONLY | os.O_CREAT)
        self.seen = ""
        self.process = subprocess.Popen(
            [*program, *arguments],
            cwd=cwd,
            stdin=slave,
            stdout=stdout,
            stderr=slave,
            env={**os.environ, **extra},
            start_new_session=True,
        )
        for each in {slave, stdout}:
            os.close(each)

    def read_until(self, text: str) -> str:
        deadline = time.monotonic() + WAIT_S
        while text not in self.seen:
            assert time.monotonic() < deadline, f"never saw {text!r} in {self.seen!r}"
            if not self._read(0.2) and self.process.poll() is not None:
                assert text in self.seen, f"ended before {text!r}: {self.seen!r}"
        return self.seen

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], patience)
        if not ready:
            return False
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # the other side closed: how Linux says end of file on a terminal
            return False
        self.seen += chunk.decode(errors="replace")
        return bool(chunk)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Wait for the end, reading what is still written."""
        deadline = time.monotonic() + WAIT_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"does not end: {self.seen!r}"
            self._read(0.1)
        while self._read(0.0):
            pass
        os.close(self._master)
        return self.process.returncode

    def interrupt(self) -> None:
        """Send SIGINT to a program that waits for an answer.

        Only once it sleeps: a signal between the words of the question and the system call that
        reads is noted by CPython and looked at when that call returns, so that a person has to
        press Ctrl-C again.
        """
        deadline = time.monotonic() + WAIT_S
        while psutil.Process(self.process.pid).status() != psutil.STATUS_SLEEPING:
            assert time.monotonic() < deadline, f"never waits for an answer: {self.seen!r}"
            self._read(0.01)
        self.process.send_signal(signal.SIGINT)

    def vanish(self) -> None:
        """Hang up, as a dropped SSH connection does."""
        os.close(self._master)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Served:
    """An engine and its server in a thread of their own."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.engine: Any = None
        self.subscriptions = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: Server | None = None
        self.do(self._make)
        self.start()

    async def _make(self) -> None:
        self.engine = _wire_world().MemoryEngine()
        self.engine.seed()
        subscribe = self.engine.subscribe

        def counted(*, from_seq: int | None) -> Any:
            made = subscribe(from_seq=from_seq)
            self.subscriptions += 1
            return made

        self.engine.subscribe = counted

    def do(self, work: Callable[[], Any]) -> Any:
        """Run something in the engine's thread, and wait for it."""

        async def call() -> Any:
            result = work()
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(WAIT_S)

    def start(self) -> None:
        async def begin() -> None:
            self._server = await Server.start(self.engine, socket=self.socket)

        self.do(begin)

    def stop(self) -> None:
        if self._server is not None:
            self.do(self._server.close)
            self._server = None

    def end(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()


def serve_alone(socket: str) -> None:
    """Serve a `MemoryEngine` until SIGTERM, as a process of its own."""

    async def serve() -> None:
        engine = _wire_world().MemoryEngine()
        engine.seed()
        server = await Server.start(engine, socket=Path(socket))
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        await stopping.wait()
        await server.close()

    asyncio.run(serve())


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.02)
