"""The same client for scripts without asyncio.

    with SyncClient.connect(socket, name="gate") as client:
        candidate = client.call(wire.CandidateWait(id="c3", timeout_s=600))
        for item in client.events(("candidate.*",), from_seq=0, timeout_s=60): ...

A thread of its own runs the event loop; every call waits for it. Errors are the same classes. One
client may be used from several threads.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ouroboros.errors import WaitTimeoutError
from rpc import wire
from rpc.address import Address
from rpc.client import Client
from rpc.feed import Feed, Item

T = TypeVar("T")

CALL_S = 60.0
"""How long a call may take unless it says otherwise."""


class SyncClient:
    """A connection to one engine. Make it with `connect`, end it with `close` or `with`."""

    def __init__(self) -> None:
        """Start the thread; use `connect`."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="ouroboros client", daemon=True)
        self._thread.start()
        self._client: Client | None = None

    @classmethod
    def connect(cls, address: Path | Address, *, name: str, timeout_s: float = 30.0) -> Self:
        """Connect and agree on a protocol; see `rpc.client.Client.connect`.

        Raises:
            WaitTimeoutError: not within `timeout_s` seconds.
            OuroborosError: what `Client.connect` raises.
        """
        made = cls()
        try:
            made._client = made._wait(Client.connect(address, name=name), timeout_s)
        except BaseException:
            made.close()
            raise
        return made

    @property
    def hello(self) -> wire.HelloResult:
        """What the engine answered to the greeting: protocol, epoch, actor, role."""
        return self._open.hello

    def call(self, request: wire.Request[T], *, timeout_s: float | None = CALL_S) -> T:
        """Make a call and return its typed result.

        Raises:
            WaitTimeoutError: no answer within `timeout_s` seconds (None: waits for ever). The call
                may have been carried out, or still be.
            OuroborosError: the leaf that the engine raised.
        """
        return self._wait(self._open.call(request), timeout_s)

    def call_raw(
        self, method: str, params: object = None, *, timeout_s: float | None = CALL_S
    ) -> object:
        """Call a method by its name, with plain JSON values; raises as `call` does."""
        return self._wait(self._open.call_raw(method, params), timeout_s)

    def events(
        self,
        topics: tuple[str, ...] = ("*",),
        *,
        from_seq: int | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Item]:
        """Yield events as they happen.

        It ends when nothing came for `timeout_s` seconds (None: never).

        Raises:
            EngineUnreachableError: the connection is lost; resume from the last `seq`.
        """
        feed = self._wait(self._open.subscribe(topics, from_seq).__aenter__(), CALL_S)
        try:
            while True:
                try:
                    yield self._wait(_next(feed), timeout_s)
                except WaitTimeoutError:
                    return
        finally:
            self._wait(feed.__aexit__(None, None, None), CALL_S)

    def close(self) -> None:
        """Hang up and end the thread; may be called twice."""
        if self._loop.is_closed():
            return
        if self._client is not None:
            self._wait(self._client.close(), CALL_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.close()

    @property
    def _open(self) -> Client:
        if self._client is None:
            raise WaitTimeoutError("This client is not connected; make it with SyncClient.connect.")
        return self._client

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _wait(self, work: Coroutine[Any, Any, T], timeout_s: float | None) -> T:
        future = asyncio.run_coroutine_threadsafe(_within(work, timeout_s), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


async def _next(feed: Feed) -> Item:
    return await anext(feed)


async def _within(work: Coroutine[Any, Any, T], timeout_s: float | None) -> T:
    try:
        async with asyncio.timeout(timeout_s):
            return await work
    except TimeoutError:
        raise WaitTimeoutError(f"The engine did not answer within {timeout_s:g} s.") from None
