"""The doors: where they are, who may knock, and how many at once.

The socket is bound by us, not by the web framework: aiohttp's UnixSite leaves it 0755 under the
usual umask, and anybody who may connect may approve candidates. File modes keep others out; the
peer's credentials, asked from the kernel, are the second lock and give the ledger its actor.

Both are decided before a byte of the peer is parsed: a `Doorkeeper` stands in front of the web
server's protocol and either hands the connection over or answers it with one refusal.
"""

import asyncio
import os
import pwd
import socket
import stat
import struct
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import cast

import msgspec

from ouroboros.errors import (
    BusyError,
    EngineRunningError,
    InvalidParamsError,
    MachineError,
    OuroborosError,
    UnauthenticatedError,
)
from ouroboros.paths import make_private
from rpc.guard import error_object, failure
from rpc.limits import Limits

_REFUSAL_S = 1.0
"""How long a refused peer may take to read why."""

_STATUS: dict[type[OuroborosError], str] = {
    UnauthenticatedError: "403 Forbidden",
    BusyError: "503 Service Unavailable",
    InvalidParamsError: "431 Request Header Fields Too Large",
}


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A bound socket file, and its identity: a file of the same name may be somebody else's."""

    path: Path
    sock: socket.socket
    device: int
    inode: int

    def remove(self) -> None:
        """Remove the socket file if it is still ours."""
        try:
            info = self.path.lstat()
        except FileNotFoundError:
            return
        if (info.st_dev, info.st_ino) == (self.device, self.inode):
            self.path.unlink()


def bind(path: Path, *, shared: bool = False) -> Bound:
    """Bind the socket as 0600 in a 0700 folder, over the file of an engine that is gone.

    A `shared` one is 0666, in a folder that somebody else has made: there the kernel's word on who
    connects is the only lock.

    The umask belongs to the whole process: call this before other threads write files.

    Raises:
        EngineRunningError: a living engine answers there.
        MachineError: something else is in the way.
        TargetError: the folder is not ours alone.
    """
    if not shared:
        make_private(path.parent)
    _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o111 if shared else 0o177)
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise MachineError(
            f"The socket {path} cannot be made: {error.strerror or error}.",
            hint="Set XDG_RUNTIME_DIR to a short, writable folder of yours.",
        ) from error
    finally:
        os.umask(before)
    sock.setblocking(False)
    info = path.lstat()
    return Bound(path=path, sock=sock, device=info.st_dev, inode=info.st_ino)


def _clear(path: Path) -> None:
    """Remove a socket file behind which nobody listens."""
    try:
        info = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(info.st_mode):
        raise MachineError(
            f"{path} is in the way: expected a socket or nothing.", hint=f"Remove {path}."
        )
    if not _alive(path):
        path.unlink(missing_ok=True)
        return
    raise EngineRunningError(
        f"An engine already answers on {path}.",
        hint="Attach to it with 'ouroboros tui', or stop it first.",
    )


def _alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (TimeoutError, BlockingIOError):
            return True  # somebody listens, and is too busy to accept
        except OSError as error:
            raise MachineError(
                f"{path} cannot be tried: {error.strerror or error}.", hint=f"Remove {path}."
            ) from error
        return True


def peer_uid(transport: asyncio.BaseTransport) -> int:
    """Return the uid of the process at the other end, as the kernel knows it."""
    sock = cast("socket.socket", transport.get_extra_info("socket"))
    if sys.platform == "darwin":
        credentials = sock.getsockopt(0, 1, 76)  # SOL_LOCAL, LOCAL_PEERCRED -> struct xucred
        return int(struct.unpack_from("=II", credentials)[1])
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("=iII", credentials)[1])


@lru_cache(maxsize=64)
def actor_of(uid: int) -> str:
    """Return the ledger's name for a local user: `uid:name`, or the number where he has none."""
    try:
        return f"uid:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"uid:{uid}"


class Entrance(msgspec.Struct, kw_only=True):
    """What all doorkeepers of one door share.

    `admit` makes the web server's protocol for a connection; `peers` refuses by who is at the
    other end (before a byte of his is read) or returns None; `open_now` counts the connections
    that were admitted.
    """

    admit: Callable[[], asyncio.Protocol]
    peers: Callable[[asyncio.Transport], OuroborosError | None]
    open_now: Callable[[], int]
    limits: Limits
    waiting: set[asyncio.BaseTransport] = msgspec.field(default_factory=set)
    refused: Callable[[str], None] = lambda _: None

    @property
    def count(self) -> int:
        """Connections that were admitted, and those that have not said yet what they want."""
        return self.open_now() + len(self.waiting)


class Doorkeeper(asyncio.Protocol):
    """Admits a connection to the web server once its first request has a head, or refuses it.

    The web server itself waits for a first head as long as it takes: a few hundred connections
    that send a byte a minute would use up all places (slow loris).
    """

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._head = b""
        self._stream: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Decide, before anything was read."""
        entrance = self._entrance
        stream = self._stream = cast("asyncio.Transport", transport)
        refusal = entrance.peers(stream)
        if refusal is None and entrance.count >= entrance.limits.connections:
            refusal = BusyError(
                "Too many connections are open.", hint="Close one, or try again later."
            )
        if refusal is not None:
            self._refuse(stream, refusal)
            return
        entrance.waiting.add(stream)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(entrance.limits.head_s, self._late)

    def data_received(self, data: bytes) -> None:
        """Collect the head; then the web server gets all that came."""
        stream = self._stream
        if stream is None or stream not in self._entrance.waiting:
            return  # it was refused; what it says is of no interest
        self._head += data
        if b"\r\n\r\n" not in self._head and b"\n\n" not in self._head:
            if len(self._head) > self._entrance.limits.head_bytes:
                self._leave()
                text = f"The head of the request is longer than {self._entrance.limits.head_bytes}."
                self._refuse(stream, InvalidParamsError(text))
            return
        self._leave()
        protocol = self._entrance.admit()
        stream.set_protocol(protocol)
        protocol.connection_made(stream)
        protocol.data_received(self._head)

    def eof_received(self) -> None:
        """Let go of whoever has nothing to say."""
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection."""
        self._leave()

    def _late(self) -> None:
        self._entrance.refused("slow")
        if self._stream is not None:
            self._stream.abort()

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._stream is not None:
            self._entrance.waiting.discard(self._stream)

    def _refuse(self, stream: asyncio.Transport, refusal: OuroborosError) -> None:
        """Answer, half-close, and read on for a moment: a hasty close would destroy the answer."""
        self._entrance.refused(refusal.rpc_name)
        body = failure(error_object(refusal))
        head = (
            f"HTTP/1.1 {_STATUS[type(refusal)]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        stream.write(head.encode() + body)
        if stream.can_write_eof():
            stream.write_eof()
        asyncio.get_running_loop().call_later(_REFUSAL_S, stream.abort)
