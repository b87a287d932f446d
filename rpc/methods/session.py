"""What a method knows of its caller."""

from dataclasses import dataclass
from typing import Protocol

from ouroboros.engine.api import EngineApi, Subscription


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who asks (`actor`, `role`), of which engine, and over what.

    `feeds` is None where the connection cannot carry notifications (HTTP).
    """

    engine: EngineApi
    actor: str
    role: str
    feeds: Feeds | None = None
