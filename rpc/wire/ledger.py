"""`ledger.*`: the record and its proofs."""

from typing import Any

from ouroboros.model.entry import Head
from ouroboros.model.proof import Consistency, Heads, Inclusion
from rpc.wire.base import Request, Result


class ExportPage(Result, frozen=True, kw_only=True):
    """Lines of an export; `next` is the `after` of the next page, 0 at the end."""

    text: str
    entries: int
    next: int = 0


class LedgerExport(Request[ExportPage], frozen=True, kw_only=True):
    """Return the next entries after `after` as `ouroboros ledger export` writes them.

    `format`: `jsonl` (exact bytes; what `ouroboros ledger import` takes) or `csv` (made safe).
    At most `limit` (1 to 1000) entries and about a mebibyte a page.
    """

    method = "ledger.export"
    result = ExportPage
    exact = True
    after: int = 0
    limit: int = 1000
    format: str = "jsonl"


class LedgerHead(Request[Head], frozen=True, kw_only=True):
    """Return the ledger's size and last hash."""

    method = "ledger.head"
    result = Head
    instant = True


class LedgerRow(Result, frozen=True, kw_only=True):
    """An entry for people: `text` is one line about it, made safe for terminals.

    `kind` is the event's tag; `candidate` names the one that it is about (several, where a
    rollback undid several, joined by commas), or is empty.
    """

    seq: int
    ts: int
    kind: str
    actor: str
    candidate: str
    hash: str
    text: str


class LedgerPage(Result, frozen=True, kw_only=True):
    """Rows newest first; `next` is the `before` of the next page, 0 at the end."""

    rows: tuple[LedgerRow, ...]
    next: int = 0


class LedgerList(Request[LedgerPage], frozen=True, kw_only=True):
    """Page through the ledger, newest first, from below `before` (0: the end).

    `limit`: 1 to 1000. `kind` and `candidate` filter; empty means all.
    """

    method = "ledger.list"
    result = LedgerPage
    before: int = 0
    limit: int = 100
    kind: str = ""
    candidate: str = ""


class LedgerEntry(Result, frozen=True, kw_only=True):
    """One entry with its exact stored bytes (as text; entries are UTF-8 JSON)."""

    seq: int
    hash: str
    bytes: str


class LedgerGet(Request[LedgerEntry], frozen=True, kw_only=True):
    """Return one entry."""

    method = "ledger.get"
    result = LedgerEntry
    exact = True
    seq: int


class VerifyResult(Result, frozen=True, kw_only=True):
    """Whether the chain holds; else the first bad entry and what is wrong with it."""

    ok: bool
    entries: int
    head: Head
    first_bad: int = 0
    problem: str = ""


class LedgerVerify(Request[VerifyResult], frozen=True, kw_only=True):
    """Verify the chain, the Merkle tree and the signed heads.

    The engine vouches for itself here; `ouroboros ledger verify` needs no engine.
    """

    method = "ledger.verify"
    result = VerifyResult
    waits = True


class LedgerHeads(Request[Heads], frozen=True, kw_only=True):
    """Return signed heads newest first, of fewer than `before` entries (0: all).

    `limit`: 1 to 1000.
    """

    method = "ledger.heads"
    result = Heads
    before: int = 0
    limit: int = 50


class LedgerProve(Request[Inclusion], frozen=True, kw_only=True):
    """Prove that an entry is in the ledger, by the signed head of `size` entries (0: the newest).

    Error `not_found` where no head covers it yet.
    """

    method = "ledger.prove"
    result = Inclusion
    exact = True
    seq: int
    size: int = 0


class LedgerConsistency(Request[Consistency], frozen=True, kw_only=True):
    """Prove that the first `from_size` entries are the beginning of a signed head's (0: newest)."""

    method = "ledger.consistency"
    result = Consistency
    from_size: int
    size: int = 0


REQUESTS: tuple[type[Request[Any]], ...] = (
    LedgerHead,
    LedgerList,
    LedgerGet,
    LedgerVerify,
    LedgerExport,
    LedgerHeads,
    LedgerProve,
    LedgerConsistency,
)
"""In the order of the documentation."""
