"""The methods: one file per noun, one function per method, registered against its wire Request.

A handler is `async def name(session, request) -> result`. It belongs to the event loop's thread,
asks the engine through `EngineApi` and nothing else, and raises leaves of `OuroborosError`. Roles,
typed parameters, notifications and faults are the guard's business, once for all methods.
"""

from rpc.methods import (
    auth,
    candidate,
    config,
    cycle,
    engine,
    events,
    governor,
    ledger,
    system,
    version,
    watch,
)
from rpc.methods.registry import Endpoint, Handler, endpoints_of, handles
from rpc.methods.session import Feeds, Session

__all__ = ["Endpoint", "Feeds", "Handler", "Session", "endpoints", "handles"]

_NOUNS = (system, auth, engine, cycle, candidate, version, governor, config, ledger, watch, events)


def endpoints() -> dict[str, Endpoint]:
    """Return every method of the service by its name."""
    return endpoints_of(*_NOUNS)
