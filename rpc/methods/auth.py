"""`auth.*`: who the caller is."""

from rpc import wire
from rpc.methods.registry import handles
from rpc.methods.session import Session


@handles(wire.Whoami)
async def whoami(session: Session, _request: wire.Whoami) -> wire.WhoamiResult:
    """Return the actor that the ledger will name."""
    return wire.WhoamiResult(actor=session.actor, role=session.role)
