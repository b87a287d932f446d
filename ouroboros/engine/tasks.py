"""Tasks that are named and owned.

`asyncio.create_task` keeps only a weak reference and swallows the exception of a task that nobody
awaits; both have cost daemons their conscience. Every task of the engine and the server starts
here (the linter bans the bare call).
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from ouroboros.errors import OuroborosError

T = TypeVar("T")

_log = logging.getLogger(__name__)
_alive: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, T], name: str, *, awaited: bool = False) -> asyncio.Task[T]:
    """Start a task that stays referenced until it ends, and logs if it dies unexpectedly.

    `awaited` says that somebody waits for the outcome: an expected error is his to tell.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    _alive.add(task)
    task.add_done_callback(_ended_awaited if awaited else _ended)
    return task


def _ended_awaited(task: asyncio.Task[Any]) -> None:
    expected = not task.cancelled() and isinstance(task.exception(), OuroborosError)
    if expected:
        _alive.discard(task)
    else:
        _ended(task)


def _ended(task: asyncio.Task[Any]) -> None:
    _alive.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        _log.error("task %s died", task.get_name(), exc_info=error)


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and return when all have ended, however they end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
