"""The sinks that `[alerts.sinks]` names, and which alerts each of them wants."""

from fnmatch import fnmatchcase

from ouroboros.alerts import AlertSink
from ouroboros.config_alerts import SEVERITIES, Sink, SinkKind
from ouroboros.model.state import Alert


def sink_of(name: str, config: Sink) -> AlertSink:
    """Make a sink; what it needs is imported here."""
    match config.kind:
        case SinkKind.WEBHOOK:
            from ouroboros.alerts.webhook import WebhookSink

            return WebhookSink(name, config)
        case SinkKind.COMMAND:
            from ouroboros.alerts.command import CommandSink

            return CommandSink(name, config)
        case SinkKind.EMAIL:
            from ouroboros.alerts.mail import EmailSink

            return EmailSink(name, config)


def wants(config: Sink, alert: Alert) -> bool:
    """Whether an alert is sent there."""
    least = SEVERITIES.index(config.min_severity)
    rank = SEVERITIES.index(alert.severity) if alert.severity in SEVERITIES else len(SEVERITIES)
    return rank >= least and fnmatchcase(alert.code, config.codes)
