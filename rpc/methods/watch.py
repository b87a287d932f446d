"""`alert.*`, `log.*`, `metrics.*`, `worker.*`: what the engine shows of itself."""

import math

from ouroboros.engine.logring import LEVELS
from ouroboros.errors import InvalidParamsError
from ouroboros.model.insight import Delivery, LogPage, Metric, Points, Worker
from ouroboros.model.state import Alert, Silence
from ouroboros.model.text import safe_line
from rpc import wire
from rpc.methods.checks import at_most, filled, within
from rpc.methods.registry import handles
from rpc.methods.session import Session

REASON = 2000
LINES = 1000
CODES = 200
_STEPS = 1000
_SECOND = 10**9
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


@handles(wire.AlertSilence)
async def silence(session: Session, request: wire.AlertSilence) -> wire.Ok:
    """Send no such alerts for a while."""
    filled("codes", request.codes)
    at_most("codes", request.codes, CODES)
    at_most("reason", request.reason, REASON)
    within("until", request.until, 0, 2**63 - 1)
    await session.engine.orders.silence(
        request.codes, request.until, actor=session.actor, reason=request.reason
    )
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.AlertSilences)
async def silences(session: Session, _request: wire.AlertSilences) -> tuple[Silence, ...]:
    """Return what is silenced."""
    return session.engine.orders.silences


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
    return await session.engine.inside.points(
        request.name, begin=request.begin, end=request.end, step_s=request.step_s
    )


@handles(wire.MetricsCompare)
async def compare(session: Session, request: wire.MetricsCompare) -> wire.CompareResult:
    """Put two stretches beside each other."""
    a = await _span(session, request.name, *request.a)
    b = await _span(session, request.name, *request.b)
    change = b.mean / a.mean - 1 if a and b and a.mean else None
    return wire.CompareResult(a=a, b=b, change=change)


async def _span(session: Session, name: str, begin: int, end: int) -> wire.Span | None:
    within("begin", begin, 0, 2**63 - 1)
    within("end", end, begin + 1, 2**63 - 1)
    step_s = max((end - begin) / _SECOND / _STEPS, 0.1)
    points = await session.engine.inside.points(name, begin=begin, end=end, step_s=step_s)
    if not points.mean:
        return None
    return wire.Span(
        points=len(points.mean),
        mean=math.fsum(points.mean) / len(points.mean),
        least=min(points.least),
        most=max(points.most),
    )


@handles(wire.WorkerList)
async def workers(session: Session, _request: wire.WorkerList) -> tuple[Worker, ...]:
    """Return who evaluates."""
    return session.engine.inside.workers()


@handles(wire.WorkerDrain)
async def drain(session: Session, request: wire.WorkerDrain) -> wire.Ok:
    """Take a worker out of service, or back."""
    at_most("reason", request.reason, REASON)
    await session.engine.orders.drain_worker(
        request.name, out=request.out, actor=session.actor, reason=request.reason
    )
    return wire.Ok(seq=session.engine.state.seq)
