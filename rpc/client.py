"""The typed client: one WebSocket over the unix socket, many calls at once, events by cursor.

    client = await Client.connect(socket, name="my-script")
    status = await client.call(wire.EngineStatusGet())
    async with client.subscribe(("candidate.*",), from_seq=status.seq) as feed:
        async for item in feed: ...

Errors come back as the classes of `ouroboros.errors` that the engine raised. Nothing reconnects
here: who follows for long keeps the last `seq` and the `epoch`, connects again and resumes (the
cockpit does so in `tui.link`). aiohttp is imported when a connection is made, so that importing
this module stays cheap.
"""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ouroboros import __version__, errors
from ouroboros.errors import (
    BusyError,
    EngineUnreachableError,
    InvalidParamsError,
    OuroborosError,
    UnauthenticatedError,
    UnsupportedProtocolError,
)
from ouroboros.model.text import safe_line, safe_text
from rpc import wire
from rpc.feed import Feed, Item, Lossy, UnknownEvent

if TYPE_CHECKING:
    from aiohttp import ClientSession, ClientWebSocketResponse

__all__ = ["Client", "Feed", "Item", "Lossy", "UnknownEvent"]

R = TypeVar("R")

_MAX_MESSAGE = 64 << 20
_HEARTBEAT_S = 15.0
_START = "Start it with 'ouroboros serve' in the repository, or with 'ouroboros run' to watch it."


class _Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """Any message of the engine: a response, or a notification."""

    id: int | str | float | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: wire.ErrorObject | None = None
    method: str = ""
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A call without an answer; `on_result` runs before any later message is read."""

    future: "asyncio.Future[bytes]"
    on_result: Callable[[bytes], None] | None


class Client:
    """A connection to one engine. Make it with `connect`, end it with `close`."""

    def __init__(self, session: "ClientSession", socket: "ClientWebSocketResponse") -> None:
        """Take an open WebSocket; use `connect`."""
        self._session = session
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._feeds: dict[str, Feed] = {}
        self._lost: OuroborosError | None = None
        self._hello: wire.HelloResult | None = None
        # This object owns its one task; the engine's helper for tasks is out of reach for clients.
        self._reader = asyncio.get_running_loop().create_task(self._read(), name="rpc client")

    @classmethod
    async def connect(cls, socket: Path, *, name: str) -> "Client":
        """Connect to the engine's socket and agree on a protocol.

        Args:
            socket: path of the unix socket.
            name: who is calling, for the engine's log.

        Raises:
            EngineUnreachableError: nobody answers there.
            UnauthenticatedError: the engine belongs to somebody else.
            UnsupportedProtocolError: the engine speaks another protocol.
        """
        client = cls(*await _open(socket))
        try:
            client._hello = await client.call(wire.Hello(client=name, client_version=__version__))
        except BaseException:
            await client.close()
            raise
        return client

    @property
    def hello(self) -> wire.HelloResult:
        """What the engine answered to the greeting: protocol, epoch, actor, role."""
        if self._hello is None:
            raise errors.Misuse("This client has not said hello; make it with Client.connect.")
        return self._hello

    async def call(self, request: wire.Request[R]) -> R:
        """Make a call and return its typed result.

        Raises:
            EngineUnreachableError: the connection is lost; the call may have been carried out.
            OuroborosError: the leaf that the engine raised.
        """
        return await self._call(request, None)

    async def call_raw(self, method: str, params: object = None) -> object:
        """Call a method by its name, with plain JSON values.

        Raises:
            OuroborosError: as `call` does.
        """
        result = await self._request(method, {} if params is None else params, None)
        return msgspec.json.decode(result)

    def subscribe(self, topics: tuple[str, ...] = ("*",), from_seq: int | None = None) -> Feed:
        """Return a feed of events; it begins when it is entered (`async with`).

        Args:
            topics: shell-style patterns.
            from_seq: replay everything after this number; None: from now on.
        """
        return Feed(self, topics, from_seq)

    async def close(self) -> None:
        """Hang up; pending calls and feeds end with `EngineUnreachableError`."""
        self._lose(EngineUnreachableError("This connection was closed."))
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()
        await self._session.close()

    # --- out ------------------------------------------------------------------------------------

    async def _call(self, request: wire.Request[R], on_result: Callable[[R], None] | None) -> R:
        kind = type(request)

        def decode(raw: bytes) -> R:
            try:
                value: R = msgspec.json.decode(raw, type=kind.result)
            except msgspec.ValidationError as error:
                raise UnsupportedProtocolError(
                    f"The engine's answer to {kind.method} is not understood: {error}.",
                    hint="Use the client that came with the engine.",
                ) from None
            return value

        hook = None if on_result is None else lambda raw: on_result(decode(raw))
        return decode(await self._request(kind.method, request, hook))

    async def _request(
        self, method: str, params: object, on_result: Callable[[bytes], None] | None
    ) -> bytes:
        if self._lost is not None:
            raise _same(self._lost)
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            frame = msgspec.json.encode(message).decode()
        except UnicodeEncodeError:  # an argument of the shell may be any bytes
            raise InvalidParamsError(
                f"The parameters of {method} hold bytes that are no UTF-8 text."
            ) from None
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = _Waiting(future=future, on_result=on_result)
        try:
            await self._socket.send_str(frame)
            return await future
        except ConnectionError as error:
            raise EngineUnreachableError("The engine hung up.", hint=_START) from error
        finally:
            self._waiting.pop(number, None)
            if future.done() and not future.cancelled():
                future.exception()  # seen, also where sending failed first

    # --- in -------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read until the connection ends; the edge of the reader's task."""
        from aiohttp import WSMsgType

        lost = EngineUnreachableError("The engine hung up.", hint=_START)
        try:
            async for message in self._socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._take(message.data)
            lost = _why(self._socket.close_code)
        except (msgspec.DecodeError, OuroborosError) as error:
            lost = EngineUnreachableError(f"The engine sent what is no answer: {error}")
        finally:
            self._lose(lost)

    def _take(self, data: str | bytes) -> None:
        message = msgspec.json.decode(data, type=_Incoming)
        if message.method == "event" and isinstance(message.params, msgspec.Raw):
            notification = msgspec.json.decode(message.params, type=wire.Notification)
            feed = self._feeds.get(notification.subscription)
            if feed is not None:
                feed.offer(notification)
            return
        waiting = self._waiting.get(message.id) if isinstance(message.id, int) else None
        if waiting is None or waiting.future.done():
            return
        if isinstance(message.result, msgspec.Raw):
            result = bytes(message.result)
            if waiting.on_result is not None:
                waiting.on_result(result)
            waiting.future.set_result(result)
        else:
            waiting.future.set_exception(_raised(message.error))

    def _lose(self, why: OuroborosError) -> None:
        """Tell everybody who waits that nothing more will come."""
        if self._lost is not None:
            return
        self._lost = why
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(_same(why))
        for feed in list(self._feeds.values()):
            feed.end(_same(why))

    # --- for feeds ------------------------------------------------------------------------------

    async def attach(self, feed: Feed, request: wire.EventsSubscribe) -> wire.SubscribeResult:
        """Subscribe, with the feed in place before the first event is read."""

        def place(result: wire.SubscribeResult) -> None:
            self._feeds[result.subscription] = feed

        return await self._call(request, place)

    async def detach(self, subscription: str) -> None:
        """Unsubscribe, if there is still a connection."""
        if self._feeds.pop(subscription, None) is None or self._lost is not None:
            return
        try:
            await self.call(wire.EventsUnsubscribe(subscription=subscription))
        except (EngineUnreachableError, errors.NotFoundError):
            return  # it ended by itself, which is what was wanted


