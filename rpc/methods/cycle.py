"""`cycle.*`: passes of the loop."""

from ouroboros.errors import NotFoundError
from ouroboros.model.state import Cycle
from rpc import wire
from rpc.methods.checks import within
from rpc.methods.registry import handles
from rpc.methods.session import Session

LIMIT = 500


@handles(wire.CycleTrigger)
async def trigger(session: Session, request: wire.CycleTrigger) -> wire.CycleTriggerResult:
    """Start a cycle now."""
    number = await session.engine.trigger(actor=session.actor, proposer=request.proposer)
    return wire.CycleTriggerResult(cycle=number)


@handles(wire.CycleCancel)
async def cancel(session: Session, request: wire.CycleCancel) -> wire.CycleCancelResult:
    """End the running cycle."""
    number = await session.engine.orders.end_cycle(actor=session.actor, reason=request.reason)
    return wire.CycleCancelResult(seq=session.engine.state.seq, cycle=number)


@handles(wire.CycleList)
async def list_(session: Session, request: wire.CycleList) -> tuple[Cycle, ...]:
    """Return the newest cycles."""
    within("limit", request.limit, 1, LIMIT)
    return await session.engine.cycles(limit=request.limit)


@handles(wire.CycleGet)
async def get(session: Session, request: wire.CycleGet) -> Cycle:
    """Return one cycle."""
    within("number", request.number, 1, 2**53)
    for cycle in await session.engine.cycles(limit=LIMIT):
        if cycle.number == request.number:
            return cycle
    raise NotFoundError(f"There is no cycle {request.number} among the newest {LIMIT}.")
