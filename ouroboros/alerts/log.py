"""The sink that is always there: the engine's log."""

import logging

from ouroboros.model.state import Alert
from ouroboros.model.text import safe_line

_log = logging.getLogger("ouroboros.alert")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}


class LogSink:
    """Writes alerts to the log."""

    name = "log"

    async def send(self, alert: Alert) -> None:
        """Log one line."""
        level = _LEVELS.get(alert.severity, logging.WARNING)
        _log.log(level, "%s: %s", alert.code, safe_line(alert.text, limit=1000))
