"""One WebSocket: its calls in flight, and its subscriptions.

The queue of a subscription is the engine's (bounded, lossy events coalesced); here each has one
writer task, so that a reader who does not read holds up nobody but himself. He is let go with
close code 1013 when the engine's queue runs over or one message could not be written in time, and
resumes by his last sequence number.

Everything that this connection started is cancelled and awaited before `serve` returns.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from aiohttp import WSCloseCode, WSMsgType, web

from ouroboros.engine.api import Subscription
from ouroboros.engine.tasks import cancel_and_wait, spawn
from ouroboros.errors import BusyError, NotFoundError
from ouroboros.model.entry import Stored
from ouroboros.model.text import safe_line
from ouroboros.model.topics import matches_topic
from rpc.guard import Call, Guard, Refused, new_incident
from rpc.limits import Limits
from rpc.methods import Session
from rpc.methods.session import Calls
from rpc.server.frames import Frames, framed, prefix

_log = logging.getLogger(__name__)

_BEHIND = 32 << 10
"""Bytes that wait to leave: beyond them a reader is not up to date."""
_TURN = 64
"""Events after which another connection has its turn."""


@dataclass(slots=True)
class _Feed:
    """A subscription; `released` is set once the reply that announces it is out."""

    name: str
    subscription: Subscription
    topics: tuple[str, ...]
    seq: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class _Patience:
    """Raises `TimeoutError` in a block where one message stays unwritten for `stall_s` or more.

    One timer per `stall_s` instead of one per message: at thousands of messages a second the
    timers would cost as much as the messages.
    """

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self.writing = False
        self.written = 0

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._look_again()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)  # raises TimeoutError where it is due

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._stall_s, self._look, self.written)

    def _look(self, written: int) -> None:
        if self.writing and self.written == written:
            self._timeout.reschedule(asyncio.get_running_loop().time())
        else:
            self._look_again()


class _Opening:
    """The `Feeds` that one message sees: what it opens is released after its reply."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._opened: list[_Feed] = []

    def open(self, subscription: Subscription, topics: tuple[str, ...]) -> str:
        feed = self._connection.open(subscription, topics)
        self._opened.append(feed)
        return feed.name

    def close(self, name: str) -> None:
        self._connection.close_feed(name)

    def release(self) -> None:
        for feed in self._opened:
            feed.released.set()


