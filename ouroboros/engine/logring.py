"""The newest lines of the engine's log, for people who are not at its terminal.

Records arrive from any thread; they are kept as text that was made safe, and a line is cut where a
flood would push everything else out.
"""

import logging
import threading
from collections import deque

from ouroboros.model.insight import LogLine, LogPage
from ouroboros.model.text import safe_text

KEPT = 5000
LONGEST = 2000

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class LogRing(logging.Handler):
    """A handler that keeps what it is told."""

    def __init__(self, kept: int = KEPT) -> None:
        """Keep the newest `kept` lines."""
        super().__init__(logging.INFO)
        self._lines: deque[LogLine] = deque(maxlen=kept)
        self._number = 0
        self._mine = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record; tracebacks stay in the log itself."""
        try:
            text = safe_text(record.getMessage(), limit=LONGEST)
        except Exception:  # noqa: BLE001 - a handler must not raise: a record that cannot be formatted
            text = "(a record that cannot be formatted)"
        if record.exc_info and record.exc_info[0] is not None:
            text += f" ({record.exc_info[0].__name__}; its traceback is in the log)"
        with self._mine:
            self._number += 1
            self._lines.append(
                LogLine(
                    number=self._number,
                    ts=int(record.created * 1e9),
                    level=record.levelname,
                    source=record.name,
                    text=text,
                )
            )

    def page(self, *, after: int, limit: int, level: str) -> LogPage:
        """Return lines after a number, of a level or above; the newest if `after` is negative."""
        least = LEVELS.index(level)
        with self._mine:
            lines = list(self._lines)
            last = self._number
        first = lines[0].number if lines else last + 1
        wanted = [line for line in lines if _rank(line.level) >= least]
        if after < 0:
            chosen = wanted[-limit:]
        else:
            chosen = [line for line in wanted if line.number > after][:limit]
        full = len(chosen) == limit and after >= 0
        return LogPage(
            lines=tuple(chosen),
            next=chosen[-1].number if full and chosen else last,
            lost=max(0, first - 1 - max(after, 0)) if after >= 0 else 0,
        )


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)
