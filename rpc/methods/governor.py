"""`governor.*`: why a verdict is what it is."""

from ouroboros.model.snapshot import Explanation
from rpc import wire
from rpc.methods.registry import handles
from rpc.methods.session import Session


@handles(wire.GovernorExplain)
async def explain(session: Session, request: wire.GovernorExplain) -> Explanation:
    """Return a verdict in words."""
    return session.engine.explain(request.id)
