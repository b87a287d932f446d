"""What must work inside: a sandbox in which honest programs fail judges nobody."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from typing import Any

from _ouroboros_escapes import Out  # type: ignore[import-not-found] # beside this file, inside

_PATIENCE = 15.0
"""Seconds; only a very busy machine needs more than a few hundredths."""


def _expect(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise Out(f"{what} gave {found!r}")


def loopback(_: Any) -> str:
    """A server and a client on localhost."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        with socket.create_connection(server.getsockname(), 2) as client:
            there, _address = server.accept()
            with there:
                there.sendall(b"x")
                _expect("recv", client.recv(1), b"x")
    return "a byte came over"


def unix_sockets(_: Any) -> str:
    """Unix sockets among the run's own processes."""
    path = os.path.join(tempfile.gettempdir(), "own.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen(1)
        client.connect(path)
        there, _address = server.accept()
        there.close()
    return "connected"


def wakeups(_: Any) -> str:
    """An event loop that is woken from another thread."""
    import asyncio

    async def main() -> int:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        # The timer fires once the loop sleeps in its selector: only a wake-up ends that early.
        threading.Timer(0.02, lambda: loop.call_soon_threadsafe(future.set_result, 7)).start()
        return int(await asyncio.wait_for(future, _PATIENCE))

    _expect("the future", asyncio.run(main()), 7)
    return "woken"


def workers(_: Any) -> str:
    """Processes of `multiprocessing`, with a queue and its semaphores."""
    import multiprocessing

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=_work, args=(queue,))
    worker.start()
    _expect("the queue", queue.get(timeout=_PATIENCE), 42)
    worker.join(_PATIENCE)
    return "a worker answered"


def _work(queue: Any) -> None:
    queue.put(42)


def threads(_: Any) -> str:
    """Threads."""
    done: Any = []
    made = [threading.Thread(target=done.append, args=(n,)) for n in range(8)]
    for thread in made:
        thread.start()
    for thread in made:
        thread.join(_PATIENCE)
    _expect("threads", sorted(done), list(range(8)))
    return "8 threads ran"


def files(bait: Any) -> str:
    """Temporary files, and files in the tree."""
    for folder in (tempfile.gettempdir(), bait["tree"]):
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
            file.flush()
            _expect("size", os.path.getsize(file.name), 4096)
    return "written and read"


def programs(_: Any) -> str:
    """Other programs, with pipes."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "print(input()[::-1])"],
        input=b"abc\n",
        stdout=subprocess.PIPE,
        timeout=_PATIENCE,
        check=True,
    )
    _expect("the program", done.stdout, b"cba\n")
    return "a program answered"


def names(_: Any) -> str:
    """The name localhost."""
    found = {info[4][0] for info in socket.getaddrinfo("localhost", 80, proto=6)}
    if not found & {"127.0.0.1", "::1"}:
        raise Out(f"localhost is {found}")
    return "localhost is known"


def _needed(program: Any) -> Any:
    """What an honest program is refused is a finding, not a fault of ours."""

    def attempt(bait: Any) -> Any:
        try:
            return program(bait)
        except OSError as error:
            raise Out(f"refused: {error}") from None

    return attempt


ATTEMPTS = {
    "works-loopback": _needed(loopback),
    "works-unix-sockets": _needed(unix_sockets),
    "works-wakeups": _needed(wakeups),
    "works-multiprocessing": _needed(workers),
    "works-threads": _needed(threads),
    "works-files": _needed(files),
    "works-programs": _needed(programs),
    "works-names": _needed(names),
}
