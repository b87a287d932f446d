"""What the engine shows of itself. It reads; its two acts concern alerts: taken note of, and tried.

`Insight` is a part of the engine's contract with its doors (`EngineApi.inside`), apart because
none of it moves a candidate or a branch.
"""

import asyncio
import logging
import os
from collections.abc import Callable

import psutil
from msgspec.structs import replace

from ouroboros.config import parse
from ouroboros.engine.core import Core
from ouroboros.engine.delivery import tried
from ouroboros.engine.logring import LogRing
from ouroboros.errors import ConfigError, NotFoundError, WaitTimeoutError
from ouroboros.governor.vitals import VitalSample
from ouroboros.metrics.series import SeriesStore
from ouroboros.model import events as ev
from ouroboros.model.insight import (
    ConfigChange,
    ConfigCheck,
    Delivery,
    Health,
    LogPage,
    Metric,
    Points,
    Problem,
    Worker,
)
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Activity, EngineStatus
from ouroboros.model.state import Alert
from ouroboros.model.text import safe_line

_log = logging.getLogger(__name__)

SAMPLE_S = 10.0

METRICS = (
    Metric(name="engine_rss_bytes", unit="bytes", kind="gauge", text="Resident memory."),
    Metric(name="engine_cpu_percent", unit="percent", kind="gauge", text="CPU, of one core."),
    Metric(name="engine_lag_seconds", unit="seconds", kind="gauge", text="Event loop's delay."),
    Metric(name="engine_open_files", unit="files", kind="gauge", text="Open file descriptors."),
    Metric(name="engine_clients", unit="connections", kind="gauge", text="Open connections."),
    Metric(name="ledger_entries", unit="entries", kind="counter", text="Entries of the ledger."),
    Metric(name="candidates_held", unit="candidates", kind="gauge", text="Waiting for people."),
    Metric(name="candidates_in_flight", unit="candidates", kind="gauge", text="Being worked on."),
    Metric(name="versions_active", unit="versions", kind="gauge", text="Changes in the branch."),
    Metric(name="host_load1", unit="processes", kind="gauge", text="Load average of a minute."),
    Metric(name="host_cpu_percent", unit="percent", kind="gauge", text="CPU, of all cores."),
    Metric(name="host_memory_available_bytes", unit="bytes", kind="gauge", text="Free memory."),
    Metric(name="state_disk_free_bytes", unit="bytes", kind="gauge", text="Free in the state."),
    Metric(name="service_rss_bytes", unit="bytes", kind="gauge", text="The target's service."),
    Metric(name="service_cpu_percent", unit="percent", kind="gauge", text="Its CPU, of one core."),
    Metric(name="service_requests", unit="1/s", kind="gauge", text="Requests that it answers."),
    Metric(name="service_latency_seconds", unit="seconds", kind="gauge", text="Of a request."),
    Metric(name="service_error_rate", unit="ratio", kind="gauge", text="Of its requests."),
)
"""What is sampled; names end in their unit where they have one."""


