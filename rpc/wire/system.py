"""`rpc.*` and `system.*`: who the engine is, and what it can be asked."""

from typing import Any

from rpc.wire.base import PROTOCOL, Ok, Request, Result


class Discover(Request[dict[str, Any]], frozen=True, kw_only=True):
    """Return the OpenRPC document of this service."""

    method = "rpc.discover"
    result = dict[str, Any]


class Hello(Request["HelloResult"], frozen=True, kw_only=True):
    """Agree on a protocol; the first call of a client that cares."""

    method = "system.hello"
    client: str
    client_version: str = ""
    protocols: tuple[str, ...] = (PROTOCOL,)


class HelloResult(Result, frozen=True, kw_only=True):
    """Who the engine is, and who it thinks you are. `epoch` names the ledger."""

    protocol: str
    engine_version: str
    actor: str
    role: str
    epoch: str
    capabilities: tuple[str, ...] = ()


Hello.result = HelloResult


class Ping(Request[Ok], frozen=True, kw_only=True):
    """Answer at once."""

    method = "system.ping"
    result = Ok
    instant = True


class CancelResult(Result, frozen=True, kw_only=True):
    """Whether the call was still in flight and has been ended."""

    cancelled: bool


class Cancel(Request[CancelResult], frozen=True, kw_only=True):
    """End a call of this WebSocket that waits; it is answered with `cancelled`.

    `id`: of the call's request. What changes something is never cut in half: it is not ended, nor
    is what is answered already.
    """

    method = "rpc.cancel"
    result = CancelResult
    id: str | int | float


class MethodInfo(Result, frozen=True, kw_only=True):
    """One method: name, least role, whether it changes something, first line of its doc."""

    name: str
    role: str
    mutates: bool
    summary: str


class Methods(Request[tuple[MethodInfo, ...]], frozen=True, kw_only=True):
    """List all methods."""

    method = "system.methods"
    result = tuple[MethodInfo, ...]


class VersionResult(Result, frozen=True, kw_only=True):
    """Versions of engine, protocol and interpreter."""

    engine: str
    protocol: str
    python: str


class SystemVersion(Request[VersionResult], frozen=True, kw_only=True):
    """Return versions."""

    method = "system.version"
    result = VersionResult
    instant = True


REQUESTS: tuple[type[Request[Any]], ...] = (
    Discover,
    Cancel,
    Hello,
    Ping,
    Methods,
    SystemVersion,
)
"""In the order of the documentation."""
