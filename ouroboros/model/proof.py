"""Proofs about the ledger, as values that leave the engine.

Hashes in proofs are hexadecimal; roots inside of notes are base64, as their format says. How to
check them without Ouroboros: docs/ledger, and `scripts/verify-proof`.
"""

import msgspec


class SignedHead(msgspec.Struct, frozen=True, kw_only=True):
    """A signed head: how many entries it covers, when it was signed (UTC ns), the exact note."""

    size: int
    ts: int
    note: str


class Heads(msgspec.Struct, frozen=True, kw_only=True):
    """Signed heads newest first, with the verifier key of whoever signs now.

    `next` is the `before` of the next page, 0 at the end.
    """

    key: str
    heads: tuple[SignedHead, ...]
    next: int = 0


class Inclusion(msgspec.Struct, frozen=True, kw_only=True):
    """That an entry is in the ledger whose head was signed.

    `entry` is the exact text of its stored bytes (UTF-8); `path` the audit path of RFC 6962 from
    the leaf up; `note` the signed head of `size` entries.
    """

    seq: int
    size: int
    entry: str
    path: tuple[str, ...]
    note: str


class Consistency(msgspec.Struct, frozen=True, kw_only=True):
    """That the first `from_size` entries are the beginning of the `size` that `note` covers.

    `path` is the consistency proof of RFC 6962; `from_root` is what it starts from, base64: compare
    it with the head that you hold.
    """

    from_size: int
    from_root: str
    size: int
    path: tuple[str, ...]
    note: str
