"""Getting alerts to people: beside the engine's work, tried again, and on the record.

An alert is in the ledger before it is sent. Each configured sink has a task of its own for each
alert, so that one that hangs delays nobody. What a sink does not take is tried again with growing
pauses until `[alerts] give_up`; then an entry says that it was not delivered, and the next alert
tries anew. What an engine did not finish, the next one goes on with: the ledger says which alerts
were settled with whom. Delivery is at least once; the alert's number tells a receiver two alike.
"""

import asyncio
import contextlib
import logging

from ouroboros.alerts.configured import sink_of, wants
from ouroboros.config_alerts import Sink
from ouroboros.engine.core import Core
from ouroboros.engine.tasks import cancel_and_wait, spawn
from ouroboros.errors import LedgerError, OuroborosError
from ouroboros.model import events as ev
from ouroboros.model.state import Alert
from ouroboros.model.text import safe_line

_log = logging.getLogger(__name__)

PAUSES_S = (1.0, 5.0, 30.0, 120.0, 300.0)
"""Between tries; the last for all that follow."""
_MOST = 200
"""Deliveries under way; beyond them an alert is given up at once, and the log says so."""


class Deliveries:
    """Sends alerts to the configured sinks."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tasks: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Go on with what an earlier engine did not finish."""
        core = self._core
        oldest = core.now() - core.config.config.alerts.give_up
        for alert in core.state.alerts:
            if alert.ts >= oldest and not alert.silenced and alert.code != "test":
                self.send(alert)

    def send(self, alert: Alert) -> None:
        """Begin to deliver an alert to every sink that wants it and has not settled it yet."""
        for name, sink in self._core.config.config.alerts.sinks.items():
            if not wants(sink, alert) or name in alert.settled:
                continue
            if len(self._tasks) >= _MOST:
                _log.error("alert %d is not sent to %s: too many wait", alert.seq, name)
                continue
            task = spawn(self._deliver(name, sink, alert), f"alert {alert.seq} to {name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop trying; the next engine goes on."""
        await cancel_and_wait(*self._tasks)

    async def _deliver(self, name: str, sink: Sink, alert: Alert) -> None:
        core = self._core
        last = alert.ts + core.config.config.alerts.give_up
        tries = 0
        while True:
            problem = await tried(name, sink, alert)
            tries += 1
            if not problem or core.now() >= last:
                break
            _log.warning("alert %d did not reach %s: %s", alert.seq, name, problem)
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S)) - 1])
        delivered = ev.AlertDelivered(alert=alert.seq, sink=name, tries=tries, problem=problem)
        with contextlib.suppress(LedgerError):  # halted already; sent again by the next engine
            await core.recorder.record(delivered)


async def tried(name: str, sink: Sink, alert: Alert) -> str:
    """Try once; return what went wrong, or nothing."""
    try:
        async with asyncio.timeout(sink.timeout.seconds + 1):
            await sink_of(name, sink).send(alert)
    except OuroborosError as error:
        return safe_line(error.message, limit=300)
    except TimeoutError:
        return "it did not take it in time"
    except Exception as error:  # noqa: BLE001 - foreign ground; the outcome is the answer
        return safe_line(f"{type(error).__name__}: {error}", limit=300)
    return ""
