"""`alert.*`, `log.*`, `metrics.*`, `worker.*`: what the engine shows of itself."""

from typing import Any

from ouroboros.model.insight import Delivery, LogPage, Metric, Points, Worker
from ouroboros.model.state import Alert, Silence
from rpc.wire.base import Act, Ok, Request, Result


class AlertList(Request[tuple[Alert, ...]], frozen=True, kw_only=True):
    """Return the newest alerts (at most 50), newest first; all of them stay in the ledger."""

    method = "alert.list"
    result = tuple[Alert, ...]


class AlertAck(Act[Alert], frozen=True, kw_only=True):
    """Say that somebody has seen an alert. `seq`: the number of its entry."""

    method = "alert.ack"
    result = Alert
    role = "operator"
    seq: int
    reason: str = ""


class AlertTest(Act[tuple[Delivery, ...]], frozen=True, kw_only=True):
    """Send a test alert through every sink; returns how each took it."""

    method = "alert.test"
    result = tuple[Delivery, ...]
    role = "operator"


class AlertSilence(Act[Ok], frozen=True, kw_only=True):
    """Send no alert whose code fits `codes` (shell-style) until `until` (UTC ns; 0: send again).

    They are recorded and listed all the same, marked `silenced`.
    """

    method = "alert.silence"
    result = Ok
    role = "operator"
    codes: str
    until: int
    reason: str = ""


class AlertSilences(Request[tuple[Silence, ...]], frozen=True, kw_only=True):
    """Return what is silenced now, by whom and until when."""

    method = "alert.silences"
    result = tuple[Silence, ...]


class LogTail(Request[LogPage], frozen=True, kw_only=True):
    """Return lines of the engine's log since its start (the newest 5,000 are kept).

    `after`: the cursor (`next` of the last page); negative for the newest. `limit`: 1 to 1000.
    `level`: DEBUG, INFO, WARNING, ERROR or CRITICAL, and what is above it.
    """

    method = "log.tail"
    result = LogPage
    role = "operator"
    after: int = -1
    limit: int = 200
    level: str = "INFO"


class MetricsList(Request[tuple[Metric, ...]], frozen=True, kw_only=True):
    """Return the series that the engine keeps, a sample each ten seconds for thirty days."""

    method = "metrics.list"
    result = tuple[Metric, ...]


class MetricsQuery(Request[Points], frozen=True, kw_only=True):
    """Return a series by steps of `step_s` seconds (at most 2,000 points).

    `begin` and `end`: UTC ns; 0 for an hour before the end, and for now.
    """

    method = "metrics.query"
    result = Points
    name: str
    begin: int = 0
    end: int = 0
    step_s: float = 60.0


class Span(Result, frozen=True, kw_only=True):
    """A stretch of one series: how many points, their mean, least and most."""

    points: int
    mean: float
    least: float
    most: float


class CompareResult(Result, frozen=True, kw_only=True):
    """Two stretches beside each other; `change` is b's mean over a's, less one (null if a's is 0).

    A stretch without a sample is null. It is a description, and no verdict.
    """

    a: Span | None
    b: Span | None
    change: float | None


class MetricsCompare(Request[CompareResult], frozen=True, kw_only=True):
    """Compare a series in two stretches of time, each `(begin, end)` in UTC ns."""

    method = "metrics.compare"
    result = CompareResult
    name: str
    a: tuple[int, int]
    b: tuple[int, int]


class WorkerList(Request[tuple[Worker, ...]], frozen=True, kw_only=True):
    """Return who evaluates, and what they work on."""

    method = "worker.list"
    result = tuple[Worker, ...]


class WorkerDrain(Act[Ok], frozen=True, kw_only=True):
    """Let a worker begin no evaluation, over restarts; `out` false takes it back into service.

    What it evaluates now, it ends, and what was promoted stays watched. not_found (-32001): there
    is no such worker; wrong_phase (-32005): it is as wanted already.
    """

    method = "worker.drain"
    result = Ok
    role = "operator"
    name: str
    out: bool = True
    reason: str = ""


REQUESTS: tuple[type[Request[Any]], ...] = (
    AlertList,
    AlertAck,
    AlertTest,
    AlertSilence,
    AlertSilences,
    LogTail,
    MetricsList,
    MetricsQuery,
    MetricsCompare,
    WorkerList,
    WorkerDrain,
)
"""In the order of the documentation."""