class Insight:
    """Answers questions about one engine."""

    def __init__(
        self,
        core: Core,
        status: Callable[[], EngineStatus],
        vitals: Callable[[], VitalSample | None] = lambda: None,
    ) -> None:
        """Take the engine's inside, its status, and what the target's service showed last."""
        self._vitals = vitals
        self._before: VitalSample | None = None
        self._core = core
        self._status = status
        self._ring = LogRing()
        self._series = SeriesStore(METRICS, core.deps.ledger.with_name("metrics.sqlite"))
        self._process = psutil.Process(core.deps.pid)

    # --- living ---------------------------------------------------------------------------------

    def listen(self) -> None:
        """Begin to keep the log."""
        logging.getLogger().addHandler(self._ring)

    def close(self) -> None:
        """Stop keeping the log."""
        logging.getLogger().removeHandler(self._ring)
        self._series.close()

    async def run(self) -> None:
        """Take a sample now and then, for as long as the engine runs."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + SAMPLE_S
            await asyncio.sleep(SAMPLE_S)
            lag_s = max(0.0, loop.time() - due)
            values = await asyncio.to_thread(self._outside)
            values |= self._inside() | self._service() | {"engine_lag_seconds": lag_s}
            await asyncio.to_thread(self._series.add, self._core.now(), values)

    def _outside(self) -> dict[str, float]:
        """Ask the system; a figure that it does not give is left out."""
        values = {
            "host_load1": os.getloadavg()[0],
            "host_cpu_percent": psutil.cpu_percent(None),
            "host_memory_available_bytes": float(psutil.virtual_memory().available),
        }
        try:
            values["engine_open_files"] = float(self._process.num_fds())
            folder = self._core.deps.ledger.parent
            values["state_disk_free_bytes"] = float(self._core.deps.free_bytes(folder))
        except (OSError, psutil.Error) as error:
            _log.debug("a metric could not be taken: %s", error)
        return values

    def _inside(self) -> dict[str, float]:
        status = self._status()
        return {
            "engine_rss_bytes": float(status.rss_bytes),
            "engine_cpu_percent": status.cpu_percent,
            "engine_clients": float(status.clients),
            "ledger_entries": float(status.seq),
            "candidates_held": float(len(status.held)),
            "candidates_in_flight": float(len(status.in_flight)),
            "versions_active": float(status.versions_active),
        }

    def _service(self) -> dict[str, float]:
        """What the target's service did since the last time."""
        before, now = self._before, self._vitals()
        self._before = now
        if now is None or before is None or now.ts <= before.ts:
            return {}
        spent = (now.ts - before.ts) / 1e9
        values = {
            "service_rss_bytes": float(now.rss_bytes),
            "service_cpu_percent": 100 * max(0.0, now.cpu_s - before.cpu_s) / spent,
        }
        if now.requests is None or before.requests is None:
            return values
        requests = now.requests - before.requests
        values["service_requests"] = max(0.0, requests) / spent
        if requests > 0:
            errors = max(0.0, (now.errors or 0.0) - (before.errors or 0.0))
            values["service_error_rate"] = errors / requests
            took = (now.seconds or 0.0) - (before.seconds or 0.0)
            values["service_latency_seconds"] = max(0.0, took) / requests
        return values

    # --- questions ------------------------------------------------------------------------------

    def health(self) -> Health:
        """Say what is wrong now, worst first."""
        problems = tuple(_problems(self._core, self._status()))
        return Health(ok=all(p.severity != "critical" for p in problems), problems=problems)

    async def wait(self, until: frozenset[Activity], timeout_s: float) -> EngineStatus:
        """Return once the engine's activity is one of these.

        Raises:
            WaitTimeoutError: not within `timeout_s` seconds.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._core.recorder.wait_for(lambda _: self._status().activity in until)
        except TimeoutError:
            now = self._status().activity.value
            raise WaitTimeoutError(f"The engine is still {now} after {timeout_s:g} s.") from None
        return self._status()

    def log(self, *, after: int, limit: int, level: str) -> LogPage:
        """Return lines of the log."""
        return self._ring.page(after=after, limit=limit, level=level)

    def workers(self) -> tuple[Worker, ...]:
        """Return who evaluates: here the one pool of this machine."""
        core = self._core
        busy = [c.id for c in core.state.candidates.values() if c.phase is Phase.EVALUATING]
        return (
            Worker(
                name=core.deps.executor.name,
                slots=1,
                busy=(*busy, *sorted(core.measuring)),
                sandbox=core.deps.sandbox,
                pid=core.deps.pid,
                drained=core.deps.executor.name in core.state.drained,
            ),
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is sampled."""
        return self._series.metrics

    async def points(self, name: str, *, begin: int, end: int, step_s: float) -> Points:
        """Return a series; `begin` and `end` in UTC ns, 0 for an hour ago and for now."""
        now = self._core.now()
        end = end or now + 1
        begin = begin or end - 3600 * 10**9
        return await asyncio.to_thread(
            self._series.query, name, begin=begin, end=end, step_s=step_s
        )

    async def config_history(self, limit: int) -> tuple[ConfigChange, ...]:
        """Return the newest changes of the configuration, newest first."""
        core = self._core
        found: list[ConfigChange] = []
        for kind in ("config_loaded", "limits_changed"):
            page = await core.ledger_thread(
                core.deps.store.page, before=None, limit=limit, kind=kind, candidate=None
            )
            for stored in page:
                event, entry = stored.entry.event, stored.entry
                if not isinstance(event, ev.ConfigLoaded | ev.LimitsChanged):
                    continue
                change = ConfigChange(
                    seq=entry.seq, ts=entry.ts, actor=entry.actor, config_hash=event.config_hash
                )
                if isinstance(event, ev.LimitsChanged):
                    change = replace(change, reason=event.reason, changes=event.changes)
                found.append(change)
        return tuple(sorted(found, key=lambda c: -c.seq)[:limit])

    def check_config(self, text: str) -> ConfigCheck:
        """Say whether a configuration would be taken, and which keys would change."""
        try:
            loaded = parse(text.encode("utf-8", "replace"), origin="the text")
        except ConfigError as error:
            return ConfigCheck(ok=False, problem=error.message, hint=error.hint)
        old = _flat(self._core.config.config)
        new = _flat(loaded.config)
        keys = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
        return ConfigCheck(ok=True, hash=loaded.hash, changed=tuple(keys))

    def alerts(self) -> tuple[Alert, ...]:
        """Return the newest alerts, newest first."""
        return self._core.state.alerts[::-1]

    # --- acts -----------------------------------------------------------------------------------

    async def ack(self, seq: int, *, actor: str, reason: str) -> Alert:
        """Record that somebody has seen an alert; again by somebody else is recorded too.

        Raises:
            NotFoundError: no alert of that number, or one that is too old.
        """
        if not any(alert.seq == seq for alert in self._core.state.alerts):
            raise NotFoundError(
                f"There is no alert {seq} among the newest.", hint="'alert.list' shows them."
            )
        await self._core.recorder.record(ev.AlertAcked(alert=seq, reason=reason), actor=actor)
        return next(alert for alert in self._core.state.alerts if alert.seq == seq)

    async def try_alert(self, *, actor: str) -> tuple[Delivery, ...]:
        """Send a test alert through every sink; say how each took it."""
        text = f"A test, asked for by {safe_line(actor, limit=80)}. Nothing is wrong."
        event = ev.AlertRaised(code="test", severity="info", text=text)
        stored = await self._core.recorder.record(event, actor=actor)
        alert = Alert(
            seq=stored.entry.seq, ts=stored.entry.ts, code="test", severity="info", text=text
        )
        outcomes = []
        for sink in self._core.deps.sinks:
            problem = ""
            try:
                await sink.send(alert)
            except Exception as error:  # noqa: BLE001 - foreign ground; the outcome is the answer
                problem = safe_line(f"{type(error).__name__}: {error}", limit=300)
            outcomes.append(Delivery(sink=safe_line(sink.name), ok=not problem, problem=problem))
        for name, config in self._core.config.config.alerts.sinks.items():
            problem = await tried(name, config, alert)
            outcomes.append(Delivery(sink=safe_line(name), ok=not problem, problem=problem))
        return tuple(outcomes)


