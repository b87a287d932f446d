"""How a dead engine is noticed: the service manager's watchdog, and an address that is asked.

Both say "alive" only while the event loop turns and the engine is not halted: an engine that stands
still for a fault is as good as dead, and somebody should look.
"""

import asyncio
import logging
import os
import socket

from ouroboros.engine.core import Core
from ouroboros.engine.probes import asked

_log = logging.getLogger(__name__)

_LOOK_S = 5.0


def notify(text: str) -> None:
    """Tell the service manager (`sd_notify(3)`); nothing where none listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as plug:
        try:
            plug.sendto(text.encode(), address)
        except OSError as error:
            _log.warning("the service manager cannot be told: %s", error)


def watchdog_s() -> float:
    """Return how often the service manager wants to hear of us, in seconds; 0: not at all."""
    text = os.environ.get("WATCHDOG_USEC", "")
    mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 2e6 if text.isdecimal() and mine else 0.0


async def stay_heard(core: Core) -> None:
    """Say that we live, as often as anybody wants to hear it."""
    loop = asyncio.get_running_loop()
    asked_s = 0.0
    told = ""
    while True:
        deadman = core.config.config.alerts.deadman
        if not core.halted:
            notify("WATCHDOG=1")
            if deadman.url and loop.time() >= asked_s:
                asked_s = loop.time() + deadman.every.seconds
                problem = await asked(deadman.url, min(10.0, deadman.every.seconds))
                if problem and problem != told:
                    said = problem.replace(deadman.url, "it")  # its path is often a secret
                    _log.warning("the dead-man address is not told: %s", said)
                told = problem
        wait = min(_LOOK_S, watchdog_s() or _LOOK_S, deadman.every.seconds)
        await asyncio.sleep(wait)
