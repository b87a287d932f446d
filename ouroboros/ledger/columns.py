"""Verifying the table by which the entries of a candidate are found.

`touched` decides nothing, but a row that is gone hides an entry from whoever asks for a candidate's
history. SQLite itself compares: each row must be named by its entry, and there must be as many as
entries call for.
"""

import sqlite3
from pathlib import Path
from typing import get_args

from ouroboros.errors import LedgerError
from ouroboros.ledger import chain, files
from ouroboros.ledger.chain import touched_by
from ouroboros.model.events import AnyEvent, CandidateEvent

_EVENTS = get_args(AnyEvent)
_ONE = tuple(str(e.__struct_config__.tag) for e in _EVENTS if issubclass(e, CandidateEvent))
"""Kinds that name exactly one candidate."""
_SEVERAL = ("rollback_started", "rolled_back", "alert_raised")
_KNOWN = tuple(str(e.__struct_config__.tag) for e in _EVENTS)


def check(path: Path, after: int) -> tuple[str, int, str] | None:
    """Return code, entry and words for the first fault of `touched` beyond an entry, or None.

    Raises:
        LedgerError: the file cannot be read.
    """
    with files.translated(path):
        db = files.connect(path, read_only=True)
        db.text_factory = bytes
        try:
            return _fault(db, after)
        finally:
            db.close()


def _fault(db: sqlite3.Connection, after: int) -> tuple[str, int, str] | None:
    one = ", ".join(f"'{kind}'" for kind in _ONE)
    false = db.execute(
        f"""SELECT t.seq, t.candidate FROM touched t LEFT JOIN entries e ON e.seq = t.seq
        WHERE t.seq > ? AND (e.seq IS NULL OR instr(e.bytes, CAST(
            iif(e.kind IN ({one}), '"candidate":"', '"') || t.candidate || '"' AS BLOB)) = 0)
        ORDER BY t.seq LIMIT 1""",  # noqa: S608 - constants only
        (after,),
    ).fetchone()
    if false is not None:
        name = _shown(false[1])
        text = f"Entry {false[0]} is listed under candidate {name}, which it does not name."
        return "wrong_candidate", false[0], text
    (found,) = db.execute("SELECT count(*) FROM touched WHERE seq > ?", (after,)).fetchone()
    expected, named = _expected(db, after)
    if found == expected or _unknown_kinds(db):
        return None
    (seq,) = db.execute(
        f"""SELECT min(seq) FROM (SELECT seq FROM entries WHERE seq > ? AND kind IN ({one})
        EXCEPT SELECT seq FROM touched)""",  # noqa: S608 - constants only
        (after,),
    ).fetchone()
    seq = seq or next((s for s, count in named if count != _listed(db, s)), 0)
    return "wrong_candidate", seq, f"Entry {seq} is not listed under the candidate it names."


def _expected(db: sqlite3.Connection, after: int) -> tuple[int, list[tuple[int, int]]]:
    """Return how many rows the entries call for, and those of kinds that may name several."""
    marks = ", ".join("?" * len(_ONE))
    (count,) = db.execute(
        f"SELECT count(*) FROM entries WHERE kind IN ({marks}) AND seq > ?",  # noqa: S608 - marks only
        (*_ONE, after),
    ).fetchone()
    marks = ", ".join("?" * len(_SEVERAL))
    rows = db.execute(
        f"SELECT seq, bytes FROM entries WHERE kind IN ({marks}) AND seq > ? ORDER BY seq",  # noqa: S608 - marks only
        (*_SEVERAL, after),
    )
    several: list[tuple[int, int]] = []
    for seq, data in rows:
        try:
            names = set(touched_by(chain.decode(data).event))
        except LedgerError:
            continue  # written by another version
        several.append((seq, len(names)))
        count += len(names)
    return count, several


def _listed(db: sqlite3.Connection, seq: int) -> int:
    return int(db.execute("SELECT count(*) FROM touched WHERE seq = ?", (seq,)).fetchone()[0])


def _unknown_kinds(db: sqlite3.Connection) -> bool:
    """Whether there are kinds of which this version cannot tell whom they name."""
    kinds = {kind for (kind,) in db.execute("SELECT DISTINCT kind FROM entries")}
    return not kinds <= {kind.encode() for kind in _KNOWN}


def _shown(value: object) -> str:
    return repr(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)
