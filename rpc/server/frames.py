"""Notifications as bytes, encoded once for all subscribers.

Only the subscription's name differs between two subscribers of one event, so it stands first and
everything after it is shared. Foreign text in it is made safe, as in the results of calls.
"""

from collections import OrderedDict

import msgspec

from ouroboros.engine.api import LossyEvent
from ouroboros.model.entry import Stored
from ouroboros.model.progress import Gap
from ouroboros.model.text import safe_json
from ouroboros.model.topics import topic_of
from rpc import wire

_KEPT_BYTES = 2 << 20
_KEPT = 256
_NAMES = 8
_SHORT, _MIDDLE = 126, 1 << 16
"""Limits of the three forms of a length (RFC 6455, 5.2)."""


def framed(payload: bytes) -> bytes:
    """Return a text as one whole WebSocket message, unmasked as a server's must be."""
    size = len(payload)
    if size < _SHORT:
        return bytes((0x81, size)) + payload
    if size < _MIDDLE:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def prefix(subscription: str) -> bytes:
    """Return the subscriber's own part of a notification."""
    name = msgspec.json.encode(subscription)
    return b'{"jsonrpc":"2.0","method":"event","params":{"subscription":' + name + b","


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """The shared part, and its topic. `item` is kept so that the cache's key stays its own.

    `about` is the topic by which it is subscribed to: a gap's is that of what was left out.
    """

    topic: str
    about: str
    tail: bytes
    item: Stored | LossyEvent
    framed: dict[str, bytes] = msgspec.field(default_factory=dict)

    def message(self, subscription: str) -> bytes:
        """Return the whole WebSocket message, header included, for a subscription of this name.

        Most connections have one subscription, and all call it the same.
        """
        found = self.framed.get(subscription)
        if found is None:
            payload = prefix(subscription) + self.tail
            found = framed(payload)
            if len(self.framed) < _NAMES:
                self.framed[subscription] = found
        return found


class Frames:
    """A small memory of the newest events' bytes."""

    def __init__(self) -> None:
        self._frames: OrderedDict[tuple[bool, int], Frame] = OrderedDict()
        self._bytes = 0

    def of(self, item: Stored | LossyEvent) -> Frame:
        """Return the shared bytes of an event."""
        key = (True, item.entry.seq) if isinstance(item, Stored) else (False, id(item))
        frame = self._frames.get(key)
        if frame is None:
            frame = self._encode(item)
            self._keep(key, frame)
        return frame

    def _encode(self, item: Stored | LossyEvent) -> Frame:
        if isinstance(item, Stored):
            notification = wire.Notification(
                subscription="",
                topic=topic_of(item.entry.event),
                seq=item.entry.seq,
                hash=item.hash,
                entry=msgspec.Raw(msgspec.json.encode(item.entry)),
            )
        else:
            raw = msgspec.Raw(msgspec.json.encode(item.data))
            notification = wire.Notification(subscription="", topic=item.topic, data=raw)
        params = safe_json(msgspec.json.encode(notification))
        tail = params[len(b'{"subscription":"",') :] + b"}"
        about = notification.topic
        if isinstance(item, LossyEvent) and isinstance(item.data, Gap):
            about = item.data.topic
        return Frame(topic=notification.topic, about=about, tail=tail, item=item)

    def _keep(self, key: tuple[bool, int], frame: Frame) -> None:
        self._frames[key] = frame
        self._bytes += len(frame.tail)
        while len(self._frames) > _KEPT or self._bytes > _KEPT_BYTES:
            _, old = self._frames.popitem(last=False)
            self._bytes -= len(old.tail)
