"""Keys to the doors of the network: given and taken back in the ledger, before they act.

The ledger is where they are kept, so that a revoked key stays revoked whatever is restored, and so
that who gave which key to whom is on the record. The secret itself is known to its owner alone.
"""

from ouroboros.engine.core import Core
from ouroboros.errors import BusyError, ConflictError, NotFoundError
from ouroboros.model import events as ev
from ouroboros.model.text import safe_line

MOST = 256
"""Tokens at a time: every call over the network compares with each of them."""


async def create(core: Core, event: ev.TokenCreated, *, actor: str) -> None:
    """Record a new token.

    Raises:
        ConflictError: there is one of that name.
        BusyError: there are too many.
    """
    there = core.state.tokens
    if event.name in there:
        raise ConflictError(
            f"There is a token {safe_line(event.name, limit=80)!r} already.",
            hint="Revoke it first, or choose another name.",
        )
    if len(there) >= MOST:
        raise BusyError(f"There are {len(there)} tokens already.", hint="Revoke unused ones.")
    await core.recorder.record(event, actor=actor)


async def revoke(core: Core, name: str, *, actor: str, reason: str) -> None:
    """Record that a token opens nothing any more.

    Raises:
        NotFoundError: there is none of that name.
    """
    if name not in core.state.tokens:
        raise NotFoundError(
            f"There is no token {safe_line(name, limit=80)!r}.",
            hint="'ouroboros token list' shows all.",
        )
    await core.recorder.record(ev.TokenRevoked(name=name, reason=reason), actor=actor)
