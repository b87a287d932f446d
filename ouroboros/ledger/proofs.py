"""Making proofs from a ledger: which head, which hashes."""

from base64 import b64encode

from ouroboros.errors import NotFoundError
from ouroboros.ledger.store import Store, StoredHead
from ouroboros.model.proof import Consistency, Heads, Inclusion, SignedHead


def prove(store: Store, seq: int, size: int = 0) -> Inclusion:
    """Prove an entry against the signed head of `size` entries (0: the newest).

    Raises:
        NotFoundError: no such entry or head, or no head covers the entry yet.
        LedgerError: the ledger has no tree.
    """
    row = next((r for r in store.raw(seq - 1) if r.seq == seq), None) if seq > 0 else None
    if row is None:
        raise NotFoundError(
            f"There is no entry {seq}.", hint="'ouroboros ledger list' shows what there is."
        )
    head = _head(store, size, f"entry {seq}")
    if head.size < seq:
        raise NotFoundError(
            f"The signed head of {head.size} entries does not cover entry {seq}.",
            hint="Ask again when the next head is signed ([ledger] head_every).",
        )
    path = store.inclusion(seq, head.size)
    return Inclusion(
        seq=seq,
        size=head.size,
        entry=row.data.decode("utf-8", "replace"),
        path=tuple(hashed.hex() for hashed in path),
        note=head.note,
    )


def consistency(store: Store, from_size: int, size: int = 0) -> Consistency:
    """Prove that a beginning belongs to the signed head of `size` entries (0: the newest).

    Raises:
        NotFoundError: no such head, or the beginning is longer than it.
        LedgerError: the ledger has no tree.
    """
    head = _head(store, size, "anything")
    if from_size > head.size:
        raise NotFoundError(
            f"The signed head of {head.size} entries has no beginning of {from_size}.",
            hint="'ouroboros ledger heads' lists the heads.",
        )
    path = store.consistency(from_size, head.size)
    return Consistency(
        from_size=from_size,
        from_root=b64encode(store.root(from_size)).decode(),
        size=head.size,
        path=tuple(hashed.hex() for hashed in path),
        note=head.note,
    )


def heads(store: Store, *, key: str, before: int = 0, limit: int = 50) -> Heads:
    """Return a page of signed heads, newest first, of fewer than `before` entries (0: all)."""
    upto = before - 1 if before else 1 << 62
    found = store.heads(upto=upto, limit=limit, newest=True)
    full = len(found) == limit
    return Heads(
        key=key,
        heads=tuple(SignedHead(size=h.size, ts=h.ts, note=h.note) for h in found),
        next=found[-1].size if full else 0,
    )


def _head(store: Store, size: int, what: str) -> StoredHead:
    if size:
        found = store.heads(after=size - 1, upto=size)
        missing = f"There is no signed head of {size} entries."
    else:
        found = store.heads(limit=1, newest=True)
        missing = f"There is no signed head yet, so that {what} cannot be proven."
    if not found:
        raise NotFoundError(missing, hint="'ouroboros ledger heads' lists the heads.")
    return found[0]
