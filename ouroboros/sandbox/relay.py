"""Services that a run may reach: `[sandbox] network = ["NAME:PORT"]`.

The run's network namespace stays empty but for its loopback. A helper inside listens there, under
the names that the run's `/etc/hosts` sends to loopback addresses, and passes connections on through
unix sockets that are bound into the run; out here each socket leads to one name and port and
nowhere else. Names are looked up out here, so that the run needs no resolver and reaches none.
"""

import asyncio
import contextlib
import functools
import os
import socket
from pathlib import Path

from ouroboros.sandbox.root import HOSTS

HELPER = "/ouroboros/relay.py"
SOCKETS = "/ouroboros/network"
_PROGRAM = Path(__file__).with_name("inside") / "_ouroboros_relay.py"
_CHUNK = 1 << 16
_CONNECT_SECONDS = 20


class Relay:
    """The outer end, for one run. Belongs to the event loop's thread."""

    def __init__(self, services: tuple[str, ...], folder: Path) -> None:
        """Prepare.

        Args:
            services: each `NAME:PORT`.
            folder: an empty folder of the run's own; gets the sockets and a hosts file.
        """
        self.folder = folder
        self._services = [
            (name, int(port)) for name, _, port in (s.rpartition(":") for s in services)
        ]
        names = dict.fromkeys(name for name, _ in self._services if name != "localhost")
        self._inside = {name: f"127.0.1.{i}" for i, name in enumerate(names, 1)}
        self._inside["localhost"] = "127.0.0.1"
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: a socket cannot be made.
        """
        sockets = self.folder / "network"
        sockets.mkdir(parents=True)
        sockets.chmod(0o755)
        lines = [f"{a} {n}\n" for n, a in self._inside.items() if n != "localhost"]
        (self.folder / "hosts").write_text(HOSTS + "".join(lines))
        (self.folder / "hosts").chmod(0o644)
        for number, (name, port) in enumerate(self._services):
            serve = functools.partial(self._serve, name=name, port=port)
            server = await asyncio.start_unix_server(serve, sock=_listen(sockets, str(number)))
            self._servers.append(server)

    def arguments(self) -> list[str]:
        """Bubblewrap's arguments."""
        pairs = [("network", SOCKETS), ("hosts", "/etc/hosts")]
        args = [w for name, at in pairs for w in ("--ro-bind", str(self.folder / name), at)]
        return [*args, "--ro-bind", str(_PROGRAM), HELPER]

    def wrap(self, python: str, argv: list[str]) -> list[str]:
        """Have the inner end started before the command."""
        places = [f"{self._inside[name]}:{port}" for name, port in self._services]
        return [python, "-I", "-S", HELPER, SOCKETS, *places, "--", *argv]

    async def close(self) -> None:
        """End all connections."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, name: str, port: int
    ) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(name, port)
        except OSError:
            writer.close()  # also a timeout: the run sees a connection that is closed at once
            return
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # an end hung up
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _listen(folder: Path, name: str) -> socket.socket:
    """Bind through a descriptor of the folder, since the path of a unix socket must be short."""
    listener = socket.socket(socket.AF_UNIX)
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{fd}/{name}")
        (folder / name).chmod(0o666)  # the run is somebody else; nobody else reaches the folder
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(fd)
    return listener
