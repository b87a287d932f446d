"""Print durable events as they happen.   python follow.py SOCKET [FROM_SEQ [COUNT]]"""

import asyncio
import sys

from ouroboros.client import follow, parse_address


async def main() -> None:
    from_seq = int(sys.argv[2]) if len(sys.argv) > 2 else None
    left = int(sys.argv[3]) if len(sys.argv) > 3 else -1
    events = follow(parse_address(sys.argv[1]), name="follow.py", from_seq=from_seq, told=print)
    async for item in events:
        entry = getattr(item, "entry", None)
        if entry is None:
            continue  # live, not in the ledger
        print(entry.seq, entry.event.kind, entry.actor, flush=True)
        left -= 1
        if left == 0:
            break
    await events.aclose()


asyncio.run(main())
