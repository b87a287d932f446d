"""`engine.*`: status, pause, resume, shutdown."""

from ouroboros.errors import InvalidParamsError
from ouroboros.model.snapshot import EngineStatus, Snapshot
from ouroboros.model.text import safe_line
from rpc import wire
from rpc.methods.registry import handles
from rpc.methods.session import Session

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


@handles(wire.EngineShutdown)
async def shutdown(session: Session, request: wire.EngineShutdown) -> wire.Ok:
    """Begin an orderly end."""
    await session.engine.shutdown(actor=session.actor, reason=request.reason)
    return wire.Ok(seq=session.engine.state.seq)
