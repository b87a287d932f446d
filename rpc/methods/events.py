"""`events.*`: what happens, by subscription or long poll; the ledger's numbers are the cursor."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from ouroboros.engine.api import EngineApi, LossyEvent
from ouroboros.errors import CursorExpiredError, InvalidParamsError, MethodUnavailableError
from ouroboros.model.entry import Stored
from ouroboros.model.text import safe_line
from ouroboros.model.topics import matches_topic, topic_of
from rpc import wire
from rpc.methods.checks import within
from rpc.methods.registry import handles
from rpc.methods.session import Session

PAGE = 1000
WAIT_S = 60.0
TOPICS = 64
TOPIC_CHARS = 128


@handles(wire.EventsSubscribe)
async def subscribe(session: Session, request: wire.EventsSubscribe) -> wire.SubscribeResult:
    """Begin to deliver events; the first one follows the reply."""
    if session.feeds is None:
        raise MethodUnavailableError(
            "events.subscribe needs a WebSocket: this connection cannot carry notifications.",
            hint="Connect to GET /rpc as a WebSocket, or poll with events.list.",
        )
    check_topics(request.topics)
    engine = session.engine
    epoch = _epoch(engine, request.epoch)
    if request.from_seq is not None:
        check_cursor(engine, request.from_seq)
    # Nothing is awaited from here on, so no event can slip between the number and the queue.
    seq = engine.ledger_head().size if request.from_seq is None else request.from_seq
    subscription = engine.subscribe(from_seq=request.from_seq)
    name = session.feeds.open(subscription, request.topics)
    return wire.SubscribeResult(subscription=name, seq=seq, epoch=epoch)


@handles(wire.EventsUnsubscribe)
async def unsubscribe(session: Session, request: wire.EventsUnsubscribe) -> wire.Ok:
    """Stop a subscription."""
    if session.feeds is None:
        raise MethodUnavailableError("events.unsubscribe needs the WebSocket that subscribed.")
    session.feeds.close(request.subscription)
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.EventsList)
async def list_(session: Session, request: wire.EventsList) -> wire.EventPage:
    """Return what is there, or wait for it."""
    within("limit", request.limit, 1, PAGE)
    within("wait_s", request.wait_s, 0, WAIT_S)
    check_topics(request.topics)
    engine = session.engine
    epoch = _epoch(engine, "")
    check_cursor(engine, request.from_seq)
    subscription = engine.subscribe(from_seq=request.from_seq)
    try:
        events, seq = await _collect(engine, aiter(subscription), request)
    finally:
        subscription.close()
    return wire.EventPage(events=tuple(events), seq=seq, epoch=epoch)


async def _collect(
    engine: EngineApi, incoming: AsyncIterator[Stored | LossyEvent], request: wire.EventsList
) -> tuple[list[wire.EventItem], int]:
    """Take events up to the head; wait only while there is nothing to return."""
    events: list[wire.EventItem] = []
    seq = request.from_seq
    deadline = asyncio.get_running_loop().time() + request.wait_s
    while len(events) < request.limit:
        if seq >= engine.ledger_head().size and (events or request.wait_s == 0):
            break
        try:
            async with asyncio.timeout_at(None if seq < engine.ledger_head().size else deadline):
                item = await anext(incoming)
        except (TimeoutError, StopAsyncIteration):
            break
        if isinstance(item, Stored):
            seq = item.entry.seq
            if matches_topic(topic_of(item.entry.event), request.topics):
                events.append(event_item(item))
    return events, seq


def event_item(stored: Stored) -> wire.EventItem:
    """Return a durable event as the wire carries it."""
    return wire.EventItem(
        seq=stored.entry.seq,
        topic=topic_of(stored.entry.event),
        hash=stored.hash,
        entry=msgspec.Raw(msgspec.json.encode(stored.entry)),
    )


def check_topics(topics: tuple[str, ...]) -> None:
    """Refuse too many topics, or one that is too long.

    Raises:
        InvalidParamsError: says which.
    """
    within("topics (how many)", len(topics), 1, TOPICS)
    for topic in topics:
        if not 0 < len(topic) <= TOPIC_CHARS:
            raise InvalidParamsError(
                f"Invalid params: expected a topic of 1 to {TOPIC_CHARS} characters, "
                f"got {safe_line(topic, limit=40)!r}."
            )


def _epoch(engine: EngineApi, expected: str) -> str:
    epoch = engine.status().epoch
    if expected and expected != epoch:
        raise CursorExpiredError(
            f"The ledger is {epoch}, the cursor belongs to {safe_line(expected, limit=80)}.",
            hint="Fetch engine.snapshot and subscribe from its sequence number.",
        )
    return epoch


def check_cursor(engine: EngineApi, from_seq: int) -> None:
    """Refuse a cursor that lies after the ledger's end.

    Raises:
        CursorExpiredError: it does.
        InvalidParamsError: it is negative.
    """
    size = engine.ledger_head().size
    if from_seq < 0:
        raise InvalidParamsError(f"Invalid params: `from_seq` is negative ({from_seq}).")
    if from_seq > size:
        raise CursorExpiredError(
            f"The ledger ends at {size}; there is nothing after {from_seq}.",
            hint="Fetch engine.snapshot and subscribe from its sequence number.",
        )
