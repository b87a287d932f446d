"""`[alerts]`: who is told, by which way, and how a dead engine is noticed."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from ouroboros.config_values import Duration, Section, seconds

SEVERITIES = ("info", "warning", "critical")
"""Least first."""


class SinkKind(StrEnum):
    """By which way."""

    WEBHOOK = "webhook"
    COMMAND = "command"
    EMAIL = "email"


class Tls(StrEnum):
    """How mail is protected on its way."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class Sink(Section, frozen=True, kw_only=True):
    """`[alerts.sinks.NAME]`: one way to people."""

    kind: SinkKind
    min_severity: str = "warning"
    """`info`, `warning` or `critical`: what is less is not sent here."""
    codes: str = "*"
    """Only alerts whose code fits (shell-style)."""
    timeout: Duration = msgspec.field(default_factory=lambda: seconds(10))
    url: str = ""
    """webhook: gets the alert by POST as JSON; 200 to 299 means that it was taken."""
    token_file: str = ""
    """webhook: a file whose text is sent as `Authorization: Bearer`."""
    command: tuple[str, ...] = ()
    """command: gets the alert as JSON on its standard input; exit code 0 means taken."""
    host: str = ""
    """email: the mail server."""
    port: int = 587
    tls: Tls = Tls.STARTTLS
    user: str = ""
    password_file: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()


class DeadMan(Section, frozen=True, kw_only=True):
    """`[alerts.deadman]`: an address that is asked as long as the engine lives and is not halted.

    Who keeps it (healthchecks.io, Uptime Kuma, Alertmanager) tells people when it stops.
    """

    url: str = ""
    every: Duration = msgspec.field(default_factory=lambda: seconds(60))


class Alerts(Section, frozen=True, kw_only=True):
    """`[alerts]`: what is told to people besides the cockpit and the log."""

    sinks: dict[str, Sink] = {}
    give_up: Duration = msgspec.field(default_factory=lambda: seconds(3600))
    """How long a delivery is tried again; then an entry says that it failed."""
    deadman: DeadMan = msgspec.field(default_factory=DeadMan)


def alert_problems(alerts: Alerts) -> Iterator[tuple[str, str]]:
    """Yield what makes no sense, and the key that it is in."""
    for name, sink in alerts.sinks.items():
        key = f"alerts.sinks.{name}"
        if sink.min_severity not in SEVERITIES:
            yield f"Expected one of {', '.join(SEVERITIES)}", f"{key}.min_severity"
        missing = {
            SinkKind.WEBHOOK: () if sink.url else ("url",),
            SinkKind.COMMAND: () if sink.command else ("command",),
            SinkKind.EMAIL: tuple(
                one for one in ("host", "sender", "to") if not getattr(sink, one)
            ),
        }[sink.kind]
        for one in missing:
            yield f"A sink of kind {sink.kind.value} needs `{one}`", key
        if sink.url and not sink.url.startswith(("http://", "https://")):
            yield f"Expected http:// or https://, got {sink.url!r}", f"{key}.url"
    url = alerts.deadman.url
    if url and not url.startswith(("http://", "https://")):
        yield f"Expected http:// or https://, got {url!r}", "alerts.deadman.url"
