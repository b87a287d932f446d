"""The tables of the ledger, and the checks that a file is one.

`entries` is the truth; its other columns and `touched` repeat what the bytes say, so that SQLite
can look it up (verification compares the columns). Triggers refuse every UPDATE and DELETE, and an
INSERT that would replace: REPLACE deletes rows without asking delete triggers, so the trigger
refuses by existence. They guard against mistakes, not against the owner of the file; against him
stand the chain, and the signed heads that others hold.

`tiles` are the hashes of the Merkle tree (see `tree`), `heads` the signed heads (see `heads`), both
append-only by the same triggers.

Layout 2 added these two; a ledger of layout 1 is brought up to date when it is opened for writing,
and can be read and verified as it is.
"""

import sqlite3

from ouroboros.errors import LedgerCorruptError, LedgerError, LedgerNewerError

APPLICATION_ID = 0x4F55524F
"""`OURO` in the header of the file."""
USER_VERSION = 2
"""The newest layout. What leads to it from every older one stands in `migrations`."""
OLDEST_VERSION = 1

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
_TREE_TABLES = (
    """CREATE TABLE tiles (
        level INTEGER NOT NULL CHECK (level >= 0),
        n INTEGER NOT NULL CHECK (n >= 0),
        root BLOB NOT NULL,
        hashes BLOB NOT NULL,
        PRIMARY KEY (level, n)
    ) STRICT""",
    """CREATE TABLE heads (
        size INTEGER PRIMARY KEY CHECK (size > 0),
        ts INTEGER NOT NULL,
        note TEXT NOT NULL
    ) STRICT""",
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

_TREE_TRIGGERS = (
    """CREATE TRIGGER tiles_no_update BEFORE UPDATE ON tiles
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER tiles_no_delete BEFORE DELETE ON tiles
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER tiles_in_order BEFORE INSERT ON tiles
        WHEN NEW.n <> (SELECT coalesce(max(n), -1) + 1 FROM tiles WHERE level = NEW.level)
        BEGIN SELECT RAISE(ABORT, 'tiles are numbered without gaps'); END""",
    """CREATE TRIGGER heads_no_update BEFORE UPDATE ON heads
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER heads_no_delete BEFORE DELETE ON heads
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER heads_in_order BEFORE INSERT ON heads
        WHEN NEW.size <= (SELECT coalesce(max(size), 0) FROM heads)
          OR NEW.size > (SELECT coalesce(max(seq), 0) FROM entries)
        BEGIN SELECT RAISE(ABORT, 'heads only grow, and cover what is there'); END""",
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


_TREE_OBJECTS = frozenset(
    {
        "tiles",
        "heads",
        "tiles_no_update",
        "tiles_no_delete",
        "tiles_in_order",
        "heads_no_update",
        "heads_no_delete",
        "heads_in_order",
    }
)
FIRST_WITH_TREE = 2
"""The layout from which on there are tiles and heads."""


def create(db: sqlite3.Connection) -> None:
    """Make an empty database a ledger, all at once; a kill leaves it empty."""
    db.execute("BEGIN IMMEDIATE")
    if not is_empty(db):
        db.execute("ROLLBACK")
        return
    for statement in (*_TABLES, *_TRIGGERS, *_TREE_TABLES, *_TREE_TRIGGERS):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {USER_VERSION}")
    db.execute("COMMIT")


def add_tree(db: sqlite3.Connection) -> None:
    """Make the tables that layout 2 added."""
    for statement in (*_TREE_TABLES, *_TREE_TRIGGERS):
        db.execute(statement)


def version(db: sqlite3.Connection) -> int:
    """Return the layout of a ledger."""
    return _pragma(db, "user_version")


def is_empty(db: sqlite3.Connection) -> bool:
    """Tell whether a database holds nothing at all yet."""
    (count,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(count == 0 and _pragma(db, "application_id") == 0)


def check(db: sqlite3.Connection, path: str, *, guards: bool = True) -> None:
    """Refuse files that are no ledger, or not one of this version; `guards`: or lack parts.

    Raises:
        LedgerError: another program's database.
        LedgerNewerError: a newer layout.
        LedgerCorruptError: tables or triggers of the ledger are gone.
    """
    if _pragma(db, "application_id") != APPLICATION_ID:
        raise LedgerError(
            f"{path} is not a ledger of Ouroboros, but another program's database.",
            hint="Move it away, or name another state folder.",
        )
    found = version(db)
    if found > USER_VERSION:
        raise LedgerNewerError(
            f"{path} has ledger layout {found}, written by a newer Ouroboros; this one knows "
            f"layouts up to {USER_VERSION}. Nothing was changed.",
            hint="Use the version of Ouroboros that wrote it, or a newer one.",
        )
    if found < OLDEST_VERSION:
        raise LedgerCorruptError(
            f"{path} says that it has ledger layout {found}, which never was.",
            hint="Keep the file as evidence and restore a copy from before.",
        )
    wanted = _OBJECTS | _TREE_OBJECTS if found >= FIRST_WITH_TREE else _OBJECTS
    missing = sorted(wanted - {name for (name,) in db.execute("SELECT name FROM sqlite_schema")})
    if missing and guards:
        raise LedgerCorruptError(
            f"{path} was altered: it lacks {', '.join(missing)}.",
            hint="Keep the file as evidence and restore a copy from before.",
        )


def _pragma(db: sqlite3.Connection, name: str) -> int:
    (value,) = db.execute(f"PRAGMA {name}").fetchone()
    return int(value)
