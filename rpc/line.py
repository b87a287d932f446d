"""The client's end of a connection, whatever it is made of: messages out, messages in.

A `Line` is opened by `open_line`, which turns every way in which that fails into an error for
people. aiohttp is imported here and only when a socket or a port is opened, so that importing a
client stays cheap, and a client by SSH needs it not at all.
"""

import asyncio
import contextlib
import os
import shlex
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol

from ouroboros.errors import (
    BusyError,
    EngineUnreachableError,
    ForbiddenError,
    MachineError,
    OuroborosError,
    UnauthenticatedError,
)
from ouroboros.model.text import safe_line
from rpc.address import Address, Local, Network, Remote

if TYPE_CHECKING:
    from aiohttp import ClientSession, ClientWebSocketResponse

MAX_MESSAGE = 64 << 20
_HEARTBEAT_S = 15.0
_START = "Start it with 'ouroboros serve' in the repository, or with 'ouroboros run' to watch it."
_SAID = 2000
"""Characters of what ssh and the other side said that are kept for the error."""


class Line(Protocol):
    """An open connection."""

    async def send(self, text: str) -> None:
        """Send one message; `ConnectionError` when the other side is gone."""
        ...

    def messages(self) -> AsyncIterator[str | bytes]:
        """Yield what comes in, until the connection ends."""
        ...

    async def ended(self) -> EngineUnreachableError:
        """Say why it ended; called once there are no more messages."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


async def open_line(address: Address) -> Line:
    """Connect.

    Raises:
        EngineUnreachableError: nobody answers there.
        UnauthenticatedError: the engine does not know the caller.
        BusyError: it has too many connections.
    """
    match address:
        case Remote():
            return await _Pipe.open(address)
        case _:
            return await _WebSocket.open(address)


class _WebSocket:
    """A WebSocket over a unix socket or a port."""

    def __init__(self, session: "ClientSession", socket: "ClientWebSocketResponse") -> None:
        self._session = session
        self._socket = socket

    @classmethod
    async def open(cls, address: Local | Network) -> "_WebSocket":
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        session = aiohttp.ClientSession(connector=_connector(address), timeout=timeout)
        headers = {}
        if address.secret:
            headers["Authorization"] = f"Bearer {address.secret}"
        url = "http://engine" if isinstance(address, Local) else address.url
        try:
            opened = await session.ws_connect(
                f"{url}/rpc",
                heartbeat=_HEARTBEAT_S,
                compress=0,
                max_msg_size=MAX_MESSAGE,
                headers=headers,
            )
        except aiohttp.WSServerHandshakeError as error:
            await session.close()
            raise _turned_away(error.status, address) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await session.close()
            text = safe_line(str(error)) or "no answer in time"
            raise EngineUnreachableError(
                f"No engine answers on {address}: {text}.", hint=_START
            ) from None
        except BaseException:
            await session.close()
            raise
        return cls(session, opened)

    async def send(self, text: str) -> None:
        await self._socket.send_str(text)

    async def messages(self) -> AsyncIterator[str | bytes]:
        from aiohttp import WSMsgType

        async for message in self._socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                yield message.data

    async def ended(self) -> EngineUnreachableError:
        return _why(self._socket.close_code)

    async def close(self) -> None:
        await self._socket.close()
        await self._session.close()


def _connector(address: Local | Network) -> Any:
    import aiohttp

    if isinstance(address, Local):
        return aiohttp.UnixConnector(path=str(address.path))
    if not address.ca_file:
        return aiohttp.TCPConnector()
    try:
        trusted = ssl.create_default_context(cafile=address.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise MachineError(
            f"{address.ca_file} is no file of certificates: {safe_line(str(error))}.",
            hint="Expected PEM.",
        ) from None
    return aiohttp.TCPConnector(ssl=trusted)


def _turned_away(status: int, address: Local | Network) -> OuroborosError:
    where = f"The engine on {address}"
    match status:
        case 401 | 403 if isinstance(address, Local):
            return UnauthenticatedError(
                f"{where} does not know this token."
                if address.secret
                else f"{where} does not answer you (HTTP {status}).",
                hint="'ouroboros token list' names those that there are."
                if address.secret
                else "Use the account that runs the engine, or ask its owner to admit you.",
            )
        case 401:
            return UnauthenticatedError(
                f"{where} does not know this token."
                if isinstance(address, Network) and address.secret
                else f"{where} wants a token.",
                hint="Set OUROBOROS_TOKEN; 'ouroboros token create' makes one.",
            )
        case 403 | 421:
            return ForbiddenError(
                f"{where} does not take requests by this name (HTTP {status}).",
                hint="Name the host in its [rpc] hosts.",
            )
        case 429:
            return BusyError(f"{where} saw too many wrong tokens.", hint="Wait a minute.")
        case 503:
            return BusyError(f"{where} has too many connections.", hint="Close one.")
        case _:
            return EngineUnreachableError(f"What answers on {address} is no engine ({status}).")


def _why(close_code: int | None) -> EngineUnreachableError:
    """Say why the engine closed the connection."""
    match close_code:
        case 1001:  # going away
            return EngineUnreachableError("The engine is stopping.", hint=_START)
        case 1008:  # policy violation
            return EngineUnreachableError(
                "The engine let this connection go: its token was revoked or has expired.",
                hint="Ask for a new token.",
            )
        case 1013:  # try again later
            return EngineUnreachableError(
                "The engine let this connection go because it read too slowly.",
                hint="Connect again and resume from the last sequence number.",
            )
        case _:
            return EngineUnreachableError("The engine hung up.", hint=_START)


class _Pipe:
    """`ouroboros rpc --stdio` on another machine: one message a line."""

    def __init__(self, process: asyncio.subprocess.Process, address: Remote) -> None:
        self._process = process
        self._address = address
        self._said = ""
        loop = asyncio.get_running_loop()
        self._listening = loop.create_task(self._listen(), name="rpc ssh errors")

    @classmethod
    async def open(cls, address: Remote) -> "_Pipe":
        ssh = shlex.split(os.environ.get("OUROBOROS_SSH", "") or "ssh")
        try:
            process = await asyncio.create_subprocess_exec(
                *address.command(ssh),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_MESSAGE,
                start_new_session=True,  # Ctrl-C in our terminal is ours to handle
            )
        except OSError as error:
            raise MachineError(
                f"{ssh[0]} cannot be started: {error.strerror or error}.",
                hint="Install the OpenSSH client, or name another one in OUROBOROS_SSH.",
            ) from None
        return cls(process, address)

    async def _listen(self) -> None:
        """Keep the end of what ssh and the other side complain about."""
        stream = self._process.stderr
        while stream is not None and (chunk := await stream.read(4096)):
            self._said = (self._said + chunk.decode("utf-8", "replace"))[-_SAID:]

    async def send(self, text: str) -> None:
        stream = self._process.stdin
        if stream is None:
            raise ConnectionResetError("there is no pipe")
        stream.write(text.encode() + b"\n")
        await stream.drain()

    async def messages(self) -> AsyncIterator[str | bytes]:
        stream = self._process.stdout
        while stream is not None and (line := await stream.readline()):
            yield line

    async def ended(self) -> EngineUnreachableError:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._listening
                await self._process.wait()
        return _remote_failure(self._address, self._process.returncode, self._said)

    async def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(3):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)


_ERROR = "error: "


def _remote_failure(address: Remote, status: int | None, said: str) -> EngineUnreachableError:
    """Say whether ssh, the other machine or the engine there is the reason."""
    text = safe_line(" ".join(said.split()), limit=400)
    match status:
        case 255:  # ssh's own
            return EngineUnreachableError(
                f"ssh cannot reach {address}: {text or 'it does not say why'}.",
                hint="Try 'ssh' to that host by itself; a key without a password is needed.",
            )
        case 127:  # the shell's
            return EngineUnreachableError(
                f"There is no 'ouroboros' on the PATH of {address.host}: {text}.",
                hint="Install it there for that user, or link it into a folder of his PATH.",
            )
        case _:
            told = _told(said) or text
            return EngineUnreachableError(
                f"{address}: {told}" if told else "The engine hung up.",
                hint="Look at it there with 'ouroboros status'.",
            )


def _told(said: str) -> str:
    """Return the message of an `ouroboros` over there, without its prefix and its hint."""
    found = [line for line in said.splitlines() if line.startswith(_ERROR)]
    return safe_line(found[-1].removeprefix(_ERROR), limit=400) if found else ""
