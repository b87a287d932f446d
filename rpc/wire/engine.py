"""`engine.*` and `cycle.*`: the loop."""

from typing import Any

from ouroboros.model.insight import Health
from ouroboros.model.snapshot import EngineStatus, Snapshot
from ouroboros.model.state import Cycle
from rpc.wire.base import Act, Ok, Request, Result


class EngineStatusGet(Request[EngineStatus], frozen=True, kw_only=True):
    """Return the engine's status (about one kilobyte)."""

    method = "engine.status"
    result = EngineStatus
    instant = True


class EngineSnapshot(Request[Snapshot], frozen=True, kw_only=True):
    """Return state and status at one sequence number, to fold later events into."""

    method = "engine.snapshot"
    result = Snapshot


class EnginePause(Act[Ok], frozen=True, kw_only=True):
    """Stop the loop; survives a restart. `mode` is `after_phase` or `now` (cancel evaluations)."""

    method = "engine.pause"
    result = Ok
    role = "operator"
    reason: str = ""
    mode: str = "after_phase"


class EngineResume(Act[Ok], frozen=True, kw_only=True):
    """Let the loop go on."""

    method = "engine.resume"
    result = Ok
    role = "operator"
    reason: str = ""


class EngineDrain(Act[EngineStatus], frozen=True, kw_only=True):
    """Pause, and return when nothing is being worked on any more: before an upgrade, say.

    `timeout_s`: 0 to 3600 seconds, then `timeout`; the pause stays.
    """

    method = "engine.drain"
    result = EngineStatus
    role = "operator"
    reason: str = ""
    timeout_s: float = 600.0


class ReloadResult(Ok, frozen=True, kw_only=True):
    """`config_hash` is that of the configuration in force now."""

    config_hash: str


class EngineReload(Act[ReloadResult], frozen=True, kw_only=True):
    """Read the configuration's file again now; one that is not valid changes nothing.

    The engine does so by itself before each cycle. It applies to candidates proposed from here on.
    """

    method = "engine.reload"
    result = ReloadResult
    role = "admin"


class EngineHealth(Request[Health], frozen=True, kw_only=True):
    """Say what is wrong now, in words and with what to do; `ok` while nothing critical is."""

    method = "engine.health"
    result = Health
    instant = True


class EngineWait(Request[EngineStatus], frozen=True, kw_only=True):
    """Wait until the engine is in one of these states (idle, working, paused, halted, draining).

    `until` empty: idle, paused or halted. `timeout_s`: 0 to 3600 seconds, then `timeout`.
    """

    method = "engine.wait"
    result = EngineStatus
    waits = True
    until: tuple[str, ...] = ()
    timeout_s: float = 60.0


class EngineShutdown(Act[Ok], frozen=True, kw_only=True):
    """Begin an orderly end of the engine process."""

    method = "engine.shutdown"
    result = Ok
    role = "admin"
    reason: str = ""


class CycleTriggerResult(Result, frozen=True, kw_only=True):
    """Number of the cycle that was started."""

    cycle: int


class CycleTrigger(Act[CycleTriggerResult], frozen=True, kw_only=True):
    """Start a cycle now; with `proposer`, ask only that one."""

    method = "cycle.trigger"
    result = CycleTriggerResult
    role = "operator"
    proposer: str = ""


class CycleCancelResult(Ok, frozen=True, kw_only=True):
    """Number of the cycle that was ended."""

    cycle: int


class CycleCancel(Act[CycleCancelResult], frozen=True, kw_only=True):
    """End the running cycle: ask nobody any more, cancel what it brought unless accepted yet."""

    method = "cycle.cancel"
    result = CycleCancelResult
    role = "operator"
    reason: str = ""


class CycleGet(Request[Cycle], frozen=True, kw_only=True):
    """Return one cycle by its number, of the newest 500."""

    method = "cycle.get"
    result = Cycle
    number: int


class CycleList(Request[tuple[Cycle, ...]], frozen=True, kw_only=True):
    """Return the newest cycles, newest first."""

    method = "cycle.list"
    result = tuple[Cycle, ...]
    limit: int = 50


REQUESTS: tuple[type[Request[Any]], ...] = (
    EngineStatusGet,
    EngineSnapshot,
    EnginePause,
    EngineResume,
    EngineDrain,
    EngineReload,
    EngineShutdown,
    EngineHealth,
    EngineWait,
    CycleTrigger,
    CycleCancel,
    CycleList,
    CycleGet,
)
"""In the order of the documentation."""
