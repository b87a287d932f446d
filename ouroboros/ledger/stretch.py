"""One stretch of a ledger, verified by itself, so that several can be verified at once.

A stretch begins at the border of a tile and takes the hash of the row before it on trust; that is
no hole, because the stretch before verifies that very row, and whoever puts stretches together
compares. What comes back is small: a root for every 256 entries, and what was found.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from ouroboros.errors import LedgerError, NotFoundError
from ouroboros.ledger import chain, files, merkle, operators, sweep
from ouroboros.ledger.chain import Flaw, Report
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.merkle import Hash
from ouroboros.ledger.sweep import Sweep
from ouroboros.ledger.tree import BITS, WIDTH, tile_root
from ouroboros.model.entry import GENESIS, Envelope, Head
from ouroboros.model.events import Approved, Denied, Endorsed, RollbackStarted
from ouroboros.model.statement import Signature, Statement, parse_statement

_SIGNED = b'"signature":{'
_EVIDENCE = re.compile(rb'"(?:diff|log|text)":"([0-9a-f]{64})"')
PROBLEMS_KEPT = 20
"""Of one kind in one stretch; all are counted."""


class Task(NamedTuple):
    """What to verify: the entries after `low` up to `high`, `low` a multiple of 256.

    `cuts` are sizes at which the root is wanted, within `low` < size <= `high`.
    """

    path: str
    low: int
    high: int
    cuts: tuple[int, ...]
    evidence: str
    operators: Mapping[str, bytes]
    target: str
    pruned: Mapping[str, int] = {}
    """Evidence that retention removed, with when (UTC ns)."""


class Cut(NamedTuple):
    """What a root at `size` needs: hashes since the last complete tile, and the chain's hash."""

    size: int
    leaves: tuple[Hash, ...]
    hash: str


class Fault(NamedTuple):
    """Something wrong beyond the chain: which entry, a code for machines, and words."""

    seq: int
    code: str
    text: str


class Outcome(NamedTuple):
    """What a stretch turned out to be; `before` is the hash that it took on trust."""

    report: Report
    before: str
    first_ts: int | None
    last_ts: int | None
    tiles: tuple[Hash, ...]
    cuts: tuple[Cut, ...]
    faults: tuple[Fault, ...]
    signatures: int
    evidence: int
    pruned: frozenset[str]


def connect(path: Path) -> sqlite3.Connection:
    """Open a ledger for verification: read-only, text as bytes."""
    db = files.connect(path, read_only=True)
    db.text_factory = bytes
    return db


def verify(task: Task) -> Outcome:
    """Verify one stretch; never raises for what the ledger holds."""
    with files.translated(Path(task.path)):
        db = connect(Path(task.path))
    try:
        return _Stretch(task, db).run()
    finally:
        db.close()


