"""The typed client: one connection, many calls at once, events by cursor.

    client = await Client.connect(socket, name="my-script")
    status = await client.call(wire.EngineStatusGet())
    async with client.subscribe(("candidate.*",), from_seq=status.seq) as feed:
        async for item in feed: ...

Errors come back as the classes of `ouroboros.errors` that the engine raised. Nothing reconnects
here: who follows for long keeps the last `seq` and the `epoch`, connects again and resumes (the
cockpit does so in `tui.link`). What a connection is made of is in `rpc.line`; aiohttp is imported
when one is made, so that importing this module stays cheap.
"""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from ouroboros import __version__, errors
from ouroboros.errors import (
    EngineUnreachableError,
    InvalidParamsError,
    OuroborosError,
    UnsupportedProtocolError,
)
from ouroboros.model.text import safe_text
from rpc import wire
from rpc.address import Address, Local
from rpc.feed import Feed, Item, Lossy, UnknownEvent
from rpc.line import Line, open_line

__all__ = ["Client", "Feed", "Item", "Lossy", "UnknownEvent"]

R = TypeVar("R")

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

    def __init__(self, line: Line) -> None:
        """Take an open line; use `connect`."""
        self._line = line
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._feeds: dict[str, Feed] = {}
        self._lost: OuroborosError | None = None
        self._hello: wire.HelloResult | None = None
        # This object owns its one task; the engine's helper for tasks is out of reach for clients.
        self._reader = asyncio.get_running_loop().create_task(self._read(), name="rpc client")

    @classmethod
    async def connect(cls, address: Path | Address, *, name: str) -> "Client":
        """Connect to an engine and agree on a protocol.

        Args:
            address: path of the unix socket, or what `rpc.address.parse_address` returns.
            name: who is calling, for the engine's log.

        Raises:
            EngineUnreachableError: nobody answers there.
            UnauthenticatedError: the engine belongs to somebody else, or wants another token.
            UnsupportedProtocolError: the engine speaks another protocol.
        """
        where = Local(address) if isinstance(address, Path) else address
        client = cls(await open_line(where))
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
        await self._line.close()

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
            await self._line.send(frame)
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
        lost = EngineUnreachableError("The engine hung up.", hint=_START)
        try:
            async for message in self._line.messages():
                self._take(message)
            lost = await self._line.ended()
        except (msgspec.DecodeError, OuroborosError, ValueError, ConnectionError) as error:
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


def _same(error: OuroborosError) -> OuroborosError:
    """Return the same error anew: a raised one carries its own traceback."""
    return type(error)(error.message, hint=error.hint)


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
