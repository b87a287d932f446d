"""`rpc.discover` and `system.*`: who the engine is, and what it can be asked."""

import logging
import platform
from typing import Any

from ouroboros import __version__
from ouroboros.errors import MethodUnavailableError, UnsupportedProtocolError
from ouroboros.model.text import safe_line
from rpc import wire
from rpc.discover import document, summary
from rpc.methods.registry import handles
from rpc.methods.session import Session

_log = logging.getLogger(__name__)

CAPABILITIES = ("batch", "events.resume", "events.long_poll", "events.sse", "cancel")
"""Abilities that a client may rely on besides the methods; only ever added to."""


@handles(wire.Discover)
async def discover(_session: Session, _request: wire.Discover) -> dict[str, Any]:
    """Return the OpenRPC document."""
    return document()


@handles(wire.Cancel)
async def cancel(session: Session, request: wire.Cancel) -> wire.CancelResult:
    """End a call of the same connection."""
    if session.calls is None:
        raise MethodUnavailableError(
            "rpc.cancel needs the WebSocket of the call that it ends.",
            hint="Close the connection instead: the call ends with it.",
        )
    return wire.CancelResult(cancelled=session.calls.cancel(request.id))


@handles(wire.Hello)
async def hello(session: Session, request: wire.Hello) -> wire.HelloResult:
    """Agree on a protocol."""
    if wire.PROTOCOL not in request.protocols:
        spoken = safe_line(", ".join(request.protocols)) or "none"
        raise UnsupportedProtocolError(
            f"This engine speaks protocol {wire.PROTOCOL}; the client offers {spoken}.",
            hint="Use the client that came with the engine.",
        )
    client = safe_line(f"{request.client} {request.client_version}", limit=80)
    _log.info("%s connected with %s", session.actor, client)
    return wire.HelloResult(
        protocol=wire.PROTOCOL,
        engine_version=__version__,
        actor=session.actor,
        role=session.role,
        epoch=session.engine.status().epoch,
        capabilities=CAPABILITIES,
    )


@handles(wire.Ping)
async def ping(session: Session, _request: wire.Ping) -> wire.Ok:
    """Answer at once."""
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.Methods)
async def methods(_session: Session, _request: wire.Methods) -> tuple[wire.MethodInfo, ...]:
    """List all methods."""
    return tuple(
        wire.MethodInfo(name=r.method, role=r.role, mutates=r.mutates, summary=summary(r))
        for r in wire.REQUESTS
    )


@handles(wire.SystemVersion)
async def version(_session: Session, _request: wire.SystemVersion) -> wire.VersionResult:
    """Return versions."""
    return wire.VersionResult(
        engine=__version__, protocol=wire.PROTOCOL, python=platform.python_version()
    )
