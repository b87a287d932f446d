"""The hash chain: exact bytes in, a report out. No file, no clock, no database.

Each entry holds the hash of the stored bytes of the one before it, so that whoever changes,
removes, inserts or reorders an entry must rewrite all that follow. What a bare chain cannot show
is the loss of entries at its end, or a rewrite from some entry to the end: only a head that is
kept somewhere else shows that. `verify(start=...)` takes such a head, and `Report.head` is one.

Rules that a verifier checks, in this order, for each row:

1. the row holds a sequence number, bytes and a hash at all;
2. the number follows the one before;
3. the hash is the SHA-256 of the stored bytes (never of a re-encoding);
4. the bytes are an entry (its event may be of a kind that this version does not know);
5. the entry's own number is the row's;
6. the entry's `prev` is the hash of the one before.

Time that goes backwards is allowed (clocks are set), and noted. Verification ends at the first
bad entry: what follows it cannot be trusted to be what was written, however well it hashes.
"""

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from ouroboros.errors import LedgerCorruptError, LedgerError
from ouroboros.model.entry import GENESIS, SCHEMA, Entry, Envelope, Head
from ouroboros.model.events import (
    KINDS,
    AlertRaised,
    AnyEvent,
    CandidateEvent,
    RollbackStarted,
    RolledBack,
    Unknown,
)
from ouroboros.model.text import plain_json

NOTES_KEPT = 100
"""How many notes a report lists; all are counted."""


class Row(NamedTuple):
    """An entry as it is stored. Nothing is promised about a foreign row, not even the types."""

    seq: int
    data: bytes
    hash: str


class Flaw(StrEnum):
    """What can be wrong with an entry."""

    MALFORMED = "malformed"
    UNREADABLE = "unreadable"
    GAP = "gap"
    OUT_OF_ORDER = "out_of_order"
    DUPLICATE = "duplicate"
    BAD_HASH = "bad_hash"
    UNDECODABLE = "undecodable"
    WRONG_NUMBER = "wrong_number"
    BROKEN_LINK = "broken_link"
    WRONG_INDEX = "wrong_index"
    MISSING = "missing"
    REPLACED = "replaced"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The first bad entry: where, what (machine-readable), and in words.

    `byte` is the offset of the first bad byte within the entry's stored bytes, -1 where the bytes
    cannot tell.
    """

    seq: int
    flaw: Flaw
    text: str
    byte: int = -1


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something unusual that is not wrong."""

    seq: int
    text: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What verification found. `head` is the end of the part that is good."""

    ok: bool
    entries: int
    head: Head
    bad: Finding | None = None
    notes: tuple[Note, ...] = ()
    notes_total: int = 0


class _Tag(msgspec.Struct, frozen=True):
    kind: str


class _Named(msgspec.Struct, frozen=True):
    candidate: str = ""
    candidates: tuple[str, ...] = ()


_NAMED = msgspec.json.Decoder(_Named)
_ENVELOPE = msgspec.json.Decoder(Envelope)
_ENTRY = msgspec.json.Decoder(Entry)
_TAG = msgspec.json.Decoder(_Tag)
_UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def encode(entry: Entry) -> bytes:
    """Return the bytes of an entry that are stored and hashed.

    Its text is kept to the letter, but what could act on a terminal is written as JSON escapes: an
    export, or the file itself, can be looked at with any tool.

    Raises:
        LedgerError: it holds text that JSON cannot (lone surrogates).
    """
    try:
        return plain_json(msgspec.json.encode(entry))
    except (msgspec.MsgspecError, ValueError) as error:
        raise LedgerError(f"An entry cannot be written: {error}.") from error


def hash_of(data: bytes) -> str:
    """Return the SHA-256 of stored bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes) -> Entry:
    """Return the entry with its event; one of a kind that is not known here as `Unknown`.

    Raises:
        LedgerError: the event is of a known kind, but not as this version writes it.
        LedgerCorruptError: the bytes are no entry.
    """
    try:
        return _ENTRY.decode(data)
    except _UNDECODABLE as error:
        envelope = open_envelope(data)
        kind = kind_of(envelope)
        if kind and kind not in KINDS:
            return _unknown(envelope, kind)
        raise LedgerError(
            f"Entry {envelope.seq} ({kind}) was written by another version of "
            f"Ouroboros and cannot be read by this one: {error}.",
            hint="Use the version that wrote it, or a newer one.",
        ) from error


def _unknown(envelope: Envelope, kind: str) -> Entry:
    return Entry(
        v=envelope.v,
        seq=envelope.seq,
        ts=envelope.ts,
        actor=envelope.actor,
        idem=envelope.idem,
        prev=envelope.prev,
        event=Unknown(name=kind),
    )


def open_envelope(data: bytes) -> Envelope:
    """Return the entry with its event left as bytes; works for kinds that are not known here.

    Raises:
        LedgerCorruptError: the bytes are no entry.
    """
    try:
        return _ENVELOPE.decode(data)
    except _UNDECODABLE as error:
        raise LedgerCorruptError(
            f"Stored bytes are no ledger entry: {error}.",
            hint="Run 'ouroboros ledger verify' to find where the damage begins.",
        ) from error


def kind_of(envelope: Envelope) -> str:
    """Return the kind of an envelope's event; empty where it names none."""
    try:
        return _TAG.decode(envelope.event).kind
    except _UNDECODABLE:
        return ""


def touched_by(event: AnyEvent) -> tuple[str, ...]:
    """Return the candidates under which an event is found again."""
    if isinstance(event, CandidateEvent | RollbackStarted | RolledBack):
        return event.candidates
    if isinstance(event, AlertRaised) and event.candidate:
        return (event.candidate,)
    return ()


