"""From an older layout of the ledger's file to the newest: numbered steps, whole or not at all.

Steps add tables and what can be computed from the entries; stored entries are never touched, so
that heads, exports and signatures stay what they were. Before the first step the whole ledger is
verified (nothing is built on a damaged one) and copied to `<ledger>.v<layout>.bak`. All steps are
one transaction: a kill, or a disk that is full, leaves the old layout and the old file.

A step for layout N has the number N and leads to N + 1. A released step never changes; for each
layout that was released, `tests/data` holds a ledger that it wrote.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from ouroboros.errors import LedgerDamagedError
from ouroboros.ledger import chain, files, schema, tree
from ouroboros.ledger.chain import Row


def _1_add_tree(db: sqlite3.Connection) -> None:
    """Layout 2: a Merkle tree over the entries that are there, and no signed heads yet."""
    schema.add_tree(db)
    tree.fill(db)


STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: _1_add_tree}


def upgrade(db: sqlite3.Connection, path: Path) -> None:
    """Bring a ledger that is open for writing to the newest layout.

    Raises:
        LedgerDamagedError: an entry is not what was written; nothing was changed.
        LedgerFullError: no space for the copy or the new tables; nothing was changed.
    """
    if schema.version(db) not in STEPS:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        found = schema.version(db)  # another process may have been quicker
        if found in STEPS:
            _verify(db, path)
            _copy(path, backup_of(path, found))
        while found in STEPS:
            STEPS[found](db)
            found += 1
        db.execute(f"PRAGMA user_version = {found}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def backup_of(path: Path, layout: int) -> Path:
    """Return where the copy of a ledger of an older layout lies."""
    return path.with_name(f"{path.name}.v{layout}.bak")


def _verify(db: sqlite3.Connection, path: Path) -> None:
    rows = db.execute("SELECT seq, bytes, hash FROM entries ORDER BY seq")
    report = chain.verify(Row(*row) for row in rows)
    if report.bad is not None:
        raise LedgerDamagedError(
            f"The ledger {path} is damaged, so that it is not brought to a new layout. "
            f"{report.bad.text}",
            hint=files.SALVAGE,
        )


def _copy(path: Path, target: Path) -> None:
    """Copy the database as it is committed, whole or not at all."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        files.make_file(part)
        with (
            contextlib.closing(files.connect(path, read_only=True)) as source,
            contextlib.closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy)
        files.settle(part, target)
    finally:
        part.unlink(missing_ok=True)
