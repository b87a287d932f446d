"""`engine.*`: status, pause, resume, shutdown."""

from ouroboros.errors import InvalidParamsError
from ouroboros.model.insight import Health
from ouroboros.model.snapshot import Activity, EngineStatus, Snapshot
from ouroboros.model.text import safe_line
from rpc import wire
from rpc.methods.checks import within
from rpc.methods.registry import handles
from rpc.methods.session import Session

WAIT_S = 3600.0
_PAUSE_MODES = ("after_phase", "now")


@handles(wire.EngineStatusGet)
async def status(session: Session, _request: wire.EngineStatusGet) -> EngineStatus:
    """Return the status."""
    return session.engine.status()


@handles(wire.EngineSnapshot)
async def snapshot(session: Session, _request: wire.EngineSnapshot) -> Snapshot:
    """Return state and status at one sequence number."""
    return session.engine.snapshot()


@handles(wire.EnginePause)
async def pause(session: Session, request: wire.EnginePause) -> wire.Ok:
    """Stop the loop."""
    if request.mode not in _PAUSE_MODES:
        raise InvalidParamsError(
            f"Invalid params: expected `mode` to be {' or '.join(_PAUSE_MODES)}, "
            f"got {safe_line(request.mode, limit=40)!r}."
        )
    await session.engine.pause(
        actor=session.actor, reason=request.reason, now=request.mode == "now"
    )
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.EngineResume)
async def resume(session: Session, request: wire.EngineResume) -> wire.Ok:
    """Let the loop go on."""
    await session.engine.resume(actor=session.actor, reason=request.reason)
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.EngineDrain)
async def drain(session: Session, request: wire.EngineDrain) -> EngineStatus:
    """Pause, and wait until nothing is being worked on."""
    within("timeout_s", request.timeout_s, 0, WAIT_S)
    await session.engine.orders.drain(
        actor=session.actor, reason=request.reason, timeout_s=request.timeout_s
    )
    return session.engine.status()


@handles(wire.EngineReload)
async def reload(session: Session, _request: wire.EngineReload) -> wire.ReloadResult:
    """Read the configuration again."""
    loaded = await session.engine.orders.reload(actor=session.actor)
    return wire.ReloadResult(seq=session.engine.state.seq, config_hash=loaded.hash)


@handles(wire.EngineShutdown)
async def shutdown(session: Session, request: wire.EngineShutdown) -> wire.Ok:
    """Begin an orderly end."""
    await session.engine.shutdown(actor=session.actor, reason=request.reason)
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.EngineHealth)
async def health(session: Session, _request: wire.EngineHealth) -> Health:
    """Say what is wrong."""
    return session.engine.inside.health()


@handles(wire.EngineWait)
async def wait(session: Session, request: wire.EngineWait) -> EngineStatus:
    """Wait for a state of the engine."""
    within("timeout_s", request.timeout_s, 0, WAIT_S)
    known = {activity.value: activity for activity in Activity}
    for name in request.until:
        if name not in known:
            raise InvalidParamsError(
                f"Invalid params: `until` names no state with {safe_line(name, limit=40)!r}.",
                hint=f"States are {', '.join(known)}.",
            )
    until = frozenset(known[name] for name in request.until) or _AT_REST
    return await session.engine.inside.wait(until, request.timeout_s)


_AT_REST = frozenset({Activity.IDLE, Activity.PAUSED, Activity.HALTED})