class _Stretch:
    def __init__(self, task: Task, db: sqlite3.Connection) -> None:
        self._task, self._db = task, db
        self._before = GENESIS
        self._first_ts: int | None = None
        self._tiles: list[Hash] = []
        self._cuts: list[Cut] = []
        self._faults: dict[str, list[Fault]] = {}
        self._signatures = 0
        self._evidence: set[bytes] = set()
        self._pruned: set[bytes] = set()

    def run(self) -> Outcome:
        task = self._task
        check = Sweep()
        try:
            with files.translated(Path(task.path)):
                self._before = self._hash_before()
                check = Sweep(Head(size=task.low, hash=self._before))
                for rows in self._batches():
                    good = check.feed(rows)
                    self._take(rows[:good])
                    if good < len(rows):
                        break
        except LedgerError as error:
            check.fail(check.head.size + 1, Flaw.UNREADABLE, error.message)
        return Outcome(
            report=check.report(),
            before=self._before,
            first_ts=self._first_ts,
            last_ts=check.ts,
            tiles=tuple(self._tiles),
            cuts=tuple(self._cuts),
            faults=tuple(f for faults in self._faults.values() for f in faults[:PROBLEMS_KEPT]),
            signatures=self._signatures,
            evidence=len(self._evidence - self._pruned),
            pruned=frozenset(name.decode() for name in self._pruned),
        )

    def _hash_before(self) -> str:
        if self._task.low == 0:
            return GENESIS
        row = self._db.execute(
            "SELECT hash FROM entries WHERE seq = ?", (self._task.low,)
        ).fetchone()
        return row[0].decode("utf-8", "replace") if row and isinstance(row[0], bytes) else ""

    def _batches(self) -> Iterator[list[sweep.Row]]:
        """Yield rows, a tile's worth each.

        Only rows that should be there are asked for by number, but more than that is not assumed:
        a gap shows as a row of another number.
        """
        cursor = self._db.execute(
            f"SELECT {sweep.COLUMNS} FROM entries WHERE seq > ? AND seq <= ? ORDER BY seq",  # noqa: S608 - a constant
            (self._task.low, self._task.high),
        )
        while rows := cursor.fetchmany(WIDTH):
            yield rows

    def _take(self, rows: list[sweep.Row]) -> None:
        """Hash what was found good into the tree, and look at what it names."""
        if not rows:
            return
        if self._first_ts is None:
            self._first_ts = rows[0][3]
        datas: list[bytes] = [row[1] for row in rows]
        leaves = merkle.leaves(datas)
        low = rows[0][0] - 1
        for size in self._task.cuts:
            if low < size <= low + len(rows):
                digest = rows[size - low - 1][2].decode()
                self._cuts.append(Cut(size, tuple(leaves[: size - low]), digest))
        if len(leaves) == WIDTH:
            self._tiles.append(tile_root(leaves))
            self._compare(low >> BITS, leaves)
        if _SIGNED in b"\n".join(datas):  # rare: one look for all
            for row in rows:
                if _SIGNED in row[1]:
                    self._signed(row[0], row[1])
        if self._task.evidence:
            self._look(rows)

    def _compare(self, number: int, leaves: list[Hash]) -> None:
        """Compare a tile that is stored with what the entries say."""
        try:
            row = self._db.execute(
                "SELECT root, hashes FROM tiles WHERE level = 0 AND n = ?", (number,)
            ).fetchone()
        except sqlite3.OperationalError:
            return  # layout 1 has no tiles
        first = (number << BITS) + 1
        if row is None:
            text = f"the tree's hashes of entries {first} to {first + WIDTH - 1} are missing"
            self._fault(first, "tile_missing", text)
        elif row[1] != b"".join(leaves):
            kept = [row[1][at : at + 32] for at in range(0, len(row[1]), 32)]
            pairs = zip(leaves, kept, strict=False)
            at = next((n for n, (a, b) in enumerate(pairs) if a != b), 0)
            text = "it is not the one whose hash the tree keeps: one of the two was replaced"
            self._fault(first + at, "tile_differs", text)
        elif row[0] != self._tiles[-1]:
            self._fault(first, "tile_differs", f"the tree keeps a wrong root of tile {number}")

    def _signed(self, seq: int, data: bytes) -> None:
        """Check the operator's signature of an entry against what the entry says."""
        envelope = chain.open_envelope(data)
        if not isinstance(envelope.signature, Signature):
            return  # the words stand somewhere else in it
        self._signatures += 1
        if not self._task.operators:
            return
        wrong = signature_fault(envelope, data, self._task.operators, self._task.target)
        if wrong:
            self._fault(seq, "operator_signature", wrong)

    def _look(self, rows: list[sweep.Row]) -> None:
        store = Evidence(Path(self._task.evidence))
        for row in rows:
            for name in _EVIDENCE.findall(row[1]):
                if name in self._evidence:
                    continue
                self._evidence.add(name)
                try:
                    store.check(name.decode())
                except NotFoundError as error:
                    if name.decode() in self._task.pruned:
                        self._pruned.add(name)
                    else:
                        self._fault(row[0], "evidence", str(error))
                except LedgerError as error:
                    self._fault(row[0], "evidence", str(error))

    def _fault(self, seq: int, code: str, text: str) -> None:
        self._faults.setdefault(code, []).append(Fault(seq, code, f"Entry {seq}: {text}."))


def signature_fault(
    envelope: Envelope, data: bytes, known: Mapping[str, bytes], target: str
) -> str:
    """Return what is wrong with the operator's signature that an entry bears, or nothing."""
    signature = envelope.signature
    if not isinstance(signature, Signature):
        return ""
    name = operators.signer_of(signature.statement.encode(), signature.armor, known)
    if not name:
        return f"the signature of {signature.operator!r} is not one of a known operator's"
    try:
        said = parse_statement(signature.statement)
        event = chain.decode(data).event
    except (ValueError, LedgerError) as error:
        return f"what {name} signed cannot be read: {error}"
    if target and said.target != target:
        return f"{name} signed for target {said.target!r}, this is the ledger of {target!r}"
    if not said.signed - operators.SKEW_NS <= envelope.ts < said.expires:
        return f"{name}'s signature was not good at the time of the entry"
    return "" if _fits(event, said) else f"{name} signed another act than this {event.kind}"


def _fits(event: msgspec.Struct, said: Statement) -> bool:
    match event:
        case Approved() | Endorsed():
            wanted = ("approve", event.candidate, event.commit)
        case Denied():
            wanted = ("reject", event.candidate, said.commit)
        case RollbackStarted():
            wanted = ("rollback", said.subject, event.expected_head)
        case _:
            return False
    return (said.action, said.subject, said.commit) == wanted
