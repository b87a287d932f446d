"""`governor.*`: why a verdict is what it is, what limits are in force, and who changes them."""

from ouroboros.model.oversight import SAME, GovernorStatus
from ouroboros.model.snapshot import Explanation
from ouroboros.model.state import Anchor
from rpc import wire
from rpc.methods.checks import at_most, filled, within
from rpc.methods.registry import handles
from rpc.methods.session import Session

REASON = 2000
"""Most characters of a reason."""

CHANGES = 100
"""Most limits that one call changes."""


@handles(wire.GovernorStatusGet)
async def status(session: Session, _request: wire.GovernorStatusGet) -> GovernorStatus:
    """Return limits, budgets, anchor and total."""
    return session.engine.governor()


@handles(wire.GovernorExplain)
async def explain(session: Session, request: wire.GovernorExplain) -> Explanation:
    """Return a verdict in words."""
    return await session.engine.explain(request.id)


@handles(wire.GovernorSetLimits)
async def set_limits(session: Session, request: wire.GovernorSetLimits) -> wire.LimitsResult:
    """Change thresholds at run time."""
    filled("reason", request.reason)
    at_most("reason", request.reason, REASON)
    at_most("changes", list(request.changes), CHANGES)
    loaded = await session.engine.set_limits(
        request.changes,
        actor=session.actor,
        reason=request.reason,
        expect_config=request.expect_config,
    )
    return wire.LimitsResult(
        seq=session.engine.state.seq, policy=loaded.hash, overrides=dict(loaded.overrides)
    )


@handles(wire.GovernorMoveAnchor)
async def move_anchor(session: Session, request: wire.GovernorMoveAnchor) -> Anchor:
    """Put the anchor at another version."""
    filled("reason", request.reason)
    at_most("reason", request.reason, REASON)
    return await session.engine.move_anchor(
        request.ref,
        actor=session.actor,
        reason=request.reason,
        expect_anchor=request.expect_anchor,
    )


@handles(wire.GovernorFreeze)
async def freeze(session: Session, request: wire.GovernorFreeze) -> wire.Ok:
    """Promote nothing for a while."""
    within("until", request.until, 0, 2**63 - 1)
    at_most("reason", request.reason, REASON)
    orders = session.engine.orders
    await orders.freeze(request.until, actor=session.actor, reason=request.reason)
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.GovernorUnfreeze)
async def unfreeze(session: Session, request: wire.GovernorUnfreeze) -> wire.Ok:
    """End a freeze that a human set."""
    at_most("reason", request.reason, REASON)
    await session.engine.orders.unfreeze(actor=session.actor, reason=request.reason)
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.GovernorRecompute)
async def recompute(session: Session, request: wire.GovernorRecompute) -> wire.RecomputeResult:
    """Compute verdicts again from the ledger."""
    if request.id:
        session.engine.candidate(request.id)
    verdicts = await session.engine.recompute(request.id)
    return wire.RecomputeResult(same=all(v.outcome == SAME for v in verdicts), verdicts=verdicts)
