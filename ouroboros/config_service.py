"""`[service]`: the running process of a target that is one, and how long it is watched."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from ouroboros.config_values import Duration, Section, Size, mebibytes, seconds


class ReloadBy(StrEnum):
    """How a running service takes a new version."""

    RESTART = "restart"
    SIGNAL = "signal"
    COMMAND = "command"
    HTTP = "http"


SIGNALS = ("HUP", "USR1", "USR2", "WINCH")
"""What may be sent for a reload; none of them ends a process that does not mean it to."""


class Health(Section, frozen=True, kw_only=True):
    """`[service.health]`: whether it works. Asked before it counts as ready, and ever after."""

    url: str = ""
    """Asked with GET; an answer of 200 to 299 is healthy."""
    command: tuple[str, ...] = ()
    """Or run; exit code 0 is healthy."""
    interval: Duration = msgspec.field(default_factory=lambda: seconds(1))
    timeout: Duration = msgspec.field(default_factory=lambda: seconds(1))
    """Later answers are none: a service that hangs is not healthy."""
    failures: int = 2
    """So many in a row make it unhealthy."""

    @property
    def asked(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.url or self.command)


class Reload(Section, frozen=True, kw_only=True):
    """`[service.reload]`: how it takes a new version."""

    by: ReloadBy = ReloadBy.RESTART
    signal: str = "HUP"
    command: tuple[str, ...] = ()
    url: str = ""
    """Asked with POST; an answer of 200 to 299 means that it was done."""
    timeout: Duration = msgspec.field(default_factory=lambda: seconds(10))
    """Until it must be healthy again."""


class Vitals(Section, frozen=True, kw_only=True):
    """`[service.limits]`: what may not happen in the time after a promotion. 0: no limit.

    Absolute limits are broken at once. Increases compare the time after the promotion with as long
    a time before it, at its end.
    """

    max_rss: Size | None = None
    """Resident memory of the whole service; none: no limit."""
    max_rss_increase: float = 0.0
    """0.5: half as much again."""
    max_cpu_increase: float = 0.0
    max_error_rate: float = 0.0
    """Errors of requests; needs `metrics`."""
    max_latency_increase: float = 0.0
    """Of the mean time of a request; needs `metrics`."""


class LiveMetrics(Section, frozen=True, kw_only=True):
    """`[service.metrics]`: a Prometheus endpoint of the service, and its names for three things."""

    url: str = ""
    requests: str = "http_requests_total"
    """A counter; over all its labels."""
    errors: str = "http_request_errors_total"
    """A counter; over all its labels."""
    seconds: str = "http_request_duration_seconds"
    """A histogram or summary: its `_sum` and `_count`."""


class Service(Section, frozen=True, kw_only=True):
    """`[service]`: the process that the target is.

    With `command` the engine runs it: from the repository, which must have the branch checked out.
    With `status` alone somebody else runs it (systemd, a container), and the engine only has it
    reload and looks after it. Without either there is no service.
    """

    command: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    """Exit code 0: it runs."""
    environment: dict[str, str] = {}
    """All that it gets besides PATH, HOME, LANG and TMPDIR; never the engine's own."""
    start_timeout: Duration = msgspec.field(default_factory=lambda: seconds(30))
    """Until it must be healthy."""
    stop_timeout: Duration = msgspec.field(default_factory=lambda: seconds(10))
    """From SIGTERM to SIGKILL."""
    stop_with_engine: bool = False
    """Else it goes on when the engine ends, and the next engine takes it over."""
    watch: Duration = msgspec.field(default_factory=lambda: seconds(60))
    """How long after a promotion a crash, a failed health or a broken limit rolls it back."""
    health: Health = msgspec.field(default_factory=Health)
    reload: Reload = msgspec.field(default_factory=Reload)
    limits: Vitals = msgspec.field(default_factory=Vitals)
    metrics: LiveMetrics = msgspec.field(default_factory=LiveMetrics)
    max_log: Size = msgspec.field(default_factory=lambda: mebibytes(16))
    """Size at which `service.log` is set aside; one old log is kept."""

    @property
    def configured(self) -> bool:
        """Whether there is a service at all."""
        return bool(self.command or self.status)


def service_problems(service: Service) -> Iterator[tuple[str, str]]:
    """Yield what makes no sense, and the key that it is in."""
    if not service.configured:
        if service.health.asked or service.metrics.url:
            yield "There is no service: name its `command`, or the `status` of one", "service"
        return
    if service.command and service.status:
        yield "Either the engine runs it (`command`) or somebody else (`status`)", "service.status"
    yield from _reload_problems(service)
    for key, url in (
        ("service.health.url", service.health.url),
        ("service.reload.url", service.reload.url),
        ("service.metrics.url", service.metrics.url),
    ):
        if url and not url.startswith(("http://", "https://")):
            yield f"Expected http:// or https://, got {url!r}", key
    limits = service.limits
    if (limits.max_error_rate or limits.max_latency_increase) and not service.metrics.url:
        yield "These limits need the service's own numbers", "service.metrics.url"
    if service.health.failures < 1:
        yield "Expected at least 1", "service.health.failures"


def _reload_problems(service: Service) -> Iterator[tuple[str, str]]:
    reload = service.reload
    ours = bool(service.command)
    wrong = {
        ReloadBy.RESTART: ("" if ours else "Only what the engine runs can be restarted", "by"),
        ReloadBy.SIGNAL: ("" if ours else "Only what the engine runs can be sent a signal", "by"),
        ReloadBy.COMMAND: ("" if reload.command else "A reload by command needs one", "command"),
        ReloadBy.HTTP: ("" if reload.url else "A reload by HTTP needs a URL", "url"),
    }
    text, key = wrong[reload.by]
    if text:
        yield text, f"service.reload.{key}"
    if reload.by is ReloadBy.SIGNAL and reload.signal not in SIGNALS:
        yield f"Expected one of {', '.join(SIGNALS)}", "service.reload.signal"
