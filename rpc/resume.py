"""Events for ever: connects again and goes on where it left off, without a gap or a double.

    async for item in follow(address, name="nightly", topics=("candidate.*",), from_seq=0): ...

A durable event has its number in the ledger, and the ledger has a name (`epoch`): after a break the
same subscription is made again from the last number seen. Where the ledger is another one (it was
replaced or salvaged) nothing can be resumed honestly, and `CursorExpiredError` says so. Live items
that are not in the ledger may be missing after a break, as they may be at any time.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from ouroboros.errors import BusyError, CursorExpiredError, EngineUnreachableError
from rpc.address import Address
from rpc.client import Client
from rpc.feed import Item

FIRST_S = 0.25
LONGEST_S = 10.0


async def follow(
    address: Path | Address,
    *,
    name: str,
    topics: tuple[str, ...] = ("*",),
    from_seq: int | None = None,
    jitter: Callable[[], float] = random.random,
    told: Callable[[str], None] = lambda _: None,
) -> AsyncGenerator[Item, None]:
    """Yield items until the caller stops.

    Args:
        address: as `Client.connect` takes it.
        name: who is calling, for the engine's log.
        topics: shell-style patterns.
        from_seq: replay everything after this number; None: from now on.
        jitter: a random number in [0, 1), so that many clients do not knock at once.
        told: is told why there is a break, for a log.

    Raises:
        CursorExpiredError: the ledger is another one than before the break.
        OuroborosError: what waiting does not mend (a token that was revoked, another protocol).
    """
    delay, epoch = FIRST_S, ""
    while True:
        try:
            client = await Client.connect(address, name=name)
            try:
                if epoch and client.hello.epoch != epoch:
                    raise CursorExpiredError(
                        f"The ledger is {client.hello.epoch} now, not {epoch}.",
                        hint="Fetch engine.snapshot and follow from its sequence number.",
                    )
                epoch = client.hello.epoch
                async with client.subscribe(topics, from_seq) as feed:
                    from_seq = feed.seq
                    async for item in feed:
                        delay = FIRST_S
                        from_seq = feed.seq
                        yield item
            finally:
                await client.close()
        except (EngineUnreachableError, BusyError) as error:
            told(error.message)
        await asyncio.sleep(delay * (0.5 + jitter() / 2))
        delay = min(2 * delay, LONGEST_S)
