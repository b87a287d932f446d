"""`events.*`: what happens, as it happens."""

from typing import Any

import msgspec

from rpc.wire.base import Ok, Request, Result


class SubscribeResult(Result, frozen=True, kw_only=True):
    """The answer comes before the first notification. `seq` is the last one not delivered."""

    subscription: str
    seq: int
    epoch: str


class EventsSubscribe(Request[SubscribeResult], frozen=True, kw_only=True):
    """Receive `event` notifications (WebSocket only). `from_seq`: replay everything after it.

    Topics are shell-style patterns (`candidate.*`). With `epoch`, the subscription is refused
    (`cursor_expired`) where the ledger is another one than the cursor's. The connection is closed
    with code 1013 where its reader falls too far behind: connect again and resume by `from_seq`.
    """

    method = "events.subscribe"
    result = SubscribeResult
    topics: tuple[str, ...] = ("*",)
    from_seq: int | None = None
    epoch: str = ""


class EventsUnsubscribe(Request[Ok], frozen=True, kw_only=True):
    """Stop a subscription."""

    method = "events.unsubscribe"
    result = Ok
    subscription: str


class EventItem(Result, frozen=True, kw_only=True):
    """One durable event. `entry` is the stored entry (see `ouroboros.model.entry`).

    `hash` is the hash of its stored bytes; who wants to verify it asks `ledger.get` for them.
    """

    seq: int
    topic: str
    hash: str
    entry: msgspec.Raw


class EventPage(Result, frozen=True, kw_only=True):
    """Durable events in order; `seq` is the cursor for the next call."""

    events: tuple[EventItem, ...]
    seq: int
    epoch: str


class EventsList(Request[EventPage], frozen=True, kw_only=True):
    """Long-poll durable events after `from_seq`, for at most `wait_s` (0 to 60) seconds.

    Returns at once where there are some; `limit`: 1 to 1000.
    """

    method = "events.list"
    result = EventPage
    waits = True
    from_seq: int = 0
    topics: tuple[str, ...] = ("*",)
    limit: int = 100
    wait_s: float = 0.0


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the `event` notification.

    Durable: `seq` > 0, `hash` and `entry` are set. Lossy: `seq` = 0 and `data` is set.
    """

    subscription: str
    topic: str
    seq: int = 0
    hash: str = ""
    entry: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


REQUESTS: tuple[type[Request[Any]], ...] = (
    EventsSubscribe,
    EventsUnsubscribe,
    EventsList,
)
"""In the order of the documentation."""
