"""`GET /events`: the event stream for whoever speaks only HTTP (server-sent events).

    curl -N --unix-socket SOCKET 'http://engine/events?topics=candidate.*&from_seq=0'

A durable event has its ledger number as `id`, so that a browser or library that reconnects sends
it back as `Last-Event-ID` and goes on without a gap or a double. `event` is the topic, `data` the
notification's parameters as in `events.subscribe`. Comments are heartbeats.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import msgspec
from aiohttp import web

from ouroboros.engine.api import EngineApi, LossyEvent, Subscription
from ouroboros.errors import BusyError, InvalidParamsError, OuroborosError
from ouroboros.model.entry import Stored
from ouroboros.model.text import safe_line
from ouroboros.model.topics import matches_topic
from rpc.guard import error_object
from rpc.limits import Limits
from rpc.methods.events import check_cursor, check_topics
from rpc.methods.session import Session
from rpc.server.frames import Frames

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


def wanted(request: web.Request, engine: EngineApi) -> tuple[tuple[str, ...], int | None]:
    """Return topics and cursor of a request.

    Raises:
        InvalidParamsError: one that is not possible.
        CursorExpiredError: the cursor lies after the end.
    """
    topics = tuple(filter(None, request.query.get("topics", "*").split(",")))
    check_topics(topics)
    text = request.headers.get("Last-Event-ID") or request.query.get("from_seq", "")
    if not text:
        return topics, None
    if not (text.isascii() and text.isdigit() and len(text) < 16):  # noqa: PLR2004 - 2**53
        raise InvalidParamsError(
            f"Invalid params: expected `from_seq` (or Last-Event-ID) to be a number of the ledger, "
            f"got {safe_line(text, limit=40)!r}."
        )
    check_cursor(engine, int(text))
    return topics, int(text)


async def stream(
    response: web.StreamResponse,
    *,
    session: Session,
    topics: tuple[str, ...],
    from_seq: int | None,
    frames: Frames,
    limits: Limits,
) -> None:
    """Write events until the peer leaves, reads too slowly, or may not read any more."""
    subscription = session.engine.subscribe(from_seq=from_seq)
    try:
        async with contextlib.aclosing(_records(subscription, topics, frames, limits)) as records:
            async for record in records:
                if not session.alive():
                    return
                async with asyncio.timeout(limits.stall_s):
                    await response.write(record)
    except (TimeoutError, ConnectionError):
        return  # he resumes by the last id that he saw
    except BusyError as error:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(limits.stall_s):
                await response.write(_told(error))
    finally:
        subscription.close()


async def _records(
    subscription: Subscription, topics: tuple[str, ...], frames: Frames, limits: Limits
) -> AsyncGenerator[bytes, None]:
    yield b": ouroboros\n\n"
    incoming = aiter(subscription)
    while True:
        waiting = asyncio.ensure_future(anext(incoming, None))
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=limits.heartbeat_s)
                if not waiting.done():
                    yield b": still here\n\n"
            item = waiting.result()
        finally:
            waiting.cancel()
        if item is None:
            return
        record = _record(item, topics, frames)
        if record:
            yield record


def _record(item: Stored | LossyEvent, topics: tuple[str, ...], frames: Frames) -> bytes:
    frame = frames.of(item)
    if not matches_topic(frame.about, topics):
        return b""
    number = f"id: {item.entry.seq}\n" if isinstance(item, Stored) else ""
    data = b"{" + frame.tail[:-1]  # without the brace that ends the notification
    return f"{number}event: {frame.topic}\ndata: ".encode() + data + b"\n\n"


def _told(error: OuroborosError) -> bytes:
    return b"event: error\ndata: " + msgspec.json.encode(error_object(error)) + b"\n\n"