class Connection:
    """Serves one WebSocket until it ends."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        *,
        guard: Guard,
        session: Session,
        frames: Frames,
        limits: Limits,
        transport: asyncio.Transport | None = None,
        incident: Callable[[], str] = new_incident,
    ) -> None:
        """Take the prepared socket, and what answers its messages."""
        self._transport = transport
        self._socket = socket
        self._guard = guard
        self._session = session
        self._frames = frames
        self._limits = limits
        self._incident = incident
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._waiting = Calls()
        self._feeds: dict[str, _Feed] = {}
        self._named = 0

    async def serve(self) -> None:
        """Answer messages until the peer or we close the socket."""
        try:
            async for message in self._socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self._take(message.data)
                    if self._unsent and not self._more_came():
                        self._flush()
        finally:
            for name in list(self._feeds):
                self.close_feed(name)
            await cancel_and_wait(*self._calls)
        self._flush()
        await self._socket.close(drain=False)  # answers a peer's close, after the replies

    async def close(self, code: int, text: str) -> None:
        """Give running calls a moment to be answered, then close."""
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=min(0.25, self._limits.close_s))
        self._flush()
        await self._socket.close(code=code, message=text.encode()[:120], drain=False)

    # --- calls ----------------------------------------------------------------------------------

    async def _take(self, body: str | bytes) -> None:
        """Answer beside the reading, so that a long wait holds up no other call."""
        parsed = self._guard.parse(body)
        if len(self._calls) >= self._limits.calls:
            await self._send(await self._guard.answer_parsed(self._session, parsed, busy=True))
            return
        if isinstance(parsed, Call) and self._guard.is_instant(parsed):
            await self._send(self._guard.at_once(self._session, parsed))
            return
        task = spawn(self._answer(parsed), name=f"rpc call of {self._session.actor}")
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _answer(self, parsed: Call | Refused | list[Call | Refused]) -> None:
        opening = _Opening(self)
        session = replace(self._session, feeds=opening, calls=self._waiting)
        reply = await self._guard.answer_parsed(session, parsed)
        await self._send(reply)
        opening.release()

    async def _send(self, frame: bytes | None) -> None:
        if frame is None:
            return
        if self._is_free():
            self._unsent.append(framed(frame))
            self._unsent_bytes += len(frame)
            if self._unsent_bytes > _BEHIND or not self._more_came():
                self._flush()
            return
        self._flush()
        try:
            await self._socket.send_frame(frame, WSMsgType.TEXT)
        except ConnectionError:
            _log.debug("the peer left before its answer was written")

    def _more_came(self) -> bool:
        """Whether `serve` will take another message at once, and flush after it.

        The web server does not tell; where its queue is called otherwise, every answer is written
        by itself.
        """
        return bool(getattr(getattr(self._socket, "_reader", None), "_buffer", None))

    def _flush(self) -> None:
        """Write the answers to all that was asked in one go: the system call costs most."""
        if self._unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()
        self._unsent_bytes = 0

    def _is_free(self) -> bool:
        """Whether bytes may go straight to the transport; the web server's way can wait."""
        transport = self._transport
        if transport is None or self._socket.closed or transport.is_closing():
            return False
        return transport.get_write_buffer_size() <= _BEHIND

    # --- subscriptions --------------------------------------------------------------------------

    def open(self, subscription: Subscription, topics: tuple[str, ...]) -> _Feed:
        """Add a subscription; see `rpc.methods.session.Feeds`."""
        if len(self._feeds) >= self._limits.subscriptions:
            subscription.close()
            raise BusyError(
                f"This connection has {len(self._feeds)} subscriptions already.",
                hint="One subscription takes several topics; or unsubscribe from one.",
            )
        self._named += 1
        feed = _Feed(name=f"s{self._named}", subscription=subscription, topics=topics)
        self._feeds[feed.name] = feed
        feed.task = spawn(self._pump(feed), name=f"rpc feed {feed.name} of {self._session.actor}")
        return feed

    def close_feed(self, name: str) -> None:
        """Stop a subscription; see `rpc.methods.session.Feeds`."""
        feed = self._feeds.pop(name, None)
        if feed is None:
            raise NotFoundError(
                f"This connection has no subscription {safe_line(name, limit=40)!r}."
            )
        feed.subscription.close()
        if feed.task is not None and feed.task is not asyncio.current_task():
            feed.task.cancel()
            self._calls.add(feed.task)  # awaited with the calls when the connection ends
            feed.task.add_done_callback(self._calls.discard)

    async def _pump(self, feed: _Feed) -> None:
        """Write a subscription's events; the edge of its task."""
        await feed.released.wait()
        try:
            await self._write(feed)
        except (BusyError, TimeoutError):
            _log.warning("%s fell behind; let go at %d", self._session.actor, feed.seq)
            await self._let_go(WSCloseCode.TRY_AGAIN_LATER, f"too slow: resume from {feed.seq}")
        except ConnectionError:
            _log.debug("the peer of feed %s left", feed.name)
        except Exception:  # noqa: BLE001 - the edge of a task: logged, and the peer is told
            incident = self._incident()
            _log.exception("incident %s in feed %s", incident, feed.name)
            await self._let_go(WSCloseCode.INTERNAL_ERROR, f"incident {incident}")
        finally:
            feed.subscription.close()

    async def _write(self, feed: _Feed) -> None:
        """Write events; straight to the transport while its reader keeps up.

        A message is framed once for all who call their subscription the same, which takes most of
        the cost out of a hundred listeners. Where what was written before has not left yet, the
        web server's own way is taken: it waits until it has.
        """
        wanted: dict[str, bool] = {}
        taken = 0
        async with _Patience(self._limits.stall_s) as patience:
            async for item in feed.subscription:
                frame = self._frames.of(item)
                if frame.about not in wanted:
                    wanted[frame.about] = matches_topic(frame.about, feed.topics)
                if not self._session.alive():
                    await self._let_go(WSCloseCode.POLICY_VIOLATION, "the token was revoked")
                    return
                if wanted[frame.about]:
                    patience.writing = True
                    self._flush()
                    if self._is_free() and self._transport is not None:
                        self._transport.write(frame.message(feed.name))
                    else:
                        payload = prefix(feed.name) + frame.tail
                        await self._socket.send_frame(payload, WSMsgType.TEXT)
                    patience.writing = False
                    patience.written += 1
                if isinstance(item, Stored):
                    feed.seq = item.entry.seq
                taken += 1
                if taken % _TURN == 0:
                    await asyncio.sleep(0)  # others have events too

    async def _let_go(self, code: int, text: str) -> None:
        self._flush()
        await self._socket.close(code=code, message=text.encode()[:120], drain=False)
