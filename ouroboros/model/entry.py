"""The ledger's unit: an `Entry`, its exact bytes, and their hash.

The hash is always taken over the stored bytes, never over a re-encoding: `{"a": 2}` decoded as a
float map encodes as `{"a": 2.0}`, so a verifier that re-encodes would accept or refuse the wrong
things. An `Envelope` is an entry whose event is still raw bytes: a reader that does not know a
new event kind can still read who, when and in which order.
"""

import msgspec

from ouroboros.model.events import AnyEvent
from ouroboros.model.statement import Signature

SCHEMA = 1
"""Version of the entry layout, stored in each entry as `v`."""

GENESIS = "0" * 64
"""`prev` of the first entry."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event, who caused it, when (UTC ns since the epoch), and the hash of the one before.

    `idem` is unique in a ledger: appending the same key again returns the first entry. `signature`
    is there only where an operator signed the act; entries without it have no such key at all.
    """

    v: int
    seq: int
    ts: int
    actor: str
    idem: str
    prev: str
    event: AnyEvent
    signature: Signature | msgspec.UnsetType = msgspec.UNSET


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An entry with its event left undecoded."""

    v: int
    seq: int
    ts: int
    actor: str
    idem: str
    prev: str
    event: msgspec.Raw
    signature: Signature | msgspec.UnsetType = msgspec.UNSET


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded entry together with the hash of its stored bytes."""

    hash: str
    entry: Entry


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a ledger: how many entries, and the hash of the last (`GENESIS` when empty)."""

    size: int
    hash: str
