"""The tables of the ledger, and the checks that a file is one.

`entries` is the truth; its other columns and `touched` repeat what the bytes say, so that SQLite
can look it up (verification compares the columns). Triggers refuse every UPDATE and DELETE, and an
INSERT that would replace: REPLACE deletes rows without asking delete triggers, so the trigger
refuses by existence. They guard against mistakes, not against the owner of the file; against him
stands the chain.
"""

import sqlite3

from ouroboros.errors import LedgerCorruptError, LedgerError

APPLICATION_ID = 0x4F55524F
"""`OURO` in the header of the file."""
USER_VERSION = 1

_TABLES = (
    """CREATE TABLE entries (
        seq INTEGER PRIMARY KEY CHECK (seq > 0),
        ts INTEGER NOT NULL,
        kind TEXT NOT NULL,
        actor TEXT NOT NULL,
        idem TEXT NOT NULL UNIQUE,
        bytes BLOB NOT NULL,
        hash TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE touched (
        candidate TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (candidate, seq)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX entries_by_kind ON entries (kind, seq)",
)

_TRIGGERS = (
    """CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
        WHEN EXISTS (SELECT 1 FROM entries WHERE seq = NEW.seq OR idem = NEW.idem)
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER entries_in_order BEFORE INSERT ON entries
        WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entries)
        BEGIN SELECT RAISE(ABORT, 'entries are numbered without gaps'); END""",
    """CREATE TRIGGER touched_no_update BEFORE UPDATE ON touched
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER touched_no_delete BEFORE DELETE ON touched
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
)

_OBJECTS = frozenset(
    {
        "entries",
        "touched",
        "entries_by_kind",
        "entries_no_update",
        "entries_no_delete",
        "entries_no_replace",
        "entries_in_order",
        "touched_no_update",
        "touched_no_delete",
    }
)


def create(db: sqlite3.Connection) -> None:
    """Make an empty database a ledger, all at once; a kill leaves it empty."""
    db.execute("BEGIN IMMEDIATE")
    if not is_empty(db):
        db.execute("ROLLBACK")
        return
    for statement in (*_TABLES, *_TRIGGERS):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {USER_VERSION}")
    db.execute("COMMIT")


def is_empty(db: sqlite3.Connection) -> bool:
    """Tell whether a database holds nothing at all yet."""
    (count,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(count == 0 and _pragma(db, "application_id") == 0)


def check(db: sqlite3.Connection, path: str) -> None:
    """Refuse files that are no ledger, or not one of this version.

    Raises:
        LedgerError: another program's database, or a newer layout.
        LedgerCorruptError: tables or triggers of the ledger are gone.
    """
    if _pragma(db, "application_id") != APPLICATION_ID:
        raise LedgerError(
            f"{path} is not a ledger of Ouroboros, but another program's database.",
            hint="Move it away, or name another state folder.",
        )
    version = _pragma(db, "user_version")
    if version != USER_VERSION:
        raise LedgerError(
            f"{path} has ledger layout {version}; this Ouroboros knows {USER_VERSION}.",
            hint="Use the version of Ouroboros that wrote it, or a newer one.",
        )
    found = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
    missing = sorted(_OBJECTS - found)
    if missing:
        raise LedgerCorruptError(
            f"{path} was altered: it lacks {', '.join(missing)}.",
            hint="Keep the file as evidence and restore a copy from before.",
        )


def _pragma(db: sqlite3.Connection, name: str) -> int:
    (value,) = db.execute(f"PRAGMA {name}").fetchone()
    return int(value)
