"""The ledger out of its file and into another: JSON lines with exact bytes, and flat CSV.

A line of JSON holds the stored bytes of an entry to the letter, so that an import gives back the
same chain with the same heads; CSV is for spreadsheets, and no way back. Everything streams: memory
stays flat whatever the ledger's length. An import verifies before it writes, and stops at the first
line that is not what it should be: there is no such thing as half a ledger.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from ouroboros.errors import ConflictError, LedgerCorruptError, LedgerError, LedgerFullError
from ouroboros.ledger import chain, files
from ouroboros.ledger.chain import Row, Verifier
from ouroboros.ledger.mark import Mark
from ouroboros.ledger.store import Store, StoredHead, json_line
from ouroboros.model.describe import describe, subject
from ouroboros.model.entry import Head
from ouroboros.model.text import safe_line

CSV_COLUMNS = ("seq", "time", "ts", "kind", "actor", "candidates", "text", "idem", "prev", "hash")
"""`time` is `ts` (UTC nanoseconds) as a date; `text` is the line that people are shown."""
_LONGEST_LINE = 256 << 20
"""Bytes. The largest entry (an evaluation with all its samples) takes a few hundred KiB."""
_CELL = 4000
"""Characters of text in a cell; spreadsheets take 32,767."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would run."""
_LINE = re.compile(
    rb'\{"seq":([1-9][0-9]{0,17}),"hash":"([0-9a-f]{64})","entry":(\{.*\})\}\n?', re.DOTALL
)
_HEAD = re.compile(rb'\{"head":(\{.*\})\}\n?', re.DOTALL)
_BATCH = 1000

Progress = Callable[[int, int], None]


def write_csv(store: Store, file: BinaryIO, *, after: int = 0) -> int:
    """Write one row per entry, newest last, with a heading; return how many entries.

    Text is made safe for terminals, and a cell that a spreadsheet would take for a formula is
    written with a `'` before it.

    Raises:
        LedgerCorruptError: bytes that are no entry.
    """
    _row(file, CSV_COLUMNS)
    count = 0
    for row in store.raw(after):
        _row(file, _cells(row))
        count += 1
    return count


def export_page(
    store: Store, *, after: int, limit: int, most: int, csv: bool
) -> tuple[bytes, int, int]:
    """Return the next lines of an export, how many entries they are, and the last one's number.

    At most `limit` entries, and no more than `most` bytes unless one entry alone is longer. The CSV
    has its heading where it begins with the first entry.

    Raises:
        LedgerCorruptError: bytes that are no entry.
    """
    page = io.BytesIO()
    if csv and after == 0:
        _row(page, CSV_COLUMNS)
    count, last = 0, after
    for row in store.raw(after):
        line = io.BytesIO()
        if csv:
            _row(line, _cells(row))
        else:
            line.write(json_line(row))
        if count == limit or (count and page.tell() + line.tell() > most):
            break
        page.write(line.getvalue())
        count, last = count + 1, row.seq
    return page.getvalue(), count, last


def _cells(row: Row) -> tuple[str, ...]:
    envelope = chain.open_envelope(row.data)
    try:
        event = chain.decode(row.data).event
        about, text = subject(event), describe(event)
    except LedgerError as error:
        about, text = "", error.message
    return (
        str(row.seq),
        _date(envelope.ts),
        str(envelope.ts),
        chain.kind_of(envelope),
        envelope.actor,
        about,
        text,
        envelope.idem,
        envelope.prev,
        row.hash,
    )


def _date(ts: int) -> str:
    try:
        seconds, rest = divmod(ts, 10**9)
        date = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return ""  # a clock that was never set; `ts` says what it said
    return f"{date:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def safe_cell(text: str) -> str:
    """Return text as one line that no terminal acts on and no spreadsheet runs."""
    # Looked at before and after: what is made safe may have hidden how the cell begins.
    plain = safe_line(text, limit=_CELL)
    risky = plain.lstrip().startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
    return f"'{plain}" if risky or text.startswith(_FORMULA) else plain


def _row(file: BinaryIO, cells: tuple[str, ...]) -> None:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(map(safe_cell, cells))
    file.write(line.getvalue().encode(errors="backslashreplace"))


def rows_of(file: BinaryIO) -> Iterator[tuple[int, Row | StoredHead]]:
    """Yield (line number, row or signed head) of an export; only their types are promised.

    Raises:
        LedgerCorruptError: a line that no export writes; names it.
    """
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        parsed = _parsed(line) if len(line) <= _LONGEST_LINE else None
        if parsed is None:
            raise LedgerCorruptError(
                f"Line {number} is no line of a ledger export.",
                hint="Import a file as 'ouroboros ledger export' writes it, whole and unedited.",
            )
        yield number, parsed


def _parsed(line: bytes) -> Row | StoredHead | None:
    found = _LINE.fullmatch(line)
    if found:
        return Row(int(found[1]), found[3], found[2].decode())
    head = _HEAD.fullmatch(line)
    try:
        return msgspec.json.decode(head[1], type=StoredHead) if head else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def import_ledger(
    file: BinaryIO, ledger: Path, *, progress: Callable[[int], None] | None = None
) -> Head:
    """Make a new ledger from an export and return its head; whole, or nothing is left.

    Raises:
        ConflictError: there is a ledger already.
        LedgerCorruptError: the export is broken; names the line and the entry.
        LedgerFullError, LedgerError: it cannot be written.
    """
    if ledger.exists():
        raise ConflictError(
            f"{ledger} exists already; an import makes a new ledger.",
            hint="Name an empty state folder.",
        )
    part = ledger.with_name(f"{ledger.name}.importing")
    with files.translated(part):
        remove(part)
        try:
            head = _fill(part, file, progress)
            Mark(ledger).write(head)
            files.settle(part, ledger)
        finally:
            remove(part)
    return head


def _fill(part: Path, file: BinaryIO, progress: Callable[[int], None] | None) -> Head:
    verifier = Verifier()
    with Store.open(part) as store:
        batch: list[Row] = []
        for line, row in rows_of(file):
            if isinstance(row, StoredHead):
                store.take(batch)
                batch = []
                _take_head(store, line, row)
                continue
            if verifier.feed(row) is None:
                bad = verifier.report().bad
                raise LedgerCorruptError(
                    f"Line {line} breaks the chain. {bad.text if bad else ''}",
                    hint="Nothing was imported. Take another copy of the export; one that was "
                    "made with --since is a part, and cannot be imported.",
                )
            batch.append(row)
            if len(batch) == _BATCH:
                store.take(batch)
                batch = []
                if progress:
                    progress(verifier.head.size)
        store.take(batch)
        return store.head()


def _take_head(store: Store, line: int, head: StoredHead) -> None:
    """Keep a signed head; what it signs is checked by `verify`, which knows the keys."""
    try:
        store.add_head(size=head.size, ts=head.ts, note=head.note)
    except LedgerFullError:
        raise
    except LedgerError as error:
        raise LedgerCorruptError(
            f"Line {line} holds a head that does not fit the entries before it: {error.message}",
            hint="Nothing was imported. Take another copy of the export.",
        ) from error


def remove(ledger: Path) -> None:
    """Delete a ledger that is not one yet, with its side files."""
    for name in ("", "-wal", "-shm", ".mark"):
        ledger.with_name(f"{ledger.name}{name}").unlink(missing_ok=True)
