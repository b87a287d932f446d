"""A picture of the cockpit without a terminal, for the README and for reports."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from ouroboros.errors import WaitTimeoutError
from tui.app import BACKGROUND, Cockpit
from tui.link import Connect, dial
from tui.view import Contact


async def screenshot(
    socket: Path,
    size: tuple[int, int] = (120, 40),
    *,
    keys: Sequence[str] = (),
    timeout_s: float = 20.0,
) -> str:
    """Attach to a running engine, press keys, and return the screen as SVG.

    Args:
        socket: the engine's socket.
        size: columns and rows.
        keys: keys to press once the data is there (`"2"` for the diff, `"j"`, ...).
        timeout_s: how long the engine may take to answer.

    Raises:
        WaitTimeoutError: the engine did not answer in time.
    """
    return await shoot(dial(socket, name="screenshot"), size, keys=keys, timeout_s=timeout_s)


async def shoot(
    connect: Connect,
    size: tuple[int, int],
    *,
    keys: Sequence[str] = (),
    timeout_s: float = 20.0,
) -> str:
    """`screenshot` over any connection."""
    app = Cockpit(connect)
    async with app.run_test(size=size) as pilot:
        deadline = time.monotonic() + timeout_s
        while app.view.contact is not Contact.LIVE:
            if time.monotonic() > deadline:
                raise WaitTimeoutError(
                    f"The engine did not answer within {timeout_s:.0f} s: {app.view.trouble}",
                    hint="Start it with 'ouroboros serve'.",
                )
            await asyncio.sleep(0.02)
        await settle(app)
        for key in keys:
            await pilot.press(key)
        await settle(app)
        await pilot.pause()
        return app.export_screenshot(title="ouroboros tui")


async def settle(app: Cockpit) -> None:
    """Wait until nothing is being fetched, and paint; what is painted may fetch once more."""
    for _ in range(2):
        app.paint_now()
        busy = [worker for worker in app.workers if worker.group == BACKGROUND]
        if busy:  # an empty list would mean all of them, and following never ends
            await app.workers.wait_for_complete(busy)
    app.paint_now()
