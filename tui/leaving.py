"""SIGTERM leaves the screen in order, with the terminal as it was and an exit code that says so.

An exception that a signal's handler raises in the middle of foreign code may be swallowed there (a
finalizer, a broad `except`), so that leaving is asked of the event loop. Without a screen, what was
set before does its work.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALLED = 128
"""Exit codes of who ends by a signal begin here, as shells have it."""


@contextmanager
def leaving_on_sigterm(told: Callable[[int], bool]) -> Iterator[None]:
    """Tell the screen to leave on SIGTERM, for the length of the block.

    Args:
        told: takes the exit code; returns False where there is no screen to leave.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        if told(SIGNALLED + number):
            return
        if callable(before):
            before(number, frame)
        raise SystemExit(SIGNALLED + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
