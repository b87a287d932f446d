"""Fan-out of what was written (durable) and of what is happening (lossy).

Only the recorder publishes durable events, and only after they are on disk: write first, tell
second. A subscription that asks for the past gets it from the ledger page by page and is switched
to live delivery without a gap or a double, since durable events are numbered by the ledger.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable

from ouroboros.engine.api import LossyEvent
from ouroboros.errors import BusyError
from ouroboros.model.entry import Stored
from ouroboros.model.progress import Gap, Progress
from ouroboros.model.topics import GAP

QUEUE = 2000
"""Durable events that a listener may lag behind before it must resume by its cursor."""

ReadAfter = Callable[[int, int], Awaitable[tuple[Stored, ...]]]
"""`(after_seq, limit)` -> the next entries in order; empty at the end."""

_PAGE = 500


class Listener:
    """One subscription; see `ouroboros.engine.api.Subscription`."""

    def __init__(self, bus: "Bus", *, after: int | None, read: ReadAfter) -> None:
        self._bus = bus
        self._after = after
        self._read = read
        self._durable: deque[Stored] = deque()
        self._lossy: dict[tuple[str, str], LossyEvent] = {}
        self._missed: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._overflow = False
        self._closed = False

    def offer(self, item: Stored) -> None:
        """Queue a durable event."""
        if len(self._durable) >= QUEUE:
            self._overflow = True
        else:
            self._durable.append(item)
        self._wake.set()

    def hint(self, key: tuple[str, str], item: LossyEvent) -> None:
        """Queue a lossy event in place of an older one of the same key."""
        if self._lossy.pop(key, None) is not None:
            self._missed[item.topic] += 1
        self._lossy[key] = item
        self._wake.set()

    def close(self) -> None:
        """Stop delivering; ends the iteration."""
        self._closed = True
        self._bus.drop(self)
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[Stored | LossyEvent]:
        """Yield the past (if asked for), then what comes."""
        last = self._after or 0
        if self._after is not None:
            while page := await self._read(last, _PAGE):
                for stored in page:
                    last = stored.entry.seq
                    yield stored
        while not self._closed:
            if self._overflow:
                raise BusyError(
                    f"More than {QUEUE} events were waiting for this listener.",
                    hint="Subscribe again from the last sequence number you saw.",
                )
            if self._durable:
                stored = self._durable.popleft()
                if stored.entry.seq > last:
                    last = stored.entry.seq
                    yield stored
            elif self._lossy:
                yield self._lossy.pop(next(iter(self._lossy)))
            elif self._missed:  # told once the reader has caught up, not while it has too much
                topic, missed = self._missed.popitem()
                yield LossyEvent(topic=GAP, data=Gap(topic=topic, missed=missed))
            else:
                self._wake.clear()
                await self._wake.wait()


class Bus:
    """All listeners of one engine."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def subscribe(self, *, after: int | None, read: ReadAfter) -> Listener:
        """Add a listener; live events queue from this moment on."""
        listener = Listener(self, after=after, read=read)
        self._listeners.add(listener)
        return listener

    def drop(self, listener: Listener) -> None:
        """Remove a listener."""
        self._listeners.discard(listener)

    def publish(self, stored: Stored) -> None:
        """Tell what was written."""
        for listener in self._listeners:
            listener.offer(stored)

    def hint(self, event: LossyEvent) -> None:
        """Tell what is happening."""
        which = event.data.candidate if isinstance(event.data, Progress) else ""
        for listener in self._listeners:
            listener.hint((event.topic, which), event)

    def close(self) -> None:
        """End every subscription."""
        for listener in list(self._listeners):
            listener.close()