def _problems(core: Core, status: EngineStatus) -> list[Problem]:
    found: list[Problem] = []
    if core.halted:
        hint = "" if core.full else "Remove the cause, then 'ouroboros resume'."
        found.append(Problem(code="halted", severity="critical", text=core.halted, hint=hint))
    elif core.low:
        found.append(Problem(code="disk_low", severity="critical", text=core.low))
    if not status.target_head:
        text = f"The branch '{safe_line(core.branch)}' cannot be read."
        found.append(Problem(code="branch_unreadable", severity="critical", text=text))
    if core.state.intent is not None:
        names = ", ".join(core.state.intent.candidates)
        text = f"A move of the branch is under way or waits: {safe_line(names)}."
        found.append(Problem(code="move_pending", severity="warning", text=text))
    sandbox = status.sandbox
    if sandbox is None or sandbox.backend != "bwrap":
        name = sandbox.backend if sandbox else "none"
        text = f"The sandbox is '{name}', which contains less than bubblewrap."
        hint = "'ouroboros doctor' says what is missing."
        found.append(Problem(code="sandbox_weak", severity="warning", text=text, hint=hint))
    unseen = [a for a in core.state.alerts if a.severity == "critical" and not a.acked_by]
    if unseen:
        text = f"{len(unseen)} critical alerts that nobody acknowledged, the newest: "
        text += safe_line(unseen[-1].text, limit=300)
        found.append(Problem(code="alerts", severity="warning", text=text))
    return found


def _flat(config: object) -> dict[str, object]:
    """Return every option by its dotted key."""
    flat: dict[str, object] = {}

    def walk(prefix: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        elif hasattr(value, "__struct_fields__"):
            for name in value.__struct_fields__:
                walk(f"{prefix}.{name}" if prefix else name, getattr(value, name))
        else:
            flat[prefix] = value

    walk("", config)
    return flat
