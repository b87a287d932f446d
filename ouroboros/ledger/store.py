"""The ledger on disk: one SQLite file, append-only, on disk before `append` returns.

WAL with `synchronous=FULL`: each commit is one fsync of the write-ahead log. A kill -9 loses
nothing that was acknowledged; it may leave an entry that was written and not acknowledged, which
is why each append carries an idempotency key (`idem`): the same key again returns the first entry.

One `Store` is used by one thread at a time (the engine serialises); any number of processes may
read along with `read_only=True`. The last entry is read anew inside each write transaction, so a
second writer could not fork the chain; it would only have to wait, and after `BUSY_MS` be told so.
Who must be the only writer (the engine) says after which head it appends: if somebody else wrote in
between, for instance because locks do not work on that file system, the append is refused.

After an I/O error other than a full disk the store refuses further appends until it is opened
again: after a failed fsync nobody knows what the page cache still holds.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import msgspec

from ouroboros.errors import (
    LedgerCorruptError,
    LedgerDamagedError,
    LedgerError,
    LedgerForkedError,
    Misuse,
    NotFoundError,
)
from ouroboros.ledger import chain, files, migrations, schema
from ouroboros.ledger.chain import Flaw, Report, Row
from ouroboros.ledger.mark import Mark
from ouroboros.ledger.merkle import Hash
from ouroboros.ledger.sweep import Sweep
from ouroboros.ledger.tree import Tree
from ouroboros.model.entry import GENESIS, SCHEMA, Entry, Envelope, Head, Stored
from ouroboros.model.events import AnyEvent, Unknown
from ouroboros.model.statement import Signature
from ouroboros.model.text import plain_json

_BATCH = 512
_TAIL = 64
"""How many entries at the end are verified whenever the ledger is opened to be written."""


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """An entry whose event is still bytes, with the hash of its stored bytes."""

    hash: str
    kind: str
    envelope: Envelope


class StoredHead(msgspec.Struct, frozen=True, kw_only=True):
    """A signed head as kept: how many entries it covers, when it was signed (ns), the note."""

    size: int
    ts: int
    note: str


class _Query(NamedTuple):
    """A filter; `page` and `entries` differ only in direction."""

    kind: str | None
    candidate: str | None

    def select(self, columns: str, bound: str, order: str) -> str:
        source, extra = "entries e", ""
        if self.candidate is not None:
            source = "touched t JOIN entries e ON e.seq = t.seq"
            extra = " AND t.candidate = :candidate"
        if self.kind is not None:
            extra += " AND e.kind = :kind"
        # The table whose key leads the query must also bear bound and order.
        key = "e.seq" if self.candidate is None else "t.seq"
        return (
            f"SELECT {columns} FROM {source} WHERE {key} {bound} :bound{extra} "  # noqa: S608 - constants only
            f"ORDER BY {key} {order} LIMIT :limit"
        )


class Store:
    """One ledger file, open."""

    def __init__(self, db: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
        self._db = db
        self._path = path
        self._read_only = read_only
        self._broken = ""
        self._identity = files.identity(path)
        self._mark = Mark(path)
        self._marks = True
        self._tree = Tree(db)
        self._has_tree = schema.version(db) >= schema.FIRST_WITH_TREE

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, lenient: bool = False) -> Self:
        """Open a ledger; unless `read_only`, make it first if there is none (mode 0600).

        `lenient` lets a ledger be read whose guards (triggers) were removed.

        Raises:
            LedgerError: no ledger, not one of this version, locked, or not accessible.
            LedgerFullError: there is no space to make it.
            LedgerReadOnlyError: it may not be written to.
            LedgerNewerError: a newer version wrote it.
            LedgerCorruptError: the file is damaged.
            LedgerDamagedError: its last entries are not what was written, or some are missing.
        """
        with files.translated(path):
            if not read_only:
                files.adopt_salvaged(path)
                files.make_file(path)
            elif not path.exists():
                raise LedgerError(
                    f"There is no ledger at {path}.", hint="Start the engine once to make one."
                )
            db = files.connect(path, read_only=read_only)
            try:
                if not read_only:
                    files.configure(db)
                    if schema.is_empty(db):
                        schema.create(db)
                schema.check(db, str(path), guards=not lenient)
                if not read_only:
                    migrations.upgrade(db, path)
            except BaseException:
                db.close()
                raise
        store = cls(db, path, read_only=read_only)
        if not read_only:
            try:
                store.check_end()
            except BaseException:
                db.close()
                raise
        return store

    def check_end(self) -> None:
        """Verify the last entries, and that none is missing behind them; quick.

        Raises:
            LedgerDamagedError: names the entry.
        """
        marked = self._mark.read()
        try:
            head = self.head()
            start = max(head.size - _TAIL, 0)
            sweep = Sweep(self._head_at(start) if start else None)
            self._sweep(sweep, None, head.size)
            self._find_missing(sweep, marked)
        except LedgerCorruptError as error:
            raise LedgerDamagedError(error.message, hint=files.SALVAGE) from error
        _refuse(sweep.report(), self._path)

    def close(self) -> None:
        """Close the file; the last writer to close also empties the write-ahead log."""
        with files.translated(self._path):
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- writing --------------------------------------------------------------------------------

    def append(
        self,
        event: AnyEvent,
        *,
        actor: str,
        ts: int,
        idem: str,
        signature: Signature | msgspec.UnsetType = msgspec.UNSET,
        after: Head | None = None,
    ) -> Stored:
        """Write one event and return its entry once it is on disk.

        The same `idem` with the same event returns the entry that was written first.

        Args:
            event: what happened.
            actor: who did it.
            ts: UTC nanoseconds, as the clock says; order is `seq`, not time.
            idem: unique key.
            signature: an operator's, where he signed the act.
            after: the head behind which this must stand (None: wherever the ledger ends).

        Raises:
            LedgerFullError: no space; nothing was appended.
            LedgerForkedError: the ledger does not end at `after`: somebody else wrote.
            LedgerError: `idem` was used for another event, the file is locked, or cannot be
                written; nothing was appended.
        """
        if self._read_only or isinstance(event, Unknown):
            raise Misuse("append on a read-only ledger, or of an event that cannot be written")
        if self._broken:
            raise LedgerError(
                f"{self._path} failed earlier ({self._broken}) and takes no more entries.",
                hint="Check the disk, then restart the engine.",
            )
        if files.identity(self._path) != self._identity:
            # SQLite would go on writing into the file that no longer has a name.
            raise LedgerError(
                f"The ledger {self._path} was removed or replaced; nothing was appended.",
                hint="Put it back, or stop this engine and start it again.",
            )
        with self._transaction():
            first = self._by_idem(idem)
            if first is not None:
                return _same(first, event, idem)
            head = self._head()
            if after is not None and head != after:
                raise _forked(self._path, after, head)
            entry = Entry(
                v=SCHEMA,
                seq=head.size + 1,
                ts=ts,
                actor=actor,
                idem=idem,
                prev=head.hash,
                event=event,
                signature=signature,
            )
            data = chain.encode(entry)
            stored = Stored(hash=chain.hash_of(data), entry=entry)
            row = Row(entry.seq, data, stored.hash)
            self._insert(entry, event.kind, row, chain.touched_by(event))
        self._leave_mark(Head(size=entry.seq, hash=stored.hash))
        return stored

    def _leave_mark(self, head: Head) -> None:
        """Note how far we are. The entry is on disk: a mark that fails must not say otherwise.

        A mark that lags claims less than there is, which is never wrong.
        """
        if self._marks:
            try:
                self._mark.write(head)
            except OSError:
                self._marks = False  # until the ledger is opened again

    def take(self, rows: Sequence[Row]) -> None:
        """Write rows that another ledger held, with their exact bytes; all of them or none.

        The caller has verified that they follow the ledger's end.

        Raises:
            LedgerFullError, LedgerError: nothing was written.
        """
        if self._read_only:
            raise Misuse("take on a ledger that was opened read-only")
        if not rows:
            return
        with self._transaction():
            for row in rows:
                self._insert_row(row)
        self._leave_mark(Head(size=rows[-1].seq, hash=rows[-1].hash))

    def _insert_row(self, row: Row) -> None:
        envelope = chain.open_envelope(row.data)
        kind = chain.kind_of(envelope)
        self._insert(envelope, kind, row, chain.candidates_of(envelope, row.data))

    def _insert(
        self, entry: Entry | Envelope, kind: str, row: Row, candidates: Sequence[str]
    ) -> None:
        self._db.execute(
            "INSERT INTO entries (seq, ts, kind, actor, idem, bytes, hash) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (entry.seq, entry.ts, kind, entry.actor, entry.idem, row.data, row.hash),
        )
        self._db.executemany(
            "INSERT INTO touched (candidate, seq) VALUES (?, ?)",
            [(name, entry.seq) for name in dict.fromkeys(candidates)],
        )
        self._tree.append(entry.seq, row.data)

    def add_head(self, *, size: int, ts: int, note: str) -> bool:
        """Keep a signed head; tell whether it is new (there may be one of that size already).

        Raises:
            LedgerFullError: no space.
            LedgerError: it covers more than there is, or less than the newest one.
        """
        if self._read_only:
            raise Misuse("add_head on a ledger that was opened read-only")
        with self._transaction():
            newest = self._db.execute("SELECT max(size) FROM heads").fetchone()[0]
            if newest == size:
                return False
            self._db.execute(
                "INSERT INTO heads (size, ts, note) VALUES (?, ?, ?)", (size, ts, note)
            )
        return True

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block does, or roll all of it back."""
        with files.translated(self._path):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException as error:
                if isinstance(error, sqlite3.Error) and files.is_broken(error, self._path):
                    self._broken = str(error)
                self._tree.forget()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # --- reading --------------------------------------------------------------------------------

    def head(self) -> Head:
        """Return the number of entries and the hash of the last."""
        with files.translated(self._path):
            return self._head()

    def _head(self) -> Head:
        row = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        return Head(size=row[0], hash=row[1]) if row else Head(size=0, hash=GENESIS)

    def _by_idem(self, idem: str) -> Row | None:
        row = self._db.execute(
            "SELECT seq, bytes, hash FROM entries WHERE idem = ?", (idem,)
        ).fetchone()
        return Row(*row) if row else None

    def find(self, idem: str) -> Stored | None:
        """Return the entry that was written under an idempotency key, if there is one."""
        with files.translated(self._path):
            row = self._by_idem(idem)
        return _stored(row) if row else None

    def entries(
        self,
        after: int = 0,
        limit: int | None = None,
        kind: str | None = None,
        candidate: str | None = None,
    ) -> Iterator[Stored]:
        """Yield entries in order, from the one after `after`.

        Those of a kind that this version does not know come as `Unknown`.

        Raises:
            LedgerError: an entry that this version cannot read; `envelopes` reads it.
        """
        for row in self._rows(after, limit, _Query(kind, candidate)):
            yield _stored(row)

    def envelopes(
        self,
        after: int = 0,
        limit: int | None = None,
        kind: str | None = None,
        candidate: str | None = None,
    ) -> Iterator[Sealed]:
        """Yield entries in order, their events undecoded: works for kinds that are not known."""
        for row in self._rows(after, limit, _Query(kind, candidate)):
            envelope = chain.open_envelope(row.data)
            yield Sealed(hash=row.hash, kind=chain.kind_of(envelope), envelope=envelope)

    def page(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        kind: str | None = None,
        candidate: str | None = None,
    ) -> tuple[Stored, ...]:
        """Return entries newest first, from the one before `before` (None: from the newest)."""
        query = _Query(kind, candidate).select("e.seq, e.bytes, e.hash", "<", "DESC")
        bound = before if before is not None else (1 << 63) - 1
        values = {"bound": bound, "limit": limit, "kind": kind, "candidate": candidate}
        with files.translated(self._path):
            rows = self._db.execute(query, values).fetchall()
        return tuple(_stored(Row(*row)) for row in rows)

    def some(self, *, after: int, limit: int) -> list[Row]:
        """Return up to `limit` stored rows from the one after `after`; fewer near damage.

        Raises:
            LedgerCorruptError: not even the next one can be read.
        """
        try:
            return list(self._rows(after, limit, _Query(None, None)))
        except LedgerCorruptError:
            return list(self._rows(after, 1, _Query(None, None)))

    def raw(self, after: int = 0) -> Iterator[Row]:
        """Yield the stored rows, exact bytes, from the one after `after`."""
        return self._rows(after, None, _Query(None, None))

    def _rows(self, after: int, limit: int | None, query: _Query) -> Iterator[Row]:
        """Read in batches: a cursor left open would keep the write-ahead log from shrinking."""
        statement = query.select("e.seq, e.bytes, e.hash", ">", "ASC")
        left = limit
        while left is None or left > 0:
            size = _BATCH if left is None else min(_BATCH, left)
            values = {
                "bound": after,
                "limit": size,
                "kind": query.kind,
                "candidate": query.candidate,
            }
            with files.translated(self._path):
                batch = self._db.execute(statement, values).fetchall()
            yield from (Row(*row) for row in batch)
            if len(batch) < size:
                return
            after = batch[-1][0]
            left = None if left is None else left - len(batch)

    # --- the Merkle tree and its signed heads ---------------------------------------------------

    def root(self, size: int) -> Hash:
        """Return the Merkle root over the first `size` entries.

        Raises:
            NotFoundError: there are not so many.
            LedgerError: a ledger of layout 1 that was opened read-only has no tree.
            LedgerCorruptError: parts of the tree are missing.
        """
        with self._proving():
            return self._tree.root(size)

    def inclusion(self, seq: int, size: int) -> tuple[Hash, ...]:
        """Return the audit path of an entry in the tree over `size`; raises as `root`."""
        with self._proving():
            return self._tree.inclusion(seq, size)

    def consistency(self, old: int, size: int) -> tuple[Hash, ...]:
        """Return the proof that `old` entries are the beginning of `size`; raises as `root`."""
        with self._proving():
            return self._tree.consistency(old, size)

    @contextlib.contextmanager
    def _proving(self) -> Iterator[None]:
        if not self._has_tree:
            raise LedgerError(
                f"{self._path} has ledger layout 1, which has no Merkle tree.",
                hint="Start the engine once: it adds the tree.",
            )
        with files.translated(self._path):
            try:
                yield
            except ValueError as error:
                raise NotFoundError(
                    f"Not in the ledger: {error}.", hint="'ouroboros ledger heads' lists the heads."
                ) from error

    @property
    def connection(self) -> sqlite3.Connection:
        """The open database, for the parts of this room."""
        return self._db

    def heads(
        self, *, after: int = 0, upto: int = 1 << 62, limit: int = -1, newest: bool = False
    ) -> list[StoredHead]:
        """Return signed heads of more than `after` entries; the newest first where asked for."""
        if not self._has_tree:
            return []
        order = "DESC" if newest else "ASC"
        with files.translated(self._path):
            rows = self._db.execute(
                f"SELECT size, ts, note FROM heads WHERE size > ? AND size <= ? "  # noqa: S608 - a constant
                f"ORDER BY size {order} LIMIT ?",
                (after, upto, limit),
            ).fetchall()
        return [StoredHead(size=size, ts=ts, note=note) for size, ts, note in rows]

    def covering(self, seq: int) -> StoredHead | None:
        """Return the first signed head that covers an entry, if there is one."""
        found = self.heads(after=seq - 1, limit=1)
        return found[0] if found else None

    # --- verifying, exporting -------------------------------------------------------------------

    def verify(
        self,
        progress: Callable[[int, int], None] | None = None,
        *,
        start: Head | None = None,
        marked: Head | None = None,
    ) -> Report:
        """Verify the chain, and that the look-up columns say what the bytes say.

        Memory stays flat. Damage of the file itself ends the report, it does not raise.

        Args:
            progress: called with entries done and in all, now and then.
            start: a head that is trusted; only what comes after it is read.
            marked: how far the ledger had come; by default what the mark beside it says.
        """
        sweep = Sweep(start)
        marked = marked or self._mark.read()
        try:
            total = self.head().size
            self._sweep(sweep, progress, total)
            if start is None and not sweep.failed:
                self._check_file(sweep)
            self._find_missing(sweep, marked)
        except LedgerError as error:
            sweep.fail(sweep.head.size + 1, Flaw.UNREADABLE, f"{error.message}")
        return sweep.report()

    def _check_file(self, sweep: Sweep) -> None:
        """Look at the pages that hold no entries (indexes, tiles) as well."""
        with files.translated(self._path):
            (said,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            what = f"all entries before it are good, but the file is damaged: {said}"
            sweep.fail(sweep.head.size + 1, Flaw.UNREADABLE, what)

    def _find_missing(self, sweep: Sweep, marked: Head | None) -> None:
        """Entries at the end that were acknowledged and are not there."""
        head = sweep.head
        if marked is None or sweep.failed:
            return
        if marked.size > head.size:
            what = f"it was written (the ledger had {marked.size} entries), but it is not there"
            sweep.fail(head.size + 1, Flaw.MISSING, what)
        elif marked.size == head.size and marked.hash != head.hash:
            what = f"it hashes to {head.hash}, written was {marked.hash[:80]!r}"
            sweep.take_back(head.size, self._head_at(head.size - 1), Flaw.REPLACED, what)

    def _head_at(self, size: int) -> Head:
        row = next(self._rows(size - 1, 1, _Query(None, None)), None) if size > 0 else None
        return Head(size=row.seq, hash=row.hash) if row else Head(size=0, hash=GENESIS)

    def verified(self) -> Iterator[Stored]:
        """Yield all entries in order, each verified: what state is folded from.

        Raises:
            LedgerDamagedError: an entry is not what was written; what came before it is good.
            LedgerError: an entry of a known kind that this version cannot read.
        """
        marked = self._mark.read()
        size, prev = 0, GENESIS
        try:
            for row in self.raw():
                if row.seq != size + 1 or chain.hash_of(row.data) != row.hash:
                    break
                stored = _stored(row)
                if stored.entry.seq != row.seq or stored.entry.prev != prev:
                    break
                size, prev = row.seq, row.hash
                yield stored
            else:
                if marked is None or marked.size < size or marked == Head(size=size, hash=prev):
                    return
        except (LedgerCorruptError, TypeError, AttributeError):
            pass  # not even rows of the right types: named below, like all other damage
        _refuse(self.verify(marked=marked), self._path)  # exactly what is wrong, and where
        raise LedgerDamagedError(
            f"The ledger {self._path} is damaged near entry {size + 1}.", hint=files.SALVAGE
        )

    def _sweep(self, sweep: Sweep, progress: Callable[[int, int], None] | None, total: int) -> None:
        while rows := self._readable_batch(sweep.head.size):
            good = sweep.feed(rows)
            if progress:
                done = sweep.head.size
                progress(done, max(total, done))
            if good < len(rows):
                break

    def _readable_batch(self, after: int) -> list[tuple[object, ...]]:
        """Read on; next to a damaged page entry by entry, so that none that is whole is given up.

        Raises:
            LedgerCorruptError: not even the next entry can be read.
        """
        try:
            return self._verification_batch(after, _BATCH)
        except LedgerCorruptError:
            return self._verification_batch(after, 1)

    def _verification_batch(self, after: int, limit: int) -> list[tuple[object, ...]]:
        # BLOBs throughout: text that is no UTF-8 would make the driver raise.
        with files.translated(self._path):
            return self._db.execute(
                "SELECT seq, CAST(bytes AS BLOB), CAST(hash AS BLOB), ts, CAST(kind AS BLOB), "
                "CAST(actor AS BLOB), CAST(idem AS BLOB) FROM entries WHERE seq > ? "
                "ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()

    def export_jsonl(self, file: BinaryIO, *, after: int = 0) -> int:
        """Write a line per entry behind `after`, with its exact bytes; return how many.

        A line is `{"seq": N, "hash": "...", "entry": <the stored bytes>}`; to check one, hash
        the text after `"entry":` up to the closing brace of the line. Signed heads follow behind
        the entries, as `{"head": {"size": N, "ts": ns, "note": "..."}}`.

        Raises:
            LedgerCorruptError: an entry that does not fit on a line, so was not written by us.
        """
        count = 0
        for row in self.raw(after):
            file.write(json_line(row))
            count += 1
        while heads := self.heads(after=after, limit=_BATCH):
            file.writelines(
                b'{"head":' + plain_json(msgspec.json.encode(head)) + b"}\n" for head in heads
            )
            after = heads[-1].size
        return count


def json_line(row: Row) -> bytes:
    """Return an entry as a line of an export, with its exact bytes.

    Raises:
        LedgerCorruptError: it does not fit on a line, so was not written by us.
    """
    if b"\n" in row.data:
        raise LedgerCorruptError(
            f"Entry {row.seq} cannot be exported: it was altered.",
            hint="Run 'ouroboros ledger verify'.",
        )
    return b'{"seq":%d,"hash":"%s","entry":%s}\n' % (row.seq, str(row.hash).encode(), row.data)


def _refuse(report: Report, path: Path) -> None:
    if report.bad is not None:
        raise LedgerDamagedError(
            f"The ledger {path} is damaged. {report.bad.text}", hint=files.SALVAGE
        )


def _forked(path: Path, expected: Head, found: Head) -> LedgerForkedError:
    return LedgerForkedError(
        f"The ledger {path} should end at entry {expected.size} and ends at {found.size} "
        f"({found.hash[:12]}): another process writes to it; nothing was appended.",
        hint="Stop all engines of this target, then start one. Locks may not work on this file "
        "system.",
    )


def _same(first: Row, event: AnyEvent, idem: str) -> Stored:
    stored = _stored(first)
    if stored.entry.event != event:
        raise LedgerError(
            f"The key {idem!r} was used for entry {first.seq} ({stored.entry.event.kind}), which "
            f"is another event than this {event.kind}; nothing was appended.",
            hint="Look at that entry first; a retry must repeat the same event.",
        )
    return stored


def _stored(row: Row) -> Stored:
    return Stored(hash=row.hash, entry=chain.decode(row.data))
