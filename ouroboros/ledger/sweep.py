"""Verifying many rows quickly, and one bad row exactly. Pure: rows in, findings out.

The columns of a row repeat what its bytes say, so the beginning of the bytes can be *predicted*
from the columns and the hash before: one comparison then checks number, time, actor, key, link and
kind at once, columns and bytes against each other. What remains is the hash, and that the rest is
JSON. That is several times cheaper than to decode the entry and compare field by field.

Whatever is not plainly good (also what is rare and right: escapes in a name, a clock that was set
back) goes through `chain.Verifier`, row by row, which has the last word and the words.
"""

import hashlib
import re
from collections.abc import Sequence

import msgspec

from ouroboros.ledger import chain
from ouroboros.ledger.chain import Flaw, Report, Verifier
from ouroboros.model.entry import Head

COLUMNS = "seq, bytes, hash, ts, kind, actor, idem"
"""What a row holds, text as bytes (text that is no UTF-8 would make the driver raise)."""
Row = tuple[object, ...]

_NAMES = ("ts", "kind", "actor", "idem")
_LIKELY = b'{"v":1,"seq":%d,"ts":%d,"actor":"%b","idem":"%b","prev":"%b","event":{"kind":"%b"'
_QUOTES = _LIKELY.count(b'"')
_JSON = msgspec.json.Decoder(msgspec.Raw)
_AT = re.compile(r"\(byte (\d+)\)")


class Sweep:
    """Verification of the chain, a batch of rows at a time, in constant memory."""

    def __init__(self, start: Head | None = None) -> None:
        self._verifier = Verifier(start)

    @property
    def head(self) -> Head:
        """The end of the good part so far."""
        return self._verifier.head

    @property
    def failed(self) -> bool:
        """Whether a bad entry was found."""
        return self._verifier.failed

    def fail(self, seq: int, flaw: Flaw, text: str) -> None:
        """Record a flaw that whoever reads the rows found; the first one counts."""
        self._verifier.fail(seq, flaw, text)

    def take_back(self, seq: int, before: Head, flaw: Flaw, text: str) -> None:
        """Record a flaw of the last good entry; the good part ends at `before`."""
        self._verifier.take_back(seq, before, flaw, text)

    def report(self) -> Report:
        """Return what was found so far."""
        return self._verifier.report()

    def feed(self, rows: Sequence[Row]) -> int:
        """Take the next rows; return how many are good: all, or those before the first bad one."""
        before = self._verifier.head
        last = _plainly_good(rows, before, self._verifier.ts or 0)
        if last is not None:
            size = before.size + len(rows)
            self._verifier.skip(Head(size=size, hash=last[0]), last[1])
            return len(rows)
        for at, row in enumerate(rows):
            if not _verified(self._verifier, row):
                self._locate(row, rows[at + 1] if at + 1 < len(rows) else None)
                return at
        return len(rows)

    def _locate(self, row: Row, following: Row | None) -> None:
        """Say where in the row the fault is, as far as the redundancy of the file tells."""
        bad = self._verifier.report().bad
        if bad is None or not isinstance(row[1], bytes):
            return
        if bad.flaw is Flaw.UNDECODABLE:
            byte = _AT.search(bad.text)
            if byte:
                self._verifier.locate(f"the first bad byte is {byte[1]}", int(byte[1]))
        elif bad.flaw is Flaw.BAD_HASH:
            self._verifier.locate(*_changed(row, self.head, following))


def _plainly_good(rows: Sequence[Row], head: Head, ts: int) -> tuple[str, int] | None:
    """Return hash and time of the last row where all are plainly good, else None."""
    seq, prev, sha256, is_json = head.size, head.hash.encode(), hashlib.sha256, _JSON.decode
    try:
        for number, data, name, when, kind, actor, idem in rows:
            seq += 1
            likely = _LIKELY % (seq, when, actor, idem, prev, kind)
            prev = sha256(data).hexdigest().encode()  # type: ignore[arg-type]
            if (
                number != seq
                or prev != name
                or not data.startswith(likely)  # type: ignore[attr-defined]
                or likely.count(b'"') != _QUOTES
                or b"\\" in likely
                or when < ts  # type: ignore[operator]
            ):
                return None
            is_json(data)  # type: ignore[arg-type]
            ts = when  # type: ignore[assignment]
    except (TypeError, ValueError, AttributeError, RecursionError, msgspec.MsgspecError):
        return None  # not the types that they should have: the exact way says which
    return prev.decode(), ts


def _verified(verifier: Verifier, row: Row) -> bool:
    """Verify one row with its look-up columns; tell whether it is good."""
    seq, data, name, *columns = row
    before = verifier.head
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    envelope = verifier.feed((seq, data, text))
    if envelope is None:
        return False
    texts = (chain.kind_of(envelope), envelope.actor, envelope.idem)
    said = [envelope.ts, *(text.encode("utf-8", "surrogatepass") for text in texts)]
    for column, found, expected in zip(_NAMES, columns, said, strict=True):
        if found != expected:
            what = f"its column '{column}' holds {found!r}, its bytes say {expected!r}"
            verifier.take_back(envelope.seq, before, Flaw.WRONG_INDEX, what)
            return False
    return True


def _changed(row: Row, head: Head, following: Row | None) -> tuple[str, int]:
    """Return which of bytes and hash was altered, and the offset of the byte where it is known."""
    _, data, name, when, kind, actor, idem = row
    assert isinstance(data, bytes)  # noqa: S101 - asked by the caller
    actual = chain.hash_of(data).encode()
    after = following[1] if following is not None and isinstance(following[1], bytes) else b""
    if b'"prev":"%b"' % actual in after:
        return "the next entry follows these bytes, so that the column 'hash' was altered", -1
    try:
        likely = _LIKELY % (head.size + 1, when, actor, idem, head.hash.encode(), kind)
    except TypeError:
        return "its columns were altered as well", -1
    known = b'"prev":"%b"' % name in after if isinstance(name, bytes) else False
    who = (
        "the next entry follows the stored hash, so that the bytes were altered"
        if known
        else ("bytes or hash were altered")
    )
    for at, (found, expected) in enumerate(zip(data, likely, strict=False)):
        if found != expected:
            return f"{who}: first bad byte {at} of {len(data)}", at
    try:
        _JSON.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        byte = _AT.search(str(error))
        if byte:
            return f"{who}: first bad byte at or before {byte[1]} of {len(data)}", int(byte[1])
    return f"{who}: somewhere from byte {len(likely)} to {len(data) - 1}", -1
