"""What a method knows of its caller."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from ouroboros.engine.api import EngineApi, Subscription

ROLES = ("viewer", "operator", "approver", "admin")
"""Least first."""


ALWAYS = frozenset(
    {
        "auth.whoami",
        "rpc.cancel",
        "rpc.discover",
        "system.hello",
        "system.methods",
        "system.ping",
        "system.version",
    }
)
"""What every client needs to find out what it may do; no list of methods takes it away."""


def matches(method: str, patterns: tuple[str, ...]) -> bool:
    """Whether a method fits one of the shell-style patterns; none at all fit everything."""
    return (
        not patterns
        or method in ALWAYS
        or any(fnmatchcase(method, pattern) for pattern in patterns)
    )


class Feeds(Protocol):
    """The subscriptions of one connection."""

    def open(self, subscription: Subscription, topics: tuple[str, ...]) -> str:
        """Deliver what fits `topics` once the reply is out; returns the subscription's name.

        Raises:
            BusyError: the connection has too many already; `subscription` is closed.
        """
        ...

    def close(self, name: str) -> None:
        """Stop a subscription.

        Raises:
            NotFoundError: this connection has none of that name.
        """
        ...


class Calls:
    """The calls of one connection that wait for something, so that they can be ended."""

    def __init__(self) -> None:
        """Begin without any."""
        self._waiting: dict[tuple[bool, str | int | float | None], asyncio.Task[object]] = {}
        self._cancelled: set[asyncio.Task[object]] = set()

    def begin(self, id_: str | float | None, task: "asyncio.Task[object]") -> None:
        """Take a call; of two with one id only the later can be ended."""
        key = (isinstance(id_, str), id_)
        self._waiting[key] = task

        def ended(_: object) -> None:
            if self._waiting.get(key) is task:
                del self._waiting[key]

        task.add_done_callback(ended)

    def cancel(self, id_: str | float | None) -> bool:
        """End a call; tells whether there was one."""
        task = self._waiting.get((isinstance(id_, str), id_))
        if task is None:
            return False
        self._cancelled.add(task)
        return task.cancel()

    def was_cancelled(self, task: "asyncio.Task[object]") -> bool:
        """Tell, once, whether a call ended because it was asked to."""
        if task not in self._cancelled:
            return False
        self._cancelled.discard(task)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who asks (`actor`, `role`), of which engine, and over what.

    `methods` are patterns of what he may call within his role; empty: all of it.
    `alive` tells whether what he identified himself by still holds (a token may be revoked or
    expire while he is connected).

    `feeds` and `calls` are None where the connection cannot carry notifications (HTTP).
    """

    engine: EngineApi
    actor: str
    role: str
    methods: tuple[str, ...] = ()
    alive: Callable[[], bool] = lambda: True
    feeds: Feeds | None = None
    calls: Calls | None = None
