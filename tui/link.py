"""The cockpit's line to the engine: connect, follow, reconnect, resume.

`Link.follow()` is endless and never raises for anything the world may do: it yields `Attached`
with a snapshot, then events; when the line breaks, `Detached` with the time of the next attempt
(0.25 s, doubled up to 10 s, with jitter, so that ten cockpits do not knock at once), then
`Attached` again. With the same ledger it resumes by sequence number and nothing on the screen
changes; it takes a new snapshot when the cursor has expired, the ledger is another one, or the
view asked for it (`resync`).

Everything else in `tui` sees this module only, and tests put a scripted `Connection` behind it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from ouroboros.errors import CursorExpiredError, EngineUnreachableError, OuroborosError
from ouroboros.model.entry import Stored
from ouroboros.model.progress import Progress
from ouroboros.model.snapshot import EngineStatus, Snapshot
from rpc import feed, wire
from rpc.address import Address
from tui.view import Attached, Detached, Item, Unknown

R = TypeVar("R")

FIRST_DELAY = 0.25
LAST_DELAY = 10.0


class Feed(Protocol):
    """A running subscription."""

    async def __aenter__(self) -> Self:
        """Begin to receive."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop receiving."""
        ...

    def __aiter__(self) -> AsyncIterator[feed.Item]:
        """Iterate over `Stored`, events of unknown kinds, and lossy ones."""
        ...


class Connection(Protocol):
    """What the cockpit needs of `rpc.client.Client`."""

    @property
    def hello(self) -> wire.HelloResult:
        """Who the engine is and who it thinks we are."""
        ...

    async def call(self, request: wire.Request[R]) -> R:
        """Send one request and return its typed result."""
        ...

    def subscribe(self, topics: tuple[str, ...] = ("*",), from_seq: int | None = None) -> Feed:
        """Receive events after `from_seq`."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


Connect = Callable[[], Awaitable[Connection]]


def dial(address: Path | Address, *, name: str = "ouroboros-tui") -> Connect:
    """Return a function that connects to the engine's socket, port or machine."""

    async def connect() -> Connection:
        from rpc.client import Client  # brings aiohttp: only once the first paint is done

        return await Client.connect(address, name=name)

    return connect


class Link:
    """One cockpit's line to one engine."""

    def __init__(
        self,
        connect: Connect,
        *,
        clock_ns: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        """Keep what is needed to connect.

        Args:
            connect: opens a connection or raises `OuroborosError`.
            clock_ns: UTC now.
            jitter: a random number in [0, 1).
        """
        self._connect = connect
        self._clock_ns = clock_ns
        self._jitter = jitter
        self._connection: Connection | None = None
        self._seq: int | None = None
        self._epoch = ""
        self._nudged = asyncio.Event()
        self._closed = False

    async def call(self, request: wire.Request[R]) -> R:
        """Send one request.

        Raises:
            EngineUnreachableError: there is no connection now.
            OuroborosError: what the engine answered.
        """
        if self._connection is None:
            raise EngineUnreachableError(
                "The engine is not answering, so nothing was sent.",
                hint="Wait until the header says 'live', then try again.",
            )
        return await self._connection.call(request)

    def nudge(self) -> None:
        """Try again at once instead of waiting for the next attempt."""
        self._nudged.set()

    async def resync(self) -> None:
        """Drop the subscription and begin again with a new snapshot."""
        self._seq = None
        self.nudge()
        await self._hang_up()

    async def close(self) -> None:
        """End `follow` and hang up."""
        self._closed = True
        self.nudge()
        await self._hang_up()

    async def follow(self) -> AsyncGenerator[Item, None]:
        """Yield everything that happens, for ever."""
        delay = FIRST_DELAY
        while True:
            was_fresh, attached = self._seq is None, False
            try:
                async with aclosing(self._session()) as session:
                    async for item in session:
                        delay, attached = FIRST_DELAY, True
                        yield item
                error: OuroborosError = EngineUnreachableError("The engine hung up.")
            except OuroborosError as problem:
                error = problem
            finally:
                await self._hang_up()
            if self._closed:
                return
            if self._begin_again(error, in_vain=was_fresh and not attached):
                continue
            wait = delay * (0.75 + 0.5 * self._jitter())
            yield self._detached(error, wait)
            await self._pause(wait)
            delay = min(LAST_DELAY, delay * 2)

    def _begin_again(self, error: OuroborosError, *, in_vain: bool) -> bool:
        """Whether to connect again at once, for a snapshot, without telling anybody.

        Never after an attempt at just that was in vain: it would become a busy loop.
        """
        if in_vain:
            return False
        if isinstance(error, CursorExpiredError):
            self._seq = None
        return self._seq is None

    async def _session(self) -> AsyncGenerator[Item, None]:
        """Yield the items of one connection, until it ends or fails."""
        self._nudged.clear()
        connection = self._connection = await self._connect()
        if connection.hello.epoch != self._epoch:
            self._epoch, self._seq = connection.hello.epoch, None
        snapshot: Snapshot | None = None
        if self._seq is None:
            snapshot = await connection.call(wire.EngineSnapshot())
            self._seq = snapshot.state.seq
        async with connection.subscribe(from_seq=self._seq) as events:
            yield await self._attached(connection, snapshot)
            async for raw in events:
                item = translate(raw)
                if isinstance(item, Stored | Unknown) and self._seq is not None:
                    self._seq = max(self._seq, _seq_of(item))
                if item is not None:
                    yield item

    async def _attached(self, connection: Connection, snapshot: Snapshot | None) -> Attached:
        if snapshot is not None:
            status = snapshot.status
        else:
            status = await connection.call(wire.EngineStatusGet())
        return Attached(
            at_ns=self._clock_ns(),
            actor=connection.hello.actor,
            role=connection.hello.role,
            engine_version=connection.hello.engine_version,
            status=status,
            snapshot=snapshot,
        )

    def _detached(self, error: OuroborosError, wait: float) -> Detached:
        now = self._clock_ns()
        return Detached(
            at_ns=now,
            retry_ns=now + int(wait * 1e9),
            reason=error.message,
            hint=error.hint,
        )

    async def _pause(self, wait: float) -> None:
        try:
            await asyncio.wait_for(self._nudged.wait(), wait)
        except TimeoutError:
            return

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _seq_of(item: Stored | Unknown) -> int:
    return item.entry.seq if isinstance(item, Stored) else item.seq


def translate(raw: feed.Item) -> Item | None:
    """Turn what the client yields into what the view folds; None for topics we do not use."""
    if isinstance(raw, Stored):
        return raw
    if isinstance(raw, feed.UnknownEvent):
        return Unknown(seq=raw.seq, topic=raw.topic, hash=raw.hash)
    return raw.data if isinstance(raw.data, Progress | EngineStatus) else None
