"""`alert.*`, `log.*`, `metrics.*`, `worker.*`: what the engine shows of itself."""

from ouroboros.engine.logring import LEVELS
from ouroboros.errors import InvalidParamsError
from ouroboros.model.insight import Delivery, LogPage, Metric, Points, Worker
from ouroboros.model.state import Alert
from ouroboros.model.text import safe_line
from rpc import wire
from rpc.methods.checks import at_most, within
from rpc.methods.registry import handles
from rpc.methods.session import Session

REASON = 2000
LINES = 1000
_LONGEST_STEP_S = 86400.0


@handles(wire.AlertList)
async def alerts(session: Session, _request: wire.AlertList) -> tuple[Alert, ...]:
    """Return the newest alerts."""
    return session.engine.inside.alerts()


@handles(wire.AlertAck)
async def ack(session: Session, request: wire.AlertAck) -> Alert:
    """Record that somebody has seen an alert."""
    within("seq", request.seq, 1, 2**53)
    at_most("reason", request.reason, REASON)
    return await session.engine.inside.ack(request.seq, actor=session.actor, reason=request.reason)


@handles(wire.AlertTest)
async def test(session: Session, _request: wire.AlertTest) -> tuple[Delivery, ...]:
    """Try every sink."""
    return await session.engine.inside.try_alert(actor=session.actor)


@handles(wire.LogTail)
async def tail(session: Session, request: wire.LogTail) -> LogPage:
    """Return lines of the log."""
    within("limit", request.limit, 1, LINES)
    within("after", request.after, -1, 2**53)
    if request.level not in LEVELS:
        raise InvalidParamsError(
            f"Invalid params: expected `level` to be one of {', '.join(LEVELS)}, "
            f"got {safe_line(request.level, limit=40)!r}."
        )
    return session.engine.inside.log(after=request.after, limit=request.limit, level=request.level)


@handles(wire.MetricsList)
async def metrics(session: Session, _request: wire.MetricsList) -> tuple[Metric, ...]:
    """Name the series."""
    return session.engine.inside.metrics


@handles(wire.MetricsQuery)
async def query(session: Session, request: wire.MetricsQuery) -> Points:
    """Return a series."""
    within("begin", request.begin, 0, 2**63 - 1)
    within("end", request.end, 0, 2**63 - 1)
    within("step_s", request.step_s, 0.1, _LONGEST_STEP_S)
    return session.engine.inside.points(
        request.name, begin=request.begin, end=request.end, step_s=request.step_s
    )


@handles(wire.WorkerList)
async def workers(session: Session, _request: wire.WorkerList) -> tuple[Worker, ...]:
    """Return who evaluates."""
    return session.engine.inside.workers()
