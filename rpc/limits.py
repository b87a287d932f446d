"""The caps of the service: what one client may cost the engine."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """All caps in one place; tests make them small, nobody needs to make them large."""

    body: int = 1 << 20
    """Bytes of one request or batch."""
    depth: int = 64
    """Nesting of arrays and objects in a request."""
    batch: int = 64
    """Items of one batch."""
    id_chars: int = 64
    """Characters of an id, as written in JSON."""
    calls: int = 16
    """Calls in flight on one connection; one more is answered with `busy`."""
    connections: int = 64
    """Open connections of one door: who fills one locks nobody out of another."""
    head_bytes: int = 16 << 10
    """Bytes of the head of a connection's first request."""
    head_s: float = 10.0
    """How long a new connection may take to say what it wants."""
    body_s: float = 30.0
    """How long the body of a request may take."""
    idle_s: float = 75.0
    """How long a connection without a request is kept."""
    failures: int = 5
    """Wrong secrets of one address that are answered at once; then it has to wait."""
    forgive_s: float = 60.0
    """After this long one more is."""
    subscriptions: int = 32
    """Subscriptions of one connection."""
    heartbeat_s: float = 15.0
    """Time between two pings of an idle WebSocket."""
    stall_s: float = 10.0
    """How long one message may wait for a reader that does not read, before it is let go."""
    close_s: float = 2.0
    """How long a peer may take to answer a close, and a call to end while the engine stops."""