async def _open(socket: Path) -> "tuple[ClientSession, ClientWebSocketResponse]":
    """Open the WebSocket."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    session = aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(path=str(socket)), timeout=timeout
    )
    try:
        opened = await session.ws_connect(
            "http://engine/rpc", heartbeat=_HEARTBEAT_S, compress=0, max_msg_size=_MAX_MESSAGE
        )
    except aiohttp.WSServerHandshakeError as error:
        await session.close()
        raise _turned_away(error.status, socket) from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        await session.close()
        text = safe_line(str(error)) or "no answer in time"
        raise EngineUnreachableError(
            f"No engine answers on {socket}: {text}.", hint=_START
        ) from None
    except BaseException:
        await session.close()
        raise
    return session, opened


def _turned_away(status: int, socket: Path) -> OuroborosError:
    if status in (401, 403):
        return UnauthenticatedError(
            f"The engine on {socket} does not answer you (HTTP {status}).",
            hint="Use the account that runs the engine.",
        )
    if status == 503:  # noqa: PLR2004 - Service Unavailable
        return BusyError(f"The engine on {socket} has too many connections.", hint="Close one.")
    return EngineUnreachableError(f"What answers on {socket} is no engine (HTTP {status}).")


def _same(error: OuroborosError) -> OuroborosError:
    """Return the same error anew: a raised one carries its own traceback."""
    return type(error)(error.message, hint=error.hint)


def _why(close_code: int | None) -> EngineUnreachableError:
    """Say why the engine closed the connection."""
    if close_code == 1001:  # noqa: PLR2004 - going away
        return EngineUnreachableError("The engine is stopping.", hint=_START)
    if close_code == 1013:  # noqa: PLR2004 - try again later
        return EngineUnreachableError(
            "The engine let this connection go because it read too slowly.",
            hint="Connect again and resume from the last sequence number.",
        )
    return EngineUnreachableError("The engine hung up.", hint=_START)


def _raised(error: wire.ErrorObject | None) -> OuroborosError:
    """Return the error leaf that the engine raised; the code decides where the name is unknown."""
    if error is None:
        return OuroborosError("The engine's answer has neither a result nor an error.")
    data = error.data or wire.ErrorData(name="")
    kind = _leaf(error.code, data.type)
    return kind(safe_text(error.message), hint=safe_text(data.hint))


def _leaf(code: int, name: str) -> type[OuroborosError]:
    named = getattr(errors, name, None) if name.isidentifier() else None
    if isinstance(named, type) and issubclass(named, OuroborosError) and named.rpc_code == code:
        return named
    for leaf in vars(errors).values():
        if not isinstance(leaf, type) or not issubclass(leaf, OuroborosError):
            continue
        if leaf is not OuroborosError and vars(leaf).get("rpc_code") == code:
            return leaf
    return OuroborosError
