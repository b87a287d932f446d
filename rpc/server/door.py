"""The unix door: who may knock, and how many at once.

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
    MachineError,
    OuroborosError,
    UnauthenticatedError,
)
from ouroboros.paths import make_private
from rpc.guard import error_object, failure

_REFUSAL_S = 1.0
"""How long a refused peer may take to read why."""

_STATUS = {UnauthenticatedError: "403 Forbidden", BusyError: "503 Service Unavailable"}


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


def bind(path: Path) -> Bound:
    """Bind the socket as 0600 in a 0700 folder, over the file of an engine that is gone.

    The umask belongs to the whole process: call this before other threads write files.

    Raises:
        EngineRunningError: a living engine answers there.
        MachineError: something else is in the way.
        TargetError: the folder is not ours alone.
    """
    make_private(path.parent)
    _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
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


class Doorkeeper(asyncio.Protocol):
    """Admits a new connection to the web server, or refuses it with one answer."""

    def __init__(
        self, *, admit: Callable[[], asyncio.Protocol], is_full: Callable[[], bool], owner: int
    ) -> None:
        """Take how to make the real protocol, how to tell a full house, and whose it is."""
        self._admit = admit
        self._is_full = is_full
        self._owner = owner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Decide, before anything was read."""
        stream = cast("asyncio.Transport", transport)
        uid = peer_uid(stream)
        if uid not in (self._owner, 0):
            refusal: OuroborosError = UnauthenticatedError(
                f"This engine belongs to {actor_of(self._owner)}; you are {actor_of(uid)}.",
                hint="Ask its owner, or start an engine of your own.",
            )
        elif self._is_full():
            refusal = BusyError(
                "Too many connections are open.", hint="Close one, or try again later."
            )
        else:
            protocol = self._admit()
            stream.set_protocol(protocol)
            protocol.connection_made(stream)
            return
        self._refuse(stream, refusal)

    def _refuse(self, stream: asyncio.Transport, refusal: OuroborosError) -> None:
        """Answer, half-close, and read on for a moment: a hasty close would destroy the answer."""
        body = failure(error_object(refusal))
        head = (
            f"HTTP/1.1 {_STATUS[type(refusal)]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        stream.write(head.encode() + body)
        if stream.can_write_eof():
            stream.write_eof()
        asyncio.get_running_loop().call_later(_REFUSAL_S, stream.abort)
