"""A subscription at the client's end: decoded events in order, with a bounded backlog."""

import asyncio
from collections import deque
from types import TracebackType
from typing import Protocol, Self

import msgspec

from ouroboros.errors import BusyError, OuroborosError
from ouroboros.model.entry import Entry, Stored
from ouroboros.model.progress import Gap, Progress
from ouroboros.model.snapshot import EngineStatus
from ouroboros.model.topics import GAP, PROGRESS, STATUS
from rpc import wire

BACKLOG = 10_000
"""Items that a feed holds for its reader; beyond it the feed ends and must be resumed."""

LOSSY_BACKLOG = 1_000
"""Beyond this many waiting items, lossy ones are dropped."""


class UnknownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A durable event that this client cannot decode: it is older than the engine.

    `raw` is the entry as JSON. Whoever folds events must fetch a new snapshot here.
    """

    seq: int
    topic: str
    hash: str
    raw: bytes


class Lossy(msgspec.Struct, frozen=True, kw_only=True):
    """Something live that is not in the ledger; `data` is raw where the topic is unknown."""

    topic: str
    data: Progress | EngineStatus | Gap | msgspec.Raw


_LOSSY: dict[str, type[Progress | EngineStatus | Gap]] = {
    PROGRESS: Progress,
    STATUS: EngineStatus,
    GAP: Gap,
}

Item = Stored | UnknownEvent | Lossy


class Line(Protocol):
    """What a feed needs of its client."""

    @property
    def hello(self) -> wire.HelloResult:
        """The engine's greeting."""
        ...

    async def attach(self, feed: "Feed", request: wire.EventsSubscribe) -> wire.SubscribeResult:
        """Subscribe, with the feed in place before the first event is read."""
        ...

    async def detach(self, subscription: str) -> None:
        """Unsubscribe, if there is still a connection."""
        ...


class Feed:
    """Events of one subscription, in order; enter it, then iterate over it."""

    def __init__(self, line: Line, topics: tuple[str, ...], from_seq: int | None) -> None:
        """Prepare; use `Client.subscribe`."""
        self._line = line
        self._topics = topics
        self._from_seq = from_seq
        self._items: deque[wire.Notification] = deque()
        self._wake = asyncio.Event()
        self._end: OuroborosError | None = None
        self._result: wire.SubscribeResult | None = None
        self.seq = from_seq or 0
        """The last durable event that was handed out: where to resume."""

    async def __aenter__(self) -> Self:
        """Subscribe.

        Raises:
            CursorExpiredError: the ledger ends before `from_seq`.
            OuroborosError: whatever else the engine answers.
        """
        epoch = self._line.hello.epoch if self._from_seq is not None else ""
        request = wire.EventsSubscribe(topics=self._topics, from_seq=self._from_seq, epoch=epoch)
        self._result = await self._line.attach(self, request)
        self.seq = self._result.seq
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Unsubscribe."""
        if self._result is not None:
            await self._line.detach(self._result.subscription)

    def __aiter__(self) -> Self:
        """Iterate until the connection is lost."""
        return self

    async def __anext__(self) -> Item:
        """Return the next item.

        Raises:
            EngineUnreachableError: the connection is lost, and everything received was handed out.
            BusyError: this reader fell too far behind; subscribe again from `seq`.
        """
        while not self._items:
            if self._end is not None:
                raise self._end
            self._wake.clear()
            await self._wake.wait()
        item = decode(self._items.popleft())
        if not isinstance(item, Lossy):
            self.seq = item.entry.seq if isinstance(item, Stored) else item.seq
        return item

    def offer(self, notification: wire.Notification) -> None:
        """Take a notification from the client's reader."""
        waiting = len(self._items)
        if self._end is not None or (notification.seq == 0 and waiting >= LOSSY_BACKLOG):
            return
        if waiting >= BACKLOG:
            text = f"More than {BACKLOG} events were waiting to be read."
            self.end(BusyError(text, hint="Subscribe again from the last one that was read."))
            return
        self._items.append(notification)
        self._wake.set()

    def end(self, why: OuroborosError) -> None:
        """Raise `why` once everything received was handed out."""
        self._end = self._end or why
        self._wake.set()


def decode(notification: wire.Notification) -> Item:
    """Return a notification as the item it carries; an unknown kind never breaks a feed."""
    if isinstance(notification.entry, msgspec.Raw):
        raw = bytes(notification.entry)
        try:
            entry = msgspec.json.decode(raw, type=Entry)
        except msgspec.ValidationError:
            return UnknownEvent(
                seq=notification.seq,
                topic=notification.topic,
                hash=notification.hash,
                raw=raw,
            )
        return Stored(hash=notification.hash, entry=entry)
    data = notification.data if isinstance(notification.data, msgspec.Raw) else msgspec.Raw(b"null")
    kind = _LOSSY.get(notification.topic)
    if kind is not None:
        try:
            typed = msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError:
            return Lossy(topic=notification.topic, data=data)
        return Lossy(topic=notification.topic, data=typed)
    return Lossy(topic=notification.topic, data=data)
