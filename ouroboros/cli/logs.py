"""The engine's log: one record begins one line, and no foreign text acts on who reads it.

Records quote candidates, git and exceptions. So everything passes `safe_text` here, at the last
step before the stream, whatever the caller did; and what follows a record's first line (a
traceback, or a message with line breaks in it) is indented behind a bar, so that no text can pass
for a record of its own. Warnings of the interpreter (it quotes source that it parses), of threads
and of destructors come here too.
"""

import logging
import sys
import threading
from typing import TextIO

from ouroboros.model.text import safe_text

_MORE = "\n    | "


class SafeFormatter(logging.Formatter):
    """Formats a record without control characters and without a second line at the margin."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as it may be written."""
        return safe_text(super().format(record)).replace("\n", _MORE)


def start_logging(stream: TextIO) -> None:
    """Log to a stream, from this process's first word to its last."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_died
    sys.unraisablehook = _unraisable


def _thread_died(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread else "?"
    log = logging.getLogger("ouroboros")
    log.error("thread %s died", name, exc_info=args.exc_value)


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    log = logging.getLogger("ouroboros")
    log.error("%s: %r", args.err_msg or "ignored", args.object, exc_info=args.exc_value)
