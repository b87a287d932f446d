"""`ledger.*`: the record, read-only."""

from ouroboros.errors import InvalidParamsError
from ouroboros.model.describe import describe, subject
from ouroboros.model.entry import Head, Stored
from ouroboros.model.proof import Consistency, Heads, Inclusion
from ouroboros.model.text import safe_line
from rpc import wire
from rpc.methods.checks import within
from rpc.methods.registry import handles
from rpc.methods.session import Session

PAGE = 1000
"""Most rows of one page."""


@handles(wire.LedgerHead)
async def head(session: Session, _request: wire.LedgerHead) -> Head:
    """Return the ledger's end."""
    return session.engine.ledger_head()


@handles(wire.LedgerList)
async def list_(session: Session, request: wire.LedgerList) -> wire.LedgerPage:
    """Page through the ledger, newest first."""
    within("limit", request.limit, 1, PAGE)
    within("before", request.before, 0, 2**53)
    stored = await session.engine.ledger_page(
        before=request.before,
        limit=request.limit,
        kind=request.kind,
        candidate=request.candidate,
    )
    full = len(stored) == request.limit
    oldest = stored[-1].entry.seq if stored else 0
    return wire.LedgerPage(
        rows=tuple(row(s) for s in stored), next=oldest if full and oldest > 1 else 0
    )


def row(stored: Stored) -> wire.LedgerRow:
    """Return an entry for people."""
    entry = stored.entry
    return wire.LedgerRow(
        seq=entry.seq,
        ts=entry.ts,
        kind=entry.event.kind,
        actor=safe_line(entry.actor, limit=80),
        candidate=subject(entry.event),
        hash=stored.hash,
        text=describe(entry.event),
    )


@handles(wire.LedgerGet)
async def get(session: Session, request: wire.LedgerGet) -> wire.LedgerEntry:
    """Return one entry with its exact bytes."""
    within("seq", request.seq, 1, 2**53)
    stored, exact = await session.engine.ledger_entry(request.seq)
    return wire.LedgerEntry(seq=stored.entry.seq, hash=stored.hash, bytes=exact.decode())


@handles(wire.LedgerVerify)
async def verify(session: Session, _request: wire.LedgerVerify) -> wire.VerifyResult:
    """Verify the whole chain."""
    report = await session.engine.ledger_verify(None)
    return wire.VerifyResult(
        ok=report.ok,
        entries=report.entries,
        head=report.head,
        first_bad=report.first_bad,
        problem=report.problem,
    )


@handles(wire.LedgerExport)
async def export(session: Session, request: wire.LedgerExport) -> wire.ExportPage:
    """Return a page of an export."""
    within("limit", request.limit, 1, PAGE)
    within("after", request.after, 0, 2**53)
    if request.format not in {"jsonl", "csv"}:
        raise InvalidParamsError(
            "Invalid params: expected `format` to be jsonl or csv, "
            f"got {safe_line(request.format, limit=40)!r}."
        )
    page = await session.engine.ledger_export(
        after=request.after, limit=request.limit, csv=request.format == "csv"
    )
    more = page.entries > 0 and page.last < session.engine.ledger_head().size
    return wire.ExportPage(text=page.text, entries=page.entries, next=page.last if more else 0)


@handles(wire.LedgerHeads)
async def heads(session: Session, request: wire.LedgerHeads) -> Heads:
    """Page through the signed heads, newest first."""
    within("limit", request.limit, 1, PAGE)
    within("before", request.before, 0, 2**53)
    return await session.engine.ledger_heads(before=request.before, limit=request.limit)


@handles(wire.LedgerProve)
async def prove(session: Session, request: wire.LedgerProve) -> Inclusion:
    """Prove an entry against a signed head."""
    within("seq", request.seq, 1, 2**53)
    within("size", request.size, 0, 2**53)
    return await session.engine.ledger_prove(request.seq, size=request.size)


@handles(wire.LedgerConsistency)
async def consistency(session: Session, request: wire.LedgerConsistency) -> Consistency:
    """Prove that a beginning belongs to a signed head."""
    within("from_size", request.from_size, 1, 2**53)
    within("size", request.size, 0, 2**53)
    return await session.engine.ledger_consistency(request.from_size, size=request.size)