def candidates_of(envelope: Envelope, data: bytes) -> tuple[str, ...]:
    """Return the same for stored bytes; of a kind that is not known here, what it names."""
    try:
        event = _ENTRY.decode(data).event
    except _UNDECODABLE:
        try:
            named = _NAMED.decode(envelope.event)
        except _UNDECODABLE:
            return ()
        return named.candidates or ((named.candidate,) if named.candidate else ())
    return touched_by(event)


class Verifier:
    """Verification, one row at a time, in constant memory."""

    def __init__(self, start: Head | None = None) -> None:
        self._first = start.size if start else 0
        self._seq = self._first
        self._prev = start.hash if start else GENESIS
        self._ts: int | None = None
        self._notes: list[Note] = []
        self._notes_total = 0
        self._bad: Finding | None = None

    def feed(self, row: Sequence[object]) -> Envelope | None:
        """Take the next row; return its envelope, or None once a bad entry was found."""
        if self._bad is not None:
            return None
        checked = self._check(row)
        if isinstance(checked, Envelope):
            self._note(checked)
            self._seq, self._prev, self._ts = checked.seq, str(row[2]), checked.ts
            return checked
        self.fail(self._seq + 1, *checked)
        return None

    def fail(self, seq: int, flaw: Flaw, text: str, byte: int = -1) -> None:
        """Record a flaw that whoever reads the rows found; the first one counts."""
        if self._bad is None:
            self._bad = Finding(seq=seq, flaw=flaw, text=f"Entry {seq}: {text}.", byte=byte)

    def skip(self, head: Head, ts: int) -> None:
        """Go on after rows that the caller found good by other means; `ts` is the last one's."""
        self._seq, self._prev, self._ts = head.size, head.hash, ts

    @property
    def ts(self) -> int | None:
        """The time of the last good entry."""
        return self._ts

    def locate(self, text: str, byte: int) -> None:
        """Add to the first flaw what the caller knows about where it is."""
        if self._bad is not None:
            bad = self._bad
            self._bad = replace(bad, text=f"{bad.text.removesuffix('.')}; {text}.", byte=byte)

    def take_back(self, seq: int, before: Head, flaw: Flaw, text: str) -> None:
        """Record a flaw of the row that was just fed; the good part ends at `before`."""
        self._seq, self._prev = before.size, before.hash
        self.fail(seq, flaw, text)

    @property
    def head(self) -> Head:
        """The end of the good part so far."""
        return Head(size=self._seq, hash=self._prev)

    @property
    def failed(self) -> bool:
        """Whether a bad entry was found."""
        return self._bad is not None

    def report(self) -> Report:
        """Return what was found so far."""
        return Report(
            ok=self._bad is None,
            entries=self._seq - self._first,
            head=self.head,
            bad=self._bad,
            notes=tuple(self._notes),
            notes_total=self._notes_total,
        )

    def _check(self, row: Sequence[object]) -> Envelope | tuple[Flaw, str]:
        """Apply the rules in their order; return the envelope, or what is wrong."""
        seq, data, name = row if len(row) == len(Row._fields) else (None, None, None)
        if not (isinstance(seq, int) and isinstance(data, bytes) and isinstance(name, str)):
            kinds = ", ".join(type(value).__name__ for value in row)
            return Flaw.MALFORMED, f"expected a number, bytes and a hash, found {kinds}"
        flaw = self._order(seq) or self._hash(data, name)
        if flaw is not None:
            return flaw
        try:
            envelope = _ENVELOPE.decode(data)
        except _UNDECODABLE as error:
            return Flaw.UNDECODABLE, f"its bytes are no entry: {error}"
        return self._link(envelope) or envelope

    def _order(self, seq: int) -> tuple[Flaw, str] | None:
        expected = self._seq + 1
        if seq == expected:
            return None
        if seq == self._seq and seq > self._first:
            return Flaw.DUPLICATE, f"expected here, but entry {seq} comes a second time"
        if seq < expected:
            return Flaw.OUT_OF_ORDER, f"expected here, but entry {seq} comes again or too late"
        return Flaw.GAP, f"expected here, but the next one is entry {seq}; it is missing or moved"

    def _hash(self, data: bytes, stored: str) -> tuple[Flaw, str] | None:
        actual = hash_of(data)
        if actual == stored:
            return None
        return Flaw.BAD_HASH, f"its bytes hash to {actual}, stored is {stored[:80]!r}"

    def _link(self, envelope: Envelope) -> tuple[Flaw, str] | None:
        if envelope.seq != self._seq + 1:
            return Flaw.WRONG_NUMBER, f"its bytes say that it is entry {envelope.seq}"
        if envelope.prev != self._prev:
            return (
                Flaw.BROKEN_LINK,
                f"it follows {envelope.prev[:80]!r}, but the entry before hashes to {self._prev}",
            )
        return None

    def _note(self, envelope: Envelope) -> None:
        if self._ts is not None and envelope.ts < self._ts:
            self._add_note(envelope.seq, f"the clock went back by {self._ts - envelope.ts} ns")
        if envelope.v > SCHEMA:
            self._add_note(envelope.seq, f"layout version {envelope.v}, newer than {SCHEMA}")

    def _add_note(self, seq: int, text: str) -> None:
        self._notes_total += 1
        if len(self._notes) < NOTES_KEPT:
            self._notes.append(Note(seq=seq, text=f"Entry {seq}: {text}."))


def verify(rows: Iterable[Row], *, start: Head | None = None) -> Report:
    """Verify rows in the order in which they come; never raises, whatever they hold.

    Args:
        rows: the stored rows, from the one after `start`.
        start: a head that is trusted (None: from the very beginning).
    """
    verifier = Verifier(start)
    for row in rows:
        if verifier.feed(row) is None:
            break
    return verifier.report()
